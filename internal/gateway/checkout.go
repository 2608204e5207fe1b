package gateway

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

// What a checkout can be refused for, besides [ErrTooManyRequests],
// [store.ErrUnavailable], [store.ErrTooManyOrders], [config.ErrReturnTo] and the
// sentinels of package dodo.
var (
	ErrAnonymous      = errors.New("checkout needs a login")
	ErrUnknownProduct = errors.New("no such product")
	ErrChoice         = errors.New("name one of product, credits or plan")
	ErrQuantity       = fmt.Errorf("quantity must be between 1 and %d", config.MaxQuantity)
	ErrDiscountCode   = errors.New("discount code is not accepted")
	ErrNoPublicURL    = errors.New("public_url is not configured and the request's host is not a loopback one")
	ErrKeyRunning     = errors.New("a request with this idempotency key is still running")
	ErrKeyMismatch    = errors.New("the idempotency key was used for another request")
)

// CheckoutRequest is a wish to buy. Price, credits and account are not in it:
// they come from the catalog, Dodo and the login.
type CheckoutRequest struct {
	// Product by name; or the number of Credits, or the Plan, of the one
	// product that fits.
	Product string
	Credits int64
	Plan    string

	Quantity       int64  // 1 to [config.MaxQuantity]
	ReturnTo       string // must be allowed; empty: the default
	DiscountCode   string // optional
	IdempotencyKey string // optional

	// Metadata is what the client would have noted at Dodo, by names that the site
	// allows. Attribution is what the site notes there, and wins.
	Metadata, Attribution map[string]string

	// Where the request came in, for links back to us.
	Scheme, Host, BasePath string
	// Site is the part of the site that it came in at. Default: that of the gateway.
	Site *config.Site
}

// How long a checkout may take, and how long its key is held for it: longer, so
// that two never work on one order at once. An order that has no session by then does
// not count among those that an account may have: whoever was at work on it is gone.
const (
	checkoutDeadline = 15 * time.Second
	keyLease         = 30 * time.Second
	keyKeep          = 48 * time.Hour
	sessionLife      = 24 * time.Hour // FACTS 2.1
	cleanUpDeadline  = 4 * time.Second
)

var (
	orderID      = regexp.MustCompile(`^ord_[A-Za-z0-9_-]{22}$`)
	discountCode = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
)

// Checkout makes an order and a checkout session for it, and returns the order
// with the address to send the customer to.
//
// The order is stored before Dodo is called, so that a repeat under the same key
// goes on with the same order; when Dodo fails the order is dropped and the key
// is free again.
func (g *Gateway) Checkout(ctx context.Context, who Identity, req CheckoutRequest) (order *book.Order, err error) {
	defer func() { g.Observer.CheckoutEnded(err) }()
	ctx, cancel := context.WithTimeout(ctx, checkoutDeadline)
	defer cancel()
	p, err := g.begin(ctx, &who, &req)
	if err != nil {
		return nil, err
	}
	if p.start != book.Replayed {
		if err := g.openSession(ctx, p); err != nil {
			return nil, err
		}
	}
	return &p.order, nil
}

// purchase is a checkout under way. It is on the heap, because a thousand may wait
// for Dodo at a time and the stack of each is large enough as it is.
type purchase struct {
	order book.Order
	key   book.Key
	start book.Start
	wish  dodo.Checkout // what Dodo is asked for
	call  call          // that asks it
}

// begin makes the order, or finds the one of an earlier request with its key.
func (g *Gateway) begin(ctx context.Context, who *Identity, req *CheckoutRequest) (*purchase, error) {
	p := new(purchase)
	if err := g.plan(&p.order, who, req); err != nil {
		return nil, err
	}
	// The first request of an account may be this one, and once it has bought
	// something it is not new any more.
	if _, err := g.View(ctx, p.order.Account); err != nil {
		return nil, err
	}
	site, err := g.ownSite(ctx)
	if err != nil {
		return nil, err
	}
	p.call = callFor(ctx, forCheckout, p.order.Account)
	if req.IdempotencyKey == "" { // with a key it may be a repeat, which needs no call
		if err := g.allow(ctx, p, req); err != nil {
			return nil, err
		}
	}
	if err := g.create(ctx, p, req); err != nil {
		return nil, err
	}
	switch p.start {
	case book.Running:
		return nil, ErrKeyRunning
	case book.Mismatched:
		return nil, ErrKeyMismatch
	case book.Replayed:
		return p, nil
	case book.Created, book.Resumed:
	}
	if req.IdempotencyKey != "" {
		if err := g.allow(ctx, p, req); err != nil {
			g.drop(ctx, p)
			return nil, err
		}
	} else if err := g.afford(p.call, req); err != nil {
		g.drop(ctx, p)
		return nil, err
	}
	g.describe(&p.wish, who, req, &p.order, site)
	if p.wish.NoTrial, err = g.hadTrial(ctx, &p.order); err != nil {
		g.drop(ctx, p)
		return nil, err
	}
	return p, nil
}

