package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/dodogate/dodogate/internal/dodo"
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
	req := gateway.PortalRequest{Scheme: scheme(r), Host: r.Host}
	return serveChange(a, w, r, change[portalAnswer]{
		takes: fields{"return_to": &req.ReturnTo},
		run: func(ctx context.Context, who gateway.Identity) (portalAnswer, error) {
			link, err := a.gateway.Portal(ctx, who, req)
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
			held, err := a.gateway.Cancel(ctx, who, which, undo)
			return subscriptionOf(held), err
		},
		status: http.StatusOK,
		next:   func(subscriptionAnswer) string { return landing },
	})
}

// landingAt is where a form leads in the end. A JSON client goes nowhere, so that a site
// without an address of its own does not matter to it.
func (a *API) landingAt(r *http.Request, returnTo string) (string, error) {
	base, ok := a.gateway.Site.Base(scheme(r), r.Host)
	if !ok {
		if returnTo == "" && !isFormRequest(r) {
			return "", nil
		}
		return "", gateway.ErrNoPublicURL
	}
	return a.gateway.Site.Landing(returnTo, base)
}

func isFormRequest(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded")
}

// changeBody names what a subscription is to change to.
type changeBody struct {
	Product      string `json:"product"`
	Quantity     int64  `json:"quantity,omitempty"`
	Subscription string `json:"subscription"`
	Confirm      bool   `json:"confirm,omitempty"`
}

// changeAnswer is what POST /subscription/change returns.
type changeAnswer struct {
	State        gateway.ChangeState `json:"state"`
	Subscription subscriptionAnswer  `json:"subscription"` // as it is now
	Product      string              `json:"product"`      // that it changes to
	Quantity     int64               `json:"quantity"`
	Charge       *chargeAnswer       `json:"charge,omitempty"`  // of a preview
	Confirm      *action             `json:"confirm,omitempty"` // of a preview: the request that makes the change
}

// chargeAnswer is what a change costs, in minor units.
type chargeAnswer struct {
	Amount     int64      `json:"amount"` // now
	Tax        int64      `json:"tax"`    // that is in it
	Currency   string     `json:"currency"`
	Next       *int64     `json:"next_amount"` // in each period from then on, before tax; null: not said
	NextIn     *string    `json:"next_currency"`
	NextCharge *time.Time `json:"next_charge"` // when; null: not said
}

// changePlan serves POST /subscription/change:
//
//	{"product": "team"}              what it would cost; or "plan", by what the product gives
//	 "confirm": true                 changes, and charges
//	 "subscription": "sub_…"         which one; or "from", the product or plan that it is for
//	 "quantity": 1                   where the product allows several
//
// A form without confirm gets a page that asks, and with it leads to return_to.
func (a *API) changePlan(w http.ResponseWriter, r *http.Request) error {
	who, err := signedIn(r.Context())
	if err != nil {
		return err
	}
	var (
		req            gateway.PlanChange
		confirm        bool
		from, returnTo string
	)
	isForm, err := a.readFields(w, r, fields{
		"product": &req.Product, "plan": &req.Plan, quantityField: &req.Quantity, "confirm": &confirm,
		"subscription": &req.From.ID, "from": &from, "return_to": &returnTo,
	})
	if err != nil {
		return err
	}
	if from != "" {
		a.nameSource(&req.From, from)
	}
	landing, err := a.landingAt(r, returnTo)
	if err != nil {
		return err
	}
	use := a.gateway.PreviewChange
	if confirm {
		use = a.gateway.ChangePlan
	}
	made, err := use(r.Context(), who, req)
	switch {
	case err != nil:
		return err
	case !isForm:
		return writeJSON(w, statusOfChange(made), a.changeAnswerOf(made))
	case made.State == gateway.ChangePreviewed || made.State == gateway.ChangeAccepted:
		writePageOf(w, statusOfChange(made), "change", a.changePage(made, landing), formPolicy)
		return nil
	}
	redirect(w, landing)
	return nil
}

// nameSource reads from, which is a product's name or a plan's.
func (a *API) nameSource(which *gateway.Which, from string) {
	if _, known := a.gateway.Catalog.Named(from); known {
		which.Product = from
		return
	}
	which.Plan = from
}

func statusOfChange(c *gateway.Change) int {
	if c.State == gateway.ChangeAccepted {
		return http.StatusAccepted
	}
	return http.StatusOK
}

func (a *API) changeAnswerOf(c *gateway.Change) changeAnswer {
	answer := changeAnswer{State: c.State, Subscription: subscriptionOf(c.Held), Product: c.To.Name, Quantity: c.Quantity}
	if c.State == gateway.ChangePreviewed {
		p := c.Preview
		answer.Charge = &chargeAnswer{Amount: p.Total, Tax: p.Tax, Currency: p.Currency, NextCharge: orNull(p.NextBillingAt)}
		if p.RecurringIn != "" {
			answer.Charge.Next, answer.Charge.NextIn = &p.Recurring, &p.RecurringIn
		}
		body := changeBody{Product: c.To.Name, Subscription: c.Held.ID, Confirm: true}
		if c.To.AllowMultiple {
			body.Quantity = c.Quantity
		}
		answer.Confirm = new(a.actionAt(changeRoute, body))
	}
	return answer
}

