package entitlement_test

import (
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
)

func benchRecords() map[string]entitlement.Record {
	at := time.Date(2026, time.May, 4, 12, 0, 0, 123_000_000, time.UTC)
	return map[string]entitlement.Record{
		"payment": {
			Payment: entitlement.Payment{
				Status: entitlement.PaymentSucceeded, Total: 500, Currency: "USD", CreatedAt: at,
				Cart: []entitlement.Line{{ProductID: "pdt_e9mUw084cWnu0tz", Quantity: 1}},
			},
			Terms: map[string]entitlement.Terms{"pdt_e9mUw084cWnu0tz": {Credits: 10, Plan: "pro"}},
		},
		"subscription": {
			Subscription: entitlement.Renewed(entitlement.SubscriptionState{
				At: at, Status: "active", ProductID: "pdt_e9mUw084cWnu0tz", Quantity: 1, CreatedAt: at, PeriodStart: at, PeriodEnd: at.AddDate(0, 1, 0),
			}),
		},
	}
}

func BenchmarkRecord(b *testing.B) {
	for name, r := range benchRecords() {
		b.Run(name+"/encode", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.AppendJSON(make([]byte, 0, 256)); err != nil {
					b.Fatal(err)
				}
			}
		})
		text, err := r.AppendJSON(nil)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name+"/decode", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := entitlement.ParseRecord(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
