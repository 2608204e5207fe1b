package dodo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	dodopayments "github.com/dodopayments/dodopayments-go"
	"github.com/dodopayments/dodopayments-go/option"
)

// Checkout is what to sell, to whom, and where the customer goes afterwards.
type Checkout struct {
	ProductID string // Dodo's id
	Quantity  int64
	ReturnURL string // after success and failure alike
	CancelURL string // of the back button; empty: no button
	// DiscountCodes are tried in this order.
	DiscountCodes []string
	Customer      Customer
	Metadata      map[string]string // see [Prover.Metadata]
	// NoTrial: a subscription is charged from the first day, whatever trial the product has.
	NoTrial bool
}

// Customer fills in the checkout's form. Without an e-mail there is none.
type Customer struct{ Email, Name string }

// Session is a hosted checkout.
type Session struct {
	ID  string
	URL string // absolute; for the customer's browser
}

// CreateCheckout makes a checkout session. Dodo knows no idempotency key (FACTS
// 1.5): when an answer is lost, the repeat makes a second session, and the first
// one is never shown to anybody.
func (c *Client) CreateCheckout(ctx context.Context, checkout *Checkout) (Session, error) {
	const op = "create checkout"
	body, err := checkout.write()
	if err != nil {
		return Session{}, &Error{Op: op, kind: ErrRejected, why: "cannot be written as JSON"}
	}
	said, attempts, err := c.ask(ctx, op, func(ctx context.Context, raw ...option.RequestOption) error {
		return c.sdk.Post(ctx, "checkouts", body, nil, raw...)
	})
	if err != nil {
		return Session{}, err
	}
	return c.readSession(op, attempts, said)
}

func (c *Client) readSession(op string, attempts int, said []byte) (Session, error) {
	var made session
	answer, err := open(op, attempts, said, &made)
	if err != nil {
		return Session{}, err
	}
	s := Session{ID: want(&made.SessionID, answer.scope, "session_id"), URL: made.CheckoutURL.get(answer.scope)}
	if !c.isCustomerURL(s.URL) {
		answer.refuse("checkout_url", "is no address to send a customer to")
	}
	if err := answer.err(); err != nil {
		return Session{}, err
	}
	return s, nil
}

// checkoutBody is what is sent for a checkout, by the names of the SDK's
// CheckoutSessionRequestParam, which a test compares it with. That one is 5 KB large
// and handed on by value, and its JSON is edited field by field: it took most of the
// memory of a call, and a third of its time.
type checkoutBody struct {
	ProductCart   []cartLine        `json:"product_cart"`
	ReturnURL     string            `json:"return_url,omitempty"`
	CancelURL     string            `json:"cancel_url,omitempty"`
	DiscountCodes []string          `json:"discount_codes,omitempty"`
	Customer      *newCustomer      `json:"customer,omitempty"`
	Metadata      map[string]string `json:"metadata,omitempty"`
	Subscription  *subscriptionData `json:"subscription_data,omitempty"`
}

// subscriptionData takes the place of what the product says (FACTS 2.2).
type subscriptionData struct {
	TrialDays int64 `json:"trial_period_days"`
}

type cartLine struct {
	ProductID string `json:"product_id"`
	Quantity  int64  `json:"quantity"`
}

type newCustomer struct {
	Email string `json:"email"`
	Name  string `json:"name,omitempty"`
}

func (checkout *Checkout) write() ([]byte, error) {
	body := checkoutBody{
		ProductCart: []cartLine{{ProductID: checkout.ProductID, Quantity: checkout.Quantity}},
		ReturnURL:   checkout.ReturnURL, CancelURL: checkout.CancelURL,
		DiscountCodes: checkout.DiscountCodes, Metadata: checkout.Metadata,
	}
	if checkout.Customer.Email != "" {
		body.Customer = &newCustomer{Email: checkout.Customer.Email, Name: checkout.Customer.Name}
	}
	if checkout.NoTrial {
		body.Subscription = new(subscriptionData)
	}
	return json.Marshal(body)
}

