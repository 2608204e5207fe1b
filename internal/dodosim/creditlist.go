package dodosim

import (
	"net/http"
	"slices"
)

var (
	creditGrantStatuses = wordSet("active expired depleted")
	creditTransactions  = wordSet(`credit_added credit_deducted credit_expired credit_rolled_over rollover_forfeited overage_charged
		overage_reset auto_top_up manual_adjustment refund`)
)

// requestedAccount is the account that a path names; 404 if it has no balance.
func (s *Simulator) requestedAccount(r *http.Request) (*creditAccount, *Error) {
	c, refusal := s.findCredit(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	a := s.account(c.ID, r.PathValue("customer"))
	if a == nil {
		return nil, refuse(codeNotFound, "customer %s has no balance", r.PathValue("customer"))
	}
	return a, nil
}

// getCreditBalance answers GET /credit-entitlements/{id}/balances/{customer}.
func (s *Simulator) getCreditBalance(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, refusal := s.requestedAccount(r)
	if refusal != nil {
		return nil, refusal
	}
	return snapshot(a)
}

// listCreditBalances answers GET /credit-entitlements/{id}/balances, newest first like
// payments, as are the lists below: UNCONFIRMED.
func (s *Simulator) listCreditBalances(r *http.Request) (any, error) {
	q := query{values: r.URL.Query()}
	window, customer := q.page(), q.text("customer_id")
	if q.refusal != nil {
		return nil, q.refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, refusal := s.findCredit(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	items := []*creditAccount{}
	for _, a := range slices.Backward(s.accounts) {
		if a.CreditID == c.ID && (customer == "" || customer == a.CustomerID) {
			items = append(items, a)
		}
	}
	return snapshot(list[*creditAccount]{Items: slicePage(items, window)})
}

// listCreditGrants answers GET …/balances/{customer}/grants.
func (s *Simulator) listCreditGrants(r *http.Request) (any, error) {
	q := query{values: r.URL.Query()}
	window, status := q.page(), q.oneOf("status", creditGrantStatuses)
	if q.refusal != nil {
		return nil, q.refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a, refusal := s.requestedAccount(r)
	if refusal != nil {
		return nil, refusal
	}
	items := []*creditGrant{}
	for _, g := range slices.Backward(a.grants) {
		if status == "" || status == g.status() {
			items = append(items, g)
		}
	}
	return snapshot(list[*creditGrant]{Items: slicePage(items, window)})
}

// listCreditEntries answers GET …/balances/{customer}/ledger.
func (s *Simulator) listCreditEntries(r *http.Request) (any, error) {
	q := query{values: r.URL.Query()}
	window, kind := q.page(), q.oneOf("transaction_type", creditTransactions)
	from, to := q.instant("start_date"), q.instant("end_date")
	if q.refusal != nil {
		return nil, q.refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a, refusal := s.requestedAccount(r)
	if refusal != nil {
		return nil, refusal
	}
	items := []*creditEntry{}
	for _, e := range slices.Backward(a.entries) {
		if (kind == "" || kind == e.Transaction) && within(e.CreatedAt, from, to) {
			items = append(items, e)
		}
	}
	return snapshot(list[*creditEntry]{Items: slicePage(items, window)})
}

// customerCredit is an item of GET /customers/{id}/credit-entitlements.
type customerCredit struct {
	CreditID    string  `json:"credit_entitlement_id"`
	Name        string  `json:"name"`
	Description *string `json:"description"`
	Unit        string  `json:"unit"`
	Balance     decimal `json:"balance"`
	Overage     decimal `json:"overage"`
}

// listCustomerCredits answers GET /customers/{id}/credit-entitlements, which has no
// pages.
func (s *Simulator) listCustomerCredits(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	owner, refusal := s.findCustomer(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	items := []customerCredit{}
	for _, a := range s.accounts {
		if c, refusal := s.findCredit(a.CreditID); refusal == nil && a.CustomerID == owner.CustomerID {
			items = append(items, customerCredit{c.ID, c.Name, c.Description, c.Unit, a.Balance, a.Overage})
		}
	}
	return snapshot(list[customerCredit]{Items: items})
}
