package dodosim

import (
	"net/http"
	"slices"
	"time"
)

// creditAccount is a customer's balance of a credit entitlement. Guarded by [Simulator.mu].
type creditAccount struct {
	ID         string     `json:"id"`
	CreditID   string     `json:"credit_entitlement_id"`
	CustomerID string     `json:"customer_id"`
	Balance    decimal    `json:"balance"` // the sum of what is left of the grants
	Overage    decimal    `json:"overage"`
	CreatedAt  time.Time  `json:"created_at"`
	UpdatedAt  time.Time  `json:"updated_at"`
	LastEntry  *time.Time `json:"last_transaction_at"`

	grants  []*creditGrant // oldest first
	entries []*creditEntry // oldest first
	keys    map[string]bool
}

// creditGrant is a grant of credits, which may be spent in parts.
type creditGrant struct {
	ID            string     `json:"id"`
	CreditID      string     `json:"credit_entitlement_id"`
	CustomerID    string     `json:"customer_id"`
	Initial       decimal    `json:"initial_amount"`
	Remaining     decimal    `json:"remaining_amount"`
	ExpiresAt     *time.Time `json:"expires_at"`
	IsExpired     bool       `json:"is_expired"`
	IsRolledOver  bool       `json:"is_rolled_over"`
	RolloverCount int        `json:"rollover_count"`
	ParentID      *string    `json:"parent_grant_id"`
	SourceType    string     `json:"source_type"`
	SourceID      *string    `json:"source_id"`
	Metadata      metadata   `json:"metadata"`
	CreatedAt     time.Time  `json:"created_at"`
	UpdatedAt     time.Time  `json:"updated_at"`
}

func (g *creditGrant) status() string {
	switch {
	case g.IsExpired:
		return "expired"
	case !g.Remaining.positive():
		return "depleted"
	}
	return "active"
}

// creditEntry is a line of the ledger, in the shape of the API and of webhooks
// (FACTS 3.8). It never changes.
type creditEntry struct {
	ID            string    `json:"id"`
	BusinessID    string    `json:"business_id"`
	BrandID       string    `json:"brand_id"`
	CustomerID    string    `json:"customer_id"`
	CreditID      string    `json:"credit_entitlement_id"`
	Transaction   string    `json:"transaction_type"`
	Amount        decimal   `json:"amount"`
	IsCredit      bool      `json:"is_credit"`
	BalanceBefore decimal   `json:"balance_before"`
	BalanceAfter  decimal   `json:"balance_after"`
	OverageBefore decimal   `json:"overage_before"`
	OverageAfter  decimal   `json:"overage_after"`
	GrantID       *string   `json:"grant_id"`
	ReferenceType *string   `json:"reference_type"`
	ReferenceID   *string   `json:"reference_id"`
	Description   *string   `json:"description"`
	Metadata      metadata  `json:"metadata"`
	CreatedAt     time.Time `json:"created_at"`
}

func (e *creditEntry) objectID() string { return e.ID }

// payload is the entry as webhooks carry it.
func (e *creditEntry) payload() any {
	return struct {
		*creditEntry
		PayloadType string `json:"payload_type"`
	}{e, "CreditLedgerEntry"}
}

// creditEvents are the webhooks of the simulator's transactions. Whether an entry made by the
// API is an ordinary transaction or a manual adjustment is UNCONFIRMED (FACTS 3.3);
// Options.ManualEntries decides.
var creditEvents = map[string]string{
	"credit_added": "credit.added", "credit_deducted": "credit.deducted", "credit_expired": "credit.expired",
	"credit_rolled_over": "credit.rolled_over", "rollover_forfeited": "credit.rollover_forfeited",
	"overage_charged": "credit.overage_charged", "overage_reset": "credit.overage_reset",
	"manual_adjustment": "credit.manual_adjustment",
}

// account finds a customer's balance of a credit entitlement; nil if there is none.
func (s *Simulator) account(creditID, customerID string) *creditAccount {
	for _, a := range s.accounts {
		if a.CreditID == creditID && a.CustomerID == customerID {
			return a
		}
	}
	return nil
}

