package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/dodogate/dodogate/internal/gateway"
)

// The routes with which customers manage their subscriptions.
const (
	portalRoute = "/portal"
	cancelRoute = "/subscription/cancel"
	changeRoute = "/subscription/change"
)

// action is a request that the client may send next, as JSON or as a form with the same
// fields.
type action struct {
	Method string `json:"method"`
	URL    string `json:"url"` // on this site
	Body   any    `json:"body"`
}

func (a *API) actionAt(route string, body any) action {
	return action{Method: http.MethodPost, URL: a.base.links + route, Body: body}
}

// portalAnswer is what POST /portal returns.
type portalAnswer struct {
	PortalURL string `json:"portal_url"` // where to send the customer
}

// portal serves POST /portal, with {"return_to": "https://…"} or {}.
func (a *API) portal(w http.ResponseWriter, r *http.Request) error {
	req := gateway.PortalRequest{Scheme: scheme(r), Host: r.Host, Site: a.site}
	return serveChange(a, w, r, change[portalAnswer]{
		accepts: fields{"return_to": &req.ReturnTo},
		apply: func(ctx context.Context, who gateway.Identity) (portalAnswer, error) {
			link, err := a.shop.Portal(ctx, who, req)
			return portalAnswer{link}, err
		},
		status:     http.StatusOK,
		redirectTo: func(made portalAnswer) string { return made.PortalURL },
	})
}

// subscriptionAnswer is a subscription as its customer sees it.
type subscriptionAnswer struct {
	Subscription string     `json:"subscription"` // Dodo's id
	Product      *string    `json:"product"`      // null: not in the catalog
	Plan         *string    `json:"plan"`         // null: no plan
	Quantity     int64      `json:"quantity"`
	Status       string     `json:"status"`
	CancelAtEnd  bool       `json:"cancel_at_period_end"`
	PeriodEnd    *time.Time `json:"period_end"` // the next charge, or the end
}

func subscriptionOf(h gateway.Held) subscriptionAnswer {
	return subscriptionAnswer{
		Subscription: h.ID, Product: unlessZero(h.Product.Name), Plan: unlessZero(h.Product.Plan), Quantity: h.Quantity,
		Status: string(h.Status), CancelAtEnd: h.CancelAtEnd, PeriodEnd: orNull(h.PeriodEnd),
	}
}

func subscriptionsOf(held []gateway.Held) []subscriptionAnswer {
	answers := make([]subscriptionAnswer, 0, len(held))
	for _, h := range held {
		answers = append(answers, subscriptionOf(h))
	}
	return answers
}

// cancelBody names a subscription and whether to cancel it or to undo that.
type cancelBody struct {
	Subscription string `json:"subscription"`
	Undo         bool   `json:"undo,omitempty"`
}

// cancel serves POST /subscription/cancel:
//
//	{}                               the only subscription ends with its period
//	{"subscription": "sub_…"}        this one; or "product" or "plan", by what it is for
//	{"undo": true}                   it continues after all
//
// A form may also have return_to, the address to redirect to.
func (a *API) cancel(w http.ResponseWriter, r *http.Request) error {
	var (
		which    gateway.Which
		undo     bool
		returnTo string
		landing  string
	)
	return serveChange(a, w, r, change[subscriptionAnswer]{
		accepts: fields{"subscription": &which.ID, "product": &which.Product, "plan": &which.Plan, "undo": &undo, "return_to": &returnTo},
		apply: func(ctx context.Context, who gateway.Identity) (answer subscriptionAnswer, err error) {
			if landing, err = a.formLanding(r, returnTo); err != nil {
				return answer, err
			}
			held, err := a.shop.Cancel(ctx, who, which, undo)
			return subscriptionOf(held), err
		},
		status:     http.StatusOK,
		redirectTo: func(subscriptionAnswer) string { return landing },
	})
}

// formLanding is where a form redirects to. A JSON client is not redirected, so it does not
// matter to it if the site has no address of its own.
func (a *API) formLanding(r *http.Request, returnTo string) (string, error) {
	base, ok := a.site.Base(scheme(r), r.Host)
	if !ok {
		if returnTo == "" && mediaOf(r) != mediaForm {
			return "", nil
		}
		return "", gateway.ErrNoPublicURL
	}
	return a.site.Landing(returnTo, base)
}
