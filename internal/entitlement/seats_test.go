package entitlement_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

// TestSeatsBoughtOnce: the seats of all purchases in force are added up.
func TestSeatsBoughtOnce(t *testing.T) {
	seats := map[string]entitlement.Terms{"pdt_seats": {Seats: 3}, "pdt_team": {Plan: "team", Seats: 5, Lasts: day}, "pdt_many": {Seats: ledger.Max}}
	for name, c := range map[string]struct {
		payments []entitlement.Payment
		want     int64
	}{
		"one":                      {[]entitlement.Payment{paid(line("pdt_seats", 1))}, 3},
		"two pieces":               {[]entitlement.Payment{paid(line("pdt_seats", 2))}, 6},
		"two lines":                {[]entitlement.Payment{paid(line("pdt_seats", 1), line("pdt_team", 1))}, 8},
		"two payments":             {[]entitlement.Payment{paid(line("pdt_seats", 1)), paid(line("pdt_seats", 2))}, 9},
		"one that was given back":  {[]entitlement.Payment{paid(line("pdt_seats", 1)), paid(line("pdt_seats", 2)).Merge(refund("r", "succeeded", 900, true))}, 3},
		"more than can be counted": {[]entitlement.Payment{paid(line("pdt_many", 2)), paid(line("pdt_many", 1), line("pdt_seats", 1))}, ledger.Max},
	} {
		a := entitlement.Account{Standings: make(map[string]entitlement.Standing)}
		for i, p := range c.payments {
			e, err := p.Effect("pay", seats, freeze)
			if err != nil {
				t.Fatal(err)
			}
			a.Standings[fmt.Sprint("payment:", i)] = e.Standing
		}
		if got := a.Snapshot(noon, ranking).Seats; got != c.want {
			t.Errorf("%s: %d seats, want %d", name, got, c.want)
		}
	}
}

// TestSeatsAndFeaturesOfASubscription: a subscription gives the seats and features of its
// pieces and add-ons as long as it gives access; a plan from several sources is listed once.
func TestSeatsAndFeaturesOfASubscription(t *testing.T) {
	terms := func(id string, _ time.Time) (entitlement.Terms, bool) {
		t, ok := map[string]entitlement.Terms{
			"pdt_team": {Plan: "team", Seats: 5},
			"adn_seat": {Seats: 1},
			"adn_pro":  {Plan: "pro", Feature: "reports"},
			"adn_team": {Plan: "team", Feature: "reports", Seats: 2},
			"adn_many": {Seats: ledger.Max},
		}[id]
		return t, ok
	}
	for name, c := range map[string]struct {
		status   entitlement.SubscriptionStatus
		quantity int64
		addons   entitlement.Addons
		after    time.Duration
		want     string // plans, features, seats
	}{
		"one piece":                    {"active", 1, "", 0, "[team] [] 5"},
		"three pieces":                 {"active", 3, "", 0, "[team] [] 15"},
		"two pieces and four add-ons":  {"active", 2, "adn_seat=4", 0, "[team] [] 14"},
		"another plan by an add-on":    {"active", 1, "adn_pro=1", 0, "[team pro] [reports] 5"},
		"the same plan by an add-on":   {"active", 1, "adn_team=1", 0, "[team] [reports] 7"},
		"the same feature twice":       {"active", 1, "adn_pro=1,adn_team=1", 0, "[team pro] [reports] 7"},
		"more than can be counted":     {"active", 1, "adn_many=2,adn_seat=1", 0, fmt.Sprint("[team] [] ", ledger.Max)},
		"in its last instant":          {"active", 1, "adn_pro=1", month - 1, "[team pro] [reports] 5"},
		"at its end":                   {"active", 1, "adn_pro=1", month, "[] [] 0"},
		"on hold":                      {"on_hold", 1, "adn_pro=1", 0, "[] [] 0"},
		"of what nobody sells anymore": {"active", 1, "adn_new=1", 0, "[team] [] 5"},
	} {
		s := body(c.status, "pdt_team", 0, func(s *entitlement.SubscriptionState) { s.Quantity, s.Addons = c.quantity, c.addons })
		e, err := s.Effect("sub_1", terms, freeze)
		if err != nil {
			t.Fatal(err)
		}
		a := entitlement.Account{Standings: map[string]entitlement.Standing{"subscription:sub_1": e.Standing}}
		snap := a.Snapshot(noon.Add(c.after), ranking)
		if slices.Contains(e.Standing.Renewal.Plans, e.Standing.Renewal.Plan) {
			t.Errorf("%s: a plan is named twice: %+v", name, e.Standing.Renewal)
		}
		if got := fmt.Sprint(snap.PlanNames(), snap.Features, snap.Seats); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
