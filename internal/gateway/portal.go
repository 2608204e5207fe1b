package gateway

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

// What a link to the customer portal can be refused for.
var (
	// ErrNoCustomer: the account has bought nothing, so that Dodo knows no customer.
	ErrNoCustomer = errors.New("the account has bought nothing yet")
	// ErrSharedCustomer: others have bought as this customer, whose portal shows it all.
	ErrSharedCustomer = errors.New("the customer at Dodo is not this account's alone")
)

// PortalRequest is a wish to see the customer portal.
type PortalRequest struct {
	ReturnTo     string // where the portal leads back to; must be allowed; empty: the default
	Scheme, Host string // where the request came in
	// Site is the part of the site that it came in at. Default: that of the gateway.
	Site *config.Site
}

// Portal makes a link to Dodo's customer portal. Everybody who has the link acts as
// the customer, and Dodo names customers by the e-mail address that somebody typed at a
// checkout. So the link is only for a login that vouches for this address, or for the only
// account that has bought as this customer.
func (s *Shop) Portal(ctx context.Context, who Identity, req PortalRequest) (link string, err error) {
	if who.Account == "" {
		return "", ErrAnonymous
	}
	site := s.siteOr(req.Site)
	base, ok := site.Base(req.Scheme, req.Host)
	if !ok {
		return "", ErrNoPublicURL
	}
	back, err := site.Landing(req.ReturnTo, base)
	if err != nil {
		return "", err
	}
	reads := withCall(ctx, callFor(ctx, forConfirm, who.Account))
	clues, err := s.customerOf(reads, who.Account)
	if err == nil && (!who.EmailVerified || who.Email == "" || who.Email != clues.CustomerEmail) {
		err = s.checkCustomer(reads, who.Account, clues.CustomerID)
	}
	if err == nil {
		link, err = s.provider.PortalLink(withCall(ctx, callFor(ctx, forCheckout, who.Account)), clues.CustomerID, back)
	}
	s.refusedByBudget(err)
	return link, err
}

// customerOf asks Dodo who the customer of the account is: of its newest subscription that
// goes on, else of its newest payment.
func (s *Shop) customerOf(ctx context.Context, account string) (dodo.Clues, error) {
	subscriptions, payments, err := s.objectsOf(ctx, account)
	if err != nil {
		return dodo.Clues{}, err
	}
	var fact dodo.Fact
	switch {
	case len(subscriptions) > 0:
		fact, err = s.provider.Subscription(ctx, subscriptions[0])
	case len(payments) > 0:
		fact, err = s.provider.Payment(ctx, payments[0])
	default:
		return dodo.Clues{}, ErrNoCustomer
	}
	if errors.Is(err, dodo.ErrNotFound) || err == nil && fact.Clues.CustomerID == "" {
		err = ErrNoCustomer
	}
	return fact.Clues, err
}

// objectsOf are Dodo's ids of what the account has bought: subscriptions, those that go on
// first, and payments, the newest first.
func (s *Shop) objectsOf(ctx context.Context, account string) (subscriptions, payments []string, err error) {
	ongoing, err := s.Subscriptions(ctx, account)
	if err != nil {
		return nil, nil, err
	}
	for _, held := range ongoing {
		subscriptions = append(subscriptions, held.ID)
	}
	a, err := s.readAccount(ctx, account)
	if err != nil {
		return nil, nil, err
	}
	for _, ref := range subscriptionsOf(a) {
		if !slices.Contains(subscriptions, ref.ID) {
			subscriptions = append(subscriptions, ref.ID)
		}
	}
	var standing []entitlement.Ref
	for object := range a.Standings {
		if ref, ok := entitlement.ParseRef(object); ok && ref.Kind == entitlement.KindPayment {
			standing = append(standing, ref)
		}
	}
	slices.SortFunc(standing, func(x, y entitlement.Ref) int {
		return cmp.Or(a.Standings[y.String()].PaidAt.Compare(a.Standings[x.String()].PaidAt), cmp.Compare(x.ID, y.ID))
	})
	for _, ref := range standing {
		payments = append(payments, ref.ID)
	}
	orders, err := s.store.Orders(ctx, account, store.Purchases)
	if err != nil {
		return nil, nil, err
	}
	for _, o := range orders { // also what was refunded, and has no standing any more
		if o.State == book.OrderPaid && o.PaymentID != "" {
			payments = append(payments, o.PaymentID)
		}
	}
	return subscriptions, payments, nil
}

// maxCustomerPages is how many pages of a customer's payments are looked at. A customer
// with more is not this account's alone, as far as anybody can tell.
const maxCustomerPages = 3

// checkCustomer refuses a customer who has bought for another account, or at another site.
func (s *Shop) checkCustomer(ctx context.Context, account, customer string) error {
	for page := range maxCustomerPages {
		sold, err := s.provider.CustomerSubscriptions(ctx, customer, page)
		if err != nil {
			return err
		}
		for _, item := range sold.Items {
			if item.Status == entitlement.SubscriptionFailed || item.Status == entitlement.SubscriptionPending {
				continue
			}
			if err := s.checkOwner(ctx, account, entitlement.Ref{Kind: entitlement.KindSubscription, ID: item.ID}, item.Clues); err != nil {
				return err
			}
		}
		if sold.Odd > 0 {
			return ErrSharedCustomer
		}
		if sold.Last {
			return s.checkPayer(ctx, account, customer)
		}
	}
	return ErrSharedCustomer
}

func (s *Shop) checkPayer(ctx context.Context, account, customer string) error {
	for page := range maxCustomerPages {
		paid, err := s.provider.CustomerPayments(ctx, customer, page)
		if err != nil {
			return err
		}
		for _, p := range paid.Items {
			if p.Status != entitlement.PaymentSucceeded {
				continue
			}
			if err := s.checkOwner(ctx, account, entitlement.Ref{Kind: entitlement.KindPayment, ID: p.ID}, p.Clues); err != nil {
				return err
			}
		}
		if paid.Odd > 0 {
			return ErrSharedCustomer
		}
		if paid.Last {
			return nil
		}
	}
	return ErrSharedCustomer
}

// checkOwner refuses an object that is not the account's: neither bound to it, nor, before
// its webhook has come, ordered by it.
func (s *Shop) checkOwner(ctx context.Context, account string, ref entitlement.Ref, clues dodo.Clues) error {
	owner, err := s.store.Owner(ctx, ref)
	if err != nil {
		return err
	}
	if owner == "" {
		claim, err := s.site.claim(ctx, clues.Metadata)
		if err != nil {
			return err
		}
		if claim.ours {
			owner = claim.Account
		}
	}
	if owner == "" && clues.SubscriptionID != "" && ref.Kind == entitlement.KindPayment {
		if owner, err = s.store.Owner(ctx, entitlement.Ref{Kind: entitlement.KindSubscription, ID: clues.SubscriptionID}); err != nil {
			return err
		}
	}
	if owner != account {
		return ErrSharedCustomer
	}
	return nil
}
