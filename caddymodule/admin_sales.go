package caddymodule

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/dodogate/dodogate/internal/gateway"
)

// salesView is what was sold in some days.
type salesView struct {
	Verdict  string             `json:"verdict"` // which product made most, in one sentence
	Products []productSalesView `json:"products"`
	Days     []daySalesView     `json:"days"`          // the oldest first
	Cut      bool               `json:"cut,omitempty"` // there were more payments than are summed up
}

// productSalesView is what was sold of a product, in minor units of one currency.
type productSalesView struct {
	Product  string `json:"product"`
	Currency string `json:"currency"`
	Payments int64  `json:"payments"`
	Refunds  int64  `json:"refunds"`
	Quantity int64  `json:"quantity"`
	gateway.Amount
	Net int64 `json:"net"`
}

// daySalesView is what was sold on a UTC day.
type daySalesView struct {
	Day          string                    `json:"day"`
	Payments     int64                     `json:"payments"`
	Refunds      int64                     `json:"refunds"`
	Money        map[string]gateway.Amount `json:"money"` // by currency, in minor units
	CreditsSold  int64                     `json:"credits_sold"`
	CreditsSpent int64                     `json:"credits_spent"`
}

const salesDays = 7

// showSales serves GET /dodo/sales.
func showSales(a *App, r *http.Request) (any, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(values) > 1 || len(values) == 1 && len(values["days"]) != 1 {
		return nil, fmt.Errorf("%w: the only parameter is days", errAdminRequest)
	}
	days := salesDays
	if values.Has("days") {
		if days, err = strconv.Atoi(values.Get("days")); err != nil {
			return nil, fmt.Errorf("%w: days must be a whole number", errAdminRequest)
		}
	}
	sales, err := a.events.Sales(r.Context(), days)
	if err != nil {
		return nil, err
	}
	return salesView{
		Verdict: gateway.SalesVerdict(sales, days), Cut: sales.Cut,
		Products: viewsOf(sales.Products, func(p gateway.ProductSales) productSalesView {
			return productSalesView{p.Product, p.Currency, p.Payments, p.Refunds, p.Quantity, p.Amount, p.Net()}
		}),
		Days: viewsOf(sales.Days, func(d gateway.DaySales) daySalesView {
			return daySalesView{d.Day, d.Payments, d.Refunds, d.Money, d.CreditsSold, d.CreditsSpent}
		}),
	}, nil
}
