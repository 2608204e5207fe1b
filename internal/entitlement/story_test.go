package entitlement_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

// The order of events does not matter: a life story is told in every order, and
// in thousands of shuffles with repeats and with bodies that show the latest
// state, and always ends the same, with what it should. With credits held and
// spent between the events, what is left is what was given less what was spent.
//
// It fails when, for example,
//   - a payment of a subscription grants credits beside the renewal,
//   - the newest arrival wins instead of the newest event,
//   - a refund is subtracted when it arrives instead of being merged,
//   - a period is named by when it was heard of,
//   - a decided dispute is opened again by a late "opened",
//   - a feature that was revoked and delivered again stays revoked,
//   - of several plans only the one that ends last counts,
//   - credits that were spent are given again because their period is named otherwise.

// told is one event of a story, after a number of days.
type told struct {
	day  int
	fact entitlement.Fact
}

func ofPayment(id string, p entitlement.Payment) entitlement.Fact {
	return entitlement.Fact{Ref: entitlement.Ref{Kind: entitlement.KindPayment, ID: id}, Payment: p}
}

func ofSubscription(id string, s entitlement.Subscription) entitlement.Fact {
	return entitlement.Fact{Ref: entitlement.Ref{Kind: entitlement.KindSubscription, ID: id}, Subscription: s}
}

// chargeOf is a payment of a subscription, as its own events tell it.
func chargeOf(subscription, payment string, days int) entitlement.Fact {
	p := charged(payment, days).Charges[payment]
	p.Subscription = subscription
	return ofPayment(payment, p)
}

// withCart is a charge whose body names what was bought, which those of Dodo do
// not (FAQ Q54).
func withCart(charge entitlement.Fact, cart ...entitlement.Line) entitlement.Fact {
	charge.Payment.Cart = cart
	return charge
}

// grantOf is what the grant's body says after it changed on that day.
func grantOf(id string, status entitlement.FeatureStatus, name string, days int) entitlement.Fact {
	f := entitlement.Feature{At: noon.Add(time.Duration(days) * day), Status: status, Name: name}
	return entitlement.Fact{Ref: entitlement.Ref{Kind: entitlement.KindFeature, ID: id}, Feature: f}
}

func dispute(status entitlement.DisputeStatus) entitlement.Payment {
	return entitlement.Payment{Disputes: map[string]entitlement.DisputeStatus{"d": status}}
}

