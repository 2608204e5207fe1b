package dodosim

import (
	"net/http"
	"time"
)

// oneTimePrice is the one_time_price of FACTS 2.8.
type oneTimePrice struct {
	Type                  string `json:"type"`
	Currency              string `json:"currency"`
	Price                 int    `json:"price"`
	Discount              int    `json:"discount"`
	PurchasingPowerParity bool   `json:"purchasing_power_parity"`
	PayWhatYouWant        bool   `json:"pay_what_you_want"`
	SuggestedPrice        *int   `json:"suggested_price"`
	TaxInclusive          *bool  `json:"tax_inclusive"`
}

// recurringPrice is the recurring_price of FACTS 2.8.
type recurringPrice struct {
	Type                  string   `json:"type"`
	Currency              string   `json:"currency"`
	Price                 int      `json:"price"`
	Discount              int      `json:"discount"`
	PurchasingPowerParity bool     `json:"purchasing_power_parity"`
	CycleCount            int      `json:"payment_frequency_count"`
	CycleInterval         Interval `json:"payment_frequency_interval"`
	TermCount             int      `json:"subscription_period_count"`
	TermInterval          Interval `json:"subscription_period_interval"`
	TrialDays             int      `json:"trial_period_days"`
	TrialAmount           *int     `json:"trial_amount"`
	TaxInclusive          *bool    `json:"tax_inclusive"`
}

// productObject is a product as GET /products/{id} shows it.
type productObject struct {
	ProductID          string          `json:"product_id"`
	BusinessID         string          `json:"business_id"`
	BrandID            string          `json:"brand_id"`
	Name               string          `json:"name"`
	Description        *string         `json:"description"`
	Image              *string         `json:"image"`
	Price              any             `json:"price"`
	IsRecurring        bool            `json:"is_recurring"`
	TaxCategory        string          `json:"tax_category"`
	LicenseKeyEnabled  bool            `json:"license_key_enabled"`
	ActivationsLimit   *int            `json:"license_key_activations_limit"`
	Metadata           metadata        `json:"metadata"`
	CreditEntitlements []productCredit `json:"credit_entitlements"`
	Entitlements       []entitlement   `json:"entitlements"`
	CreatedAt          time.Time       `json:"created_at"`
	UpdatedAt          time.Time       `json:"updated_at"`
}

// productItem is a product as GET /products lists it.
type productItem struct {
	ProductID    string        `json:"product_id"`
	BusinessID   string        `json:"business_id"`
	Name         string        `json:"name"`
	Description  *string       `json:"description"`
	Image        *string       `json:"image"`
	Price        int           `json:"price"`
	Currency     string        `json:"currency"`
	PriceDetail  any           `json:"price_detail"`
	IsRecurring  bool          `json:"is_recurring"`
	TaxCategory  string        `json:"tax_category"`
	TaxInclusive *bool         `json:"tax_inclusive"`
	Metadata     metadata      `json:"metadata"`
	Entitlements []entitlement `json:"entitlements"`
	CreatedAt    time.Time     `json:"created_at"`
	UpdatedAt    time.Time     `json:"updated_at"`
}

// taxCategory is the same for every product: the simulator has no taxes.
const taxCategory = "digital_products"

// price is the product's price, tagged by its type. The caller holds s.mu.
func (s *Simulator) priceOf(p Product) any {
	if len(p.Meters) > 0 {
		return usageBasedPrice{
			Type:          "usage_based_price",
			Currency:      p.Currency,
			FixedPrice:    p.Price,
			CycleCount:    p.Every.Count,
			CycleInterval: p.Every.Interval,
			TermCount:     p.Term.Count,
			TermInterval:  p.Term.Interval,
			Meters:        s.priceMeters(p),
		}
	}
	if !p.recurring() {
		return oneTimePrice{Type: "one_time_price", Currency: p.Currency, Price: p.Price}
	}
	var trial *int
	if p.TrialPrice > 0 {
		trial = new(p.TrialPrice)
	}
	return recurringPrice{
		TrialAmount:   trial,
		Type:          "recurring_price",
		Currency:      p.Currency,
		Price:         p.Price,
		CycleCount:    p.Every.Count,
		CycleInterval: p.Every.Interval,
		TermCount:     p.Term.Count,
		TermInterval:  p.Term.Interval,
		TrialDays:     p.TrialDays,
	}
}

func (p Product) description() *string {
	if p.Description == "" {
		return nil
	}
	return &p.Description
}

// catalogProduct is a product of the catalog. Guarded by [Simulator.mu].
type catalogProduct struct {
	Product
	createdAt, updatedAt time.Time
}

// findOffer looks up an entry of the catalog. The caller holds s.mu.
func (s *Simulator) findOffer(id string) (*catalogProduct, *Error) {
	for _, o := range s.offers {
		if o.ID == id {
			return o, nil
		}
	}
	return nil, refuse(codeNotFound, "there is no product %s", id)
}

// findProduct looks up a product as it is sold now. The caller holds s.mu.
func (s *Simulator) findProduct(id string) (Product, *Error) {
	o, refusal := s.findOffer(id)
	if refusal != nil {
		return Product{}, refusal
	}
	return o.Product, nil
}

// getProduct answers GET /products/{id}.
func (s *Simulator) getProduct(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, refusal := s.findOffer(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	var limit *int
	if p.ActivationsLimit > 0 {
		limit = new(p.ActivationsLimit)
	}
	return productObject{
		LicenseKeyEnabled:  p.LicenseKeys,
		ActivationsLimit:   limit,
		ProductID:          p.ID,
		BusinessID:         s.business,
		BrandID:            s.brand,
		Name:               p.Name,
		Description:        p.description(),
		Price:              s.priceOf(p.Product),
		IsRecurring:        p.recurring(),
		TaxCategory:        taxCategory,
		Metadata:           metadata{},
		CreditEntitlements: s.creditsOf(p.Product),
		Entitlements:       s.entitlementsOf(p.Product),
		CreatedAt:          p.createdAt,
		UpdatedAt:          p.updatedAt,
	}, nil
}

// listProducts answers GET /products, in the order of the catalog.
func (s *Simulator) listProducts(r *http.Request) (any, error) {
	q := query{values: r.URL.Query()}
	window := q.page()
	recurring, archived, brand := q.choice("recurring"), q.boolean("archived"), q.text("brand_id")
	if q.refusal != nil {
		return nil, q.refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	items := []productItem{}
	for _, p := range s.offers {
		if p.Archived != archived || brand != "" && brand != s.brand {
			continue
		}
		if recurring != nil && *recurring != p.recurring() {
			continue
		}
		items = append(items, productItem{
			ProductID:    p.ID,
			BusinessID:   s.business,
			Name:         p.Name,
			Description:  p.description(),
			Price:        p.Price,
			Currency:     p.Currency,
			PriceDetail:  s.priceOf(p.Product),
			IsRecurring:  p.recurring(),
			TaxCategory:  taxCategory,
			Metadata:     metadata{},
			Entitlements: s.entitlementsOf(p.Product),
			CreatedAt:    p.createdAt,
			UpdatedAt:    p.updatedAt,
		})
	}
	return list[productItem]{Items: slicePage(items, window)}, nil
}
