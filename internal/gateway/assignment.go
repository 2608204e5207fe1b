package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// What an operator decides by hand, because nothing else says whose a purchase is.

var (
	// ErrAssign says that something cannot be assigned, and why.
	ErrAssign = errors.New("it cannot be assigned")
	// ErrNotParked says that an event does not wait for anything.
	ErrNotParked = errors.New("the event is not parked")
)

const assignCause = "assign"

// Assigned is what an assignment did.
type Assigned struct {
	Object  string // that is the account's now
	Account string
	// Unread says why Dodo did not tell what the object is, if nothing that was parked
	// told it either; empty if that is known.
	Unread string
}

// Assign gives what at Dodo belongs to nobody to an account, and applies what is known of
// it. what is an event's id, which stands for the object that the event waits for, or a
// payment, subscription or customer, such as sub_1 or subscription:sub_1. What is bound
// to an account stays bound: [ErrAssign], and also [store.ErrNotFound] for an event
// that is not in the journal. Repeating it changes nothing.
func (e *Events) Assign(ctx context.Context, what, account string) (Assigned, error) {
	switch {
	case account == "":
		return Assigned{}, fmt.Errorf("%w: the account is empty", ErrAssign)
	case len(account) > MaxAccount:
		return Assigned{}, ErrAccount
	}
	ref, err := e.assignable(ctx, what)
	if err != nil {
		return Assigned{}, err
	}
	owner, err := e.store.Claim(ctx, ref, account)
	switch {
	case err != nil:
		return Assigned{}, fmt.Errorf("bind %s: %w", ref, err)
	case owner != account:
		return Assigned{}, fmt.Errorf("%w: %s belongs to the account %q", ErrAssign, ref, owner)
	}
	e.logger.Info("an operator assigned an object", "object", ref.String(), "account", account)
	done := Assigned{Object: ref.String(), Account: account}
	if ref.Kind == entitlement.KindCustomer {
		_, err := e.RedriveAll(ctx)
		return done, err
	}
	if err := e.unpark(ctx, ref, ReasonUnknownAccount); err != nil {
		return done, err
	}
	object, err := e.store.Object(ctx, account, ref)
	if err != nil {
		return done, fmt.Errorf("read object: %w", err)
	}
	if known, err := recordOf(ref, object); err != nil || (entitlement.Fact{Payment: known.Payment, Subscription: known.Subscription}).Describes() {
		return done, err
	}
	fact, err := e.readAt(ctx, ref)
	if err != nil {
		done.Unread = err.Error()
		return done, nil //nolint:nilerr // the object is assigned; Unread says the rest
	}
	_, err = e.apply(ctx, fact, assignCause, nil)
	return done, err
}

// assignable is the object that is meant by what an operator typed.
func (e *Events) assignable(ctx context.Context, what string) (entitlement.Ref, error) {
	if ref, ok := objectNamed(what); ok {
		return ref, nil
	}
	event, err := e.Event(ctx, what)
	if err != nil {
		return entitlement.Ref{}, err
	}
	ref, ok := objectNamed(event.Object)
	if !ok {
		return ref, fmt.Errorf("%w: the event is not about a payment or a subscription", ErrAssign)
	}
	return ref, nil
}

// objectNamed reads the name of an object, or Dodo's id, which begins with its kind.
func objectNamed(text string) (entitlement.Ref, bool) {
	for prefix, kind := range map[string]entitlement.Kind{
		"pay_": entitlement.KindPayment, "sub_": entitlement.KindSubscription, "cus_": entitlement.KindCustomer,
	} {
		id, named := strings.CutPrefix(text, string(kind)+":")
		if (named || strings.HasPrefix(id, prefix)) && eventID.MatchString(id) {
			return entitlement.Ref{Kind: kind, ID: id}, true
		}
	}
	return entitlement.Ref{}, false
}

// Dismiss notes of a parked event that nothing is to be done about it. Another delivery
// of it changes nothing; [Events.RedriveEvent] takes it up again. It returns the event
// as it is then; [ErrNotParked], or [store.ErrNotFound].
func (e *Events) Dismiss(ctx context.Context, id string) (book.Event, error) {
	record, err := e.Event(ctx, id)
	switch {
	case err != nil:
		return book.Event{}, err
	case dismissed(record):
		return record, nil
	case record.State != book.EventParked:
		return book.Event{}, fmt.Errorf("%w: it is %s", ErrNotParked, record.State)
	}
	waited := record.Reason
	record.State, record.Reason = book.EventIgnored, ReasonDismissed
	if err := e.note(ctx, record); err != nil {
		return book.Event{}, fmt.Errorf("dismiss: %w", err)
	}
	e.logger.Info("an operator dismissed an event", "webhook_id", id, "type", record.Type, "object", record.Object, "was", waited)
	return e.Event(ctx, id)
}

func dismissed(e book.Event) bool {
	return e.State == book.EventIgnored && e.Reason == ReasonDismissed
}
