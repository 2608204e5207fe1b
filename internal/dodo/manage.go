package dodo

import (
	"context"
	"errors"
	"net/http"
	"time"

	dodopayments "github.com/dodopayments/dodopayments-go"
	"github.com/dodopayments/dodopayments-go/option"
)

// Holding is a subscription as its customer is about to manage it.
type Holding struct {
	Fact
	// Addons must be named again in a change of plan, which otherwise removes them.
	Addons []Addon
}

// Addon is an add-on of a subscription.
type Addon struct {
	ID       string
	Quantity int64
}

// Holding reads a subscription as [Client.Subscription] does, with its add-ons.
func (c *Client) Holding(ctx context.Context, id string) (Holding, error) {
	var said details
	answer, fact, err := c.subscription(ctx, id, &said)
	if err != nil {
		return Holding{}, err
	}
	held := Holding{Fact: fact}
	for i := range said.Addons.get(answer.scope) {
		item, in := said.Addons.items[i].get(answer.scope)
		addon := Addon{ID: want(&item.AddonID, in, "addon_id"), Quantity: item.Quantity.get(in)}
		if addon.Quantity == 0 || addon.Quantity > maxQuantity {
			in.refuse("quantity", "is missing or too large")
		}
		held.Addons = append(held.Addons, addon)
	}
	if err := answer.err(); err != nil {
		return Holding{}, err
	}
	return held, nil
}

// PortalLink makes a link to the customer portal, which leads back to returnURL. A link
// is good for 24 hours (FACTS 2.6). Whoever has it acts as the customer.
func (c *Client) PortalLink(ctx context.Context, customerID, returnURL string) (string, error) {
	const op = "open customer portal"
	if !isWord(customerID, maxID) {
		return "", notAnID(op)
	}
	params := dodopayments.CustomerCustomerPortalNewParams{}
	if returnURL != "" {
		params.ReturnURL = dodopayments.F(returnURL)
	}
	var said portal
	answer, err := c.call(ctx, op, func(ctx context.Context, raw ...option.RequestOption) error {
		_, err := c.portal.New(ctx, customerID, params, raw...)
		return err
	}, &said)
	if err != nil {
		return "", err
	}
	link := said.Link.get(answer.scope)
	if !c.isCustomerURL(link) {
		answer.refuse("link", "is no address to send a customer to")
	}
	return link, answer.err()
}

// SetCancelAtEnd lets a subscription end with the period that is paid, or go on after
// all. It may be repeated, because it says how things are to be.
func (c *Client) SetCancelAtEnd(ctx context.Context, id string, cancel bool) error {
	const op = "schedule cancellation"
	if !isWord(id, maxID) {
		return notAnID(op)
	}
	params := dodopayments.SubscriptionUpdateParams{CancelAtNextBillingDate: dodopayments.F(cancel)}
	_, err := c.call(ctx, op, func(ctx context.Context, raw ...option.RequestOption) error {
		_, err := c.subscriptions.Update(ctx, id, params, raw...)
		return err
	}, &struct{}{})
	return err
}

// PlanChange is what a subscription is to change to, at once.
type PlanChange struct {
	ProductID string // Dodo's id
	Quantity  int64
	Proration string // Dodo's proration_billing_mode
	Addons    []Addon
}

func (p PlanChange) params() dodopayments.UpdateSubscriptionPlanReqParam {
	body := dodopayments.UpdateSubscriptionPlanReqParam{
		ProductID:            dodopayments.F(p.ProductID),
		Quantity:             dodopayments.F(p.Quantity),
		ProrationBillingMode: dodopayments.F(dodopayments.UpdateSubscriptionPlanReqProrationBillingMode(p.Proration)),
		// A customer whose card is declined keeps what was paid for.
		OnPaymentFailure: dodopayments.F(dodopayments.UpdateSubscriptionPlanReqOnPaymentFailurePreventChange),
	}
	if len(p.Addons) > 0 {
		addons := make([]dodopayments.AttachAddonParam, len(p.Addons))
		for i, a := range p.Addons {
			addons[i] = dodopayments.AttachAddonParam{AddonID: dodopayments.F(a.ID), Quantity: dodopayments.F(a.Quantity)}
		}
		body.Addons = dodopayments.F(addons)
	}
	return body
}

