package boltstore_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store/boltstore"
)

// BenchmarkPair is a hold and its capture, durable, by 64 callers at once, as a
// charged request asks for them.
func BenchmarkPair(b *testing.B) {
	const accounts, callers = 1000, 64
	s, err := dial(filepath.Join(b.TempDir(), "dodogate.db"), boltstore.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	ctx := context.Background()
	for i := range accounts {
		grant := ledger.Target{ID: "signup", Amount: 1e9, CreatedAt: time.Now()}
		_, err := s.Commit(ctx, book.Commit{
			Account: accountName(int64(i)), Object: entitlement.Ref{Kind: entitlement.KindPayment, ID: "signup"},
			State: []byte("{}"), Effect: entitlement.Effect{Grants: []ledger.Target{grant}}, Cause: "signup",
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	var numbers atomic.Int64
	b.SetParallelism(callers)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			n := numbers.Add(1)
			account, id := accountName(n%accounts), fmt.Sprintf("req_%08d", n)
			held, err := s.Hold(ctx, book.Hold{Account: account, ID: id, By: "me", Amount: 1, TTL: time.Minute})
			if err != nil || held.Outcome != book.HoldPlaced {
				b.Errorf("hold is %q: %v", held.Outcome, err)
				return
			}
			if ended, err := s.End(ctx, book.End{Account: account, ID: id, By: "me", Captured: 1}); err != nil || ended.Captured != 1 {
				b.Errorf("end is %+v: %v", ended, err)
				return
			}
		}
	})
}

func accountName(n int64) string { return fmt.Sprintf("acct-%05d", n) }
