package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/dodogate/dodogate/internal/gateway"
)

// checkoutAnswer is what POST /checkout returns.
type checkoutAnswer struct {
	OrderID     string    `json:"order_id"`
	SessionID   string    `json:"session_id"`
	CheckoutURL string    `json:"checkout_url"` // where to send the customer
	Product     string    `json:"product"`
	ExpiresAt   time.Time `json:"expires_at"` // of the checkout session
}

const (
	quantityField = "quantity"
	metadataField = "metadata"
)

// checkout serves POST /checkout:
//
//	{"product": "pack10"}            a product by its name; or instead
//	{"credits": 10}, {"plan": "pro"} the one product that fits; and, optional,
//	 "quantity": 1                   whole number from 1 to 1000
//	 "return_to": "https://…"        where to land afterwards, if the site allows it
//	 "discount_code": "…"
//	 "metadata": {"ref": "…"}        stored at Dodo; only names that the site lists
//
// There are no other fields: price, product id, amounts and account never come from the
// client. A repeated request with the same Idempotency-Key gets the first answer.
func (a *API) checkout(w http.ResponseWriter, r *http.Request) error {
	req, err := a.checkoutRequest(r)
	if err != nil {
		return err
	}
	takes, noted := checkoutFields(req), newMetadataFields(a.metadata.Names)
	if len(noted) > 0 {
		takes[metadataField] = noted.fields()
	}
	return serveChange(a, w, r, change[*checkoutAnswer]{
		accepts: takes,
		apply: func(ctx context.Context, who gateway.Identity) (*checkoutAnswer, error) {
			req.Metadata = noted.values()
			order, err := a.shop.Checkout(ctx, who, *req)
			if err != nil {
				return nil, err
			}
			return &checkoutAnswer{
				OrderID: order.ID, SessionID: order.SessionID, CheckoutURL: order.CheckoutURL,
				Product: order.Product, ExpiresAt: order.ExpiresAt.UTC(),
			}, nil
		},
		status:     http.StatusCreated,
		redirectTo: func(made *checkoutAnswer) string { return made.CheckoutURL },
	})
}

// checkoutRequest reads what a request says outside its body.
func (a *API) checkoutRequest(r *http.Request) (*gateway.CheckoutRequest, error) {
	key, err := IdempotencyKey(r.Header)
	if err != nil {
		return nil, err
	}
	return &gateway.CheckoutRequest{
		Quantity: 1, IdempotencyKey: key,
		Scheme: scheme(r), Host: r.Host, BasePath: a.base.path, Site: a.site,
		Attribution: a.metadata.of(r),
	}, nil
}

func checkoutFields(req *gateway.CheckoutRequest) fields {
	return fields{
		"product": &req.Product, "credits": &req.Credits, "plan": &req.Plan,
		quantityField: &req.Quantity, "return_to": &req.ReturnTo, "discount_code": &req.DiscountCode,
	}
}

func scheme(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}
