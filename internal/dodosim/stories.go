package dodosim

import (
	"fmt"
	"slices"
)

// stories has the story of each event that Dodo sends. TestTriggerEverything compares it with
// eventTypes.
var stories map[string]story

func init() {
	stories = map[string]story{
		"payment.succeeded":  func(c *scene) *Error { _, refusal := c.paid(buyable); return refusal },
		"payment.failed":     (*scene).decline,
		"payment.processing": (*scene).process,
		"payment.cancelled":  (*scene).giveUp,

		"refund.succeeded": func(c *scene) *Error { return c.refunded(refundSucceeded) },
		"refund.failed":    func(c *scene) *Error { return c.refunded(refundFailed) },

		"dispute.opened":     func(c *scene) *Error { _, refusal := c.disputed(); return refusal },
		"dispute.challenged": func(c *scene) *Error { return c.decided(DisputeChallenged) },
		"dispute.won":        func(c *scene) *Error { return c.decided(DisputeWon) },
		"dispute.lost":       (*scene).loseDispute,
		"dispute.accepted":   func(c *scene) *Error { return c.decided(DisputeAccepted) },
		"dispute.cancelled":  func(c *scene) *Error { return c.decided(DisputeCancelled) },
		"dispute.expired":    func(c *scene) *Error { return c.decided(DisputeExpired) },

		"abandoned_checkout.detected":  func(c *scene) *Error { _, refusal := c.abandoned(); return refusal },
		"abandoned_checkout.recovered": (*scene).comeBack,

		"subscription.active":                (*scene).subscribe,
		"subscription.renewed":               (*scene).renewed,
		"subscription.updated":               (*scene).updated,
		"subscription.on_hold":               (*scene).hold,
		"subscription.past_due":              (*scene).fallBehind,
		"subscription.paused":                (*scene).pause,
		"subscription.unpaused":              (*scene).unpause,
		"subscription.plan_changed":          (*scene).changePlan,
		"subscription.update_payment_method": (*scene).changeCard,
		"subscription.cancelled":             (*scene).cancelSubscription,
		"subscription.failed":                (*scene).failToSubscribe,
		"subscription.expired":               (*scene).expire,
		"dunning.started":                    (*scene).hold,
		"dunning.recovered":                  (*scene).winBack,

		"license_key.created":         (*scene).license,
		"entitlement_grant.created":   func(c *scene) *Error { return c.granted(grants, stockFeature) },
		"entitlement_grant.delivered": func(c *scene) *Error { return c.granted(grantsAtOnce, stockFeature) },
		"entitlement_grant.failed":    (*scene).failGrant,
		"entitlement_grant.revoked":   (*scene).revokeGranted,

		"credit.added":              func(c *scene) *Error { _, refusal := c.credited(); return refusal },
		"credit.deducted":           (*scene).deduct,
		"credit.expired":            (*scene).expireCredit,
		"credit.manual_adjustment":  (*scene).adjust,
		"credit.rolled_over":        (*scene).rollOver,
		"credit.rollover_forfeited": (*scene).rollOver,
		"credit.overage_charged":    (*scene).overdraw,
		"credit.overage_reset":      (*scene).overdraw,
		"credit.balance_low":        (*scene).runLow,

		"payout.created":       func(c *scene) *Error { _, refusal := c.payout(); return refusal },
		"payout.not_initiated": (*scene).payoutByItsOldName,
		"payout.in_progress":   func(c *scene) *Error { return c.movedPayout(PayoutInProgress) },
		"payout.on_hold":       func(c *scene) *Error { return c.movedPayout(PayoutOnHold) },
		"payout.failed":        func(c *scene) *Error { return c.movedPayout(PayoutFailed) },
		"payout.success":       func(c *scene) *Error { return c.movedPayout(PayoutSucceeded) },
	}
}

// The products that a story adds to a catalog without a suitable one.
var (
	stockOnce    = Product{ID: "pdt_sim_once", Name: "Something", Price: 500, Currency: "USD"}
	stockMonthly = Product{ID: "pdt_sim_monthly", Name: "Something, monthly", Price: 900, Currency: "USD", Every: Period{1, Month}}
	stockYearly  = Product{ID: "pdt_sim_yearly", Name: "Something, yearly", Price: 9000, Currency: "USD", Every: Period{1, Year}}
	stockFeature = Product{ID: "pdt_sim_feature", Name: "A feature", Price: 500, Currency: "USD", Features: []string{"something"}}
	stockAccess  = Product{
		ID: "pdt_sim_access", Name: "Access", Price: 500, Currency: "USD", Integrations: []Integration{{Discord, "somewhere"}},
	}
	stockLicense = Product{ID: "pdt_sim_license", Name: "A licence", Price: 500, Currency: "USD", LicenseKeys: true}
)

// buyable reports whether a product is paid for immediately.
func buyable(p Product) bool { return !p.Archived && p.Price > 0 && p.TrialDays == 0 }

// paid is a purchase.
func (c *scene) paid(fits need) (*payment, *Error) {
	session, refusal := c.checkout(fits, stockOnce)
	if refusal != nil {
		return nil, refusal
	}
	return c.pays(session, CardVisa)
}

// payment is the successful payment for the story: the requested one, the account's latest
// that is not fully refunded, or a new one.
func (c *scene) payment() (*payment, *Error) {
	if c.wish.Payment != "" {
		return c.findPayment(c.wish.Payment)
	}
	if c.wish.Session == "" && c.wish.Product == "" {
		for _, p := range slices.Backward(c.paymentOrder) {
			if c.isAccounts(p.Metadata) && p.Status == Succeeded && p.refunded < p.TotalAmount && !p.disputed() {
				return p, nil
			}
		}
	}
	return c.paid(buyable)
}

