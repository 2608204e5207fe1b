package dodo

import (
	"maps"
	"slices"
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
)

// Event is the content of a webhook's body. Its id is not in the body but in the delivery, see
// [Delivery].
type Event struct {
	// Type is the event type, such as "payment.succeeded". It is only a hint: the body has the
	// object's state at delivery time (FACTS 3.1), and the body decides.
	Type       string
	Timestamp  time.Time // when it happened, UTC; zero if Dodo did not say
	BusinessID string    // empty if Dodo did not say
	// Fact is nil if events of this type have no effect.
	Fact *Fact
}

// Fact is what one webhook or one read says about one object.
type Fact struct {
	entitlement.Fact       // the object, and as much as was said about it
	Clues            Clues // lead to the account
	// Business is Dodo's id of the merchant that owns the object. It is empty if Dodo did not
	// say, as on a read of a subscription.
	Business string
}

// Clues lead from a fact to an account. Everything in them was typed by a customer or passed
// through Dodo; only metadata that [Prover.Claim] verifies proves anything. Empty means that
// Dodo did not say.
type Clues struct {
	// Metadata holds at most 50 pairs. Numbers and booleans are rendered as text.
	Metadata       map[string]string
	SessionID      string
	CustomerID     string
	CustomerEmail  string // as typed at checkout; not verified by anybody
	PaymentID      string // the payment that the object was granted for
	SubscriptionID string
}

// KnownType reports whether t is one of the event types of FACTS 3.3. The set is closed, so it
// can label metrics. Only events of these types have an effect: the meaning of another type is
// unknown, even if its body looks familiar. Such an event is stored, counted and acknowledged.
func KnownType(t string) bool { return knownTypes[t] }

// KnownTypes are all of them, sorted.
func KnownTypes() []string { return slices.Sorted(maps.Keys(knownTypes)) }

var knownTypes = map[string]bool{
	"payment.succeeded": true, "payment.failed": true, "payment.processing": true, "payment.cancelled": true,

	"refund.succeeded": true, "refund.failed": true,

	"dispute.opened": true, "dispute.challenged": true, "dispute.accepted": true, "dispute.cancelled": true,
	"dispute.expired": true, "dispute.won": true, "dispute.lost": true,

	"subscription.active": true, "subscription.renewed": true, "subscription.updated": true,
	"subscription.plan_changed": true, "subscription.update_payment_method": true,
	"subscription.on_hold": true, "subscription.past_due": true, "subscription.paused": true,
	"subscription.unpaused": true, "subscription.cancelled": true, "subscription.failed": true,
	"subscription.expired": true,

	"license_key.created": true,

	"credit.added": true, "credit.deducted": true, "credit.expired": true, "credit.rolled_over": true,
	"credit.rollover_forfeited": true, "credit.overage_charged": true, "credit.overage_reset": true,
	"credit.manual_adjustment": true, "credit.balance_low": true,

	"abandoned_checkout.detected": true, "abandoned_checkout.recovered": true,

	"dunning.started": true, "dunning.recovered": true,

	"entitlement_grant.created": true, "entitlement_grant.delivered": true, "entitlement_grant.failed": true,
	"entitlement_grant.revoked": true,

	"payout.created": true, "payout.in_progress": true, "payout.on_hold": true, "payout.failed": true,
	"payout.success": true,
}
