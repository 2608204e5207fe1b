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

// wanted is what to look for.
type wanted struct {
	Q string `json:"q"`
}

// find serves GET /dodo/find. What was never seen is 404.
func find(a *App, r *http.Request) (any, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(values) != 1 || len(values["q"]) != 1 {
		return nil, errNoQuery
	}
	return findText(a, r, values.Get("q"))
}

// findPosted serves POST /dodo/find, for e-mail addresses: Caddy logs the address of every request
// to the admin API, and no body.
func findPosted(a *App, r *http.Request) (any, error) {
	wish, err := readAdminJSON[wanted](r, maxActBody)
	if err != nil {
		return nil, err
	}
	return findText(a, r, wish.Q)
}

var errNoQuery = fmt.Errorf("%w: q must be there once, and say what to look for", errAdminRequest)

func findText(a *App, r *http.Request, text string) (any, error) {
	if text == "" {
		return nil, errNoQuery
	}
	matches, err := a.accounts.Find(r.Context(), text)
	if err != nil {
		return nil, err
	}
	if len(matches) == 0 {
		return nil, fmt.Errorf("never seen: nothing with this name or id has come here: %w", store.ErrNotFound)
	}
	return matchList{Matches: viewsOf(matches, func(m gateway.Match) matchView { return matchView(m) })}, nil
}
