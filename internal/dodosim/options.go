package dodosim

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// Options say what a [Simulator] sells, who may call it and where it sends webhooks.
type Options struct {
	// APIKey is the bearer key of API calls. Required.
	APIKey string

	// ReadOnlyKey is another bearer key, which may only read and otherwise gets 403 (FACTS
	// 1.2). Optional.
	ReadOnlyKey string

	// WebhookURL is the first webhook endpoint for signed webhooks. The API can change it and
	// add others. Empty: events are recorded, see [Simulator.Events], but not sent until an
	// endpoint is made.
	WebhookURL string

	// WebhookSecret signs them: base64 of 24 to 64 bytes, after an optional
	// "whsec_" (Standard Webhooks). Required with WebhookURL.
	WebhookSecret string

	// PublicURL is the simulator's address for customers, with which every checkout_url,
	// invoice_url and portal link begins. Empty: taken from each API request's Host.
	PublicURL string

	// Products is the catalog. At least one.
	Products []Product

	// Addons are add-ons for subscriptions.
	Addons []Addon

	// Discounts are the codes that customers and merchants may use.
	Discounts []Discount

	Behavior

	// TickEvery calls [Simulator.Tick] at this interval, so that subscriptions renew
	// automatically. 0: only the caller calls it.
	TickEvery time.Duration

	// Clock is the time of objects, session expiry, due dates and signatures. It is called
	// concurrently. Default: time.Now.
	Clock func() time.Time

	// After waits between the attempts of a webhook, for [Fault.Delay], and for TickEvery.
	// Default: time.After.
	After func(time.Duration) <-chan time.Time

	// HTTPClient sends webhooks. Its own settings for redirects and time-outs are ignored: no
	// redirect is followed, and an attempt ends after 15 s (FACTS 3.1). Default: a new client.
	HTTPClient *http.Client

	// Logger gets one line for each session, payment, refund and delivery, with ids and
	// amounts but without e-mails, bodies and secrets. Default: none.
	Logger *slog.Logger
}

// Product is a product of the catalog, sold once or by subscription.
type Product struct {
	// ID is the product id. Dodo's have the form "pdt_…"; any text without spaces is
	// accepted.
	ID string `json:"id"`
	// Name is what customers read. Default: the ID.
	Name string `json:"name,omitempty"`
	// Description is a sentence for customers. Optional.
	Description string `json:"description,omitempty"`
	// Price is for one piece, in minor units of Currency: once, or for each billing cycle.
	// 0 is free.
	Price int `json:"price"`
	// Currency is an ISO 4217 code in upper case that Dodo knows, such as "USD".
	Currency string `json:"currency"`
	// Every is the billing cycle of a subscription. The zero value sells the product once.
	Every Period `json:"every,omitzero"`
	// Term is the total length of a subscription. Default: 10 years, or the billing cycle if
	// that is longer.
	Term Period `json:"term,omitzero"`
	// TrialDays come before the first charge of a subscription: 0 to 10000. They cost
	// TrialPrice for one piece, to which discounts do not apply: UNCONFIRMED.
	TrialDays  int `json:"trial_days,omitempty"`
	TrialPrice int `json:"trial_price,omitempty"`
	// Meters make the price depend on usage. Price is the price of a cycle without any usage.
	Meters []Meter `json:"meters,omitempty"`
	// Archived products are listed separately and cannot be bought; existing subscriptions
	// continue.
	Archived bool `json:"archived,omitempty"`
	// LicenseKeys says that a purchase includes a licence key, which can be used in
	// ActivationsLimit places at a time; 0 is no limit.
	LicenseKeys      bool `json:"license_keys,omitempty"`
	ActivationsLimit int  `json:"activations_limit,omitempty"`
	// Credits are granted for every piece of a purchase or of a paid billing cycle.
	Credits []ProductCredit `json:"credits,omitempty"`
	// Features are the feature_ids of the feature flags that the product grants: permanently
	// if it is sold once, and while active or past due if it is a subscription.
	Features []string `json:"features,omitempty"`
	// Integrations are further entitlements, with access in other services.
	Integrations []Integration `json:"integrations,omitempty"`
}

