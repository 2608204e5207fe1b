package dodo

import (
	"context"
	"strings"
	"time"

	dodopayments "github.com/dodopayments/dodopayments-go"
	"github.com/dodopayments/dodopayments-go/option"

	"github.com/dodogate/dodogate/internal/entitlement"
)

// Lists come in pages that are numbered from 0, without a total (FACTS 1.6). Each page is
// requested by its number, because the SDK's own paging skips the second.
const pageSize = 100 // Dodo's maximum

// Page is one page of a list. The order is not documented, and items move between pages while
// others are created. Dodo refuses pages that are very deep ([ErrRejected]).
type Page[Item any] struct {
	Items []Item
	Last  bool      // no page follows
	Odd   int       // number of items without an id, which are not in Items
	At    time.Time // when it was asked for, by Dodo's clock; see [Client.Subscription]
}

// Window limits a list to what was made from From to To, both included. Zero is no limit. Dodo
// takes whole seconds; fractions are dropped.
type Window struct{ From, To time.Time }

// setWindow sets the parameters of a request. field is [dodopayments.F]; the SDK does not export
// the type of its fields.
func setWindow[Field any](w Window, from, to *Field, field func(time.Time) Field) {
	if !w.From.IsZero() {
		*from = field(wholeSecond(w.From))
	}
	if !w.To.IsZero() {
		*to = field(wholeSecond(w.To))
	}
}

// PaymentSummary is a payment as lists show it, without checkout session and cart (FACTS 2.5);
// [Client.Payment] has them.
type PaymentSummary struct {
	ID        string
	Status    entitlement.PaymentStatus // empty if the list does not say
	CreatedAt time.Time                 // UTC; zero if the list does not say
	Clues     Clues                     // lead to its account; without the session
}

// SubscriptionSummary is a subscription as lists show it; [Client.Subscription] has the rest.
type SubscriptionSummary struct {
	ID        string
	Status    entitlement.SubscriptionStatus // empty if the list does not say
	CreatedAt time.Time                      // UTC; zero if the list does not say
	PeriodEnd time.Time                      // next_billing_date; zero if the list does not say
	ProductID string                         // empty if the list does not say
	Quantity  int64                          // 0 if the list does not say
	// CancelSaid: the list says CancelAtEnd.
	CancelAtEnd, CancelSaid bool
	Clues                   Clues // lead to its account
}

// Differs reports whether merging what the list said at an instant, by Dodo's clock, would
// change the known state. What the list does not say does not count, nor does what is older
// than the known state.
func (s SubscriptionSummary) Differs(known entitlement.SubscriptionState, at time.Time) bool {
	if known.Status != "" && known.At.After(at) {
		return false
	}
	return known.Status == "" || s.Status != "" && s.Status != known.Status ||
		!s.PeriodEnd.IsZero() && !s.PeriodEnd.Equal(known.PeriodEnd) ||
		s.ProductID != "" && s.ProductID != known.ProductID ||
		s.Quantity != 0 && s.Quantity != known.Quantity ||
		s.CancelSaid && s.CancelAtEnd != known.CancelAtEnd
}

// PaymentChange is a refund or a dispute of a payment, and its status. The payment itself has
// the rest.
type PaymentChange struct {
	ID        string // of the refund or dispute
	PaymentID string
	Status    string // in lower case; for a dispute without "dispute_"
}

// Payments reads one page of the payments made in a window.
func (c *Client) Payments(ctx context.Context, made Window, page int) (Page[PaymentSummary], error) {
	return c.paymentPage(ctx, dodopayments.PaymentListParams{PageNumber: dodopayments.F(int64(page))}, made)
}

// Charges reads one page of a subscription's payments made since an instant, newest first.
func (c *Client) Charges(ctx context.Context, subscription string, since time.Time) (Page[PaymentSummary], error) {
	if !isWord(subscription, maxID) {
		return Page[PaymentSummary]{}, invalidID("list payments")
	}
	return c.paymentPage(ctx, dodopayments.PaymentListParams{
		PageNumber: dodopayments.F[int64](0), SubscriptionID: dodopayments.F(subscription),
	}, Window{From: since})
}

// CustomerPayments reads one page of all payments of a customer at Dodo.
func (c *Client) CustomerPayments(ctx context.Context, customerID string, page int) (Page[PaymentSummary], error) {
	return c.paymentPage(ctx, dodopayments.PaymentListParams{
		PageNumber: dodopayments.F(int64(page)), CustomerID: dodopayments.F(customerID),
	}, Window{})
}

func (c *Client) paymentPage(ctx context.Context, params dodopayments.PaymentListParams, made Window) (Page[PaymentSummary], error) {
	params.PageSize = dodopayments.F[int64](pageSize)
	setWindow(made, &params.CreatedAtGte, &params.CreatedAtLte, dodopayments.F)
	send := func(ctx context.Context, raw ...option.RequestOption) error {
		_, err := c.payments.List(ctx, params, raw...)
		return err
	}
	return readPage(ctx, c, "list payments", send, func(item *listItem, in scope) PaymentSummary {
		hint := in.lenient()
		clues := readClues(item, hint)
		clues.SubscriptionID = item.SubscriptionID.get(hint)
		return PaymentSummary{
			ID:        requiredID(&item.PaymentID, in, "payment_id"),
			Status:    entitlement.PaymentStatus(item.Status.get(hint)),
			CreatedAt: item.CreatedAt.get(hint),
			Clues:     clues,
		}
	})
}