// accountFor is account, or a new and empty one.
func (s *Simulator) accountFor(creditID, customerID string, now time.Time) *creditAccount {
	if a := s.account(creditID, customerID); a != nil {
		return a
	}
	a := &creditAccount{
		ID: newID("ccb_"), CreditID: creditID, CustomerID: customerID, Balance: zero(), Overage: zero(), // a guess
		CreatedAt: now, UpdatedAt: now, keys: make(map[string]bool),
	}
	s.accounts = append(s.accounts, a)
	return a
}

// addEntry writes a line of the ledger and sends its event. The caller has not changed the
// account yet.
func (s *Simulator) addEntry(a *creditAccount, e creditEntry, balance, overage decimal, at time.Time) *creditEntry {
	e.ID, e.BusinessID, e.BrandID, e.CustomerID, e.CreditID = newID("cle_"), s.business, s.brand, a.CustomerID, a.CreditID
	e.BalanceBefore, e.BalanceAfter, e.OverageBefore, e.OverageAfter = a.Balance, balance, a.Overage, overage
	e.Metadata, e.CreatedAt = e.Metadata.orEmpty(), at
	a.Balance, a.Overage, a.UpdatedAt, a.LastEntry = balance, overage, at, new(at)
	a.entries = append(a.entries, &e)
	s.emit(creditEvents[e.Transaction], &e, at)
	return &e
}

// give makes a grant. With carry_deficit_auto_repay it first pays the overage down. The
// caller holds s.mu.
func (s *Simulator) give(c *credit, a *creditAccount, g creditGrant, e creditEntry, at time.Time) *creditEntry {
	left, overage := g.Initial, a.Overage
	if s.termsFor(c, a.CustomerID).OverageBehavior == CarryDeficitAutoRepay {
		repaid := g.Initial.min(overage)
		left, overage = left.sub(repaid), overage.sub(repaid)
	}
	s.addGrant(a, &g, left, at)
	e.Amount, e.IsCredit, e.GrantID = g.Initial, true, new(g.ID)
	if e.Transaction == "" {
		e.Transaction = "credit_added"
	}
	return s.addEntry(a, e, a.Balance.add(left), overage, at)
}

// addGrant completes a grant that has this many credits left.
func (s *Simulator) addGrant(a *creditAccount, g *creditGrant, left decimal, at time.Time) {
	g.ID, g.CreditID, g.CustomerID, g.Remaining = newID("cgr_"), a.CreditID, a.CustomerID, left
	g.CreatedAt, g.UpdatedAt, g.Metadata = at, at, g.Metadata.orEmpty()
	a.grants = append(a.grants, g)
}

// take spends credits, from the oldest grant first as in the API description unless
// Options.SoonestExpiryFirst is set, and then makes overage if that is allowed. The caller
// holds s.mu.
func (s *Simulator) take(c *credit, a *creditAccount, amount decimal, e creditEntry, at time.Time) (*creditEntry, *Error) {
	terms, before := s.termsFor(c, a.CustomerID), a.Balance
	over := amount.sub(amount.min(a.Balance))
	overage := a.Overage.add(over)
	switch {
	case over.positive() && !terms.OverageEnabled:
		return nil, refuse(codeNegativeBalance, "the balance is %s", a.Balance)
	case over.positive() && terms.OverageLimit != nil && terms.OverageLimit.less(overage):
		return nil, refuse(codeOverageLimit, "the overage would be %s", overage)
	}
	rest := amount
	for _, g := range s.inOrderOfUse(a) {
		if g.IsExpired || !g.Remaining.positive() {
			continue
		}
		used := rest.min(g.Remaining)
		if !used.positive() {
			break
		}
		g.Remaining, rest, g.UpdatedAt = g.Remaining.sub(used), rest.sub(used), at
	}
	e.Amount = amount
	if e.Transaction == "" {
		e.Transaction = "credit_deducted"
	}
	made := s.addEntry(a, e, a.Balance.sub(amount.sub(over)), overage, at)
	s.reportLowBalance(a, before, at)
	return made, nil
}

// inOrderOfUse are an account's grants in the order in which they are spent.
func (s *Simulator) inOrderOfUse(a *creditAccount) []*creditGrant {
	grants := slices.Clone(a.grants)
	if s.options.SoonestExpiryFirst {
		slices.SortStableFunc(grants, func(a, b *creditGrant) int {
			switch {
			case a.ExpiresAt == nil && b.ExpiresAt == nil:
				return 0
			case a.ExpiresAt == nil:
				return 1
			case b.ExpiresAt == nil:
				return -1
			}
			return a.ExpiresAt.Compare(*b.ExpiresAt)
		})
	}
	return grants
}

