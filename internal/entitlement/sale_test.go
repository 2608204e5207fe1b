package entitlement_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dodogate/dodogate/internal/entitlement"
)

// salesText is "id day product total-refunded" of each sale, in order.
func salesText(sales map[string]entitlement.DatedSale) string {
	var all []string
	for _, id := range slices.Sorted(maps.Keys(sales)) {
		s := sales[id]
		all = append(all, fmt.Sprintf("%s %s %s %d-%d", id, s.At.Format(time.DateOnly), s.Product, s.Total, s.Refunded))
	}
	return strings.Join(all, ", ")
}

// TestSales: a payment counts on its day and each refund on its own; what else was given back is
// taken from the payment.
func TestSales(t *testing.T) {
	on := func(p entitlement.Payment, day int) entitlement.Payment {
		for id, r := range p.Refunds {
			r.CreatedAt = noon.AddDate(0, 0, day)
			p.Refunds[id] = r
		}
		return p
	}
	pack := paid(line("pdt_pack", 1)) // 900 USD, at noon
	full := entitlement.Payment{RefundedFully: true}
	lost := entitlement.Payment{Disputes: map[string]entitlement.DisputeStatus{"d": entitlement.DisputeLost}}
	succeeded := entitlement.RefundSucceeded
	first, later := noon.Format(time.DateOnly), noon.AddDate(0, 0, 3).Format(time.DateOnly)
	for name, c := range map[string]struct {
		facts []entitlement.Payment
		want  string
	}{
		"a payment":                       {[]entitlement.Payment{pack}, "pay_1 " + first + " pdt_pack 900-0"},
		"a failed one":                    {[]entitlement.Payment{{Status: "failed", Total: 900, Cart: pack.Cart, CreatedAt: noon}}, ""},
		"two products":                    {[]entitlement.Payment{paid(line("pdt_pack", 1), line("pdt_odd", 2))}, "pay_1 " + first + " pdt_odd + pdt_pack 900-0"},
		"only a refund":                   {[]entitlement.Payment{on(refund("r", succeeded, 300, false), 3)}, ""},
		"a refund on a later day":         {[]entitlement.Payment{pack, on(refund("r", succeeded, 300, false), 3)}, "pay_1 " + first + " pdt_pack 900-0, r " + later + " pdt_pack 0-300"},
		"a refund that failed":            {[]entitlement.Payment{pack, on(refund("r", "failed", 300, false), 3)}, "pay_1 " + first + " pdt_pack 900-0"},
		"a refund without a day":          {[]entitlement.Payment{pack, refund("r", succeeded, 300, false)}, "pay_1 " + first + " pdt_pack 900-300"},
		"a full refund without a refund":  {[]entitlement.Payment{pack, full}, "pay_1 " + first + " pdt_pack 900-900"},
		"a full refund, then it is dated": {[]entitlement.Payment{pack, full, on(refund("r", succeeded, 0, true), 3)}, "pay_1 " + first + " pdt_pack 900-0, r " + later + " pdt_pack 0-900"},
		"refunds beyond the total": {[]entitlement.Payment{pack, on(refund("s", succeeded, 800, false), 0), on(refund("r", succeeded, 800, false), 3)},
			"pay_1 " + first + " pdt_pack 900-0, r " + later + " pdt_pack 0-100, s " + first + " pdt_pack 0-800"},
		"a refund, then a dispute is lost": {[]entitlement.Payment{pack, on(refund("r", succeeded, 300, false), 3), lost}, "pay_1 " + first + " pdt_pack 900-600, r " + later + " pdt_pack 0-300"},
	} {
		t.Run(name, func(t *testing.T) {
			var r entitlement.Record
			for _, fact := range c.facts {
				r.Payment = r.Payment.Merge(fact)
			}
			if got := salesText(r.Sales(payment1)); got != c.want {
				t.Errorf("sales are %q, want %q", got, c.want)
			}
		})
	}
}

// TestSalesAddUp: whatever is known, the sales of a payment are its total and what was given back.
func TestSalesAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := facts.Draw(t, "payment")
		p.Total, p.Subscription = p.Total+rapid.Int64Range(0, 5).Draw(t, "more"), ""
		sales := entitlement.Record{Payment: p}.Sales(payment1)
		if len(sales) == 0 {
			return
		}
		var total, refunded int64
		for id, s := range sales {
			if s.Refunded < 0 || s.Total < 0 || (s.Payment == "") != (id == payment1.ID) {
				t.Fatalf("%s: %+v", id, s)
			}
			total, refunded = total+s.Total, refunded+s.Refunded
		}
		want, _ := p.Refunded()
		for _, status := range p.Disputes {
			if status == entitlement.DisputeLost || status == entitlement.DisputeAccepted || status == entitlement.DisputeExpired {
				want = p.Total
			}
		}
		if total != p.Total || refunded != want {
			t.Fatalf("sales add up to %d, %d refunded; want %d and %d: %+v", total, refunded, p.Total, want, sales)
		}
	})
}
