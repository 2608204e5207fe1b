package caddymodule

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
)

// matchView is something that a search has found.
type matchView struct {
	What    string `json:"what"`
	ID      string `json:"id,omitempty"`
	Account string `json:"account,omitempty"` // without: nobody's yet
	About   string `json:"about,omitempty"`
}

// matchList is all that a search has found.
type matchList struct {
	Matches []matchView `json:"matches"`
}

// find serves GET /dodo/find. What was never seen is 404.
func find(a *App, r *http.Request) (any, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(values) != 1 || len(values["q"]) != 1 || values.Get("q") == "" {
		return nil, fmt.Errorf("%w: the query must be q, and what to look for", errAdminRequest)
	}
	matches, err := a.accounts.Find(r.Context(), values.Get("q"))
	if err != nil {
		return nil, err
	}
	if len(matches) == 0 {
		return nil, fmt.Errorf("never seen: nothing with this name or id has come here: %w", store.ErrNotFound)
	}
	return matchList{Matches: viewsOf(matches, func(m gateway.Match) matchView { return matchView(m) })}, nil
}
