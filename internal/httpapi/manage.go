package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/dodogate/dodogate/internal/gateway"
)

// The routes by which customers manage what they subscribe to.
const (
	portalRoute = "/portal"
	cancelRoute = "/subscription/cancel"
	changeRoute = "/subscription/change"
)

// action is a request that the client may send next: as JSON, or as a form with the same
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
		takes: fields{"return_to": &req.ReturnTo},
		run: func(ctx context.Context, who gateway.Identity) (portalAnswer, error) {
			link, err := a.shop.Portal(ctx, who, req)
			return portalAnswer{link}, err
		},
		status: http.StatusOK,
		next:   func(made portalAnswer) string { return made.PortalURL },
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
	PeriodEnd    *time.Time `json:"period_end"` // when it is charged again, or ends
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

// cancelBody names a subscription and what becomes of it.
type cancelBody struct {
	Subscription string `json:"subscription"`
	Undo         bool   `json:"undo,omitempty"`
}

// cancel serves POST /subscription/cancel:
//
//	{}                               the only subscription ends with its period
//	{"subscription": "sub_…"}        this one; or "product" or "plan", by what it is for
//	{"undo": true}                   it goes on after all
//
// A form may also have return_to, where it leads then.
func (a *API) cancel(w http.ResponseWriter, r *http.Request) error {
	var (
		which    gateway.Which
		undo     bool
		returnTo string
		landing  string
	)
	return serveChange(a, w, r, change[subscriptionAnswer]{
		takes: fields{"subscription": &which.ID, "product": &which.Product, "plan": &which.Plan, "undo": &undo, "return_to": &returnTo},
		run: func(ctx context.Context, who gateway.Identity) (answer subscriptionAnswer, err error) {
			if landing, err = a.landingAt(r, returnTo); err != nil {
				return answer, err
			}
			held, err := a.shop.Cancel(ctx, who, which, undo)
			return subscriptionOf(held), err
		},
		status: http.StatusOK,
		next:   func(subscriptionAnswer) string { return landing },
	})
}

// landingAt is where a form leads in the end. A JSON client goes nowhere, so that a site
// without an address of its own does not matter to it.
func (a *API) landingAt(r *http.Request, returnTo string) (string, error) {
	base, ok := a.site.Base(scheme(r), r.Host)
	if !ok {
		if returnTo == "" && mediaOf(r) != mediaForm {
			return "", nil
		}
		return "", gateway.ErrNoPublicURL
	}
	return a.site.Landing(returnTo, base)
}
