package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodo"
)

// What a change of plan can be refused for, besides what finding its subscription can be.
var (
	// ErrNotRecurring: Dodo sells the product once, so no subscription can change to it.
	ErrNotRecurring = errors.New("the product is not a subscription")
	// ErrChangeRunning: another change of the subscription was sent a moment ago.
	ErrChangeRunning = errors.New("a change of plan is under way")
	// ErrChangeLost: the change was sent, and nobody knows whether Dodo made it.
	ErrChangeLost = errors.New("dodo's answer to a change of plan was lost")
	// ErrChangePending: Dodo waits for the payment of an earlier change or charge.
	ErrChangePending = errors.New("an earlier payment of the subscription is pending")
	// ErrChangeScheduled: a change waits for the next billing date.
	ErrChangeScheduled = errors.New("a change of plan is scheduled")
	// ErrEnding: the subscription ends with its period.
	ErrEnding = errors.New("the subscription is about to end")
	// ErrInactive: the subscription is not active.
	ErrInactive = errors.New("the subscription is not active")
	// ErrWithheld: what was paid for its period was given back, is disputed or was too little.
	// Dodo would count the whole period as paid in the price of the change.
	ErrWithheld = errors.New("the subscription's period is not paid for")
	// ErrOnDemand: it is charged on demand, and has no plan to change.
	ErrOnDemand = errors.New("the subscription is charged on demand")
	// ErrOnePiece: Dodo sells one piece of a subscription.
	ErrOnePiece = errors.New("a subscription is bought in one piece")
)

// refusals are the codes by which Dodo refuses to change a subscription (FACTS 1.3).
var refusals = map[string]error{
	"PENDING_PLAN_CHANGE_EXISTS":                         ErrChangePending,
	"PREVIOUS_PAYMENT_PENDING":                           ErrChangePending,
	"SCHEDULED_PLAN_CHANGE_EXISTS":                       ErrChangeScheduled,
	"PLAN_CHANGE_NOT_ALLOWED_FOR_SCHEDULED_CANCELLATION": ErrEnding,
	"INACTIVE_SUBSCRIPTION_PLAN_CHANGE_NOT_SUPPORTED":    ErrInactive,
	"SUBSCRIPTION_INACTIVE":                              ErrInactive,
	"SUBSCRIPTION_EXPIRED":                               ErrInactive,
	"ON_DEMAND_PLAN_CHANGE_NOT_SUPPORTED":                ErrOnDemand,
	"INVALID_QUANTITY":                                   ErrOnePiece,
}

// managingError tells what the customer can understand from everything else that Dodo
// refuses.
func managingError(err error) error {
	var said *dodo.Error
	if !errors.As(err, &said) {
		return err
	}
	if reason, known := refusals[said.Code]; known {
		return fmt.Errorf("%w: %w", reason, err)
	}
	if errors.Is(err, dodo.ErrRejected) && said.Status == 409 {
		return fmt.Errorf("%w: %w", ErrChangePending, err)
	}
	return notFoundIsGone(err)
}

// PlanChange is a wish to change what one of the account's subscriptions is for.
type PlanChange struct {
	From          Which
	Product, Plan string // what it changes to: a product by its name, or the one that gives the plan
	Quantity      int64  // 0: as many as before where the product allows it, else 1
}

// ChangeState is what became of a change of plan.
type ChangeState string

// The states of a change.
const (
	ChangePreviewed ChangeState = "preview"   // nothing is changed yet
	ChangeMade      ChangeState = "changed"   // Dodo says so
	ChangeAccepted  ChangeState = "pending"   // Dodo makes it when its charge has gone through
	ChangeNone      ChangeState = "unchanged" // it is for this product already; nothing is charged
)

// Change is a change of plan and how far it is.
type Change struct {
	State    ChangeState
	Held     Held // the subscription as it is now
	To       config.Product
	Quantity int64
	Preview  dodo.PlanPreview // of a change that is previewed

	addons []dodo.Addon
}

// changeLease is how long a change may take to be seen at Dodo, whose events about it come
// within two minutes (FACTS 3.5). Another one is not sent before, unless this one is known
// to have been made or refused.
const changeLease = 2 * time.Minute

// PreviewChange says what a change would charge at once. It changes nothing.
func (s *Shop) PreviewChange(ctx context.Context, who Identity, req PlanChange) (*Change, error) {
	ctx, cancel := context.WithTimeout(ctx, manageDeadline)
	defer cancel()
	c, err := s.planned(ctx, who, req)
	if err != nil || c.State == ChangeNone {
		return c, err
	}
	asked := withCall(ctx, callFor(ctx, forConfirm, who.Account))
	c.Preview, err = s.provider.PreviewChange(asked, c.Held.ID, s.wishOf(c))
	if err != nil {
		s.refusedByBudget(err)
		return nil, managingError(err)
	}
	return c, nil
}

// ChangePlan has Dodo charge for a change and make it. What the account gets follows from
// what Dodo says afterwards, never from this call. A repeat finds the change made and
// charges nothing; one that comes while the first is under way is refused.
func (s *Shop) ChangePlan(ctx context.Context, who Identity, req PlanChange) (*Change, error) {
	held, err := s.one(ctx, who.Account, req.From)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), manageDeadline)
	defer cancel()
	asked := callFor(ctx, forCheckout, who.Account)
	if err := s.budget.check(asked, false); err != nil {
		s.refusedByBudget(err)
		return nil, err
	}
	lease, err := s.leaseChange(ctx, who.Account, held.ID)
	if err != nil {
		return nil, err
	}
	req.From = Which{ID: held.ID}
	c, err := s.change(ctx, who, req, asked)
	if open := err == nil && c.State == ChangeAccepted || errors.Is(err, ErrChangeLost); !open {
		s.drop(context.WithoutCancel(ctx), lease)
	}
	return c, err
}

