package redisstore_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store/redisstore"
)

// TestMemory: an account is remembered as it was set last, however many grants and holds it has.
func TestMemory(t *testing.T) {
	m := redisstore.NewMemory()
	defer m.Close()
	stamps := rapid.OneOf(rapid.SampledFrom([]string{"", "0", "01", "3w5e11264sgsf", "3W5E11264SGSF", "zzzzzzzzzzzzzz"}), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		for range rapid.IntRange(1, 4).Draw(t, "changes") {
			stamp, kept := stamps.Draw(t, "stamp"), keptAccount(t)
			m.Set("acc", stamp, kept)
			if gotStamp, got, found := m.Get("acc"); !found || gotStamp != stamp || !reflect.DeepEqual(got, kept) {
				t.Fatalf("it is remembered as %q %+v, want %q %+v", gotStamp, got, stamp, kept)
			}
		}
		m.Forget("acc")
		if _, got, found := m.Get("acc"); found {
			t.Fatalf("it is remembered as %+v after it was forgotten", got)
		}
	})
}

func keptAccount(t *rapid.T) book.Kept {
	instant := func(what string) time.Time {
		if rapid.Bool().Draw(t, what+"?") {
			return time.Time{}
		}
		return time.UnixMilli(rapid.Int64Range(-1<<45, 1<<47).Draw(t, what)).UTC()
	}
	k := book.Kept{
		Rev: rapid.Int64().Draw(t, "rev"), StandingsRev: rapid.Int64().Draw(t, "standings"), Next: instant("next"),
		Ledger: ledger.Account{Seq: rapid.Int64().Draw(t, "seq"), Debt: rapid.Int64().Draw(t, "debt")},
	}
	for range rapid.IntRange(0, 20).Draw(t, "grants") {
		amount := func() int64 { return rapid.Int64().Draw(t, "amount") }
		k.Ledger.Grants = append(k.Ledger.Grants, ledger.Grant{
			ID: rapid.StringN(0, 40, 100).Draw(t, "id"), Amount: amount(), Left: amount(), Held: amount(), Waiting: amount(), Lapsed: amount(), Waived: amount(),
			StartsAt: instant("starts"), ExpiresAt: instant("expires"), CreatedAt: instant("created"),
		})
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "holds") {
		if k.Ledger.Holds == nil {
			k.Ledger.Holds = make(map[string]ledger.Hold)
		}
		id := fmt.Sprint(i)
		k.Ledger.Holds[id] = ledger.Hold{ID: id, Parts: []ledger.Part{{Grant: "g", Amount: 3}}, ExpiresAt: instant("runs out")}
	}
	return k
}

// BenchmarkMemory is what a decision takes: the account is read and set.
func BenchmarkMemory(b *testing.B) {
	m := redisstore.NewMemory()
	defer m.Close()
	at := time.UnixMilli(1_790_000_000_000).UTC()
	kept := book.Kept{Rev: 1000, StandingsRev: 3, Next: at.Add(time.Minute), Ledger: ledger.Account{Seq: 500, Grants: ledger.Grants{
		{ID: "payment:pay_2IjeQm4hqU6RA4Z4kwDee/0", Amount: 1000, Left: 500, Held: 1, CreatedAt: at, ExpiresAt: at.Add(30 * 24 * time.Hour)},
	}}}
	b.ReportAllocs()
	for b.Loop() {
		m.Set("acct-00001", "3w5e11264sgsf", kept)
		if _, _, found := m.Get("acct-00001"); !found {
			b.Fatal("it is not remembered")
		}
	}
}
