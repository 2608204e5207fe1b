package httpapi

import (
	"context"
	"net/http"
	"net/url"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/gateway"
)

// orderAnswer is the state of an order, as POST /confirm and GET /return return it.
type orderAnswer struct {
	OrderID  string          `json:"order_id"`
	Status   book.OrderState `json:"status"` // open, paid, failed or cancelled
	Product  string          `json:"product"`
	ReturnTo string          `json:"return_to"`
}

// confirm serves POST /confirm: {"order_id": "ord_…"}. It asks Dodo and applies Dodo's
// answer; the request itself grants nothing. Orders of others and orders that never existed
// give the same 404.
func (a *API) confirm(w http.ResponseWriter, r *http.Request) error {
	var id string
	return serveChange(a, w, r, change[orderAnswer]{
		accepts: fields{"order_id": &id},
		apply: func(ctx context.Context, who gateway.Identity) (orderAnswer, error) {
			if id == "" {
				return orderAnswer{}, refuse(errRequest, "order_id is missing.")
			}
			return a.confirmed(ctx, who, id)
		},
		status: http.StatusOK,
		redirectTo: func(o orderAnswer) string {
			return a.base.link("/return", url.Values{orderParam: {o.OrderID}})
		},
	})
}

func (a *API) confirmed(ctx context.Context, who gateway.Identity, id string) (orderAnswer, error) {
	order, err := a.events.Confirm(ctx, who.Account, id)
	if err != nil {
		return orderAnswer{}, err
	}
	return orderAnswerOf(order), nil
}

func orderAnswerOf(order book.Order) orderAnswer {
	return orderAnswer{OrderID: order.ID, Status: order.State, Product: order.Product, ReturnTo: order.ReturnTo}
}