// isCustomerURL: a browser is sent there, so it must be what it looks like.
// Plain http only where the API is plain http itself, which is a simulator.
func (c *Client) isCustomerURL(address string) bool {
	if len(address) > 2048 || !isVisible(address) || strings.Contains(address, `\`) {
		return false
	}
	u, err := url.Parse(address)
	if err != nil || u.User != nil || u.Hostname() == "" {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && c.plainHTTP
}

// SessionState is how far a checkout session has come. PaymentID and
// PaymentStatus are empty until the customer reaches the payment (FACTS 2.2).
type SessionState struct {
	ID            string
	PaymentID     string
	PaymentStatus string // in lower case
}

// Session reads a checkout session.
func (c *Client) Session(ctx context.Context, id string) (SessionState, error) {
	const op = "read checkout session"
	if !isWord(id, maxID) {
		return SessionState{}, notAnID(op)
	}
	var said session
	answer, err := c.call(ctx, op, func(ctx context.Context, raw ...option.RequestOption) error {
		_, err := c.checkouts.Get(ctx, id, raw...)
		return err
	}, &said)
	if err != nil {
		return SessionState{}, err
	}
	state := SessionState{
		ID: said.ID.get(answer.scope), PaymentID: said.PaymentID.get(answer.scope), PaymentStatus: said.PaymentStatus.get(answer.scope),
	}
	if state.ID != id {
		answer.refuse("id", "is not the one that was asked for")
	}
	if err := answer.err(); err != nil {
		return SessionState{}, err
	}
	return state, nil
}

// Payment reads a payment, by the same reader as webhooks. A payment that cannot
// be understood is both [ErrBadAnswer] and [ErrUnclear].
func (c *Client) Payment(ctx context.Context, id string) (Fact, error) {
	const op = "read payment"
	if !isWord(id, maxID) {
		return Fact{}, notAnID(op)
	}
	var said details
	answer, err := c.call(ctx, op, func(ctx context.Context, raw ...option.RequestOption) error {
		_, err := c.payments.Get(ctx, id, raw...)
		return err
	}, &said)
	if err != nil {
		return Fact{}, err
	}
	fact := readPayment(&said, answer.scope, "", time.Time{})
	if fact.Ref.ID != id {
		answer.refuse("payment_id", "is not the one that was asked for")
	}
	if err := answer.err(); err != nil {
		return Fact{}, err
	}
	return fact, nil
}

// Subscription reads a subscription, by the same reader as webhooks. What it says
// is dated to the beginning of the read by [Options.Clock]: the answer may be
// newer than that, never older. One that cannot be understood is both
// [ErrBadAnswer] and [ErrUnclear].
func (c *Client) Subscription(ctx context.Context, id string) (Fact, error) {
	var said details
	_, fact, err := c.subscription(ctx, id, &said)
	return fact, err
}

func (c *Client) subscription(ctx context.Context, id string, said *details) (reply, Fact, error) {
	const op = "read subscription"
	if !isWord(id, maxID) {
		return reply{}, Fact{}, notAnID(op)
	}
	at := c.clock().UTC()
	answer, err := c.call(ctx, op, func(ctx context.Context, raw ...option.RequestOption) error {
		_, err := c.subscriptions.Get(ctx, id, raw...)
		return err
	}, said)
	if err != nil {
		return reply{}, Fact{}, err
	}
	fact := readSubscription(said, answer.scope, "", at)
	if fact.Ref.ID != id {
		answer.refuse("subscription_id", "is not the one that was asked for")
	}
	if err := answer.err(); err != nil {
		return reply{}, Fact{}, err
	}
	return answer, fact, nil
}

// Product is a product as Dodo sells it.
type Product struct {
	ID          string
	Name        string
	Description string
	Price       int64  // minor units of Currency
	Currency    string // ISO 4217; empty when Dodo did not say
	Recurring   bool
	// Every is the billing period of a recurring product; zero when Dodo did not say.
	Every Period
	// TrialDays is how long a recurring product is free at first; 0 for no trial.
	TrialDays int64
	Features  []string // that buying it grants, as far as Dodo's list says
}

// Period is a length of time by the calendar.
type Period struct {
	Count int64  // 1 or more; 0: not known
	Unit  string // day, week, month or year
}

// maxPages bounds the products that are read.
const maxPages = 50

// Products reads all products that are not archived.
func (c *Client) Products(ctx context.Context) ([]Product, error) {
	const op = "list products"
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, errOurs) // for all pages
	defer cancel()
	var products []Product
	seen := make(map[string]bool)
	for page := range int64(maxPages) {
		items, err := c.productPage(ctx, op, page)
		if err != nil {
			return nil, err
		}
		for _, p := range items {
			if !seen[p.ID] { // a page can move while the next one is read
				seen[p.ID] = true
				products = append(products, p)
			}
		}
		if len(items) < pageSize {
			return products, nil
		}
	}
	return nil, &Error{Op: op, Attempts: 1, kind: ErrBadAnswer, why: fmt.Sprintf("no end after %d pages", maxPages)}
}

func (c *Client) productPage(ctx context.Context, op string, page int64) ([]Product, error) {
	answer, items, err := askPage[product](ctx, c, op, func(ctx context.Context, raw ...option.RequestOption) error {
		_, err := c.products.List(ctx, dodopayments.ProductListParams{
			PageNumber: dodopayments.F(page),
			PageSize:   dodopayments.F[int64](pageSize),
		}, raw...)
		return err
	})
	if err != nil {
		return nil, err
	}
	products := make([]Product, 0, len(items))
	for i := range items {
		products = append(products, readProduct(items[i].get(answer.scope)))
	}
	if err := answer.err(); err != nil {
		return nil, err
	}
	return products, nil
}

func readProduct(item *product, in scope) Product {
	p := Product{
		ID:          want(&item.ProductID, in, "product_id"),
		Name:        item.Name.get(in),
		Description: item.Description.get(in),
		Currency:    item.Currency.get(in),
		Recurring:   item.IsRecurring.get(in),
		Features:    grantedFeatures(item, in),
	}
	detail, of := item.Detail.hint(in)
	if p.Currency == "" {
		p.Currency = detail.Currency.get(of)
	}
	price, said := item.Price.look(in)
	if !said {
		price = detail.Price.get(of)
	}
	p.Price = price
	if p.Recurring {
		count := detail.Count.get(of)
		if unit := detail.Interval.get(of); count > 0 && calendar[unit] {
			p.Every = Period{count, unit}
		}
		p.TrialDays = min(detail.TrialDays.get(of), maxTrial)
	}
	return p
}

// calendar are the units of a billing period (FACTS 1.8).
var calendar = map[string]bool{"day": true, "week": true, "month": true, "year": true}
