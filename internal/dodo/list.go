package dodo

import (
	"context"
	"strings"
	"time"

	dodopayments "github.com/dodopayments/dodopayments-go"
	"github.com/dodopayments/dodopayments-go/option"

	"github.com/dodogate/dodogate/internal/entitlement"
)

// Lists come in pages that are numbered from 0, without a total (FACTS 1.6). They
// are asked for one by one, because the SDK's own paging skips the second.
const pageSize = 100 // the most that there is

// page reads one page of a list.
func (c *Client) page(ctx context.Context, op string, send sender) (reply, []fields, error) {
	answer, err := c.call(ctx, op, send)
	if err != nil {
		return reply{}, nil, err
	}
	if answer.raw("items") == nil {
		answer.refuse("items", "is missing")
	}
	return answer, answer.list("items", pageSize), nil
}

// PaymentFilter is which payments to list, and which page of them. A zero field
// leaves nothing out.
type PaymentFilter struct {
	// CreatedFrom and CreatedTo are both included. Dodo is asked in whole seconds:
	// the list may begin and end up to one second outside of them.
	CreatedFrom, CreatedTo     time.Time
	CustomerID, SubscriptionID string
	// Page counts from 0. Dodo refuses those that are very deep ([ErrRejected]); a
	// shorter time has fewer.
	Page int
}

// PaymentPage is one page of a list of payments. The order is not documented, and
// payments move from page to page while others are made.
type PaymentPage struct {
	Payments []PaymentSummary
	Last     bool // no page follows
}

// PaymentSummary says which payment there is. The list knows neither its checkout
// session nor its cart (FACTS 2.5): [Client.Payment] does.
type PaymentSummary struct {
	ID        string
	Status    entitlement.PaymentStatus // empty where the list does not say
	CreatedAt time.Time                 // UTC; zero where the list does not say
	Clues     Clues                     // to whose it is; without the session
}

// Payments reads one page of the list of payments.
func (c *Client) Payments(ctx context.Context, filter PaymentFilter) (PaymentPage, error) {
	const op = "list payments"
	if !isFilter(filter.CustomerID) || !isFilter(filter.SubscriptionID) {
		return PaymentPage{}, notAnID(op)
	}
	params := dodopayments.PaymentListParams{PageNumber: dodopayments.F(int64(filter.Page)), PageSize: dodopayments.F[int64](pageSize)}
	if !filter.CreatedFrom.IsZero() {
		params.CreatedAtGte = dodopayments.F(secondsFrom(filter.CreatedFrom))
	}
	if !filter.CreatedTo.IsZero() {
		params.CreatedAtLte = dodopayments.F(secondsTo(filter.CreatedTo))
	}
	if filter.CustomerID != "" {
		params.CustomerID = dodopayments.F(filter.CustomerID)
	}
	if filter.SubscriptionID != "" {
		params.SubscriptionID = dodopayments.F(filter.SubscriptionID)
	}
	answer, items, err := c.page(ctx, op, func(ctx context.Context, raw ...option.RequestOption) error {
		_, err := c.payments.List(ctx, params, raw...)
		return err
	})
	if err != nil {
		return PaymentPage{}, err
	}
	page := PaymentPage{Last: len(items) < pageSize}
	for _, item := range items {
		hint := item.asHint()
		clues := readClues(hint)
		clues.SubscriptionID = hint.id("subscription_id")
		page.Payments = append(page.Payments, PaymentSummary{
			ID:        item.wantID("payment_id"),
			Status:    entitlement.PaymentStatus(hint.word("status")),
			CreatedAt: hint.time("created_at"),
			Clues:     clues,
		})
	}
	if err := answer.err(); err != nil {
		return PaymentPage{}, err
	}
	return page, nil
}

func readClues(item fields) Clues {
	clues := readCustomer(item)
	clues.Metadata = readMetadata(item.hints("metadata"))
	return clues
}

// SubscriptionFilter is which subscriptions to list, and which page of them. A
// zero field leaves nothing out.
type SubscriptionFilter struct {
	// CreatedFrom and CreatedTo are as in [PaymentFilter].
	CreatedFrom, CreatedTo time.Time
	CustomerID             string
	Page                   int // from 0
}

// SubscriptionPage is one page of a list of subscriptions, as little in order as a
// [PaymentPage].
type SubscriptionPage struct {
	Subscriptions []SubscriptionSummary
	Last          bool // no page follows
}

// SubscriptionSummary says which subscription there is; [Client.Subscription]
// says the rest.
type SubscriptionSummary struct {
	ID        string
	Status    entitlement.SubscriptionStatus // empty where the list does not say
	CreatedAt time.Time                      // UTC; zero where the list does not say
	PeriodEnd time.Time                      // next_billing_date, likewise
	Clues     Clues                          // to whose it is
}