// ProductCredit is a credit entitlement of a product. Products with the same Name share its
// balance.
type ProductCredit struct {
	// Name identifies it.
	Name string `json:"name"`
	// Unit is the name of one credit.
	Unit string `json:"unit"`
	// Amount is a positive decimal with at most 10 places, such as 2.5.
	Amount json.Number `json:"amount"`
	// TrialAmount is granted when a trial begins, and lost at its end if TrialExpires is set.
	// Default: a trial grants none.
	TrialAmount  json.Number `json:"trial_amount,omitempty"`
	TrialExpires bool        `json:"trial_expires,omitempty"`
	// ExpiresAfterDays is how long the credits last. 0: no expiry.
	ExpiresAfterDays int `json:"expires_after_days,omitempty"`
	// LowBalancePercent sends an event when spending takes the balance below that percentage
	// of Amount: 1 to 100. 0: no event.
	LowBalancePercent int `json:"low_balance_percent,omitempty"`
	// Overage allows spending beyond the balance; Rollover keeps the remaining credits.
	Overage  *Overage  `json:"overage,omitempty"`
	Rollover *Rollover `json:"rollover,omitempty"`
}

// recurring reports whether the product is sold by subscription.
func (p Product) recurring() bool { return p.Every != Period{} }

// Discount is a code that reduces a cart's total by a percentage.
type Discount struct {
	// Code is what the customer enters: at least 3 characters, in any case.
	Code string `json:"code"`
	// BasisPoints is the share, 1 to 10000: 540 is 5.4 %, 10000 makes it free.
	BasisPoints int `json:"basis_points"`
}

const (
	maxGraceDays = 30     // FACTS 3.4
	maxTrialDays = 10_000 // FACTS 2.1
)

// Errors of New that callers can distinguish from an error in the catalog.
var (
	// ErrNoAPIKey means that Options.APIKey is empty or cannot be sent in a header.
	ErrNoAPIKey = errors.New("an API key of visible characters is required")
	// ErrWebhookSecret means that Options.WebhookSecret is missing or too weak. A Standard
	// Webhooks library silently accepts an empty secret (FACTS 3.1).
	ErrWebhookSecret = errors.New("the webhook secret must be base64 of 24 to 64 bytes, after an optional whsec_")
)

