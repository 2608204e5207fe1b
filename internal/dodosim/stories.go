package dodosim

import (
	"fmt"
	"slices"
)

// stories leads to each event that Dodo knows. TestTriggerEverything compares it with
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

// What a story adds to a catalog that has nothing that fits.
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

// buyable is what somebody pays for at once.
func buyable(p Product) bool { return !p.Archived && p.Price > 0 && p.TrialDays == 0 }

// paid is a purchase.
func (c *scene) paid(fits need) (*payment, *Error) {
	session, refusal := c.checkout(fits, stockOnce)
	if refusal != nil {
		return nil, refusal
	}
	return c.pays(session, CardVisa)
}

// payment is the successful one that the story goes on with: the one that was asked for,
// the account's latest that something is left of, or a new one.
func (c *scene) payment() (*payment, *Error) {
	if c.wish.Payment != "" {
		return c.findPayment(c.wish.Payment)
	}
	if c.wish.Session == "" && c.wish.Product == "" {
		for _, p := range slices.Backward(c.paymentOrder) {
			if c.theirs(p.Metadata) && p.Status == Succeeded && p.refunded < p.TotalAmount && !p.disputed() {
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

// process is a purchase by a method that is slow to say how it went.
func (c *scene) process() *Error {
	defer during(&c.options.SendProcessing)()
	_, refusal := c.paid(buyable)
	return refusal
}

// giveUp is a payment that the merchant has made and nobody pays.
func (c *scene) giveUp() *Error {
	session, refusal := c.checkout(sold, stockOnce)
	if refusal != nil {
		return refusal
	}
	p := session.open
	if p == nil {
		p = c.await(session)
	}
	if !c.cancelPayment(p, c.now) {
		return refuse(codeInvalidParameters, "payment %s is %s", p.PaymentID, p.Status)
	}
	return nil
}

// refunded ends a refund of the amount that was asked for.
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

// decided moves a dispute: the one that was asked for, the account's latest that is open,
// or a new one.
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

// loseDispute decides against the merchant, before there is a dispute if that is wished.
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
		named := c.wish.Payment == d.of.PaymentID || c.wish.Payment == "" && c.theirs(d.of.Metadata)
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
	if !c.abandonCheckout(session, p, p.happened(), c.now) {
		return nil, refuse(codeInvalidParameters, "session %s was abandoned before", session.id)
	}
	return session, nil
}

// comeBack pays it after all.
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

// payoutByItsOldName sends what payout.created was called before (FACTS 3.3).
func (c *scene) payoutByItsOldName() *Error {
	made, refusal := c.payout()
	if refusal == nil {
		c.emit("payout.not_initiated", made, c.now)
	}
	return refusal
}

// impossible says why a story cannot go on.
func impossible(format string, args ...any) *Error {
	return refuse(codeInvalidParameters, "%s", fmt.Sprintf(format, args...))
}