func stories() map[string][]told {
	full := refund("r", entitlement.RefundSucceeded, 900, true)
	active, sub := entitlement.SubscriptionActive, func(s entitlement.Subscription) entitlement.Fact { return ofSubscription("sub_1", s) }
	atEnd := func(s *entitlement.SubscriptionState) { s.CancelAtEnd = true }
	yearly := func(s *entitlement.SubscriptionState) { s.PeriodEnd = s.PeriodStart.Add(365 * day) }
	onDemand := func(s *entitlement.SubscriptionState) { s.OnDemand = true }
	has := func(addons entitlement.Addons, price int64) func(*entitlement.SubscriptionState) {
		return func(s *entitlement.SubscriptionState) { s.Addons, s.Price, s.Currency = addons, price, "USD" }
	}
	year := func(cents int64) func(*entitlement.SubscriptionState) {
		return func(s *entitlement.SubscriptionState) {
			s.PeriodEnd, s.Cycle, s.Price, s.Currency = s.PeriodStart.AddDate(1, 0, 0), 365*day, cents, "USD"
		}
	}
	paused := func(s *entitlement.SubscriptionState) { s.StoppedAt = s.At }
	later := func(s *entitlement.SubscriptionState) { s.PeriodEnd = s.PeriodEnd.Add(15 * day) }
	return map[string][]told{
		"a year of credits every month, on hold and back": {
			{0, sub(body(active, "pdt_year", 0, year(1000)))},
			{0, chargeOf("sub_1", "pay_1", 0)},
			{40, sub(body("on_hold", "pdt_year", 0, year(1000), after(40*day)))},
			{70, sub(body(active, "pdt_year", 0, year(1000), after(70*day)))},
		},
		"a year of credits every month, on hold": {
			{0, sub(body(active, "pdt_year", 0, year(1000)))},
			{0, chargeOf("sub_1", "pay_1", 0)},
			{40, sub(body("on_hold", "pdt_year", 0, year(1000), after(40*day)))},
			{70, ofPayment("pay_9", paid(line("pdt_pack", 1)))},
		},
		"a year of credits every month, paused and taken up": {
			{0, sub(body(active, "pdt_year", 0, year(1000)))},
			{0, chargeOf("sub_1", "pay_1", 0)},
			{35, sub(body("paused", "pdt_year", 0, year(1000), after(35*day), paused))},
			{50, sub(body(active, "pdt_year", 0, year(1000), after(50*day), later))},
		},
		"a year of credits every month, the last ones refunded": {
			{0, sub(body(active, "pdt_year", 0, year(1000)))},
			{0, chargeOf("sub_1", "pay_1", 0)},
			{65, ofPayment("pay_1", refund("r", entitlement.RefundSucceeded, 300, false))},
		},
		"a year of credits every month, all but the first refunded": {
			{0, sub(body(active, "pdt_year", 0, year(1000)))},
			{0, chargeOf("sub_1", "pay_1", 0)},
			{65, ofPayment("pay_1", refund("r", entitlement.RefundSucceeded, 900, false))},
		},
		"a year of credits every month, changed to more of them": {
			{0, sub(body(active, "pdt_gather", 0, year(1000)))},
			{0, chargeOf("sub_1", "pay_1", 0)},
			{40, chargeOf("sub_1", "pay_2", 40)},
			{40, sub(body(active, "pdt_bulk", 0, year(5000), after(40*day)))},
			{66, sub(body(active, "pdt_bulk", 0, year(5000), after(66*day)))},
		},
		"a year of credits every month, with an add-on": {
			{0, sub(body(active, "pdt_year", 0, year(1000), has("adn_extra=2", 1000)))},
			{0, chargeOf("sub_1", "pay_1", 0)},
			{65, ofPayment("pay_1", refund("r", entitlement.RefundSucceeded, 300, false))},
		},
		"a pass with credits every month, refunded in part": {
			{0, ofPayment("pay_1", paid(line("pdt_pass", 2)))},
			{65, ofPayment("pay_1", refund("r", entitlement.RefundSucceeded, 100, false))},
		},
		"add-ons are bought, added to, and all but one dropped": {
			{0, sub(body(active, "pdt_pro", 0, has("adn_extra=2", 1000)))},
			{0, chargeOf("sub_1", "pay_1", 0)},
			{30, sub(renewal("pdt_pro", 30, has("adn_audit=1,adn_extra=5", 1000)))},
			{30, chargeOf("sub_1", "pay_2", 30)},
			{60, sub(renewal("pdt_pro", 60, has("adn_audit=3,adn_extra=1", 1000)))},
			{60, chargeOf("sub_1", "pay_3", 60)},
		},
		"add-ons are added within a period, and nobody paid": {
			{0, sub(body(active, "pdt_pro", 0, has("", 1000)))},
			{0, chargeOf("sub_1", "pay_1", 0)},
			{10, sub(body(active, "pdt_pro", 0, has("adn_extra=5", 1400), after(10*day)))},
			{20, sub(body(active, "pdt_pro", 0, has("adn_extra=1", 1080), after(20*day)))},
		},
		"add-ons are added within a period, and paid": {
			{0, sub(body(active, "pdt_pro", 0, has("", 1000)))},
			{0, chargeOf("sub_1", "pay_1", 0)},
			{10, chargeOf("sub_1", "pay_2", 10)},
			{10, sub(body(active, "pdt_pro", 0, has("adn_extra=5", 2000), after(10*day)))},
			{20, sub(body(active, "pdt_pro", 0, has("", 1000), after(20*day)))},
		},
		"charged on demand, and refunded in part": {
			{0, sub(body(active, "pdt_metered", 0, onDemand))},
			{0, ofPayment("pay_1", entitlement.Payment{Status: "succeeded", Currency: "USD", Subscription: "sub_1", CreatedAt: noon})},
			{3, chargeOf("sub_1", "pay_2", 3)},
			{5, chargeOf("sub_1", "pay_3", 5)},
			{6, ofPayment("pay_2", refund("r", entitlement.RefundSucceeded, 333, false))},
		},
		"buy, refund a third, refund the rest": {
			{0, ofPayment("pay_1", entitlement.Payment{Status: "processing"})},
			{0, ofPayment("pay_1", paid(line("pdt_pack", 3)))},
			{1, ofPayment("pay_1", refund("r", entitlement.RefundPending, 300, false))},
			{2, ofPayment("pay_1", refund("r", entitlement.RefundSucceeded, 300, false))},
			{3, ofPayment("pay_1", refund("s", entitlement.RefundFailed, 600, false))},
			{4, ofPayment("pay_1", refund("t", entitlement.RefundSucceeded, 600, false))},
		},
		"dispute won": {
			{0, ofPayment("pay_1", entitlement.Payment{Status: "processing"})},
			{0, ofPayment("pay_1", paid(line("pdt_both", 1)))},
			{1, ofPayment("pay_1", dispute("opened"))},
			{2, ofPayment("pay_1", dispute("challenged"))},
			{3, ofPayment("pay_1", dispute("won"))},
		},
		"dispute lost beside another purchase": {
			{0, ofPayment("pay_1", paid(line("pdt_both", 1)))},
			{0, ofPayment("pay_2", paid(line("pdt_pack", 1)))},
			{1, ofPayment("pay_1", dispute("opened"))},
			{3, ofPayment("pay_1", dispute("lost"))},
			{4, ofPayment("pay_2", full)},
		},
		"subscribe, renew, hold, recover, cancel": {
			{0, sub(body(active, "pdt_pro", 0))},
			{0, withCart(chargeOf("sub_1", "pay_1", 0), line("pdt_pro", 1))},
			{30, sub(body(active, "pdt_pro", 30))},
			{30, chargeOf("sub_1", "pay_2", 30)},
			{60, sub(body("on_hold", "pdt_pro", 30, after(30*day)))},
			{62, sub(body(active, "pdt_pro", 62))},
			{63, sub(body("cancelled", "pdt_pro", 62, after(day), atEnd))},
		},
		"a period whose start is told in two ways": {
			{0, sub(body(active, "pdt_pro", 0, func(s *entitlement.SubscriptionState) { s.PeriodStart = s.PeriodStart.Add(7 * time.Second) }))},
			{0, sub(body(active, "pdt_pro", 0, after(time.Minute)))},
			{0, chargeOf("sub_1", "pay_1", 0)},
		},
		"charged while on hold, and active from moments later": {
			{0, sub(body("on_hold", "pdt_keep", 0))},
			{1, chargeOf("sub_1", "pay_1", 1)},
			{1, sub(body(active, "pdt_keep", 0, after(day), func(s *entitlement.SubscriptionState) { s.PeriodStart = s.PeriodStart.Add(33 * time.Second) }))},
		},
		"charged while on hold, and active from the charge on": {
			{0, sub(body(active, "pdt_keep", 0))},
			{30, sub(body("on_hold", "pdt_keep", 30))},
			{40, chargeOf("sub_1", "pay_1", 40)},
			{40, sub(body(active, "pdt_keep", 40))},
		},
		"a change of plan begins a new period": {
			{0, sub(body(active, "pdt_pro", 0))},
			{10, sub(body(active, "pdt_team", 10))},
			{10, chargeOf("sub_1", "pay_1", 10)},
			{40, sub(body(active, "pdt_team", 40))},
		},
		"pause, change the plan, refund the change": {
			{0, sub(body(active, "pdt_pro", 0))},
			{5, sub(body("paused", "pdt_pro", 0, after(5*day)))},
			{6, sub(body(active, "pdt_pro", 0, after(6*day)))},
			{10, sub(body(active, "pdt_team", 0, after(10*day)))},
			{10, chargeOf("sub_1", "pay_1", 10)},
			{11, ofPayment("pay_1", refund("r", entitlement.RefundSucceeded, 1000, true))},
		},
		"two subscriptions and a pack": {
			{0, sub(body(active, "pdt_pro", 0))},
			{1, ofSubscription("sub_2", body(active, "pdt_keep", 1))},
			{2, ofPayment("pay_9", paid(line("pdt_pack", 1)))},
			{5, sub(body("expired", "pdt_pro", 0, after(5*day)))},
			{31, ofSubscription("sub_2", body(active, "pdt_keep", 31))},
			{31, chargeOf("sub_2", "pay_3", 31)},
		},
		"a monthly plan beside a lower one that lasts longer": {
			{0, sub(body(active, "pdt_pro", 0, yearly))},
			{0, chargeOf("sub_1", "pay_1", 0)},
			{1, ofSubscription("sub_2", body(active, "pdt_team", 1))},
			{1, chargeOf("sub_2", "pay_2", 1)},
		},
		"the higher of two plans is put on hold": {
			{0, sub(body(active, "pdt_pro", 0, yearly))},
			{1, ofSubscription("sub_2", body(active, "pdt_team", 1))},
			{31, ofSubscription("sub_2", body("on_hold", "pdt_team", 1, after(30*day)))},
		},
		"the higher of two plans is refunded": {
			{0, ofPayment("pay_9", paid(line("pdt_life", 1)))},
			{1, ofSubscription("sub_2", body(active, "pdt_team", 1))},
			{1, chargeOf("sub_2", "pay_2", 1)},
			{3, ofPayment("pay_2", refund("r", entitlement.RefundSucceeded, 1000, true))},
		},
		"three plans, of which one ends with its period": {
			{0, ofPayment("pay_9", paid(line("pdt_life", 1)))},
			{0, sub(body(active, "pdt_pro", 0))},
			{1, ofSubscription("sub_2", body(active, "pdt_team", 1))},
			{9, ofSubscription("sub_2", body("cancelled", "pdt_team", 1, after(8*day), atEnd))},
		},
		"a pass beside a subscription to its plan that is past due": {
			{0, ofPayment("pay_9", paid(line("pdt_both", 1)))},
			{0, sub(body(active, "pdt_pro", 0))},
			{5, sub(body("past_due", "pdt_pro", 0, after(5*day)))},
		},
		"a feature is revoked by a hold and delivered again": {
			{0, sub(body(active, "pdt_pro", 0))},
			{0, grantOf("entg_1", entitlement.FeaturePending, "", 0)},
			{0, grantOf("entg_1", entitlement.FeatureDelivered, "reports", 0)},
			{30, grantOf("entg_1", entitlement.FeatureRevoked, "", 30)},
			{30, sub(body("on_hold", "pdt_pro", 0, after(30*day)))},
			{32, grantOf("entg_1", entitlement.FeatureDelivered, "reports", 32)},
		},
		"of two grants of a feature one is revoked, and all of another": {
			{0, grantOf("entg_1", entitlement.FeatureDelivered, "reports", 0)},
			{1, grantOf("entg_2", entitlement.FeatureDelivered, "reports", 1)},
			{2, grantOf("entg_3", entitlement.FeatureDelivered, "export", 2)},
			{3, grantOf("entg_1", entitlement.FeatureRevoked, "", 3)},
			{4, grantOf("entg_3", entitlement.FeatureRevoked, "", 4)},
			{5, grantOf("entg_4", entitlement.FeatureFailed, "", 5)},
		},
	}
}

