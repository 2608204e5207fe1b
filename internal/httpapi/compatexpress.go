package httpapi

import (
	"context"
	"net/http"

	"github.com/dodogate/dodogate/internal/book"
)

const expressWebhook = "/api/payments/webhook"

// The routes of the hand-written integration in Node and Express that sells credits.
func (a *API) expressRoutes() map[string]route {
	return map[string]route{
		"/api/payments/create-checkout": {method: http.MethodPost, change: true, serve: a.expressCheckout, say: sayExpress},
		expressWebhook:                  {method: http.MethodPost, serve: a.webhook(sayExpress), say: sayExpress},
	}
}

// expressCheckout serves POST /api/payments/create-checkout:
//
//	{"credits": 10, "userId": "abc-123"} → {"checkoutUrl": "https://…"}
//
// The credits choose a product of the catalog, at its price. Who buys is who is signed in,
// whatever userId says, and there is no answer without an address.
func (a *API) expressCheckout(w http.ResponseWriter, r *http.Request) error {
	var wish compatWish
	return a.compatCheckout(w, r, &wish, fields{"credits": &wish.credits}, func(_ context.Context, order *book.Order) any {
		return struct {
			CheckoutURL string `json:"checkoutUrl"`
		}{order.CheckoutURL}
	})
}

// sayExpress says what went wrong as the integration's banner shows it.
func sayExpress(w http.ResponseWriter, _ *http.Request, p Problem) {
	sayAs(w, p, p.Status, p.withWays(map[string]any{"error": p.Detail, "code": p.Code}))
}
