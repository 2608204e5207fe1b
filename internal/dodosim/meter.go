package dodosim

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Aggregation is how a meter turns its events into a number.
type Aggregation string

// The aggregations of Dodo. All except Count read a number from an event's metadata.
const (
	Count Aggregation = "count"
	Sum   Aggregation = "sum"
	Max   Aggregation = "max"
	Last  Aggregation = "last"
)

// Meter counts a customer's usage events. At the end of each billing cycle it charges money or
// takes credits for them.
type Meter struct {
	// ID is the meter id; products that name the same one share the meter. Default: "mtr_" and
	// the EventName.
	ID string `json:"id,omitempty"`
	// EventName is the event_name of the counted events. Required.
	EventName string `json:"event_name"`
	// Name and Unit are for customers. Default: the EventName, and "unit".
	Name string `json:"name,omitempty"`
	Unit string `json:"unit,omitempty"`
	// Aggregation and Key say how to count. Default: Count, without a Key.
	Aggregation Aggregation `json:"aggregation,omitempty"`
	Key         string      `json:"key,omitempty"`
	// FreeThreshold is how many units of a cycle are free.
	FreeThreshold int64 `json:"free_threshold,omitempty"`
	// PricePerUnit is a decimal of minor units, with up to 5 digits before and 12 after the
	// point. Required without Credit.
	PricePerUnit json.Number `json:"price_per_unit,omitempty"`
	// Credit is the name of the product's credit that is spent instead of money: one for each
	// UnitsPerCredit units.
	Credit         string      `json:"credit,omitempty"`
	UnitsPerCredit json.Number `json:"units_per_credit,omitempty"`
}

var unitPrice = regexp.MustCompile(`^[0-9]{1,5}(\.[0-9]{1,12})?$`) // FACTS 1.8

// price is the price of a unit, or the units for one credit.
func price(text json.Number) decimal {
	r, ok := new(big.Rat).SetString(text.String())
	if !ok {
		return zero()
	}
	return decimal{r}
}

// completeMeters checks meters and fills in the defaults.
func (p *Product) completeMeters() error {
	if len(p.Meters) == 0 {
		return nil
	}
	if !p.recurring() || p.TrialDays > 0 {
		return errors.New("meters are for products with a billing cycle and without a trial")
	}
	p.Meters = slices.Clone(p.Meters)
	seen := make(map[string]bool)
	for i := range p.Meters {
		m := &p.Meters[i]
		m.fillIn()
		byCredit := m.Credit != "" || m.UnitsPerCredit != ""
		switch {
		case m.EventName == "" || seen[m.ID]:
			return fmt.Errorf("meter %s: needs an event name and an id of its own", m.ID)
		case m.Aggregation != Count && m.Aggregation != Sum && m.Aggregation != Max && m.Aggregation != Last,
			(m.Aggregation == Count) != (m.Key == ""):
			return fmt.Errorf("meter %s: counts, or has the sum, max or last of a key", m.ID)
		case m.FreeThreshold < 0:
			return fmt.Errorf("meter %s: the free threshold is negative", m.ID)
		case byCredit == (m.PricePerUnit != ""), !byCredit && !unitPrice.MatchString(m.PricePerUnit.String()):
			return fmt.Errorf("meter %s: a unit has a price, or takes credits", m.ID)
		case byCredit && (!unitPrice.MatchString(m.UnitsPerCredit.String()) || !price(m.UnitsPerCredit).positive() ||
			!slices.ContainsFunc(p.Credits, func(c ProductCredit) bool { return c.Name == m.Credit })):
			return fmt.Errorf("meter %s: takes one of the product's credits for a positive number of units", m.ID)
		}
		seen[m.ID] = true
	}
	return nil
}

func (m *Meter) fillIn() {
	if m.ID == "" {
		m.ID = "mtr_" + m.EventName
	}
	if m.Name == "" {
		m.Name = m.EventName
	}
	if m.Unit == "" {
		m.Unit = "unit"
	}
	if m.Aggregation == "" {
		m.Aggregation = Count
	}
}

// counts reports whether the meter counts an event.
func (m Meter) counts(e usageEvent) bool { return m.EventName == e.EventName }

// units is the meter's number for a customer's events in a time, less the free units. It
// ignores events without a number under the Key. The caller holds s.mu.
func (s *Simulator) units(m Meter, customerID string, from, to time.Time) decimal {
	total := zero()
	for _, e := range s.usage {
		if !m.counts(e) || e.CustomerID != customerID || e.Timestamp.Before(from) || !e.Timestamp.Before(to) {
			continue
		}
		n, ok := m.number(e)
		switch {
		case !ok:
		case m.Aggregation == Last:
			total = n
		case m.Aggregation == Max:
			if total.less(n) {
				total = n
			}
		default:
			total = total.add(n)
		}
	}
	return total.sub(total.min(whole(m.FreeThreshold)))
}

// number is an event's value. It may be written as text.
func (m Meter) number(e usageEvent) (decimal, bool) {
	if m.Aggregation == Count {
		return whole(1), true
	}
	var written string
	if json.Unmarshal(e.Metadata[m.Key], &written) != nil {
		written = string(e.Metadata[m.Key])
	}
	if strings.ContainsAny(written, "/_") { // big.Rat would accept these
		return zero(), false
	}
	r, ok := new(big.Rat).SetString(written)
	if !ok || r.Sign() < 0 {
		return zero(), false
	}
	return decimal{r}, true
}

// usageDue is the cost of the cycle's usage until then, in whole minor units. Usage that takes
// credits costs nothing. The caller holds s.mu.
func (s *Simulator) usageDue(sub *subscription, until time.Time) int64 {
	due := zero()
	for _, m := range sub.plan.lines[0].product.Meters {
		if m.Credit == "" {
			units := s.units(m, sub.Customer.CustomerID, sub.PreviousBillingDate, until)
			due = due.add(units.multiply(price(m.PricePerUnit)))
		}
	}
	return due.floor()
}

// creditDelay is how long after an event its credits are taken (FACTS 2.12).
const creditDelay = time.Minute

// takeForUsage takes credits for the cycle's usage until then that has not been paid for.
// Without overage, usage beyond the balance is free: UNCONFIRMED. It reports whether it took
// any. The caller holds s.mu.
func (s *Simulator) takeForUsage(sub *subscription, until, at time.Time) bool {
	taken := false
	for _, m := range sub.plan.lines[0].product.Meters {
		c, refusal := s.findCredit(s.catalogCredits[m.Credit])
		if m.Credit == "" || refusal != nil || sub.over() {
			continue
		}
		units := s.units(m, sub.Customer.CustomerID, sub.PreviousBillingDate, until)
		used := units.dividedBy(price(m.UnitsPerCredit)).truncate(c.Precision)
		before := sub.metered[m.ID]
		if before.r == nil {
			before = zero()
		}
		if !before.less(used) {
			continue
		}
		a := s.accountFor(c.ID, sub.Customer.CustomerID, at)
		line := creditEntry{
			ReferenceType: new("subscription"), ReferenceID: new(sub.SubscriptionID), Description: new("Usage of " + m.Name), Metadata: sub.Metadata,
		}
		if sub.metered == nil {
			sub.metered = make(map[string]decimal)
		}
		sub.metered[m.ID] = used
		wanted := used.sub(before)
		if _, refusal := s.take(c, a, wanted, line, at); refusal != nil {
			if wanted = wanted.min(a.Balance); !wanted.positive() {
				continue
			}
			_, _ = s.take(c, a, wanted, line, at) // it is there
		}
		taken = true
	}
	return taken
}
