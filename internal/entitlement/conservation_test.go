package entitlement_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/entitlement"
)

var (
	histories = flag.Int("histories", 10_000, "histories of plan changes that TestCreditsFollowMoney tries")
	seed      = flag.Uint64("seed", 1, "where it begins")
)

// plan is a product of a shop: the price of a month in cents, and its credits.
type plan struct {
	id             string
	price, credits int64
}

// The catalogs of the shops. In the first one, all plans give equally many credits for a cent,
// so the money alone determines the credits. In the others, larger plans give more credits for
// a cent, or fewer.
var catalogs = [][]plan{
	{{"pdt_basic", 900, 90}, {"pdt_mid", 1900, 190}, {"pdt_top", 5000, 500}},
	{{"pdt_basic", 900, 90}, {"pdt_mid", 1900, 250}, {"pdt_top", 5000, 900}},
	{{"pdt_basic", 900, 500}, {"pdt_mid", 1900, 800}, {"pdt_top", 5000, 900}},
}

func (s *shop) terms(id string, _ time.Time) (entitlement.Terms, bool) {
	for _, p := range s.plans {
		if p.id == id {
			return entitlement.Terms{Plan: id, Credits: p.credits, CreditsStay: true, CreditsMonthly: s.months > 1}, true
		}
	}
	return entitlement.Terms{}, false
}

// priceOf is what a period of some pieces costs.
func (s *shop) priceOf(product string, pieces int64) int64 {
	i := slices.IndexFunc(s.plans, func(p plan) bool { return p.id == product })
	return s.plans[i].price * pieces * s.months
}

// next is when a period ends that begins now.
func (s *shop) next() time.Time { return s.now.AddDate(0, int(s.months), 0) }

// shop is a provider with one subscription, with one choice for each question that Dodo's
// documents leave open. It also knows what was really paid for.
type shop struct {
	*rand.Rand
	plans   []plan
	months  int64 // of a period: 1, or 12 that give their credits one after the other
	keeps   bool  // prorated_immediately keeps the billing dates
	early   bool  // dates move when a charge begins, not when it is done
	product string
	pieces  int64
	created time.Time
	start   time.Time
	end     time.Time
	trial   int64
	now     time.Time
	paid    int64 // cents; a trial is worth the price of what was tried
	free    int64 // what was tried in place of it and may be worth more
	owed    int64 // the credits that every renewed period gives at least
	most    int64 // the credits of everything that was charged for
	cycles  int64
	facts   []entitlement.Fact
	known   entitlement.Subscription // what they say
	reads   []entitlement.Fact       // what a pass reads that begins minutes after a change
	told    []string
	charges int
}

func (s *shop) state() entitlement.SubscriptionState {
	return entitlement.SubscriptionState{
		At: s.now, Status: entitlement.SubscriptionActive, ProductID: s.product, Quantity: s.pieces, CreatedAt: s.created,
		PeriodStart: s.start, PeriodEnd: s.end, TrialDays: s.trial, Cycle: s.cycle(), Price: s.priceOf(s.product, s.pieces), Currency: "USD",
	}
}

func (s *shop) note(format string, args ...any) {
	s.told = append(s.told, s.now.Sub(noon).String()+" "+fmt.Sprintf(format, args...))
}

func (s *shop) tell(sub entitlement.Subscription) { s.send(ofSubscription("sub_1", sub)) }

func (s *shop) send(f entitlement.Fact) {
	s.facts = append(s.facts, f)
	s.known = s.known.Merge(saysOf(f))
}

// charge is a payment of an amount, by which its customer gets what is subscribed to then.
func (s *shop) charge(cents int64, status entitlement.PaymentStatus, id string) {
	p := charged("x", 0).Charges["x"]
	p.Status, p.Total, p.Subscription, p.CreatedAt = status, cents, "sub_1", s.now
	s.send(ofPayment(id, p))
	s.note("charge %s of %d %s", id, cents, status)
}

func (s *shop) nextID() string {
	s.charges++
	return fmt.Sprintf("pay_%03d", s.charges)
}

// credits are those of a period of what is subscribed to.
func (s *shop) credits() int64 {
	t, _ := s.terms(s.product, s.now)
	return t.Credits * s.pieces * s.months
}

