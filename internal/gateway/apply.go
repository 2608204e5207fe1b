package gateway

import (
	"context"
	"fmt"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// result is what became of a fact.
type result struct {
	outcome Outcome
	account string // where it was applied
	reason  string // why it was parked
	waits   string // the object that its event waits for, unless it is the fact's own
	alone   bool   // no event is parked for its object; false where that was not looked at
	settled bool   // its event is noted in the journal as applied
	taken   bool   // an operator took the object from the account that it led to
}

func parked(account, reason string) result {
	return result{outcome: Parked, account: account, reason: reason}
}

// apply finds the account that a fact belongs to and commits what follows from
// it. cause names the fact in the account's entries. What an object describes
// takes along what was parked for it, each time anew, so that a crash in between
// loses nothing. event, unless it is nil, is settled by the commit where nothing but that is
// to be done.
func (e *Events) apply(ctx context.Context, fact dodo.Fact, cause string, event *book.Event) (result, error) {
	r, err := e.fold(ctx, fact, cause, event)
	return e.applied(ctx, fact, r, err)
}

// applied takes along what was parked for an object that has found its account.
func (e *Events) applied(ctx context.Context, fact dodo.Fact, r result, err error) (result, error) {
	if err == nil && r.account != "" && fact.Describes() && !r.alone {
		err = e.unpark(ctx, fact.Ref, ReasonUnknownAccount, ReasonGivesNothing)
	}
	return r, err
}

func (e *Events) fold(ctx context.Context, fact dodo.Fact, cause string, event *book.Event) (result, error) {
	if other, err := e.site.ofOtherBusiness(ctx, fact); err != nil || other {
		return parked("", ReasonOtherBusiness), err
	}
	found, err := e.find(ctx, fact)
	if err != nil {
		return result{}, fmt.Errorf("find account: %w", err)
	}
	if found.foreign {
		return result{outcome: Foreign}, nil
	}
	if found.account == "" && isUnpaid(fact) {
		return result{outcome: Ignored}, nil
	}
	if found.account == "" {
		return parked("", ReasonUnknownAccount), nil
	}
	f := folding{fact: fact, found: found, cause: cause, event: event}
	s, err := e.commit(ctx, f)
	return e.follow(ctx, f, s, err)
}

// isUnpaid reports a payment that failed or was cancelled, and nothing more. Nobody is owed anything
// for it, so it need not wait for an account: anybody can cause any number of them.
func isUnpaid(fact dodo.Fact) bool {
	p := fact.Payment
	return fact.Ref.Kind == entitlement.KindPayment && (p.Status == entitlement.PaymentFailed || p.Status == entitlement.PaymentCancelled) &&
		len(p.Refunds)+len(p.Disputes) == 0
}

// follow folds a payment that was committed into its subscription, if it has one.
func (e *Events) follow(ctx context.Context, f folding, s step, err error) (result, error) {
	if err != nil || s.record.Payment.Subscription == "" {
		return s.done, err
	}
	charged, err := e.charge(ctx, f.found, f.fact.Ref.ID, s.record.Payment, f.cause)
	both := s.done.and(charged)
	if both.reason == charged.reason {
		both.waits = charged.waits
	}
	both.alone, both.settled = s.done.alone, false // the one is about the payment, and the event about both
	return both, err
}

// charge folds a payment into the subscription that it belongs to. It is done
// after every fact about the payment, also one that was known, so that a crash
// between the two commits loses nothing.
func (e *Events) charge(ctx context.Context, payer owner, paymentID string, p entitlement.Payment, cause string) (result, error) {
	fact := dodo.Fact{Fact: entitlement.Fact{
		Ref:          entitlement.Ref{Kind: entitlement.KindSubscription, ID: p.Subscription},
		Subscription: entitlement.Subscription{Charges: map[string]entitlement.Payment{paymentID: p}},
	}}
	bound, err := e.store.Claim(ctx, fact.Ref, payer.account)
	if err != nil {
		return result{}, fmt.Errorf("bind %s: %w", fact.Ref, err)
	}
	s, err := e.commit(ctx, folding{fact: fact, found: owner{account: bound, proven: payer.proven}, cause: cause})
	r := s.done
	if err == nil && !r.alone {
		err = e.unpark(ctx, fact.Ref, ReasonUnknownAccount)
	}
	if r.taken || r.reason == ReasonGivesNothing && !s.record.Subscription.State.OnDemand {
		r.waits = fact.Ref.String() // a change of it may say what the charge was for
	}
	return r, err
}

// and joins what became of a payment with what became of its subscription.
func (r result) and(s result) result {
	if r.outcome == Parked || r.outcome == Applied && s.outcome != Parked {
		return r
	}
	return s
}

// commit folds a fact into its object and writes the new state together with the difference
// that it makes, in one step.
func (e *Events) commit(ctx context.Context, f folding) (step, error) {
	var s step
	done, err := e.store.Update(ctx, f.found.account, func(b *book.Book) (err error) {
		s, err = e.decide(b, f)
		return err
	})
	e.views.Forget(f.found.account) // also if it failed: it may be done, and the reply lost
	if err != nil {
		return step{}, fmt.Errorf("commit: %w", err)
	}
	e.daily.add(s.given, 0)
	s.done.alone = s.writes && !done.Waiting
	return s, nil
}

// forNothing reports that somebody paid and it is not said what for.
func forNothing(p entitlement.Payment) bool {
	return p.Status == entitlement.PaymentSucceeded && len(p.Cart) == 0 && p.Subscription == ""
}

// ofWhoKnowsHowMuch reports that a fact is no more than a refund of a part that
// cannot be told. It takes nothing back, so somebody must see it.
func ofWhoKnowsHowMuch(fact dodo.Fact, p entitlement.Payment) bool {
	if fact.Describes() {
		return false
	}
	for _, r := range fact.Payment.Refunds {
		if p.Incomparable(r) {
			return true
		}
	}
	return false
}

// termsFor looks up what buying a product gives: what was promised when the
// order was made, else what the catalog says now. The promise is for what the
// checkout itself sells: of a subscription, the period that begins with it. The least
// amount is no promise, so it is always today's.
func (e *Events) termsFor(order *book.Order) entitlement.TermsOf {
	return func(productID string, start time.Time) (entitlement.Terms, bool) {
		p, known := e.catalog.ByID(productID)
		if a, is := e.catalog.AddonByID(productID); is && !start.IsZero() {
			return entitlement.Terms{Credits: a.Credits, Plan: a.Plan, Feature: a.Feature, Seats: a.Seats}, true
		}
		t := termsOf(p)
		if order != nil && (start.IsZero() || start.Before(order.ExpiresAt)) {
			if promised, ok := order.Terms[productID]; ok {
				t, known = promised, true
			}
		}
		t.MinAmount = p.MinAmount
		return t, known
	}
}

func orderResult(order *book.Order, fact dodo.Fact) *book.OrderResult {
	if order == nil {
		return nil
	}
	r := &book.OrderResult{ID: order.ID, PaymentID: fact.Ref.ID}
	switch fact.Payment.Status {
	case entitlement.PaymentSucceeded:
		r.State = book.OrderPaid
	case entitlement.PaymentFailed:
		r.State = book.OrderFailed
	case entitlement.PaymentCancelled:
		r.State = book.OrderCancelled
	default:
		return nil
	}
	return r
}
