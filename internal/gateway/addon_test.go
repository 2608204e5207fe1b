package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
)

// addons is the list that a subscription has of its add-ons: id, quantity, id, quantity.
func addons(pairs ...any) []any {
	list := []any{}
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, map[string]any{"addon_id": pairs[i], "quantity": pairs[i+1]})
	}
	return list
}

// seats wants how many seats alice has.
func (s *story) seats(want int64) {
	s.t.Helper()
	snap, err := s.Entitlement(s.t.Context(), "alice")
	must(s.t, err)
	if snap.Seats != want {
		s.t.Errorf("alice has %d seats, want %d", snap.Seats, want)
	}
}

// parkedFor wants what is parked, by reason, after everything was tried again.
func (s *story) parkedFor(want map[string]int) {
	s.t.Helper()
	done, err := s.RedriveAll(s.t.Context())
	must(s.t, err)
	if len(done.Parked) != len(want) {
		s.t.Errorf("parked: %v, want %v", done.Parked, want)
	}
	for reason, n := range want {
		if done.Parked[reason] != n {
			s.t.Errorf("parked: %v, want %v", done.Parked, want)
		}
	}
}

// sells replaces the catalog, as a reload of the config does.
func (s *story) sells(addons []config.Addon, change func(*config.Product)) {
	s.t.Helper()
	changed := append([]config.Product(nil), storyProducts...)
	for i := range changed {
		if change != nil {
			change(&changed[i])
		}
	}
	s.gate = s.newGateway(settings{products: changed, addons: addons, clock: s.Clock})
}

var addonStories = map[string]func(s *story){
	"add-ons": func(s *story) {
		sub := s.subscription("addons", addons("adn_extra", 3, "adn_seat", 2), "currency", "USD", "recurring_pre_tax_amount", 900)
		s.wants(s.send("subscription.active", sub), gateway.Applied)
		s.wants(s.send("payment.succeeded", s.charge("pay_1")), gateway.Applied)
		s.sees("3500 team active true")
		s.plans("team", "pro")
		s.features("audit")
		s.seats(4)
		s.set(s.now().Add(30 * day))
		s.send("subscription.renewed", s.subscription("addons", addons("adn_extra", 1), "currency", "USD", "recurring_pre_tax_amount", 900))
		s.send("payment.succeeded", s.charge("pay_2"))
		s.sees("1500 pro active true")
		s.features()
		s.seats(0)
		s.parkedFor(nil)
	},
	"add-on bought within a period": func(s *story) {
		said := func(price int, changes ...any) map[string]any {
			return s.subscription(append([]any{"currency", "USD", "recurring_pre_tax_amount", price}, changes...)...)
		}
		sub := said(900)
		s.send("subscription.active", sub)
		s.send("payment.succeeded", s.charge("pay_1"))
		s.set(s.now().Add(day))
		with := with(sub, "addons", addons("adn_extra", 1, "adn_seat", 1), "recurring_pre_tax_amount", 1900)
		s.send("subscription.plan_changed", with)
		s.sees("500 team active true")
		s.seats(2)
		s.set(s.now().Add(time.Minute))
		s.send("payment.succeeded", s.charge("pay_2", "total_amount", 1000))
		s.send("subscription.updated", with)
		s.sees("1500 team active true")
		s.send("refund.succeeded", refundOf("pay_2", "amount", 1000))
		s.sees("500 team active true")
		s.parkedFor(nil)
	},
	"unknown add-on": func(s *story) {
		sub := s.subscription("addons", addons("adn_extra", 1, "adn_new", 3))
		s.wants(s.send("subscription.active", sub), gateway.Parked)
		s.wants(s.send("payment.succeeded", s.charge("pay_1")), gateway.Parked)
		s.sees("1500 pro active true")
		s.parkedFor(map[string]int{gateway.ReasonUnknownAddon: 4})
		s.sells(append(storyAddons, config.Addon{Name: "new", ID: "adn_new", Credits: 10, Seats: 1}), nil)
		s.parkedFor(nil)
		s.sees("1530 pro active true")
		s.seats(3)
	},
	"charge on demand": func(s *story) {
		s.onDemand("pdt_metered")
		s.sees("0 pro active true")
		s.set(s.now().Add(day))
		s.wants(s.send("payment.succeeded", s.charge("pay_2", "total_amount", 1320, "tax", 66)), gateway.Applied)
		s.sees("250 pro active true") // of 12.54
		s.set(s.now().Add(day))
		s.wants(s.send("payment.succeeded", s.charge("pay_3", "total_amount", 500)), gateway.Applied)
		s.sees("350 pro active true")
		s.send("refund.succeeded", refundOf("pay_2", "amount", 660, "is_partial", true))
		s.sees("225 pro active true")
		s.send("refund.succeeded", refundOf("pay_3", "refund_id", "ref_2", "amount", 500))
		s.sees("125 pro active true")
		s.set(s.now().Add(100 * day))
		s.sees("125 none expired true") // they do not end with a period
		s.parkedFor(nil)
	},
	"charge on demand in another currency": func(s *story) {
		s.onDemand("pdt_metered")
		s.set(s.now().Add(day))
		s.wants(s.send("payment.succeeded", s.charge("pay_2", "currency", "EUR")), gateway.Parked)
		s.sees("0 pro active true")
		s.parkedFor(map[string]int{gateway.ReasonGivesNothing: 2})
		s.sells(storyAddons, func(p *config.Product) {
			if p.OnCharge != nil {
				p.OnCharge = config.Rates{"EUR": {Credits: 1, Amount: 100}}
			}
		})
		s.parkedFor(nil)
		s.sees("9 pro active true")
	},
	"charge on demand that gives nothing": func(s *story) {
		s.onDemand("pdt_monthly")
		s.sees("500 pro active true")
		s.set(s.now().Add(day))
		s.wants(s.send("payment.succeeded", s.charge("pay_2")), gateway.Parked)
		s.sees("500 pro active true")
		s.parkedFor(map[string]int{gateway.ReasonGivesNothing: 2})
		s.wants(s.send("refund.succeeded", refundOf("pay_2")), gateway.Applied)
		s.parkedFor(nil)
		s.sees("500 pro active true")
	},
	"charge that no rule counts": func(s *story) {
		sub := s.subscription("product_id", "pdt_reports", "currency", "USD", "recurring_pre_tax_amount", 900)
		s.send("subscription.active", sub)
		s.wants(s.send("payment.succeeded", s.charge("pay_1")), gateway.Applied)
		s.set(s.now().Add(day))
		s.wants(s.send("payment.succeeded", s.charge("pay_2", "total_amount", 300)), gateway.Parked)
		s.parkedFor(map[string]int{gateway.ReasonGivesNothing: 2})
		s.wants(s.send("payment.succeeded", s.charge("pay_3", "total_amount", 0)), gateway.Applied)
		s.set(s.now().Add(time.Minute))
		s.send("subscription.plan_changed", with(sub, "product_id", "pdt_monthly", "recurring_pre_tax_amount", 1200))
		s.sees("500 pro active true")
		s.parkedFor(nil)
	},
	"product that gives nothing": func(s *story) {
		s.sells(storyAddons, func(p *config.Product) {
			if p.Name == "export" {
				p.Credits, p.OnCharge = 0, config.Rates{"USD": {Credits: 1, Amount: 1}}
			}
		})
		s.wants(s.send("payment.succeeded", s.payment("pdt_export", "product_cart", []any{
			map[string]any{"product_id": "pdt_export", "quantity": 2}, map[string]any{"product_id": "pdt_pack10", "quantity": 1},
		})), gateway.Parked)
		s.sees("10 none none true")
		s.wants(s.send("payment.succeeded", s.payment("pdt_export", "payment_id", "pay_2", "total_amount", 0)), gateway.Applied)
		s.parkedFor(map[string]int{gateway.ReasonGivesNothing: 2})
		s.sells(storyAddons, nil)
		s.parkedFor(nil)
		s.sees("12 none none true")
	},
}