func (s *shop) cycle() time.Duration {
	if s.months == 12 {
		return 365 * day
	}
	return month
}

func (s *shop) begin() {
	s.created, s.start, s.end = s.now, s.now, s.next()
	total := s.priceOf(s.product, s.pieces)
	if s.IntN(4) == 0 {
		s.trial, s.end, total = 14, s.now.Add(14*day), 0
	}
	s.paid += total
	s.owed, s.most, s.cycles = s.credits(), s.credits(), 1
	if total == 0 {
		s.paid += s.priceOf(s.product, s.pieces) / s.months // a trial counts as one month
		s.owed, s.most = s.owed/s.months, s.most/s.months
	}
	s.note("subscribes to %d %s", s.pieces, s.product)
	s.tell(entitlement.Observed(s.state()))
	s.charge(total, entitlement.PaymentSucceeded, s.nextID())
	s.tell(entitlement.Renewed(s.state()))
}

// renew charges the next period. Some charges take two days.
func (s *shop) renew() {
	s.now = s.end
	id, cents := s.nextID(), s.priceOf(s.product, s.pieces)
	if s.IntN(4) == 0 {
		s.charge(cents, entitlement.PaymentProcessing, id)
		if s.early {
			s.start, s.end = s.now, s.next()
			s.tell(entitlement.Observed(s.state()))
		}
		s.check("a charge is under way")
	}
	if !s.start.Equal(s.now) {
		s.start, s.end = s.now, s.next()
	}
	s.charge(cents, entitlement.PaymentSucceeded, id)
	s.paid += cents
	s.owed, s.most, s.cycles = s.owed+s.credits(), s.most+s.credits(), s.cycles+1
	s.note("renews %d %s", s.pieces, s.product)
	s.tell(entitlement.Renewed(s.state()))
	s.tell(entitlement.Observed(s.state()))
}

var checkShop func(s *shop, when string)

func (s *shop) check(when string) { checkShop(s, when) }

// change is a change of plan: up, down, to the same, or of the quantity.
func (s *shop) change() {
	mode := []string{"prorated_immediately", "difference_immediately", "full_immediately", "do_not_bill"}[s.IntN(4)]
	was := s.priceOf(s.product, s.pieces)
	product, pieces := s.plans[s.IntN(len(s.plans))].id, int64(1+s.IntN(2))
	due := s.priceOf(product, pieces)
	inTrial := s.trial > 0 && s.now.Before(s.created.Add(14*day))
	switch {
	case mode == "do_not_bill":
		due = 0
	case mode == "difference_immediately" && !inTrial:
		due -= was
	case mode == "prorated_immediately" && !inTrial:
		due -= int64(float64(was) * float64(s.end.Sub(s.now)) / float64(s.end.Sub(s.start)))
	}
	if due > 0 {
		s.charge(due, entitlement.PaymentSucceeded, s.nextID())
		s.paid += due
		s.cycles++
		s.now = s.now.Add(time.Duration(s.IntN(30)) * time.Second)
	}
	s.product, s.pieces = product, pieces
	switch {
	case due > 0:
		s.most += s.credits()
	case inTrial:
		s.free = max(s.free, s.priceOf(product, pieces))
	}
	if mode != "do_not_bill" && (mode != "prorated_immediately" || !s.keeps) {
		s.start, s.end = s.now, s.next()
	}
	s.note("changes to %d %s by %s, due %d", pieces, product, mode, due)
	s.tell(entitlement.Observed(s.state()))
	s.tell(entitlement.Observed(s.state()))
}

// read is what reconcile reads of the subscription, if nothing more happens soon.
func (s *shop) read(wait time.Duration) {
	if wait < time.Hour {
		return
	}
	state := s.state()
	state.At = s.now.Add(10 * time.Minute)
	s.reads = append(s.reads, ofSubscription("sub_1", entitlement.Observed(state)))
}

// given are the credits that the facts give in the end.
func (s *shop) given(t fataler, facts []entitlement.Fact) int64 {
	var known entitlement.Subscription
	for _, f := range facts {
		known = known.Merge(saysOf(f))
	}
	return s.sumOf(t, known)
}

