package dodosim

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Behavior is what of Dodo depends on a merchant's settings, or on which of its sources
// one believes. The zero value is a new account at Dodo, and the reading that
// docs/simulator.md has under "What it assumes". Catalogs, flags and the Caddyfile use
// the names in the tags.
type Behavior struct {
	// GracePeriodDays is how long a subscription whose renewal failed stays past_due, with
	// access, before it goes on hold: 1 to 30 days. 0, the default as at Dodo: on hold at
	// once. With it, the simulator behaves as a server newer than the published API
	// description, which knows no past_due (FACTS 2.7).
	GracePeriodDays int `json:"grace_period_days,omitempty"`

	// CancelAfterGrace cancels a subscription at the end of its grace instead of putting
	// it on hold.
	CancelAfterGrace bool `json:"cancel_after_grace,omitempty"`

	// EarlyCancelled announces a scheduled cancellation the other way of the two that
	// Dodo's sources describe (FACTS 3.5, UNCONFIRMED): subscription.cancelled at once,
	// with status cancelled though the paid period goes on, and subscription.expired at its
	// end. Default: it stays active until subscription.cancelled at the end.
	EarlyCancelled bool `json:"early_cancelled,omitempty"`

	// RenewedAtTrialStart sends subscription.renewed when a trial begins, too. Whether
	// Dodo does is UNCONFIRMED (FACTS 3.4).
	RenewedAtTrialStart bool `json:"renewed_at_trial_start,omitempty"`

	// ShortDisputes sends dispute webhooks in the short form that the API description has
	// for them, without customer, brand, provider and reason. Default: the long form of
	// every published example (FACTS 3.8).
	ShortDisputes bool `json:"short_disputes,omitempty"`

	// Quirks sends webhooks in which credits are numbers instead of text, and grants are
	// spelt as in the published examples, as real webhooks have been seen to break their
	// schema (FACTS 3.9). Default: what the API description says.
	Quirks bool `json:"quirks,omitempty"`

	// OnePaymentID gives all tries to pay a session one payment, which may have failed
	// before it succeeds. Whether Dodo does is UNCONFIRMED (FACTS 2.1). Default: each try has
	// one of its own.
	OnePaymentID bool `json:"one_payment_id,omitempty"`

	// BareRenewals leaves the payments of renewals without the subscription's metadata, which
	// Dodo's documentation does not promise (FACTS 4, UNCONFIRMED). Default: they have it.
	BareRenewals bool `json:"bare_renewals,omitempty"`

	// MergeMetadata merges what PATCH /subscriptions/{id} has as metadata into what was there
	// (FACTS 2.7, UNCONFIRMED). Default: it replaces that.
	MergeMetadata bool `json:"merge_metadata,omitempty"`

	// ProratedKeepsCycle leaves the billing dates where they are when a plan is changed with
	// prorated_immediately, and gives no credits for it (FACTS 2.7, UNCONFIRMED). Default: a
	// new cycle begins.
	ProratedKeepsCycle bool `json:"prorated_keeps_cycle,omitempty"`

	// SoonestExpiryFirst uses the credits first that expire first (FACTS 2.13, UNCONFIRMED).
	// Default: those of the oldest grant.
	SoonestExpiryFirst bool `json:"soonest_expiry_first,omitempty"`

	// MissingIs500 answers 500 for a payment, subscription, customer, product or refund that
	// does not exist: the API description has no 404 for them (FACTS 1.3, UNCONFIRMED). Default:
	// 404.
	MissingIs500 bool `json:"missing_is_500,omitempty"`

	// SharedWebhookIDs sends an event to all endpoints under one webhook-id. Default: each
	// endpoint sees another. Which Dodo does is UNCONFIRMED (FACTS 3.1).
	SharedWebhookIDs bool `json:"shared_webhook_ids,omitempty"`

	// RateLimits refuses calls beyond Dodo's limits (FACTS 1.4): 40 a second and 240 a
	// minute with the key, 20 and 100 for each address without, by Clock. A call that fell
	// to a [Fault] does not count. Default: no limit.
	RateLimits bool `json:"rate_limits,omitempty"`

	// OneSubscription refuses a checkout for a subscription to a customer who is named by id
	// and has one (FACTS 2.1). Default, as at Dodo: he gets a second one.
	OneSubscription bool `json:"one_subscription,omitempty"`

	// SubscriptionQuantities sells more than one piece of a subscription: in checkouts, by POST
	// /subscriptions and by a plan change. Default: INVALID_QUANTITY, as Dodo is reported to
	// answer, though its API description has a quantity there (FACTS 2.4, UNCONFIRMED).
	SubscriptionQuantities bool `json:"subscription_quantities,omitempty"`

	// SlowRenewals lets every renewal and charge on demand be processing for two days, whatever
	// the card, as those by Indian cards and UPI are (FACTS 3.4). [Simulator.SlowCard] does so
	// for one subscription.
	SlowRenewals bool `json:"slow_renewals,omitempty"`

	// DatesMoveFirst begins the next billing period as soon as a renewal's charge is
	// processing, so that next_billing_date lies ahead before any money has come; if the charge
	// fails, the dates move back. Which Dodo does is UNCONFIRMED. Default: the dates move when
	// the charge succeeds.
	DatesMoveFirst bool `json:"dates_move_first,omitempty"`

	// SendProcessing sends payment.processing before each payment's final event. How
	// often Dodo does that for cards is UNCONFIRMED (FACTS 3.3).
	SendProcessing bool `json:"send_processing,omitempty"`

	// RetryDays charges a renewal that failed again, up to 8 times in so many days, unless
	// the card is declined for good: 1 to 30 days. 0, the default as at Dodo: never.
	RetryDays int `json:"retry_days,omitempty"`

	// Dunning recovers subscriptions that go on hold or that their customers cancel, as far
	// as dunning.started and dunning.recovered: nobody gets a mail. Off by default, as at Dodo.
	Dunning bool `json:"dunning,omitempty"`

	// AbandonedCheckouts finds, an hour later, checkouts with a payment that nobody made or
	// that was declined, and sees whether they are paid after all. Default: off.
	AbandonedCheckouts bool `json:"abandoned_checkouts,omitempty"`

	// PayoutEvery pays the merchant what is owed in this rhythm. Default: never, unless
	// [Simulator.Payout] is called.
	PayoutEvery Period `json:"payout_every,omitzero"`

	// ManualEntries makes a credit ledger entry by the API a manual adjustment, with
	// credit.manual_adjustment; Dodo's documentation has both (FACTS 3.3, UNCONFIRMED).
	// Default: credit.added and credit.deducted.
	ManualEntries bool `json:"manual_entries,omitempty"`

	// RefundsTake is how long a refund is pending before it succeeds, by the simulated time:
	// see [Simulator.Tick]. How long Dodo's are, and whether its answer already says
	// succeeded, is UNCONFIRMED. Default: not at all.
	RefundsTake Duration `json:"refunds_take,omitzero"`
}

var (
	behaviorName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	// plainValue can be put into JSON as it is, everything else in quotes.
	plainValue = regexp.MustCompile(`^(true|false|0|-?[1-9][0-9]{0,8})$`)
)

// Set changes one of the settings by its name in JSON: to a whole number, a length of
// time, or to true, which is what no value at all means, or false.
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
