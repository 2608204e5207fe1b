package gateway

import (
	"context"
	"fmt"
	"math"
	"sync"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodo"
)

// What an event waits for may come without any event: the operator adds the
// product, a version that understands it is installed. So everything that is
// parked is folded again from time to time.

const (
	// maxRedrive bounds one redrive. What was sold elsewhere and never gets an
	// account stays parked for ever, and there may be much of it.
	maxRedrive  = 2500
	redrivePage = 100
)

// Redriven counts what a redrive did.
type Redriven struct {
	Tried   int // parked events that were folded again
	Applied int // of these, parked no more: applied, or found to be another site's
	// Parked counts by reason what stays parked, of all that is. It is nil when
	// this redrive did not come to the end of it.
	Parked  map[string]int
	Damaged *Damaged // accounts that could not be read
}

// redriveRound is how far the redrives have come in going through all that is parked.
type redriveRound struct {
	mu     sync.Mutex // one redrive at a time
	next   string     // where to go on; "" at the beginning
	parked map[string]int
}

// Redrive folds parked events again and settles those that could be applied. What
// somebody else applies at the same time is found applied. One redrive tries
// about maxRedrive events, the oldest first; the next one goes on from there.
//
// An event that fails stays parked and does not hold up the others.
func (e *Events) Redrive(ctx context.Context) (Redriven, error) {
	e.redrives.mu.Lock()
	defer e.redrives.mu.Unlock()
	return e.redriveUpTo(ctx, maxRedrive)
}

// RedriveAll is Redrive of everything that is parked, however much that is.
func (e *Events) RedriveAll(ctx context.Context) (Redriven, error) {
	e.redrives.mu.Lock()
	defer e.redrives.mu.Unlock()
	e.redrives.next = ""
	return e.redriveUpTo(ctx, math.MaxInt)
}

// RedriveEvent does with one event what there is to do, whatever was done with it
// before: folding the same twice changes nothing. It returns the event as it is
// noted then; [store.ErrNotFound] for an event that is not in the journal.
func (e *Events) RedriveEvent(ctx context.Context, id string) (Outcome, book.Event, error) {
	record, err := e.Event(ctx, id)
	if err != nil {
		return "", book.Event{}, err
	}
	if dismissed(record) {
		record.State, record.Reason = book.EventReceived, ""
	}
	event, err := dodo.Decode(record.Body)
	outcome, err := e.take(ctx, record, event.Fact, err != nil)
	if err != nil {
		return "", book.Event{}, fmt.Errorf("apply event: %w", err)
	}
	e.logger.Info("event settled again", "webhook_id", id, "type", record.Type, "outcome", outcome)
	record, err = e.Event(ctx, id)
	return outcome, record, err
}

// redriveUpTo goes on with the round, for about as many events as most.
func (e *Events) redriveUpTo(ctx context.Context, most int) (Redriven, error) {
	r := &e.redrives
	var done Redriven
	var failed int
	var first error
	for done.Tried < most {
		events, next, err := e.store.Parked(ctx, "", r.next, redrivePage)
		if err != nil {
			return done, fmt.Errorf("read parked events: %w", err)
		}
		if r.next == "" {
			r.parked = make(map[string]int)
		}
		page := make(map[string]int)
		for _, record := range events {
			applied, reason, err := e.redrive(ctx, record)
			var damaged bool
			if done.Damaged, damaged = done.Damaged.with(err); damaged {
				reason, err = ReasonDamaged, nil
			}
			if ctx.Err() != nil {
				return done, ctx.Err()
			}
			done.Tried++
			if applied {
				done.Applied++
			} else {
				page[reason]++
			}
			if err != nil {
				if failed++; first == nil {
					first = fmt.Errorf("event %s: %w", record.ID, err)
				}
			}
		}
		for reason, n := range page {
			r.parked[reason] += n
		}
		if r.next = next; next == "" {
			done.Parked = r.parked
			break
		}
	}
	done.Damaged.log(e.logger, "redrive")
	if first != nil {
		return done, fmt.Errorf("%d parked events failed, first %w", failed, first)
	}
	return done, nil
}

// redrive folds one parked event again. It says whether it was applied, else why
// it stays parked.
//
// A delivery of the same event that is applied between our fold and our note of
// another reason is noted as parked once more, until the next redrive.
func (e *Events) redrive(ctx context.Context, record book.Event) (applied bool, reason string, err error) {
	event, unclear := dodo.Decode(record.Body)
	switch {
	case unclear != nil && record.Reason == ReasonDamaged: // its own record is
		return false, ReasonDamaged, nil
	case unclear != nil:
		return false, ReasonUnclear, nil //nolint:nilerr // that is why it waits, nothing failed
	case event.Fact == nil: // another version parked it, for which its type was one about money
		_, err := e.take(ctx, record, nil, false)
		return err == nil, record.Reason, err
	}
	result, err := e.apply(ctx, *event.Fact, record.ID, nil)
	if err != nil {
		return false, record.Reason, err
	}
	if result.outcome == Parked && result.reason == record.Reason {
		return false, record.Reason, nil
	}
	record.Object, record.Account = event.Fact.Ref.String(), result.account
	if result.outcome == Parked {
		if result.reason == ReasonUnknownAccount {
			record.Object = waitsFor(*event.Fact).String()
		} else if result.waits != "" {
			record.Object = result.waits
		}
		return false, result.reason, e.park(ctx, record, result.reason)
	}
	waitedFor := record.Reason
	record.State, record.Reason = book.EventApplied, ""
	switch result.outcome {
	case Foreign:
		record.State, record.Reason = book.EventIgnored, ReasonForeign
	case Ignored:
		record.State = book.EventIgnored
	}
	if err := e.note(ctx, record); err != nil {
		return false, waitedFor, err
	}
	if result.outcome == Foreign {
		e.logger.Debug("parked event is another site's", "webhook_id", record.ID, "type", record.Type, "object", record.Object)
		return true, "", nil
	}
	e.logger.Info("parked event applied", "webhook_id", record.ID, "type", record.Type, "object", record.Object, "was", waitedFor)
	return true, "", nil
}
