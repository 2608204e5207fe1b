package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

// Outcome is what became of a fact.
type Outcome string

// The outcomes.
const (
	Applied   Outcome = "applied"   // it changed the account
	Duplicate Outcome = "duplicate" // everything in it was known
	Ignored   Outcome = "ignored"   // of a type without an effect
	Parked    Outcome = "parked"    // about money, kept until it can be applied
)

// Reasons why a fact is parked.
const (
	ReasonUnclear        = "unclear"         // authentic, but not understandable
	ReasonUnknownAccount = "unknown_account" // nothing says whose it is
	ReasonUnknownProduct = "unknown_product" // a product that the catalog does not have
	ReasonOutOfRange     = "out_of_range"    // more credits than can be counted
)

// HandleEvent takes one webhook delivery: it verifies the signature, journals
// the event, applies it and settles it in the journal. When it returns no error
// the event is stored and may be acknowledged; [store.ErrUnavailable] asks for
// another delivery; [dodo.ErrSignature], [dodo.ErrStale] and
// [dodo.ErrMalformed] change nothing.
//
// An event that was seen before is folded again: its body may be newer
// (FACTS 3.1), and folding the same twice changes nothing.
func (g *Gateway) HandleEvent(ctx context.Context, header http.Header, body []byte) (Outcome, error) {
	delivery, err := g.Verifier.Verify(header, body)
	if err != nil {
		g.Observer.EventRefused(err)
		return "", err
	}
	event, err := dodo.Decode(body)
	unclear := errors.Is(err, dodo.ErrUnclear)
	if err != nil && !unclear {
		g.Observer.EventRefused(err)
		return "", err
	}
	record, err := g.Store.Record(ctx, store.Event{ID: delivery.ID, Type: event.Type, Body: body, State: store.EventReceived})
	if err != nil {
		return "", fmt.Errorf("record event: %w", err)
	}
	var outcome Outcome
	switch {
	case unclear:
		outcome, err = Parked, g.park(ctx, record, ReasonUnclear)
	case event.Fact == nil:
		record.State = store.EventIgnored
		outcome, err = Ignored, g.Store.Settle(ctx, record)
	default:
		outcome, err = g.settle(ctx, record, *event.Fact)
	}
	if err != nil {
		return "", fmt.Errorf("apply event: %w", err)
	}
	g.Observer.EventSettled(event.Type, outcome)
	g.Logger.Info("event settled", "webhook_id", delivery.ID, "type", event.Type, "outcome", outcome)
	return outcome, nil
}

// settle applies a fact and notes in the journal what became of it. What has found
// its account takes along what was parked for it.
func (g *Gateway) settle(ctx context.Context, record store.Event, fact dodo.Fact) (Outcome, error) {
	record.Object = fact.Ref.String()
	result, err := g.apply(ctx, fact, record.ID)
	if err != nil {
		return "", err
	}
	record.Account = result.account
	if result.outcome != Parked {
		record.State, record.Reason = store.EventApplied, ""
		return result.outcome, g.Store.Settle(ctx, record)
	}
	if result.reason != ReasonUnknownAccount {
		return Parked, g.park(ctx, record, result.reason)
	}
	waited := waitsFor(fact)
	record.Object = waited.String()
	if err := g.park(ctx, record, result.reason); err != nil {
		return "", err
	}
	// That object may have found its account between our look-up and the note
	// that this event waits for it. Who comes second sees the other one.
	owner, err := g.Store.Owner(ctx, waited)
	if err != nil || owner == "" {
		return Parked, err
	}
	return g.settle(ctx, record, fact)
}

func (g *Gateway) park(ctx context.Context, record store.Event, reason string) error {
	record.State, record.Reason = store.EventParked, reason
	g.Logger.Warn("event parked", "webhook_id", record.ID, "type", record.Type, "object", record.Object, "reason", reason)
	return g.Store.Settle(ctx, record)
}

// unpark applies what was parked for an object that has an account now.
func (g *Gateway) unpark(ctx context.Context, ref entitlement.Ref) error {
	events, err := g.Store.Parked(ctx, ref.String())
	if err != nil {
		return fmt.Errorf("read parked events: %w", err)
	}
	for _, record := range events {
		if record.Reason != ReasonUnknownAccount {
			continue
		}
		event, err := dodo.Decode(record.Body)
		if err != nil || event.Fact == nil {
			continue // it stays parked
		}
		result, err := g.fold(ctx, *event.Fact, record.ID)
		if err != nil {
			return fmt.Errorf("apply parked event: %w", err)
		}
		if result.outcome == Parked {
			continue
		}
		record.State, record.Reason, record.Account = store.EventApplied, "", result.account
		record.Object = event.Fact.Ref.String()
		if err := g.Store.Settle(ctx, record); err != nil {
			return fmt.Errorf("settle parked event: %w", err)
		}
	}
	return nil
}
