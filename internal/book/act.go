package book

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	json "github.com/go-json-experiment/json/v1"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

// Acts are what operators do by hand. Each is an object of its account, which is never removed,
// so that the same id counts once for ever; [newestActs] lists the last of them.

// What is kept of an act, in bytes.
const (
	MaxActID   = 64
	MaxReason  = 500
	MaxActedBy = 200
)

// MaxActs is how many of its newest acts an account is shown.
const MaxActs = 100

var (
	// ErrAct says that something cannot be done by hand, and why.
	ErrAct = errors.New("this cannot be done")
	// ErrActInput says that an act is not well described.
	ErrActInput = errors.New("invalid act")
)

// Acted is what came of an act.
type Acted struct {
	ID string
	entitlement.Act
	// Repeated: an act with this id was done before, and this call did nothing.
	Repeated bool
}

// ActRef names an act.
func ActRef(id string) entitlement.Ref {
	return entitlement.Ref{Kind: entitlement.KindAct, ID: id}
}

// newestActs is the object that lists the ids of an account's newest acts, the newest last.
var newestActs = entitlement.Ref{Kind: "acts", ID: "newest"}

// actList is its state.
type actList struct {
	IDs []string `json:"ids"`
}

// Act does something by hand and keeps who did it, when and why, with what the account had
// before and after. An id counts once: repeated with the same wish, it returns what was done
// then. It returns [ErrActInput]; [ErrAct] if the account does not allow it; and
// [ledger.ErrRange].
func (b *Book) Act(id string, a entitlement.Act) (Acted, error) { return b.ActOn(id, a, Reach{}) }

// Reach is what an act changes besides credits that it names itself.
type Reach struct {
	Commit *Commit           // the new state of an object, and what it gives
	Free   []entitlement.Ref // that are bound to the account no more
	Forget []string          // ids of orders whose personal data are removed
}

// ActOn is [Book.Act] with more that it changes.
func (b *Book) ActOn(id string, a entitlement.Act, reach Reach) (Acted, error) {
	a, err := checkedAct(id, a)
	if err != nil {
		return Acted{}, err
	}
	done, object, err := b.act(id)
	if err != nil {
		return Acted{}, err
	}
	if object.Version > 0 {
		if !done.SameAs(a) {
			return Acted{}, fmt.Errorf("%w: the id %s was used for something else: %s", ErrAct, id, done.Kind)
		}
		return Acted{ID: id, Act: done, Repeated: true}, nil
	}
	list, err := b.Object(newestActs)
	if err != nil {
		return Acted{}, err
	}
	if !a.ExpiresAt.IsZero() && !a.ExpiresAt.After(b.Now) {
		return Acted{}, fmt.Errorf("%w: what expires must do so in the future", ErrActInput)
	}
	a.At, a.Before = b.Now, b.worth()
	if err := b.perform(id, &a); err != nil {
		return Acted{}, err
	}
	if err := b.reach(reach); err != nil {
		return Acted{}, err
	}
	a.After = b.worth()
	b.putAct(id, a, object)
	b.listAct(id, list)
	return Acted{ID: id, Act: a}, nil
}

// Acts are the newest acts of the account, the newest first.
func (b *Book) Acts() ([]Acted, error) {
	list, err := b.Object(newestActs)
	if err != nil {
		return nil, err
	}
	var acts []Acted
	var unread error
	ids := idsOf(list)
	for i := len(ids) - 1; i >= 0; i-- {
		a, object, err := b.act(ids[i])
		switch {
		case errors.Is(err, ErrUnread): // ask for the others, too
			unread = err
		case err != nil:
			return nil, err
		case object.Version > 0:
			acts = append(acts, Acted{ID: ids[i], Act: a})
		}
	}
	return acts, unread
}

// act is an act that was done, with its object; version 0 is none.
func (b *Book) act(id string) (entitlement.Act, Object, error) {
	object, err := b.Object(ActRef(id))
	if err != nil || object.Version == 0 {
		return entitlement.Act{}, object, err
	}
	r, err := entitlement.ParseRecord(object.State)
	if err != nil {
		return entitlement.Act{}, object, fmt.Errorf("decode act %s: %w", id, err)
	}
	return r.Act, object, nil
}

