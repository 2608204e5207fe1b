package gateway_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/boltstore"
	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// story is an account's life, told in events.
type story struct {
	*world
	*hands
	n int // events so far

	mu   sync.Mutex
	dodo map[string]map[string]any // by path, what Dodo says of objects of the story; nil: nothing
}

var storyProducts = append([]config.Product{
	{Name: "monthly", ID: "pdt_monthly", Plan: "pro", Credits: 500},
	{Name: "team", ID: "pdt_team", Plan: "team", Credits: 800},
	{Name: "reports", ID: "pdt_reports", Plan: "pro"},
	{Name: "yearly", ID: "pdt_year", Plan: "yearly", Credits: 100, CreditsEvery: config.EveryMonth},
	{Name: "pass", ID: "pdt_pass", Plan: "yearly", Lasts: config.Duration(365 * 24 * time.Hour), Credits: 100, CreditsEvery: config.EveryMonth},
	{Name: "export", ID: "pdt_export", Credits: 1},
	{Name: "metered", ID: "pdt_metered", Plan: "pro", Credits: 7, OnCharge: config.Rates{"USD": {Credits: 100, Amount: 500}}},
	{Name: "both", ID: "pdt_both", Plan: "pro", Lasts: config.Duration(30 * 24 * time.Hour), Credits: 9},
}, products...)

var storyAddons = []config.Addon{
	{Name: "extra", ID: "adn_extra", Credits: 1000},
	{Name: "seat", ID: "adn_seat", Seats: 2, Plan: "team", Feature: "audit"},
}

const day = 24 * time.Hour

// tell begins a story on a store, with a clock that only the story moves.
func tell(t *testing.T, backend string, policy config.DisputePolicy) *story {
	t.Helper()
	return tellOf(t, backend, settings{products: storyProducts, addons: storyAddons, disputes: policy})
}

func tellOf(t *testing.T, backend string, with settings) *story {
	t.Helper()
	s := &story{hands: newHands(), dodo: make(map[string]map[string]any)}
	with.clock = s.now
	if with.between == nil {
		with.between = s.answers
	}
	s.world = newWorld(t, s.newStore(t, backend), with)
	return s
}

// dodoSays is what Dodo says of an object from now on; nil is that it is away.
func (s *story) dodoSays(path string, data map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dodo[path] = data
}

// answers is a Dodo that says of the story's subscriptions what their last event said, or
// what it was told to.
func (s *story) answers(simulated http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		var answer any
		said, ours := s.dodo[r.URL.Path]
		switch subscription := r.URL.Query().Get("subscription_id"); {
		case r.Method == http.MethodGet && ours:
			answer = said
		case r.URL.Path == "/payments" && subscription != "":
			items := []any{}
			for _, p := range s.dodo {
				if p["payment_id"] != nil && p["subscription_id"] == subscription {
					items = append(items, p)
				}
			}
			answer = map[string]any{"items": items}
		default:
			simulated.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if ours && said == nil {
			w.WriteHeader(http.StatusForbidden)
		}
		_ = json.NewEncoder(w).Encode(answer)
	})
}

