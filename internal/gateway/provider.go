package gateway

import (
	"context"
	"time"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/gateway/cache"
)

// Provider is what the use cases ask of Dodo. Its errors are the sentinels of
// package dodo. Every method returns within its own deadline.
type Provider interface {
	Sales
	Books
	Features
	Management
}

// Sales is what a purchase takes.
type Sales interface {
	// CreateCheckout makes a checkout session. Repeating it makes another one,
	// which is harmless until both are paid.
	CreateCheckout(ctx context.Context, c *dodo.Checkout) (dodo.Session, error)
	// Session reads how far a checkout session has come.
	Session(ctx context.Context, id string) (dodo.SessionState, error)
	// Products reads the products that are for sale, with their prices.
	Products(ctx context.Context) ([]dodo.Product, error)
}

// Books is what Dodo knows of the past. Lists come in pages from 0.
type Books interface {
	// Payment reads a payment as a fact.
	Payment(ctx context.Context, id string) (dodo.Fact, error)
	// Subscription reads a subscription as a fact.
	Subscription(ctx context.Context, id string) (dodo.Fact, error)
	// Payments lists the payments made in a window.
	Payments(ctx context.Context, made dodo.Window, page int) (dodo.Page[dodo.PaymentSummary], error)
	// Charges lists the payments of a subscription made since: one page, the newest first.
	Charges(ctx context.Context, subscription string, since time.Time) (dodo.Page[dodo.PaymentSummary], error)
	// Refunds lists the refunds made in a window.
	Refunds(ctx context.Context, made dodo.Window, page int) (dodo.Page[dodo.PaymentChange], error)
	// Disputes lists the disputes opened in a window.
	Disputes(ctx context.Context, opened dodo.Window, page int) (dodo.Page[dodo.PaymentChange], error)
	// Subscriptions lists the subscriptions made in a window.
	Subscriptions(ctx context.Context, made dodo.Window, page int) (dodo.Page[dodo.SubscriptionSummary], error)
}

// Management is what customers do with their subscriptions.
type Management interface {
	// Holding reads a subscription with its add-ons.
	Holding(ctx context.Context, id string) (dodo.Holding, error)
	// PortalLink makes a link to the portal of a customer, which leads back to returnURL.
	PortalLink(ctx context.Context, customerID, returnURL string) (string, error)
	// CustomerPayments and CustomerSubscriptions list what a customer bought.
	CustomerPayments(ctx context.Context, customerID string, page int) (dodo.Page[dodo.PaymentSummary], error)
	CustomerSubscriptions(ctx context.Context, customerID string, page int) (dodo.Page[dodo.SubscriptionSummary], error)
	// SetCancelAtEnd lets a subscription end with its period, or go on. It may be repeated.
	SetCancelAtEnd(ctx context.Context, id string, cancel bool) error
	// ChangePlan charges for a change and makes it. It is sent once; when it fails by
	// [dodo.Unknown] it may have been made, and must not be repeated unseen.
	ChangePlan(ctx context.Context, id string, change dodo.PlanChange) error
	// PreviewChange says what a change would charge.
	PreviewChange(ctx context.Context, id string, change dodo.PlanChange) (dodo.PlanPreview, error)
}

// Features is what Dodo itself has unlocked. Lists come as in [Books].
type Features interface {
	// FeatureFlags lists the ids of all feature flags.
	FeatureFlags(ctx context.Context, page int) (dodo.Page[string], error)
	// FeatureGrants lists all grants of a feature flag.
	FeatureGrants(ctx context.Context, flag string, page int) (dodo.Page[dodo.FeatureGrant], error)
}

// Observer counts what happened. Its methods must be cheap and not block.
type Observer interface {
	// EventSettled: an event of the given type was handled.
	EventSettled(eventType string, outcome Outcome)
	// EventRefused: a delivery was not acknowledged, because it was not authentic, not
	// JSON, not complete, or could not be stored.
	EventRefused(err error)
	// CheckoutEnded: a checkout was created (nil) or not.
	CheckoutEnded(err error)
	// EntitlementRead: somebody asked what an account may do.
	EntitlementRead(result cache.Result)
	// ChargesDeferred: so many more requests have passed without the store and are not charged yet, or
	// fewer.
	ChargesDeferred(more int)
	// ChangesHeard: from now on all changes of accounts are heard, or not.
	ChangesHeard(all bool)
}