// ChangePlan charges for a change of plan and makes it. Dodo knows no idempotency key
// (FACTS 1.5), so this is sent once, whatever happens. After [ErrUnavailable] and
// [ErrBadAnswer] the change may have been made; the caller reads the subscription
// before it asks again.
func (c *Client) ChangePlan(ctx context.Context, id string, change PlanChange) error {
	const op = "change plan"
	if !isWord(id, maxID) {
		return notAnID(op)
	}
	params := dodopayments.SubscriptionChangePlanParams{UpdateSubscriptionPlanReq: change.params()}
	return c.once(ctx, op, func(ctx context.Context, raw ...option.RequestOption) error {
		return c.subscriptions.ChangePlan(ctx, id, params, raw...)
	})
}

// PlanPreview is what a change of plan would charge now, in minor units, and what the
// new plan then costs for each period, before tax.
type PlanPreview struct {
	Total         int64
	Tax           int64 // as far as Total holds some
	Currency      string
	Recurring     int64 // of the new plan
	RecurringIn   string
	NextBillingAt time.Time // zero when Dodo does not say
}

// PreviewChange asks what a change would do, and changes nothing.
func (c *Client) PreviewChange(ctx context.Context, id string, change PlanChange) (PlanPreview, error) {
	const op = "preview plan change"
	if !isWord(id, maxID) {
		return PlanPreview{}, notAnID(op)
	}
	params := dodopayments.SubscriptionPreviewChangePlanParams{UpdateSubscriptionPlanReq: change.params()}
	var said preview
	answer, err := c.call(ctx, op, func(ctx context.Context, raw ...option.RequestOption) error {
		_, err := c.subscriptions.PreviewChangePlan(ctx, id, params, raw...)
		return err
	}, &said)
	if err != nil {
		return PlanPreview{}, err
	}
	charge, in := said.Charge.get(answer.scope)
	summary, in := charge.Summary.get(in)
	p := PlanPreview{Currency: summary.Currency.get(in), Tax: summary.Tax.get(in)}
	var told bool
	if p.Total, told = summary.Total.look(in); !told || p.Currency == "" {
		answer.refuse("immediate_charge", "does not say what is charged")
	}
	plan, in := said.NewPlan.hint(answer.scope)
	p.Recurring, p.RecurringIn, p.NextBillingAt = plan.Price.get(in), plan.Currency.get(in), plan.NextBillingAt.get(in)
	if err := answer.err(); err != nil {
		return PlanPreview{}, err
	}
	return p, nil
}

// once makes a call that is never repeated, because it moves money. Its answer says
// nothing beyond that it was accepted: some servers send no body at all (FACTS 2.7).
func (c *Client) once(ctx context.Context, op string, send sender) error {
	if err := c.admit(ctx); err != nil {
		return &notSentError{op, err}
	}
	asked := ctx
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	x := exchange{empty: true}
	err := send(ctx, option.WithResponseBodyInto(&x.answer), option.WithMiddleware(x.do))
	failed := x.failed
	switch {
	case failed != nil || err == nil:
	case ctx.Err() != nil:
		failed = lost(ctx.Err())
	default:
		failed = &failure{kind: ErrBadAnswer, why: "the SDK could not handle the call"}
	}
	if failed == nil {
		return nil
	}
	return &Error{
		Op: op, Status: failed.status, Code: failed.code, Attempts: 1,
		RetryAfter: failed.retryAfter, kind: failed.kind, why: failed.why, cause: ended(asked),
	}
}

// notSentError says that a call was not admitted, so that nothing has happened.
type notSentError struct {
	op    string
	cause error
}

func (e *notSentError) Error() string { return e.op + ": " + e.cause.Error() }
func (e *notSentError) Unwrap() error { return e.cause }

// Unknown reports that a call which is made only once may have had its effect at Dodo,
// although it failed.
func Unknown(err error) bool {
	said, ok := errors.AsType[*Error](err)
	return ok && (errors.Is(said, ErrUnavailable) || errors.Is(said, ErrBadAnswer)) && said.Status != http.StatusTooManyRequests
}