// disputed reports whether a dispute is open, or was decided against the merchant.
func (p *payment) disputed() bool {
	return slices.ContainsFunc(p.Disputes, func(d disputeItem) bool { return d.Status.held() })
}

func (c *scene) decline() *Error {
	session, refusal := c.checkout(buyable, stockOnce)
	if refusal == nil {
		_, refusal = c.pays(session, CardDeclined)
	}
	return refusal
}

// process is a purchase with a slow payment method.
func (c *scene) process() *Error {
	defer temporarily(&c.options.SendProcessing)()
	_, refusal := c.paid(buyable)
	return refusal
}

// giveUp is a payment that the merchant created and nobody makes.
func (c *scene) giveUp() *Error {
	session, refusal := c.checkout(sold, stockOnce)
	if refusal != nil {
		return refusal
	}
	p := session.presented
	if p == nil {
		p = c.await(session)
	}
	if !c.cancelPayment(p, c.now) {
		return refuse(codeInvalidParameters, "payment %s is %s", p.PaymentID, p.Status)
	}
	return nil
}

// refunded ends a refund of the requested amount.
func (c *scene) refunded(status string) *Error {
	p, refusal := c.payment()
	if refusal != nil {
		return refusal
	}
	p, shares, refusal := c.sharesFor(p.PaymentID, c.wish.Amount)
	if refusal != nil {
		return refusal
	}
	made := c.newRefund(p, shares, nil, metadata{})
	c.settleRefund(made, status, c.now)
	return nil
}

// disputed opens a dispute.
func (c *scene) disputed() (*dispute, *Error) {
	p, refusal := c.payment()
	if refusal != nil {
		return nil, refusal
	}
	id, err := c.disputePayment(p, DisputeOpened, false)
	if err != nil {
		return nil, impossible("%v", err)
	}
	return c.disputes[id], nil
}

// decided moves a dispute: the requested one, the account's latest open one, or a new one.
func (c *scene) decided(outcome DisputeStatus) *Error {
	d, refusal := c.disputeFor(outcome)
	if refusal != nil {
		return refusal
	}
	if err := c.decideDispute(d, outcome); err != nil {
		return refuse(codeInvalidParameters, "%v", err)
	}
	return nil
}

// loseDispute decides against the merchant, or before the dispute is opened if RDR is
// requested.
func (c *scene) loseDispute() *Error {
	if !c.wish.RDR {
		return c.decided(DisputeLost)
	}
	p, refusal := c.payment()
	if refusal != nil {
		return refusal
	}
	if _, err := c.disputePayment(p, DisputeLost, true); err != nil {
		return impossible("%v", err)
	}
	return nil
}

func (c *scene) disputeFor(outcome DisputeStatus) (*dispute, *Error) {
	if c.wish.Dispute != "" {
		d, ok := c.disputes[c.wish.Dispute]
		if !ok {
			return nil, refuse(codeNotFound, "there is no dispute %s", c.wish.Dispute)
		}
		return d, nil
	}
	for _, d := range slices.Backward(c.disputeOrder) {
		named := c.wish.Payment == d.of.PaymentID || c.wish.Payment == "" && c.isAccounts(d.of.Metadata)
		if named && d.item().Status.open() && d.item().Status != outcome {
			return d, nil
		}
	}
	return c.disputed()
}

// abandoned is a checkout with a declined card, an hour later.
func (c *scene) abandoned() (*session, *Error) {
	session, refusal := c.checkout(buyable, stockOnce)
	if refusal != nil {
		return nil, refusal
	}
	p, refusal := c.pays(session, CardDeclined)
	if refusal != nil {
		return nil, refusal
	}
	if !c.abandonCheckout(session, p, p.outcomeTime(), c.now) {
		return nil, refuse(codeInvalidParameters, "session %s was abandoned before", session.id)
	}
	return session, nil
}

// comeBack pays the abandoned checkout.
func (c *scene) comeBack() *Error {
	session, refusal := c.abandoned()
	if refusal == nil {
		_, refusal = c.pays(session, CardVisa)
	}
	return refusal
}

// payout pays the merchant what a purchase has brought.
func (c *scene) payout() (*payout, *Error) {
	if _, refusal := c.paid(buyable); refusal != nil {
		return nil, refusal
	}
	currency := c.paymentOrder[len(c.paymentOrder)-1].SettlementCurrency
	made := c.payOut(currency, c.now)
	if made == nil {
		return nil, refuse(codeInvalidParameters, "there is no %s to pay out", currency)
	}
	return made, nil
}

func (c *scene) movedPayout(status PayoutStatus) *Error {
	made, refusal := c.payout()
	if refusal == nil {
		c.movePayout(made, status, c.now)
	}
	return refusal
}

// payoutByItsOldName sends the former name of payout.created (FACTS 3.3).
func (c *scene) payoutByItsOldName() *Error {
	made, refusal := c.payout()
	if refusal == nil {
		c.emit("payout.not_initiated", made, c.now)
	}
	return refusal
}

// impossible is the error of a story that cannot continue.
func impossible(format string, args ...any) *Error {
	return refuse(codeInvalidParameters, "%s", fmt.Sprintf(format, args...))
}