// change sends the change once and looks at what came of it.
func (s *Shop) change(ctx context.Context, who Identity, req PlanChange, asked call) (*Change, error) {
	c, err := s.planned(ctx, who, req)
	if err != nil || c.State == ChangeNone {
		return c, err
	}
	sent := s.provider.ChangePlan(withCall(ctx, asked), c.Held.ID, s.wishOf(c))
	lost := dodo.Unknown(sent)
	if sent != nil && !lost {
		s.refusedByBudget(sent)
		return nil, managingError(sent)
	}
	now, _, err := s.rereadHeld(ctx, who.Account, c.Held.ID, "change:"+c.Held.ID)
	if err != nil {
		s.logger.Warn("subscription could not be read after a change of plan", "subscription", c.Held.ID, "error", err)
	} else {
		c.Held = now
	}
	switch {
	case err == nil && c.isMade():
		c.State = ChangeMade
	case lost:
		s.logger.Warn("the answer to a change of plan was lost; it is not sent again before the subscription was read",
			"subscription", c.Held.ID, "error", sent)
		return nil, fmt.Errorf("%w: %w", ErrChangeLost, sent)
	default:
		c.State = ChangeAccepted
	}
	return c, nil
}

// planned finds what is to change into what, by what Dodo says about the subscription now.
func (s *Shop) planned(ctx context.Context, who Identity, req PlanChange) (*Change, error) {
	held, err := s.one(ctx, who.Account, req.From)
	if err != nil {
		return nil, err
	}
	to, err := s.targetOf(ctx, req)
	if err != nil {
		return nil, err
	}
	if req.Quantity < 0 || req.Quantity > config.MaxQuantity {
		return nil, ErrQuantity
	}
	if req.Quantity > 1 && !to.AllowMultiple {
		return nil, ErrOnePiece
	}
	now, holding, err := s.rereadHeld(ctx, who.Account, held.ID, "change:"+held.ID)
	if err != nil {
		return nil, err
	}
	if !holding.Subscription.State.Ongoing(s.clock()) {
		return nil, ErrNoSubscription
	}
	c := &Change{State: ChangePreviewed, Held: now, To: to, Quantity: req.Quantity, addons: holding.Addons}
	if c.Quantity == 0 {
		c.Quantity = 1
		if to.AllowMultiple {
			c.Quantity = max(now.Quantity, 1)
		}
	}
	if c.isMade() {
		c.State = ChangeNone
		return c, nil
	}
	if now.Withheld {
		return nil, ErrWithheld
	}
	if err := s.checkOthers(ctx, who.Account, c.To, c.Held.ID); err != nil {
		return nil, err
	}
	return c, nil
}

// targetOf finds the product that is to be subscribed to: by its name, or the only
// subscription that gives the plan.
func (s *Shop) targetOf(ctx context.Context, req PlanChange) (config.Product, error) {
	if (req.Product == "") == (req.Plan == "") {
		return config.Product{}, ErrChoice
	}
	if req.Product != "" {
		p, known := s.catalog.Named(req.Product)
		switch {
		case !known:
			return config.Product{}, ErrUnknownProduct
		case !s.recurs(ctx, p):
			return config.Product{}, ErrNotRecurring
		}
		return p, nil
	}
	var fitting []config.Product
	for _, p := range s.catalog.Products() {
		if p.Plan == req.Plan && s.recurs(ctx, p) {
			fitting = append(fitting, p)
		}
	}
	if len(fitting) != 1 {
		return config.Product{}, ErrUnknownProduct
	}
	return fitting[0], nil
}

// isMade reports whether the subscription is for what it is to change to.
func (c *Change) isMade() bool {
	return c.Held.Product.ID == c.To.ID && c.Held.Quantity == c.Quantity
}

// wishOf is what Dodo is asked for. Add-ons that are not named would be removed.
func (s *Shop) wishOf(c *Change) dodo.PlanChange {
	mode := s.proration
	if mode == "" {
		mode = config.ProrateUnused
	}
	return dodo.PlanChange{ProductID: c.To.ID, Quantity: c.Quantity, Proration: string(mode), Addons: c.addons}
}

// leaseChange keeps every other change of the subscription away, at all gateways of the
// store, until it is dropped or runs out. It is an order that never gets a session.
func (s *Shop) leaseChange(ctx context.Context, account, subscription string) (*purchase, error) {
	now := s.clock()
	p := &purchase{
		order: book.Order{ID: newOrderID(), Account: account, Quantity: 1, State: book.OrderOpen, CreatedAt: now, ExpiresAt: now.Add(changeLease)},
		key: book.Key{
			Hash: digest("change", subscription), Fingerprint: "change",
			Lease: changeLease, Keep: changeLease,
		},
	}
	var err error
	p.order, p.start, err = s.store.CreateOrder(ctx, p.order, p.key)
	switch {
	case err != nil:
		return nil, err
	case p.start == book.Created, p.start == book.Resumed:
		return p, nil
	}
	return nil, ErrChangeRunning
}
