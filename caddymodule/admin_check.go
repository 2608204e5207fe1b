package caddymodule

import (
	"encoding/base64"
	"fmt"
	"net/http"

	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
)

// checkView is what is wrong with the records of accounts.
type checkView struct {
	Accounts []checkedView `json:"accounts"`       // those with which something is wrong
	Looked   int           `json:"looked"`         // at so many accounts
	Next     string        `json:"next,omitempty"` // the after of the page that follows
}

type checkedView struct {
	Account string   `json:"account"`
	Wrong   []string `json:"wrong"`
}

func showChecked(c gateway.Checked) checkedView {
	return checkedView{Account: c.Account, Wrong: append([]string{}, c.Wrong...)}
}

// checkAll serves GET /dodo/check: a page of all accounts, then of all bindings to accounts.
func checkAll(a *App, r *http.Request) (any, error) {
	after, limit, err := pageAfter(r)
	if err != nil {
		return nil, err
	}
	wrong, looked, next, err := a.checker().Page(r.Context(), after, limit)
	if err != nil {
		return nil, err
	}
	for _, c := range wrong {
		a.store.damages.noted(c)
	}
	return checkView{Accounts: viewsOf(wrong, showChecked), Looked: looked, Next: base64.RawURLEncoding.EncodeToString([]byte(next))}, nil
}

// checkOne serves GET /dodo/check/<account>.
func checkOne(a *App, r *http.Request) (any, error) {
	c, err := a.checker().Check(r.Context(), r.PathValue("account"))
	if err != nil {
		return nil, err
	}
	a.store.damages.noted(c)
	if !c.Known && len(c.Wrong) == 0 {
		return nil, fmt.Errorf("%w: account %.100q was never seen", store.ErrNotFound, c.Account)
	}
	v := checkView{Accounts: []checkedView{}, Looked: 1}
	if len(c.Wrong) > 0 {
		v.Accounts = append(v.Accounts, showChecked(c))
	}
	return v, nil
}

func (a *App) checker() gateway.Checker { return gateway.Checker{Store: store.Client{Store: a.store}} }

// rebuiltView is what the rebuild of one account did.
type rebuiltView struct {
	Account string   `json:"account"`
	Wrong   []string `json:"wrong"`  // before
	Notes   []string `json:"notes"`  // what could not be known
	Read    int      `json:"read"`   // objects that Dodo handed out
	Unread  []string `json:"unread"` // and did not
	Applied int      `json:"applied"`
	Left    []string `json:"left"` // what is still wrong
}

// rebuildOne serves POST /dodo/rebuild/<account>.
func rebuildOne(a *App, r *http.Request) (any, error) {
	account := r.PathValue("account")
	did, err := a.events.RebuildAccount(r.Context(), account, rate.NewLimiter(rate.Inf, 1))
	if err != nil {
		return nil, fmt.Errorf("rebuild account: %w", err)
	}
	a.store.damages.noted(gateway.Checked{Account: account, Wrong: did.Left})
	list := func(texts []string) []string { return append([]string{}, texts...) }
	return rebuiltView{
		Account: account, Wrong: list(did.Wrong), Notes: list(did.Notes), Read: did.Read, Unread: list(did.Unread),
		Applied: did.Applied, Left: list(did.Left),
	}, nil
}