// complete fills in the defaults and reports the first unusable value.
func (o Options) complete() (Options, error) {
	if o.APIKey == "" || !visible(o.APIKey) {
		return o, ErrNoAPIKey
	}
	if !visible(o.ReadOnlyKey) || o.ReadOnlyKey == o.APIKey {
		return o, errors.New("the read-only key must differ from the API key and consist of visible characters")
	}
	if o.WebhookURL != "" {
		if err := checkWebURL(o.WebhookURL); err != nil {
			return o, fmt.Errorf("webhook URL: %w", err)
		}
		if !usableSecret(o.WebhookSecret) {
			return o, ErrWebhookSecret
		}
	}
	if o.PublicURL != "" {
		if err := checkWebURL(o.PublicURL); err != nil {
			return o, fmt.Errorf("public URL: %w", err)
		}
		if strings.ContainsAny(o.PublicURL, "?#") {
			return o, errors.New("public URL: must not have a query or fragment")
		}
		o.PublicURL = strings.TrimRight(o.PublicURL, "/")
	}
	if err := o.check(); err != nil {
		return o, err
	}
	if o.TickEvery < 0 {
		return o, errors.New("tick interval: must not be negative")
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.After == nil {
		o.After = time.After
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.HTTPClient = strictClient(o.HTTPClient)

	if len(o.Products) == 0 {
		return o, errors.New("at least one product is required")
	}
	var err error
	if o.Products, err = completeProducts(o.Products); err != nil {
		return o, err
	}
	if o.Addons, err = completeAddons(o.Addons); err != nil {
		return o, err
	}
	o.Discounts, err = completeDiscounts(o.Discounts)
	return o, err
}

func completeProducts(products []Product) ([]Product, error) {
	complete := make([]Product, 0, len(products))
	seen := make(map[string]bool)
	for _, p := range products {
		switch {
		case p.ID == "" || strings.ContainsFunc(p.ID, unicode.IsSpace) || strings.Contains(p.ID, "/"):
			return nil, fmt.Errorf("product id %q: must be text without spaces or slashes", p.ID)
		case seen[p.ID]:
			return nil, fmt.Errorf("product %s: defined twice", p.ID)
		case p.Price < 0 || p.Price > math.MaxInt32:
			return nil, fmt.Errorf("product %s: price %d is not between 0 and %d minor units", p.ID, p.Price, math.MaxInt32)
		case p.ActivationsLimit < 0 || p.ActivationsLimit > math.MaxInt32 || p.ActivationsLimit > 0 && !p.LicenseKeys:
			return nil, fmt.Errorf("product %s: a limit of activations is a positive number, for products with licence keys", p.ID)
		case !knownCurrency(p.Currency):
			return nil, fmt.Errorf("product %s: %q is not a currency that Dodo sells in", p.ID, p.Currency)
		}
		if err := errors.Join(p.checkIntegrations(), p.checkCredits()); err != nil {
			return nil, fmt.Errorf("product %s: %w", p.ID, err)
		}
		if err := p.completeMeters(); err != nil {
			return nil, fmt.Errorf("product %s: %w", p.ID, err)
		}
		if err := p.completeCycle(); err != nil {
			return nil, fmt.Errorf("product %s: %w", p.ID, err)
		}
		if p.Name == "" {
			p.Name = p.ID
		}
		seen[p.ID] = true
		complete = append(complete, p)
	}
	return complete, nil
}

// completeCycle checks the subscription's settings and fills in the default term.
func (p *Product) completeCycle() error {
	if !p.recurring() {
		if p.Term != (Period{}) || p.TrialDays != 0 || p.TrialPrice != 0 {
			return errors.New("term and trial are for products with a billing cycle")
		}
		return nil
	}
	began := time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC) // any day, to compare lengths
	if p.Every.valid() && p.Term == (Period{}) {
		p.Term = Period{10, Year}
		if p.Term.after(began).Before(p.Every.after(began)) {
			p.Term = p.Every
		}
	}
	switch {
	case !p.Every.valid() || !p.Term.valid():
		return fmt.Errorf("cycle and term are 1 to %d days, weeks, months or years", maxPeriod)
	case p.Term.after(began).Before(p.Every.after(began)):
		return errors.New("the term is shorter than the billing cycle")
	case p.TrialPrice < 0 || p.TrialPrice > math.MaxInt32 || p.TrialPrice > 0 && p.TrialDays == 0:
		return errors.New("the price of a trial is a positive number of minor units, and needs one")
	case p.TrialDays < 0 || p.TrialDays > maxTrialDays:
		return fmt.Errorf("a trial of %d days is not between 0 and %d", p.TrialDays, maxTrialDays)
	}
	return nil
}

func completeDiscounts(discounts []Discount) ([]Discount, error) {
	complete := make([]Discount, 0, len(discounts))
	seen := make(map[string]bool)
	for _, d := range discounts {
		d.Code = strings.ToUpper(strings.TrimSpace(d.Code)) // Dodo stores them so (FACTS 2.10)
		switch {
		case len(d.Code) < 3:
			return nil, fmt.Errorf("discount code %q: must have 3 characters or more", d.Code)
		case seen[d.Code]:
			return nil, fmt.Errorf("discount code %s: defined twice", d.Code)
		case d.BasisPoints < 1 || d.BasisPoints > fullDiscount:
			return nil, fmt.Errorf("discount code %s: %d is not between 1 and %d basis points", d.Code, d.BasisPoints, fullDiscount)
		}
		seen[d.Code] = true
		complete = append(complete, d)
	}
	return complete, nil
}

// checkWebURL refuses addresses that a browser or an HTTP client cannot open.
func checkWebURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("cannot be parsed") // err would repeat the URL, which may carry a token
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return errors.New("must be absolute, with http or https and a host")
	}
	return nil
}

// visible reports whether a text can be sent in a header.
func visible(text string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' })
}

func usableSecret(secret string) bool {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	return err == nil && len(key) >= 24 && len(key) <= 64
}

// strictClient is client, or a new one, that does not follow redirects.
func strictClient(client *http.Client) *http.Client {
	strict := http.Client{}
	if client != nil {
		strict = *client
	}
	strict.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &strict
}
