package gateway

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
)

// importing is one row on its way.
type importing struct {
	*Events
	row     ImportRow
	dry     bool
	asOf    time.Time
	unbound []entitlement.Ref // nobody's yet
	changes []string
}

func (i *importing) change(format string, args ...any) {
	i.changes = append(i.changes, fmt.Sprintf(format, args...))
}

// owners looks whose the named things are. It comes first, so that a row about
// somebody else's things changes nothing.
func (i *importing) owners(ctx context.Context) error {
	for _, ref := range importedRefs(i.row) {
		owner, err := i.store.Owner(ctx, ref)
		switch {
		case err != nil:
			return fmt.Errorf("read owner: %w", err)
		case owner == "":
			i.unbound = append(i.unbound, ref)
		case owner != i.row.Account:
			return misfit("the %s %s belongs to the account %q", ref.Kind, ref.ID, owner)
		}
	}
	return nil
}

// signup makes sure that sign-up credits do not come on top of a balance that has
// them: they are never given, or taken back if they were.
func (i *importing) signup(ctx context.Context) error {
	if i.row.Credits == nil {
		return nil
	}
	var given, done bool
	update := func(b *book.Book) error {
		object, err := b.Object(signupRef)
		if err != nil {
			return err
		}
		given = object.Version > 0 // whatever the config says of sign-up credits now
		if done = string(object.State) == signupState; done || i.dry {
			return nil
		}
		c := book.Commit{
			Account: i.row.Account, Object: signupRef, Version: object.Version, State: []byte(signupState),
			Policy: ledger.Policy(i.refundPolicy), Cause: importCause,
		}
		if given {
			c.Effect.Grants = []ledger.Target{{ID: signupGrant, CreatedAt: i.asOf}}
		}
		_, err = b.Commit(c)
		return err
	}
	if err := i.update(ctx, update); err != nil {
		return fmt.Errorf("take back sign-up credits: %w", err)
	}
	if given && !done {
		i.change("the sign-up credits are taken back, because the imported balance has them")
	}
	return nil
}

// update lets decide decide about the row's account, or only look.
func (i *importing) update(ctx context.Context, decide store.Decision) error {
	if i.dry {
		_, err := i.store.View(ctx, i.row.Account, decide)
		return err
	}
	_, err := i.store.Update(ctx, i.row.Account, decide)
	i.views.Forget(i.row.Account)
	return err
}

// balance folds the row into the account's import.
func (i *importing) balance(ctx context.Context) error {
	fact := dodo.Fact{Fact: entitlement.Fact{Ref: importRef, Import: i.stated()}}
	before, err := i.fold(ctx, fact)
	if err != nil {
		return err
	}
	if !before.Import.IsZero() {
		i.asOf = before.Import.AsOf
	}
	i.describeChanges(before.Import, before.Import.Merge(fact.Import))
	return nil
}

// stated is what the row says about the account itself.
func (i *importing) stated() entitlement.Import {
	said := entitlement.Import{AsOf: i.asOf, Credits: i.row.Credits, Customers: i.row.Customers, Subscriptions: i.row.Subscriptions}
	for _, p := range i.row.Payments {
		if p.At.IsZero() { // any other one is in the account's standings
			said.Payments = append(said.Payments, p.ID)
		}
	}
	paidAt := instant(i.row.PaymentDate)
	if i.row.Paid != nil {
		said.Paid = &entitlement.ImportedPayment{Paid: *i.row.Paid}
		if *i.row.Paid {
			said.Paid.At = paidAt
		}
	}
	if i.row.Plan != nil {
		said.Plan = &entitlement.ImportedPlan{Name: *i.row.Plan}
		if *i.row.Plan != "" {
			said.Plan.Until, said.Plan.PaidAt = instant(i.row.PlanExpiresAt), paidAt
		}
	}
	return said
}

// describeChanges says what differs from before.
func (i *importing) describeChanges(before, after entitlement.Import) {
	if describe(before.Credits) != describe(after.Credits) {
		i.change("credits: %s -> %s", describe(before.Credits), describe(after.Credits))
	}
	if describe(before.Paid) != describe(after.Paid) {
		i.change("paid: %s -> %s", describe(before.Paid), describe(after.Paid))
	}
	if describe(before.Plan) != describe(after.Plan) {
		i.change("plan: %s -> %s", describe(before.Plan), describe(after.Plan))
	}
	if before.IsZero() && len(i.changes) == 0 {
		i.change("known as an account of %s", after.AsOf.Format(time.RFC3339))
	}
}

// describe writes a part of an import for people.
func describe[T int64 | entitlement.ImportedPayment | entitlement.ImportedPlan](part *T) string {
	if part == nil {
		return "not imported"
	}
	date := func(word string, t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return " " + word + " " + t.UTC().Format(time.RFC3339)
	}
	switch p := any(*part).(type) {
	case entitlement.ImportedPayment:
		return map[bool]string{true: "yes", false: "no"}[p.Paid] + date("on", p.At)
	case entitlement.ImportedPlan:
		return cmp.Or(p.Name, entitlement.NoPlan) + date("until", p.Until) + date("paid on", p.PaidAt)
	default:
		return fmt.Sprint(p)
	}
}

// payments notes of each payment, before it has an owner, that the balance has its
// credits. A payment that this gateway applied itself stays as it is.
func (i *importing) payments(ctx context.Context) error {
	for _, p := range i.row.Payments {
		ref := entitlement.Ref{Kind: entitlement.KindPayment, ID: p.ID}
		object, err := i.store.Object(ctx, i.row.Account, ref)
		if err != nil {
			return fmt.Errorf("read payment: %w", err)
		}
		known, err := recordOf(ref, object)
		if err != nil {
			return err
		}
		if object.Version > 0 && known.Settled.IsZero() {
			continue
		}
		settled := entitlement.Settled{Before: i.asOf, PaidAt: instant(p.At)}
		before, err := i.fold(ctx, dodo.Fact{Fact: entitlement.Fact{Ref: ref, Settled: settled}})
		if err != nil {
			return err
		}
		if before.Settled.Merge(settled) != before.Settled {
			i.change("payment %s: its credits are part of the balance", p.ID)
		}
	}
	return nil
}

// fold folds a fact of the row into its object, or only looks. It returns the record
// as it was.
func (i *importing) fold(ctx context.Context, fact dodo.Fact) (before entitlement.Record, err error) {
	f := folding{fact: fact, found: owner{account: i.row.Account, proven: true}, cause: importCause, given: true}
	var s step
	err = i.update(ctx, func(b *book.Book) (err error) {
		s, err = i.decide(b, f)
		return err
	})
	if err != nil {
		return before, fmt.Errorf("write object: %w", err)
	}
	if !i.dry && s.done.outcome == Parked {
		return s.prior, misfit("the account would have more credits than can be counted")
	}
	return s.prior, nil
}

// claims binds what the row names and nobody has.
func (i *importing) claims(ctx context.Context) error {
	for _, ref := range i.unbound {
		i.change("%s %s is this account's", ref.Kind, ref.ID)
		if i.dry {
			continue
		}
		owner, err := i.store.Claim(ctx, ref, i.row.Account)
		if err != nil {
			return fmt.Errorf("bind %s: %w", ref, err)
		}
		if owner != i.row.Account {
			return misfit("the %s %s belongs to the account %q since a moment ago; all else of the row is applied", ref.Kind, ref.ID, owner)
		}
	}
	return nil
}