// saysOf is what a fact says of the subscription.
func saysOf(f entitlement.Fact) entitlement.Subscription {
	if f.Ref.Kind == entitlement.KindPayment {
		return entitlement.Subscription{Charges: map[string]entitlement.Payment{f.Ref.ID: f.Payment}}
	}
	return f.Subscription
}

// sumOf are all credits of a subscription.
func (s *shop) sumOf(t fataler, known entitlement.Subscription) int64 {
	e, err := known.Effect("sub_1", s.terms, config.DisputeFreeze)
	if err != nil {
		t.Fatal(err)
	}
	var sum int64
	for _, g := range e.Grants {
		sum += g.Amount
	}
	return sum
}

// worth is how many credits some cents buy at the best rate that the shop has.
func (s *shop) worth(cents int64) int64 {
	var most int64
	for _, p := range s.plans {
		most = max(most, cents*p.credits/p.price)
	}
	return most
}

// TestCreditsFollowMoney plays random histories of plan changes, for both ways in which Dodo
// may move billing dates. The credits never exceed what was paid for, whichever bodies are
// lost, repeated or out of order, and however soon one change follows another. Once every body
// has arrived, a paying customer has at least the credits of each renewed period; and if all
// plans give equally many credits for a cent, exactly those, except for rounding.
//
// One fact cannot be known: the plan with which a trial began, if that body was lost before
// the plan was changed. The trial is free in any case.
//
//	go test ./internal/entitlement -run TestCreditsFollowMoney -histories 200000 -seed 7
func TestCreditsFollowMoney(t *testing.T) {
	t.Logf("seed %d", *seed)
	for n := range uint64(*histories) {
		r := rand.New(rand.NewPCG(*seed, n))
		plans := catalogs[r.IntN(len(catalogs))]
		months := []int64{1, 12}[r.IntN(2)]
		s := &shop{Rand: r, plans: plans, months: months, now: noon, keeps: r.IntN(2) == 0, early: r.IntN(2) == 0, product: plans[r.IntN(3)].id, pieces: 1}
		checkShop = func(s *shop, when string) {
			if got := s.sumOf(t, s.known); got > min(s.most, s.worth(s.paid)) {
				t.Fatalf("seed %d, history %d: %d credits, of at most %d, and %d cents were paid, when %s:\n%v", *seed, n, got, s.most, s.paid, when, s.told)
			}
		}
		s.begin()
		for range 1 + r.IntN(8) {
			wait := []time.Duration{3 * time.Minute, time.Hour, 5 * day, 20 * day, 40 * day}[r.IntN(5)]
			if wait >= 20*day {
				wait *= time.Duration(months)
			}
			next := s.now.Add(wait)
			s.read(wait)
			for !next.Before(s.end) {
				s.renew()
				s.read(min(next.Sub(s.now), day))
				s.check("renewed")
			}
			s.now = endsLater(s.now, next)
			s.change()
			s.check("changed")
		}
		want := s.sumOf(t, s.known)
		if want < s.owed || &plans[0] == &catalogs[0][0] && want < s.paid/10-s.cycles {
			t.Fatalf("seed %d, history %d: %d credits, of at least %d, and %d cents were paid:\n%v", *seed, n, want, s.owed, s.paid, s.told)
		}
		shuffled := slices.Concat(s.facts, s.facts[:r.IntN(len(s.facts))])
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if got := s.given(t, shuffled); got != want {
			t.Fatalf("seed %d, history %d: %d credits in another order, not %d:\n%v", *seed, n, got, want, s.told)
		}
		// Lost webhooks: reconcile reads all payments, and the subscription as it is some
		// minutes after each change.
		heard := slices.DeleteFunc(slices.Clone(s.facts), func(f entitlement.Fact) bool {
			return f.Ref.Kind == entitlement.KindSubscription && r.IntN(3) > 0
		})
		s.read(day)
		heard = append(heard, s.reads...)
		if got := s.given(t, heard); got > s.worth(s.paid+s.free) {
			t.Fatalf("seed %d, history %d: %d credits with lost webhooks, and %d cents were paid:\n%v", *seed, n, got, s.paid, s.told)
		}
	}
}

func endsLater(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
