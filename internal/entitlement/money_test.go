package entitlement_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

// TestMoneyOfACycle: what the charges of a cycle buy, in every order of facts. Pro costs 9.00
// and gives 500 credits, team costs 18.00 and gives 800.
func TestMoneyOfACycle(t *testing.T) {
	type facts = []entitlement.Subscription
	type edits = []func(*entitlement.SubscriptionState)
	of := func(product string, cents int64, days int, change ...func(*entitlement.SubscriptionState)) entitlement.Subscription {
		return body(entitlement.SubscriptionActive, product, days, append(edits{priced(cents, "USD")}, change...)...)
	}
	pay := func(id string, days int, amount int64, change ...func(*entitlement.Payment)) entitlement.Subscription {
		return charged(id, days, append([]func(*entitlement.Payment){cents(amount)}, change...)...)
	}
	taxed := func(p *entitlement.Payment) { p.Total, p.Tax = p.Total+200, 200 }
	pro, team := of("pdt_pro", 900, 0), func(days int) entitlement.Subscription {
		return of("pdt_team", 1800, 0, after(time.Duration(days)*day))
	}
	bought := pay("a", 0, 900)
	for name, c := range map[string]struct {
		facts facts
		want  int64
	}{
		"the difference, dates move":              {facts{pro, bought, of("pdt_team", 1800, 10), pay("b", 10, 900)}, 800},
		"the difference, dates stay":              {facts{pro, bought, team(10), pay("b", 10, 900)}, 800},
		"with tax":                                {facts{pro, bought, team(10), pay("b", 10, 450, taxed)}, 600},
		"the whole price, dates move":             {facts{pro, bought, of("pdt_team", 1800, 10), pay("b", 10, 1800)}, 1300},
		"the whole price, the same":               {facts{pro, bought, of("pdt_pro", 900, 10), pay("b", 10, 900)}, 1000},
		"prorated, dates move":                    {facts{pro, bought, of("pdt_team", 1800, 10), pay("b", 10, 1200)}, 933},
		"prorated, dates stay":                    {facts{pro, bought, team(15), pay("b", 15, 450)}, 600},
		"prorated, on the last day":               {facts{pro, bought, team(29), pay("b", 29, 30)}, 500},
		"for nothing":                             {facts{pro, bought, team(10)}, 500},
		"for nothing, dates move":                 {facts{pro, bought, of("pdt_team", 1800, 10)}, 500},
		"a smaller one":                           {facts{team(0), pay("a", 0, 1800), of("pdt_pro", 900, 10)}, 800},
		"a smaller one for a few cents":           {facts{team(0), pay("a", 0, 1800), of("pdt_pro", 900, 10), pay("b", 10, 9)}, 804},
		"to and fro, paid twice":                  {facts{pro, bought, of("pdt_team", 1800, 10), pay("b", 10, 900), of("pdt_pro", 900, 11), of("pdt_team", 1800, 12), pay("c", 12, 900)}, 1200},
		"to and fro, paid once":                   {facts{pro, bought, of("pdt_team", 1800, 10), pay("b", 10, 900), of("pdt_pro", 900, 11), of("pdt_team", 1800, 12)}, 800},
		"the same three times":                    {facts{pro, bought, of("pdt_pro", 900, 1), of("pdt_pro", 900, 2), of("pdt_pro", 900, 3)}, 500},
		"two pieces":                              {facts{pro, bought, of("pdt_pro", 1800, 0, timesQuantity(2), after(day)), pay("b", 1, 900)}, 1000},
		"two pieces and back, and two again":      {facts{pro, bought, of("pdt_pro", 1800, 1, timesQuantity(2)), pay("b", 1, 900), of("pdt_pro", 900, 2), of("pdt_pro", 1800, 3, timesQuantity(2))}, 1000},
		"a refunded change":                       {facts{pro, bought, team(10), pay("b", 10, 900, refunded(900))}, 500},
		"half of a change refunded":               {facts{pro, bought, team(10), pay("b", 10, 900, refunded(450))}, 600},
		"a charge that is newer than all bodies":  {facts{pro, bought, pay("b", 10, 900)}, 500},
		"a discount":                              {facts{pro, pay("a", 0, 450)}, 500},
		"the first body lost, then for nothing":   {facts{team(1), bought}, 400},
		"the first body lost, then paid":          {facts{team(1), bought, pay("b", 1, 900)}, 800},
		"dates moved for nothing, the body lost":  {facts{pro, bought, of("pdt_pro", 900, 32)}, 500},
		"and a charge was made":                   {facts{pro, bought, of("pdt_pro", 900, 32), pay("b", 32, 900)}, 1000},
		"and it was renewed":                      {facts{pro, bought, renewal("pdt_pro", 32, priced(900, "USD"))}, 1000},
		"renewed with money that Dodo owed":       {facts{pro, bought, of("pdt_pro", 900, 30), pay("b", 30, 100)}, 1000},
		"and then changed":                        {facts{pro, bought, of("pdt_pro", 900, 30), pay("b", 30, 100), of("pdt_team", 1800, 30, after(day)), pay("c", 31, 900)}, 1300},
		"a change minutes before a renewal":       {facts{pro, bought, of("pdt_team", 1800, 30, after(5*time.Minute)), pay("b", 30, 900)}, 1000},
		"another currency":                        {facts{pro, bought, team(10), pay("b", 10, 1, func(p *entitlement.Payment) { p.Currency = "EUR" })}, 800},
		"another currency, twice for nothing new": {facts{pro, bought, pay("b", 0, 900, func(p *entitlement.Payment) { p.Currency = "EUR" })}, 500},
	} {
		t.Run(name, func(t *testing.T) {
			permute(c.facts, func(order []entitlement.Subscription) {
				var s entitlement.Subscription
				for _, f := range append(order, order[0]) {
					s = s.Merge(f)
				}
				e, err := s.Effect("sub_1", catalog, freeze)
				if err != nil {
					t.Fatal(err)
				}
				var got int64
				for _, g := range e.Grants {
					got += g.Amount
				}
				if got != c.want {
					t.Errorf("%d credits, want %d", got, c.want)
				}
			})
		})
	}
}

// TestMoneyBeyondCounting: money for more credits than the largest number is an error.
func TestMoneyBeyondCounting(t *testing.T) {
	for _, amount := range []int64{2, math.MaxInt64} {
		s := body("active", "pdt_huge", 0, priced(100, "USD"))
		for _, f := range []entitlement.Subscription{charged("a", 0, cents(100)), body("active", "pdt_huge", 0, priced(100, "USD"), after(day)), charged("b", 1, cents(amount))} {
			s = s.Merge(f)
		}
		if _, err := s.Effect("sub_1", catalog, freeze); !errors.Is(err, ledger.ErrRange) {
			t.Errorf("%d cents more: %v", amount, err)
		}
	}
}
