package entitlement

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// UnansweredGrace is how long a plan that renews outlives its period at the least while Dodo
// has not said how it goes on: Dodo cannot be asked, or has not been asked yet.
const UnansweredGrace = time.Hour

// Next is what Dodo has not said of a subscription yet. A webhook may be lost, so Dodo must
// be asked before the account is refused something because of it.
type Next struct {
	// Due is when what is known ends: with the period, or the term, that Dodo told last.
	// For a subscription that is known by a charge alone, it is when that was made.
	Due time.Time `json:"due"`
	// Said is when Dodo told its state last; zero if it has told none.
	Said time.Time `json:"said,omitzero"`
	// Since is when the period began that Dodo told last; zero if it has told none.
	Since time.Time `json:"since,omitzero"`
	// Renews: Dodo was to go on with it after Due.
	Renews bool `json:"renews,omitempty"`
	// Unpaid: no charge of the period is known that succeeded.
	Unpaid bool `json:"unpaid,omitempty"`
}

// next is what Dodo has not said of the subscription; nil for one that has ended or stopped,
// and for one of which nobody paid anything.
func (s Subscription) next() *Next {
	n := Next{Due: s.State.PeriodEnd, Said: s.State.At, Since: s.State.PeriodStart}
	switch s.State.Status {
	case SubscriptionActive:
		n.Renews = !s.State.CancelAtEnd
		n.Unpaid = !s.State.OnDemand && !slices.ContainsFunc(s.paidAt(), s.State.period().mayHold)
	case SubscriptionPastDue:
		n.Due = s.pastDueUntil()
	case "", SubscriptionPending:
		n = Next{Due: s.firstCharged(), Renews: true}
		if n.Due.IsZero() {
			return nil
		}
		return &n
	default:
		return s.goesOn()
	}
	if end := s.State.ExpiresAt; !end.IsZero() && !end.After(n.Due) {
		n.Due, n.Renews = end, false
	}
	return &n
}

// goesOn is what Dodo has not said of a subscription that has stopped, if there is a charge of
// it that was begun later, or that may have succeeded later, because nobody tells when that
// was. Nothing is charged again for one that was cancelled or has expired, so that its last
// charge is mostly older than its end.
func (s Subscription) goesOn() *Next {
	charged := s.lastCharged()
	stopped := s.State.At
	if s.State.Status != SubscriptionCancelled && s.State.Status != SubscriptionExpired {
		stopped = stopped.Add(-processingTakes)
	}
	if !charged.After(stopped) {
		return nil
	}
	return &Next{Due: charged, Said: s.State.At, Since: s.State.PeriodStart, Renews: true}
}

// lastCharged is when the last charge was begun that has succeeded or still may; zero for none.
func (s Subscription) lastCharged() (last time.Time) {
	for _, p := range s.Charges {
		if (p.pays() || p.Status == PaymentProcessing) && p.CreatedAt.After(last) {
			last = p.CreatedAt
		}
	}
	return last
}

// firstCharged is when the first charge was made that succeeded; zero for none.
func (s Subscription) firstCharged() time.Time {
	var first time.Time
	for _, p := range s.Charges {
		if p.pays() && (first.IsZero() || p.CreatedAt.Before(first)) {
			first = p.CreatedAt
		}
	}
	return first
}

// answered reports whether Dodo has told of the subscription since what is known has ended.
func (n *Next) answered() bool { return !n.Said.Before(n.Due) }

// graceOf is the grace of one subscription. One that an earlier release stored has no Next.
func (a Account) graceOf(n *Next) time.Duration {
	if n == nil || n.answered() {
		return a.Grace
	}
	return max(a.Grace, a.UnansweredGrace)
}

// owedUntil is until when the account must not be refused because of what is not known.
// After an answer of Dodo it may be refused at once.
func (a Account) owedUntil(n *Next) time.Time {
	if !n.Renews || n.answered() {
		return n.Due
	}
	return n.Due.Add(a.graceOf(n))
}

// Doubt is a subscription of which it is known that something is not known.
type Doubt struct {
	Subscription string // Dodo's id
	// Since is when its newest period began that Dodo told; zero if it has told none.
	Since time.Time
	// Untold: Dodo has told of a charge for it, and nothing else.
	Untold bool
	// Over: its period is over, so that requests see its plan as gone, or in the grace. Of
	// other doubts requests see nothing: a charge that is being processed, for example.
	Over bool
	// Owed: it has been paid, or was to go on, and Dodo has not said yet what became of it.
	// The account must not be told that it has not paid.
	Owed bool
}

// Doubts are the account's subscriptions that Dodo should be asked about, in the order of
// their ids; nil for none, as almost all accounts have.
func (a Account) Doubts(now time.Time) []Doubt {
	var doubts []Doubt
	prefix := Ref{Kind: KindSubscription}.String()
	for name, st := range a.Standings {
		id, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		if d, open := a.doubt(st, now); open {
			d.Subscription = id
			doubts = append(doubts, d)
		}
	}
	slices.SortFunc(doubts, func(d, e Doubt) int { return cmp.Compare(d.Subscription, e.Subscription) })
	return doubts
}

func (a Account) doubt(s Standing, now time.Time) (d Doubt, open bool) {
	gone := s.Renewal == nil || !now.Before(s.Renewal.Until)
	if s.Next == nil { // an earlier release stored it, or its end was told
		told := s.Renewal == nil || s.Renewal.Status != PlanActive && s.Renewal.Status != PlanPastDue
		return Doubt{Over: true}, gone && !told
	}
	n, due := s.Next, !now.Before(s.Next.Due)
	d = Doubt{Since: n.Since, Untold: n.Said.IsZero(), Over: due && gone, Owed: due && now.Before(a.owedUntil(n))}
	return d, due || n.Unpaid
}