// ends is what the account sees in the end: "credits plans status paid features".
var ends = map[string]string{
	"a year of credits every month, on hold and back":               "100 pro active true []",
	"a year of credits every month, on hold":                        "10 none on_hold true []",
	"a year of credits every month, paused and taken up":            "100 pro active true []",
	"a year of credits every month, the last ones refunded":         "100 pro active true []",
	"a year of credits every month, all but the first refunded":     "0 pro active true []",
	"a year of credits every month, changed to more of them":        "1100 team active true []",
	"a year of credits every month, with an add-on":                 "180 pro active true []",
	"a pass with credits every month, refunded in part":             "100 pass active true []",
	"add-ons are bought, added to, and all but one dropped":         "540 pro,audited active true [audit]",
	"add-ons are added within a period, and nobody paid":            "500 pro active true []",
	"add-ons are added within a period, and paid":                   "700 pro active true []",
	"charged on demand, and refunded in part":                       "50 pro active true []",
	"buy, refund a third, refund the rest":                          "0 none none false []",
	"dispute won":                                                   "500 pro active true []",
	"dispute lost beside another purchase":                          "0 none none false []",
	"subscribe, renew, hold, recover, cancel":                       "500 pro cancelled true []",
	"a period whose start is told in two ways":                      "500 pro active true []",
	"charged while on hold, and active from moments later":          "500 pro active true []",
	"charged while on hold, and active from the charge on":          "1000 pro active true []",
	"a change of plan begins a new period":                          "800 team active true []",
	"pause, change the plan, refund the change":                     "0 none expired false []",
	"two subscriptions and a pack":                                  "1010 pro active true []",
	"a monthly plan beside a lower one that lasts longer":           "1300 team,pro active true []",
	"the higher of two plans is put on hold":                        "500 pro active true []",
	"the higher of two plans is refunded":                           "0 life active true []",
	"three plans, of which one ends with its period":                "1300 team,pro,life cancelled true []",
	"a pass beside a subscription to its plan that is past due":     "1000 pro active true []",
	"a feature is revoked by a hold and delivered again":            "0 none on_hold false [reports]",
	"of two grants of a feature one is revoked, and all of another": "0 none none false [reports]",
}

