package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
)

// statusAnswer is what GET /status returns. Times are RFC 3339 in UTC, or null.
type statusAnswer struct {
	Account       string                 `json:"account"`
	Credits       int64                  `json:"credits"`
	Owed          int64                  `json:"owed"` // debt, which new credits pay first
	HasPaid       bool                   `json:"has_paid"`
	Plan          string                 `json:"plan"`  // the highest; "none" if no plan gives access
	Plans         []string               `json:"plans"` // all plans that give access, highest first
	PlanStatus    entitlement.PlanStatus `json:"plan_status"`
	PlanExpiresAt *time.Time             `json:"plan_expires_at"`
	PaymentDate   *time.Time             `json:"payment_date"`
	Features      []string               `json:"features"`        // sorted
	Seats         *int64                 `json:"seats,omitempty"` // only if a product of the catalog gives seats
	Pending       []pendingOrder         `json:"pending"`         // newest first
}

// pendingOrder is an order that can still be paid; state is failed or cancelled if its last
// attempt was. Without a checkout_url the order is paid, and its effect has not arrived yet.
type pendingOrder struct {
	OrderID     string          `json:"order_id"`
	Product     string          `json:"product"`
	Quantity    int64           `json:"quantity"`
	State       book.OrderState `json:"state"`
	CheckoutURL string          `json:"checkout_url"`
	CreatedAt   time.Time       `json:"created_at"`
	ExpiresAt   time.Time       `json:"expires_at"`
}

// maxWait is the longest effective ?wait=.
const maxWait = time.Minute

// status serves GET /status of the signed-in account. With ?wait= it answers when the status
// differs from the one that If-None-Match names or, without If-None-Match, from the one at the
// beginning of the request.
func (a *API) status(w http.ResponseWriter, r *http.Request) error {
	who, err := signedIn(r.Context())
	if err != nil {
		return err
	}
	wait, err := readWait(r.URL.Query())
	if err != nil {
		return err
	}
	known := r.Header.Values("If-None-Match")
	body, tag, err := a.awaitStatus(r.Context(), who, known, wait)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "no-store")
	if matchesTag(known, tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return writeJSON(w, http.StatusOK, body)
}

// awaitStatus reads the status until it differs from what the client has, or time is up.
func (a *API) awaitStatus(ctx context.Context, who gateway.Identity, known []string, wait time.Duration) (json.RawMessage, string, error) {
	if wait <= 0 {
		return a.taggedStatus(ctx, who)
	}
	waiting, err := a.accounts.Await(who.Account) // before reading, so that no change is missed
	if err != nil {
		return nil, "", err
	}
	defer waiting.Stop()
	limited, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	body, tag, err := a.taggedStatus(ctx, who)
	if len(known) == 0 {
		known = []string{tag}
	}
	for err == nil && matchesTag(known, tag) && waiting.Next(limited) {
		body, tag, err = a.taggedStatus(ctx, who)
	}
	return body, tag, err
}

// taggedStatus is the status with an ETag of its content. A client with the same tag has the
// same content.
func (a *API) taggedStatus(ctx context.Context, who gateway.Identity) (json.RawMessage, string, error) {
	answer, err := a.statusOf(ctx, who)
	if err != nil {
		return nil, "", err
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return nil, "", fmt.Errorf("encode status: %w", err)
	}
	digest := sha256.Sum256(body)
	return body, `W/"` + base64.RawURLEncoding.EncodeToString(digest[:15]) + `"`, nil
}

// matchesTag reports whether If-None-Match names the tag. The tag is weak, so that a proxy may
// compress the answer without changing it (RFC 9110, 13.1.2).
func matchesTag(lines []string, tag string) bool {
	for _, line := range lines {
		for listed := range strings.SplitSeq(line, ",") {
			listed = strings.TrimPrefix(strings.TrimSpace(listed), "W/")
			if "W/"+listed == tag || listed == "*" {
				return true
			}
		}
	}
	return false
}

// readWait is how long the client wants to wait: a duration such as 30s, at most maxWait; 0 if
// it does not say.
func readWait(query url.Values) (time.Duration, error) {
	values := query["wait"]
	if len(values) == 0 {
		return 0, nil
	}
	wait, err := time.ParseDuration(values[0])
	if err != nil || wait < 0 || len(values) > 1 {
		return 0, refuse(errRequest, "wait must be one period of time, such as 30s.")
	}
	return min(wait, maxWait), nil
}

func (a *API) statusOf(ctx context.Context, who gateway.Identity) (statusAnswer, error) {
	// Read orders first: one that is paid between the two reads then appears twice rather
	// than not at all.
	orders, err := a.shop.Pending(ctx, who.Account)
	if err != nil {
		return statusAnswer{}, err
	}
	now, err := a.accounts.View(ctx, who.Account)
	if err == nil && now.Untold() {
		orders, now, err = a.withAwaitedOrders(ctx, who.Account, orders)
	}
	if err != nil {
		return statusAnswer{}, err
	}
	answer := statusAnswer{
		Account: who.Account, Credits: now.Credits, Owed: now.Debt, HasPaid: now.HasPaid,
		Plan: now.Plan, Plans: now.PlanNames(), PlanStatus: now.PlanStatus,
		PlanExpiresAt: orNull(now.PlanExpiresAt), PaymentDate: orNull(now.PaymentDate),
		Features: append([]string{}, now.Features...), // never null
		Pending:  make([]pendingOrder, 0, len(orders)),
	}
	if a.shop.Catalog().HasSeats() {
		answer.Seats = &now.Seats
	}
	for _, o := range orders {
		answer.Pending = append(answer.Pending, pendingOrder{
			OrderID: o.ID, Product: o.Product, Quantity: o.Quantity, State: o.State,
			CheckoutURL: o.CheckoutURL, CreatedAt: o.CreatedAt.UTC(), ExpiresAt: o.ExpiresAt.UTC(),
		})
	}
	return answer, nil
}

// withAwaitedOrders adds the paid orders whose effect has not arrived yet. It reads them
// before the account, for the same reason.
func (a *API) withAwaitedOrders(ctx context.Context, account string, orders []book.Order) ([]book.Order, *gateway.View, error) {
	paid, err := a.shop.Unfulfilled(ctx, account)
	if err != nil {
		return nil, nil, err
	}
	orders = slices.SortedStableFunc(slices.Values(append(paid, orders...)), func(a, b book.Order) int { return b.CreatedAt.Compare(a.CreatedAt) })
	orders = slices.CompactFunc(orders, func(a, b book.Order) bool { return a.ID == b.ID })
	now, err := a.accounts.View(ctx, account)
	return orders, now, err
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC())
}
