package entitlement_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

// BenchmarkSnapshot measures what every charge of an account costs in addition to the store.
func BenchmarkSnapshot(b *testing.B) {
	renewal := func(plan string) entitlement.Standing {
		return entitlement.Standing{Renewal: &entitlement.Renewal{Plan: plan, Status: "active", Access: true, Until: noon.Add(time.Hour)}}
	}
	for _, c := range []struct {
		name      string
		standings map[string]entitlement.Standing
	}{
		{"payer", map[string]entitlement.Standing{"a": {Paid: true, PaidAt: noon}}},
		{"pass", map[string]entitlement.Standing{"a": pass("pro", 0, day)}},
		{"subscriber", map[string]entitlement.Standing{"a": renewal("pro")}},
		{"two plans", map[string]entitlement.Standing{"a": renewal("pro"), "b": renewal("basic")}},
	} {
		b.Run(c.name, func(b *testing.B) {
			a := entitlement.Account{Standings: c.standings}
			for i := range 3 {
				a.Ledger.Grants.Put(ledger.Grant{ID: fmt.Sprint(i), Left: 1, ExpiresAt: noon.Add(time.Hour)})
			}
			b.ReportAllocs()
			for b.Loop() {
				if s, _ := a.SnapshotUntil(noon, ranking); !s.HasPaid {
					b.Fatal(s)
				}
			}
		})
	}
}
