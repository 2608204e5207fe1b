package entitlement_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
)

// happening is something that Dodo reports, or would have reported.
type happening struct {
	at   time.Time // when it happened
	told time.Time // when its webhook arrives; zero for never
	fact entitlement.Fact
}

// subscriber is one paying customer as Dodo knows her: what happened to her subscription, and
// from when on she has the plan or not.
type subscriber struct {
	*rand.Rand
	early bool // dates move when a charge begins, not when it is done
	now   time.Time
	until time.Time // what happens later is not decided
	state entitlement.SubscriptionState
	story []happening
	has   []turn
	paid  int64 // periods
}

type turn struct {
	at  time.Time
	has bool
}

func (s *subscriber) turns(has bool) { s.has = append(s.has, turn{s.now, has}) }

func (s *subscriber) hasPlan(at time.Time) (has bool) {
	for _, t := range s.has {
		if !t.at.After(at) {
			has = t.has
		}
	}
	return has
}

func (s *subscriber) happens(f entitlement.Fact) {
	s.story = append(s.story, happening{at: s.now, fact: f})
}

// says is the subscription's state from now on.
func (s *subscriber) says(status entitlement.SubscriptionStatus) {
	s.state.At, s.state.Status = s.now, status
	s.happens(ofSubscription("sub_1", entitlement.Observed(s.state)))
}

func (s *subscriber) charge(id string, status entitlement.PaymentStatus, begun time.Time) {
	p := charged(id, 0).Charges[id]
	p.Status, p.CreatedAt = status, begun
	s.happens(ofPayment(id, p))
	if status == entitlement.PaymentSucceeded {
		s.paid++
	}
}

func (s *subscriber) period(start time.Time) {
	s.state.PeriodStart, s.state.PeriodEnd = start, start.Add(month)
}

func (s *subscriber) subscribe() {
	s.state = entitlement.SubscriptionState{ProductID: "pdt_keep", Quantity: 1, CreatedAt: s.now, Cycle: month}
	s.period(s.now)
	s.turns(true)
	s.charge("pay_00", entitlement.PaymentSucceeded, s.now)
	s.says(entitlement.SubscriptionActive)
}

// renew is what becomes of the subscription when a period ends. It reports whether it
// goes on.
func (s *subscriber) renew(n int) bool {
	due := s.state.PeriodEnd
	s.now = due
	id := fmt.Sprintf("pay_%02d", n)
	if s.state.CancelAtEnd {
		s.turns(false)
		s.says(entitlement.SubscriptionCancelled)
		return false
	}
	switch s.IntN(5) {
	case 0: // a bank takes its time
		s.charge(id, entitlement.PaymentProcessing, due)
		if s.early {
			s.period(due)
			s.says(entitlement.SubscriptionActive)
		}
		s.now = due.Add(time.Duration(1+s.IntN(47)) * time.Hour)
		if s.IntN(3) > 0 {
			s.charge(id, entitlement.PaymentSucceeded, due)
			s.period(due)
			s.says(entitlement.SubscriptionActive)
			return true
		}
		fallthrough
	case 1: // the charge fails, and is repeated some days later, or never
		s.charge(id, entitlement.PaymentFailed, due)
		s.turns(false)
		s.says(entitlement.SubscriptionOnHold)
		if s.IntN(2) == 0 {
			return false
		}
		s.now = s.now.Add(time.Duration(1+s.IntN(10)) * day)
		s.turns(true)
		s.charge(id+"b", entitlement.PaymentSucceeded, s.now)
		s.period(s.now)
		s.says(entitlement.SubscriptionActive)
	default:
		s.charge(id, entitlement.PaymentSucceeded, due)
		s.period(due)
		s.says(entitlement.SubscriptionActive)
	}
	return true
}

// live is a random life of some months.
func (s *subscriber) live() {
	s.subscribe()
	for n := range 1 + s.IntN(4) {
		if s.IntN(6) == 0 {
			s.now = s.state.PeriodEnd.Add(-time.Duration(1+s.IntN(20)) * day)
			s.state.CancelAtEnd = true
			s.says(entitlement.SubscriptionActive)
		}
		if !s.renew(n + 1) {
			s.until = s.now.Add(40 * day)
			return
		}
	}
	s.until = s.state.PeriodEnd
}

