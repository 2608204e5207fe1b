package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
)

// ImportRow is what an operator says of one account that another system served before.
// A field that is nil or empty says nothing, and leaves what an earlier row said.
type ImportRow struct {
	Line          int64             `json:"line"` // in the operator's file
	Account       string            `json:"account"`
	Credits       *int64            `json:"credits,omitempty"` // the balance, sign-up credits included
	Paid          *bool             `json:"paid,omitempty"`    // for something that is not a plan
	PaymentDate   time.Time         `json:"payment_date,omitzero"`
	Plan          *string           `json:"plan,omitempty"`           // empty: none
	PlanExpiresAt time.Time         `json:"plan_expires_at,omitzero"` // zero: the plan has no end
	Customers     []string          `json:"customers,omitempty"`      // Dodo's ids
	Subscriptions []string          `json:"subscriptions,omitempty"`  // Dodo's ids
	Payments      []ImportedPayment `json:"payments,omitempty"`       // that the balance has
	AsOf          time.Time         `json:"as_of,omitzero"`           // instead of [ImportOptions]'
}

// ImportedPayment is a payment whose credits are part of an imported balance.
type ImportedPayment struct {
	ID string `json:"id"`
	// At, unless it is zero, is when it was made for something that is not a plan.
	At time.Time `json:"at,omitzero"`
}

// ImportOptions are common to the rows of an import.
type ImportOptions struct {
	// AsOf is when the balances were so: what was bought before is part of them.
	AsOf   time.Time
	DryRun bool   // change nothing, say only what would change
	Source string // for the audit line: the file's name
}

// ImportResult is what became of a row, or would: nothing when both are empty.
type ImportResult struct {
	Line    int64    `json:"line"`
	Account string   `json:"account"`
	Changes []string `json:"changes,omitempty"`
	Problem string   `json:"problem,omitempty"` // why the row changes nothing
}

const (
	importCause    = "import"
	importParallel = 32
	// mostImportedIDs bounds the ids of one kind in a row.
	mostImportedIDs = 100
)

// importRef names an account's import. There is one, which rows add to and correct.
var importRef = entitlement.Ref{Kind: entitlement.KindImport, ID: "balance"}

// signupState is what the sign-up is after an import that says the balance: given.
const signupState = `{"imported":true}`

// errImportRow says that a row does not fit.
var errImportRow = errors.New("the row does not fit")

// Import applies rows, which must be about objects that no other row names, in any
// order. A row applies as a whole or, when it does not fit, not at all; a crash may
// leave a row half applied, and repeating the import completes it. Repeating what was
// applied changes nothing.
//
// An error is that of the store; some rows may be applied then.
func (g *Gateway) Import(ctx context.Context, rows []ImportRow, o ImportOptions) ([]ImportResult, error) {
	results := make([]ImportResult, len(rows))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(importParallel)
	for i, row := range rows {
		group.Go(func() error {
			results[i] = ImportResult{Line: row.Line, Account: row.Account}
			changes, err := g.importRow(ctx, row, o)
			if errors.Is(err, errImportRow) || errors.Is(err, ErrAccount) {
				results[i].Problem = strings.TrimPrefix(err.Error(), errImportRow.Error()+": ")
				return nil
			}
			results[i].Changes = changes
			return err
		})
	}
	err := group.Wait()
	if !o.DryRun {
		g.auditImport(results, o, err)
	}
	return results, err
}

// auditImport says in the log what an operator imported.
func (g *Gateway) auditImport(results []ImportResult, o ImportOptions, err error) {
	changed, refused := 0, 0
	for _, r := range results {
		if r.Problem != "" {
			refused++
		} else if len(r.Changes) > 0 {
			changed++
		}
	}
	if len(results) == 0 {
		return
	}
	audit := g.Logger.With("source", o.Source, "as_of", o.AsOf, "first_line", results[0].Line,
		"rows", len(results), "changed", changed, "refused", refused)
	if err != nil {
		audit.Error("an operator's import ended early", "error", err)
		return
	}
	audit.Info("an operator imported accounts")
}

func (g *Gateway) importRow(ctx context.Context, row ImportRow, o ImportOptions) ([]string, error) {
	if err := g.checkImportRow(row); err != nil {
		return nil, err
	}
	i := importing{Gateway: g, row: row, dry: o.DryRun, asOf: instant(cmp.Or(row.AsOf, o.AsOf))}
	for _, step := range []func(context.Context) error{i.owners, i.signup, i.balance, i.payments, i.claims} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return i.changes, nil
}

func misfit(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errImportRow, fmt.Sprintf(format, args...))
}

// checkImportRow refuses what no account can have.
func (g *Gateway) checkImportRow(row ImportRow) error {
	switch {
	case row.Account == "":
		return misfit("the account is empty")
	case len(row.Account) > MaxAccount:
		return ErrAccount
	case row.Credits != nil && (*row.Credits < 0 || *row.Credits > config.MaxCredits):
		return misfit("credits must be a whole number from 0 to %d", config.MaxCredits)
	case row.Plan != nil && *row.Plan != "" && !slices.Contains(g.Catalog.Ranking().Plans(), *row.Plan):
		return misfit("no product gives the plan %q; the catalog's plans: %s", *row.Plan, cmp.Or(strings.Join(g.Catalog.Ranking().Plans(), ", "), "none"))
	case !row.PlanExpiresAt.IsZero() && (row.Plan == nil || *row.Plan == ""):
		return misfit("plan_expires_at without a plan")
	}
	for _, t := range []time.Time{row.PaymentDate, row.PlanExpiresAt, row.AsOf} {
		if !t.IsZero() && (t.Year() < 2000 || t.Year() > 2200) {
			return misfit("the year %d is not between 2000 and 2200", t.Year())
		}
	}
	refs := importedRefs(row)
	if len(refs) > 3*mostImportedIDs {
		return misfit("more than %d ids of Dodo", 3*mostImportedIDs)
	}
	for _, ref := range refs {
		if !eventID.MatchString(ref.ID) {
			return misfit("%.40q is not an id of Dodo", ref.ID)
		}
	}
	return nil
}

