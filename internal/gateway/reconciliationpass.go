package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

// reconciliation is one pass over Dodo's lists.
type reconciliation struct {
	*Events
	Reconciled
	budget   *rate.Limiter
	progress func(Reconciled) // may be nil
	all      bool             // everything is asked for again
	began    time.Time
	walks    []*walk
	unread   *unreadObjects
	done     map[string]bool // objects that were read in this pass; see maxDone
	silent   int             // reads of objects in a row to which Dodo had no answer
	pause    time.Time       // no call is made before it, because Dodo said so
	foreign  map[string]int  // objects by the site that sold them; of a few sites
}

func newReconciliation(e *Events, q passRequest) *reconciliation {
	r := &reconciliation{
		Events: e, budget: q.budget, progress: q.progress, all: q.all,
		began: e.clock(), done: make(map[string]bool),
	}
	for _, l := range r.lists() {
		r.walks = append(r.walks, newWalk(r, l))
	}
	return r
}

const (
	// maxSilent is after how many reads of objects in a row without an answer it is checked
	// whether Dodo is away. Fewer are objects that it cannot hand out (FACTS 1.3: for a missing
	// one the documents name only 500).
	maxSilent = 3
	// maxDone bounds how many objects a pass remembers to have read, so that it reads a payment
	// with a refund and a dispute once.
	maxDone = 4096
	// maxRetries is how many objects that were kept apart a pass tries again.
	maxRetries = 20
	// refreshEvery is how often a long pass looks again for what is new.
	refreshEvery = 10 * time.Minute
)

// since is a while before the mark; without a mark it is the beginning.
func since(mark time.Time, back time.Duration) time.Time {
	if mark.IsZero() {
		return mark
	}
	return mark.Add(-back)
}

// run walks all lists. First comes what is new, of each list, and of short lists all there is.
// Then the long ones are walked, a window of each in turn, so that none waits for another.
func (r *reconciliation) run(ctx context.Context) error {
	if err := r.load(ctx); err != nil {
		return err
	}
	if err := r.retryUnread(ctx); err != nil {
		return err
	}
	if err := r.eachWalk(ctx, (*walk).begin); err != nil {
		return err
	}
	if err := r.noteRound(ctx, r.began); err != nil {
		return err
	}
	refreshed := r.clock()
	for r.unfinished() {
		if err := r.eachWalk(ctx, (*walk).stepFull); err != nil {
			return err
		}
		if r.clock().Sub(refreshed) < refreshEvery {
			continue
		}
		refreshed = r.clock()
		if err := r.eachWalk(ctx, (*walk).recent); err != nil {
			return err
		}
		if err := r.noteRound(ctx, refreshed); err != nil {
			return err
		}
	}
	var failed []error
	for _, w := range r.walks {
		if w.failed != nil {
			failed = append(failed, fmt.Errorf("%s: %w", w.list.name, w.failed))
		}
	}
	return errors.Join(failed...)
}

// noteRound notes that what is new in all lists has been read.
func (r *reconciliation) noteRound(ctx context.Context, began time.Time) error {
	if slices.ContainsFunc(r.walks, func(w *walk) bool { return w.failed != nil }) {
		return nil
	}
	return r.store.SetMark(ctx, reconcileMark, began)
}

func (r *reconciliation) load(ctx context.Context) (err error) {
	if r.unread, err = loadUnread(ctx, r.store); err != nil {
		return err
	}
	mark, err := r.store.Mark(ctx, reconcileMark)
	if err != nil {
		return err
	}
	far, err := r.store.Mark(ctx, farMark)
	if err != nil {
		return err
	}
	for _, w := range r.walks {
		if err := w.load(ctx, mark, far); err != nil {
			return err
		}
	}
	return nil
}

// eachWalk does something with every list that has not failed in this pass. A list that fails
// holds up no other. It returns an error if the pass must end.
func (r *reconciliation) eachWalk(ctx context.Context, do func(*walk, context.Context) error) error {
	for _, w := range r.walks {
		if w.failed != nil {
			continue
		}
		err := do(w, ctx)
		if err != nil && !endsPass(ctx, err) {
			err = w.fail(ctx, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *reconciliation) unfinished() bool {
	for _, w := range r.walks {
		if w.failed == nil && w.state.Full != nil {
			return true
		}
	}
	return false
}

// passEnd is an error after which a pass can do no more.
type passEnd struct{ error }

func (e passEnd) Unwrap() error { return e.error }

// endsPass reports whether an error is neither about one object nor about one list.
func endsPass(ctx context.Context, err error) bool {
	_, is := errors.AsType[passEnd](err)
	return is || ctx.Err() != nil || errors.Is(err, store.ErrUnavailable) || errors.Is(err, ErrElsewhere) || errors.Is(err, ErrOtherSite)
}

const (
	// How often a call is repeated that Dodo refused because of too many calls, and how long the
	// pass waits before that at most.
	limitedTries = 4
	longestPause = 2 * time.Minute
)

// ask makes a call to Dodo within the budget. If Dodo says that there are too many calls, all
// gateways together make too many: the pass spends a part of its budget on nothing and waits as
// long as Dodo says.
func (r *reconciliation) ask(ctx context.Context, call func() error) error {
	for try := 1; ; try++ {
		if r.progress != nil {
			r.progress(r.Reconciled)
		}
		if err := r.budget.Wait(ctx); err != nil {
			return passEnd{err}
		}
		if wait := time.Until(r.pause); wait > 0 {
			if err := sleep(ctx, wait); err != nil {
				return passEnd{err}
			}
		}
		err := call()
		refused, ok := errors.AsType[*dodo.Error](err)
		if !ok || refused.Status != 429 || try == limitedTries {
			return err
		}
		if err := r.budget.WaitN(ctx, r.budget.Burst()); err != nil {
			return passEnd{err}
		}
		r.pause = time.Now().Add(min(refused.RetryAfter, longestPause))
	}
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
