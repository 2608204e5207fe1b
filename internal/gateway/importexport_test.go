package gateway_test

import (
	"slices"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/gateway"
)

// TestExportHasImportedIDs: nothing else of an account has ids of which Dodo said nothing
// yet, and a store that imports the export must know them.
func TestExportHasImportedIDs(t *testing.T) {
	each(t, settings{products: oldProducts}, func(t *testing.T, w *world) {
		at := time.Now().Add(-48 * time.Hour)
		w.changes(1, gateway.ImportRow{
			Account: "ann", Customers: []string{"cus_2"}, Subscriptions: []string{"sub_1"},
			Payments: []gateway.ImportedPayment{{ID: "pay_2"}, {ID: "pay_dated", At: at}},
		})
		again := gateway.ImportRow{Account: "ann", Customers: []string{"cus_1", "cus_2"}, Payments: []gateway.ImportedPayment{{ID: "pay_1"}}}
		w.changes(1, again)
		w.changes(0, again)
		var accounts []gateway.Exported
		for after := ""; ; {
			page, _, next, err := w.Export(t.Context(), after, 10) // may be empty, and have an account again
			must(t, err)
			accounts = append(accounts, page...)
			if after = next; next == "" {
				break
			}
		}
		if len(accounts) == 0 {
			t.Fatal("no account")
		}
		got := accounts[0].Import
		for _, ids := range []struct{ got, want []string }{
			{got.Customers, []string{"cus_1", "cus_2"}}, {got.Subscriptions, []string{"sub_1"}}, {got.Payments, []string{"pay_1", "pay_2"}},
		} {
			if !slices.Equal(ids.got, ids.want) {
				t.Errorf("got %q, want %q", ids.got, ids.want)
			}
		}
		if !accounts[0].Standings["payment:pay_dated"].Paid {
			t.Error("the payment with a date has no standing")
		}
	})
}
