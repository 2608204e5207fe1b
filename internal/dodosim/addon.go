package dodosim

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Addon is an extra that subscriptions can have, in any quantity. Each billing cycle costs its
// price for every piece.
//
// At Dodo a merchant attaches add-ons to products first. Here every subscription can have
// every add-on of its currency, because no API call attaches them.
type Addon struct {
	// ID is the add-on's id. Dodo's have the form "adn_…"; any text without spaces is
	// accepted.
	ID string `json:"id"`
	// Name is what customers read. Default: the ID.
	Name string `json:"name,omitempty"`
	// Description is a sentence for customers. Optional.
	Description string `json:"description,omitempty"`
	// Price is for one piece and one billing cycle, in minor units of Currency.
	Price int `json:"price"`
	// Currency is an ISO 4217 code in upper case that Dodo knows, such as "USD".
	Currency string `json:"currency"`
}

func completeAddons(addons []Addon) ([]Addon, error) {
	complete := make([]Addon, 0, len(addons))
	seen := make(map[string]bool)
	for _, a := range addons {
		if a.Name == "" {
			a.Name = a.ID
		}
		switch {
		case a.ID == "" || strings.ContainsFunc(a.ID, unicode.IsSpace) || strings.Contains(a.ID, "/"):
			return nil, fmt.Errorf("add-on id %q: must be text without spaces or slashes", a.ID)
		case seen[a.ID]:
			return nil, fmt.Errorf("add-on %s: defined twice", a.ID)
		}
		if refusal := a.check(); refusal != nil {
			return nil, fmt.Errorf("add-on %s: %s", a.ID, refusal.Message)
		}
		seen[a.ID] = true
		complete = append(complete, a)
	}
	return complete, nil
}

const (
	maxAddonName        = 100  // the API description of PATCH /addons/{id}
	maxAddonDescription = 1000 // the same
)

func (a Addon) check() *Error {
	switch {
	case a.Name == "" || utf8.RuneCountInString(a.Name) > maxAddonName:
		return refuse(codeInvalidParameters, "a name has 1 to %d characters", maxAddonName)
	case utf8.RuneCountInString(a.Description) > maxAddonDescription:
		return refuse(codeInvalidParameters, "a description has at most %d characters", maxAddonDescription)
	case a.Price < 0 || a.Price > math.MaxInt32:
		return refuse(codeInvalidParameters, "price %d is not between 0 and %d minor units", a.Price, math.MaxInt32)
	case !knownCurrency(a.Currency):
		return refuse(codeUnsupportedMoney, "%q is not a currency that Dodo sells in", a.Currency)
	}
	return nil
}

// product is the add-on as a line of a bill. A refund names that line by the add-on's id
// (FACTS 2.9).
func (a Addon) product() Product {
	return Product{ID: a.ID, Name: a.Name, Description: a.Description, Price: a.Price, Currency: a.Currency}
}

// catalogAddon is an add-on of the catalog. Guarded by [Simulator.mu].
type catalogAddon struct {
	Addon
	taxCategory          string
	createdAt, updatedAt time.Time
}

// addonObject is an add-on as the API shows it.
type addonObject struct {
	ID          string    `json:"id"`
	BusinessID  string    `json:"business_id"`
	Name        string    `json:"name"`
	Description *string   `json:"description"`
	Image       *string   `json:"image"`
	Price       int       `json:"price"`
	Currency    string    `json:"currency"`
	TaxCategory string    `json:"tax_category"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

func (s *Simulator) addonObject(x *catalogAddon) addonObject {
	return addonObject{
		ID: x.ID, BusinessID: s.business, Name: x.Name, Description: x.product().description(), Price: x.Price, Currency: x.Currency,
		TaxCategory: x.taxCategory, CreatedAt: x.createdAt, UpdatedAt: x.updatedAt,
	}
}

// findAddon looks an add-on of the catalog up. The caller holds s.mu.
func (s *Simulator) findAddon(id string) (*catalogAddon, *Error) {
	i := slices.IndexFunc(s.extras, func(x *catalogAddon) bool { return x.ID == id })
	if i < 0 {
		return nil, refuse(codeNotFound, "there is no add-on %s", id)
	}
	return s.extras[i], nil
}

// addonRequest is the body of POST and PATCH /addons. In a patch, an absent or null field
// changes nothing. image_id is ignored, because images cannot be uploaded here.
type addonRequest struct {
	Name        *string `json:"name"`
	Description *string `json:"description"`
	Price       *int    `json:"price"`
	Currency    *string `json:"currency"`
	TaxCategory *string `json:"tax_category"`
}

var taxCategories = wordSet("digital_products saas e_book edtech live_tutoring")

// change applies the request to an add-on.
func (request addonRequest) change(x *catalogAddon) *Error {
	setIfPresent(&x.Name, request.Name)
	setIfPresent(&x.Description, request.Description)
	setIfPresent(&x.Price, request.Price)
	setIfPresent(&x.Currency, request.Currency)
	setIfPresent(&x.taxCategory, request.TaxCategory)
	if !taxCategories[x.taxCategory] {
		return refuse(codeInvalidBody, "tax_category has no such value")
	}
	return x.check()
}

// listAddons answers GET /addons, in the order of the catalog. An invalid page is 422,
// although the API description lists only 500.
func (s *Simulator) listAddons(r *http.Request) (any, error) {
	q := query{values: r.URL.Query()}
	window := q.page()
	if q.refusal != nil {
		return nil, q.refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	items := []addonObject{}
	for _, x := range slicePage(s.extras, window) {
		items = append(items, s.addonObject(x))
	}
	return list[addonObject]{Items: items}, nil
}

// createAddon answers POST /addons.
func (s *Simulator) createAddon(r *http.Request) (any, error) {
	request, refusal := readJSON[addonRequest](r)
	switch {
	case refusal != nil:
		return nil, refusal
	case request.Name == nil || request.Price == nil || request.Currency == nil || request.TaxCategory == nil:
		return nil, refuse(codeInvalidBody, "name, price, currency and tax_category are required")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	x := &catalogAddon{Addon: Addon{ID: newID("adn_")}, createdAt: now, updatedAt: now}
	if refusal := request.change(x); refusal != nil {
		return nil, refusal
	}
	s.extras = append(s.extras, x)
	return s.addonObject(x), nil
}

// getAddon answers GET /addons/{id}.
func (s *Simulator) getAddon(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, refusal := s.findAddon(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	return s.addonObject(x), nil
}

// patchAddon answers PATCH /addons/{id}. Open checkouts and subscriptions keep the former
// add-on: UNCONFIRMED.
func (s *Simulator) patchAddon(r *http.Request) (any, error) {
	request, refusal := readJSON[addonRequest](r)
	if refusal != nil {
		return nil, refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x, refusal := s.findAddon(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	changed := *x
	if refusal := request.change(&changed); refusal != nil {
		return nil, refusal
	}
	changed.updatedAt = s.now()
	*x = changed
	return s.addonObject(x), nil
}
