package dodosim

import "strings"

// AdjustCredits changes a customer's balance of a credit entitlement, as the merchant can in
// the dashboard: credit.manual_adjustment. The amount is a decimal such as "2.5", or "-2.5" to
// take credits. The error is an *[Error].
func (s *Simulator) AdjustCredits(creditID, customerID, amount string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, refusal := s.findCredit(creditID)
	if refusal != nil {
		return refusal
	}
	if _, refusal := s.findCustomer(customerID); refusal != nil {
		return refusal
	}
	digits, taken := strings.CutPrefix(amount, "-")
	by, ok := parseDecimal(digits, c.Precision)
	if !ok || !by.positive() {
		return refuse(codeInvalidParameters, "the amount must be a decimal with no more places than the credit entitlement has")
	}
	now := s.now()
	s.expireCredits(now)
	a := s.accountFor(c.ID, customerID, now)
	line := creditEntry{Transaction: "manual_adjustment", Description: new("Manual credit adjustment")}
	if taken {
		if _, refusal := s.take(c, a, by, line, now); refusal != nil {
			return refusal
		}
		return nil
	}
	s.give(c, a, creditGrant{Initial: by, SourceType: "api"}, line, now) // there is no source_type for a dashboard
	return nil
}
