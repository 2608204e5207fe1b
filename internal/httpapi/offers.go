package httpapi

import (
	"cmp"
	"fmt"
	"net/http"

	"github.com/dodogate/dodogate/internal/gateway"
)

// offerAnswer is a product that would satisfy a requirement, with the request
// that buys it. price is for each of quantity pieces.
type offerAnswer struct {
	productAnswer
	Quantity int64        `json:"quantity"`
	Request  offerRequest `json:"request"`
}

type offerRequest struct {
	Method string    `json:"method"`
	URL    string    `json:"url"` // on this site
	Body   offerBody `json:"body"`
}

type offerBody struct {
	Product  string `json:"product"`
	Quantity int64  `json:"quantity"`
}

const checkoutRoute = "/checkout"

// offers are the products of the catalog in its order, of which as many pieces as are
// named would have satisfied the request.
func (a *API) offers(no Refusal, catalog []gateway.Offer) []offerAnswer {
	var offers []offerAnswer
	for _, o := range catalog {
		quantity := no.Needs.Pieces(o.Product, o.Features, no.Has)
		if quantity == 0 {
			continue
		}
		offers = append(offers, offerAnswer{
			productAnswer: productOf(o), Quantity: quantity,
			Request: offerRequest{
				Method: http.MethodPost, URL: a.base.links + checkoutRoute,
				Body: offerBody{Product: o.Name, Quantity: quantity},
			},
		})
	}
	return offers
}

// Label is what the offer's button says.
func (o offerAnswer) Label() string {
	label := cmp.Or(o.Title, o.Product)
	if o.Quantity > 1 {
		label = fmt.Sprintf("%d × %s", o.Quantity, label)
	}
	if o.Price != nil && o.Currency != nil {
		label += ", " + money(*o.Price*o.Quantity, *o.Currency)
	}
	return label
}

// minorDigits are how many digits a currency has behind the point where that is
// not two (ISO 4217).
var minorDigits = map[string]int{
	"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0,
	"UGX": 0, "UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
	"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
}

// money writes an amount of minor units for people.
func money(minor int64, currency string) string {
	digits, odd := minorDigits[currency]
	if !odd {
		digits = 2
	}
	unit := int64(1)
	for range digits {
		unit *= 10
	}
	if digits == 0 {
		return fmt.Sprintf("%d %s", minor, currency)
	}
	return fmt.Sprintf("%d.%0*d %s", minor/unit, digits, minor%unit, currency)
}