// newStore is an empty store by the story's clock.
func (s *story) newStore(t *testing.T, backend string) store.Store {
	t.Helper()
	if backend == "bolt" {
		db, err := boltstore.Open(t.TempDir()+"/dodogate.db", boltstore.Options{Clock: s.now})
		must(t, err)
		t.Cleanup(func() { _ = db.Close() })
		return db
	}
	db, err := redisstore.Open(t.Context(), redisstore.Options{URL: "redis://" + redistest.Start(t).Addr, Clock: s.now, Timeout: 10 * time.Second})
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// send delivers an event about alice, twice, now.
func (s *story) send(eventType string, data map[string]any) gateway.Outcome {
	s.t.Helper()
	s.n++
	first := s.deliverAs(fmt.Sprintf("msg_%d", s.n), eventType, data)
	s.deliverAs(fmt.Sprintf("msg_%d_again", s.n), eventType, data)
	return first
}

func (s *story) deliverAs(id, eventType string, data map[string]any) gateway.Outcome {
	s.t.Helper()
	body, err := json.Marshal(map[string]any{"type": eventType, "business_id": data["business_id"], "timestamp": s.now(), "data": data})
	must(s.t, err)
	if strings.HasPrefix(eventType, "subscription.") {
		s.dodoSays(fmt.Sprint("/subscriptions/", data["subscription_id"]), data)
	}
	header, raw := signedAt(s.t, id, string(body), s.now())
	outcome, err := s.HandleEvent(s.t.Context(), header, raw)
	must(s.t, err)
	return outcome
}

// with is data with some fields changed.
func with(data map[string]any, changes ...any) map[string]any {
	data = maps.Clone(data)
	for i := 0; i < len(changes); i += 2 {
		data[changes[i].(string)] = changes[i+1]
	}
	return data
}

// payment is a payment of alice's over 9.00 USD for one piece of a product.
func (s *story) payment(product string, changes ...any) map[string]any {
	return with(map[string]any{
		"payment_id": "pay_1", "status": "succeeded", "total_amount": 900, "currency": "USD", "created_at": s.now(),
		"product_cart": []any{map[string]any{"product_id": product, "quantity": 1}},
		"metadata":     s.proof("ord_AAAAAAAAAAAAAAAAAAAAAA", "alice", product),
	}, changes...)
}

// charge is a payment of alice's subscription.
func (s *story) charge(id string, changes ...any) map[string]any {
	return s.payment("", append([]any{"payment_id", id, "product_cart", nil, "subscription_id", "sub_1"}, changes...)...)
}

// subscription is alice's, in the period that begins now.
func (s *story) subscription(changes ...any) map[string]any {
	return with(map[string]any{
		"subscription_id": "sub_1", "status": "active", "product_id": "pdt_monthly", "quantity": 1,
		"created_at": s.now(), "previous_billing_date": s.now(), "next_billing_date": s.now().Add(30 * day),
		"metadata": s.proof("ord_AAAAAAAAAAAAAAAAAAAAAA", "alice", "monthly"),
	}, changes...)
}

func refundOf(payment string, changes ...any) map[string]any {
	return with(map[string]any{
		"refund_id": "ref_1", "payment_id": payment, "status": "succeeded", "amount": 900, "currency": "USD", "is_partial": false,
	}, changes...)
}

func disputeOf(payment, status string) map[string]any {
	return map[string]any{"dispute_id": "dp_1", "payment_id": payment, "dispute_status": "dispute_" + status, "amount": "900", "currency": "USD"}
}

// grant is one of a feature for alice's subscription, as it is now.
func (s *story) grant(id, status, feature string, changes ...any) map[string]any {
	return with(map[string]any{
		"id": id, "customer_id": "cus_1", "subscription_id": "sub_1", "status": status, "integration_type": "feature_flag", "metadata": nil,
		"created_at": s.now(), "updated_at": s.now(), "feature": map[string]any{"feature_type": "boolean", "feature_id": feature},
	}, changes...)
}

// features wants the features that alice's requests see.
func (s *story) features(want ...string) {
	s.t.Helper()
	snap, err := s.Entitlement(s.t.Context(), "alice")
	must(s.t, err)
	if !slices.Equal(snap.Features, want) {
		s.t.Errorf("alice has the features %q, want %q", snap.Features, want)
	}
}

// sees wants what alice's requests see: "credits plan status paid".
func (s *story) sees(want string) {
	s.t.Helper()
	snap, err := s.Entitlement(s.t.Context(), "alice")
	must(s.t, err)
	if got := fmt.Sprintf("%d %s %s %v", snap.Credits, snap.Plan, snap.PlanStatus, snap.HasPaid); got != want {
		s.t.Errorf("alice sees %q, want %q", got, want)
	}
}

func (s *story) wants(got, want gateway.Outcome) {
	s.t.Helper()
	if got != want {
		s.t.Errorf("the event was %s, want %s", got, want)
	}
}

// isOwed wants alice to be asked to wait, or to be refused, when she lacks something.
func (s *story) isOwed(want bool) {
	s.t.Helper()
	now, _, err := s.ConfirmAccount(s.t.Context(), "alice")
	must(s.t, err)
	if now.Owed() != want {
		s.t.Errorf("it is owed: %v, want %v", now.Owed(), want)
	}
}

// spend takes some of alice's credits.
func (s *story) spend(id string, amount int64) {
	s.t.Helper()
	held, err := s.store.Hold(s.t.Context(), book.Hold{Account: "alice", ID: id, By: "a test", Amount: amount, TTL: time.Hour})
	must(s.t, err)
	done, err := s.store.End(s.t.Context(), book.End{Account: "alice", ID: id, By: "a test", Captured: amount})
	must(s.t, err)
	if held.Outcome != book.HoldPlaced || !done.Found || done.Captured != amount {
		s.t.Fatalf("spent %d: %+v, %+v", amount, held, done)
	}
}

// owes wants what alice owes.
func (s *story) owes(want int64) {
	s.t.Helper()
	a, err := s.store.Account(s.t.Context(), "alice")
	must(s.t, err)
	if a.Ledger.Debt != want {
		s.t.Errorf("alice owes %d credits, want %d", a.Ledger.Debt, want)
	}
}

// lastEntry wants the newest line of alice's history.
func (s *story) lastEntry(kind ledger.Kind, amount, balance int64) {
	s.t.Helper()
	h, err := s.History(s.t.Context(), "alice", 0, 1)
	must(s.t, err)
	if len(h.Entries) != 1 {
		s.t.Fatalf("alice's history is %+v", h)
	}
	if e := h.Entries[0]; e.Kind != kind || e.Amount != amount || e.Balance != balance {
		s.t.Errorf("the newest entry is %+v, want %s of %d and then %d", e, kind, amount, balance)
	}
}

// subscribed is a story after the first charge.
func (s *story) subscribed() map[string]any {
	sub := s.subscription()
	s.send("subscription.active", sub)
	s.send("payment.succeeded", s.charge("pay_1"))
	s.send("subscription.renewed", sub)
	return sub
}

// second is another subscription of alice's, to a higher plan.
func (s *story) second() map[string]any {
	return s.subscription("subscription_id", "sub_2", "product_id", "pdt_team", "metadata", s.proof("ord_BBBBBBBBBBBBBBBBBBBBBB", "alice", "team"))
}

// plans wants all plans of alice's, the highest first.
func (s *story) plans(want ...string) {
	s.t.Helper()
	snap, err := s.Entitlement(s.t.Context(), "alice")
	must(s.t, err)
	if !slices.Equal(snap.PlanNames(), want) {
		s.t.Errorf("alice has the plans %q, want %q", snap.PlanNames(), want)
	}
}

// yearly is alice's subscription for a year, which gives its credits monthly.
func (s *story) yearly() map[string]any {
	s.t.Helper()
	sub := s.subscription("product_id", "pdt_year", "next_billing_date", s.now().AddDate(1, 0, 0), "payment_frequency_count", 1, "payment_frequency_interval", "Year")
	s.send("subscription.active", sub)
	s.send("payment.succeeded", s.charge("pay_1", "total_amount", 1200))
	s.send("subscription.renewed", sub)
	s.sees("100 yearly active true")
	return sub
}

var eventStories = map[string]func(s *story){
	"first charge, credits every month": func(s *story) {
		first := s.now()
		s.yearly()
		s.spend("h1", 100)
		for k := 1; k < 12; k++ {
			s.set(first.AddDate(0, k, 0).Add(-time.Millisecond))
			s.sees("0 yearly active true")
			s.set(s.now().Add(time.Millisecond))
			s.sees("100 yearly active true")
			s.spend(fmt.Sprint("h", k+1), 100)
		}
		s.set(first.AddDate(1, 0, 0))
		s.sees("0 none expired false")
		s.owes(0)
	},
	"renewal, credits every month": func(s *story) {
		s.yearly()
		s.set(s.now().AddDate(1, 0, 0))
		s.send("payment.succeeded", s.charge("pay_2", "total_amount", 1200))
		s.send("subscription.renewed", s.subscription("product_id", "pdt_year", "next_billing_date", s.now().AddDate(1, 0, 0)))
		s.sees("100 yearly active true")
		s.set(s.now().AddDate(0, 7, 0))
		s.sees("100 yearly active true")
	},
	"month of a plan that gives no access": func(s *story) {
		first := s.now()
		sub := s.yearly()
		s.set(first.AddDate(0, 1, 3))
		s.send("subscription.on_hold", with(sub, "status", "on_hold"))
		s.sees("100 none on_hold false")
		s.set(first.AddDate(0, 3, 3))
		s.sees("0 none on_hold false")
		s.send("subscription.on_hold", with(sub, "status", "on_hold"))
		s.sees("0 none on_hold false")
		s.send("subscription.active", sub)
		s.sees("100 yearly active true")
		s.set(first.AddDate(0, 4, 3))
		s.send("subscription.cancelled", with(sub, "status", "cancelled", "cancelled_at", s.now()))
		s.sees("100 none cancelled false")
		s.set(first.AddDate(0, 5, 3))
		s.sees("0 none cancelled false")
		s.owes(0)
	},
	"pause, credits every month": func(s *story) {
		first := s.now()
		sub := s.yearly()
		s.set(first.AddDate(0, 1, 3))
		s.send("subscription.paused", with(sub, "status", "paused", "paused_at", s.now()))
		s.spend("h1", 60)
		s.set(first.AddDate(0, 3, 3))
		s.sees("0 none paused false")
		s.send("subscription.unpaused", with(sub, "next_billing_date", first.AddDate(1, 2, 1)))
		s.sees("40 yearly active true")
		s.set(first.AddDate(0, 4, 0))
		s.sees("100 yearly active true")
		s.set(first.AddDate(1, 1, 3))
		s.sees("100 yearly active true")
	},
	"refund of a part, credits every month": func(s *story) {
		first := s.now()
		s.yearly()
		s.set(first.AddDate(0, 4, 3))
		s.spend("h1", 100)
		s.send("refund.succeeded", refundOf("pay_1", "amount", 700, "is_partial", true))
		s.sees("0 yearly active true")
		s.owes(0)
		s.set(first.AddDate(0, 5, 0))
		s.sees("0 yearly active true")
	},
	"add-ons, credits every month": func(s *story) {
		first := s.now()
		sub := s.subscription("product_id", "pdt_year", "next_billing_date", s.now().AddDate(1, 0, 0), "payment_frequency_count", 1, "payment_frequency_interval", "Year",
			"addons", addons("adn_extra", 2))
		s.send("subscription.active", sub)
		s.send("payment.succeeded", s.charge("pay_1", "total_amount", 1200))
		extra := 100 + 2*storyAddons[slices.IndexFunc(storyAddons, func(a config.Addon) bool { return a.ID == "adn_extra" })].Credits
		s.sees(fmt.Sprintf("%d yearly active true", extra))
		s.set(first.AddDate(0, 5, 0))
		s.sees(fmt.Sprintf("%d yearly active true", extra))
	},
	"change of plan, credits every month": func(s *story) {
		first := s.now()
		sub := s.yearly()
		s.gate = s.newGateway(settings{clock: s.Clock, products: append([]config.Product{
			{Name: "big", ID: "pdt_big", Plan: "big", Credits: 500, CreditsEvery: config.EveryMonth},
		}, storyProducts...)})
		s.set(first.AddDate(0, 4, 3))
		s.spend("h1", 30)
		s.send("payment.succeeded", s.charge("pay_2", "total_amount", 900))
		s.send("subscription.plan_changed", with(sub, "product_id", "pdt_big"))
		s.sees("470 big active true")
		s.set(first.AddDate(0, 5, 0))
		s.sees("500 big active true")
	},
	"pass, credits every month": func(s *story) {
		first := s.now()
		s.send("payment.succeeded", s.payment("pdt_pass"))
		s.sees("100 yearly active true")
		s.set(first.AddDate(0, 11, 0))
		s.sees("100 yearly active true")
		s.send("refund.succeeded", refundOf("pay_1", "amount", 300, "is_partial", true))
		s.sees("0 yearly active true")
		s.owes(0)
		s.set(first.AddDate(1, 0, 0))
		s.sees("0 none expired false")
	},
	"payment succeeded": func(s *story) {
		s.send("payment.succeeded", s.payment("pdt_both", "product_cart", []any{
			map[string]any{"product_id": "pdt_both", "quantity": 2}, map[string]any{"product_id": "pdt_pack10", "quantity": 3},
		}))
		s.sees("48 pro active true")
		s.set(s.now().Add(60*day - time.Second))
		s.sees("48 pro active true")
		s.set(s.now().Add(time.Second))
		s.sees("48 none expired true")
	},
	"payment failed, processing or cancelled": func(s *story) {
		for _, status := range []string{"failed", "processing", "cancelled"} {
			s.send("payment."+status, s.payment("pdt_both", "status", status))
			s.sees("0 none none false")
		}
	},
	"too little was paid": func(s *story) {
		s.gate = s.newGateway(settings{clock: s.Clock, products: []config.Product{
			{Name: "pack10", ID: "pdt_pack10", Credits: 10, MinAmount: config.Amounts{"USD": 500, "EUR": 450}},
		}})
		for i, paid := range []map[string]any{
			s.payment("pdt_pack10", "total_amount", 499), s.payment("pdt_pack10", "total_amount", 500, "tax", 80),
			s.payment("pdt_pack10", "currency", "JPY", "total_amount", 80_000),
		} {
			s.wants(s.send("payment.succeeded", with(paid, "payment_id", fmt.Sprintf("pay_short_%d", i))), gateway.Parked)
		}
		s.sees("0 none none false")
		s.send("payment.succeeded", s.payment("pdt_pack10", "currency", "EUR", "total_amount", 536, "tax", 86))
		s.sees("10 none none true")
	},
	"period for too little": func(s *story) {
		s.gate = s.newGateway(settings{clock: s.Clock, products: []config.Product{
			{Name: "monthly", ID: "pdt_monthly", Plan: "pro", Credits: 500, MinAmount: config.Amounts{"USD": 800}},
		}})
		priced := func(price int) map[string]any {
			return s.subscription("currency", "USD", "recurring_pre_tax_amount", price)
		}
		s.wants(s.send("subscription.active", priced(1)), gateway.Parked)
		s.wants(s.send("payment.succeeded", s.charge("pay_1", "total_amount", 1)), gateway.Parked)
		s.sees("0 none expired false")
		s.set(s.now().Add(30 * day))
		s.send("subscription.renewed", priced(900))
		s.sees("500 pro active true")
		s.wants(s.send("payment.succeeded", s.charge("pay_2", "total_amount", 790)), gateway.Parked)
		s.sees("0 none expired false")
	},
	"refund in full": func(s *story) {
		s.send("payment.succeeded", s.payment("pdt_both"))
		s.sees("9 pro active true")
		s.send("refund.succeeded", refundOf("pay_1"))
		s.sees("0 none none false")
	},
	"refund in part": func(s *story) {
		s.send("payment.succeeded", s.payment("pdt_both"))
		s.send("refund.succeeded", refundOf("pay_1", "amount", 301, "is_partial", true))
		s.sees("5 pro active true")
	},
	"refund failed": func(s *story) {
		s.send("payment.succeeded", s.payment("pdt_both"))
		s.send("refund.failed", refundOf("pay_1", "status", "failed"))
		s.sees("9 pro active true")
	},
	"refund before its payment": func(s *story) {
		s.wants(s.send("refund.succeeded", refundOf("pay_1", "amount", 300, "is_partial", true)), gateway.Parked)
		s.send("payment.succeeded", s.payment("pdt_both"))
		s.sees("6 pro active true")
	},
	"refund of spent credits, owed": func(s *story) {
		s.send("payment.succeeded", s.payment("pdt_both"))
		s.spend("h1", 4)
		s.sees("5 pro active true")
		s.send("refund.succeeded", refundOf("pay_1"))
		s.sees("0 none none false")
		s.owes(4)
		s.lastEntry(ledger.KindClawBack, -9, -4)
	},
	"refund of spent credits, forgiven": func(s *story) {
		s.remake(func(o *gateway.Options) { o.RefundPolicy = config.RefundFloor })
		s.send("payment.succeeded", s.payment("pdt_both"))
		s.spend("h1", 8)
		s.send("refund.succeeded", refundOf("pay_1", "amount", 300, "is_partial", true))
		s.sees("0 pro active true")
		s.lastEntry(ledger.KindClawBack, -1, 0)
		s.send("refund.succeeded", refundOf("pay_1", "refund_id", "ref_2", "amount", 600, "is_partial", true))
		s.sees("0 none none false")
		s.owes(0)
		s.lastEntry(ledger.KindClawBack, -1, 0)
		s.send("payment.succeeded", s.payment("pdt_pack10", "payment_id", "pay_2"))
		s.sees("10 none none true")
	},
	"credits while some are owed": func(s *story) {
		s.send("payment.succeeded", s.payment("pdt_pack10"))
		s.spend("h1", 10)
		s.send("refund.succeeded", refundOf("pay_1"))
		s.owes(10)
		s.send("payment.succeeded", s.payment("pdt_pack9", "payment_id", "pay_2"))
		s.sees("0 none none true")
		s.owes(1)
		s.send("payment.succeeded", s.payment("pdt_pack9", "payment_id", "pay_3"))
		s.sees("8 none none true")
		s.owes(0)
		s.lastEntry(ledger.KindGrant, 9, 8)
	},
	"dispute won after credits were spent": func(s *story) { // under both policies
		s.send("payment.succeeded", s.payment("pdt_pack10"))
		s.spend("h1", 4)
		s.sees("6 none none true")
		for _, status := range []string{"opened", "challenged"} {
			s.send("dispute."+status, disputeOf("pay_1", status))
			s.sees("0 none none false")
		}
		s.send("dispute.won", disputeOf("pay_1", "won"))
		s.sees("6 none none true")
		s.owes(0)
	},
	"dispute opened or challenged": func(s *story) {
		s.send("payment.succeeded", s.payment("pdt_both"))
		for _, status := range []string{"opened", "challenged"} {
			s.send("dispute."+status, disputeOf("pay_1", status))
			if s.DisputePolicy == config.DisputeIgnore {
				s.sees("9 pro active true")
			} else {
				s.sees("0 none none false")
			}
		}
	},
	"dispute won or cancelled": func(s *story) {
		for i, status := range []string{"won", "cancelled"} {
			payment := fmt.Sprint("pay_", i+1)
			s.send("payment.succeeded", s.payment("pdt_pack10", "payment_id", payment))
			s.send("dispute."+status, disputeOf(payment, status))
			s.send("dispute.opened", disputeOf(payment, "opened"))
			s.sees(fmt.Sprintf("%d none none true", 10*(i+1)))
		}
	},
	"dispute lost, accepted or expired": func(s *story) {
		for i, status := range []string{"lost", "accepted", "expired"} {
			payment := fmt.Sprint("pay_", i+1)
			s.send("payment.succeeded", s.payment("pdt_both", "payment_id", payment))
			s.send("dispute."+status, disputeOf(payment, status))
			s.sees("0 none none false")
		}
	},
	"unknown product": func(s *story) {
		s.wants(s.send("payment.succeeded", s.payment("pdt_new")), gateway.Parked)
		s.gate = s.newGateway(settings{products: append([]config.Product{{Name: "new", ID: "pdt_new", Credits: 4}}, storyProducts...), clock: s.Clock})
		s.redrives(2, 2)
		s.sees("4 none none true")
		s.send("payment.succeeded", s.payment("pdt_new"))
		s.sees("4 none none true")
	},
	"first charge": func(s *story) {
		s.subscribed()
		s.sees("500 pro active true")
	},
	"subscription renewed": func(s *story) {
		s.subscribed()
		s.set(s.now().Add(30 * day))
		s.send("payment.succeeded", s.charge("pay_2"))
		s.send("subscription.renewed", s.subscription())
		s.sees("500 pro active true") // the first period's have expired
		s.set(s.now().Add(29 * day))
		s.sees("500 pro active true")
	},
	"trial": func(s *story) {
		s.send("subscription.active", s.subscription("trial_period_days", 7))
		s.send("payment.succeeded", s.charge("pay_1", "total_amount", 0))
		s.sees("500 pro trialing true")
		s.set(s.now().Add(7 * day))
		s.sees("500 pro active true")
	},
	"subscription past due": func(s *story) {
		sub := s.subscribed()
		s.set(s.now().Add(30 * day))
		s.send("subscription.past_due", with(sub, "status", "past_due", "past_due_ends_at", s.now().Add(5*day)))
		s.set(s.now().Add(4 * day))
		s.sees("0 pro past_due true")
		s.set(s.now().Add(day))
		s.sees("0 none expired false")
	},
	"subscription on hold": func(s *story) {
		sub := s.subscribed()
		s.set(s.now().Add(day))
		s.send("subscription.on_hold", with(sub, "status", "on_hold"))
		s.sees("500 none on_hold false")
	},
	"subscription recovered": func(s *story) {
		sub := s.subscribed()
		s.set(s.now().Add(30 * day))
		s.send("subscription.on_hold", with(sub, "status", "on_hold"))
		s.set(s.now().Add(2 * day))
		s.send("payment.succeeded", s.charge("pay_2"))
		s.send("subscription.active", s.subscription())
		s.sees("500 pro active true")
	},
	"subscription paused, unpaused": func(s *story) {
		sub := s.subscribed()
		s.set(s.now().Add(day))
		s.send("subscription.paused", with(sub, "status", "paused"))
		s.sees("500 none paused false")
		s.set(s.now().Add(day))
		s.send("subscription.unpaused", with(sub, "next_billing_date", s.now().Add(29*day)))
		s.sees("500 pro active true")
	},
	"plan changed": func(s *story) {
		sub := s.subscribed()
		s.set(s.now().Add(day))
		s.send("subscription.plan_changed", with(sub, "product_id", "pdt_team"))
		s.send("payment.succeeded", s.charge("pay_2"))
		s.sees("800 team active true")
		s.set(s.now().Add(day))
		s.send("subscription.plan_changed", sub)
		s.sees("800 pro active true")
	},
	"renewal in processing": func(s *story) {
		sub := s.subscribed()
		s.set(s.now().Add(30 * day))
		s.send("payment.processing", s.charge("pay_2", "status", "processing"))
		s.sees("0 pro active true")
		s.set(s.now().Add(2 * day))
		s.send("payment.succeeded", s.charge("pay_2", "created_at", s.now().Add(-2*day)))
		s.send("subscription.renewed", with(sub, "previous_billing_date", s.now().Add(-2*day), "next_billing_date", s.now().Add(28*day)))
		s.sees("500 pro active true")
	},
	"subscription cancelled": func(s *story) {
		sub := s.subscribed()
		s.set(s.now().Add(day))
		s.send("subscription.cancelled", with(sub, "status", "cancelled", "cancelled_at", s.now()))
		s.sees("500 none cancelled false")
	},
	"subscription cancelled at the period's end": func(s *story) {
		sub := s.subscribed()
		s.set(s.now().Add(day))
		s.send("subscription.updated", with(sub, "cancel_at_next_billing_date", true))
		s.sees("500 pro active true")
		s.send("subscription.cancelled", with(sub, "status", "cancelled", "cancel_at_next_billing_date", true))
		s.set(s.now().Add(29*day - time.Second))
		s.sees("500 pro cancelled true")
		s.set(s.now().Add(time.Second))
		s.sees("0 none cancelled false")
	},
	"second plan": func(s *story) {
		s.subscribed()
		s.set(s.now().Add(day))
		s.send("subscription.active", s.second())
		s.send("payment.succeeded", s.charge("pay_2", "subscription_id", "sub_2"))
		s.plans("team", "pro")
		s.sees("1300 team active true")
		s.send("payment.succeeded", s.payment("pdt_both", "payment_id", "pay_3"))
		s.plans("team", "pro")
		s.set(s.now().Add(29 * day)) // sub_1's period is over, the pass runs for one more day
		s.plans("team", "pro")
		s.set(s.now().Add(day))
		s.plans()
	},
	"second plan ends": func(s *story) {
		s.subscribed()
		higher := s.second()
		s.send("subscription.active", higher)
		s.send("payment.succeeded", s.charge("pay_2", "subscription_id", "sub_2"))
		s.set(s.now().Add(day))
		s.send("subscription.on_hold", with(higher, "status", "on_hold"))
		s.plans("pro")
		s.sees("1300 pro active true")
		s.set(s.now().Add(day))
		s.send("subscription.active", with(higher, "next_billing_date", s.now().Add(300*day)))
		s.plans("team", "pro")
		s.send("refund.succeeded", refundOf("pay_2"))
		s.plans("pro")
		s.sees("500 pro active true")
	},
	"subscription failed or expired": func(s *story) {
		sub := s.subscribed()
		s.set(s.now().Add(day))
		s.send("subscription.expired", with(sub, "status", "expired"))
		s.sees("500 none expired false")
		s.send("subscription.failed", with(sub, "status", "failed", "subscription_id", "sub_2"))
		s.sees("500 none expired false")
	},
	"period over": func(s *story) {
		s.subscribed()
		s.set(s.now().Add(30*day - time.Second))
		s.sees("500 pro active true")
		s.set(s.now().Add(time.Second))
		s.sees("0 none expired false")
	},
	"renewal without an event": func(s *story) {
		sub := s.subscribed()
		s.set(s.now().Add(30 * day))
		s.dodoSays("/payments/pay_2", s.charge("pay_2"))
		s.dodoSays("/subscriptions/sub_1", with(sub, "previous_billing_date", s.now(), "next_billing_date", s.now().Add(30*day)))
		s.sees("500 pro active true")
	},
	"charge without its subscription": func(s *story) {
		s.dodoSays("/subscriptions/sub_1", nil)
		charge := s.charge("pay_1", "metadata", s.proof("ord_AAAAAAAAAAAAAAAAAAAAAA", "alice", "monthly"))
		s.send("payment.succeeded", charge)
		s.sees("0 none none false")
		s.isOwed(true)
		s.set(s.now().Add(5 * time.Minute))
		s.dodoSays("/payments/pay_1", charge)
		s.dodoSays("/subscriptions/sub_1", s.subscription())
		s.sees("500 pro active true")
	},
	"period over, nothing new": func(s *story) {
		s.gate = s.newGateway(settings{products: storyProducts, clock: s.Clock, grace: 2 * time.Hour, between: s.answers})
		s.subscribed()
		s.set(s.now().Add(30 * day))
		s.sees("0 pro active true")
		s.isOwed(false)
		s.set(s.now().Add(2*time.Hour - time.Second))
		s.sees("0 pro active true")
		s.set(s.now().Add(time.Second))
		s.sees("0 none expired false")
	},
	"period over, no answer": func(s *story) {
		s.subscribed()
		s.dodoSays("/subscriptions/sub_1", nil)
		s.set(s.now().Add(30 * day))
		s.sees("0 pro active true")
		s.isOwed(true)
		s.set(s.now().Add(time.Hour))
		s.sees("0 none expired false")
		s.isOwed(false)
	},
	"refund of a charge": func(s *story) {
		s.subscribed()
		s.send("refund.succeeded", refundOf("pay_1", "amount", 450, "is_partial", true))
		s.sees("250 pro active true")
		s.send("refund.succeeded", refundOf("pay_1", "refund_id", "ref_2", "amount", 450, "is_partial", true))
		s.sees("0 none expired false")
		s.set(s.now().Add(30 * day))
		s.send("subscription.renewed", s.subscription())
		s.send("payment.succeeded", s.charge("pay_2"))
		s.sees("500 pro active true")
	},
	"dispute of a charge": func(s *story) {
		s.subscribed()
		s.send("dispute.lost", disputeOf("pay_1", "lost"))
		s.sees("0 none expired false")
	},
	"feature granted": func(s *story) {
		s.subscribed()
		s.wants(s.send("entitlement_grant.created", s.grant("entg_1", "Delivered", "reports")), gateway.Applied)
		s.send("entitlement_grant.delivered", s.grant("entg_1", "Delivered", "reports"))
		s.send("entitlement_grant.delivered", s.grant("entg_2", "Delivered", "export"))
		s.send("entitlement_grant.created", s.grant("entg_3", "Pending", "later"))
		s.send("entitlement_grant.failed", s.grant("entg_4", "Failed", "never"))
		s.features("export", "reports")
		s.sees("500 pro active true")
	},
	"feature revoked": func(s *story) {
		s.send("payment.succeeded", s.payment("pdt_pack10"))
		granted := s.grant("entg_1", "Delivered", "reports", "subscription_id", nil, "payment_id", "pay_1")
		s.send("entitlement_grant.delivered", granted)
		s.features("reports")
		s.set(s.now().Add(day))
		revoked := with(granted, "status", "Revoked", "revoked_at", s.now(), "updated_at", s.now(), "feature", nil)
		s.send("entitlement_grant.revoked", revoked)
		s.features()
		s.send("entitlement_grant.delivered", granted)
		s.features()
		s.set(s.now().Add(day))
		s.send("entitlement_grant.delivered", with(granted, "delivered_at", s.now(), "updated_at", s.now()))
		s.send("entitlement_grant.revoked", revoked)
		s.features("reports")
		s.sees("10 none none true")
	},
	"feature before its purchase": func(s *story) {
		s.wants(s.send("entitlement_grant.delivered", s.grant("entg_1", "Delivered", "reports")), gateway.Parked)
		s.wants(s.send("entitlement_grant.delivered", s.grant("entg_2", "Delivered", "export", "subscription_id", nil, "payment_id", "pay_2")), gateway.Parked)
		s.features()
		s.send("payment.succeeded", s.charge("pay_1", "metadata", s.subscription()["metadata"])) // which makes the subscription known
		s.features("reports")
		s.send("payment.succeeded", s.payment("pdt_pack10", "payment_id", "pay_2"))
		s.features("export", "reports")
		s.redrives(0, 0)
	},
	"other events": func(s *story) {
		for _, other := range []string{
			"credit.added", "entitlement_grant.delivered", "license_key.created", "dunning.started",
			"abandoned_checkout.detected", "payout.success", "never.heard_of",
		} {
			s.wants(s.send(other, map[string]any{"customer_id": "cus_1"}), gateway.Ignored)
		}
		s.wants(s.send("entitlement_grant.delivered", s.grant("entg_1", "Delivered", "", "integration_type", "discord")), gateway.Ignored)
		s.sees("0 none none false")
	},
	"unknown types": func(s *story) {
		s.wants(s.send("payment.settled", s.payment("pdt_pack10")), gateway.Ignored)
		s.wants(s.send("subscription.started", s.subscription()), gateway.Ignored)
		s.sees("0 none none false")
		s.send("payment.succeeded", s.payment("pdt_pack10"))
		s.wants(s.send("refund.reversed", refundOf("pay_1", "status", "succeeded")), gateway.Ignored)
		s.wants(s.send("dispute.postponed", map[string]any{"dispute_id": "dsp_1", "payment_id": "pay_1", "dispute_status": "dispute_lost"}), gateway.Ignored)
		s.sees("10 none none true")
	},
	"not to be understood": func(s *story) {
		s.wants(s.send("payment.succeeded", s.payment("pdt_both", "total_amount", -1)), gateway.Parked)
		s.wants(s.send("subscription.active", s.subscription("next_billing_date", "soon")), gateway.Parked)
		s.sees("0 none none false")
		s.send("payment.succeeded", s.payment("pdt_pack10"))
		for range 2 { // also when it comes again
			s.wants(s.send("refund.succeeded", refundOf("pay_1", "currency", "JPY", "is_partial", true)), gateway.Parked)
		}
		s.sees("10 none none true")
		s.wants(s.send("payment.succeeded", s.payment("pdt_pack10")), gateway.Duplicate)
	},
}

// TestEvents tells every row of docs/events.md.
func TestEvents(t *testing.T) {
	page, err := os.ReadFile("../../docs/events.md")
	must(t, err)
	var rows []string
	for _, m := range regexp.MustCompile(`(?m)^\| ([^|]+) \|`).FindAllStringSubmatch(string(page), -1) {
		if name := strings.TrimSpace(m[1]); name != "event" {
			rows = append(rows, name)
		}
	}
	maps.Copy(eventStories, addonStories)
	if told := slices.Sorted(maps.Keys(eventStories)); !slices.Equal(slices.Sorted(slices.Values(rows)), told) {
		t.Fatalf("docs/events.md has the rows\n%q\nand there are stories of\n%q", rows, told)
	}
	for name, tellIt := range eventStories {
		for _, backend := range []string{"bolt", "redis"} {
			t.Run(name+"/"+backend, func(t *testing.T) { tellIt(tell(t, backend, config.DisputeFreeze)) })
		}
	}
	t.Run("dispute won after credits were spent/floor", func(t *testing.T) {
		s := tell(t, "bolt", config.DisputeFreeze)
		s.remake(func(o *gateway.Options) { o.RefundPolicy = config.RefundFloor })
		eventStories["dispute won after credits were spent"](s)
	})
	t.Run("dispute opened or challenged/ignore", func(t *testing.T) {
		eventStories["dispute opened or challenged"](tell(t, "bolt", config.DisputeIgnore))
	})
}

// TestCatalogChangeOfASubscription counts from the next period on.
func TestCatalogChangeOfASubscription(t *testing.T) {
	s := tell(t, "bolt", "")
	sub := s.subscribed()
	s.gate = s.newGateway(settings{products: []config.Product{{Name: "monthly", ID: "pdt_monthly", Plan: "pro", Credits: 700}}, clock: s.Clock})
	s.set(s.now().Add(day))
	s.send("subscription.updated", sub)
	s.sees("500 pro active true")
	s.set(s.now().Add(29 * day))
	s.send("subscription.renewed", s.subscription())
	s.sees("700 pro active true")
}

// TestCatalogChangeAfterACheckout: the order's promise is for the first period.
func TestCatalogChangeAfterACheckout(t *testing.T) {
	s := tell(t, "bolt", "")
	order := s.order("alice", "monthly")
	s.gate = s.newGateway(settings{products: []config.Product{{Name: "monthly", ID: "pdt_monthly", Plan: "pro", Credits: 700}}, clock: s.Clock})
	proof := s.proof(order.ID, "alice", "monthly")
	s.set(s.now().Add(time.Hour))
	s.send("subscription.active", s.subscription("metadata", proof))
	s.sees("500 pro active true")
	s.set(s.now().Add(30 * day))
	s.send("subscription.renewed", s.subscription("metadata", proof))
	s.sees("700 pro active true")
}

// TestPlanChangeBeginsAPeriod: the period that was paid before is not paid twice.
func TestPlanChangeBeginsAPeriod(t *testing.T) {
	s := tell(t, "bolt", "")
	s.subscribed()
	s.set(s.now().Add(10 * day))
	s.send("subscription.plan_changed", s.subscription("product_id", "pdt_team"))
	s.send("payment.succeeded", s.charge("pay_2"))
	s.sees("800 team active true")
	s.set(s.now().Add(25 * day)) // past the end of the first period
	s.sees("800 team active true")
}

// TestPauseOverThePeriodsEnd: what ran out meanwhile is there again when the
// period goes on.
func TestPauseOverThePeriodsEnd(t *testing.T) {
	for _, backend := range []string{"bolt", "redis"} {
		t.Run(backend, func(t *testing.T) {
			s := tell(t, backend, "")
			sub := s.subscribed()
			s.spend("h1", 100)
			s.set(s.now().Add(day))
			s.send("subscription.paused", with(sub, "status", "paused"))
			s.set(s.now().Add(30 * day))
			s.sees("0 none paused false")
			s.send("payment.succeeded", s.payment("pdt_pack10", "payment_id", "pay_2")) // a change notes what has expired
			s.set(s.now().Add(day))
			s.send("subscription.unpaused", with(sub, "next_billing_date", s.now().Add(29*day)))
			s.sees("410 pro active true")
			s.lastEntry(ledger.KindGrant, 400, 410)
			s.set(s.now().Add(29 * day))
			s.sees("10 none expired true")
		})
	}
}

// TestPlanChangeHeardFirst: credits that were spent before the period's beginning
// was heard of are spent only once, also where nothing is owed.
func TestPlanChangeHeardFirst(t *testing.T) {
	for _, backend := range []string{"bolt", "redis"} {
		t.Run(backend, func(t *testing.T) {
			s := tell(t, backend, "")
			s.remake(func(o *gateway.Options) { o.RefundPolicy = config.RefundFloor })
			sub := s.subscription()
			s.set(s.now().Add(10 * day))
			s.send("subscription.plan_changed", s.subscription("product_id", "pdt_team"))
			s.send("payment.succeeded", s.charge("pay_2"))
			s.spend("h1", 700)
			s.set(s.now().Add(-9 * day)) // as the sender's clock was
			s.send("subscription.active", sub)
			s.set(s.now().Add(9 * day))
			s.sees("100 team active true")
			s.owes(0)
		})
	}
}
