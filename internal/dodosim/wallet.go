package dodosim

import (
	"math"
	"net/http"
	"slices"
	"time"
)

// wallet is a customer's balance with the merchant, by currency. The simulator's checkouts do
// not pay from it. Guarded by [Simulator.mu].
type wallet struct {
	balances []*walletBalance  // in the order of their first entry
	entries  []walletEntry     // oldest first
	keys     map[string]string // the currency of each idempotency key
}

// walletBalance is an item of GET /customers/{id}/wallets.
type walletBalance struct {
	CustomerID string    `json:"customer_id"`
	Currency   string    `json:"currency"`
	Balance    int64     `json:"balance"`
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
}

type walletList struct {
	Items []*walletBalance `json:"items"`
	Total int64            `json:"total_balance_usd"`
}

// walletEntry is a line of a wallet's ledger.
type walletEntry struct {
	ID            string    `json:"id"`
	BusinessID    string    `json:"business_id"`
	CustomerID    string    `json:"customer_id"`
	EventType     string    `json:"event_type"`
	Currency      string    `json:"currency"`
	Amount        int64     `json:"amount"`
	IsCredit      bool      `json:"is_credit"`
	BeforeBalance int64     `json:"before_balance"`
	AfterBalance  int64     `json:"after_balance"`
	Reason        *string   `json:"reason"`
	Reference     *string   `json:"reference_object_id"`
	CreatedAt     time.Time `json:"created_at"`
}

// walletRequest is the body of POST /customers/{id}/wallets/ledger-entries.
type walletRequest struct {
	Amount    *int64  `json:"amount"`
	Currency  *string `json:"currency"`
	EntryType *string `json:"entry_type"`
	Key       *string `json:"idempotency_key"`
	Reason    *string `json:"reason"`
}

func (request walletRequest) check() *Error {
	switch {
	case request.Amount == nil || request.Currency == nil || request.EntryType == nil:
		return refuse(codeInvalidBody, "amount, currency and entry_type are required")
	case *request.EntryType != "credit" && *request.EntryType != "debit":
		return refuse(codeInvalidBody, "entry_type has no such value")
	case !knownCurrency(*request.Currency):
		return refuse(codeUnsupportedMoney, "currency must be an ISO 4217 code")
	case *request.Amount < 1:
		return refuse(codeInvalidParameters, "amount must be at least 1")
	}
	return nil
}

func (w *wallet) balance(currency string) *walletBalance {
	for _, b := range w.balances {
		if b.Currency == currency {
			return b
		}
	}
	return nil
}

// createWalletEntry answers POST /customers/{id}/wallets/ledger-entries with the balance after
// it. A used idempotency key makes no second entry and is no error (FACTS 1.5).
func (s *Simulator) createWalletEntry(r *http.Request) (any, error) {
	request, refusal := readJSON[walletRequest](r)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := request.check(); refusal != nil {
		return nil, refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, refusal := s.findCustomer(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	w := s.walletOf(c.CustomerID)
	if currency, used := w.keys[valueOrEmpty(request.Key)]; request.Key != nil && used {
		return *w.balance(currency), nil
	}
	b := w.balance(*request.Currency)
	now, change := s.now(), *request.Amount
	credit := *request.EntryType == "credit"
	if !credit {
		change = -change
	}
	switch {
	case !credit && (b == nil || b.Balance+change < 0):
		return nil, refuse(codeWalletFunds, "the wallet does not hold that much")
	case credit && b != nil && b.Balance > math.MaxInt64-change:
		return nil, refuse(codeIntegerConversion, "the balance would be too large")
	case b == nil:
		b = &walletBalance{CustomerID: c.CustomerID, Currency: *request.Currency, CreatedAt: now}
		w.balances = append(w.balances, b)
	}
	w.entries = append(w.entries, walletEntry{
		ID: newID("cwt_"), BusinessID: s.business, CustomerID: c.CustomerID, // a guess
		EventType: "merchant_adjustment", Currency: b.Currency, Amount: *request.Amount, IsCredit: credit,
		BeforeBalance: b.Balance, AfterBalance: b.Balance + change, Reason: request.Reason, CreatedAt: now,
	})
	b.Balance, b.UpdatedAt = b.Balance+change, now
	if request.Key != nil {
		w.keys[*request.Key] = b.Currency
	}
	return *b, nil
}

func (s *Simulator) walletOf(customerID string) *wallet {
	w, ok := s.wallets[customerID]
	if !ok {
		w = &wallet{keys: make(map[string]string)}
		s.wallets[customerID] = w
	}
	return w
}

// listWallets answers GET /customers/{id}/wallets. The total counts only US dollars: the
// simulator converts no currency.
func (s *Simulator) listWallets(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, refusal := s.findCustomer(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	answer := walletList{Items: []*walletBalance{}}
	for _, b := range s.walletOf(c.CustomerID).balances {
		answer.Items = append(answer.Items, b)
		if b.Currency == "USD" {
			answer.Total = b.Balance
		}
	}
	return snapshot(answer)
}

// listWalletEntries answers GET /customers/{id}/wallets/ledger-entries, newest first like
// payments: UNCONFIRMED.
func (s *Simulator) listWalletEntries(r *http.Request) (any, error) {
	q := query{values: r.URL.Query()}
	window, currency := q.page(), q.oneOf("currency", currencies)
	if q.refusal != nil {
		return nil, q.refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, refusal := s.findCustomer(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	items := []walletEntry{}
	for _, entry := range slices.Backward(s.walletOf(c.CustomerID).entries) {
		if currency == "" || entry.Currency == currency {
			items = append(items, entry)
		}
	}
	return list[walletEntry]{Items: slicePage(items, window)}, nil
}
