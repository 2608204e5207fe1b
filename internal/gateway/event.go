package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"

	"github.com/dodogate/dodogate/internal/book"
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
	Ignored   Outcome = "ignored"   // of a type without an effect, or a failed payment of nobody known
	Parked    Outcome = "parked"    // about money, kept until it can be applied
	Foreign   Outcome = "foreign"   // ordered at another site, left alone
)

// Reasons why a fact is parked.
const (
	ReasonUnclear        = "unclear"         // authentic, but not understandable
	ReasonUnknownAccount = "unknown_account" // nothing says whose it is
	ReasonUnknownProduct = "unknown_product" // a product that the catalog does not have
	ReasonOutOfRange     = "out_of_range"    // more credits than can be counted
	ReasonUnderpaid      = "underpaid"       // less than the catalog's min_amount was paid
	ReasonUnknownAddon   = "unknown_addon"   // an add-on that the catalog does not have
	ReasonGivesNothing   = "gives_nothing"   // paid, and nothing says what for
	ReasonOtherBusiness  = "other_business"  // of another business at Dodo than the one heard of first
	ReasonImported       = "imported"        // a refund or dispute of a payment whose credits were imported
)

// Reasons are all of them: the closed set that labels metrics.
var Reasons = []string{ReasonUnclear, ReasonUnknownAccount, ReasonUnknownProduct, ReasonOutOfRange, ReasonUnderpaid, ReasonUnknownAddon, ReasonGivesNothing, ReasonOtherBusiness, ReasonImported, ReasonDamaged}

// ReasonForeign is why an event about money is ignored: it was ordered at another site.
const ReasonForeign = "foreign"

// ReasonDismissed is why an event about money is ignored: an operator said so.
const ReasonDismissed = "dismissed"

// HandleEvent takes one webhook delivery: it verifies the signature, journals
// the event, applies it and settles it in the journal. When it returns no error
// the event is stored and may be acknowledged; [store.ErrUnavailable] asks for
// another delivery; [dodo.ErrSignature], [dodo.ErrStale] and
// [dodo.ErrMalformed] change nothing.
//
// An event that was seen before is folded again: its body may be newer
// (FACTS 3.1), and folding the same twice changes nothing.
func (e *Events) HandleEvent(ctx context.Context, header http.Header, body []byte) (Outcome, error) {
	outcome, err := e.handleEvent(ctx, header, body)
	if err != nil {
		e.observer.EventRefused(err)
	}
	return outcome, err
}

func (e *Events) handleEvent(ctx context.Context, header http.Header, body []byte) (Outcome, error) {
	delivery, err := e.verifier.Verify(header, body)
	if err != nil {
		return "", err
	}
	event, err := dodo.Decode(body)
	unclear := errors.Is(err, dodo.ErrUnclear)
	if err != nil && !unclear {
		return "", err
	}
	outcome, err := e.receive(ctx, book.Event{ID: delivery.ID, Type: event.Type, Body: body, State: book.EventReceived}, event.Fact, unclear)
	if err != nil {
		return "", err
	}
	e.observer.EventSettled(event.Type, outcome)
	// Not for the request: what it might add would be prepared anew for each.
	e.logger.LogAttrs(context.Background(), slog.LevelInfo, "event settled",
		slog.String("webhook_id", delivery.ID), slog.String("type", event.Type), slog.String("outcome", string(outcome)))
	return outcome, nil
}

// receive journals an event and applies it. One that proves whose it is binds its object and is
// applied in the same step.
func (e *Events) receive(ctx context.Context, event book.Event, fact *dodo.Fact, unclear bool) (Outcome, error) {
	if fact != nil && fact.Describes() {
		claim, err := e.proves(ctx, *fact)
		if err != nil {
			return "", fmt.Errorf("record event: %w", err)
		}
		if claim.ours {
			return e.receiveProven(ctx, event, *fact, claim.Claim)
		}
	}
	record, err := e.store.Record(ctx, event)
	if err != nil {
		return "", fmt.Errorf("record event: %w", err)
	}
	outcome, err := e.take(ctx, record, fact, unclear)
	if err != nil {
		return "", fmt.Errorf("apply event: %w", err)
	}
	return outcome, nil
}

func (e *Events) receiveProven(ctx context.Context, event book.Event, fact dodo.Fact, claim dodo.Claim) (Outcome, error) {
	f := folding{fact: fact, found: owner{account: claim.Account, proven: true, orderID: claim.Order}, cause: event.ID, event: &event}
	var s step
	done, err := e.store.Receive(ctx, store.Delivery{Event: event, Object: fact.Ref, Account: claim.Account}, func(b *book.Book) (err error) {
		s, err = e.decide(b, f)
		return err
	})
	e.views.Forget(claim.Account) // also if it failed: it may be done, and the reply lost
	if err != nil {
		outcome, err := e.parkDamaged(ctx, event, fact, err)
		if err != nil {
			err = fmt.Errorf("apply event: %w", err)
		}
		return outcome, err
	}
	var outcome Outcome
	if done.Owner == claim.Account {
		var r result
		e.daily.add(s.given, 0)
		s.done.alone = s.writes && !done.Waiting
		r, err = e.follow(ctx, f, s, nil)
		if r, err = e.applied(ctx, fact, r, err); err == nil {
			outcome, err = e.settle(ctx, done.Event, fact, r)
		} else {
			outcome, err = e.parkDamaged(ctx, done.Event, fact, err)
		}
	} else {
		outcome, err = e.take(ctx, done.Event, &fact, false)
	}
	if err != nil {
		return "", fmt.Errorf("apply event: %w", err)
	}
	return outcome, nil
}