// Subscriptions reads one page of the subscriptions made in a window.
func (c *Client) Subscriptions(ctx context.Context, made Window, page int) (Page[SubscriptionSummary], error) {
	var params dodopayments.SubscriptionListParams
	setWindow(made, &params.CreatedAtGte, &params.CreatedAtLte, dodopayments.F)
	return c.subscriptionPage(ctx, params, page)
}

// CustomerSubscriptions reads one page of all subscriptions of a customer at Dodo.
func (c *Client) CustomerSubscriptions(ctx context.Context, customerID string, page int) (Page[SubscriptionSummary], error) {
	return c.subscriptionPage(ctx, dodopayments.SubscriptionListParams{CustomerID: dodopayments.F(customerID)}, page)
}

func (c *Client) subscriptionPage(ctx context.Context, params dodopayments.SubscriptionListParams, page int) (Page[SubscriptionSummary], error) {
	params.PageNumber, params.PageSize = dodopayments.F(int64(page)), dodopayments.F[int64](pageSize)
	send := func(ctx context.Context, raw ...option.RequestOption) error {
		_, err := c.subscriptions.List(ctx, params, raw...)
		return err
	}
	return readPage(ctx, c, "list subscriptions", send, func(item *listItem, in scope) SubscriptionSummary {
		hint := in.lenient()
		s := SubscriptionSummary{
			ID:        requiredID(&item.SubscriptionID, in, "subscription_id"),
			Status:    entitlement.SubscriptionStatus(item.Status.get(hint)),
			CreatedAt: item.CreatedAt.get(hint),
			PeriodEnd: item.PeriodEnd.get(hint),
			ProductID: item.ProductID.get(hint),
			Quantity:  item.Quantity.get(hint),
			Clues:     readClues(item, hint),
		}
		s.CancelAtEnd, s.CancelSaid = item.CancelAtEnd.lookup(hint)
		return s
	})
}

// Refunds reads one page of the refunds made in a window.
func (c *Client) Refunds(ctx context.Context, made Window, page int) (Page[PaymentChange], error) {
	params := dodopayments.RefundListParams{PageNumber: dodopayments.F(int64(page)), PageSize: dodopayments.F[int64](pageSize)}
	setWindow(made, &params.CreatedAtGte, &params.CreatedAtLte, dodopayments.F)
	send := func(ctx context.Context, raw ...option.RequestOption) error {
		_, err := c.refunds.List(ctx, params, raw...)
		return err
	}
	return readPage(ctx, c, "list refunds", send, func(item *listItem, in scope) PaymentChange {
		return readChange(item, in, requiredID(&item.RefundID, in, "refund_id"), item.Status)
	})
}

// Disputes reads one page of the disputes opened in a window.
func (c *Client) Disputes(ctx context.Context, opened Window, page int) (Page[PaymentChange], error) {
	params := dodopayments.DisputeListParams{PageNumber: dodopayments.F(int64(page)), PageSize: dodopayments.F[int64](pageSize)}
	setWindow(opened, &params.CreatedAtGte, &params.CreatedAtLte, dodopayments.F)
	send := func(ctx context.Context, raw ...option.RequestOption) error {
		_, err := c.disputes.List(ctx, params, raw...)
		return err
	}
	return readPage(ctx, c, "list disputes", send, func(item *listItem, in scope) PaymentChange {
		return readChange(item, in, requiredID(&item.DisputeID, in, "dispute_id"), item.DisputeStatus)
	})
}

func readChange(item *listItem, in scope, id string, status word) PaymentChange {
	return PaymentChange{
		ID: id, PaymentID: requiredID(&item.PaymentID, in, "payment_id"),
		Status: strings.TrimPrefix(status.get(in.lenient()), "dispute_"),
	}
}

// readPage requests one page and reads its items. An item without an id is counted and left
// out, so that it does not hide the others. A page that has only such items is an error.
func readPage[Item any](ctx context.Context, c *Client, op string, send sender, read func(*listItem, scope) Item) (Page[Item], error) {
	answer, items, err := askPage[listItem](ctx, c, op, send)
	if err != nil {
		return Page[Item]{}, err
	}
	page := Page[Item]{Last: len(items) < pageSize, At: answer.at}
	var first error
	for i := range items {
		own := answer.lenient() // the item's faults
		from, own := items[i].get(own)
		item := read(from, own)
		if !own.isEmpty() {
			page.Odd++
			if first == nil {
				first = own.err()
			}
			continue
		}
		page.Items = append(page.Items, item)
	}
	if first != nil && len(page.Items) == 0 {
		return Page[Item]{}, answer.badAnswer("", first)
	}
	return page, nil
}

// askPage requests one page of a list.
func askPage[T any](ctx context.Context, c *Client, op string, send sender) (reply, []object[T], error) {
	var list page[T]
	answer, err := c.call(ctx, op, send, &list)
	if err != nil {
		return reply{}, nil, err
	}
	if !list.Items.isSet(answer.scope) {
		answer.refuse("items", "is missing")
	}
	return answer, list.Items.get(answer.scope), answer.err()
}

// wholeSecond drops fractions of a second, which the SDK does not write.
func wholeSecond(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
