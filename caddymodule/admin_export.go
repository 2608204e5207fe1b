package caddymodule

import (
	"encoding/base64"
	"net/http"
)

// accountPage is a page of all accounts, without their orders and parked events.
type accountPage struct {
	Accounts []exportedAccount `json:"accounts"`
	Damaged  []string          `json:"damaged,omitempty"` // accounts that cannot be read
	Next     string            `json:"next,omitempty"`    // the after of the page that follows
}

// exportedAccount is an account with the ids that an operator imported for it.
type exportedAccount struct {
	accountView
	Customers     []string `json:"imported_customers,omitempty"`
	Subscriptions []string `json:"imported_subscriptions,omitempty"`
	Payments      []string `json:"imported_payments,omitempty"` // without those that have a standing
}

// listAccounts serves GET /dodo/accounts. A page may be empty, and an account may be on
// two pages.
func listAccounts(a *App, r *http.Request) (any, error) {
	after, limit, err := pageAfter(r)
	if err != nil {
		return nil, err
	}
	accounts, damaged, next, err := a.accounts.Export(r.Context(), after, limit)
	if err != nil {
		return nil, err
	}
	page := accountPage{Accounts: []exportedAccount{}, Damaged: damaged.Names(), Next: base64.RawURLEncoding.EncodeToString([]byte(next))}
	for _, e := range accounts {
		page.Accounts = append(page.Accounts, exportedAccount{
			accountView: accountViewOf(e.Account, e.Inspection),
			Customers:   e.Import.Customers, Subscriptions: e.Import.Subscriptions, Payments: e.Import.Payments,
		})
	}
	return page, nil
}
