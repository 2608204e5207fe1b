package dodosim

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// OverageBehavior is what happens to overage when a billing cycle ends (FACTS 2.13).
type OverageBehavior string

// The behaviours of overage.
const (
	ForgiveAtReset        OverageBehavior = "forgive_at_reset"         // not billed, wiped
	InvoiceAtBilling      OverageBehavior = "invoice_at_billing"       // billed, wiped
	CarryDeficit          OverageBehavior = "carry_deficit"            // kept
	CarryDeficitAutoRepay OverageBehavior = "carry_deficit_auto_repay" // kept, and paid down by new credits
)

// Overage allows a customer to spend more credits than the balance.
type Overage struct {
	// Behavior at the end of a cycle. Default: ForgiveAtReset.
	Behavior OverageBehavior `json:"behavior,omitempty"`
	// Limit is the largest overage. 0: no limit.
	Limit int64 `json:"limit,omitempty"`
	// Price of one credit with InvoiceAtBilling, a decimal of minor units.
	Price json.Number `json:"price,omitempty"`
}

// Rollover carries the remaining credits of an expired grant into a new one.
type Rollover struct {
	// Percent is the share that is carried, 1 to 100; the rest is lost.
	Percent int `json:"percent"`
	// MaxCount is how often the same credits roll over before they are forfeited. 0: no limit.
	MaxCount int `json:"max_count,omitempty"`
	// Timeframe is how long they last. Default: as long as the grant did.
	Timeframe Period `json:"timeframe,omitzero"`
}

// creditTerms are the rules for credits. Those of a subscription override those of its
// product, which override those of the credit entitlement.
type creditTerms struct {
	ExpiresAfterDays   *int            `json:"expires_after_days"`
	LowBalancePercent  *int            `json:"low_balance_threshold_percent"`
	OverageEnabled     bool            `json:"overage_enabled"`
	OverageBehavior    OverageBehavior `json:"overage_behavior"`
	OverageLimit       *decimal        `json:"overage_limit"`
	RolloverEnabled    bool            `json:"rollover_enabled"`
	MaxRolloverCount   *int            `json:"max_rollover_count"`
	RolloverPercentage *int            `json:"rollover_percentage"`
	RolloverCount      *int            `json:"rollover_timeframe_count"`
	RolloverInterval   *string         `json:"rollover_timeframe_interval"`
}

// expiry is when credits that are given now end; nil: never.
func (t creditTerms) expiry(at time.Time) *time.Time {
	if t.ExpiresAfterDays == nil {
		return nil
	}
	return new(at.AddDate(0, 0, *t.ExpiresAfterDays))
}

// terms are those of the credit entitlement itself.
func (c *credit) terms() creditTerms {
	t := creditTerms{
		ExpiresAfterDays: c.ExpiresAfterDays, OverageEnabled: c.OverageEnabled, OverageBehavior: OverageBehavior(c.OverageBehavior),
		RolloverEnabled: c.RolloverEnabled, MaxRolloverCount: c.MaxRolloverCount, RolloverPercentage: c.RolloverPercentage,
		RolloverCount: c.RolloverCount, RolloverInterval: c.RolloverInterval,
	}
	if c.OverageLimit != nil {
		t.OverageLimit = new(whole(*c.OverageLimit))
	}
	return t
}

// override applies the product's settings over the terms of the credit entitlement.
func (from ProductCredit) override(t creditTerms) creditTerms {
	if from.ExpiresAfterDays > 0 {
		t.ExpiresAfterDays = new(from.ExpiresAfterDays)
	}
	if from.LowBalancePercent > 0 {
		t.LowBalancePercent = new(from.LowBalancePercent)
	}
	if o := from.Overage; o != nil {
		t.OverageEnabled, t.OverageBehavior, t.OverageLimit = true, o.Behavior, nil
		if o.Behavior == "" {
			t.OverageBehavior = ForgiveAtReset
		}
		if o.Limit > 0 {
			t.OverageLimit = new(whole(o.Limit))
		}
	}
	if r := from.Rollover; r != nil {
		t.RolloverEnabled, t.RolloverPercentage, t.MaxRolloverCount = true, new(r.Percent), nil
		if r.MaxCount > 0 {
			t.MaxRolloverCount = new(r.MaxCount)
		}
		if r.Timeframe != (Period{}) {
			t.RolloverCount, t.RolloverInterval = new(r.Timeframe.Count), new(string(r.Timeframe.Interval))
		}
	}
	return t
}