// hadTrial reports whether an order is for a product with a trial, and its account has, or had, a
// subscription. A customer who cancels and buys again would have the trial, and what it gives, as
// often as they like.
func (g *Gateway) hadTrial(ctx context.Context, order *book.Order) (bool, error) {
	product, _ := g.Catalog.Named(order.Product)
	view, err := g.View(ctx, order.Account)
	if err != nil || product.TrialAgain || !view.Subscribed {
		return false, err
	}
	sold, known := g.sold(ctx, product.ID)
	return known && sold.TrialDays > 0, nil
}

// allow refuses a checkout that may not be made now, or not beside what the account has.
func (g *Gateway) allow(ctx context.Context, p *purchase, req *CheckoutRequest) error {
	if err := g.afford(p.call, req); err != nil {
		return err
	}
	product, _ := g.Catalog.Named(p.order.Product)
	return g.checkSecond(ctx, p.order.Account, product, p.order.Quantity)
}

// afford refuses a checkout that the budget would not let through to Dodo, before
// any work is done for it.
func (g *Gateway) afford(c call, req *CheckoutRequest) error {
	err := g.Budget.check(c, req.DiscountCode != "")
	g.refusedByBudget(err)
	return err
}

// plan checks the wish and makes an order of it, without storing it.
func (g *Gateway) plan(order *book.Order, who *Identity, req *CheckoutRequest) error {
	switch {
	case who.Account == "":
		return ErrAnonymous
	case len(who.Account) > MaxAccount:
		return ErrAccount
	}
	product, err := g.choose(req)
	if err != nil {
		return err
	}
	if req.Quantity < 1 || req.Quantity > config.MaxQuantity {
		return ErrQuantity
	}
	if req.DiscountCode != "" && !discountCode.MatchString(req.DiscountCode) {
		return ErrDiscountCode
	}
	site := g.siteOr(req.Site)
	base, ok := site.Base(req.Scheme, req.Host)
	if !ok {
		return ErrNoPublicURL
	}
	landing, err := site.Landing(req.ReturnTo, base)
	if err != nil {
		return err
	}
	now := g.Clock()
	*order = book.Order{
		ID: newOrderID(), Account: who.Account, Product: product.Name, Quantity: req.Quantity,
		Terms:    map[string]entitlement.Terms{product.ID: termsOf(product)},
		ReturnTo: landing, State: book.OrderOpen, CreatedAt: now, ExpiresAt: now.Add(keyLease),
	}
	if who.EmailVerified {
		order.Email = who.Email
	}
	return nil
}

// siteOr is the part of the site that a request came in at; nil is that of the gateway.
func (g *Gateway) siteOr(part *config.Site) *config.Site {
	if part != nil {
		return part
	}
	return &g.Site
}

// choose finds the product: by name, or the only one that fits.
func (g *Gateway) choose(req *CheckoutRequest) (config.Product, error) {
	named := 0
	for _, given := range []bool{req.Product != "", req.Credits != 0, req.Plan != ""} {
		if given {
			named++
		}
	}
	if named != 1 {
		return config.Product{}, ErrChoice
	}
	if req.Product != "" {
		if p, ok := g.Catalog.Named(req.Product); ok {
			return p, nil
		}
		return config.Product{}, ErrUnknownProduct
	}
	var fitting []config.Product
	for _, p := range g.Catalog.Products() {
		if p.Plan == req.Plan && (req.Plan != "" || p.Credits == req.Credits) {
			fitting = append(fitting, p)
		}
	}
	if len(fitting) != 1 {
		return config.Product{}, ErrUnknownProduct
	}
	return fitting[0], nil
}

func termsOf(p config.Product) entitlement.Terms {
	return entitlement.Terms{
		Credits: p.Credits, CreditsExpire: p.CreditsExpire.Std(), CreditsStay: p.CreditsStay,
		CreditsMonthly: p.CreditsEvery == config.EveryMonth,
		Plan:           p.Plan, Lasts: p.Lasts.Std(), Seats: p.Seats, OnCharge: p.OnCharge,
	}
}

// openSession makes the session at Dodo and stores it in the order.
func (g *Gateway) openSession(ctx context.Context, p *purchase) error {
	session, err := g.Provider.CreateCheckout(withCall(ctx, p.call), &p.wish)
	return g.conclude(ctx, p, session, err)
}

