package dodosim

import "encoding/json"

// creditChange is a merchant's change of the credits of one subscription: an item of
// credit_entitlement_cart in PATCH /subscriptions/{id} (FACTS 2.7). An absent or null field
// changes nothing.
type creditChange struct {
	CreditID           *string `json:"credit_entitlement_id"`
	Amount             *string `json:"credits_amount"`
	ExpiresAfterDays   *int    `json:"expires_after_days"`
	LowBalancePercent  *int    `json:"low_balance_threshold_percent"`
	OverageEnabled     *bool   `json:"overage_enabled"`
	OverageLimit       *string `json:"overage_limit"`
	RolloverEnabled    *bool   `json:"rollover_enabled"`
	MaxRolloverCount   *int    `json:"max_rollover_count"`
	RolloverPercentage *int    `json:"rollover_percentage"`
	RolloverCount      *int    `json:"rollover_timeframe_count"`
	RolloverInterval   *string `json:"rollover_timeframe_interval"`
}

// check refuses values that are invalid for any subscription.
func (change creditChange) check() *Error {
	between := func(n *int, low, high int) bool { return n == nil || *n >= low && *n <= high }
	positive := func(text *string) bool {
		if text == nil {
			return true
		}
		amount, ok := parseDecimal(*text, maxPlaces)
		return ok && amount.positive()
	}
	const many = 1 << 15
	switch {
	case change.CreditID == nil:
		return refuse(codeInvalidBody, "each item of credit_entitlement_cart needs credit_entitlement_id")
	case !positive(change.Amount), !positive(change.OverageLimit):
		return refuse(codeInvalidParameters, "credits_amount and overage_limit are positive decimals")
	case !between(change.ExpiresAfterDays, 1, many), !between(change.LowBalancePercent, 0, 100), !between(change.MaxRolloverCount, 0, many),
		!between(change.RolloverPercentage, 0, 100), !between(change.RolloverCount, 1, maxPeriod):
		return refuse(codeInvalidParameters, "a number of days, a count or a percentage is out of range")
	case change.RolloverInterval != nil && !intervals[*change.RolloverInterval]:
		return refuse(codeInvalidBody, "rollover_timeframe_interval has no such value")
	}
	return nil
}

// apply overrides the product's settings with the change.
func (change creditChange) apply(g *givenCredit) {
	if change.Amount != nil {
		g.amount, _ = parseDecimal(*change.Amount, maxPlaces)
	}
	if change.OverageLimit != nil {
		limit, _ := parseDecimal(*change.OverageLimit, maxPlaces)
		g.terms.OverageLimit = &limit
	}
	setPointer(&g.terms.ExpiresAfterDays, change.ExpiresAfterDays)
	setPointer(&g.terms.LowBalancePercent, change.LowBalancePercent)
	setIfPresent(&g.terms.OverageEnabled, change.OverageEnabled)
	setIfPresent(&g.terms.RolloverEnabled, change.RolloverEnabled)
	setPointer(&g.terms.MaxRolloverCount, change.MaxRolloverCount)
	setPointer(&g.terms.RolloverPercentage, change.RolloverPercentage)
	setPointer(&g.terms.RolloverCount, change.RolloverCount)
	setPointer(&g.terms.RolloverInterval, change.RolloverInterval)
}

// changeCredits refuses credits that the subscription's product does not give, and adds the
// changes to earlier ones. The caller holds s.mu.
func (s *Simulator) changeCredits(sub *subscription, changes []creditChange) *Error {
	known := make(map[string]bool)
	for _, g := range s.given(sub.plan.lines[0].product) {
		known[g.ID] = true
	}
	for _, change := range changes {
		if !known[*change.CreditID] {
			return refuse(codeInvalidParameters, "the subscription has no credits of %s", *change.CreditID)
		}
	}
	for _, change := range changes {
		if sub.creditChanges == nil {
			sub.creditChanges = make(map[string]creditChange)
		}
		sub.creditChanges[*change.CreditID] = change.onTopOf(sub.creditChanges[*change.CreditID])
	}
	return nil
}

func (change creditChange) onTopOf(before creditChange) creditChange {
	setPointer(&before.CreditID, change.CreditID)
	setPointer(&before.Amount, change.Amount)
	setPointer(&before.ExpiresAfterDays, change.ExpiresAfterDays)
	setPointer(&before.LowBalancePercent, change.LowBalancePercent)
	setPointer(&before.OverageEnabled, change.OverageEnabled)
	setPointer(&before.OverageLimit, change.OverageLimit)
	setPointer(&before.RolloverEnabled, change.RolloverEnabled)
	setPointer(&before.MaxRolloverCount, change.MaxRolloverCount)
	setPointer(&before.RolloverPercentage, change.RolloverPercentage)
	setPointer(&before.RolloverCount, change.RolloverCount)
	setPointer(&before.RolloverInterval, change.RolloverInterval)
	return before
}

// creditOverride is what a checkout gives instead of what the product would (FACTS 2.1).
type creditOverride struct {
	CreditID *string `json:"credit_entitlement_id"`
	Amount   *string `json:"credits_amount"`
}

// overrideCredits is the product with the credits of one checkout session. That they apply to
// every cycle of a subscription, until its plan is changed, is UNCONFIRMED. The caller holds
// s.mu.
func (s *Simulator) overrideCredits(p Product, overrides []creditOverride) (Product, *Error) {
	if len(overrides) == 0 {
		return p, nil
	}
	credits := append([]ProductCredit{}, p.Credits...)
	for _, o := range overrides {
		if o.CreditID == nil || o.Amount == nil {
			return p, refuse(codeInvalidBody, "each of credit_entitlements needs credit_entitlement_id and credits_amount")
		}
		amount, ok := parseDecimal(*o.Amount, maxPlaces)
		if !ok || !amount.positive() {
			return p, refuse(codeInvalidParameters, "credits_amount must be a positive decimal")
		}
		found := false
		for i := range credits {
			if s.catalogCredits[credits[i].Name] == *o.CreditID {
				credits[i].Amount, found = json.Number(*o.Amount), true
			}
		}
		if !found {
			return p, refuse(codeInvalidParameters, "product %s has no credits of %s", p.ID, *o.CreditID)
		}
	}
	p.Credits = credits
	return p, nil
}