// onDemand is a story after the mandate of a subscription on demand.
func (s *story) onDemand(product string) {
	s.t.Helper()
	s.wants(s.send("subscription.active", s.subscription("product_id", product, "on_demand", true)), gateway.Applied)
	s.wants(s.send("payment.succeeded", s.charge("pay_1", "total_amount", 0)), gateway.Applied)
}

// checksOut opens a checkout at the simulated Dodo as our own does, but with more in it.
func (s *story) checksOut(account, product, inCart, more string) dodosim.Attempt {
	s.t.Helper()
	name := strings.TrimPrefix(product, "pdt_")
	proof, err := json.Marshal(s.proof(s.order(account, name).ID, account, name))
	must(s.t, err)
	session := s.call(http.MethodPost, "/checkouts",
		`{"product_cart":[{"product_id":"`+product+`","quantity":1`+inCart+`}],"metadata":`+string(proof)+more+`}`)
	attempt, err := s.sim.Pay(session["session_id"].(string), goodCard)
	must(s.t, err)
	return attempt
}

// TestAddonsAtTheSimulator: bought with the subscription, renewed, changed and dropped, in
// both readings of what a change does to the dates; and the same from Dodo alone.
func TestAddonsAtTheSimulator(t *testing.T) {
	for _, keeps := range []bool{false, true} {
		for _, backend := range []string{"bolt", "redis"} {
			t.Run(fmt.Sprintf("%s/keeps the dates %v", backend, keeps), func(t *testing.T) {
				with := settings{products: storyProducts, addons: storyAddons, behavior: dodosim.Behavior{ProratedKeepsCycle: keeps}}
				s := tellOf(t, backend, with)
				sub := s.checksOut("alice", "pdt_monthly", `,"addons":[{"addon_id":"adn_extra","quantity":1},{"addon_id":"adn_seat","quantity":2}]`, "").SubscriptionID
				s.flush()
				s.sees("1500 team active true")
				s.seats(4)
				s.set(s.now().Add(31 * day))
				s.sim.Tick()
				s.flush()
				s.sees("1500 team active true") // the first period's have ended
				change := func(addons, mode string) {
					s.set(s.now().Add(day))
					s.call(http.MethodPost, "/subscriptions/"+sub+"/change-plan",
						`{"product_id":"pdt_monthly","quantity":1,"proration_billing_mode":"`+mode+`","addons":[`+addons+`]}`)
					s.flush()
				}
				change(`{"addon_id":"adn_extra","quantity":3}`, "do_not_bill")
				s.sees("1500 pro active true") // nobody paid for the two
				s.seats(0)
				change("", "do_not_bill")
				change(`{"addon_id":"adn_extra","quantity":3}`, "difference_immediately")
				snap, err := s.Entitlement(t.Context(), "alice")
				must(t, err)
				if snap.Credits <= 1500 || snap.Credits > 1500+3000+1500 {
					t.Errorf("alice has %d credits after a change that was paid", snap.Credits)
				}
				s.parkedFor(nil)
				want := s.account("alice")
				s.reconcile()
				s.store = store.Client{Store: s.newStore(t, backend)}
				with.clock = s.Clock
				s.gate = s.newGateway(with)
				s.rebuild()
				s.seats(0)
				if got := s.account("alice"); !strings.Contains(got, " pro active ") {
					t.Errorf("an empty store says %s, and before it was %s", got, want)
				}
			})
		}
	}
}

