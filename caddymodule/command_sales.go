package caddymodule

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dodogate/dodogate/internal/gateway"
)

func salesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sales",
		Short: "Shows what was sold, by product and by day",
		Long: `Shows what was sold in the last days, today included, by product and by day. Days are
UTC. Amounts include taxes. A refund counts on its own day, under the product that was
paid; a dispute that was lost counts on the day of its payment.

Credits are what purchases gave, less those taken back, and what requests spent. A
gateway that was killed may lack the last seconds of them.`,
		Example: examples("sales", "sales --days 30"),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, printed, err := call[salesView](cmd, http.MethodGet, "/dodo/sales", url.Values{"days": {flagText(cmd, "days")}})
			if err != nil || printed {
				return err
			}
			return printSales(cmd, v)
		},
	}
	cmd.Flags().Int("days", salesDays, fmt.Sprintf("How many days, at most %d", gateway.MaxSalesDays))
	return cmd
}

func printSales(cmd *cobra.Command, v salesView) error {
	out := cmd.OutOrStdout()
	_, _ = fmt.Fprintf(out, "%s\n\n", printable(v.Verdict))
	if v.Cut {
		_, _ = fmt.Fprintln(out, "There were more payments than are summed up. Ask for fewer days.")
	}
	if len(v.Products) > 0 {
		t := newTable(out)
		t.row("PRODUCT", "PAYMENTS", "REFUNDS", "QUANTITY", "TOTAL", "REFUNDED", "NET")
		for _, p := range v.Products {
			t.row(p.Product, p.Payments, p.Refunds, p.Quantity, gateway.Money(p.Total, p.Currency), gateway.Money(p.Refunded, p.Currency), gateway.Money(p.Net, p.Currency))
		}
		if err := t.print(); err != nil {
			return err
		}
		_, _ = fmt.Fprintln(out)
	}
	t := newTable(out)
	t.row("DAY", "PAYMENTS", "REFUNDS", "TOTAL", "REFUNDED", "NET", "CREDITS SOLD", "CREDITS SPENT")
	for _, d := range v.Days {
		t.row(d.Day, d.Payments, d.Refunds, moneyOf(d.Money, total), moneyOf(d.Money, refunded),
			moneyOf(d.Money, gateway.Amount.Net), d.CreditsSold, d.CreditsSpent)
	}
	return t.print()
}

func total(a gateway.Amount) int64    { return a.Total }
func refunded(a gateway.Amount) int64 { return a.Refunded }

// moneyOf is one part of amounts, in each currency.
func moneyOf(money map[string]gateway.Amount, part func(gateway.Amount) int64) string {
	var all []string
	for _, currency := range slices.Sorted(maps.Keys(money)) {
		all = append(all, gateway.Money(part(money[currency]), currency))
	}
	return strings.Join(all, ", ")
}
