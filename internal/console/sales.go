package console

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/dodogate/dodogate/internal/gateway"
)

// salesPage is the data of sales.html.
type salesPage struct {
	Verdict  string
	Days     int
	Spans    []int // that can be chosen instead
	Products []gateway.ProductSales
	ByDay    []gateway.DaySales // the newest first
	Charts   []chart
	Cut      bool
}

const salesDays = 30

func showSales(r *request) (view, error) {
	days := salesDays
	if text := r.input.Get("days"); text != "" {
		var err error
		if days, err = strconv.Atoi(text); err != nil {
			return view{}, fmt.Errorf("%w: days must be a whole number", errInput)
		}
	}
	sales, err := r.Events.Sales(r.Context(), days)
	if err != nil {
		return view{}, err
	}
	p := salesPage{
		Verdict: gateway.SalesVerdict(sales, days), Days: days, Spans: []int{7, 30, 90, 365},
		Products: sales.Products, Charts: chartsOf(sales.Days), Cut: sales.Cut,
	}
	p.ByDay = slices.Clone(sales.Days)
	slices.Reverse(p.ByDay)
	return view{Title: "Sales", page: "sales.html", Data: p}, nil
}

// chart is a chart of bars, one for each day. Lengths are in units of its own, which the page
// scales.
type chart struct {
	Title     string
	Most      string // the value of the tallest bar
	From, To  string // days
	Width     int
	Bars      []bar
	Legend    []string // of the series
	Described string
}

// bar is a bar of a chart.
type bar struct {
	X, Y, Width, Height int
	Series              int // 0 or 1
	Label               string
}

const (
	chartHeight = 120
	dayWidth    = 20
)

// chartsOf are a chart of the money in each currency, and one of the credits.
func chartsOf(days []gateway.DaySales) []chart {
	currencies := make(map[string]bool)
	for _, d := range days {
		for currency := range d.Money {
			currencies[currency] = true
		}
	}
	var charts []chart
	for _, currency := range slices.Sorted(maps.Keys(currencies)) {
		charts = append(charts, newChart("Money in "+cmp.Or(currency, "an unknown currency"), days, []string{"sold", "refunded"},
			func(n int64) string { return gateway.Money(n, currency) },
			func(d gateway.DaySales) []int64 { return []int64{d.Money[currency].Total, d.Money[currency].Refunded} }))
	}
	return append(charts, newChart("Credits", days, []string{"sold", "spent"},
		func(n int64) string { return strconv.FormatInt(n, 10) },
		func(d gateway.DaySales) []int64 { return []int64{d.CreditsSold, d.CreditsSpent} }))
}

// newChart draws the values of days, one for each name of the legend.
func newChart(title string, days []gateway.DaySales, legend []string, show func(int64) string, values func(gateway.DaySales) []int64) chart {
	c := chart{Title: title, Width: dayWidth * len(days), Legend: legend}
	var most int64
	for _, d := range days {
		most = max(most, slices.Max(values(d)))
	}
	for i, d := range days {
		of := values(d)
		width := (dayWidth - 4) / len(of)
		for series, n := range of {
			b := bar{
				X: i*dayWidth + 2 + series*width, Width: width, Series: series,
				Label: d.Day + ": " + show(n) + " " + legend[series],
			}
			if n > 0 {
				b.Height = max(1, int(float64(n)/float64(most)*chartHeight))
			}
			b.Y = chartHeight - b.Height
			c.Bars = append(c.Bars, b)
		}
	}
	c.From, c.To, c.Most = days[0].Day, days[len(days)-1].Day, show(most)
	c.Described = fmt.Sprintf("%s by day from %s to %s. At most %s in a day. The table below has all values.", title, c.From, c.To, c.Most)
	return c
}
