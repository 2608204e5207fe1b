package gateway

import (
	"context"
	"time"

	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// Webhooks get lost, and a store can lose its last second or all it had. So Dodo
// is asked from time to time what happened, and the answers take the same path as
// events: folded into their objects, they change only what was missed.

// reconcileMark is the store's name for when the last reconciliation began, and
// farMark for when the last one did that looked far back for payments.
const (
	reconcileMark = "reconcile"
	farMark       = "reconcile far"
)

// How far before the mark to look. A payment may be settled days after it was
// made (FACTS 3.4), and by some bank only after weeks: as there are many payments,
// only one pass a day looks so far. A refund may be reviewed, and a dispute takes
// months; of those there are few.
const (
	paymentsBack = 3 * 24 * time.Hour
	paymentsFar  = 30 * 24 * time.Hour
	farEvery     = 24 * time.Hour
	refundsBack  = 14 * 24 * time.Hour
	disputesBack = 150 * 24 * time.Hour
)

// maxPages bounds every list, at 100 objects a page.
const maxPages = 1000

// Reconciled counts what a reconciliation did.
type Reconciled struct {
	Seen      int // objects in Dodo's lists
	Read      int // of these, read one by one
	Applied   int // of these, changed something here
	Unapplied int // of these, could not be applied or not be understood; the log names them
	Foreign   int // of these, ordered at another site
	// Damaged are accounts whose records are damaged. What Dodo says of them is not applied; it is
	// by [Events.RebuildAccount].
	Damaged *Damaged
}

// Reconcile asks Dodo what happened since the last reconciliation and applies
// what was missed, at no more than budget's rate of calls. With a store that was
// never reconciled, an empty one for example, it asks for everything there ever
// was: what carries our proof comes back.
//
// An error leaves the mark where it was, so the next one begins there again. It
// may be that of a few objects that Dodo did not hand out; all others are applied.
func (e *Events) Reconcile(ctx context.Context, budget *rate.Limiter) (Reconciled, error) {
	mark, err := e.store.Mark(ctx, reconcileMark)
	if err != nil {
		return Reconciled{}, err
	}
	far, err := e.store.Mark(ctx, farMark)
	if err != nil {
		return Reconciled{}, err
	}
	began := e.clock()
	if began.Sub(far) < farEvery {
		return e.reconcileSince(ctx, mark, paymentsBack, budget, nil)
	}
	done, err := e.reconcileSince(ctx, mark, paymentsFar, budget, nil)
	if err == nil {
		err = e.store.SetMark(ctx, farMark, began)
	}
	return done, err
}

// Rebuild is Reconcile as with an empty store: it asks for everything there ever
// was. What is known already stays as it is. progress, if not nil, hears how far it
// has come.
func (e *Events) Rebuild(ctx context.Context, budget *rate.Limiter, progress func(Reconciled)) (Reconciled, error) {
	return e.reconcileSince(ctx, time.Time{}, 0, budget, progress)
}

func (e *Events) reconcileSince(
	ctx context.Context, mark time.Time, back time.Duration, budget *rate.Limiter, progress func(Reconciled),
) (Reconciled, error) {
	if err := e.site.keep(ctx); err != nil {
		return Reconciled{}, err
	}
	began := e.clock()
	r := reconciliation{Events: e, budget: budget, progress: progress, back: back, done: make(map[string]bool)}
	defer func() {
		r.logForeign(mark.IsZero())
		r.Damaged.log(e.logger, "reconcile")
	}()
	for _, step := range []func(context.Context, time.Time) error{r.payments, r.refunds, r.disputes, r.subscriptions, r.features} {
		if err := step(ctx, mark); err != nil {
			return r.Reconciled, err
		}
	}
	if r.unread != nil {
		return r.Reconciled, r.unread
	}
	return r.Reconciled, e.store.SetMark(ctx, reconcileMark, began)
}

// readAt reads a payment or subscription at Dodo.
func (e *Events) readAt(ctx context.Context, ref entitlement.Ref) (dodo.Fact, error) {
	if ref.Kind == entitlement.KindSubscription {
		return e.provider.Subscription(ctx, ref.ID)
	}
	return e.provider.Payment(ctx, ref.ID)
}
