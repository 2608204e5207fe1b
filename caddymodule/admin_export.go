package caddymodule

import (
	"encoding/base64"
	"net/http"
)

// accountPage is a page of all accounts, without their orders and parked events.
type accountPage struct {
	Accounts []accountView `json:"accounts"`
	Next     string        `json:"next,omitempty"` // the after of the page that follows
}

// listAccounts serves GET /dodo/accounts. A page may be empty, and an account may be on
// two pages.
func listAccounts(a *App, r *http.Request) (any, error) {
	after, limit, err := pageAfter(r)
	if err != nil {
		return nil, err
	}
	accounts, next, err := a.gateway.Export(r.Context(), after, limit)
	if err != nil {
		return nil, err
	}
	page := accountPage{Accounts: []accountView{}, Next: base64.RawURLEncoding.EncodeToString([]byte(next))}
	for _, e := range accounts {
		page.Accounts = append(page.Accounts, accountViewOf(e.Account, e.Inspection))
	}
	return page, nil
}
