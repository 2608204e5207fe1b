// Package config is what an operator may say, in plain Go: the catalog, the
// site's addresses, the names of headers, with their defaults and the reasons
// why something is refused. It knows nothing of Caddy, and no secret passes
// through it.
package config

import (
	"errors"
	"fmt"
	"regexp"
	"time"
)

// MaxCredits is the largest number of credits that anything can give: 2^53-1.
const MaxCredits int64 = 1<<53 - 1

// MaxQuantity is how many pieces of a product one checkout may buy.
const MaxQuantity = 1000

// mostMonths are those of the longest period that a product may name.
const mostMonths = 1200

// EveryMonth is the value of [Product.CreditsEvery].
const EveryMonth = "month"

// longestPeriod bounds every period that a product names. It keeps dates within
// what RFC 3339 can write.
const longestPeriod = 100 * 366 * 24 * time.Hour

// Product is an entry of the catalog: what Dodo sells, and what buying it gives.
type Product struct {
	// Name is how the site and its customers call the product in requests. Up
	// to 64 of: lower-case letters, digits, "-", "_".
	Name string `json:"name"`
	// ID is Dodo's id of the product (pdt_…), from Dodo's dashboard.
	ID string `json:"id"`
	// Credits given for each piece bought. Default: 0, none.
	Credits int64 `json:"credits,omitempty"`
	// CreditsEvery gives the credits again and again for as long as what is paid lasts:
	// "month" is the only word. Months are counted from the payment, or from the start
	// of a subscription's period, in UTC. Default: "", once for each payment or period.
	CreditsEvery string `json:"credits_every,omitempty"`
	// CreditsExpire is how long after the payment, or the start of a
	// subscription's period, those credits can be spent. Default: 0, which is
	// without end for what is bought once, and until the end of the period for a
	// subscription. With CreditsEvery it counts from the start of each month, and the
	// default is until the next month begins.
	CreditsExpire Duration `json:"credits_expire,omitempty"`
	// CreditsStay lets the credits of a subscription outlast their period: they
	// never expire. Default: they end with it.
	CreditsStay bool `json:"credits_stay,omitempty"`
	// Plan that buying the product gives access to. Up to 64 letters, digits,
	// "-", "_"; the word "none" is taken. Default: no plan.
	Plan string `json:"plan,omitempty"`
	// Lasts is for how long each piece that is bought once gives the plan, and the
	// credits of CreditsEvery. A subscription gives them as long as it is paid.
	// Default: 0, which is without end for the plan, and one month for the credits.
	Lasts Duration `json:"lasts,omitempty"`
	// Seats given for each piece: for as long as a subscription gives access or, bought
	// once, until the payment is given back. Not together with Lasts, because purchases
	// of a plan that ends follow one another. Default: 0, none.
	Seats int64 `json:"seats,omitempty"`
	// OnCharge is what a charge on demand gives, by its currency: credits for a sum of
	// money before tax. It takes the place of Credits in a subscription on demand. These
	// credits never expire, unless CreditsExpire says otherwise. Default: charges on
	// demand give nothing.
	OnCharge Rates `json:"on_charge,omitempty"`
	// AllowMultiple lets an account buy the product while a subscription of it is for the
	// same product or gives the same plan, and buy several pieces of a subscription at
	// once. Default: no; such a checkout is refused, and the customer is led to the
	// subscription.
	AllowMultiple bool `json:"allow_multiple,omitempty"`
	// TrialAgain lets an account that has, or had, a subscription have the product's trial at
	// Dodo, too. Default: no; such an account pays from the first day.
	TrialAgain bool `json:"trial_again,omitempty"`
	// MinAmount is the least that each piece must have brought, by currency (ISO
	// 4217, upper case) in minor units, after discounts and before tax. What was
	// paid below it, or in a currency that is not listed, gives nothing until an
	// operator looks. Default: no amount is compared with anything.
	MinAmount Amounts `json:"min_amount,omitempty"`
	// Title and Description are shown to customers instead of Dodo's own name
	// and description. Default: Dodo's.
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	// Hidden keeps the product out of the public list; it can still be bought
	// by its name. Default: shown.
	Hidden bool `json:"hidden,omitempty"`
}

var (
	productName = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`)
	productID   = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
	planName    = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	featureName = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,128}$`)
)

