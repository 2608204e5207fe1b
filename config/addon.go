package config

import (
	"fmt"
	"slices"
)

// MaxSeats is the most seats that one piece of a product or an add-on may give.
const MaxSeats int64 = 1_000_000

// Addon is an add-on of subscriptions at Dodo, and what each piece of it gives. A
// subscription has what its current add-ons give, for as long as it gives access.
type Addon struct {
	// Name is the operator's name for the add-on. Up to 64 of: lower-case letters,
	// digits, "-", "_".
	Name string `json:"name"`
	// ID is Dodo's id of the add-on (adn_…), from Dodo's dashboard.
	ID string `json:"id"`
	// Credits given for each piece in every period that is paid, together with those of
	// the product: every month if those of the product come every month. Default: 0, none.
	Credits int64 `json:"credits,omitempty"`
	// Plan that the add-on gives access to, besides the product's. Up to 64 letters, digits,
	// "-", "_"; the word "none" is taken. Default: no plan.
	Plan string `json:"plan,omitempty"`
	// Feature that the add-on gives, by the name that gates ask for. Up to 128 letters,
	// digits, "-", "_", "." or ":". Default: no feature.
	Feature string `json:"feature,omitempty"`
	// Seats given for each piece. Default: 0, none.
	Seats int64 `json:"seats,omitempty"`
}

// Validate says what is wrong with the add-on, naming the setting.
func (a Addon) Validate() error {
	switch {
	case !productName.MatchString(a.Name):
		return fmt.Errorf("addon %q: the name must be 1 to 64 lower-case letters, digits, '-' or '_'", a.Name)
	case a.ID == "":
		return fmt.Errorf("addon %s: id is missing; it is the add-on's id at Dodo (adn_…)", a.Name)
	case !productID.MatchString(a.ID):
		return fmt.Errorf("addon %s: id %q is not an id of a Dodo add-on", a.Name, a.ID)
	case a.Credits < 0 || a.Credits > MaxCredits/MaxQuantity:
		return fmt.Errorf("addon %s: credits must be between 1 and %d", a.Name, MaxCredits/MaxQuantity)
	case a.Seats < 0 || a.Seats > MaxSeats:
		return fmt.Errorf("addon %s: seats must be between 1 and %d", a.Name, MaxSeats)
	case a.Plan != "" && !planName.MatchString(a.Plan):
		return fmt.Errorf("addon %s: plan %q must be 1 to 64 letters, digits, '-' or '_'", a.Name, a.Plan)
	case a.Plan == "none":
		return fmt.Errorf("addon %s: plan cannot be called none, the word for having no plan", a.Name)
	case a.Feature != "" && !featureName.MatchString(a.Feature):
		return fmt.Errorf("addon %s: feature %q must be 1 to 128 letters, digits, '-', '_', '.' or ':'", a.Name, a.Feature)
	case a.Credits == 0 && a.Plan == "" && a.Feature == "" && a.Seats == 0:
		return fmt.Errorf("addon %s: gives nothing; set credits, plan, feature or seats", a.Name)
	}
	return nil
}

// WithAddons is the catalog with add-ons. Their names are unique among themselves; their
// ids are unique among products, too.
func (c Catalog) WithAddons(addons []Addon) (Catalog, error) {
	c.addons = append([]Addon(nil), addons...)
	c.addonID = make(map[string]int, len(addons))
	names := make(map[string]bool, len(addons))
	for i, a := range addons {
		if err := a.Validate(); err != nil {
			return Catalog{}, err
		}
		if names[a.Name] {
			return Catalog{}, fmt.Errorf("addon %s: the name is used twice", a.Name)
		}
		if other, taken := c.AddonByID(a.ID); taken {
			return Catalog{}, fmt.Errorf("addon %s: id %s is addon %s already", a.Name, a.ID, other.Name)
		}
		if p, taken := c.ByID(a.ID); taken {
			return Catalog{}, fmt.Errorf("addon %s: id %s is product %s already", a.Name, a.ID, p.Name)
		}
		c.addonID[a.ID], names[a.Name] = i, true
	}
	return c.Ranked(nil)
}

// AddonByID finds an add-on by Dodo's id.
func (c Catalog) AddonByID(id string) (Addon, bool) {
	i, ok := c.addonID[id]
	if !ok {
		return Addon{}, false
	}
	return c.addons[i], true
}

// HasSeats reports whether any product or add-on gives seats.
func (c Catalog) HasSeats() bool {
	return slices.ContainsFunc(c.products, func(p Product) bool { return p.Seats > 0 }) ||
		slices.ContainsFunc(c.addons, func(a Addon) bool { return a.Seats > 0 })
}
