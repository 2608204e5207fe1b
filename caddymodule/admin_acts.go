package caddymodule

import (
	"fmt"
	"net/http"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
)

const maxActBody = 16 << 10

// actRequest is what an operator does by hand. Which fields an act has is said by its route.
type actRequest struct {
	Account string `json:"account"`
	Reason  string `json:"reason"`
	// ID makes the act count once, however often it is sent; without, it gets a new one.
	ID      string `json:"id,omitempty"`
	Credits int64  `json:"credits,omitempty"`
	Expires string `json:"expires,omitempty"` // of a grant: a period or a time
	Plan    string `json:"plan,omitempty"`    // of a grant
	Owe     bool   `json:"owe,omitempty"`     // of a take
	Act     string `json:"act,omitempty"`     // to undo
	Hold    string `json:"hold,omitempty"`    // to release
}

// actView is an act that was done.
type actView struct {
	ID        string              `json:"id"`
	Kind      entitlement.ActKind `json:"kind"`
	Account   string              `json:"account,omitempty"`
	At        time.Time           `json:"at"`
	By        string              `json:"by,omitempty"` // that the admin API has verified
	Reason    string              `json:"reason"`
	Credits   int64               `json:"credits,omitempty"`
	ExpiresAt time.Time           `json:"expires_at,omitzero"`
	Plan      string              `json:"plan,omitempty"`
	Object    string              `json:"object,omitempty"` // what it is about besides the account
	Before    entitlement.Worth   `json:"before"`
	After     entitlement.Worth   `json:"after"`
	Undone    string              `json:"undone,omitempty"`   // the act that undid it
	Repeated  bool                `json:"repeated,omitempty"` // it was done before; nothing happened now
	New       bool                `json:"new,omitempty"`      // nothing was known of the account before
}

func showAct(a book.Acted) actView {
	return actView{
		ID: a.ID, Kind: a.Kind, At: a.At.UTC(), By: a.By, Reason: a.Reason, Credits: a.Credits, ExpiresAt: a.ExpiresAt.UTC(), Plan: a.Plan,
		Object: a.Object, Before: a.Before, After: a.After, Undone: a.Undone, Repeated: a.Repeated,
	}
}

// doAct serves POST /dodo/grant, take, waive, undo and release.
func doAct(kind entitlement.ActKind) func(a *App, r *http.Request) (any, error) {
	return func(a *App, r *http.Request) (any, error) {
		wish, err := readAdminJSON[actRequest](r, maxActBody)
		if err != nil {
			return nil, err
		}
		d := gateway.Doing{Account: wish.Account, ID: wish.ID, Act: entitlement.Act{
			Kind: kind, By: adminIdentity(r), Reason: wish.Reason, Credits: wish.Credits, Expires: wish.Expires, Plan: wish.Plan, Owe: wish.Owe,
		}}
		switch {
		case wish.Act != "" && kind != entitlement.ActUndo, wish.Hold != "" && kind != entitlement.ActRelease:
			return nil, fmt.Errorf("%w: %s has neither act nor hold, or not this one", errAdminRequest, kind)
		case kind == entitlement.ActUndo:
			d.Object = wish.Act
		case kind == entitlement.ActRelease:
			d.Object = wish.Hold
		}
		done, err := a.accounts.Act(r.Context(), d)
		if err != nil {
			return nil, err
		}
		view := showAct(done.Acted)
		view.Account, view.New = done.Account, done.New
		return view, nil
	}
}

// closing asks for an account to be closed.
type closing struct {
	Account string   `json:"account"`
	Reason  string   `json:"reason"`
	ID      string   `json:"id,omitempty"`
	Emails  []string `json:"emails,omitempty"` // of the customer, besides those of orders
}

// closedView is what the closing of an account removed.
type closedView struct {
	actView
	Orders    int  `json:"orders"`    // that lost their addresses
	Events    int  `json:"events"`    // that lost personal data
	Addresses int  `json:"addresses"` // that lead to the account no more
	More      bool `json:"more,omitempty"`
}

const maxEmails = 20

// closeAccount serves POST /dodo/close.
func closeAccount(a *App, r *http.Request) (any, error) {
	wish, err := readAdminJSON[closing](r, maxActBody)
	if err != nil {
		return nil, err
	}
	if len(wish.Emails) > maxEmails {
		return nil, fmt.Errorf("%w: more than %d e-mail addresses", errAdminRequest, maxEmails)
	}
	done, err := a.accounts.CloseAccount(r.Context(), gateway.Doing{
		Account: wish.Account, ID: wish.ID, Act: entitlement.Act{By: adminIdentity(r), Reason: wish.Reason},
	}, wish.Emails...)
	if err != nil {
		return nil, err
	}
	view := closedView{actView: showAct(done.Act), Orders: done.Orders, Events: done.Events, Addresses: done.Addresses, More: done.More}
	view.Account = wish.Account
	return view, nil
}

// adminIdentity is whom the admin API has verified: the subject of the client's certificate.
// Only the remote admin endpoint asks for one.
func adminIdentity(r *http.Request) string {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.PeerCertificates) == 0 {
		return ""
	}
	return r.TLS.PeerCertificates[0].Subject.String()
}

// actPage is the newest acts of an account, the newest first.
type actPage struct {
	Acts []actView `json:"acts"`
}

// listActs serves GET /dodo/accounts/<account>/acts.
func listActs(a *App, r *http.Request) (any, error) {
	acts, err := a.accounts.Acts(r.Context(), r.PathValue("account"))
	return actPage{Acts: viewsOf(acts, showAct)}, err
}

// holdView is credits that a request has set aside.
type holdView struct {
	Hold      string    `json:"hold"`
	Credits   int64     `json:"credits"`
	ExpiresAt time.Time `json:"expires_at"`
}

// holdPage is the holds of an account, those first that end first.
type holdPage struct {
	Holds []holdView `json:"holds"`
}

// listHolds serves GET /dodo/accounts/<account>/holds.
func listHolds(a *App, r *http.Request) (any, error) {
	holds, err := a.accounts.Holds(r.Context(), r.PathValue("account"))
	return holdPage{Holds: viewsOf(holds, func(h *book.PlacedHold) holdView {
		return holdView{Hold: h.ID, Credits: h.Amount(), ExpiresAt: h.ExpiresAt.UTC()}
	})}, err
}