func (b *Book) putAct(id string, a entitlement.Act, before Object) {
	state, err := entitlement.Record{Act: a}.AppendJSON(nil)
	if err != nil {
		panic(err) // it has text, numbers and times that were checked
	}
	b.changes.Objects.put(ActRef(id), &Object{Version: before.Version + 1, State: state})
	b.putStanding(ActRef(id), a.Effect(ActRef(id)).Standing)
}

func (b *Book) putStanding(ref entitlement.Ref, s entitlement.Standing) {
	if s.IsZero() {
		b.changes.Standings.put(ref, nil)
		return
	}
	b.changes.Standings.put(ref, &s)
}

func (b *Book) listAct(id string, list Object) {
	ids := append(idsOf(list), id)
	state, err := json.Marshal(actList{IDs: ids[max(0, len(ids)-MaxActs):]})
	if err != nil {
		panic(err) // they are plain text
	}
	b.changes.Objects.put(newestActs, &Object{Version: list.Version + 1, State: state})
}

// idsOf are the ids in a list of acts. A list that cannot be read begins anew: what it names
// is kept.
func idsOf(list Object) []string {
	var l actList
	if list.Version > 0 {
		_ = json.Unmarshal(list.State, &l)
	}
	return l.IDs
}

func (b *Book) worth() (w entitlement.Worth) {
	w.Credits, w.Held, w.Owed = b.ledger.Worth()
	return w
}

// perform does to the account what an act is about, or nothing if it fails.
func (b *Book) perform(id string, a *entitlement.Act) error {
	ref := ActRef(id)
	switch a.Kind {
	case entitlement.ActGrant:
		return b.ledger.Apply(a.Effect(ref).Grants, ledger.PolicyDebt, ref.String())
	case entitlement.ActTake:
		err := b.ledger.Take(ref.String(), a.Credits, a.Owe)
		if errors.Is(err, ledger.ErrTooFew) {
			return fmt.Errorf("%w: only %d credits can be spent", ErrAct, a.Before.Credits)
		}
		return err
	case entitlement.ActWaive:
		return b.waive(ref, a)
	case entitlement.ActUndo:
		return b.undo(ref, a)
	case entitlement.ActRelease:
		return b.release(a.Object)
	case entitlement.ActAssign, entitlement.ActUnassign, entitlement.ActDismiss, entitlement.ActClose:
		return nil
	default:
		return fmt.Errorf("%w: %q is not an act", ErrActInput, a.Kind)
	}
}

func (b *Book) reach(r Reach) error {
	for _, id := range r.Forget {
		o, err := b.order(id, false)
		if err != nil {
			return err
		}
		if o == nil {
			continue
		}
		forgotten := *o
		forgotten.Email, forgotten.CheckoutURL, forgotten.ReturnTo = "", "", ""
		b.changes.Orders.put(id, &forgotten)
	}
	if r.Commit != nil {
		if _, err := b.Commit(*r.Commit); err != nil {
			return err
		}
	}
	return b.Free(r.Free...)
}

// Free lets things at Dodo be bound to another account, if they are bound to this one. That may
// be done even if the decision is made again.
func (b *Book) Free(refs ...entitlement.Ref) error {
	for _, ref := range refs {
		if err := CheckRef(ref); err != nil {
			return fmt.Errorf("free: %w", err)
		}
	}
	b.changes.Freed = append(b.changes.Freed, refs...)
	return nil
}

// waive forgives what is asked for, or everything.
func (b *Book) waive(ref entitlement.Ref, a *entitlement.Act) error {
	if a.Before.Owed == 0 {
		return fmt.Errorf("%w: nothing is owed", ErrAct)
	}
	if a.Credits == 0 {
		a.Credits = a.Before.Owed
	}
	err := b.ledger.Waive(ref.String(), a.Credits)
	if errors.Is(err, ledger.ErrNotOwed) {
		return fmt.Errorf("%w: only %d credits are owed", ErrAct, a.Before.Owed)
	}
	return err
}

