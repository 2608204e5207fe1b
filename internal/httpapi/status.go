package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
)

// statusAnswer is what GET /status returns. Times are RFC 3339 in UTC, or null.
type statusAnswer struct {
	Account       string                 `json:"account"`
	Credits       int64                  `json:"credits"`
	HasPaid       bool                   `json:"has_paid"`
	Plan          string                 `json:"plan"` // "none" without access
	PlanStatus    entitlement.PlanStatus `json:"plan_status"`
	PlanExpiresAt *time.Time             `json:"plan_expires_at"`
	PaymentDate   *time.Time             `json:"payment_date"`
	Features      []string               `json:"features"` // sorted
	Pending       []pendingOrder         `json:"pending"`  // newest first
}

// pendingOrder is an order that can still be paid. state is failed or cancelled
// when the last attempt was.
type pendingOrder struct {
	OrderID     string           `json:"order_id"`
	Product     string           `json:"product"`
	Quantity    int64            `json:"quantity"`
	State       store.OrderState `json:"state"`
	CheckoutURL string           `json:"checkout_url"`
	CreatedAt   time.Time        `json:"created_at"`
	ExpiresAt   time.Time        `json:"expires_at"`
}

// status serves GET /status, the account of whoever is signed in.
func (a *API) status(w http.ResponseWriter, r *http.Request) error {
	return serveJSON(w, r, a.statusOf)
}

func (a *API) statusOf(ctx context.Context, who gateway.Identity) (statusAnswer, error) {
	// Orders first: one that is paid in between is then in both, not in neither.
	orders, err := a.gateway.Pending(ctx, who.Account)
	if err != nil {
		return statusAnswer{}, err
	}
	now, err := a.gateway.Entitlement(ctx, who.Account)
	if err != nil {
		return statusAnswer{}, err
	}
	answer := statusAnswer{
		Account: who.Account, Credits: now.Credits, HasPaid: now.HasPaid,
		Plan: now.Plan, PlanStatus: now.PlanStatus,
		PlanExpiresAt: orNull(now.PlanExpiresAt), PaymentDate: orNull(now.PaymentDate),
		Features: append([]string{}, now.Features...), // never null
		Pending:  make([]pendingOrder, 0, len(orders)),
	}
	for _, o := range orders {
		answer.Pending = append(answer.Pending, pendingOrder{
			OrderID: o.ID, Product: o.Product, Quantity: o.Quantity, State: o.State,
			CheckoutURL: o.CheckoutURL, CreatedAt: o.CreatedAt.UTC(), ExpiresAt: o.ExpiresAt.UTC(),
		})
	}
	return answer, nil
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC())
}