// Subscriptions reads one page of the list of subscriptions.
func (c *Client) Subscriptions(ctx context.Context, filter SubscriptionFilter) (SubscriptionPage, error) {
	const op = "list subscriptions"
	if !isFilter(filter.CustomerID) {
		return SubscriptionPage{}, notAnID(op)
	}
	params := dodopayments.SubscriptionListParams{PageNumber: dodopayments.F(int64(filter.Page)), PageSize: dodopayments.F[int64](pageSize)}
	if !filter.CreatedFrom.IsZero() {
		params.CreatedAtGte = dodopayments.F(secondsFrom(filter.CreatedFrom))
	}
	if !filter.CreatedTo.IsZero() {
		params.CreatedAtLte = dodopayments.F(secondsTo(filter.CreatedTo))
	}
	if filter.CustomerID != "" {
		params.CustomerID = dodopayments.F(filter.CustomerID)
	}
	answer, items, err := c.page(ctx, op, func(ctx context.Context, raw ...option.RequestOption) error {
		_, err := c.subscriptions.List(ctx, params, raw...)
		return err
	})
	if err != nil {
		return SubscriptionPage{}, err
	}
	page := SubscriptionPage{Last: len(items) < pageSize}
	for _, item := range items {
		hint := item.asHint()
		page.Subscriptions = append(page.Subscriptions, SubscriptionSummary{
			ID:        item.wantID("subscription_id"),
			Status:    entitlement.SubscriptionStatus(hint.word("status")),
			CreatedAt: hint.time("created_at"),
			PeriodEnd: hint.time("next_billing_date"),
			Clues:     readClues(hint),
		})
	}
	if err := answer.err(); err != nil {
		return SubscriptionPage{}, err
	}
	return page, nil
}

// PaymentChange says that something happened to a payment: a refund or a dispute
// of it, and how far that is. The payment itself says the rest.
type PaymentChange struct {
	ID        string // of the refund or dispute
	PaymentID string
	Status    string // in lower case; a dispute's without "dispute_"
}

// PaymentChangePage is one page of a list of refunds or disputes.
type PaymentChangePage struct {
	Changes []PaymentChange
	Last    bool // no page follows
}

// Refunds reads one page, from 0, of the refunds that were made since.
func (c *Client) Refunds(ctx context.Context, since time.Time, page int) (PaymentChangePage, error) {
	params := dodopayments.RefundListParams{PageNumber: dodopayments.F(int64(page)), PageSize: dodopayments.F[int64](pageSize)}
	if !since.IsZero() {
		params.CreatedAtGte = dodopayments.F(secondsFrom(since))
	}
	return c.changes(ctx, "list refunds", "refund_id", "status", func(ctx context.Context, raw ...option.RequestOption) error {
		_, err := c.refunds.List(ctx, params, raw...)
		return err
	})
}

// Disputes reads one page, from 0, of the disputes that were opened since.
func (c *Client) Disputes(ctx context.Context, since time.Time, page int) (PaymentChangePage, error) {
	params := dodopayments.DisputeListParams{PageNumber: dodopayments.F(int64(page)), PageSize: dodopayments.F[int64](pageSize)}
	if !since.IsZero() {
		params.CreatedAtGte = dodopayments.F(secondsFrom(since))
	}
	return c.changes(ctx, "list disputes", "dispute_id", "dispute_status", func(ctx context.Context, raw ...option.RequestOption) error {
		_, err := c.disputes.List(ctx, params, raw...)
		return err
	})
}

func (c *Client) changes(ctx context.Context, op, id, status string, send sender) (PaymentChangePage, error) {
	answer, items, err := c.page(ctx, op, send)
	if err != nil {
		return PaymentChangePage{}, err
	}
	page := PaymentChangePage{Last: len(items) < pageSize}
	for _, item := range items {
		page.Changes = append(page.Changes, PaymentChange{
			ID: item.wantID(id), PaymentID: item.wantID("payment_id"),
			Status: strings.TrimPrefix(item.asHint().word(status), "dispute_"),
		})
	}
	if err := answer.err(); err != nil {
		return PaymentChangePage{}, err
	}
	return page, nil
}

// asHint reads the object without faults: one odd item must not hide the others
// of its page, as long as it says which one it is.
func (f fields) asHint() fields {
	f.faults = &faults{}
	return f
}

// isFilter: no id, or one that Dodo could have.
func isFilter(id string) bool { return id == "" || isWord(id, maxID) }

// The SDK writes times in whole seconds, cutting off the rest.
func secondsFrom(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// secondsTo rounds up, so that nothing made within the last second is left out.
func secondsTo(t time.Time) time.Time {
	if whole := secondsFrom(t); !whole.Equal(t) {
		return whole.Add(time.Second)
	}
	return t.UTC()
}
