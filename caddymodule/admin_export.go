package caddymodule

import (
	"encoding/base64"
	"fmt"
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
	from, limit, err := pageQuery(r, "after")
	if err != nil {
		return nil, err
	}
	after, err := base64.RawURLEncoding.DecodeString(from)
	if err != nil {
		return nil, fmt.Errorf("%w: after must be the next of an earlier answer", errAdminRequest)
	}
	accounts, next, err := a.gateway.Export(r.Context(), string(after), limit)
	if err != nil {
		return nil, err
	}
	page := accountPage{Accounts: []accountView{}, Next: base64.RawURLEncoding.EncodeToString([]byte(next))}
	for _, e := range accounts {
		page.Accounts = append(page.Accounts, accountViewOf(e.Account, e.Inspection))
	}
	return page, nil
}
