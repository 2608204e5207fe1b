package httpapi

import (
	"cmp"
	"fmt"
	"net/http"
	"time"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/gateway"
)

// changeBody is a change of a subscription.
type changeBody struct {
	Product      string `json:"product"`
	Quantity     int64  `json:"quantity,omitempty"`
	Subscription string `json:"subscription"`
	Confirm      bool   `json:"confirm,omitempty"`
}

// changeAnswer is what POST /subscription/change returns.
type changeAnswer struct {
	State        gateway.ChangeState `json:"state"`
	Subscription subscriptionAnswer  `json:"subscription"` // its present state
	Product      string              `json:"product"`      // the new product
	Quantity     int64               `json:"quantity"`
	Charge       *chargeAnswer       `json:"charge,omitempty"`  // of a preview
	Confirm      *action             `json:"confirm,omitempty"` // of a preview: the request that makes the change
}

// chargeAnswer is what a change costs, in minor units.
type chargeAnswer struct {
	Amount     int64      `json:"amount"` // now
	Tax        int64      `json:"tax"`    // included in Amount
	Currency   string     `json:"currency"`
	Next       *int64     `json:"next_amount"` // in each later period, before tax; null: unknown
	NextIn     *string    `json:"next_currency"`
	NextCharge *time.Time `json:"next_charge"` // its time; null: unknown
}

// changePlan serves POST /subscription/change:
//
//	{"product": "team"}              what it would cost; or "plan", by what the product gives
//	 "confirm": true                 changes, and charges
//	 "subscription": "sub_…"         which one; or "from", its product or plan
//	 "quantity": 1                   if the product allows several
//
// A form without confirm gets a page that asks for confirmation; with confirm it redirects to
// return_to.
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
		a.setSource(&req.From, from)
	}
	landing, err := a.formLanding(r, returnTo)
	if err != nil {
		return err
	}
	use := a.shop.PreviewChange
	if confirm {
		use = a.shop.ChangePlan
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

// setSource reads from, the name of a product or of a plan.
func (a *API) setSource(which *gateway.Which, from string) {
	if _, known := a.shop.Catalog().Named(from); known {
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
	Refresh *refresh // always nil; the template's head needs the field

	From, To string
	Pending  bool   // it was accepted, and waits for its charge
	Now      string // the charge now; empty: none
	Next     string // the later charges; empty: unknown
	NextAt   string // a date; empty: unknown
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
		page.Now = gateway.Money(p.Total, p.Currency)
	}
	if p.RecurringIn != "" {
		page.Next = gateway.Money(p.Recurring, p.RecurringIn) + periodText(a.intervalOf(c.To.ID))
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

// titleOf is a product's name for customers.
func (a *API) titleOf(id, name string) string {
	for _, o := range a.shop.KnownOffers() {
		if o.ID == id {
			return o.Title
		}
	}
	return name
}

func (a *API) intervalOf(id string) dodo.Period {
	for _, o := range a.shop.KnownOffers() {
		if o.ID == id {
			return o.Every
		}
	}
	return dodo.Period{}
}

// periodText is a billing period in words, with a leading space: " every 3 months".
func periodText(p dodo.Period) string {
	switch p.Count {
	case 0:
		return ""
	case 1:
		return " every " + p.Unit
	}
	return fmt.Sprintf(" every %d %ss", p.Count, p.Unit)
}
