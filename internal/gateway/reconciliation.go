package gateway

import (
	"context"
	"errors"
	"time"

	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// Webhooks get lost, and a store can lose its last second or all it had. So Dodo
// is asked from time to time what happened, and the answers take the same path as
// events: folded into their objects, they change only what was missed.
//
// A pass goes through Dodo's lists, each of which is walked by itself: see [walk]. What could
// not be read is kept apart in the store, and tried again by later passes: see [unreadObjects]
// and [gap]. One gateway at a time makes a pass: see [passLease].

// reconcileMark is the store's name for when what was new in every list was read last.
const reconcileMark = "reconcile"

// farMark is the mark of an earlier release, for when it last looked far back for payments.
const farMark = "reconcile far"

// ErrElsewhere says that another gateway on the same store makes the pass, or has just made it.
var ErrElsewhere = errors.New("another gateway reconciles this store")

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
// was: what carries our proof comes back. While another gateway makes a pass, it waits.
//
// An error is that of a list that could not be read: the next pass continues it where this one
// stopped. All others are read. What Dodo does not hand out, an object or a part of a list, is
// no error: it is kept apart and tried again.
func (e *Events) Reconcile(ctx context.Context, budget *rate.Limiter) (Reconciled, error) {
	return e.reconcile(ctx, passRequest{budget: budget, waits: true})
}

// ReconcileIfDue is Reconcile for a gateway to which it is only time to reconcile. It returns
// [ErrElsewhere] if another gateway makes a pass, or one began within the last while.
func (e *Events) ReconcileIfDue(ctx context.Context, budget *rate.Limiter, while time.Duration) (Reconciled, error) {
	return e.reconcile(ctx, passRequest{budget: budget, while: while})
}

// Rebuild is Reconcile as with an empty store: it asks for everything there ever
// was. What is known already stays as it is. A rebuild that did not come to its end is
// continued by the next pass or rebuild, whichever comes first. progress, if not nil, hears how
// far it has come.
func (e *Events) Rebuild(ctx context.Context, budget *rate.Limiter, progress func(Reconciled)) (Reconciled, error) {
	return e.reconcile(ctx, passRequest{budget: budget, waits: true, all: true, progress: progress})
}

// LastPass is when what is new in every list was read last, whichever gateway did; zero if
// never. A long pass does that again and again.
func (e *Events) LastPass(ctx context.Context) (time.Time, error) {
	return e.store.Mark(ctx, reconcileMark)
}

// passRequest says which pass is wanted.
type passRequest struct {
	budget   *rate.Limiter
	all      bool // of everything there ever was
	waits    bool // for the pass of another gateway
	while    time.Duration
	progress func(Reconciled) // may be nil
}

func (e *Events) reconcile(ctx context.Context, q passRequest) (Reconciled, error) {
	if err := e.site.keep(ctx); err != nil {
		return Reconciled{}, err
	}
	if err := e.lease.lock(ctx); err != nil {
		return Reconciled{}, err
	}
	defer e.lease.unlock()
	ctx, release, err := e.lease.acquire(ctx, q.waits)
	if err != nil {
		return Reconciled{}, err
	}
	defer release()
	last, err := e.LastPass(ctx)
	if err != nil {
		return Reconciled{}, err
	}
	if age := e.clock().Sub(last); age >= 0 && age < q.while {
		return Reconciled{}, ErrElsewhere
	}
	r := newReconciliation(e, q)
	first := last.IsZero() || q.all
	defer func() {
		r.logForeign(first)
		r.Damaged.log(e.logger, "reconcile")
	}()
	err = r.run(ctx)
	if lost := context.Cause(ctx); lost != nil && errors.Is(lost, ErrElsewhere) {
		err = lost
	}
	return r.Reconciled, err
}

// readAt reads a payment or subscription at Dodo.
func (e *Events) readAt(ctx context.Context, ref entitlement.Ref) (dodo.Fact, error) {
	if ref.Kind == entitlement.KindSubscription {
		return e.provider.Subscription(ctx, ref.ID)
	}
	return e.provider.Payment(ctx, ref.ID)
}
