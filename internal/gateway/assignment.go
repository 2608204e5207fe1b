package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

// What an operator decides by hand, because nothing else says whose a purchase is.

var (
	// ErrAssign says that something cannot be assigned, and why.
	ErrAssign = errors.New("it cannot be assigned")
	// ErrNotParked says that an event does not wait for anything.
	ErrNotParked = errors.New("the event is not parked")
)

// Assigned is what an assignment did.
type Assigned struct {
	Object  string // that is the account's now
	Account string
	Act     string // its id
	// Unread says why Dodo did not tell what the object is, if nothing that was parked
	// told it either; empty if that is known.
	Unread string
}

// Assign gives what at Dodo belongs to nobody to an account, and applies what is known of
// it. d.Object is an event's id, which stands for the object that the event waits for, or a
// payment, subscription or customer, such as sub_1 or subscription:sub_1. What is bound
// to an account stays bound: [ErrAssign], and also [store.ErrNotFound] for an event
// that is not in the journal. Repeating it changes nothing.
func (e *Events) Assign(ctx context.Context, d Doing) (Assigned, error) {
	ref, err := e.named(ctx, &d, entitlement.ActAssign)
	if err != nil {
		return Assigned{}, err
	}
	claimant := d.Account
	if d.ID == "" {
		d.ID = NewActID()
	} else {
		known, err := e.store.Object(ctx, d.Account, book.ActRef(d.ID))
		if err != nil {
			return Assigned{}, fmt.Errorf("read act: %w", err)
		}
		if known.Version > 0 {
			claimant = "" // it is done, and may be undone since
		}
	}
	owner, err := e.store.Claim(ctx, ref, claimant)
	if err == nil && owner != d.Account && owner != "" && claimant != "" {
		// It may be bound to an account that it was taken from: by an event that was under way then.
		if err = e.freeTaken(ctx, owner, ref); err == nil {
			owner, err = e.store.Claim(ctx, ref, claimant)
		}
	}
	switch {
	case err != nil:
		return Assigned{}, fmt.Errorf("bind %s: %w", ref, err)
	case owner == "":
		return Assigned{}, fmt.Errorf("%w: %s was assigned by the act %s before, and belongs to nobody now", ErrAssign, ref, d.ID)
	case owner != d.Account:
		return Assigned{}, fmt.Errorf("%w: %s belongs to the account %q", ErrAssign, ref, owner)
	}
	act, err := e.actOn(ctx, d, func(b *book.Book) (book.Reach, error) { return givenBack(b, ref, d.ID) })
	if err != nil {
		return Assigned{}, fmt.Errorf("it is assigned, and not noted: %w", err)
	}
	done := Assigned{Object: ref.String(), Account: d.Account, Act: act.ID}
	if ref.Kind == entitlement.KindCustomer {
		_, err := e.RedriveAll(ctx)
		return done, err
	}
	if err := e.unpark(ctx, ref, ReasonUnknownAccount); err != nil {
		return done, err
	}
	known, err := e.record(ctx, d.Account, ref)
	if err != nil || (entitlement.Fact{Payment: known.Payment, Subscription: known.Subscription}).Describes() {
		return done, err
	}
	fact, err := e.readAt(ctx, ref)
	if err != nil {
		done.Unread = err.Error()
		return done, nil //nolint:nilerr // the object is assigned; Unread says the rest
	}
	_, err = e.apply(ctx, fact, book.ActRef(act.ID).String(), nil)
	return done, err
}