// check says what is wrong with a credit of a product.
func (from ProductCredit) check(p Product) error {
	amount, ok := parseDecimal(from.Amount, maxPlaces)
	trial, trialOK := parseDecimal(from.TrialAmount, maxPlaces)
	switch {
	case !ok || !amount.positive() || strings.TrimSpace(from.Name) == "" || strings.TrimSpace(from.Unit) == "":
		return fmt.Errorf("a credit needs a name of its own, a unit and a positive decimal amount")
	case from.TrialAmount != "" && (!trialOK || !trial.positive() || p.TrialDays == 0), from.TrialExpires && from.TrialAmount == "":
		return fmt.Errorf("credits of a trial are a positive decimal, and need one")
	case from.ExpiresAfterDays < 0 || from.ExpiresAfterDays > math.MaxInt16:
		return fmt.Errorf("credits expire after 1 to %d days", math.MaxInt16)
	case from.LowBalancePercent < 0 || from.LowBalancePercent > 100, from.LowBalancePercent > 0 && !p.recurring():
		return fmt.Errorf("the threshold of a low balance is 1 to 100 percent, and for subscriptions")
	}
	if o := from.Overage; o != nil {
		_, priced := parseDecimal(o.Price, maxPlaces)
		switch {
		case o.Behavior != "" && !overageBehaviors[string(o.Behavior)], o.Limit < 0:
			return fmt.Errorf("overage has no such behaviour, or a negative limit")
		case (o.Behavior == InvoiceAtBilling) != (o.Price != "") || o.Price != "" && !priced:
			return fmt.Errorf("overage needs a price to be invoiced at billing, and no other does")
		}
	}
	if r := from.Rollover; r != nil {
		switch {
		case from.ExpiresAfterDays == 0:
			return fmt.Errorf("credits that never expire do not roll over")
		case r.Percent < 1 || r.Percent > 100 || r.MaxCount < 0 || r.Timeframe != (Period{}) && !r.Timeframe.valid():
			return fmt.Errorf("roll-over is of 1 to 100 percent, with no negative count and a valid timeframe")
		}
	}
	return nil
}

// checkCredits says what is wrong with the credits of a product.
func (p Product) checkCredits() error {
	seen := make(map[string]bool)
	for _, c := range p.Credits {
		if err := c.check(p); err != nil {
			return err
		}
		if seen[c.Name] {
			return fmt.Errorf("the credit %s appears twice", c.Name)
		}
		seen[c.Name] = true
	}
	return nil
}

// givenCredit is a credit entitlement with the amount and terms that a product or a
// subscription gives.
type givenCredit struct {
	*credit
	from   ProductCredit
	amount decimal // for one piece
	terms  creditTerms
}

// given finds the credits that a product gives. They may have been renamed; deleted ones are
// left out. The caller holds s.mu.
func (s *Simulator) given(p Product) []givenCredit {
	var all []givenCredit
	for _, from := range p.Credits {
		c, refusal := s.findCredit(s.catalogCredits[from.Name])
		amount, ok := parseDecimal(from.Amount, maxPlaces)
		if refusal == nil && ok {
			all = append(all, givenCredit{c, from, amount, from.override(c.terms())})
		}
	}
	return all
}

// givenBy is given for a subscription, which may have terms of its own.
func (s *Simulator) givenBy(sub *subscription) []givenCredit {
	all := s.given(sub.plan.lines[0].product)
	for i := range all {
		if change, ok := sub.creditChanges[all[i].ID]; ok {
			change.apply(&all[i])
		}
	}
	return all
}

// termsFor are the terms for a customer's credits: those of the newest subscription that gives
// some, else those of the credit entitlement.
func (s *Simulator) termsFor(c *credit, customerID string) creditTerms {
	for _, sub := range slices.Backward(s.subscriptionOrder) {
		if sub.Customer.CustomerID != customerID || sub.over() {
			continue
		}
		for _, g := range s.givenBy(sub) {
			if g.ID == c.ID {
				return g.terms
			}
		}
	}
	return c.terms()
}