// changePage is the data of pages/change.html.
type changePage struct {
	Title   string
	Refresh *refresh // none, but the head asks

	From, To string
	Pending  bool   // it was accepted, and waits for its charge
	Now      string // what is charged now; empty: nothing
	Next     string // and from then on; empty: not said
	NextAt   string // a date; empty: not said
	Confirm  form
	Back     string
}

// form is a form with one button.
type form struct {
	URL    string
	Fields []formField
	Label  string
	Note   string
}

type formField struct{ Name, Value string }

func (a *API) changePage(c *gateway.Change, landing string) changePage {
	page := changePage{
		Title: "Change your plan", To: a.titleOf(c.To.ID, c.To.Name), From: a.titleOf(c.Held.Product.ID, cmp.Or(c.Held.Product.Name, "your present plan")),
		Pending: c.State == gateway.ChangeAccepted, Back: landing,
	}
	if page.Pending {
		page.Title = "Your plan is about to change"
		return page
	}
	p := c.Preview
	if p.Total > 0 {
		page.Now = money(p.Total, p.Currency)
	}
	if p.RecurringIn != "" {
		page.Next = money(p.Recurring, p.RecurringIn) + every(a.intervalOf(c.To.ID))
	}
	if !p.NextBillingAt.IsZero() {
		page.NextAt = p.NextBillingAt.UTC().Format("2 January 2006")
	}
	page.Confirm = form{
		URL: a.base.links + changeRoute, Label: "Change to " + page.To,
		Fields: []formField{{"product", c.To.Name}, {"subscription", c.Held.ID}, {"confirm", "true"}, {"return_to", landing}},
	}
	if c.To.AllowMultiple {
		page.Confirm.Fields = append(page.Confirm.Fields, formField{quantityField, fmt.Sprint(c.Quantity)})
	}
	return page
}

// titleOf is what customers call a product.
func (a *API) titleOf(id, name string) string {
	for _, o := range a.gateway.KnownOffers() {
		if o.ID == id {
			return o.Title
		}
	}
	return name
}

func (a *API) intervalOf(id string) dodo.Period {
	for _, o := range a.gateway.KnownOffers() {
		if o.ID == id {
			return o.Every
		}
	}
	return dodo.Period{}
}

// every is a billing period in words, with a space before it: " every 3 months".
func every(p dodo.Period) string {
	switch p.Count {
	case 0:
		return ""
	case 1:
		return " every " + p.Unit
	}
	return fmt.Sprintf(" every %d %ss", p.Count, p.Unit)
}

// ways are what a customer can do about subscriptions that are in the way.
type ways struct {
	Subscriptions []subscriptionAnswer `json:"subscriptions"`
	Portal        *action              `json:"portal,omitempty"`
	Change        *action              `json:"change,omitempty"`
	Undo          *action              `json:"undo,omitempty"` // of a cancellation
}

func (a *API) waysOf(e *gateway.SubscriptionsError) ways {
	w := ways{Subscriptions: subscriptionsOf(e.Held)}
	if !errors.Is(e, gateway.ErrSubscribed) || len(e.Held) == 0 {
		return w
	}
	w.Portal = new(a.actionAt(portalRoute, struct{}{}))
	if e.Way == gateway.WayChange {
		w.Change = new(a.actionAt(changeRoute, changeBody{Product: e.Product.Name, Subscription: e.Held[0].ID}))
	}
	for _, h := range e.Held {
		if h.CancelAtEnd {
			w.Undo = new(a.actionAt(cancelRoute, cancelBody{Subscription: h.ID, Undo: true}))
			break
		}
	}
	return w
}

// subscribedPage is the data of pages/subscribed.html.
type subscribedPage struct {
	Title, Detail, Code string
	Refresh             *refresh // none, but the head asks
	Forms               []form
}

// failSubscribed answers a refusal because of subscriptions, with what can be done instead.
func (a *API) failSubscribed(w http.ResponseWriter, r *http.Request, e *gateway.SubscriptionsError) {
	p, can := ProblemOf(e), a.waysOf(e)
	varyByAccept(w.Header())
	if wants(r) != wantsHTML {
		p.Members = map[string]any{"subscriptions": can.Subscriptions}
		for name, way := range map[string]*action{"portal": can.Portal, "change": can.Change, "undo": can.Undo} {
			if way != nil {
				p.Members[name] = way
			}
		}
		p.writeJSON(w)
		return
	}
	page := subscribedPage{Title: "You have this already", Detail: p.Detail, Code: p.Code}
	if can.Change != nil {
		page.Title = "You have a subscription already"
		page.Forms = append(page.Forms, form{
			URL: can.Change.URL, Label: "Change to " + a.titleOf(e.Product.ID, e.Product.Name), Note: "You see what it costs before anything is charged.",
			Fields: []formField{{"product", e.Product.Name}, {"subscription", e.Held[0].ID}},
		})
	}
	if can.Undo != nil {
		body, _ := can.Undo.Body.(cancelBody)
		page.Forms = append(page.Forms, form{
			URL: can.Undo.URL, Label: "Keep my subscription",
			Fields: []formField{{"subscription", body.Subscription}, {"undo", "true"}},
		})
	}
	if can.Portal != nil {
		page.Forms = append(page.Forms, form{URL: can.Portal.URL, Label: "Manage my subscription"})
	}
	p.writeHeader(w)
	writePageOf(w, p.Status, "subscribed", page, formPolicy)
}