// entryRequest is the body of POST …/balances/{customer}/ledger-entries.
type entryRequest struct {
	EntryType *string    `json:"entry_type"`
	Amount    *string    `json:"amount"`
	ExpiresAt *time.Time `json:"expires_at"`
	Key       *string    `json:"idempotency_key"`
	Reason    *string    `json:"reason"`
	Metadata  metadata   `json:"metadata"`
}

// check refuses everything with 400: the API description has no 422 for this call.
func (request entryRequest) check(c *credit, now time.Time) (decimal, *Error) {
	bad := func(message string) (decimal, *Error) {
		return zero(), &Error{Status: http.StatusBadRequest, Code: codeInvalidParameters, Message: message}
	}
	if request.EntryType == nil || request.Amount == nil {
		return bad("entry_type and amount are required")
	}
	if refusal := request.Metadata.check(); refusal != nil {
		return bad(refusal.Message)
	}
	amount, ok := parseDecimal(*request.Amount, c.Precision)
	switch {
	case *request.EntryType != "credit" && *request.EntryType != "debit":
		return bad("entry_type has no such value")
	case !ok || !amount.positive():
		return bad("amount must be a positive decimal with no more places than the credit entitlement has")
	case request.ExpiresAt != nil && *request.EntryType == "debit":
		return bad("expires_at is for credits")
	case request.ExpiresAt != nil && !request.ExpiresAt.After(now):
		return bad("expires_at is in the past")
	}
	return amount, nil
}

// entryResponse is the answer to an entry.
type entryResponse struct {
	ID            string    `json:"id"`
	CreditID      string    `json:"credit_entitlement_id"`
	CustomerID    string    `json:"customer_id"`
	EntryType     string    `json:"entry_type"`
	Amount        decimal   `json:"amount"`
	IsCredit      bool      `json:"is_credit"`
	BalanceBefore decimal   `json:"balance_before"`
	BalanceAfter  decimal   `json:"balance_after"`
	OverageBefore decimal   `json:"overage_before"`
	OverageAfter  decimal   `json:"overage_after"`
	GrantID       *string   `json:"grant_id"`
	Reason        *string   `json:"reason"`
	CreatedAt     time.Time `json:"created_at"`
}

// createCreditEntry answers POST …/balances/{customer}/ledger-entries.
func (s *Simulator) createCreditEntry(r *http.Request) (any, error) {
	request, refusal := readJSON[entryRequest](r)
	if refusal != nil {
		refusal.Status = http.StatusBadRequest
		return nil, refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, refusal := s.findCredit(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	owner, refusal := s.findCustomer(r.PathValue("customer"))
	if refusal != nil {
		return nil, refusal
	}
	now := s.now()
	amount, refusal := request.check(c, now)
	if refusal != nil {
		return nil, refusal
	}
	s.expireCredits(now)
	a := s.accountFor(c.ID, owner.CustomerID, now)
	if request.Key != nil && a.keys[*request.Key] {
		return nil, refuse(codeKeyUsed, "idempotency_key has been used")
	}
	line := creditEntry{ReferenceType: new("api"), Description: request.Reason}
	if s.options.ManualEntries {
		line.Transaction = "manual_adjustment"
	}
	var made *creditEntry
	if *request.EntryType == "credit" {
		g := creditGrant{Initial: amount, ExpiresAt: request.ExpiresAt, SourceType: "api", Metadata: request.Metadata}
		made = s.give(c, a, g, line, now)
	} else if made, refusal = s.take(c, a, amount, line, now); refusal != nil {
		if len(a.entries) == 0 {
			s.accounts = s.accounts[:len(s.accounts)-1] // it was made for this entry
		}
		return nil, refusal
	}
	if request.Key != nil {
		a.keys[*request.Key] = true
	}
	return created(entryResponse{
		ID: made.ID, CreditID: made.CreditID, CustomerID: made.CustomerID, EntryType: *request.EntryType, Amount: made.Amount,
		IsCredit: made.IsCredit, BalanceBefore: made.BalanceBefore, BalanceAfter: made.BalanceAfter,
		OverageBefore: made.OverageBefore, OverageAfter: made.OverageAfter, GrantID: made.GrantID, Reason: request.Reason, CreatedAt: now,
	})
}
