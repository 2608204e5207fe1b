package httpapi

import (
	"net/http"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/gateway"
)

// productsAnswer is what GET /products returns.
type productsAnswer struct {
	Products []productAnswer `json:"products"`
}

// productAnswer is a product as everybody may see it. Periods are written as in the operator's
// configuration, "30d" or "36h0m0s".
type productAnswer struct {
	Product     string `json:"product"` // the name to buy it by
	Title       string `json:"title"`
	Description string `json:"description"`
	// Price in minor units of Currency; both null while Dodo's price is unknown.
	Price         *int64           `json:"price"`
	Currency      *string          `json:"currency"`
	Interval      *string          `json:"interval"`       // day, week, month or year; null: bought once, or unknown
	IntervalCount *int64           `json:"interval_count"` // number of intervals between two charges
	TrialDays     int64            `json:"trial_days"`     // free days at the beginning
	Credits       int64            `json:"credits"`        // for each piece
	CreditsEvery  *string          `json:"credits_every"`  // null: once, "month": for each month
	CreditsExpire *config.Duration `json:"credits_expire"` // null: never
	Plan          *string          `json:"plan"`           // null: no plan
	Lasts         *config.Duration `json:"lasts"`          // of the plan; null: no end
}

// products serves GET /products. It needs no login. Shared caches may keep it for a minute,
// because prices rarely change.
func (a *API) products(w http.ResponseWriter, r *http.Request) error {
	answer := productsAnswer{Products: []productAnswer{}}
	for _, o := range a.shop.Offers(r.Context()) {
		answer.Products = append(answer.Products, productOf(o))
	}
	w.Header().Set("Cache-Control", "public, max-age=60")
	return writeJSON(w, http.StatusOK, answer)
}

func productOf(o gateway.Offer) productAnswer {
	p := productAnswer{
		Product: o.Name, Title: o.Title, Description: o.Description,
		Credits: o.Credits, CreditsEvery: unlessZero(o.CreditsEvery), CreditsExpire: unlessZero(o.CreditsExpire),
		Plan: unlessZero(o.Plan), Lasts: unlessZero(o.Lasts),
	}
	if o.Priced {
		p.Price, p.Currency = &o.Price, unlessZero(o.Currency)
		p.Interval, p.IntervalCount, p.TrialDays = unlessZero(o.Every.Unit), unlessZero(o.Every.Count), o.TrialDays
	}
	return p
}

// unlessZero is nil, which is null in JSON, for the zero value.
func unlessZero[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}
