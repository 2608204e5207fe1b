package caddymodule

import (
	"net/http"
	"time"
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
}

// listPasses serves GET /dodo/reconcile.
func listPasses(a *App, _ *http.Request) (any, error) {
	return passList{viewsOf(a.store.passes.list(), showPass)}, nil
}

// askFor serves POST /dodo/reconcile and /dodo/rebuild. A pass may take hours at
// its budget, longer than a connection lives and across changes of the config; so
// it runs in the background, and listPasses tells how it goes.
func askFor(kind passKind) func(*App, *http.Request) (any, error) {
	return func(a *App, _ *http.Request) (any, error) {
		return showPass(a.store.passes.ask(kind)), nil
	}
}
