package dodo

import (
	"context"
	"errors"
	"net/http"
	"time"

	dodopayments "github.com/dodopayments/dodopayments-go"
	"github.com/dodopayments/dodopayments-go/option"
)

// Holding is a subscription with everything that is needed to change it.
type Holding struct {
	Fact
	// Addons must be repeated in a change of plan, which otherwise removes them.
	Addons []Addon
}

// Addon is an add-on of a subscription.
type Addon struct {
	ID       string
	Quantity int64
}

// Holding reads a subscription as [Client.Subscription] does, with its add-ons.
func (c *Client) Holding(ctx context.Context, id string) (Holding, error) {
	var fields details
	answer, fact, err := c.subscription(ctx, id, &fields)
	if err != nil {
		return Holding{}, err
	}
	held := Holding{Fact: fact}
	for i := range fields.Addons.get(answer.scope) {
		item, in := fields.Addons.items[i].get(answer.scope)
		addon := Addon{ID: requiredID(&item.AddonID, in, "addon_id"), Quantity: item.Quantity.get(in)}
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

// PortalLink creates a link to the customer portal, which leads back to returnURL. A link is
// valid for 24 hours (FACTS 2.6). Anybody who has it acts as the customer.
func (c *Client) PortalLink(ctx context.Context, customerID, returnURL string) (string, error) {
	const op = "open customer portal"
	if !isWord(customerID, maxID) {
		return "", invalidID(op)
	}
	params := dodopayments.CustomerCustomerPortalNewParams{}
	if returnURL != "" {
		params.ReturnURL = dodopayments.F(returnURL)
	}
	var fields portal
	answer, err := c.call(ctx, op, func(ctx context.Context, raw ...option.RequestOption) error {
		_, err := c.portal.New(ctx, customerID, params, raw...)
		return err
	}, &fields)
	if err != nil {
		return "", err
	}
	link := fields.Link.get(answer.scope)
	if !c.isCustomerURL(link) {
		answer.refuse("link", "is not an address to send a customer to")
	}
	return link, answer.err()
}

// SetCancelAtEnd makes a subscription end with the paid period, or undoes that. It may be
// repeated, because it sets a state.
func (c *Client) SetCancelAtEnd(ctx context.Context, id string, cancel bool) error {
	const op = "schedule cancellation"
	if !isWord(id, maxID) {
		return invalidID(op)
	}
	params := dodopayments.SubscriptionUpdateParams{CancelAtNextBillingDate: dodopayments.F(cancel)}
	_, err := c.call(ctx, op, func(ctx context.Context, raw ...option.RequestOption) error {
		_, err := c.subscriptions.Update(ctx, id, params, raw...)
		return err
	}, &struct{}{})
	return err
}

// PlanChange is a change of a subscription that takes effect immediately.
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
		// If the card is declined, the customer keeps the plan that is paid for.
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

// ChangePlan charges for a change of plan and makes it. Dodo has no idempotency keys (FACTS
// 1.5), so the call is sent once and never repeated. After [ErrUnavailable] or [ErrBadAnswer]
// the change may have been made; the caller must read the subscription before it tries again.
func (c *Client) ChangePlan(ctx context.Context, id string, change PlanChange) error {
	const op = "change plan"
	if !isWord(id, maxID) {
		return invalidID(op)
	}
	params := dodopayments.SubscriptionChangePlanParams{UpdateSubscriptionPlanReq: change.params()}
	return c.callOnce(ctx, op, func(ctx context.Context, raw ...option.RequestOption) error {
		return c.subscriptions.ChangePlan(ctx, id, params, raw...)
	})
}

// PlanPreview is what a change of plan would charge now, in minor units, and the price of the
// new plan for each period, before tax.
type PlanPreview struct {
	Total         int64
	Tax           int64 // the part of Total that is tax
	Currency      string
	Recurring     int64 // of the new plan
	RecurringIn   string
	NextBillingAt time.Time // zero if Dodo does not say
}

// PreviewChange returns what a change would do, and changes nothing.
func (c *Client) PreviewChange(ctx context.Context, id string, change PlanChange) (PlanPreview, error) {
	const op = "preview plan change"
	if !isWord(id, maxID) {
		return PlanPreview{}, invalidID(op)
	}
	params := dodopayments.SubscriptionPreviewChangePlanParams{UpdateSubscriptionPlanReq: change.params()}
	var fields preview
	answer, err := c.call(ctx, op, func(ctx context.Context, raw ...option.RequestOption) error {
		_, err := c.subscriptions.PreviewChangePlan(ctx, id, params, raw...)
		return err
	}, &fields)
	if err != nil {
		return PlanPreview{}, err
	}
	charge, in := fields.Charge.get(answer.scope)
	summary, in := charge.Summary.get(in)
	p := PlanPreview{Currency: summary.Currency.get(in), Tax: summary.Tax.get(in)}
	var present bool
	if p.Total, present = summary.Total.lookup(in); !present || p.Currency == "" {
		answer.refuse("immediate_charge", "does not say what is charged")
	}
	plan, in := fields.NewPlan.getLenient(answer.scope)
	p.Recurring, p.RecurringIn, p.NextBillingAt = plan.Price.get(in), plan.Currency.get(in), plan.NextBillingAt.get(in)
	if err := answer.err(); err != nil {
		return PlanPreview{}, err
	}
	return p, nil
}

// callOnce makes a call that is never repeated, because it moves money. Only its status
// counts: some servers send no body (FACTS 2.7).
func (c *Client) callOnce(ctx context.Context, op string, send sender) error {
	if err := c.admit(ctx); err != nil {
		return &notSentError{op, err}
	}
	asked := ctx
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	x := exchange{bodyOptional: true, clock: c.clock, dodos: c.dodos}
	err := send(ctx, option.WithResponseBodyInto(&x.answer), option.WithMiddleware(x.do))
	failed := x.failed
	switch {
	case failed != nil || err == nil:
	case ctx.Err() != nil:
		failed = connectionFailure(ctx.Err())
	default:
		failed = &failure{kind: ErrBadAnswer, reason: "the SDK could not handle the call"}
	}
	if failed == nil {
		return nil
	}
	return &Error{
		Op: op, Status: failed.status, Code: failed.code, Attempts: 1,
		RetryAfter: failed.retryAfter, kind: failed.kind, reason: failed.reason, cause: callerError(asked),
	}
}

// notSentError is for a call that was not admitted: it was not sent and had no effect.
type notSentError struct {
	op    string
	cause error
}

func (e *notSentError) Error() string { return e.op + ": " + e.cause.Error() }
func (e *notSentError) Unwrap() error { return e.cause }

// Unknown reports whether a failed call that is made only once may have had its effect at
// Dodo.
func Unknown(err error) bool {
	failed, ok := errors.AsType[*Error](err)
	return ok && (errors.Is(failed, ErrUnavailable) || errors.Is(failed, ErrBadAnswer)) && failed.Status != http.StatusTooManyRequests
}