// Unassign takes what at Dodo was assigned or imported for an account from it: what it gave is
// taken back, and is owed where it is spent. The object is nobody's then, and can be assigned
// to another account. Of a customer, only later purchases are meant. A feature that was given with
// a purchase is an object of its own, such as feature:entg_1. What a checkout of this site sold
// stays away, too: its proof counts for less than the act. It returns [ErrAssign] for what
// belongs to another account or to nobody.
func (e *Events) Unassign(ctx context.Context, d Doing) (Assigned, error) {
	ref, err := e.named(ctx, &d, entitlement.ActUnassign)
	if err != nil {
		return Assigned{}, err
	}
	d.ID = cmp.Or(d.ID, NewActID())
	owner, err := e.store.Owner(ctx, ref)
	if err != nil {
		return Assigned{}, fmt.Errorf("read owner: %w", err)
	}
	if owner != d.Account && owner != "" {
		return Assigned{}, fmt.Errorf("%w: %s belongs to the account %q", ErrAssign, ref, owner)
	}
	act, err := e.actOn(ctx, d, func(b *book.Book) (book.Reach, error) {
		reach, gave, err := e.taken(b, ref, d.ID)
		if err != nil || owner != "" || gave {
			return reach, err
		}
		known, err := b.Object(book.ActRef(d.ID))
		if err == nil && known.Version == 0 {
			err = fmt.Errorf("%w: %s belongs to nobody", ErrAssign, ref)
		}
		return reach, err
	})
	if err != nil {
		return Assigned{}, err
	}
	return Assigned{Object: ref.String(), Account: d.Account, Act: act.ID}, nil
}

// taken is what changes if an act takes an object from its account, and whether the account has
// anything of it. The account keeps that it was taken: an event whose owner was looked up before
// the object was freed must find that when it is committed.
func (e *Events) taken(b *book.Book, ref entitlement.Ref, act string) (reach book.Reach, gave bool, err error) {
	reach.Free = []entitlement.Ref{ref}
	if ref.Kind == entitlement.KindCustomer { // only later purchases are meant
		return reach, false, nil
	}
	object, err := b.Object(ref)
	if err != nil {
		return reach, false, err
	}
	prior, err := recordOf(ref, object)
	if err != nil || prior.Taken != "" {
		return reach, false, err
	}
	effect, err := entitlement.Record{}.Effect(ref, prior, e.disputePolicy)
	if err != nil {
		return reach, false, err
	}
	for id := range prior.Subscription.Charges {
		reach.Free = append(reach.Free, entitlement.Ref{Kind: entitlement.KindPayment, ID: id})
	}
	state, err := entitlement.Record{Taken: act}.AppendJSON(nil)
	reach.Commit = &book.Commit{
		Account: b.Account, Object: ref, Version: object.Version, State: state,
		Effect: effect, Policy: ledger.PolicyDebt, Cause: book.ActRef(act).String(),
	}
	return reach, !blank(object), err
}

// givenBack is what changes if an act gives an object to the account: if it was taken from it
// before, facts count again.
func givenBack(b *book.Book, ref entitlement.Ref, act string) (book.Reach, error) {
	object, err := b.Object(ref)
	if err != nil {
		return book.Reach{}, err
	}
	if taken, err := isTaken(ref, object); err != nil || !taken {
		return book.Reach{}, err
	}
	return book.Reach{Commit: &book.Commit{
		Account: b.Account, Object: ref, Version: object.Version, State: []byte(blankState), Cause: book.ActRef(act).String(),
	}}, nil
}

// freeTaken frees an object of an account that it was taken from.
func (e *Events) freeTaken(ctx context.Context, account string, ref entitlement.Ref) error {
	_, err := e.store.Update(ctx, account, func(b *book.Book) error {
		object, err := b.Object(ref)
		if err != nil {
			return err
		}
		if taken, err := isTaken(ref, object); err != nil || !taken {
			return err
		}
		return b.Free(ref)
	})
	return err
}

