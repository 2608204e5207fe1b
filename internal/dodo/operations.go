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

// Checkout says what to sell, to which customer, and where the browser goes afterwards.
type Checkout struct {
	ProductID string // Dodo's id
	Quantity  int64
	ReturnURL string // after success and after failure
	CancelURL string // target of the back button; empty: no button
	// DiscountCodes are tried in this order.
	DiscountCodes []string
	Customer      Customer
	Metadata      map[string]string // see [Prover.Metadata]
	// NoTrial: a subscription is charged from the first day, even if the product has a trial.
	NoTrial bool
}

// Customer fills in the checkout's form. It is sent only if it has an e-mail.
type Customer struct{ Email, Name string }

// Session is a hosted checkout.
type Session struct {
	ID  string
	URL string // absolute; for the customer's browser
}

// CreateCheckout creates a checkout session. Dodo has no idempotency keys (FACTS 1.5): if an
// answer is lost, the retry creates a second session, and nobody sees the first.
func (c *Client) CreateCheckout(ctx context.Context, checkout *Checkout) (Session, error) {
	const op = "create checkout"
	body, err := checkout.write()
	if err != nil {
		return Session{}, &Error{Op: op, kind: ErrRejected, reason: "cannot be written as JSON"}
	}
	answer, err := c.callRaw(ctx, op, func(ctx context.Context, raw ...option.RequestOption) error {
		return c.sdk.Post(ctx, "checkouts", body, nil, raw...)
	})
	if err != nil {
		return Session{}, err
	}
	return c.readSession(op, answer)
}

func (c *Client) readSession(op string, raw rawAnswer) (Session, error) {
	var made session
	answer, err := decodeReply(op, raw, &made)
	if err != nil {
		return Session{}, err
	}
	s := Session{ID: requiredID(&made.SessionID, answer.scope, "session_id"), URL: made.CheckoutURL.get(answer.scope)}
	if !c.isCustomerURL(s.URL) {
		answer.refuse("checkout_url", "is not an address to send a customer to")
	}
	if err := answer.err(); err != nil {
		return Session{}, err
	}
	return s, nil
}

// checkoutBody is the request body for a checkout. It has the field names of the SDK's
// CheckoutSessionRequestParam, which a test compares it with. The SDK's type is 5 KB large, is
// passed by value, and its JSON is edited field by field: it took most of the memory of a
// call, and a third of its time.
type checkoutBody struct {
	ProductCart   []cartLine        `json:"product_cart"`
	ReturnURL     string            `json:"return_url,omitempty"`
	CancelURL     string            `json:"cancel_url,omitempty"`
	DiscountCodes []string          `json:"discount_codes,omitempty"`
	Customer      *newCustomer      `json:"customer,omitempty"`
	Metadata      map[string]string `json:"metadata,omitempty"`
	Subscription  *subscriptionData `json:"subscription_data,omitempty"`
}

// subscriptionData overrides the product's own settings (FACTS 2.2).
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

// isCustomerURL reports whether a browser may be sent to an address: it must have no
// misleading parts. Plain http is allowed only if the API itself uses plain http, as a
// simulator does.
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

// SessionState is the progress of a checkout session. PaymentID and PaymentStatus are empty
// until the customer reaches the payment (FACTS 2.2).
type SessionState struct {
	ID            string
	PaymentID     string
	PaymentStatus string // in lower case
}

// Session reads a checkout session.
func (c *Client) Session(ctx context.Context, id string) (SessionState, error) {
	const op = "read checkout session"
	if !isWord(id, maxID) {
		return SessionState{}, invalidID(op)
	}
	var fields session
	answer, err := c.call(ctx, op, func(ctx context.Context, raw ...option.RequestOption) error {
		_, err := c.checkouts.Get(ctx, id, raw...)
		return err
	}, &fields)
	if err != nil {
		return SessionState{}, err
	}
	state := SessionState{
		ID: fields.ID.get(answer.scope), PaymentID: fields.PaymentID.get(answer.scope), PaymentStatus: fields.PaymentStatus.get(answer.scope),
	}
	if state.ID != id {
		answer.refuse("id", "is not the requested one")
	}
	if err := answer.err(); err != nil {
		return SessionState{}, err
	}
	return state, nil
}

