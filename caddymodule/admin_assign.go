package caddymodule

import (
	"context"
	"errors"
	"net/http"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
)

// assignment says whose a purchase is, or is no more.
type assignment struct {
	What    string `json:"what"` // an event's id, or a payment, subscription or customer
	Account string `json:"account"`
	Reason  string `json:"reason"`
	ID      string `json:"id,omitempty"` // of the act; see actRequest
}

// assigned is what an assignment did.
type assigned struct {
	Act     string `json:"act"`
	Object  string `json:"object"`
	Account string `json:"account"`
	// Unread says why what the object gives is not known yet.
	Unread string `json:"unread,omitempty"`
}

// assign serves POST /dodo/assign.
func assign(a *App, r *http.Request) (any, error) { return assignBy(r, a.events.Assign) }

// unassign serves POST /dodo/unassign.
func unassign(a *App, r *http.Request) (any, error) { return assignBy(r, a.events.Unassign) }

func assignBy(r *http.Request, do func(context.Context, gateway.Doing) (gateway.Assigned, error)) (any, error) {
	wish, err := readAdminJSON[assignment](r, maxActBody)
	if err != nil {
		return nil, err
	}
	did, err := do(r.Context(), gateway.Doing{
		Account: wish.Account, ID: wish.ID, Act: entitlement.Act{By: adminIdentity(r), Reason: wish.Reason, Object: wish.What},
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, eventError(err)
	}
	return assigned{Act: did.Act, Object: did.Object, Account: did.Account, Unread: did.Unread}, err
}

// dismissal says why nothing is to be done about an event.
type dismissal struct {
	Reason string `json:"reason"`
	ID     string `json:"id,omitempty"` // of the act; see actRequest
}

// dismissEvent serves POST /dodo/dismiss/<id>.
func dismissEvent(a *App, r *http.Request) (any, error) {
	if _, err := a.events.Event(r.Context(), r.PathValue("id")); err != nil {
		return nil, eventError(err)
	}
	wish, err := readAdminJSON[dismissal](r, maxActBody)
	if err != nil {
		return nil, err
	}
	e, err := a.events.Dismiss(r.Context(), gateway.Doing{
		ID: wish.ID, Act: entitlement.Act{By: adminIdentity(r), Reason: wish.Reason, Object: r.PathValue("id")},
	})
	if err != nil {
		return nil, eventError(err)
	}
	return dismissedView(a, r, e)
}

// dismissedView is an event with who dismissed it, when and why.
func dismissedView(a *App, r *http.Request, e book.Event) (eventView, error) {
	view := showEventView(e)
	if e.Reason != gateway.ReasonDismissed {
		return view, nil
	}
	var err error
	view.Dismissed, err = a.events.DismissalOf(r.Context(), e.ID)
	return view, err
}