// conclude goes on behind the call of Dodo. From here on the client may leave; what is
// begun is finished.
func (g *Gateway) conclude(ctx context.Context, p *purchase, session dodo.Session, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpDeadline)
	defer cancel()
	if err != nil {
		g.drop(ctx, p)
		g.refusedByBudget(err)
		if err = checkoutError(err); errors.Is(err, ErrDiscountCode) {
			g.Budget.wrongCode(p.call)
		}
		return err
	}
	return g.open(ctx, p, session)
}

// drop forgets an order that got no session, also if the client has left.
func (g *Gateway) drop(ctx context.Context, p *purchase) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpDeadline)
	defer cancel()
	if err := g.Store.DropOrder(ctx, p.order, p.key); err != nil {
		g.Logger.Warn("order of a failed checkout could not be dropped; its key is free after the lease",
			"order", p.order.ID, "error", err)
	}
}

// open makes the order one that can be paid.
func (g *Gateway) open(ctx context.Context, p *purchase, session dodo.Session) error {
	p.order.SessionID, p.order.CheckoutURL = session.ID, session.URL
	p.order.ExpiresAt = g.Clock().Add(sessionLife).Truncate(time.Millisecond) // as a repeat will see it
	g.noteAddress(ctx, p.order)                                               // before a repeat of the request can find the order done
	err := g.Store.OpenOrder(ctx, p.order, p.key)
	g.views.Changed(p.order.Account, 0) // the store's message may come behind the payment
	if errors.Is(err, store.ErrConflict) {
		// We stood still for longer than the lease, and another request went on with the
		// order. Of two sessions, the customer must see but one.
		p.order, err = g.Store.Order(ctx, p.order.Account, p.order.ID)
	}
	if errors.Is(err, store.ErrNotFound) {
		// The store was emptied meanwhile. That is not for the customer to look for.
		return fmt.Errorf("%w: order vanished while its session was made", store.ErrUnavailable)
	}
	return err
}

// noteAddress lets the order be found by its address alone; see [Gateway.ConfirmAddressed].
// Without the note, the customer has to sign in to see the order, which is no reason to
// fail.
func (g *Gateway) noteAddress(ctx context.Context, order book.Order) {
	if _, err := g.Store.Claim(ctx, addressOf(order.ID), order.Account); err != nil {
		g.Logger.Warn("order is not shown to visitors who are not signed in", "order", order.ID, "error", err)
	}
}

// describe is what Dodo is asked for.
func (g *Gateway) describe(wish *dodo.Checkout, who *Identity, req *CheckoutRequest, order *book.Order, site string) {
	product, _ := g.Catalog.Named(order.Product)
	at := g.siteOr(req.Site)
	base, _ := at.Base(req.Scheme, req.Host)
	back := base + at.Path(req.BasePath) + "/return?order=" + url.QueryEscape(order.ID)
	*wish = dodo.Checkout{
		ProductID: product.ID,
		Quantity:  order.Quantity,
		ReturnURL: back,
		CancelURL: back + "&cancelled=1",
		Customer:  dodo.Customer{Email: who.Email, Name: who.Name},
		Metadata:  req.metadata(),
	}
	// Our own last: nothing that is noted along can take its place.
	maps.Copy(wish.Metadata, g.Prover.Metadata(dodo.Claim{Site: site, Order: order.ID, Account: order.Account, Product: order.Product}))
	if req.DiscountCode != "" {
		wish.DiscountCodes = []string{req.DiscountCode}
	}
}

// metadata is what goes along to Dodo besides our own, as Dodo takes it.
func (req *CheckoutRequest) metadata() map[string]string {
	noted := make(map[string]string)
	for _, source := range []map[string]string{req.Metadata, req.Attribution} {
		for name, text := range source {
			if value := config.MetadataValue(text); value != "" {
				noted[name] = value
			}
		}
	}
	return noted
}

// checkoutError tells what the customer can mend, a refused discount code and a number of
// pieces, from everything else that Dodo refuses (FACTS 1.3).
func checkoutError(err error) error {
	var said *dodo.Error
	if !errors.Is(err, dodo.ErrRejected) || !errors.As(err, &said) {
		return err
	}
	switch {
	case strings.Contains(said.Code, "DISCOUNT"):
		return ErrDiscountCode
	case said.Code == "INVALID_QUANTITY":
		return ErrOnePiece
	}
	return err
}

func newOrderID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return "ord_" + base64.RawURLEncoding.EncodeToString(b[:])
}
