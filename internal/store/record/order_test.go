package record_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/record"
)

var someOrders = []store.Order{
	{},
	{
		Product: "pack10", Quantity: 1, ReturnTo: "http://127.0.0.1/", State: store.OrderOpen,
		Terms:     map[string]entitlement.Terms{"pdt_1": {Credits: 10}},
		CreatedAt: time.Date(2026, time.May, 4, 12, 0, 0, 1_000_000, time.UTC), ExpiresAt: time.Date(2026, time.May, 5, 12, 0, 0, 0, time.UTC),
	},
	{
		Product: "pro", Quantity: 3, Email: "ann@example.com", State: store.OrderPaid, ReturnTo: "/?a=1&b=<2>",
		Terms: map[string]entitlement.Terms{
			"pdt_1": {Credits: 1 << 53, CreditsExpire: time.Hour, CreditsStay: true, Plan: "pro", Lasts: 24 * time.Hour},
			"pdt_2": {}, "pdt_3": {Plan: "pro"}, "pdt_4": {CreditsStay: true}, "pdt_5": {Lasts: -1},
		},
		SessionID: "cks_1", CheckoutURL: "https://example.com/cks_1", PaymentID: "pay_1",
	},
	{Terms: map[string]entitlement.Terms{}, Product: "a\"b", Email: "ä@example.com", State: "\n"},
}

// TestOrderComesBack: what was written of an order is read.
func TestOrderComesBack(t *testing.T) {
	for _, o := range someOrders {
		b, err := record.Order(o)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := record.ParseOrder(o.Account, o.ID, b); err != nil || !reflect.DeepEqual(back, o) {
			t.Errorf("%+v comes back as %+v, %v", o, back, err)
		}
	}
}

// FuzzParseOrder holds the short way to read an order to encoding/json.
func FuzzParseOrder(f *testing.F) {
	for _, o := range someOrders {
		b, err := record.Order(o)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var want store.Order
		wantErr := json.Unmarshal(b, &want)
		got, err := record.ParseOrder(want.Account, want.ID, b)
		if (err == nil) != (wantErr == nil) || err == nil && !reflect.DeepEqual(got, want) {
			t.Fatalf("%q is read as %+v, %v; want %+v, %v", b, got, err, want, wantErr)
		}
	})
}

func BenchmarkParseOrder(b *testing.B) {
	text, err := record.Order(someOrders[1])
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := record.ParseOrder("ann", "ord_1", text); err != nil {
			b.Fatal(err)
		}
	}
}
