package redisstore_test

import (
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// TestManyHoldsRunOut: an account goes on when more holds of it have run out than one would count.
func TestManyHoldsRunOut(t *testing.T) {
	server := redistest.Start(t)
	gives(t, open(t, redisstore.Options{URL: server.URL()}))
	s := open(t, redisstore.Options{URL: server.URL()})
	server.MustDo("EVAL", `for i = 1, 100001 do
		redis.call('HSET', KEYS[1], i, '1000 0 0 ')
		redis.call('ZADD', KEYS[2], '1000', i)
	end`, "2", "dodogate:{acc}:holds", "dodogate:{acc}:expiring")
	holds(holdOf("h", 4), book.HoldPlaced, 6)(t, s)
	if n := server.MustDo("HLEN", "dodogate:{acc}:holds"); n != "1" {
		t.Errorf("%s holds are left, want one", n)
	}
	holdEnds(4, 6)(t, s)
	leaves(6, 2)(t, s)
}

// TestManyGrants: an account goes on with more grants than a script can pass on at once, while they
// are held, spent, and run out.
func TestManyGrants(t *testing.T) {
	const n = 12_000
	now := time.Now()
	s := open(t, redisstore.Options{URL: redistest.Start(t).URL(), Clock: func() time.Time { return now }})
	c := give("acc", "pay_1", 0)
	c.Effect.Grants = nil
	for i := range n {
		id := "grant/" + string(rune('a'+i/1000)) + time.Duration(i).String()
		c.Effect.Grants = append(c.Effect.Grants, ledger.Target{ID: id, Amount: 2, ExpiresAt: now.Add(time.Hour)})
	}
	if _, err := s.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	holds(holdOf("h", n), book.HoldPlaced, n)(t, s)
	holdEnds(n, n)(t, s)
	wantBalance(t, s, "acc", n, n+n/2)
	now = now.Add(2 * time.Hour)
	c = give("acc", "pay_2", 3)
	if _, err := s.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	wantBalance(t, s, "acc", 3, n+n/2+n/2+1)
}
