package gateway

import (
	"context"
	"fmt"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

// owner is whom an object belongs to.
type owner struct {
	account string // empty: nothing says whose it is
	foreign bool   // it was ordered at another site
	proven  bool   // by a proof of ours, and not by whose customer it is
	// The order that it was bought by: its id, or, where it was read already, the order.
	orderID string
	order   *book.Order
}

// find says whose a fact is, and binds its object to that account for ever
// (DESIGN 6.2): by what it is bound to already; by our proof in its metadata; by
// the checkout session that we made; by the subscription or payment that it was given for; by
// the customer, if the site's login vouched for that customer's e-mail address before or an
// operator named the customer; by the address itself, with match_email.
func (e *Events) find(ctx context.Context, fact dodo.Fact) (owner, error) {
	claim, err := e.site.claim(ctx, fact.Clues.Metadata)
	if err != nil {
		return owner{}, err
	}
	var found owner
	if found.account, err = e.store.Owner(ctx, fact.Ref); err != nil {
		return owner{}, err
	}
	if found.account == "" {
		if found, err = e.bind(ctx, fact, claim); err != nil || found.account == "" {
			return found, err
		}
	}
	if claim.ours && claim.Account == found.account {
		found.proven, found.orderID = true, claim.Order
		return found, nil
	}
	if claim.ours {
		e.logger.Error("a payment carries a proof for another account than the one that it is bound to",
			"object", fact.Ref.String(), "order", claim.Order)
	}
	found.order, err = e.orderOf(ctx, found.account, fact.Clues.SessionID)
	return found, err
}

// bind follows the clues of an object that has no account yet. A fact that does
// not describe the payment itself, such as a refund, has no metadata to prove
// anything, so it binds nothing: it waits for its payment. What another site sold binds
// nothing either, whichever customer bought it.
func (e *Events) bind(ctx context.Context, fact dodo.Fact, claim claimed) (owner, error) {
	if claim.foreign {
		return owner{foreign: true}, e.site.noteForeign(ctx, fact.Ref, claim.Site)
	}
	account := ""
	if claim.ours {
		account = claim.Account
	} else if foreign, err := e.site.isForeign(ctx, fact); err != nil || foreign {
		return owner{foreign: foreign}, err
	}
	if !fact.Describes() {
		return owner{}, nil
	}
	if account == "" {
		var err error
		if account, err = e.leadsTo(ctx, fact.Clues); err != nil || account == "" {
			return owner{}, err
		}
	}
	bound, err := e.store.Claim(ctx, fact.Ref, account)
	if err != nil {
		return owner{}, fmt.Errorf("bind %s: %w", fact.Ref, err)
	}
	return owner{account: bound}, nil
}

// clueRefs are the things by which a fact may be known, surest first.
func clueRefs(c dodo.Clues) []entitlement.Ref {
	var refs []entitlement.Ref
	for _, ref := range []entitlement.Ref{
		{Kind: entitlement.KindSession, ID: c.SessionID},
		{Kind: entitlement.KindSubscription, ID: c.SubscriptionID},
		{Kind: entitlement.KindPayment, ID: c.PaymentID},
		{Kind: entitlement.KindCustomer, ID: c.CustomerID},
	} {
		if ref.ID != "" {
			refs = append(refs, ref)
		}
	}
	return refs
}

// waitsFor is the object that brings a fact its account: a feature is given for a
// subscription or a payment, and what happens to an object waits for the object.
func waitsFor(fact dodo.Fact) entitlement.Ref {
	switch c := fact.Clues; {
	case fact.Ref.Kind != entitlement.KindFeature:
		return fact.Ref
	case c.SubscriptionID != "":
		return entitlement.Ref{Kind: entitlement.KindSubscription, ID: c.SubscriptionID}
	case c.PaymentID != "":
		return entitlement.Ref{Kind: entitlement.KindPayment, ID: c.PaymentID}
	default:
		return fact.Ref
	}
}

// orderOf reads the order that a payment was made for whose metadata got lost: by its session
// among the account's open orders.
func (e *Events) orderOf(ctx context.Context, account, session string) (*book.Order, error) {
	if session == "" {
		return nil, nil
	}
	open, err := e.store.Orders(ctx, account, store.OpenOrders)
	if err != nil {
		return nil, err
	}
	for _, order := range open {
		if order.SessionID == session {
			return &order, nil
		}
	}
	return nil, nil
}

// bindCustomer remembers whose a customer at Dodo is, for later payments that
// carry nothing of ours. Dodo names customers by the e-mail address typed at the
// checkout, which anybody can type; so only the address that the site's login
// vouched for counts.
func bindCustomer(b *book.Book, order *book.Order, fact dodo.Fact) error {
	if order == nil || order.Email == "" || order.Email != fact.Clues.CustomerEmail || fact.Clues.CustomerID == "" {
		return nil
	}
	return b.Claim(entitlement.Ref{Kind: entitlement.KindCustomer, ID: fact.Clues.CustomerID})
}