// life is an account that hears facts one by one, as the gateway tells them.
type life struct {
	records   map[entitlement.Ref]entitlement.Record
	ledger    ledger.Account
	standings map[string]entitlement.Standing
	now       time.Time
	policy    ledger.Policy
	holds     int   // placed so far
	spent     int64 // of credits
	takenBack int64 // of credits, by facts that gave none in place of them
}

func begin(now time.Time) *life {
	return &life{records: map[entitlement.Ref]entitlement.Record{}, standings: map[string]entitlement.Standing{}, now: now}
}

func storyTerms(id string, _ time.Time) (entitlement.Terms, bool) {
	t, ok := subscriptionTerms[id]
	if !ok {
		t, ok = offerTerms[id]
	}
	return t, ok
}

// fataler is a test or a check within one.
type fataler interface{ Fatal(args ...any) }

func (l *life) hear(t fataler, fact entitlement.Fact) {
	prior := l.records[fact.Ref]
	next := prior.Fold(fact, storyTerms)
	effect, err := next.Effect(fact.Ref, prior, config.DisputeFreeze)
	if err != nil {
		t.Fatal(err)
	}
	before := l.amounts()
	if l.ledger, _, err = l.ledger.Apply(effect.Grants, l.policy, "", l.now); err != nil {
		t.Fatal(err)
	}
	l.takenBack += max(0, before-l.amounts())
	l.records[fact.Ref], l.standings[fact.Ref.String()] = next, effect.Standing
	if id := next.Payment.Subscription; id != "" {
		l.hear(t, ofSubscription(id, entitlement.Subscription{Charges: map[string]entitlement.Payment{fact.Ref.ID: next.Payment}}))
	}
}

