package dodosim

import "time"

// expireCredits ends the grants that expire until then, each at its own time. The caller holds
// s.mu.
func (s *Simulator) expireCredits(until time.Time) int {
	count := 0
	for {
		var owner *creditAccount
		var next *creditGrant
		for _, a := range s.accounts {
			for _, g := range a.grants {
				if !g.IsExpired && g.ExpiresAt != nil && !g.ExpiresAt.After(until) && (next == nil || g.ExpiresAt.Before(*next.ExpiresAt)) {
					owner, next = a, g
				}
			}
		}
		if next == nil {
			return count
		}
		count++
		s.expire(owner, next)
	}
}

// expire ends a grant. The remaining credits are lost, or roll over into a new grant, or are
// forfeited because they have rolled over too often. A roll-over is two lines of the ledger:
// all remaining credits expire, and the carried ones are added again. That it happens when the
// grant expires, and not with the subscription's cycle, is UNCONFIRMED.
func (s *Simulator) expire(a *creditAccount, g *creditGrant) {
	left, at := g.Remaining, *g.ExpiresAt
	g.IsExpired, g.Remaining, g.UpdatedAt = true, zero(), at
	if !left.positive() {
		return
	}
	line := creditEntry{Amount: left, GrantID: new(g.ID), Transaction: "credit_expired", Metadata: g.Metadata}
	sub := s.subscriptions[valueOrEmpty(g.SourceID)]
	if sub != nil {
		line.ReferenceType, line.ReferenceID = new("subscription"), g.SourceID
	}
	terms, places, rolls := s.rollsOver(a.CreditID, sub)
	if rolls && terms.MaxRolloverCount != nil && g.RolloverCount >= *terms.MaxRolloverCount {
		line.Transaction, rolls = "rollover_forfeited", false
	}
	s.addEntry(a, line, a.Balance.sub(left), a.Overage, at)
	if !rolls {
		return
	}
	carried := left
	if terms.RolloverPercentage != nil {
		carried = left.share(*terms.RolloverPercentage, places)
	}
	if !carried.positive() {
		return
	}
	again := creditGrant{
		Initial: carried, SourceType: "rollover", SourceID: g.SourceID, ParentID: new(g.ID), IsRolledOver: true,
		RolloverCount: g.RolloverCount + 1, Metadata: g.Metadata, ExpiresAt: terms.rolledExpiry(at, at.Sub(g.CreatedAt)),
	}
	line.Transaction, line.IsCredit, line.Amount = "credit_rolled_over", true, carried
	s.addGrant(a, &again, carried, at)
	line.GrantID = new(again.ID)
	s.addEntry(a, line, a.Balance.add(carried), a.Overage, at)
}

// rollsOver finds the terms of a subscription's credits, and whether they roll over.
func (s *Simulator) rollsOver(creditID string, sub *subscription) (creditTerms, int, bool) {
	if sub == nil || sub.over() {
		return creditTerms{}, 0, false
	}
	for _, g := range s.givenBy(sub) {
		if g.ID == creditID {
			return g.terms, g.Precision, g.terms.RolloverEnabled
		}
	}
	return creditTerms{}, 0, false
}

// rolledExpiry is when rolled-over credits expire: by the timeframe, or else after the same
// length of time as before.
func (t creditTerms) rolledExpiry(at time.Time, length time.Duration) *time.Time {
	if t.RolloverCount != nil && t.RolloverInterval != nil {
		return new(Period{*t.RolloverCount, Interval(*t.RolloverInterval)}.after(at))
	}
	return new(at.Add(length))
}

// overageDue is the cost of a customer's overage when the next cycle is billed, in whole minor
// units. The caller holds s.mu.
func (s *Simulator) overageDue(sub *subscription) int64 {
	due := zero()
	for _, g := range s.givenBy(sub) {
		a := s.account(g.ID, sub.Customer.CustomerID)
		if a == nil || g.terms.OverageBehavior != InvoiceAtBilling || g.from.Overage == nil {
			continue
		}
		price, _ := parseDecimal(g.from.Overage.Price, maxPlaces)
		due = due.add(a.Overage.multiply(price))
	}
	return due.floor()
}

// settleOverage settles overage when a cycle has been paid. Billed overage is charged first
// and then reset, in two lines: UNCONFIRMED. The caller holds s.mu.
func (s *Simulator) settleOverage(sub *subscription, at time.Time) {
	for _, g := range s.givenBy(sub) {
		a := s.account(g.ID, sub.Customer.CustomerID)
		if a == nil || !a.Overage.positive() {
			continue
		}
		line := creditEntry{
			Amount: a.Overage, ReferenceType: new("subscription"), ReferenceID: new(sub.SubscriptionID), Metadata: sub.Metadata,
		}
		switch g.terms.OverageBehavior {
		case InvoiceAtBilling:
			line.Transaction = "overage_charged"
			s.addEntry(a, line, a.Balance, a.Overage, at)
		case ForgiveAtReset:
		default:
			continue
		}
		line.Transaction = "overage_reset"
		s.addEntry(a, line, a.Balance, zero(), at)
	}
}

// balanceLow is a balance that fell below its threshold, in the shape of webhooks (FACTS 3.8).
// It has the balance of the moment when it is sent.
type balanceLow struct {
	BrandID    string  `json:"brand_id"`
	CustomerID string  `json:"customer_id"`
	SubID      string  `json:"subscription_id"`
	CreditID   string  `json:"credit_entitlement_id"`
	Name       string  `json:"credit_entitlement_name"`
	Available  decimal `json:"available_balance"`
	Granted    decimal `json:"subscription_credits_amount"`
	Percent    int     `json:"threshold_percent"`
	Threshold  decimal `json:"threshold_amount"`

	account *creditAccount
}

func (b *balanceLow) objectID() string { return b.SubID }

// payload is the balance as webhooks carry it.
func (b *balanceLow) payload() any {
	now := *b
	now.Available = b.account.Balance
	return struct {
		balanceLow
		PayloadType string `json:"payload_type"`
	}{now, "CreditBalanceLow"}
}

// reportLowBalance sends an event if spending took a balance below the threshold of a
// subscription.
func (s *Simulator) reportLowBalance(a *creditAccount, before decimal, at time.Time) {
	for _, sub := range s.subscriptionOrder {
		if sub.Customer.CustomerID != a.CustomerID || sub.over() {
			continue
		}
		for _, g := range s.givenBy(sub) {
			if g.ID != a.CreditID || g.terms.LowBalancePercent == nil {
				continue
			}
			low := &balanceLow{
				BrandID: s.brand, CustomerID: a.CustomerID, SubID: sub.SubscriptionID, CreditID: g.ID, Name: g.Name,
				Granted: g.amount.times(int64(sub.Quantity)), Percent: *g.terms.LowBalancePercent, account: a,
			}
			low.Threshold = low.Granted.share(low.Percent, maxPlaces)
			if !before.less(low.Threshold) && a.Balance.less(low.Threshold) {
				s.emit("credit.balance_low", low, at)
			}
		}
	}
}