// undo takes back what another act gave, or gives back what it took. What was given and is
// spent is owed then.
func (b *Book) undo(ref entitlement.Ref, a *entitlement.Act) error {
	undone, object, err := b.act(a.Object)
	switch {
	case err != nil:
		return err
	case object.Version == 0:
		return fmt.Errorf("act %s: %w", a.Object, ErrNotFound)
	case undone.Undone != "":
		return fmt.Errorf("%w: %s was undone by %s", ErrAct, a.Object, undone.Undone)
	}
	target := ActRef(a.Object)
	undone.Undone = ref.ID
	switch undone.Kind {
	case entitlement.ActGrant, entitlement.ActWaive:
		if err := b.reopen(target.String()); err != nil {
			return err
		}
		err = b.ledger.Apply(undone.Effect(target).Grants, ledger.PolicyDebt, ref.String())
	case entitlement.ActTake:
		a.Credits = undone.Credits
		err = b.ledger.Apply(a.Effect(ref).Grants, ledger.PolicyDebt, ref.String())
	default:
		err = fmt.Errorf("%w: %s cannot be undone by this; see the commands for the opposite", ErrAct, undone.Kind)
	}
	if err == nil {
		b.putAct(a.Object, undone, object)
	}
	return err
}

// release ends a hold as its caller would: nothing of it is spent.
func (b *Book) release(id string) error {
	hold, err := b.hold(id, nil)
	if err != nil {
		return err
	}
	if hold == nil || hold.Expired(b.Now) {
		return fmt.Errorf("hold %s: %w: it has ended, or never was", id, ErrNotFound)
	}
	_, err = b.End(End{ID: id, By: hold.By})
	return err
}

// Holds are up to limit of the account's holds that go on, those first that end first.
func (b *Book) Holds(limit int) ([]*PlacedHold, error) { return b.source.Holds(limit) }

// CheckAct refuses an act that cannot be kept, before anything is done. An empty id is one that
// is made later.
func CheckAct(id string, a entitlement.Act) error {
	if id == "" {
		id = "new"
	}
	_, err := checkedAct(id, a)
	return err
}

// checkedAct is the act as it is kept, if it can be.
func checkedAct(id string, a entitlement.Act) (entitlement.Act, error) {
	invalid := func(format string, args ...any) (entitlement.Act, error) {
		return a, fmt.Errorf("%w: %s", ErrActInput, fmt.Sprintf(format, args...))
	}
	a.Reason = strings.TrimSpace(a.Reason)
	switch {
	case id == "" || len(id) > MaxActID || strings.ContainsFunc(id, isOdd):
		return invalid("the id must be 1 to %d letters, digits, - and _", MaxActID)
	case a.Reason == "":
		return invalid("the reason is missing")
	case len(a.Reason) > MaxReason || !isText(a.Reason):
		return invalid("the reason must be at most %d bytes of text on one line", MaxReason)
	case len(a.By) > MaxActedBy:
		a.By = strings.ToValidUTF8(a.By[:MaxActedBy], "")
	}
	switch a.Kind {
	case entitlement.ActGrant:
		if a.Credits == 0 && a.Plan == "" || a.Credits < 0 || a.Credits > ledger.Max {
			return invalid("credits must be from 1 to %d, or a plan must be given", ledger.Max)
		}
	case entitlement.ActTake:
		if a.Credits < 1 || a.Credits > ledger.Max {
			return invalid("credits must be from 1 to %d", ledger.Max)
		}
	case entitlement.ActWaive:
		if a.Credits < 0 || a.Credits > ledger.Max {
			return invalid("credits must be from 1 to %d", ledger.Max)
		}
	}
	switch a.Kind {
	case entitlement.ActGrant, entitlement.ActTake, entitlement.ActWaive:
		if a.Object != "" {
			return invalid("%s is about credits and plans only", a.Kind)
		}
	case entitlement.ActClose:
		if a.Object != "" || a.Credits != 0 {
			return invalid("%s is about the account only", a.Kind)
		}
	default:
		if a.Object == "" || a.Credits != 0 {
			return invalid("%s needs what it is about, and no credits", a.Kind)
		}
	}
	if a.Kind != entitlement.ActGrant && a.Expires+a.Plan != "" || a.Kind != entitlement.ActTake && a.Owe {
		return invalid("only a grant has a plan and an expiry, and only take can let credits be owed")
	}
	var err error
	a.ExpiresAt, err = Time(a.ExpiresAt)
	if err = errors.Join(err, CheckNames(a.Object, a.Plan, a.Expires)); err != nil {
		return invalid("%v", err)
	}
	return a, nil
}

func isOdd(r rune) bool {
	return r != '-' && r != '_' && (r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r))
}

func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
