package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
)

// Rebuilt is what a rebuild of one account did.
type Rebuilt struct {
	Account string
	Wrong   []string // what was wrong before
	Notes   []string // what could not be known, and how that was bridged
	Unread  []string // objects that Dodo did not hand out
	Read    int      // objects that Dodo handed out
	Applied int      // of these, changed something
	Left    []string // what is still wrong
}

// rebuildCause is the cause of entries that a rebuild adds.
const rebuildCause = "rebuild"

// mostRebuilt bounds how many objects of one account are read at Dodo.
const mostRebuilt = 2000

// conflicts is how often a rebuild starts anew because the account was changed meanwhile.
const conflicts = 5

// RebuildAccount mends the records of an account: its ledger by what of its entries and grants can
// be read, and the rest by what Dodo says of everything that is bound to it. What Dodo is asked is
// asked first: if Dodo does not answer, nothing is changed. Of an account with which nothing is
// wrong it reads everything anew.
func (e *Events) RebuildAccount(ctx context.Context, account string, budget *rate.Limiter) (Rebuilt, error) {
	if account == "" || len(account) > MaxAccount {
		return Rebuilt{}, ErrAccount
	}
	if err := e.site.keep(ctx); err != nil { // not the store of another site or environment
		return Rebuilt{}, err
	}
	r, checked, err := (Checker{e.store}).check(ctx, account)
	if err != nil {
		return Rebuilt{}, err
	}
	done := Rebuilt{Account: account, Wrong: checked.Wrong}
	bound, err := e.boundTo(ctx, account)
	if err != nil {
		return done, err
	}
	refs := objectsOf(r)
	for _, ref := range bound {
		refs[ref] = true
	}
	if !checked.Known && len(bound) > 0 && len(done.Wrong) == 0 {
		done.Wrong = []string{"things at Dodo belong to it, but it has no record"}
	}
	if !checked.Known && len(done.Wrong) == 0 {
		return done, fmt.Errorf("%w: account %.100q was never seen", store.ErrNotFound, account)
	}
	facts, err := e.readAll(ctx, refs, budget, &done)
	if err != nil {
		return done, err
	}
	if len(done.Wrong) > 0 {
		if err := e.mend(ctx, account, &done); err != nil {
			return done, err
		}
	}
	for _, fact := range facts {
		result, err := e.apply(ctx, fact, rebuildCause, nil)
		if err != nil {
			return done, fmt.Errorf("apply %s: %w", fact.Ref, err)
		}
		if result.outcome == Applied {
			done.Applied++
		}
	}
	e.views.Forget(account)
	_, checked, err = (Checker{e.store}).check(ctx, account)
	done.Left = checked.Wrong
	return done, err
}

// boundTo are the payments and subscriptions that are bound to an account.
func (e *Events) boundTo(ctx context.Context, account string) (refs []entitlement.Ref, err error) {
	m, err := e.store.Mender()
	if err != nil {
		return nil, err
	}
	for after := ""; ; {
		page, next, err := m.Bindings(ctx, after, 1000)
		if err != nil {
			return nil, err
		}
		for _, b := range page {
			if b.Account == account && isAtDodo(b.Ref) {
				refs = append(refs, b.Ref)
			}
		}
		if after = next; next == "" {
			return refs, nil
		}
	}
}

func isAtDodo(ref entitlement.Ref) bool {
	return ref.ID != "" && (ref.Kind == entitlement.KindPayment || ref.Kind == entitlement.KindSubscription)
}

// objectsOf are the payments and subscriptions that records name.
func objectsOf(r store.Records) map[entitlement.Ref]bool {
	refs := make(map[entitlement.Ref]bool)
	add := func(name string) {
		object, _, _ := strings.Cut(name, "/")
		if ref, is := entitlement.ParseRef(object); is && isAtDodo(ref) {
			refs[ref] = true
		}
	}
	for ref := range r.Objects {
		add(ref.String())
	}
	for name := range r.Standings {
		add(name)
	}
	for _, g := range r.Ledger.Grants {
		add(g.ID)
	}
	for _, id := range r.Ledger.Lost {
		add(id)
	}
	for _, entry := range r.Ledger.Entries {
		add(entry.Grant)
	}
	for _, o := range r.Orders {
		if o.PaymentID != "" {
			add(entitlement.Ref{Kind: entitlement.KindPayment, ID: o.PaymentID}.String())
		}
	}
	return refs
}

