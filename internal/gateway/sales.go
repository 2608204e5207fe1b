package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// MaxSalesDays is how many days [Events.Sales] sums up at most.
const MaxSalesDays = 366

// maxSales is how many payments it sums up at most.
const maxSales = 1_000_000

// ErrSales says why sales cannot be summed up.
var ErrSales = errors.New("sales cannot be summed up")

// SalesReport is what was sold in some days.
type SalesReport struct {
	Products []ProductSales // in each currency, the product with the largest Net first
	Days     []DaySales     // all of them, the oldest first
	// Cut: there were more payments than are summed up. The oldest days are complete.
	Cut bool
}

// ProductSales are the sales of one product in one currency.
type ProductSales struct {
	Product  string // its name in the catalog, else Dodo's id; of a cart, those of all its products
	Currency string
	Payments int64
	Refunds  int64
	Quantity int64
	Amount
}

// Amount is money in minor units of a currency.
type Amount struct {
	Total    int64 `json:"total"`    // tax included
	Refunded int64 `json:"refunded"` // of Total, disputes that were lost included
}

// Net is what is left of the amount.
func (a Amount) Net() int64 { return a.Total - a.Refunded }

func (a *Amount) add(b Amount) { a.Total, a.Refunded = a.Total+b.Total, a.Refunded+b.Refunded }

// DaySales are the payments and refunds that were made on one UTC day. A dispute that was lost counts
// on the day of its payment, because Dodo does not say when it was lost.
type DaySales struct {
	Day      string // 2026-11-30
	Payments int64
	Refunds  int64
	Money    map[string]Amount // by currency
	// CreditsSold are the credits that purchases gave, less those that were taken back, and
	// CreditsSpent those that charges took, both on that day. A gateway that was killed may
	// lack some seconds.
	CreditsSold, CreditsSpent int64
}

// Sales sums up the last days, today included: at most [MaxSalesDays]. It returns [ErrSales], or
// that the store is unavailable.
func (e *Events) Sales(ctx context.Context, days int) (SalesReport, error) {
	switch {
	case e.days == nil:
		return SalesReport{}, fmt.Errorf("%w: this store keeps nothing by day", ErrSales)
	case days < 1 || days > MaxSalesDays:
		return SalesReport{}, fmt.Errorf("%w: the number of days must be 1 to %d", ErrSales, MaxSalesDays)
	}
	s := salesSum{events: e, products: make(map[[2]string]*ProductSales)}
	for today, i := e.clock().UTC(), days-1; i >= 0; i-- {
		if err := s.addDay(ctx, dayOf(today.AddDate(0, 0, -i))); err != nil {
			return SalesReport{}, fmt.Errorf("read sales: %w", err)
		}
	}
	for _, p := range s.products {
		s.done.Products = append(s.done.Products, *p)
	}
	slices.SortFunc(s.done.Products, func(a, b ProductSales) int {
		return cmp.Or(cmp.Compare(a.Currency, b.Currency), cmp.Compare(b.Net(), a.Net()), cmp.Compare(a.Product, b.Product))
	})
	return s.done, nil
}

// salesSum sums up sales.
type salesSum struct {
	events   *Events
	products map[[2]string]*ProductSales // by name and currency
	payments int
	done     SalesReport
}

func (s *salesSum) addDay(ctx context.Context, day string) error {
	sum := DaySales{Day: day, Money: make(map[string]Amount)}
	counted := make(map[string]bool) // a page may repeat a payment
	err := s.events.readDay(ctx, book.DailySales, day, func(d book.Daily) bool {
		var sale entitlement.Sale
		if counted[d.Name] || json.Unmarshal([]byte(d.Value), &sale) != nil || sale == (entitlement.Sale{}) {
			return true // statistics do without what cannot be read
		}
		if s.payments++; s.payments > maxSales {
			s.done.Cut = true
			return false
		}
		counted[d.Name] = true
		s.add(&sum, sale)
		return true
	})
	if err != nil {
		return err
	}
	totals := make(map[string]creditsOfDay)
	err = s.events.readDay(ctx, book.DailyCredits, day, func(d book.Daily) bool {
		var t creditsOfDay
		if json.Unmarshal([]byte(d.Value), &t) == nil {
			totals[d.Name] = t
		}
		return true
	})
	for _, t := range totals {
		sum.CreditsSold, sum.CreditsSpent = sum.CreditsSold+t.Sold, sum.CreditsSpent+t.Spent
	}
	s.done.Days = append(s.done.Days, sum)
	return err
}

func (s *salesSum) add(day *DaySales, sale entitlement.Sale) {
	amount := Amount{Total: sale.Total, Refunded: sale.Refunded}
	money := day.Money[sale.Currency]
	money.add(amount)
	day.Money[sale.Currency] = money
	payments, refunds := int64(1), int64(0)
	if sale.Payment != "" {
		payments, refunds = 0, 1
	}
	day.Payments, day.Refunds = day.Payments+payments, day.Refunds+refunds
	key := [2]string{s.events.productNames(sale.Product), sale.Currency}
	p := s.products[key]
	if p == nil {
		p = &ProductSales{Product: key[0], Currency: key[1]}
		s.products[key] = p
	}
	p.Payments, p.Refunds, p.Quantity = p.Payments+payments, p.Refunds+refunds, p.Quantity+sale.Quantity
	p.add(amount)
}

// productNames are the names that the catalog has for ids of Dodo.
func (e *Events) productNames(ids string) string {
	names := strings.Split(ids, " + ")
	for i, id := range names {
		if p, known := e.catalog.ByID(id); known {
			names[i] = p.Name
		}
	}
	return strings.Join(names, " + ")
}

const dayPage = 1000

// readDay shows each value of a day, until show returns false.
func (e *Events) readDay(ctx context.Context, of book.DailyKind, day string, show func(book.Daily) bool) error {
	for after := ""; ; {
		rows, next, err := e.days.Day(ctx, of, day, after, dayPage)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if !show(row) {
				return nil
			}
		}
		if after = next; next == "" {
			return ctx.Err()
		}
	}
}

// SalesVerdict says in a sentence which product made most.
func SalesVerdict(s SalesReport, days int) string {
	span := "today"
	if days > 1 {
		span = fmt.Sprintf("in the last %d days", days)
	}
	var best []string
	said := make(map[string]bool) // by currency
	for _, p := range s.Products {
		if p.Payments > 0 && !said[p.Currency] { // what was only refunded has made nothing
			said[p.Currency] = true
			best = append(best, fmt.Sprintf("%s made most: %s with %s", p.Product, Money(p.Net(), p.Currency), counted(p.Payments, "payment")))
		}
	}
	if len(best) == 0 {
		return "Nothing was sold " + span + "."
	}
	return strings.ToUpper(span[:1]) + span[1:] + ", " + strings.Join(best, "; ") + "."
}

func counted(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
