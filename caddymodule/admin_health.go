package caddymodule

import (
	"net/http"
	"time"

	"github.com/dodogate/dodogate/internal/gateway"
)

// healthView is what is shown of this gateway's health. The status says whether it can do
// its work, which depends on the store alone; the rest is for people and their alerts.
type healthView struct {
	Status    string          `json:"status"` // ok or unavailable
	Store     storeHealth     `json:"store"`
	Reconcile reconcileHealth `json:"reconcile"`
	Webhook   webhookHealth   `json:"webhook"`
}

type storeHealth struct {
	Reachable bool      `json:"reachable"`
	Writable  bool      `json:"writable"`
	CheckedAt time.Time `json:"checked_at,omitzero"`
	OutageAt  time.Time `json:"outage_at,omitzero"` // when it began
	Error     string    `json:"error,omitempty"`
	// Damaged is how many accounts are known to be damaged.
	Damaged int        `json:"damaged_accounts"`
	Check   *checkDone `json:"check,omitempty"` // of the embedded file, since the start
}

type checkDone struct {
	Running  bool      `json:"running"`
	Accounts int       `json:"accounts"` // that were looked at so far
	EndedAt  time.Time `json:"ended_at,omitzero"`
}

// reconcileHealth is since the process started.
type reconcileHealth struct {
	Off        bool      `json:"off,omitempty"`
	LastGoodAt time.Time `json:"last_good_at,omitzero"`
	LastState  passState `json:"last_state,omitempty"` // of the newest pass that has begun
	LastError  string    `json:"last_error,omitempty"`
	// Failing are the lists that could not be read, and Unread is how many objects and parts of
	// lists could not, as of the last pass.
	Failing []gateway.ListName `json:"failing,omitempty"`
	Unread  int                `json:"unread,omitempty"`
}

// webhookHealth is since the process started.
type webhookHealth struct {
	LastAt time.Time `json:"last_at,omitzero"` // an acknowledged one
}

// status implements [statusAnswer].
func (v healthView) status() int {
	if v.Status != "ok" {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

// showHealth serves GET /dodo/health. The answer is 200, or 503 if the store cannot be used.
func showHealth(a *App, r *http.Request) (any, error) {
	s := a.store.watch.fresh(r.Context(), a.store)
	v := healthView{
		Status:    "ok",
		Store:     storeHealth{Reachable: s.Reachable, Writable: s.Writable, CheckedAt: s.CheckedAt.UTC(), OutageAt: s.OutageAt.UTC()},
		Reconcile: reconcileHealth{Off: a.Reconcile.Off, LastGoodAt: a.store.passes.lastGood().UTC()},
		Webhook:   webhookHealth{LastAt: a.store.watch.lastWebhook().UTC()},
	}
	if !s.well() {
		v.Status = "unavailable"
	}
	v.Store.Damaged = a.store.damages.count()
	if c := a.store.damages.checked(); c != (fileCheck{}) {
		v.Store.Check = &checkDone{Running: c.Running, Accounts: c.Accounts, EndedAt: c.EndedAt.UTC()}
	}
	if s.Err != nil {
		v.Store.Error = s.Err.Error()
	}
	status := a.store.passes.status()
	v.Reconcile.Unread = len(status.Unread)
	for _, l := range status.Lists {
		v.Reconcile.Unread += l.Gaps
		if l.Error != "" {
			v.Reconcile.Failing = append(v.Reconcile.Failing, l.Name)
		}
	}
	for _, p := range a.store.passes.list() {
		if p.state == passWaiting {
			continue
		}
		v.Reconcile.LastState = p.state
		if p.err != nil {
			v.Reconcile.LastError = p.err.Error()
		}
		break
	}
	return v, nil
}
