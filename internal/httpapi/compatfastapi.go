package httpapi

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/gateway"
)

const fastAPIWebhook = "/payment/webhook"

// fastAPIRoutes are the routes of the hand-written integration in Python and FastAPI that
// sells one plan.
func (a *API) fastAPIRoutes() map[string]route {
	return map[string]route{
		"/payment/status":                  {method: http.MethodGet, serve: a.fastAPIStatus, writeProblem: writeFastAPIProblem},
		"/payment/create-checkout-session": {method: http.MethodPost, change: true, serve: a.fastAPICheckout, writeProblem: writeFastAPIProblem},
		"/payment/success":                 {method: http.MethodPost, change: true, serve: a.fastAPISuccess, writeProblem: writeFastAPIProblem},
		fastAPIWebhook:                     {method: http.MethodPost, serve: a.webhook(writeFastAPIProblem), writeProblem: writeFastAPIProblem},
	}
}

// visitorField is the integration's name for where a visitor came from (DataFast).
const visitorField = "datafast_visitor_id"

// fastAPIStatusAnswer is what GET /payment/status returns.
type fastAPIStatusAnswer struct {
	HasPaid          bool       `json:"has_paid"`
	PaymentDate      *time.Time `json:"payment_date"`
	SubscriptionPlan string     `json:"subscription_plan"`
	PlanExpiresAt    *time.Time `json:"plan_expires_at"`
}

// fastAPIStatus serves GET /payment/status. subscription_plan is the plan that gives access,
// or "pending_" and the plan of the newest checkout that can still be paid, or none.
func (a *API) fastAPIStatus(w http.ResponseWriter, r *http.Request) error {
	return serveJSON(w, r, func(ctx context.Context, who gateway.Identity) (fastAPIStatusAnswer, error) {
		// Read orders first: one that is paid between the two reads then appears twice
		// rather than not at all.
		waiting, err := a.shop.Pending(ctx, who.Account)
		if err != nil {
			return fastAPIStatusAnswer{}, err
		}
		now, err := a.accounts.Entitlement(ctx, who.Account)
		if err != nil {
			return fastAPIStatusAnswer{}, err
		}
		plan := now.Plan
		if len(now.Plans) == 0 {
			plan = cmp.Or(pendingPlan(waiting), now.Plan)
		}
		return fastAPIStatusAnswer{
			HasPaid: now.HasPaid, PaymentDate: orNull(now.PaymentDate),
			SubscriptionPlan: plan, PlanExpiresAt: orNull(now.PlanExpiresAt),
		}, nil
	})
}

// pendingPlan is "pending_" and the plan of the newest order for one; "" is none.
func pendingPlan(waiting []book.Order) string {
	for _, order := range waiting {
		for _, terms := range order.Terms {
			if terms.Plan != "" {
				return "pending_" + terms.Plan
			}
		}
	}
	return ""
}

// fastAPICheckout serves POST /payment/create-checkout-session:
//
//	{"plan": "monthly", "datafast_visitor_id": "…" or null} → {"checkout_url": "https://…", "plan": "monthly", "price": "$19"}
//
// The plan chooses a product of the catalog. The visitor's id is stored at Dodo.
func (a *API) fastAPICheckout(w http.ResponseWriter, r *http.Request) error {
	var wish compatRequest
	takes := fields{"plan": &wish.plan, visitorField: &wish.visitor}
	return a.compatCheckout(w, r, &wish, takes, func(ctx context.Context, order *book.Order) any {
		return struct {
			CheckoutURL string `json:"checkout_url"`
			Plan        string `json:"plan"`
			Price       string `json:"price"`
		}{order.CheckoutURL, wish.plan, a.priceTag(ctx, order.Product)}
	})
}

// fastAPISuccess serves POST /payment/success, which the front end sends when the customer
// returns. It asks Dodo about the customer's own orders. It does not even read the body,
// because nothing in it can be trusted.
func (a *API) fastAPISuccess(w http.ResponseWriter, r *http.Request) error {
	type answer struct {
		Status  string `json:"status"`
		Message string `json:"message"`
	}
	return serveJSON(w, r, func(ctx context.Context, who gateway.Identity) (answer, error) {
		now, _, err := a.events.ConfirmAccount(ctx, who.Account)
		switch {
		case err != nil:
			return answer{}, err
		case !now.HasPaid:
			return answer{"pending", "Payment is not confirmed yet"}, nil
		}
		return answer{"success", "Payment status updated"}, nil
	})
}

// fastAPIErrors are the integration's own answers, by the code of a problem. Other problems
// keep their status and sentence.
var fastAPIErrors = map[string]struct {
	status int
	detail string
}{
	"unauthenticated":           {http.StatusUnauthorized, "Not authenticated"},
	"account_invalid":           {http.StatusNotFound, "User not found"},
	"public_url_missing":        {http.StatusInternalServerError, notConfigured},
	"provider_rejected":         {http.StatusInternalServerError, notConfigured},
	"method_not_allowed":        {http.StatusMethodNotAllowed, "Method Not Allowed"},
	"webhook_signature_invalid": {http.StatusBadRequest, badSignature},
	"webhook_timestamp_stale":   {http.StatusBadRequest, badSignature},
	"webhook_malformed":         {http.StatusBadRequest, badSignature},
}

const (
	notConfigured = "Dodo Payments not configured"
	badSignature  = "Invalid webhook signature"
)

func writeFastAPIProblem(w http.ResponseWriter, _ *http.Request, p Problem) {
	status, detail := p.Status, p.Detail
	if own, ok := fastAPIErrors[p.Code]; ok {
		status, detail = own.status, own.detail
	}
	writeProblemAs(w, p, status, p.withAlternatives(map[string]any{"detail": detail}))
}

// priceTag is a product's price as the integration writes it, such as "$19"; "" if Dodo's
// price is unknown.
func (a *API) priceTag(ctx context.Context, product string) string {
	for _, o := range a.shop.Offers(ctx) {
		if o.Name == product && o.Priced {
			return priceTag(o.Price, o.Currency)
		}
	}
	return ""
}

var currencySigns = map[string]string{"USD": "$", "EUR": "€", "GBP": "£", "INR": "₹", "JPY": "¥"}

func priceTag(minor int64, currency string) string {
	text := gateway.Money(minor, currency)
	sign, known := currencySigns[currency]
	if !known {
		return text
	}
	amount, _, _ := strings.Cut(text, " ")
	return sign + strings.TrimSuffix(amount, ".00")
}