// TestChargesOnDemandAtTheSimulator: each charge gives its own credits, also if its webhook
// was lost, and a refund takes back its own.
func TestChargesOnDemandAtTheSimulator(t *testing.T) {
	for _, backend := range []string{"bolt", "redis"} {
		t.Run(backend, func(t *testing.T) {
			with := settings{products: storyProducts, addons: storyAddons}
			s := tellOf(t, backend, with)
			sub := s.checksOut("alice", "pdt_metered", "", `,"subscription_data":{"on_demand":{"mandate_only":false,"product_price":700}}`).SubscriptionID
			s.flush()
			s.sees("140 pro active true")
			charge := func(cents int) string {
				s.set(s.now().Add(day))
				return s.call(http.MethodPost, "/subscriptions/"+sub+"/charge", fmt.Sprintf(`{"product_price":%d}`, cents))["payment_id"].(string)
			}
			second := charge(1000)
			s.flush()
			s.sees("340 pro active true")
			s.sim.SetMischief(dodosim.Mischief{Seed: 1, Drop: 1})
			charge(333)
			s.flush()
			s.sim.SetMischief(dodosim.Mischief{})
			s.sees("340 pro active true")
			s.reconcile()
			s.sees("406 pro active true")
			_, err := s.sim.Refund(second, 500)
			must(t, err)
			s.flush()
			s.sees("306 pro active true")
			_, err = s.sim.Refund(second, 0)
			must(t, err)
			s.flush()
			s.sees("206 pro active true")
			s.parkedFor(nil)
			s.store = store.Client{Store: s.newStore(t, backend)}
			with.clock = s.Clock
			s.gate = s.newGateway(with)
			s.rebuild()
			s.sees("206 pro active true")
		})
	}
}

// TestSubscriptionWithAddons: three pieces of an add-on that the catalog does not have are
// seen, with the plan of the product, and give their credits once it is there.
func TestSubscriptionWithAddons(t *testing.T) {
	text, err := os.ReadFile("testdata/subscription-with-addons.json")
	must(t, err)
	for _, backend := range []string{"bolt", "redis"} {
		t.Run(backend, func(t *testing.T) {
			pro := []config.Product{{Name: "pro", ID: "pdt_pro", Plan: "pro", Credits: 500}}
			s := tellOf(t, backend, settings{products: pro})
			proof, err := json.Marshal(s.proof("ord_AAAAAAAAAAAAAAAAAAAAAA", "alice", "pro"))
			must(t, err)
			body := strings.NewReplacer(
				"@NOW@", s.now().Format(time.RFC3339), "@IN30D@", s.now().Add(30*day).Format(time.RFC3339), `"@METADATA@"`, string(proof),
			).Replace(string(text))
			header, raw := signedAt(t, "msg_case", body, s.now())
			outcome, err := s.HandleEvent(t.Context(), header, raw)
			must(t, err)
			s.wants(outcome, gateway.Parked)
			s.sees("500 pro active true")
			s.parkedFor(map[string]int{gateway.ReasonUnknownAddon: 1})
			s.gate = s.newGateway(settings{products: pro, clock: s.Clock, addons: []config.Addon{
				{Name: "extra", ID: "adn_extra_1000_credits", Credits: 1000, Seats: 1},
			}})
			s.parkedFor(nil)
			s.sees("3500 pro active true")
			s.seats(3)
		})
	}
}
