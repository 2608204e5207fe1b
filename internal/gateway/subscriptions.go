package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// What managing a subscription can be refused for, besides what a checkout can be.
var (
	// ErrNoSubscription: the account has no such subscription, or it has ended.
	ErrNoSubscription = errors.New("no such subscription")
	// ErrAmbiguous: several subscriptions fit. It comes as a [*SubscriptionsError].
	ErrAmbiguous = errors.New("several subscriptions fit")
	// ErrSubscribed: a subscription of the account is for this product or gives its plan,
	// and the customer would pay twice. It comes as a [*SubscriptionsError].
	ErrSubscribed = errors.New("already subscribed")
)

// SubscriptionsError is a refusal because of subscriptions that the account has.
type SubscriptionsError struct {
	Reason  error          // ErrAmbiguous or ErrSubscribed
	Product config.Product // that was to be bought
	Held    []Held         // newest period first
	// CanChange: the first of Held can change to Product.
	CanChange bool
	// Unfulfilled is an order that is paid and whose subscription Dodo has not told of yet.
	Unfulfilled string
}

func (e *SubscriptionsError) Error() string { return e.Reason.Error() }

// Unwrap is the reason.
func (e *SubscriptionsError) Unwrap() error { return e.Reason }

// Held is a subscription of an account that has not ended.
type Held struct {
	ID          string // Dodo's
	Product     config.Product
	Quantity    int64
	Status      entitlement.SubscriptionStatus
	CancelAtEnd bool      // it ends with the period
	PeriodEnd   time.Time // when it is charged again, or ends
	OnDemand    bool
	// Withheld: it gives no access although its period runs, because the payment was
	// refunded, is disputed or was too small.
	Withheld bool
}

// Changeable reports whether the plan of the subscription can change: Dodo must allow it, and
// the period must be paid for, because the price of a change counts what is left of it.
func (h Held) Changeable() bool {
	return h.Status == entitlement.SubscriptionActive && !h.CancelAtEnd && !h.OnDemand && !h.Withheld
}

// Renews reports whether the subscription is charged again, if nobody does anything.
func (h Held) Renews() bool {
	return !h.CancelAtEnd && (h.Status == entitlement.SubscriptionActive || h.Status == entitlement.SubscriptionPastDue)
}

// stopped reports whether the subscription gives nothing now, and may go on.
func (h Held) stopped() bool {
	return h.Status == entitlement.SubscriptionOnHold || h.Status == entitlement.SubscriptionPaused || h.Renews() && h.Withheld
}

// maxHeld bounds the subscriptions of an account that are looked at.
const maxHeld = 100

// Subscriptions are the account's subscriptions that have not ended, as far as this
// gateway knows, the newest period first.
func (s *Shop) Subscriptions(ctx context.Context, account string) ([]Held, error) {
	a, err := s.readAccount(ctx, account)
	if err != nil {
		return nil, err
	}
	var all []Held
	for _, ref := range subscriptionsOf(a) {
		held, ongoing, err := s.held(ctx, a, account, ref)
		if err != nil {
			return nil, err
		}
		if ongoing {
			all = append(all, held)
		}
	}
	slices.SortFunc(all, func(a, b Held) int {
		return cmp.Or(b.PeriodEnd.Compare(a.PeriodEnd), cmp.Compare(a.ID, b.ID))
	})
	return all, nil
}

// subscriptionsOf are all subscriptions that give the account something, or did.
func subscriptionsOf(a entitlement.Account) []entitlement.Ref {
	var refs []entitlement.Ref
	for object := range a.Standings {
		if ref, ok := entitlement.ParseRef(object); ok && ref.Kind == entitlement.KindSubscription {
			refs = append(refs, ref)
		}
	}
	slices.SortFunc(refs, func(a, b entitlement.Ref) int { return cmp.Compare(a.ID, b.ID) })
	return refs[:min(len(refs), maxHeld)]
}

// held reads one of the account's subscriptions, and whether it goes on. a is the account.
func (s *Shop) held(ctx context.Context, a entitlement.Account, account string, ref entitlement.Ref) (Held, bool, error) {
	object, err := s.store.Object(ctx, account, ref)
	if err != nil {
		return Held{}, false, fmt.Errorf("read object: %w", err)
	}
	record, err := recordOf(ref, object)
	if err != nil {
		return Held{}, false, err
	}
	state := record.Subscription.State
	product, _ := s.catalog.ByID(state.ProductID)
	now := s.clock()
	access := a.Standings[ref.String()].Renewal
	return Held{
		ID: ref.ID, Product: product, Quantity: state.Quantity, Status: state.Status,
		CancelAtEnd: state.CancelAtEnd, PeriodEnd: state.PeriodEnd, OnDemand: state.OnDemand,
		Withheld: access != nil && now.Before(state.PeriodEnd) && (!access.Access || !now.Before(access.Until)),
	}, state.Ongoing(now), nil
}

// Which names one of an account's subscriptions: by Dodo's id, or by the product or the
// plan that it gives. The zero value names the only one.
type Which struct{ ID, Product, Plan string }

func (w Which) fits(h Held) bool {
	return (w.ID == "" || w.ID == h.ID) && (w.Product == "" || w.Product == h.Product.Name) && (w.Plan == "" || w.Plan == h.Product.Plan)
}

// one finds the subscription that is meant. Somebody else's is not there. Before it says that
// there is none, Dodo is asked about what was paid a moment ago.
func (s *Shop) one(ctx context.Context, account string, which Which) (Held, error) {
	if account == "" {
		return Held{}, ErrAnonymous
	}
	fitting, err := s.fitting(ctx, account, which)
	if err == nil && len(fitting) == 0 {
		if _, _, err = s.events.ConfirmAccount(ctx, account); err == nil {
			fitting, err = s.fitting(ctx, account, which)
		}
	}
	if err != nil {
		return Held{}, err
	}
	switch len(fitting) {
	case 0:
		return Held{}, ErrNoSubscription
	case 1:
		return fitting[0], nil
	}
	return Held{}, &SubscriptionsError{Reason: ErrAmbiguous, Held: fitting}
}

func (s *Shop) fitting(ctx context.Context, account string, which Which) ([]Held, error) {
	all, err := s.Subscriptions(ctx, account)
	return slices.DeleteFunc(all, func(h Held) bool { return !which.fits(h) }), err
}

// rereadHeld reads one of the account's subscriptions at Dodo and applies what Dodo says, so
// that the account's next request sees it. It returns the subscription as it is then.
func (s *Shop) rereadHeld(ctx context.Context, account, id, cause string) (Held, dodo.Holding, error) {
	ctx = withCall(ctx, callFor(ctx, forConfirm, account))
	holding, err := s.provider.Holding(ctx, id)
	if err != nil {
		s.refusedByBudget(err)
		return Held{}, dodo.Holding{}, notFoundIsGone(err)
	}
	if _, err := s.events.apply(ctx, holding.Fact, cause, nil); err != nil {
		return Held{}, dodo.Holding{}, err
	}
	a, err := s.readAccount(ctx, account)
	if err != nil {
		return Held{}, dodo.Holding{}, err
	}
	held, _, err := s.held(ctx, a, account, holding.Ref)
	return held, holding, err
}

// notFoundIsGone is the error for a subscription that Dodo does not know any more.
func notFoundIsGone(err error) error {
	if errors.Is(err, dodo.ErrNotFound) {
		return fmt.Errorf("%w: %w", ErrNoSubscription, err)
	}
	return err
}
