package caddymodule

import (
	"net/http"
	"time"

	"github.com/dodogate/dodogate/internal/gateway"
)

// passView is what is shown of a pass.
type passView struct {
	Pass      int64     `json:"pass"` // its number in this process
	Kind      passKind  `json:"kind"`
	State     passState `json:"state"`
	BeganAt   time.Time `json:"began_at,omitzero"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	Seen      int       `json:"seen"`
	Read      int       `json:"read"`
	Applied   int       `json:"applied"`
	Unapplied int       `json:"unapplied"`
	Foreign   int       `json:"foreign"`           // ordered at another site, left alone
	Damaged   []string  `json:"damaged,omitempty"` // accounts that were passed over
	Error     string    `json:"error,omitempty"`
}

// status implements [statusAnswer]: a pass was accepted, and runs later.
func (passView) status() int { return http.StatusAccepted }

func showPass(p pass) passView {
	v := passView{
		Pass: p.number, Kind: p.kind, State: p.state, BeganAt: p.began.UTC(), EndedAt: p.ended.UTC(),
		Seen: p.did.Seen, Read: p.did.Read, Applied: p.did.Applied, Unapplied: p.did.Unapplied, Foreign: p.did.Foreign,
		Damaged: p.did.Damaged.Names(),
	}
	if p.err != nil {
		v.Error = p.err.Error()
	}
	return v
}

// passList is the pass that waits or runs, and the newest ones before it.
type passList struct {
	Passes []passView `json:"passes"` // newest first
	Lists  []listView `json:"lists"`
	// Unread are objects that could not be read or applied, and are tried again; at most
	// maxUnreadShown of UnreadCount.
	Unread      []string `json:"unread,omitempty"`
	UnreadCount int      `json:"unread_count"`
}

// listView is what is shown of one of Dodo's lists.
type listView struct {
	List     gateway.ListName `json:"list"`
	MarkAt   time.Time        `json:"mark_at,omitzero"`   // the next pass begins there
	FullAt   time.Time        `json:"full_at,omitzero"`   // when the whole list was read last
	WalkedTo time.Time        `json:"walked_to,omitzero"` // how far a walk of the whole list is
	Walking  bool             `json:"walking,omitempty"`
	Gaps     int              `json:"gaps"` // parts that could not be read, and are tried again
	Error    string           `json:"error,omitempty"`
	ErrorAt  time.Time        `json:"error_at,omitzero"` // since when
}

func showList(l gateway.ListStatus) listView {
	return listView{
		List: l.Name, MarkAt: l.Mark, FullAt: l.FullAt, WalkedTo: l.WalkedTo, Walking: l.Walking,
		Gaps: l.Gaps, Error: l.Error, ErrorAt: l.ErrorAt,
	}
}

// maxUnreadShown is how many objects are named that could not be read.
const maxUnreadShown = 100

// listPasses serves GET /dodo/reconcile.
func listPasses(a *App, r *http.Request) (any, error) {
	status, err := a.events.ReconcileStatus(r.Context())
	if err != nil {
		return nil, err
	}
	return passList{
		Passes: viewsOf(a.store.passes.list(), showPass), Lists: viewsOf(status.Lists, showList),
		Unread: status.Unread[:min(len(status.Unread), maxUnreadShown)], UnreadCount: len(status.Unread),
	}, nil
}

// askFor serves POST /dodo/reconcile and /dodo/rebuild. A pass may take hours at
// its budget, longer than a connection lives and across changes of the config; so
// it runs in the background, and listPasses tells how it goes.
func askFor(kind passKind) func(*App, *http.Request) (any, error) {
	return func(a *App, _ *http.Request) (any, error) {
		return showPass(a.store.passes.ask(kind)), nil
	}
}