// importedRefs are the things at Dodo that the row names.
func importedRefs(row ImportRow) []entitlement.Ref {
	var refs []entitlement.Ref
	for _, id := range row.Customers {
		refs = append(refs, entitlement.Ref{Kind: entitlement.KindCustomer, ID: id})
	}
	for _, id := range row.Subscriptions {
		refs = append(refs, entitlement.Ref{Kind: entitlement.KindSubscription, ID: id})
	}
	for _, p := range row.Payments {
		refs = append(refs, entitlement.Ref{Kind: entitlement.KindPayment, ID: p.ID})
	}
	return refs
}

// importing is one row on its way.
type importing struct {
	*Gateway
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
		owner, err := i.Store.Owner(ctx, ref)
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
	for range commitTries {
		object, err := i.Store.Object(ctx, i.row.Account, signupRef)
		if err != nil {
			return fmt.Errorf("read sign-up: %w", err)
		}
		if string(object.State) == signupState {
			return nil
		}
		given := object.Version > 0 // whatever the config says of sign-up credits now
		if i.dry {
			if given {
				i.change("the sign-up credits are taken back, because the imported balance has them")
			}
			return nil
		}
		c := book.Commit{
			Account: i.row.Account, Object: signupRef, Version: object.Version, State: []byte(signupState),
			Policy: ledger.Policy(i.RefundPolicy), Cause: importCause,
		}
		if given {
			c.Effect.Grants = []ledger.Target{{ID: signupGrant, CreatedAt: i.asOf}}
		}
		_, err = i.Store.Commit(ctx, c)
		i.views.Forget(i.row.Account)
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		if err == nil && given {
			i.change("the sign-up credits are taken back, because the imported balance has them")
		}
		return err
	}
	return fmt.Errorf("import: %w: too much contention", store.ErrUnavailable)
}

// balance folds the row into the account's import.
func (i *importing) balance(ctx context.Context) error {
	fact := dodo.Fact{Fact: entitlement.Fact{Ref: importRef, Import: i.said()}}
	before, err := i.fold(ctx, fact)
	if err != nil {
		return err
	}
	if !before.Import.IsZero() {
		i.asOf = before.Import.AsOf
	}
	i.tell(before.Import, before.Import.Merge(fact.Import))
	return nil
}

// said is what the row says of the account itself.
func (i *importing) said() entitlement.Import {
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

// tell says what is another than before.
func (i *importing) tell(before, after entitlement.Import) {
	if said(before.Credits) != said(after.Credits) {
		i.change("credits: %s -> %s", said(before.Credits), said(after.Credits))
	}
	if said(before.Paid) != said(after.Paid) {
		i.change("paid: %s -> %s", said(before.Paid), said(after.Paid))
	}
	if said(before.Plan) != said(after.Plan) {
		i.change("plan: %s -> %s", said(before.Plan), said(after.Plan))
	}
	if before.IsZero() && len(i.changes) == 0 {
		i.change("known as an account of %s", after.AsOf.Format(time.RFC3339))
	}
}

// said writes a part of an import for people.
func said[T int64 | entitlement.ImportedPayment | entitlement.ImportedPlan](part *T) string {
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
		object, err := i.Store.Object(ctx, i.row.Account, ref)
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
	object, err := i.Store.Object(ctx, i.row.Account, fact.Ref)
	if err != nil {
		return before, fmt.Errorf("read object: %w", err)
	}
	if before, err = recordOf(fact.Ref, object); err != nil || i.dry {
		return before, err
	}
	result, _, err := i.commit(ctx, fact, owner{account: i.row.Account, proven: true, object: &object}, importCause)
	if err == nil && result.outcome == Parked {
		err = misfit("the account would have more credits than can be counted")
	}
	return before, err
}

// claims binds what the row names and nobody has.
func (i *importing) claims(ctx context.Context) error {
	for _, ref := range i.unbound {
		i.change("%s %s is this account's", ref.Kind, ref.ID)
		if i.dry {
			continue
		}
		owner, err := i.Store.Claim(ctx, ref, i.row.Account)
		if err != nil {
			return fmt.Errorf("bind %s: %w", ref, err)
		}
		if owner != i.row.Account {
			return misfit("the %s %s belongs to the account %q since a moment ago; all else of the row is applied", ref.Kind, ref.ID, owner)
		}
	}
	return nil
}

// settledBy says what of an object that carries no proof of ours is part of an imported
// balance. Only the first fact about an object asks.
func (g *Gateway) settledBy(ctx context.Context, account string, fact dodo.Fact) (entitlement.Settled, error) {
	kind := fact.Ref.Kind
	if kind != entitlement.KindPayment && kind != entitlement.KindSubscription {
		return entitlement.Settled{}, nil
	}
	object, err := g.Store.Object(ctx, account, importRef)
	if err != nil {
		return entitlement.Settled{}, fmt.Errorf("read import: %w", err)
	}
	known, err := recordOf(importRef, object)
	if err != nil || known.Import.IsZero() {
		return entitlement.Settled{}, err
	}
	asOf := known.Import.AsOf
	if kind == entitlement.KindPayment && !fact.Payment.CreatedAt.Before(asOf) {
		return entitlement.Settled{}, nil
	}
	return entitlement.Settled{Before: asOf}, nil
}

// instant is t as it is kept: UTC, in milliseconds.
func instant(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