// Payment reads a payment with the same reader as webhooks. If it cannot be understood, the
// error is both [ErrBadAnswer] and [ErrUnclear].
func (c *Client) Payment(ctx context.Context, id string) (Fact, error) {
	const op = "read payment"
	if !isWord(id, maxID) {
		return Fact{}, invalidID(op)
	}
	var fields details
	answer, err := c.call(ctx, op, func(ctx context.Context, raw ...option.RequestOption) error {
		_, err := c.payments.Get(ctx, id, raw...)
		return err
	}, &fields)
	if err != nil {
		return Fact{}, err
	}
	fact := readPayment(&fields, answer.scope, "", time.Time{})
	if fact.Ref.ID != id {
		answer.refuse("payment_id", "is not the requested one")
	}
	if err := answer.err(); err != nil {
		return Fact{}, err
	}
	return fact, nil
}

// Subscription reads a subscription with the same reader as webhooks. Its state is dated to
// when the request was sent, by Dodo's clock: the answer may be newer than that, never older.
// [Options.Clock] counts as far as the Date of the answer agrees with it. If the answer cannot
// be understood, the error is both [ErrBadAnswer] and [ErrUnclear].
func (c *Client) Subscription(ctx context.Context, id string) (Fact, error) {
	var fields details
	_, fact, err := c.subscription(ctx, id, &fields)
	return fact, err
}

func (c *Client) subscription(ctx context.Context, id string, fields *details) (reply, Fact, error) {
	const op = "read subscription"
	if !isWord(id, maxID) {
		return reply{}, Fact{}, invalidID(op)
	}
	answer, err := c.call(ctx, op, func(ctx context.Context, raw ...option.RequestOption) error {
		_, err := c.subscriptions.Get(ctx, id, raw...)
		return err
	}, fields)
	if err != nil {
		return reply{}, Fact{}, err
	}
	fact := readSubscription(fields, answer.scope, "", answer.at)
	if fact.Ref.ID != id {
		answer.refuse("subscription_id", "is not the requested one")
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
	Currency    string // ISO 4217; empty if Dodo did not say
	Recurring   bool
	// Every is the billing period of a recurring product; zero if Dodo did not say.
	Every Period
	// TrialDays is how many days a recurring product is free at first; 0 for no trial.
	TrialDays int64
	Features  []string // that buying it grants, by Dodo's list
}

// Period is a length of time in calendar units.
type Period struct {
	Count int64  // 1 or more; 0: unknown
	Unit  string // day, week, month or year
}

// maxPages bounds how many pages of products are read.
const maxPages = 50

// Products reads all products that are not archived.
func (c *Client) Products(ctx context.Context) ([]Product, error) {
	const op = "list products"
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, errOwnDeadline) // for all pages
	defer cancel()
	var products []Product
	seen := make(map[string]bool)
	for page := range int64(maxPages) {
		items, err := c.productPage(ctx, op, page)
		if err != nil {
			return nil, err
		}
		for _, p := range items {
			if !seen[p.ID] { // items can move to the next page between two reads
				seen[p.ID] = true
				products = append(products, p)
			}
		}
		if len(items) < pageSize {
			return products, nil
		}
	}
	return nil, &Error{Op: op, Attempts: 1, kind: ErrBadAnswer, reason: fmt.Sprintf("no end after %d pages", maxPages)}
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
		ID:          requiredID(&item.ProductID, in, "product_id"),
		Name:        item.Name.get(in),
		Description: item.Description.get(in),
		Currency:    item.Currency.get(in),
		Recurring:   item.IsRecurring.get(in),
		Features:    grantedFeatures(item, in),
	}
	detail, of := item.Detail.getLenient(in)
	if p.Currency == "" {
		p.Currency = detail.Currency.get(of)
	}
	price, present := item.Price.lookup(in)
	if !present {
		price = detail.Price.get(of)
	}
	p.Price = price
	if p.Recurring {
		count := detail.Count.get(of)
		if unit := detail.Interval.get(of); count > 0 && billingUnits[unit] {
			p.Every = Period{count, unit}
		}
		p.TrialDays = min(detail.TrialDays.get(of), maxTrial)
	}
	return p
}

// billingUnits are the units of a billing period (FACTS 1.8).
var billingUnits = map[string]bool{"day": true, "week": true, "month": true, "year": true}
