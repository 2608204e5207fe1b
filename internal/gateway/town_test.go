package gateway_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/store"
)

// A town is many customers who live a hundred days beside each other, each in
// another way.

var townProducts = append([]config.Product{
	{Name: "keep", ID: "pdt_keep", Plan: "pro", Credits: 50, CreditsStay: true, AllowMultiple: true},
	{Name: "try", ID: "pdt_try", Plan: "try", Credits: 30, CreditsStay: true},
}, storyProducts...)

// townsman is a customer, and what he does on which day.
type townsman struct {
	*story
	name                  string
	payment, subscription string // his first
}

func (m *townsman) buys(product, card string) {
	m.t.Helper()
	attempt, err := m.sim.Pay(m.order(m.name, product).SessionID, card)
	must(m.t, err)
	if m.payment == "" {
		m.payment, m.subscription = attempt.PaymentID, attempt.SubscriptionID
	}
}

// subscribes buys a subscription with more in the checkout.
func (m *townsman) subscribes(product, inCart, more string) {
	m.t.Helper()
	attempt := m.checksOut(m.name, product, inCart, more)
	m.payment, m.subscription = attempt.PaymentID, attempt.SubscriptionID
}

func (m *townsman) isCharged(cents int) {
	m.t.Helper()
	m.call(http.MethodPost, "/subscriptions/"+m.subscription+"/charge", fmt.Sprintf(`{"product_price":%d}`, cents))
}

func (m *townsman) refunded(amount int) {
	m.t.Helper()
	_, err := m.sim.Refund(m.payment, amount)
	must(m.t, err)
}

func (m *townsman) disputes(outcome dodosim.DisputeStatus) {
	m.t.Helper()
	id, err := m.sim.OpenDispute(m.payment)
	must(m.t, err)
	if outcome != "" {
		must(m.t, m.sim.DecideDispute(id, outcome))
	}
}

func (m *townsman) patches(body string) {
	m.t.Helper()
	m.call(http.MethodPatch, "/subscriptions/"+m.subscription, body)
}

// lives are what happens to customers, by day.
var lives = map[string]map[int]func(*townsman){
	"ann": {0: func(m *townsman) { m.buys("pack10", goodCard) }, 50: func(m *townsman) { m.buys("pack9", goodCard) }},
	"ben": {0: func(m *townsman) { m.buys("pack9", goodCard) }, 20: func(m *townsman) { m.refunded(300) }, 30: func(m *townsman) { m.refunded(0) }},
	"cat": {0: func(m *townsman) { m.buys("pack9", goodCard) }, 20: func(m *townsman) { m.refunded(100) }, 25: func(m *townsman) { m.refunded(100) }},
	"dan": {0: func(m *townsman) { m.buys("pack10", goodCard) }, 40: func(m *townsman) { m.disputes("") }},
	"eve": {0: func(m *townsman) { m.buys("pack10", goodCard) }, 40: func(m *townsman) { m.disputes(dodosim.DisputeWon) }},
	"fay": {0: func(m *townsman) { m.buys("pack10", goodCard) }, 40: func(m *townsman) { m.disputes(dodosim.DisputeLost) }},
	"gil": {0: func(m *townsman) { m.buys("monthly", goodCard) }},
	"hal": {0: func(m *townsman) { m.buys("monthly", goodCard) }, 80: func(m *townsman) { m.patches(`{"cancel_at_next_billing_date":true}`) }},
	"ida": {0: func(m *townsman) { m.buys("keep", goodCard) }, 40: func(m *townsman) { m.patches(`{"status":"cancelled"}`) }},
	"jon": {0: func(m *townsman) { m.buys("keep", goodCard) }, 35: func(m *townsman) { m.patches(`{"status":"paused"}`) }, 50: func(m *townsman) { m.patches(`{"status":"active"}`) }},
	"kim": {0: func(m *townsman) { m.buys("monthly", goodCard) }, 75: func(m *townsman) {
		m.call(http.MethodPost, "/subscriptions/"+m.subscription+"/change-plan", `{"product_id":"pdt_team","quantity":1,"proration_billing_mode":"full_immediately"}`)
	}},
	"leo": {0: func(m *townsman) { m.buys("keep", goodCard) }},
	"mia": {0: func(m *townsman) { m.buys("keep", goodCard) }, 25: func(m *townsman) { m.refunded(0) }},
	"ned": {0: func(m *townsman) { m.buys("keep", goodCard) }, 45: func(m *townsman) { m.disputes(dodosim.DisputeLost) }},
	"oda": {0: func(m *townsman) { m.buys("keep", dodosim.CardFailsLater) }, 45: func(m *townsman) {
		_, err := m.sim.ReplaceCard(m.subscription, goodCard)
		must(m.t, err)
	}},
	"pia": {0: func(m *townsman) { m.buys("try", goodCard) }, 90: func(m *townsman) { m.buys("pro30", goodCard) }},
	"ray": {0: func(m *townsman) { m.order(m.name, "pack10") }},
	"sam": {0: func(m *townsman) { m.buys("keep", goodCard) }, 10: func(m *townsman) { m.buys("keep", goodCard) }, 70: func(m *townsman) { m.patches(`{"status":"cancelled"}`) }},
	"uma": {0: func(m *townsman) {
		m.subscribes("pdt_monthly", `,"addons":[{"addon_id":"adn_extra","quantity":2},{"addon_id":"adn_seat","quantity":1}]`, "")
	}},
	"vic": {
		0: func(m *townsman) {
			m.subscribes("pdt_metered", "", `,"subscription_data":{"on_demand":{"mandate_only":true}}`)
		},
		10: func(m *townsman) { m.isCharged(1250) }, 45: func(m *townsman) { m.isCharged(777) }, 90: func(m *townsman) { m.isCharged(500) },
	},
	"abe": {0: func(m *townsman) { m.buys("yearly", goodCard) }},
	"bea": {0: func(m *townsman) { m.buys("yearly", goodCard) }, 25: func(m *townsman) { m.refunded(9_500) }},
	"wes": {0: func(m *townsman) { m.buys("yearly", goodCard) }, 40: func(m *townsman) { m.patches(`{"status":"cancelled"}`) }},
	"xia": {0: func(m *townsman) { m.buys("yearly", goodCard) }, 35: func(m *townsman) { m.patches(`{"status":"paused"}`) }, 50: func(m *townsman) { m.patches(`{"status":"active"}`) }},
	"yan": {0: func(m *townsman) { m.buys("yearly", goodCard) }, 35: func(m *townsman) { m.patches(`{"status":"paused"}`) }},
	"zoe": {0: func(m *townsman) { m.buys("pass", goodCard) }, 25: func(m *townsman) { m.refunded(9_500) }},
	"tea": {80: func(m *townsman) { m.buys("keep", goodCard) }, 85: func(m *townsman) { m.patches(`{"status":"cancelled"}`) }},
}