// amounts are what all grants give that have begun.
func (l *life) amounts() int64 {
	var sum int64
	for _, g := range l.ledger.Grants {
		sum += g.Amount - g.Waiting
	}
	return sum
}

// spend holds some of what there is, and captures or releases some of what is held.
func (l *life) spend(t *rapid.T) {
	var err error
	if n := rapid.Int64Range(0, l.ledger.Available(l.now)).Draw(t, "hold"); n > 0 {
		l.holds++
		if l.ledger, _, _, err = l.ledger.Hold(fmt.Sprint(l.holds), n, l.now.Add(time.Hour), l.now); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(l.ledger.Holds)) {
		if rapid.Bool().Draw(t, "end") {
			n := rapid.Int64Range(0, l.ledger.Holds[id].Amount()).Draw(t, "captured")
			if l.ledger, _, _, err = l.ledger.End(id, n, l.now); err != nil {
				t.Fatal(err)
			}
			l.spent += n
		}
	}
}

// forgiven is what was spent or is held of credits that were taken back since, under policy
// floor.
func (l *life) forgiven() int64 {
	var sum int64
	for _, g := range l.ledger.Grants {
		sum += g.Waived
	}
	return sum
}

// mustHave checks that there is what was given less what was spent, and beside it only what
// was forgiven: at most what single facts took back.
func (l *life) mustHave(t *rapid.T, given int64) {
	t.Helper()
	got, forgiven := l.ledger.Balance(), l.forgiven()
	if got != given-l.spent+forgiven {
		t.Fatalf("the balance is %d after %d of %d were spent and %d forgiven", got, l.spent, given, forgiven)
	}
	if forgiven > l.takenBack || l.policy != ledger.PolicyFloor && forgiven != 0 {
		t.Fatalf("%d are forgiven, and %d were taken back", forgiven, l.takenBack)
	}
}