// Validate says what is wrong with the product, naming the setting.
func (p Product) Validate() error {
	switch {
	case !productName.MatchString(p.Name):
		return fmt.Errorf("product %q: the name must be 1 to 64 lower-case letters, digits, '-' or '_'", p.Name)
	case p.ID == "":
		return fmt.Errorf("product %s: id is missing; it is the product's id at Dodo (pdt_…)", p.Name)
	case !productID.MatchString(p.ID):
		return fmt.Errorf("product %s: id %q is not an id of a Dodo product", p.Name, p.ID)
	case p.Credits < 0 || p.Credits > MaxCredits:
		return fmt.Errorf("product %s: credits must be between 1 and %d", p.Name, MaxCredits)
	case p.Credits > MaxCredits/MaxQuantity:
		return fmt.Errorf("product %s: credits × the largest quantity (%d) must not exceed %d", p.Name, MaxQuantity, MaxCredits)
	case p.Seats < 0 || p.Seats > MaxSeats:
		return fmt.Errorf("product %s: seats must be between 1 and %d", p.Name, MaxSeats)
	case p.Credits == 0 && p.Plan == "" && p.Seats == 0 && len(p.OnCharge) == 0:
		return fmt.Errorf("product %s: gives nothing; set credits, plan, seats or on_charge", p.Name)
	case p.Seats != 0 && p.Lasts != 0:
		return fmt.Errorf("product %s: seats with lasts; what is bought for a while follows what was bought before, so its seats cannot be counted", p.Name)
	case p.Plan != "" && !planName.MatchString(p.Plan):
		return fmt.Errorf("product %s: plan %q must be 1 to 64 letters, digits, '-' or '_'", p.Name, p.Plan)
	case p.Plan == "none":
		return fmt.Errorf("product %s: plan cannot be called none, the word for having no plan", p.Name)
	case p.Credits == 0 && len(p.OnCharge) == 0 && p.CreditsExpire != 0:
		return fmt.Errorf("product %s: credits_expire without credits", p.Name)
	case p.CreditsEvery != "" && p.CreditsEvery != EveryMonth:
		return fmt.Errorf("product %s: credits_every %q is unknown; it can be month only", p.Name, p.CreditsEvery)
	case p.CreditsEvery != "" && p.Credits > MaxCredits/MaxQuantity/mostMonths:
		return fmt.Errorf("product %s: credits that are given every month must be between 1 and %d", p.Name, MaxCredits/MaxQuantity/mostMonths)
	case p.CreditsEvery != "" && p.Credits == 0:
		return fmt.Errorf("product %s: credits_every without credits", p.Name)
	case p.CreditsStay && (p.Credits == 0 || p.CreditsExpire != 0):
		return fmt.Errorf("product %s: credits_stay without credits, or with credits_expire", p.Name)
	case p.Plan == "" && p.CreditsEvery == "" && p.Lasts != 0:
		return fmt.Errorf("product %s: lasts without plan", p.Name)
	}
	if err := p.OnCharge.validate(); err != nil {
		return fmt.Errorf("product %s: on_charge %w", p.Name, err)
	}
	if err := p.MinAmount.validate(); err != nil {
		return fmt.Errorf("product %s: min_amount %w", p.Name, err)
	}
	if err := p.CreditsExpire.validate(); err != nil {
		return fmt.Errorf("product %s: credits_expire %w", p.Name, err)
	}
	if err := p.Lasts.validate(); err != nil {
		return fmt.Errorf("product %s: lasts %w", p.Name, err)
	}
	return nil
}

// Catalog is what the site sells, in the operator's order.
type Catalog struct {
	products []Product
	byName   map[string]int
	byID     map[string]int
	addons   []Addon
	addonID  map[string]int // the place in addons, by Dodo's id
	ranking  Ranking
}

// NewCatalog validates the products. There must be at least one; names are
// unique, and so are Dodo's ids, because a payment names nothing else.
func NewCatalog(products []Product) (Catalog, error) {
	if len(products) == 0 {
		return Catalog{}, errors.New("no product is configured; the catalog needs at least one")
	}
	c := Catalog{
		products: append([]Product(nil), products...),
		byName:   make(map[string]int, len(products)),
		byID:     make(map[string]int, len(products)),
	}
	for i, p := range c.products {
		if err := p.Validate(); err != nil {
			return Catalog{}, err
		}
		if _, taken := c.byName[p.Name]; taken {
			return Catalog{}, fmt.Errorf("product %s: the name is used twice", p.Name)
		}
		if j, taken := c.byID[p.ID]; taken {
			return Catalog{}, fmt.Errorf("product %s: id %s is product %s already", p.Name, p.ID, c.products[j].Name)
		}
		c.byName[p.Name], c.byID[p.ID] = i, i
	}
	return c.Ranked(nil)
}

// Ranked is the catalog with its plans ranked as [RankPlans] says.
func (c Catalog) Ranked(plans []string) (Catalog, error) {
	var err error
	c.ranking, err = RankPlans(c.products, c.addons, plans)
	return c, err
}

// Ranking ranks the plans that the products and add-ons give.
func (c Catalog) Ranking() Ranking { return c.ranking }

// Products are all entries, in the operator's order. Not to be changed.
func (c Catalog) Products() []Product { return c.products }

// Named finds a product by the operator's name for it.
func (c Catalog) Named(name string) (Product, bool) {
	i, ok := c.byName[name]
	if !ok {
		return Product{}, false
	}
	return c.products[i], true
}

// ByID finds a product by Dodo's id.
func (c Catalog) ByID(id string) (Product, bool) {
	i, ok := c.byID[id]
	if !ok {
		return Product{}, false
	}
	return c.products[i], true
}