// deliver decides which webhooks arrive, and when. The first one always does: a
// subscription of which nobody has told is found by its order.
func (s *subscriber) deliver() {
	paymentsOnly, none := s.IntN(6) == 0, s.IntN(6) == 0
	for i := range s.story {
		h := &s.story[i]
		switch {
		case i == 0:
			h.told = h.at
		case none, paymentsOnly && h.fact.Ref.Kind == entitlement.KindSubscription, s.IntN(4) == 0:
			continue
		case s.IntN(4) == 0:
			h.told = h.at.Add(time.Duration(s.IntN(72*60)) * time.Minute)
		default:
			h.told = h.at.Add(time.Duration(s.IntN(5)) * time.Second)
		}
	}
}

// visits are when the customer comes: at any time, and when periods end and charges are
// under way.
func (s *subscriber) visits() []time.Time {
	var at []time.Time
	for range 4 {
		at = append(at, noon.Add(time.Duration(s.Int64N(int64(s.until.Sub(noon))))))
	}
	for range 4 {
		after := []time.Duration{time.Second, 10 * time.Minute, 2 * time.Hour, 30 * time.Hour}[s.IntN(4)]
		at = append(at, s.story[s.IntN(len(s.story))].at.Add(after))
	}
	slices.SortFunc(at, time.Time.Compare)
	return slices.DeleteFunc(at, func(t time.Time) bool { return !t.Before(s.until) })
}

// answers are what Dodo answers at a time: all charges as they are, and then the
// subscription.
func (s *subscriber) answers(at time.Time) []entitlement.Fact {
	charges := map[string]entitlement.Fact{}
	var state entitlement.SubscriptionState
	for _, h := range s.story {
		switch {
		case h.at.After(at):
		case h.fact.Ref.Kind == entitlement.KindPayment:
			charges[h.fact.Ref.ID] = h.fact
		default:
			state = h.fact.Subscription.State
		}
	}
	var facts []entitlement.Fact
	for _, f := range charges {
		facts = append(facts, f)
	}
	slices.SortFunc(facts, func(f, g entitlement.Fact) int { return cmp.Compare(f.Ref.ID, g.Ref.ID) })
	state.At = at
	return append(facts, ofSubscription("sub_1", entitlement.Observed(state)))
}

