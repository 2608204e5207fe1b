package dodosim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Catalog is what a simulator sells and how it behaves, as written in files.
type Catalog struct {
	Products  []Product  `json:"products"`
	Addons    []Addon    `json:"addons,omitempty"`
	Discounts []Discount `json:"discounts,omitempty"`
	Options   Behavior   `json:"options,omitzero"`
}

// ParseCatalog reads YAML or JSON. Unknown fields are errors. [New] and [Simulator.Seed] check
// whether the catalog can be sold.
func ParseCatalog(file []byte) (Catalog, error) {
	var c Catalog
	var tree any
	if err := yaml.Unmarshal(file, &tree); err != nil { // JSON is YAML
		return c, fmt.Errorf("read catalog: %w", err)
	}
	if _, ok := tree.(map[string]any); !ok {
		return c, errors.New("read catalog: it is not a mapping with products in it")
	}
	text, err := json.Marshal(tree)
	if err != nil {
		return c, fmt.Errorf("read catalog: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, fmt.Errorf("read catalog: %w", err)
	}
	return c, nil
}

// Seed adds products, add-ons and discounts to the catalog, or replaces those with the same id
// or code. Open checkouts and subscriptions keep the former ones: UNCONFIRMED. The error names
// the entry that cannot be sold; then nothing has changed.
func (s *Simulator) Seed(products []Product, addons []Addon, discounts []Discount) error {
	products, err := completeProducts(products)
	if err != nil {
		return err
	}
	addons, err = completeAddons(addons)
	if err != nil {
		return err
	}
	discounts, err = completeDiscounts(discounts)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addToCatalog(products, addons, discounts)
	return nil
}

// addToCatalog adds complete products, add-ons and discounts to the catalog. The caller holds
// s.mu, or s is not shared yet.
func (s *Simulator) addToCatalog(products []Product, addons []Addon, discounts []Discount) {
	now := s.now()
	for _, p := range products {
		s.addCredits(p, now)
		s.addEntitlements(p)
		if known, refusal := s.findOffer(p.ID); refusal == nil {
			known.Product, known.updatedAt = p, now
			continue
		}
		s.offers = append(s.offers, &catalogProduct{p, now, now})
	}
	for _, a := range addons {
		if known, refusal := s.findAddon(a.ID); refusal == nil {
			known.Addon, known.updatedAt = a, now
			continue
		}
		s.extras = append(s.extras, &catalogAddon{a, taxCategory, now, now})
	}
	for _, d := range discounts {
		made := s.newCoupon("percentage", d.Code, d.BasisPoints)
		if known := s.couponOf(d.Code); known != nil {
			delete(s.redemptions, made.DiscountID)
			made.DiscountID, made.CreatedAt = known.DiscountID, known.CreatedAt
			s.coupons[slices.Index(s.coupons, known)] = made
			continue
		}
		s.coupons = append(s.coupons, made)
	}
}