// townLives lets everybody live in a new town, in which webhooks go wrong.
func townLives(t *testing.T, backend string, wrong dodosim.Mischief) *story {
	t.Helper()
	s := tellOf(t, backend, settings{products: townProducts, addons: storyAddons})
	s.sim.SetMischief(wrong)
	names := slices.Sorted(maps.Keys(lives))
	town := make(map[string]*townsman)
	for today := 0; today <= 100; today += 5 {
		for _, name := range names {
			if town[name] == nil {
				town[name] = &townsman{story: s, name: name}
			}
			if act := lives[name][today]; act != nil {
				act(town[name])
			}
		}
		s.flush()
		s.set(s.now().Add(5 * day))
		s.sim.Tick()
		s.flush()
	}
	return s
}

// register is what everybody has: what requests see, and the ledger.
func (s *story) register() map[string]string {
	s.t.Helper()
	all := make(map[string]string)
	for name := range lives {
		a, err := s.store.Account(s.t.Context(), name)
		must(s.t, err)
		var grants []string
		for _, g := range a.Ledger.Grants {
			if g.Due(s.now()) {
				g.Left, g.Waiting = g.Waiting, 0
			}
			if g.Waiting > 0 {
				grants = append(grants, fmt.Sprintf("%d from %s until %s", g.Waiting, g.StartsAt.Format(time.DateOnly), g.ExpiresAt.Format(time.DateOnly)))
			}
			if g.Left > 0 && !g.Expired(s.now()) {
				grants = append(grants, fmt.Sprintf("%d of %d from %s until %s", g.Left, g.Amount, g.CreatedAt.Format(time.DateOnly), g.ExpiresAt.Format(time.DateOnly)))
			}
		}
		slices.Sort(grants)
		entries, err := s.store.Entries(s.t.Context(), name, store.Page{After: 0, Limit: 1000})
		must(s.t, err)
		var sum int64
		for _, e := range entries {
			sum += e.Amount
		}
		if sum != a.Ledger.Balance() {
			s.t.Errorf("%s has a balance of %d and entries that add up to %d", name, a.Ledger.Balance(), sum)
		}
		all[name] = fmt.Sprintf("%s, owes %d, %s", s.account(name), a.Ledger.Debt, strings.Join(grants, "; "))
	}
	return all
}

// same wants everybody to have the same as in another register.
func (s *story) same(what string, want map[string]string) {
	s.t.Helper()
	got := s.register()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			s.t.Errorf("%s: %s has\n%s, not\n%s", what, name, got[name], want[name])
		}
	}
}

// TestTown: three of ten webhooks are lost for good, others come twice or under
// another id. One pass gives everybody what they have where none was lost, and an
// empty store gets it back from Dodo alone.
func TestTown(t *testing.T) {
	for _, backend := range []string{"bolt", "redis"} {
		t.Run(backend, func(t *testing.T) {
			want := townLives(t, backend, dodosim.Mischief{}).register()
			s := townLives(t, backend, dodosim.Mischief{Seed: 11, Drop: 0.3, Duplicate: 0.2, NewID: 0.1})
			if maps.Equal(s.register(), want) {
				t.Error("nothing was lost")
			}
			s.reconcile()
			s.same("after a pass", want)
			s.store = store.Client{Store: s.newStore(t, backend)}
			s.gate = s.newGateway(settings{products: townProducts, addons: storyAddons, clock: s.Clock})
			s.rebuild()
			s.same("in an empty store", want)
			if again := s.rebuild(); again.Applied != 0 {
				t.Errorf("again it did %+v", again)
			}
		})
	}
}