// proves is the proof of a fact that may be applied at all.
func (e *Events) proves(ctx context.Context, fact dodo.Fact) (claimed, error) {
	other, err := e.site.ofOtherBusiness(ctx, fact)
	if err != nil || other {
		return claimed{}, err
	}
	return e.site.claim(ctx, fact.Clues.Metadata)
}

// take does with a journalled event what there is to do, and notes that.
func (e *Events) take(ctx context.Context, record book.Event, fact *dodo.Fact, unclear bool) (Outcome, error) {
	switch {
	case unclear:
		return Parked, e.park(ctx, record, ReasonUnclear)
	case fact == nil:
		record.State, record.Reason = book.EventIgnored, ""
		return Ignored, e.note(ctx, record)
	}
	r, err := e.apply(ctx, *fact, record.ID, &record)
	if err != nil {
		return e.parkDamaged(ctx, record, *fact, err)
	}
	return e.settle(ctx, record, *fact, r)
}

// parkDamaged parks an event that could not be applied because its account is damaged. When that is
// mended, the next redrive applies it. All other errors are returned.
func (e *Events) parkDamaged(ctx context.Context, record book.Event, fact dodo.Fact, err error) (Outcome, error) {
	damaged, is := errors.AsType[*store.DamagedError](err)
	if !is {
		return "", err
	}
	record.Object, record.Account = fact.Ref.String(), damaged.Account
	return Parked, e.park(ctx, record, ReasonDamaged)
}

// settle notes in the journal what became of an event's fact.
func (e *Events) settle(ctx context.Context, record book.Event, fact dodo.Fact, result result) (Outcome, error) {
	if result.settled {
		return result.outcome, nil
	}
	record.Object, record.Account = fact.Ref.String(), result.account
	if result.outcome == Foreign {
		record.State, record.Reason = book.EventIgnored, ReasonForeign
		return Foreign, e.note(ctx, record)
	}
	if result.outcome == Ignored {
		record.State, record.Reason = book.EventIgnored, ""
		return Ignored, e.note(ctx, record)
	}
	if result.outcome != Parked {
		record.State, record.Reason = book.EventApplied, ""
		return result.outcome, e.note(ctx, record)
	}
	if result.waits != "" {
		record.Object = result.waits
	}
	if result.reason != ReasonUnknownAccount {
		return Parked, e.park(ctx, record, result.reason)
	}
	waited := waitsFor(fact)
	if named, ok := entitlement.ParseRef(result.waits); ok {
		waited = named
	}
	record.Object = waited.String()
	if err := e.park(ctx, record, result.reason); err != nil {
		return "", err
	}
	// That object may have found its account between our look-up and the note
	// that this event waits for it. Who comes second sees the other one.
	owner, err := e.store.Owner(ctx, waited)
	if err != nil || owner == "" {
		return Parked, err
	}
	again, err := e.apply(ctx, fact, record.ID, &record)
	switch {
	case err != nil:
		return e.parkDamaged(ctx, record, fact, err)
	case again.taken: // whoever gives it back takes up what is parked
		return Parked, nil
	}
	return e.settle(ctx, record, fact, again)
}

func (e *Events) park(ctx context.Context, record book.Event, reason string) error {
	if dismissed(record) {
		return e.note(ctx, record)
	}
	record.State, record.Reason = book.EventParked, reason
	e.logger.Warn("event parked", "webhook_id", record.ID, "type", record.Type, "object", record.Object, "reason", reason)
	return e.note(ctx, record)
}

// note writes into the journal what became of an event. What is applied or ignored
// needs its personal data no more, and ends when its time is over. What waits
// keeps both: the address that the customer typed may be what binds the customer
// to an account when it is applied.
func (e *Events) note(ctx context.Context, record book.Event) error {
	return e.store.Settle(ctx, record, e.retention(record))
}

func (e *Events) retention(record book.Event) book.Retention {
	keep := book.Retention{Keep: e.keepEvents.Duration()}
	if e.keepEvents.Redact && record.State.Final() {
		keep.Body = dodo.Redact(record.Body)
	}
	return keep
}

// settlement is what note writes of an event that was applied to the account.
func (e *Events) settlement(record book.Event, fact dodo.Fact, account string) *book.Settlement {
	record.State, record.Reason, record.Object, record.Account = book.EventApplied, "", fact.Ref.String(), account
	return &book.Settlement{Event: record, Retention: e.retention(record)}
}

// unpark applies what was parked for an object for one of the reasons: it has an account now,
// or more is known of a subscription than when a charge of it seemed to give nothing.
func (e *Events) unpark(ctx context.Context, ref entitlement.Ref, reasons ...string) error {
	events, _, err := e.store.Parked(ctx, ref.String(), "", 100)
	if err != nil {
		return fmt.Errorf("read parked events: %w", err)
	}
	for _, record := range events {
		if !slices.Contains(reasons, record.Reason) {
			continue
		}
		event, err := dodo.Decode(record.Body)
		if err != nil || event.Fact == nil {
			continue // it stays parked
		}
		result, err := e.fold(ctx, *event.Fact, record.ID, nil)
		if err != nil {
			return fmt.Errorf("apply parked event: %w", err)
		}
		if result.outcome == Parked {
			continue
		}
		record.State, record.Reason, record.Account = book.EventApplied, "", result.account
		record.Object = event.Fact.Ref.String()
		if err := e.note(ctx, record); err != nil {
			return fmt.Errorf("settle parked event: %w", err)
		}
	}
	return nil
}
