package dodo_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/dodogate/dodogate/internal/dodo"
)

// BenchmarkDecode reads the usual webhooks.
func BenchmarkDecode(b *testing.B) {
	for _, kind := range []string{"payment.succeeded", "subscription.renewed", "refund.succeeded", "credit.added"} {
		body, err := os.ReadFile(filepath.Join("testdata", "webhook-samples", kind+".json"))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(kind, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := dodo.Decode(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
