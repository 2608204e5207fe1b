package dodosim

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Behavior selects what depends at Dodo on a merchant's settings, or on which of Dodo's
// contradicting sources is right. The zero value is a new account at Dodo, with the choices
// that docs/simulator.md lists under "What it assumes". Catalogs, flags and the Caddyfile use
// the names in the tags.
type Behavior struct {
	// GracePeriodDays is how long a subscription whose renewal failed stays past_due, with
	// access, before it goes on hold: 1 to 30 days. 0, the default as at Dodo: on hold
	// immediately. With a grace period the simulator behaves like a server that is newer than
	// the published API description, which has no past_due (FACTS 2.7).
	GracePeriodDays int `json:"grace_period_days,omitempty"`

	// CancelAfterGrace cancels a subscription at the end of its grace instead of putting
	// it on hold.
	CancelAfterGrace bool `json:"cancel_after_grace,omitempty"`

	// EarlyCancelled selects the other of the two ways in which Dodo's sources describe a
	// scheduled cancellation (FACTS 3.5, UNCONFIRMED): subscription.cancelled immediately,
	// with status cancelled although the paid period continues, and subscription.expired at
	// its end. Default: it stays active until subscription.cancelled at the end.
	EarlyCancelled bool `json:"early_cancelled,omitempty"`

	// RenewedAtTrialStart also sends subscription.renewed when a trial begins. Whether Dodo
	// does is UNCONFIRMED (FACTS 3.4).
	RenewedAtTrialStart bool `json:"renewed_at_trial_start,omitempty"`

	// ShortDisputes sends dispute webhooks in the short form that the API description has
	// for them, without customer, brand, provider and reason. Default: the long form of
	// every published example (FACTS 3.8).
	ShortDisputes bool `json:"short_disputes,omitempty"`

	// Quirks sends webhooks in which credits are numbers instead of text, and grants are spelt
	// as in the published examples: real webhooks were seen to break their schema so (FACTS
	// 3.9). Default: as in the API description.
	Quirks bool `json:"quirks,omitempty"`

	// OnePaymentID gives all attempts to pay a session the same payment, which may fail before
	// it succeeds. Whether Dodo does is UNCONFIRMED (FACTS 2.1). Default: each attempt is a
	// payment of its own.
	OnePaymentID bool `json:"one_payment_id,omitempty"`

	// BareRenewals omits the subscription's metadata from the payments of renewals, because
	// Dodo's documentation does not promise it (FACTS 4, UNCONFIRMED). Default: they have it.
	BareRenewals bool `json:"bare_renewals,omitempty"`

	// NoCurrency leaves the currencies out of payments and refunds, in webhooks and in
	// answers, which breaks the API description. Default: they are there.
	NoCurrency bool `json:"no_currency,omitempty"`

	// NoSessionIDs leaves out of payments which checkout session they were made in, which the
	// API description allows (FACTS 2.5). Default: they say it.
	NoSessionIDs bool `json:"no_session_ids,omitempty"`

	// MergeMetadata merges the metadata of PATCH /subscriptions/{id} into the existing one
	// (FACTS 2.7, UNCONFIRMED). Default: it replaces it.
	MergeMetadata bool `json:"merge_metadata,omitempty"`

	// ProratedKeepsCycle keeps the billing dates if a plan is changed with
	// prorated_immediately, and gives no credits for the change (FACTS 2.7, UNCONFIRMED).
	// Default: a new cycle begins.
	ProratedKeepsCycle bool `json:"prorated_keeps_cycle,omitempty"`

	// SoonestExpiryFirst spends the credits that expire first (FACTS 2.13, UNCONFIRMED).
	// Default: those of the oldest grant.
	SoonestExpiryFirst bool `json:"soonest_expiry_first,omitempty"`

	// MissingIs500 answers 500 for a payment, subscription, customer, product or refund that
	// does not exist: the API description has no 404 for them (FACTS 1.3, UNCONFIRMED). Default:
	// 404.
	MissingIs500 bool `json:"missing_is_500,omitempty"`

	// SharedWebhookIDs sends an event to all endpoints with the same webhook-id. Default: each
	// endpoint gets another. What Dodo does is UNCONFIRMED (FACTS 3.1).
	SharedWebhookIDs bool `json:"shared_webhook_ids,omitempty"`

	// RateLimits refuses calls beyond Dodo's limits (FACTS 1.4): 40 a second and 240 a minute
	// with the key, 20 and 100 for each address without, by Clock. A call that a [Fault]
	// answers does not count. Default: no limit.
	RateLimits bool `json:"rate_limits,omitempty"`

	// OneSubscription refuses a checkout for a subscription if its customer is named by id and
	// already has one (FACTS 2.1). Default, as at Dodo: the customer gets a second one.
	OneSubscription bool `json:"one_subscription,omitempty"`

	// SubscriptionQuantities allows several pieces of a subscription: in checkouts, by POST
	// /subscriptions and by a plan change. Default: INVALID_QUANTITY, as Dodo is reported to
	// answer, although its API description has a quantity there (FACTS 2.4, UNCONFIRMED).
	SubscriptionQuantities bool `json:"subscription_quantities,omitempty"`

	// SlowRenewals makes every renewal and on-demand charge process for two days, with any
	// card, as Indian cards and UPI do (FACTS 3.4). [Simulator.SlowCard] does so for one
	// subscription.
	SlowRenewals bool `json:"slow_renewals,omitempty"`

	// DatesMoveFirst starts the next billing period as soon as a renewal's charge is
	// processing, so that next_billing_date moves before the money arrives; if the charge
	// fails, the dates move back. What Dodo does is UNCONFIRMED. Default: the dates move when
	// the charge succeeds.
	DatesMoveFirst bool `json:"dates_move_first,omitempty"`

	// SendProcessing sends payment.processing before each payment's final event. How
	// often Dodo does that for cards is UNCONFIRMED (FACTS 3.3).
	SendProcessing bool `json:"send_processing,omitempty"`

	// RetryDays retries the charge of a failed renewal up to 8 times within this many days,
	// unless the card is declined permanently: 1 to 30 days. 0, the default as at Dodo: never.
	RetryDays int `json:"retry_days,omitempty"`

	// Dunning recovers subscriptions that go on hold or that their customers cancel. It sends
	// dunning.started and dunning.recovered, but no mails. Off by default, as at Dodo.
	Dunning bool `json:"dunning,omitempty"`

	// AbandonedCheckouts detects, an hour later, checkouts with an unpaid or declined payment,
	// and whether they are paid after all. Default: off.
	AbandonedCheckouts bool `json:"abandoned_checkouts,omitempty"`

	// PayoutEvery pays out the merchant's balance at this interval. Default: only when
	// [Simulator.Payout] is called.
	PayoutEvery Period `json:"payout_every,omitzero"`

	// ManualEntries treats a credit ledger entry made by the API as a manual adjustment, with
	// credit.manual_adjustment; Dodo's documentation has both (FACTS 3.3, UNCONFIRMED).
	// Default: credit.added and credit.deducted.
	ManualEntries bool `json:"manual_entries,omitempty"`

	// RefundsTake is how long a refund is pending before it succeeds, in simulated time: see
	// [Simulator.Tick]. How long Dodo's are pending, and whether its answer already says
	// succeeded, is UNCONFIRMED. Default: 0.
	RefundsTake Duration `json:"refunds_take,omitzero"`
}