// named finds what an act is about, and checks whom it is for.
func (e *Events) named(ctx context.Context, d *Doing, kind entitlement.ActKind) (entitlement.Ref, error) {
	switch {
	case d.Account == "":
		return entitlement.Ref{}, fmt.Errorf("%w: the account is empty", ErrAssign)
	case len(d.Account) > MaxAccount:
		return entitlement.Ref{}, ErrAccount
	}
	ref, is := entitlement.ParseRef(d.Object)
	if !is || kind != entitlement.ActUnassign || ref.Kind != entitlement.KindFeature || !eventID.MatchString(ref.ID) {
		var err error
		if ref, err = e.assignable(ctx, d.Object); err != nil {
			return ref, err
		}
	}
	d.Kind, d.Object = kind, ref.String()
	return ref, book.CheckAct(d.ID, d.Act)
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

// Dismiss notes of a parked event that nothing is to be done about it, with the reason and
// whoever decided so. Another delivery of it changes nothing; [Events.RedriveEvent] takes it up
// again. d.Object is the event. It returns the event as it is then; [ErrNotParked], or
// [store.ErrNotFound].
func (e *Events) Dismiss(ctx context.Context, d Doing) (book.Event, error) {
	d.Kind = entitlement.ActDismiss
	if err := book.CheckAct(d.ID, d.Act); err != nil {
		return book.Event{}, err
	}
	d.ID = cmp.Or(d.ID, NewActID())
	record, err := e.Event(ctx, d.Object)
	switch {
	case err != nil:
		return book.Event{}, err
	case dismissed(record):
		return record, nil
	case record.State != book.EventParked:
		return book.Event{}, fmt.Errorf("%w: it is %s", ErrNotParked, record.State)
	}
	d.Account = record.Account
	if err := e.noteDismissal(ctx, d, record.Reason); err != nil {
		return book.Event{}, fmt.Errorf("dismiss: %w", err)
	}
	waited := record.Reason
	record.State, record.Reason = book.EventIgnored, ReasonDismissed
	if err := e.note(ctx, record); err != nil {
		return book.Event{}, fmt.Errorf("dismiss: %w", err)
	}
	e.logger.Info("an operator dismissed an event", "webhook_id", d.Object, "act", d.ID, "by", d.By, "type", record.Type, "object", record.Object, "was", waited)
	return e.Event(ctx, d.Object)
}

// Dismissal is who dismissed an event, when and why. It is kept for as long as the store.
type Dismissal struct {
	Act    string    `json:"act"`
	At     time.Time `json:"at"`
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason"`
	Was    string    `json:"was"` // why it was parked
}

// dismissalPrefix begins the names of the notes with dismissals.
const dismissalPrefix = "dismissed:"

// noteDismissal keeps why an event is dismissed: beside the event, which may be nobody's, and
// with the account's acts if it has one.
func (e *Events) noteDismissal(ctx context.Context, d Doing, was string) error {
	note := Dismissal{Act: d.ID, At: e.clock().UTC(), By: d.By, Reason: strings.TrimSpace(d.Reason), Was: was}
	text, err := json.Marshal(note)
	if err != nil {
		return err
	}
	for len(text) > book.MaxName { // escaped, a reason may be much longer
		long := &note.Reason
		if note.Reason == "" {
			long = &note.By
		}
		*long = strings.ToValidUTF8((*long)[:len(*long)*2/3], "")
		if text, err = json.Marshal(note); err != nil {
			return err
		}
	}
	if err := e.store.Set(ctx, dismissalPrefix+d.Object, string(text)); err != nil || d.Account == "" {
		return err
	}
	_, err = e.act(ctx, d)
	return err
}

// DismissalOf reads why an event was dismissed the last time; nil if it never was.
func (e *Events) DismissalOf(ctx context.Context, id string) (*Dismissal, error) {
	text, err := e.store.Note(ctx, dismissalPrefix+id, "", "")
	if err != nil || text == "" {
		return nil, err
	}
	note := new(Dismissal)
	if err := json.Unmarshal([]byte(text), note); err != nil {
		return nil, fmt.Errorf("decode dismissal of %s: %w", id, err)
	}
	return note, nil
}

func dismissed(e book.Event) bool {
	return e.State == book.EventIgnored && e.Reason == ReasonDismissed
}
