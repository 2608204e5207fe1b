package caddymodule

import (
	"errors"
	"net/http"

	"github.com/dodogate/dodogate/internal/store"
)

const maxAssignBody = 4 << 10

// assignment says whose a purchase is.
type assignment struct {
	What    string `json:"what"` // an event's id, or a payment, subscription or customer
	Account string `json:"account"`
}

// assigned is what an assignment did.
type assigned struct {
	Object  string `json:"object"`
	Account string `json:"account"`
	// Unread says why what the object gives is not known yet.
	Unread string `json:"unread,omitempty"`
}

// assign serves POST /dodo/assign.
func assign(a *App, r *http.Request) (any, error) {
	wish, err := readAdminJSON[assignment](r, maxAssignBody)
	if err != nil {
		return nil, err
	}
	did, err := a.events.Assign(r.Context(), wish.What, wish.Account)
	if errors.Is(err, store.ErrNotFound) {
		return nil, eventError(err)
	}
	return assigned{Object: did.Object, Account: did.Account, Unread: did.Unread}, err
}

// dismissEvent serves POST /dodo/dismiss/<id>.
func dismissEvent(a *App, r *http.Request) (any, error) {
	e, err := a.events.Dismiss(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, eventError(err)
	}
	return showEventView(e), nil
}
