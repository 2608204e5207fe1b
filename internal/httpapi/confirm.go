package httpapi

import (
	"context"
	"net/http"
	"net/url"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/gateway"
)

// orderAnswer is how an order stands. POST /confirm and GET /return give it.
type orderAnswer struct {
	OrderID  string          `json:"order_id"`
	Status   book.OrderState `json:"status"` // open, paid, failed or cancelled
	Product  string          `json:"product"`
	ReturnTo string          `json:"return_to"`
}

// confirm serves POST /confirm: {"order_id": "ord_…"}. Dodo is asked and what
// Dodo says is applied; that somebody asks grants nothing. Orders of others and
// orders that never were are the same 404.
func (a *API) confirm(w http.ResponseWriter, r *http.Request) error {
	var id string
	return serveChange(a, w, r, change[orderAnswer]{
		takes: fields{"order_id": &id},
		run: func(ctx context.Context, who gateway.Identity) (orderAnswer, error) {
			if id == "" {
				return orderAnswer{}, refuse(errRequest, "order_id is missing.")
			}
			return a.confirmed(ctx, who, id)
		},
		status: http.StatusOK,
		next: func(o orderAnswer) string {
			return a.base.link("/return", url.Values{orderParam: {o.OrderID}})
		},
	})
}

func (a *API) confirmed(ctx context.Context, who gateway.Identity, id string) (orderAnswer, error) {
	order, err := a.events.Confirm(ctx, who.Account, id)
	if err != nil {
		return orderAnswer{}, err
	}
	return answerOf(order), nil
}

func answerOf(order book.Order) orderAnswer {
	return orderAnswer{OrderID: order.ID, Status: order.State, Product: order.Product, ReturnTo: order.ReturnTo}
}