// end is what the account has in the end: what it sees, and its grants of which
// anything is left.
func (l *life) end() string {
	snap := entitlement.Account{Ledger: l.ledger, Standings: l.standings}.Snapshot(l.now, ranking)
	var grants []string
	for _, g := range l.ledger.Grants {
		if g.Left > 0 {
			grants = append(grants, fmt.Sprintf("%s %d of %d until %v", g.ID, g.Left, g.Amount, g.ExpiresAt))
		}
	}
	return fmt.Sprintf("%+v\n%s", snap, strings.Join(grants, "\n"))
}

func (l *life) sees() string {
	s := entitlement.Account{Ledger: l.ledger, Standings: l.standings}.Snapshot(l.now, ranking)
	plans := cmp.Or(strings.Join(s.PlanNames(), ","), entitlement.NoPlan)
	return fmt.Sprintf("%d %s %s %v %v", s.Credits, plans, s.PlanStatus, s.HasPaid, s.Features)
}

func live(t fataler, now time.Time, facts []entitlement.Fact) *life {
	l := begin(now)
	for _, f := range facts {
		l.hear(t, f)
	}
	return l
}

func lived(t fataler, now time.Time, facts []entitlement.Fact) string {
	return live(t, now, facts).end()
}

// latest is the story's facts about each object as they are once all has
// happened: a late delivery carries the newest state under its old event.
func latest(story []told) []entitlement.Fact {
	newest := make(map[entitlement.Ref]entitlement.Fact)
	for _, e := range story {
		known := newest[e.fact.Ref]
		newest[e.fact.Ref] = entitlement.Fact{
			Ref: e.fact.Ref, Payment: known.Payment.Merge(e.fact.Payment), Subscription: known.Subscription.Merge(e.fact.Subscription),
			Feature: known.Feature.Merge(e.fact.Feature),
		}
	}
	facts := make([]entitlement.Fact, 0, len(story))
	for _, e := range story {
		f := newest[e.fact.Ref]
		if f.Ref.Kind == entitlement.KindSubscription {
			state := f.Subscription.State
			state.At = e.fact.Subscription.State.At
			f.Subscription = entitlement.Observed(state)
		}
		facts = append(facts, f)
	}
	return facts
}

func TestLifeStories(t *testing.T) {
	for name, story := range stories() {
		now := noon.Add(time.Duration(story[len(story)-1].day) * day).Add(time.Hour)
		var inOrder []entitlement.Fact
		for _, e := range story {
			inOrder = append(inOrder, e.fact)
		}
		t.Run(name+"/in order", func(t *testing.T) {
			if got := live(t, now, inOrder).sees(); got != ends[name] {
				t.Errorf("ends with %q, want %q", got, ends[name])
			}
		})
		t.Run(name+"/every order", func(t *testing.T) {
			want := lived(t, now, inOrder)
			permute(inOrder, func(order []entitlement.Fact) {
				if got := lived(t, now, order); got != want {
					t.Fatalf("%+v\nends in\n%s\nnot in\n%s", order, got, want)
				}
			})
		})
		t.Run(name+"/spent in between", func(t *testing.T) {
			want := live(t, now, inOrder).ledger.Balance()
			rapid.Check(t, func(t *rapid.T) {
				l := begin(now)
				if rapid.Bool().Draw(t, "floor") {
					l.policy = ledger.PolicyFloor
				}
				for _, f := range rapid.Permutation(inOrder).Draw(t, "order") {
					l.hear(t, f)
					l.spend(t)
				}
				l.mustHave(t, want)
			})
		})
		t.Run(name+"/shuffled, repeated, newest bodies", func(t *testing.T) {
			late := latest(story)
			rapid.Check(t, func(t *rapid.T) {
				order := rapid.Permutation(slices.Concat(inOrder, inOrder[:rapid.IntRange(0, len(inOrder)).Draw(t, "repeats")])).Draw(t, "order")
				for i := range order {
					if rapid.IntRange(0, 3).Draw(t, "late") == 0 {
						j := slices.IndexFunc(inOrder, func(f entitlement.Fact) bool { return fmt.Sprint(f) == fmt.Sprint(order[i]) })
						order = append(order, late[j]) // beside the body of its own time
					}
				}
				if got, want := lived(t, now, order), lived(t, now, inOrder); got != want {
					t.Fatalf("ends in\n%s\nnot in\n%s", got, want)
				}
			})
		})
	}
}
