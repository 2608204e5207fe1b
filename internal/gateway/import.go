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
func (e *Events) Import(ctx context.Context, rows []ImportRow, o ImportOptions) ([]ImportResult, error) {
	results := make([]ImportResult, len(rows))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(importParallel)
	for i, row := range rows {
		group.Go(func() error {
			results[i] = ImportResult{Line: row.Line, Account: row.Account}
			changes, err := e.importRow(ctx, row, o)
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
		e.auditImport(results, o, err)
	}
	return results, err
}

// auditImport says in the log what an operator imported.
func (e *Events) auditImport(results []ImportResult, o ImportOptions, err error) {
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
	audit := e.logger.With("source", o.Source, "as_of", o.AsOf, "first_line", results[0].Line,
		"rows", len(results), "changed", changed, "refused", refused)
	if err != nil {
		audit.Error("an operator's import ended early", "error", err)
		return
	}
	audit.Info("an operator imported accounts")
}

func (e *Events) importRow(ctx context.Context, row ImportRow, o ImportOptions) ([]string, error) {
	if err := e.checkImportRow(row); err != nil {
		return nil, err
	}
	i := importing{Events: e, row: row, dry: o.DryRun, asOf: instant(cmp.Or(row.AsOf, o.AsOf))}
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
func (e *Events) checkImportRow(row ImportRow) error {
	switch {
	case row.Account == "":
		return misfit("the account is empty")
	case len(row.Account) > MaxAccount:
		return ErrAccount
	case row.Credits != nil && (*row.Credits < 0 || *row.Credits > config.MaxCredits):
		return misfit("credits must be a whole number from 0 to %d", config.MaxCredits)
	case row.Plan != nil && *row.Plan != "" && !slices.Contains(e.catalog.Ranking().Plans(), *row.Plan):
		return misfit("no product gives the plan %q; the catalog's plans: %s", *row.Plan, cmp.Or(strings.Join(e.catalog.Ranking().Plans(), ", "), "none"))
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

// settledBy says what of an object that carries no proof of ours is part of an imported
// balance. Only the first fact about an object asks.
func settledBy(b *book.Book, fact dodo.Fact) (entitlement.Settled, error) {
	kind := fact.Ref.Kind
	if kind != entitlement.KindPayment && kind != entitlement.KindSubscription {
		return entitlement.Settled{}, nil
	}
	object, err := b.Object(importRef)
	if err != nil {
		return entitlement.Settled{}, err
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
