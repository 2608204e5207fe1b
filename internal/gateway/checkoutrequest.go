package gateway

import (
	"crypto/rand"
	"encoding/base64"
	"maps"
	"net/url"
	"regexp"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
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

var (
	orderID      = regexp.MustCompile(`^ord_[A-Za-z0-9_-]{22}$`)
	discountCode = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
)

// plan checks the wish and makes an order of it, without storing it.
func (s *Shop) plan(order *book.Order, who *Identity, req *CheckoutRequest) error {
	switch {
	case who.Account == "":
		return ErrAnonymous
	case len(who.Account) > MaxAccount:
		return ErrAccount
	}
	product, err := s.choose(req)
	if err != nil {
		return err
	}
	if req.Quantity < 1 || req.Quantity > config.MaxQuantity {
		return ErrQuantity
	}
	if req.DiscountCode != "" && !discountCode.MatchString(req.DiscountCode) {
		return ErrDiscountCode
	}
	site := s.siteOr(req.Site)
	base, ok := site.Base(req.Scheme, req.Host)
	if !ok {
		return ErrNoPublicURL
	}
	landing, err := site.Landing(req.ReturnTo, base)
	if err != nil {
		return err
	}
	now := s.clock()
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
func (s *Shop) siteOr(part *config.Site) *config.Site {
	if part != nil {
		return part
	}
	return &s.pages
}

// choose finds the product: by name, or the only one that fits.
func (s *Shop) choose(req *CheckoutRequest) (config.Product, error) {
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
		if p, ok := s.catalog.Named(req.Product); ok {
			return p, nil
		}
		return config.Product{}, ErrUnknownProduct
	}
	var fitting []config.Product
	for _, p := range s.catalog.Products() {
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

// describe is what Dodo is asked for.
func (s *Shop) describe(wish *dodo.Checkout, who *Identity, req *CheckoutRequest, order *book.Order, site string) {
	product, _ := s.catalog.Named(order.Product)
	at := s.siteOr(req.Site)
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
	maps.Copy(wish.Metadata, s.prover.Metadata(dodo.Claim{Site: site, Order: order.ID, Account: order.Account, Product: order.Product}))
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

func newOrderID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return "ord_" + base64.RawURLEncoding.EncodeToString(b[:])
}
