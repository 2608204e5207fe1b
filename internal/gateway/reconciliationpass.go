package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// reconciliation is one pass over Dodo's lists.
type reconciliation struct {
	*Events
	Reconciled
	budget   *rate.Limiter
	progress func(Reconciled) // may be nil
	back     time.Duration    // how far before the mark to look for payments
	done     map[string]bool  // objects that were read in this pass
	silent   int              // reads in a row to which Dodo had no answer
	// unread is the first error of such a read, if there were never maxSilent in a row.
	unread  error
	foreign map[string]int // objects by the site that sold them; of a few sites
}

// maxSilent is after how many reads in a row without an answer Dodo is taken to
// be away. Fewer are objects that it cannot hand out (FACTS 1.3: for a missing one
// the documents name only 500).
const maxSilent = 3

// since is a while before the mark; without a mark it is the beginning.
func since(mark time.Time, back time.Duration) time.Time {
	if mark.IsZero() {
		return mark
	}
	return mark.Add(-back)
}

// call waits until the budget allows one more call to Dodo.
func (r *reconciliation) call(ctx context.Context) error {
	if r.progress != nil {
		r.progress(r.Reconciled)
	}
	return r.budget.Wait(ctx)
}

// pages reads a list page by page until the last one.
func (r *reconciliation) pages(ctx context.Context, read func(page int) (last bool, err error)) error {
	for page := range maxPages {
		if err := r.call(ctx); err != nil {
			return err
		}
		last, err := read(page)
		if err != nil || last {
			return err
		}
	}
	return fmt.Errorf("reconcile: %w: no end after %d pages", dodo.ErrBadAnswer, maxPages)
}

// odd counts items of a list that do not say what they are. They are left to the
// operator; they must not hold up the others.
func (r *reconciliation) odd(list string, n int) {
	if n == 0 {
		return
	}
	r.Seen += n
	r.Unapplied += n
	r.logger.Warn("one of Dodo's lists has items that do not say what they are", "list", list, "items", n)
}

// known is what we know of an object, and whether it has to do with us: because
// somebody here owns it, or because its clues lead to somebody.
func (r *reconciliation) known(ctx context.Context, ref entitlement.Ref, clues dodo.Clues) (record entitlement.Record, ours bool, err error) {
	defer func() {
		if r.noteDamaged(err) {
			record, ours, err = entitlement.Record{}, false, nil
		}
	}()
	account, err := r.store.Owner(ctx, ref)
	if err != nil {
		return record, false, err
	}
	if account == "" {
		ours, err = r.leads(ctx, ref, clues)
		return record, ours, err
	}
	if record, err = r.recordOf(ctx, account, ref); err != nil || record.Payment.Subscription == "" {
		return record, true, err
	}
	// A payment is folded into its subscription after it is stored itself, so the
	// subscription may know less of it: after a crash in between.
	subscription := entitlement.Ref{Kind: entitlement.KindSubscription, ID: record.Payment.Subscription}
	if account, err = r.store.Owner(ctx, subscription); err != nil || account == "" {
		return entitlement.Record{}, true, err
	}
	charged, err := r.recordOf(ctx, account, subscription)
	record.Payment = charged.Subscription.Charges[ref.ID]
	return record, true, err
}

func (r *reconciliation) recordOf(ctx context.Context, account string, ref entitlement.Ref) (record entitlement.Record, err error) {
	return r.record(ctx, account, ref)
}

// termsChanged reports whether the catalog has a product now that an object waited for, or
// a min_amount that it meets now. No event is parked for what was only read, so
// nothing else would try it again.
func (r *reconciliation) termsChanged(known entitlement.Record) bool {
	now := known.Fold(entitlement.Fact{}, r.termsFor(nil))
	return !reflect.DeepEqual(now.Terms, known.Terms)
}

// leads reports whether the clues of an object that has no owner lead to somebody here.
// An object of another site is noted as such: its refund may be parked, and can only be
// recognized by this note if the webhook of the payment was lost.
func (r *reconciliation) leads(ctx context.Context, ref entitlement.Ref, clues dodo.Clues) (bool, error) {
	claim, err := r.site.claim(ctx, clues.Metadata)
	if err != nil || claim.ours {
		return claim.ours, err
	}
	if claim.foreign {
		r.countForeign(claim.Site)
		return false, r.site.noteForeign(ctx, ref, claim.Site)
	}
	account, err := r.leadsTo(ctx, clues)
	return account != "", err
}

// mostSites is how many other sites a pass tells apart.
const mostSites = 10

func (r *reconciliation) countForeign(site string) {
	r.Foreign++
	site = cmp.Or(site, unnamedSite)
	if _, known := r.foreign[site]; known || len(r.foreign) < mostSites {
		if r.foreign == nil {
			r.foreign = make(map[string]int)
		}
		r.foreign[site]++
	}
}

// logForeign says that there is much at Dodo that other sites sold. A store that is
// read for the first time may have lost its site; then all that it sold is foreign to it.
func (r *reconciliation) logForeign(first bool) {
	if r.Foreign == 0 {
		return
	}
	own, _ := r.site.own(context.Background())
	if !first {
		r.logger.Debug("other sites sold some of what Dodo lists; it was left alone", "site", own, "objects", r.Foreign, "sites", r.foreign)
		return
	}
	r.logger.Warn("other sites sold some of what Dodo lists; it was left alone. "+
		"If this store takes the place of a lost one, let the config name the lost one's site in the also of site, and rebuild",
		"site", own, "objects", r.Foreign, "sites", r.foreign)
}

// reread reads an object at Dodo and applies it. One that cannot be understood is
// left to the operator, one that is not handed out to the next pass; neither must
// hold up the others.
func (r *reconciliation) reread(ctx context.Context, ref entitlement.Ref) error {
	if r.done[ref.String()] {
		return nil
	}
	r.done[ref.String()] = true
	if err := r.call(ctx); err != nil {
		return err
	}
	r.Read++
	fact, err := r.readAt(ctx, ref)
	silent := errors.Is(err, dodo.ErrUnavailable)
	if silent {
		r.silent++
		r.unread = cmp.Or(r.unread, fmt.Errorf("read %s: %w", ref, err))
	} else {
		r.silent = 0
	}
	switch {
	case err == nil:
		return r.applyFact(ctx, fact)
	case silent && r.silent < maxSilent,
		errors.Is(err, dodo.ErrNotFound), errors.Is(err, dodo.ErrRejected), errors.Is(err, dodo.ErrBadAnswer):
		r.Unapplied++
		r.logger.Warn("an object in Dodo's lists cannot be read", "object", ref.String(), "error", err)
		return nil
	}
	return err
}

// applyFact applies what Dodo says.
func (r *reconciliation) applyFact(ctx context.Context, fact dodo.Fact) error {
	result, err := r.apply(ctx, fact, reconcileMark, nil)
	switch {
	case r.noteDamaged(err):
		r.Unapplied++
	case err != nil:
		return err
	case result.outcome == Applied:
		r.Applied++
	case result.outcome == Foreign:
		r.countForeign("")
	case result.outcome == Parked:
		r.Unapplied++
		r.logger.Warn("a fact that was read cannot be applied", "object", fact.Ref.String(), "reason", result.reason)
	}
	return nil
}