// TestNeverRefusedUnasked plays random subscriptions whose webhooks are lost, late and out of
// order. It checks four things.
//
// If an account has the plan at Dodo, it has the plan here, or there is a doubt and Dodo is
// asked. The exception is a subscription that Dodo reported as on hold; reconcile finds when
// that ends. While Dodo does not answer, a refusal does not say for an hour that the customer
// has not paid. After an answer of Dodo, plans are as they are there, and customers without
// one can be refused. After an answer, nobody has more credits than were paid for.
//
//	go test ./internal/entitlement -run TestNeverRefusedUnasked -histories 200000 -seed 7
func TestNeverRefusedUnasked(t *testing.T) {
	t.Logf("seed %d", *seed)
	asked, refused := 0, 0
	for n := range uint64(*histories) {
		r := rand.New(rand.NewPCG(*seed, n))
		s := &subscriber{Rand: r, now: noon, early: r.IntN(2) == 0}
		s.live()
		s.deliver()
		arrives := slices.DeleteFunc(slices.Clone(s.story), func(h happening) bool { return h.told.IsZero() })
		slices.SortStableFunc(arrives, func(a, b happening) int { return a.told.Compare(b.told) })
		l := begin(noon)
		for _, now := range s.visits() {
			l.now = now
			for len(arrives) > 0 && !arrives[0].told.After(now) {
				l.hear(t, arrives[0].fact)
				arrives = arrives[1:]
			}
			fail := func(what string) {
				t.Helper()
				t.Fatalf("seed %d, history %d, early %t: %s at %v\n%s", *seed, n, s.early, what, now.Sub(noon), s.tells())
			}
			has, account := s.hasPlan(now), l.account()
			gives := account.Snapshot(now, ranking).Plan == "pro"
			doubts := account.Doubts(now)
			if has && !gives && len(doubts) == 0 && !s.resumedUnheard(l) {
				fail("she has the plan at Dodo, and nobody would ask")
			}
			if owed := slices.ContainsFunc(doubts, func(d entitlement.Doubt) bool { return d.Owed }); has && !gives && !owed && l.owes(now) {
				fail("she would be told that she has not paid")
			}
			if len(doubts) > 0 && r.IntN(4) > 0 {
				asked++
				for _, f := range s.answers(now) {
					l.hear(t, f)
				}
				account = l.account()
				if gives := account.Snapshot(now, ranking).Plan == "pro"; gives != has {
					fail(fmt.Sprintf("Dodo was asked, and gives her the plan: %t; here: %t", has, gives))
				}
				if got, most := l.ledger.Balance(), 500*s.paidUntil(now); got > most {
					fail(fmt.Sprintf("Dodo was asked, and she has %d credits, and paid for %d", got, most))
				}
				if !has {
					refused++
					if slices.ContainsFunc(account.Doubts(now), func(d entitlement.Doubt) bool { return d.Owed }) {
						fail("Dodo was asked, and she is not told that she has not paid")
					}
				}
			}
		}
	}
	t.Logf("Dodo was asked %d times, and %d times the plan was gone", asked, refused)
	if asked == 0 || refused == 0 {
		t.Error("nothing was tried")
	}
}

// resumedUnheard reports whether Dodo told that the subscription was put on hold, and since
// then of nothing but charges that failed, as they do while it is on hold. That it goes on
// is found by the next pass of reconcile.
func (s *subscriber) resumedUnheard(l *life) bool {
	known := l.known()
	return known.Status == entitlement.SubscriptionOnHold && !slices.ContainsFunc(s.story, func(h happening) bool {
		heard := !h.told.IsZero() && !h.told.After(l.now)
		return heard && h.at.After(known.At) && l.records[h.fact.Ref].Payment.Status != entitlement.PaymentFailed
	})
}

func (l *life) known() entitlement.SubscriptionState {
	return l.records[entitlement.Ref{Kind: entitlement.KindSubscription, ID: "sub_1"}].Subscription.State
}

func (l *life) account() entitlement.Account {
	return entitlement.Account{Ledger: l.ledger, Standings: l.standings, UnansweredGrace: entitlement.UnansweredGrace}
}

// owes reports whether the last period that is known was paid, as far as is known, and ended
// less than an hour ago, or has not ended.
func (l *life) owes(now time.Time) bool {
	known := l.known()
	if known.Status != entitlement.SubscriptionActive {
		return false
	}
	for ref, r := range l.records {
		if ref.Kind == entitlement.KindPayment && r.Payment.Status != entitlement.PaymentSucceeded {
			return false
		}
	}
	return !known.CancelAtEnd && known.At.Before(known.PeriodEnd) && now.Before(known.PeriodEnd.Add(time.Hour))
}

func (s *subscriber) paidUntil(at time.Time) (periods int64) {
	for _, h := range s.story {
		if h.fact.Payment.Status == entitlement.PaymentSucceeded && !h.at.After(at) {
			periods++
		}
	}
	return periods
}

func (s *subscriber) tells() (lines string) {
	for _, h := range s.story {
		told := "never"
		if !h.told.IsZero() {
			told = h.told.Sub(noon).String()
		}
		what := fmt.Sprintf("subscription %s until %v", h.fact.Subscription.State.Status, h.fact.Subscription.State.PeriodEnd.Sub(noon))
		if h.fact.Ref.Kind == entitlement.KindPayment {
			what = fmt.Sprintf("%s %s", h.fact.Ref.ID, h.fact.Payment.Status)
		}
		lines += fmt.Sprintf("%v %s, told %s\n", h.at.Sub(noon), what, told)
	}
	return lines
}
