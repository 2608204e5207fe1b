package httpapi

import (
	"context"
	"net/http"

	"github.com/dodogate/dodogate/internal/book"
)

const expressWebhook = "/api/payments/webhook"

// expressRoutes are the routes of the hand-written integration in Node and Express that sells
// credits.
func (a *API) expressRoutes() map[string]route {
	return map[string]route{
		"/api/payments/create-checkout": {method: http.MethodPost, change: true, serve: a.expressCheckout, writeProblem: writeExpressProblem},
		expressWebhook:                  {method: http.MethodPost, serve: a.webhook(writeExpressProblem), writeProblem: writeExpressProblem},
	}
}

// expressCheckout serves POST /api/payments/create-checkout:
//
//	{"credits": 10, "userId": "abc-123"} → {"checkoutUrl": "https://…"}
//
// The credits choose a product of the catalog, at its price. The buyer is always the signed-in
// account, whatever userId says. A successful answer always has an address.
func (a *API) expressCheckout(w http.ResponseWriter, r *http.Request) error {
	var wish compatRequest
	return a.compatCheckout(w, r, &wish, fields{"credits": &wish.credits}, func(_ context.Context, order *book.Order) any {
		return struct {
			CheckoutURL string `json:"checkoutUrl"`
		}{order.CheckoutURL}
	})
}

// writeExpressProblem writes a problem as the integration's banner shows it.
func writeExpressProblem(w http.ResponseWriter, _ *http.Request, p Problem) {
	writeProblemAs(w, p, p.Status, p.withAlternatives(map[string]any{"error": p.Detail, "code": p.Code}))
}