var (
	behaviorName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	// plainValue matches values that are valid JSON; others are put in quotes.
	plainValue = regexp.MustCompile(`^(true|false|0|-?[1-9][0-9]{0,8})$`)
)

// Set changes one setting by its JSON name: to a whole number, a length of time, true or
// false. An empty value means true.
func (b *Behavior) Set(name, value string) error {
	value = cmp.Or(value, "true")
	changed := *b
	if !behaviorName.MatchString(name) || changed.decode(name, "null") != nil {
		return fmt.Errorf("there is no option %s", name)
	}
	if !plainValue.MatchString(value) {
		quoted, err := json.Marshal(value)
		if err != nil {
			return err
		}
		value = string(quoted)
	}
	err := changed.decode(name, value)
	if mistyped, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("%s does not take a %s", name, mistyped.Value)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	*b = changed
	return nil
}

func (b *Behavior) decode(name, value string) error {
	d := json.NewDecoder(strings.NewReader(fmt.Sprintf(`{%q:%s}`, name, value)))
	d.DisallowUnknownFields()
	return d.Decode(b)
}

func (b Behavior) check() error {
	switch {
	case b.GracePeriodDays < 0 || b.GracePeriodDays > maxGraceDays:
		return fmt.Errorf("grace period: %d is not between 0 and %d days", b.GracePeriodDays, maxGraceDays)
	case b.CancelAfterGrace && b.GracePeriodDays == 0:
		return errors.New("grace period: there is none to cancel after")
	case b.RetryDays < 0 || b.RetryDays > maxRetryDays:
		return fmt.Errorf("retries: %d is not between 0 and %d days", b.RetryDays, maxRetryDays)
	case b.RefundsTake < 0:
		return errors.New("duration of refunds: must not be negative")
	case b.PayoutEvery != (Period{}) && !b.PayoutEvery.valid():
		return fmt.Errorf("payouts: every 1 to %d days, weeks, months or years", maxPeriod)
	}
	return nil
}
