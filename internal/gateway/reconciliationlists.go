package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// ListName names one of Dodo's lists.
type ListName string

// The lists that a reconciliation goes through. Of each object they tell enough to see
// whether there is something that we do not know.
const (
	ListPayments      ListName = "payments"
	ListRefunds       ListName = "refunds"
	ListDisputes      ListName = "disputes"
	ListSubscriptions ListName = "subscriptions"
	ListFeatures      ListName = "features"
)

// ListNames are all lists, in the order in which they are read.
var ListNames = []ListName{ListPayments, ListRefunds, ListDisputes, ListSubscriptions, ListFeatures}

// How far before the mark to look. A payment may be settled days after it was
// made (FACTS 3.4), and by some bank only after weeks: as there are many payments,
// only one walk a day looks so far. A refund may be reviewed, and a dispute takes
// months; of those there are few. A subscription changes as long as it lives, so its list is
// walked again and again: see [walk.fullIsDue].
const (
	paymentsBack      = 3 * 24 * time.Hour
	paymentsFar       = 30 * 24 * time.Hour
	farEvery          = 24 * time.Hour
	refundsBack       = 14 * 24 * time.Hour
	disputesBack      = 150 * 24 * time.Hour
	subscriptionsBack = 3 * 24 * time.Hour
)

// list is one of Dodo's lists.
type list struct {
	name      ListName
	back, far time.Duration // far is looked at every farEvery; 0 is never
	// changing: what is listed may change at any time.
	changing bool
	kind     entitlement.Kind // of the objects that are read one by one; empty for another list's
	// page reads one page. It is nil for a list that cannot be read by windows.
	page func(ctx context.Context, made dodo.Window, page int) (listPage, error)
}

// listPage is a page of a list.
type listPage struct {
	items []listed
	last  bool
	odd   int
}

func (r *reconciliation) lists() []list {
	return []list{
		{name: ListPayments, kind: entitlement.KindPayment, back: paymentsBack, far: paymentsFar, page: r.paymentsPage},
		{name: ListRefunds, back: refundsBack, page: r.refundsPage},
		{name: ListDisputes, back: disputesBack, page: r.disputesPage},
		{name: ListSubscriptions, kind: entitlement.KindSubscription, back: subscriptionsBack, changing: true, page: r.subscriptionsPage},
		{name: ListFeatures, changing: true},
	}
}

// pageOf makes a page of what Dodo answered.
func pageOf[Item any](p dodo.Page[Item], err error, show func(Item) listed) (listPage, error) {
	page := listPage{last: p.Last, odd: p.Odd, items: make([]listed, 0, len(p.Items))}
	for _, item := range p.Items {
		page.items = append(page.items, show(item))
	}
	return page, err
}

func (r *reconciliation) paymentsPage(ctx context.Context, made dodo.Window, page int) (listPage, error) {
	p, err := r.provider.Payments(ctx, made, page)
	return pageOf(p, err, func(p dodo.PaymentSummary) listed {
		return listed{
			ref: entitlement.Ref{Kind: entitlement.KindPayment, ID: p.ID}, clues: p.Clues,
			isNews: func(known entitlement.Record) bool { return known.Payment.IsNews(p.Status) || r.termsChanged(known) },
		}
	})
}

func (r *reconciliation) refundsPage(ctx context.Context, made dodo.Window, page int) (listPage, error) {
	p, err := r.provider.Refunds(ctx, made, page)
	return pageOf(p, err, func(c dodo.PaymentChange) listed {
		return changeOf(c, func(p entitlement.Payment) bool { return p.IsRefundNews(c.ID, entitlement.RefundStatus(c.Status)) })
	})
}

func (r *reconciliation) disputesPage(ctx context.Context, opened dodo.Window, page int) (listPage, error) {
	p, err := r.provider.Disputes(ctx, opened, page)
	return pageOf(p, err, func(c dodo.PaymentChange) listed {
		return changeOf(c, func(p entitlement.Payment) bool {
			return p.IsDisputeNews(c.ID, entitlement.DisputeStatus(c.Status))
		})
	})
}

// changeOf is the payment that something happened to. One that nobody here owns was not made
// through us.
func changeOf(c dodo.PaymentChange, isNews func(entitlement.Payment) bool) listed {
	return listed{
		ref:    entitlement.Ref{Kind: entitlement.KindPayment, ID: c.PaymentID},
		isNews: func(known entitlement.Record) bool { return isNews(known.Payment) },
	}
}

func (r *reconciliation) subscriptionsPage(ctx context.Context, made dodo.Window, page int) (listPage, error) {
	p, err := r.provider.Subscriptions(ctx, made, page)
	return pageOf(p, err, func(s dodo.SubscriptionSummary) listed {
		return listed{
			ref: entitlement.Ref{Kind: entitlement.KindSubscription, ID: s.ID}, clues: s.Clues,
			isNews: func(known entitlement.Record) bool {
				return s.Differs(known.Subscription.State, p.At) || r.termsChanged(known)
			},
		}
	})
}

// mostPages bounds the lists that cannot be read by windows, at 100 objects a page.
const mostPages = 10_000

// features reads all grants of all feature flags: nothing says which of them changed, and Dodo
// has no windows for them. A flag that cannot be read holds up no other. An API key that may not
// read them, or a Dodo that knows none, is no failure.
func (w *walk) features(ctx context.Context) error {
	r := w.reconciliation
	var flags []string
	w.pages = 0
	err := w.unwindowed(ctx, func(page int) (bool, error) {
		list, err := r.provider.FeatureFlags(ctx, page)
		r.odd("feature flags", list.Odd)
		flags = append(flags, list.Items...)
		return list.Last, err
	}, nil)
	for _, flag := range flags {
		failed := w.grants(ctx, flag)
		if failed != nil && endsPass(ctx, failed) {
			return failed
		}
		if err == nil {
			err = failed
		}
	}
	for _, refusal := range []error{dodo.ErrUnauthorized, dodo.ErrNotFound, dodo.ErrRejected} {
		if errors.Is(err, refusal) {
			r.logger.Warn("feature flags cannot be read", "error", err)
			return nil
		}
	}
	return err
}

func (w *walk) grants(ctx context.Context, flag string) error {
	r := w.reconciliation
	var list dodo.Page[dodo.FeatureGrant]
	return w.unwindowed(ctx, func(page int) (_ bool, err error) {
		list, err = r.provider.FeatureGrants(ctx, flag, page)
		return list.Last, err
	}, func() error {
		r.odd("feature grants", list.Odd)
		for _, grant := range list.Items {
			if grant.Fact == nil {
				r.Seen++
				r.logger.Warn("an object in Dodo's lists cannot be read", "object", grant.ID)
				continue
			}
			err := r.visit(ctx, w, listed{
				ref: grant.Fact.Ref, clues: grant.Fact.Clues, fact: grant.Fact,
				isNews: func(known entitlement.Record) bool { return known.Feature.Merge(grant.Fact.Feature) != known.Feature },
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// unwindowed reads a list page by page until the last one.
func (w *walk) unwindowed(ctx context.Context, read func(page int) (last bool, err error), then func() error) error {
	for page := range mostPages {
		var last bool
		err := w.ask(ctx, func() (err error) {
			last, err = read(page)
			return err
		})
		if err == nil && then != nil {
			err = then()
		}
		w.pages++
		if err != nil || last {
			return err
		}
	}
	return fmt.Errorf("%w: no end after %d pages", dodo.ErrBadAnswer, mostPages)
}
