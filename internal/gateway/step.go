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

// step is what a fact does to what is known of its object.
type step struct {
	prior, record entitlement.Record
	commit        book.Commit
	nothing       bool // there is nothing to commit
	done          result
}

// compute folds a fact into what is known of its object. Nobody is asked.
func (e *Events) compute(fact dodo.Fact, found owner, object book.Object, cause string) (step, error) {
	var s step
	var err error
	if s.prior, err = recordOf(fact.Ref, object); err != nil {
		return step{}, err
	}
	s.record = s.prior.Fold(fact.Fact, e.termsFor(found.order))
	effect, err := s.record.Effect(fact.Ref, s.prior, e.disputePolicy)
	if errors.Is(err, ledger.ErrRange) {
		return step{record: s.prior, nothing: true, done: parked(found.account, ReasonOutOfRange)}, nil
	}
	s.done = result{outcome: Applied, account: found.account}
	switch {
	case fact.Ref.Kind == entitlement.KindPayment && !s.record.Settled.IsZero():
		if len(fact.Payment.Refunds)+len(fact.Payment.Disputes) > 0 {
			s.done = parked(found.account, ReasonImported)
		}
	case errors.Is(err, entitlement.ErrUnknownProduct):
		s.done = parked(found.account, ReasonUnknownProduct)
	case forNothing(s.record.Payment), ofWhoKnowsHowMuch(fact, s.record.Payment):
		s.done = parked(found.account, ReasonUnclear)
	case s.record.Underpaid(fact.Fact, e.disputePolicy):
		s.done = parked(found.account, ReasonUnderpaid)
	case s.record.UnknownAddon(fact.Fact):
		s.done = parked(found.account, ReasonUnknownAddon)
	case s.record.GivesNothing(fact.Fact, e.disputePolicy):
		s.done = parked(found.account, ReasonGivesNothing)
	}
	const usual = 256 // bytes, and more than most need
	state, err := s.record.AppendJSON(make([]byte, 0, usual))
	if err != nil {
		return step{}, fmt.Errorf("encode object %s: %w", fact.Ref, err)
	}
	if object.Version > 0 && bytes.Equal(state, object.State) {
		if s.done.outcome == Applied {
			s.done.outcome = Duplicate
		}
		s.nothing = true
		return s, nil
	}
	s.commit = book.Commit{
		Account: found.account, Object: fact.Ref, Version: object.Version, State: state,
		Effect: effect, Policy: ledger.Policy(e.refundPolicy), Cause: cause, Order: orderResult(found.order, fact),
	}
	// A payment of a subscription is folded into that too before its event is done.
	if found.event != nil && s.done.outcome == Applied && s.record.Payment.Subscription == "" {
		s.commit.Settle = e.applied(*found.event, found.account)
	}
	return s, nil
}

// recordOf is what is known of an object.
func recordOf(ref entitlement.Ref, object book.Object) (entitlement.Record, error) {
	if object.Version == 0 {
		return entitlement.Record{}, nil
	}
	r, err := entitlement.ParseRecord(object.State)
	if err != nil {
		return entitlement.Record{}, fmt.Errorf("decode object %s: %w", ref, err)
	}
	return r, nil
}