// readAll reads objects at Dodo. One that Dodo does not have is noted.
func (e *Events) readAll(ctx context.Context, refs map[entitlement.Ref]bool, budget *rate.Limiter, done *Rebuilt) (facts []dodo.Fact, err error) {
	names := make(map[string]entitlement.Ref, len(refs))
	for ref := range refs {
		names[ref.String()] = ref
	}
	for i, name := range slices.Sorted(maps.Keys(names)) {
		if i == mostRebuilt {
			done.Notes = append(done.Notes, fmt.Sprintf("only %d objects were read at Dodo", mostRebuilt))
			break
		}
		if err := budget.Wait(ctx); err != nil {
			return nil, err
		}
		fact, err := e.readAt(ctx, names[name])
		switch {
		case err == nil:
			done.Read++
			facts = append(facts, fact)
		case errors.Is(err, dodo.ErrNotFound), errors.Is(err, dodo.ErrRejected), errors.Is(err, dodo.ErrBadAnswer):
			done.Unread = append(done.Unread, name)
		default:
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
	}
	return facts, nil
}

// mend replaces the ledger, and then lets every object that can be read say once more what it gives.
func (e *Events) mend(ctx context.Context, account string, done *Rebuilt) error {
	m, err := e.store.Mender()
	if err != nil {
		return err
	}
	var r store.Records
	for try := range conflicts {
		if r, _, err = (Checker{e.store}).check(ctx, account); err != nil {
			return err
		}
		for ref, object := range r.Objects {
			if _, bad := recordOf(ref, object); bad != nil {
				done.Notes = append(done.Notes, fmt.Sprintf("%s cannot be decoded: what it gave comes from Dodo", ref))
				object.State = []byte("{}")
				r.Objects[ref] = object
			}
		}
		with, entries, notes, certain := r.Ledger.Mend()
		if !certain {
			notes = append(notes, "the balance is what is likely: compare it with what the customer says")
		}
		err = m.Replace(ctx, account, r, with, entries)
		if err == nil {
			done.Notes = append(done.Notes, notes...)
			break
		}
		if !errors.Is(err, store.ErrConflict) || try == conflicts-1 {
			return fmt.Errorf("replace the ledger: %w", err)
		}
	}
	e.views.Forget(account)
	for _, ref := range slices.SortedFunc(maps.Keys(r.Objects), func(a, b entitlement.Ref) int { return strings.Compare(a.String(), b.String()) }) {
		if ref.Kind == entitlement.KindSignup {
			continue // its state does not say what it gave
		}
		if err := e.recommit(ctx, account, ref, r.Objects[ref]); err != nil {
			return fmt.Errorf("commit %s anew: %w", ref, err)
		}
	}
	e.logger.Warn("the records of an account were mended", "account", account, "wrong", done.Wrong, "notes", done.Notes)
	return nil
}

// recommit commits an object as it is: its grants come to what it gives, and its standing to what it
// says.
func (e *Events) recommit(ctx context.Context, account string, ref entitlement.Ref, object book.Object) error {
	record, err := recordOf(ref, object)
	if err != nil {
		return err
	}
	effect, err := record.Effect(ref, entitlement.Record{}, e.disputePolicy)
	if err != nil && !errors.Is(err, entitlement.ErrUnknownProduct) {
		return err
	}
	_, err = e.store.Commit(ctx, book.Commit{
		Account: account, Object: ref, Version: object.Version, State: object.State,
		Effect: effect, Policy: ledger.Policy(e.refundPolicy), Cause: rebuildCause,
	})
	return err
}
