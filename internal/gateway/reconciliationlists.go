package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// The lists that a reconciliation goes through. Of each object they tell enough to see
// whether there is something that we do not know.

func (r *reconciliation) payments(ctx context.Context, mark time.Time) error {
	from := since(mark, r.back)
	return r.pages(ctx, func(page int) (bool, error) {
		list, err := r.provider.Payments(ctx, from, page)
		if err != nil {
			return false, err
		}
		r.odd("payments", list.Odd)
		for _, p := range list.Items {
			r.Seen++
			ref := entitlement.Ref{Kind: entitlement.KindPayment, ID: p.ID}
			known, ours, err := r.known(ctx, ref, p.Clues)
			if err == nil && ours && (known.Payment.Status != p.Status || r.termsChanged(known)) {
				err = r.reread(ctx, ref)
			}
			if err != nil {
				return false, err
			}
		}
		return list.Last, nil
	})
}

func (r *reconciliation) refunds(ctx context.Context, mark time.Time) error {
	return r.changes(ctx, "refunds", since(mark, refundsBack), r.provider.Refunds, func(p entitlement.Payment, c dodo.PaymentChange) bool {
		return string(p.Refunds[c.ID].Status) == c.Status
	})
}

func (r *reconciliation) disputes(ctx context.Context, mark time.Time) error {
	return r.changes(ctx, "disputes", since(mark, disputesBack), r.provider.Disputes, func(p entitlement.Payment, c dodo.PaymentChange) bool {
		return string(p.Disputes[c.ID]) == c.Status
	})
}

// changes reads the payments that something happened to of which we do not know.
// A payment that nobody here owns was not made through us.
func (r *reconciliation) changes(
	ctx context.Context, name string, from time.Time,
	list func(context.Context, time.Time, int) (dodo.Page[dodo.PaymentChange], error),
	isKnown func(entitlement.Payment, dodo.PaymentChange) bool,
) error {
	return r.pages(ctx, func(page int) (bool, error) {
		found, err := list(ctx, from, page)
		if err != nil {
			return false, err
		}
		r.odd(name, found.Odd)
		for _, c := range found.Items {
			r.Seen++
			ref := entitlement.Ref{Kind: entitlement.KindPayment, ID: c.PaymentID}
			known, ours, err := r.known(ctx, ref, dodo.Clues{})
			if err == nil && ours && !isKnown(known.Payment, c) {
				err = r.reread(ctx, ref)
			}
			if err != nil {
				return false, err
			}
		}
		return found.Last, nil
	})
}

func (r *reconciliation) subscriptions(ctx context.Context, _ time.Time) error {
	return r.pages(ctx, func(page int) (bool, error) {
		list, err := r.provider.Subscriptions(ctx, page)
		if err != nil {
			return false, err
		}
		r.odd("subscriptions", list.Odd)
		for _, s := range list.Items {
			r.Seen++
			ref := entitlement.Ref{Kind: entitlement.KindSubscription, ID: s.ID}
			known, ours, err := r.known(ctx, ref, s.Clues)
			if err == nil && ours && (s.Differs(known.Subscription.State) || r.termsChanged(known)) {
				err = r.reread(ctx, ref)
			}
			if err != nil {
				return false, err
			}
		}
		return list.Last, nil
	})
}

// features reads all grants of all feature flags: nothing says which of them
// changed. An API key that may not read them, or a Dodo that knows none, must not
// hold up what is about money.
func (r *reconciliation) features(ctx context.Context, _ time.Time) error {
	var flags []string
	err := r.pages(ctx, func(page int) (bool, error) {
		list, err := r.provider.FeatureFlags(ctx, page)
		r.odd("feature flags", list.Odd)
		flags = append(flags, list.Items...)
		return list.Last, err
	})
	for _, flag := range flags {
		if err == nil {
			err = r.grants(ctx, flag)
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

func (r *reconciliation) grants(ctx context.Context, flag string) error {
	return r.pages(ctx, func(page int) (bool, error) {
		list, err := r.provider.FeatureGrants(ctx, flag, page)
		if err != nil {
			return false, err
		}
		r.odd("feature grants", list.Odd)
		for _, grant := range list.Items {
			r.Seen++
			if grant.Fact == nil {
				r.logger.Warn("an object in Dodo's lists cannot be read", "object", grant.ID)
				continue
			}
			known, ours, err := r.known(ctx, grant.Fact.Ref, grant.Fact.Clues)
			if err == nil && ours && known.Feature.Merge(grant.Fact.Feature) != known.Feature {
				err = r.applyFact(ctx, *grant.Fact)
			}
			if err != nil {
				return false, err
			}
		}
		return list.Last, nil
	})
}
