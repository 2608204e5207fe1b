package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/gateway"
)

// The query of GET /history.
const (
	beforeParam = "before" // the value of next in the page before
	limitParam  = "limit"

	historyLimit    = 50
	maxHistoryLimit = 100
)

// historyAnswer is what GET /history returns. Both lists are newest first; only entries are
// paged. Times are RFC 3339 in UTC.
type historyAnswer struct {
	Purchases []purchase `json:"purchases"`
	Entries   []entry    `json:"entries"`
	Next      *string    `json:"next"` // null: this is the last page
}

// purchase is an order without its checkout address; GET /status has the orders that can still
// be paid.
type purchase struct {
	OrderID   string          `json:"order_id"`
	Product   string          `json:"product"`
	Quantity  int64           `json:"quantity"`
	State     book.OrderState `json:"state"`
	PaymentID *string         `json:"payment_id"` // of the last attempt; null: none yet
	CreatedAt time.Time       `json:"created_at"`
}

// entry is a line of the ledger.
type entry struct {
	Seq     int64     `json:"seq"`
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"`
	Amount  int64     `json:"amount"` // negative if credits were taken
	Balance int64     `json:"balance"`
	Grant   string    `json:"grant"`
	Cause   string    `json:"cause"`
}

// history serves GET /history of the signed-in account.
func (a *API) history(w http.ResponseWriter, r *http.Request) error {
	return serveJSON(w, r, func(ctx context.Context, who gateway.Identity) (historyAnswer, error) {
		page, err := readPage(r.URL.RawQuery)
		if err != nil {
			return historyAnswer{}, err
		}
		h, err := a.accounts.History(ctx, who.Account, page.before, page.limit)
		if err != nil {
			return historyAnswer{}, err
		}
		return showHistory(h), nil
	})
}

func showHistory(h gateway.History) historyAnswer {
	answer := historyAnswer{
		Purchases: make([]purchase, 0, len(h.Purchases)), Entries: make([]entry, 0, len(h.Entries)),
	}
	for _, o := range h.Purchases {
		answer.Purchases = append(answer.Purchases, purchase{
			OrderID: o.ID, Product: o.Product, Quantity: o.Quantity, State: o.State,
			PaymentID: unlessZero(o.PaymentID), CreatedAt: o.CreatedAt.UTC(),
		})
	}
	for _, e := range h.Entries {
		answer.Entries = append(answer.Entries, entry{
			Seq: e.Seq, At: e.At.UTC(), Kind: string(e.Kind), Amount: e.Amount, Balance: e.Balance, Grant: e.Grant, Cause: e.Cause,
		})
	}
	if h.Next > 0 {
		answer.Next = new(strconv.FormatInt(h.Next, 10))
	}
	return answer
}

// historyPage says which entries are requested.
type historyPage struct {
	before int64 // 0: from the newest
	limit  int
}

// readPage reads the query strictly: a wrong page would look like a gap in the ledger.
func readPage(query string) (historyPage, error) {
	page := historyPage{limit: historyLimit}
	values, err := url.ParseQuery(query)
	if err != nil {
		return page, refuse(errRequest, "The query cannot be read.")
	}
	for name, given := range values {
		switch {
		case name != beforeParam && name != limitParam:
			return page, refuse(errRequest, "%.40q is not a parameter; there are %s and %s.", name, beforeParam, limitParam)
		case len(given) > 1:
			return page, refuse(errRequest, "%s is given more than once.", name)
		case name == beforeParam:
			n, ok := parseCount(given[0], gateway.MaxEntry)
			if !ok {
				return page, refuse(errRequest, "before must be the next of an earlier answer.")
			}
			page.before = n
		case name == limitParam:
			n, ok := parseCount(given[0], maxHistoryLimit)
			if !ok {
				return page, refuse(errRequest, "limit must be a whole number from 1 to %d.", maxHistoryLimit)
			}
			page.limit = int(n)
		}
	}
	return page, nil
}

// parseCount reads a number from 1 to limit in its canonical form.
func parseCount(s string, limit int64) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= 1 && n <= limit && strconv.FormatInt(n, 10) == s
}
