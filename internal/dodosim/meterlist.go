package dodosim

import (
	"net/http"
	"slices"
	"time"
)

// usageBasedPrice is the usage_based_price of FACTS 2.8.
type usageBasedPrice struct {
	Type                  string       `json:"type"`
	Currency              string       `json:"currency"`
	FixedPrice            int          `json:"fixed_price"`
	Discount              int          `json:"discount"`
	PurchasingPowerParity bool         `json:"purchasing_power_parity"`
	CycleCount            int          `json:"payment_frequency_count"`
	CycleInterval         Interval     `json:"payment_frequency_interval"`
	TermCount             int          `json:"subscription_period_count"`
	TermInterval          Interval     `json:"subscription_period_interval"`
	Meters                []priceMeter `json:"meters"`
	TaxInclusive          *bool        `json:"tax_inclusive"`
}

// priceMeter is a meter as a price lists it.
type priceMeter struct {
	MeterID        string  `json:"meter_id"`
	Name           *string `json:"name"`
	Unit           *string `json:"measurement_unit"`
	PricePerUnit   *string `json:"price_per_unit"`
	FreeThreshold  *int64  `json:"free_threshold"`
	CreditID       *string `json:"credit_entitlement_id"`
	UnitsPerCredit *string `json:"meter_units_per_credit"`
}

// optional is nil for an empty text.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// priceMeters are the meters of a product. The caller holds s.mu.
func (s *Simulator) priceMeters(p Product) []priceMeter {
	meters := []priceMeter{}
	for _, m := range p.Meters {
		meters = append(meters, priceMeter{
			MeterID: m.ID, Name: new(m.Name), Unit: new(m.Unit), PricePerUnit: optional(m.PricePerUnit.String()), FreeThreshold: new(m.FreeThreshold),
			CreditID: optional(s.catalogCredits[m.Credit]), UnitsPerCredit: optional(m.UnitsPerCredit.String()),
		})
	}
	return meters
}

// cartMeter is a meter as a subscription lists it (FACTS 2.7); creditMeter is one that takes
// credits.
type cartMeter struct {
	MeterID       string  `json:"meter_id"`
	Name          string  `json:"name"`
	Currency      string  `json:"currency"`
	Unit          string  `json:"measurement_unit"`
	FreeThreshold int64   `json:"free_threshold"`
	PricePerUnit  *string `json:"price_per_unit"`
}

type creditMeter struct {
	MeterID        string `json:"meter_id"`
	MeterName      string `json:"meter_name"`
	CreditID       string `json:"credit_entitlement_id"`
	ProductID      string `json:"product_id"`
	UnitsPerCredit string `json:"meter_units_per_credit"`
}

// showMeters writes the meters of a subscription into the object. The caller holds s.mu.
func (s *Simulator) showMeters(sub *subscription) {
	p := sub.plan.lines[0].product
	sub.Meters, sub.MeterEntitlements = []cartMeter{}, []creditMeter{}
	for _, m := range p.Meters {
		sub.Meters = append(sub.Meters, cartMeter{m.ID, m.Name, p.Currency, m.Unit, m.FreeThreshold, optional(m.PricePerUnit.String())})
		if m.Credit != "" {
			sub.MeterEntitlements = append(sub.MeterEntitlements, creditMeter{m.ID, m.Name, s.catalogCredits[m.Credit], p.ID, m.UnitsPerCredit.String()})
		}
	}
}

// meterObject is a meter as GET /meters/{id} shows it.
type meterObject struct {
	ID          string      `json:"id"`
	BusinessID  string      `json:"business_id"`
	Name        string      `json:"name"`
	Description *string     `json:"description"`
	EventName   string      `json:"event_name"`
	Unit        string      `json:"measurement_unit"`
	Aggregation aggregation `json:"aggregation"`
	Filter      *string     `json:"filter"`
	CreatedAt   time.Time   `json:"created_at"`
	UpdatedAt   time.Time   `json:"updated_at"`
}

type aggregation struct {
	Type Aggregation `json:"type"`
	Key  *string     `json:"key"`
}

// meters are all meters of the catalog, without duplicates. The caller holds s.mu.
func (s *Simulator) meters() []Meter {
	var all []Meter
	for _, p := range s.offers {
		for _, m := range p.Meters {
			if !slices.ContainsFunc(all, func(other Meter) bool { return other.ID == m.ID }) {
				all = append(all, m)
			}
		}
	}
	return all
}

func (s *Simulator) findMeter(id string) (Meter, *Error) {
	for _, m := range s.meters() {
		if m.ID == id {
			return m, nil
		}
	}
	return Meter{}, refuse(codeNotFound, "there is no meter %s", id)
}

func (s *Simulator) shownMeter(m Meter) meterObject {
	return meterObject{
		ID: m.ID, BusinessID: s.business, Name: m.Name, EventName: m.EventName, Unit: m.Unit,
		Aggregation: aggregation{m.Aggregation, optional(m.Key)}, CreatedAt: s.started, UpdatedAt: s.started,
	}
}

// getMeter answers GET /meters/{id}.
func (s *Simulator) getMeter(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, refusal := s.findMeter(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	return s.shownMeter(m), nil
}

// listMeters answers GET /meters, in the order of the catalog. None is archived.
func (s *Simulator) listMeters(r *http.Request) (any, error) {
	q := query{values: r.URL.Query()}
	window, archived := q.page(), q.boolean("archived")
	if q.refusal != nil {
		return nil, q.refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	items := []meterObject{}
	if !archived {
		for _, m := range s.meters() {
			items = append(items, s.shownMeter(m))
		}
	}
	return list[meterObject]{Items: slicePage(items, window)}, nil
}
