package gateway

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

// folding is a fact on its way into its object. It is read only: a decision about it may be made
// when whoever asked for it has gone.
type folding struct {
	fact  dodo.Fact
	found owner
	cause string
	event *book.Event // to be settled with the commit; nil for none
	given bool        // by an operator, also if the object was taken from the account before
}

// step is what a fact does to what is known of its object.
type step struct {
	prior, record entitlement.Record
	writes        bool  // there is something to commit
	given         int64 // credits, less those that were taken back
	done          result
}

// decide folds a fact into its object and commits what follows from that. Nobody is asked.
func (e *Events) decide(b *book.Book, f folding) (step, error) {
	object, err := b.Object(f.fact.Ref)
	if err != nil {
		return step{}, err
	}
	if !f.given {
		if taken, err := isTaken(f.fact.Ref, object); err != nil || taken {
			return step{done: result{outcome: Parked, reason: ReasonUnknownAccount, taken: taken}}, err
		}
	}
	order := f.found.order
	if f.found.orderID != "" {
		if order, err = b.Order(f.found.orderID); err != nil {
			return step{}, err
		}
	}
	if blank(object) && !f.found.proven {
		if f.fact.Settled, err = settledBy(b, f.fact); err != nil {
			return step{}, err
		}
	}
	s, commit, err := e.compute(f, order, object)
	if err != nil {
		return step{}, err
	}
	if err := bindCustomer(b, order, f.fact); err != nil || !s.writes {
		return s, err
	}
	if err := e.countSales(b, f.fact.Ref, s); err != nil {
		return s, err
	}
	entries, err := b.Commit(commit)
	s.given = given(entries)
	if errors.Is(err, ledger.ErrRange) {
		return step{prior: s.prior, record: s.prior, done: parked(f.found.account, ReasonOutOfRange)}, nil
	}
	return s, err
}

// compute folds a fact into what is known of its object.
func (e *Events) compute(f folding, order *book.Order, object book.Object) (s step, commit book.Commit, err error) {
	fact, account := f.fact, f.found.account
	if s.prior, err = recordOf(fact.Ref, object); err != nil {
		return step{}, commit, err
	}
	s.record = s.prior.Fold(fact.Fact, e.termsFor(order))
	effect, err := s.record.Effect(fact.Ref, s.prior, e.disputePolicy)
	if errors.Is(err, ledger.ErrRange) {
		return step{prior: s.prior, record: s.prior, done: parked(account, ReasonOutOfRange)}, commit, nil
	}
	s.done = result{outcome: Applied, account: account}
	switch {
	case fact.Ref.Kind == entitlement.KindPayment && !s.record.Settled.IsZero():
		if len(fact.Payment.Refunds)+len(fact.Payment.Disputes) > 0 {
			s.done = parked(account, ReasonImported)
		}
	case errors.Is(err, entitlement.ErrUnknownProduct):
		s.done = parked(account, ReasonUnknownProduct)
	case forNothing(s.record.Payment), ofWhoKnowsHowMuch(fact, s.record.Payment):
		s.done = parked(account, ReasonUnclear)
	case s.record.Underpaid(fact.Fact, e.disputePolicy):
		s.done = parked(account, ReasonUnderpaid)
	case s.record.UnknownAddon(fact.Fact):
		s.done = parked(account, ReasonUnknownAddon)
	case s.record.GivesNothing(fact.Fact, e.disputePolicy):
		s.done = parked(account, ReasonGivesNothing)
	}
	const usual = 256 // bytes, and more than most need
	state, err := s.record.AppendJSON(make([]byte, 0, usual))
	if err != nil {
		return step{}, commit, fmt.Errorf("encode object %s: %w", fact.Ref, err)
	}
	if object.Version > 0 && bytes.Equal(state, object.State) {
		if s.done.outcome == Applied {
			s.done.outcome = Duplicate
		}
		return s, commit, nil
	}
	commit = book.Commit{
		Account: account, Object: fact.Ref, Version: object.Version, State: state,
		Effect: effect, Policy: ledger.Policy(e.refundPolicy), Cause: f.cause, Order: orderResult(order, fact),
	}
	// A payment of a subscription is folded into that too before its event is done.
	if f.event != nil && s.done.outcome == Applied && s.record.Payment.Subscription == "" {
		commit.Settle = e.settlement(*f.event, fact, account)
	}
	s.writes, s.done.settled = true, commit.Settle != nil
	return s, commit, nil
}

// blankState is the state of an object that was taken from an account and given back.
const blankState = "{}"

// isTaken reports whether an operator took an object from the account. An event may have looked up
// its owner before that, so only the account itself can say it.
func isTaken(ref entitlement.Ref, o book.Object) (bool, error) {
	if !bytes.Contains(o.State, []byte(`"taken"`)) { // it is rare
		return false, nil
	}
	r, err := recordOf(ref, o)
	return r.Taken != "", err
}

// blank reports whether nothing is known of an object.
func blank(o book.Object) bool { return o.Version == 0 || string(o.State) == blankState }

// recordOf is what is known of an object.
func recordOf(ref entitlement.Ref, object book.Object) (entitlement.Record, error) {
	if object.Version == 0 {
		return entitlement.Record{}, nil
	}
	r, err := entitlement.ParseRecord(object.State)
	if err != nil {
		return entitlement.Record{}, book.Damaged("object %s cannot be decoded: %v", ref, err)
	}
	return r, nil
}
