package redisstore_test

import (
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/store/redistest"
)

// charged is a request of nobody's name: a hold that is known, and its end.
func charged(t *testing.T, s store.Store, token any, id string, amount, captured int64) (after any) {
	t.Helper()
	held, err := s.Hold(t.Context(), store.Hold{Account: "acc", ID: id, Amount: amount, TTL: time.Hour, Token: token})
	if err != nil || held.Outcome != store.HoldPlaced {
		t.Fatalf("hold: %+v, %v", held, err)
	}
	done, err := s.End(t.Context(), store.End{
		Account: "acc", ID: id, Captured: captured, Token: held.Account.Token, Note: held.Note,
	})
	if err != nil || !done.Found || done.Captured != captured {
		t.Fatalf("end: %+v, %v", done, err)
	}
	return done.Account.Token
}

func tokenOf(t *testing.T, s store.Store) any {
	t.Helper()
	a, err := s.Account(t.Context(), "acc")
	if err != nil {
		t.Fatal(err)
	}
	return a.Token
}

// whole counts how often scripts read a whole account, which is what a token saves.
func whole(server *redistest.Server) int {
	stats := server.MustDo("INFO", "commandstats")
	server.MustDo("CONFIG", "RESETSTAT")
	if _, rest, read := strings.Cut(stats, "cmdstat_hgetall:calls="); read {
		n := 0
		for _, c := range rest {
			if c < '0' || c > '9' {
				break
			}
			n = 10*n + int(c-'0')
		}
		return n
	}
	return 0
}

// TestKnown: who knows the account saves Redis the reading of it, and who knows it
// wrongly saves nothing and is told the same.
func TestKnown(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Options{URL: server.URL()})
	gives(t, s)
	token := tokenOf(t, s)
	whole(server)
	token = charged(t, s, token, "a", 2, 2)
	token = charged(t, s, token, "b", 3, 1)
	token = charged(t, s, token, "c", 1, 0)
	if n := whole(server); n != 0 {
		t.Errorf("the account was read %d times for three requests that knew it", n)
	}
	wantBalance(t, s, "acc", 7, 3)

	for name, wrong := range map[string]any{"old": token, "none": nil, "another store's": "x"} {
		server.MustDo("FLUSHALL")
		gives(t, s)
		charged(t, s, wrong, name, 4, 3)
		wantBalance(t, s, "acc", 7, 2)
	}
}

// TestKnownByAnotherWay: a server that was restored may come to the same rev by another
// way. What is known from before is not written over that.
func TestKnownByAnotherWay(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Options{URL: server.URL()})
	gives(t, s)
	before, err := s.Account(t.Context(), "acc")
	if err != nil {
		t.Fatal(err)
	}
	server.MustDo("FLUSHALL")
	if _, err := s.Commit(t.Context(), give("acc", "pay_1", 2)); err != nil {
		t.Fatal(err)
	}
	if now, err := s.Account(t.Context(), "acc"); err != nil || now.Rev != before.Rev {
		t.Fatalf("rev %d, and before %d (%v); want the same", now.Rev, before.Rev, err)
	}
	held, err := s.Hold(t.Context(), store.Hold{Account: "acc", ID: "a", Amount: 5, TTL: time.Hour, Token: before.Token})
	if err != nil || held.Outcome != store.HoldRefused {
		t.Errorf("5 of 2: %+v, %v", held, err)
	}
	charged(t, s, before.Token, "b", 2, 1)
	wantBalance(t, s, "acc", 1, 2)
}

// TestKnownAtTheEdges: what is known is not decided by it where more is to be done.
func TestKnownAtTheEdges(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Options{URL: server.URL()})
	gives(t, s)
	charged(t, s, tokenOf(t, s), "a", 10, 10)
	if left := server.MustDo("HEXISTS", "dodogate:{acc}:account", "g:pay_1"); left != "0" {
		t.Error("a grant of which nothing is left is among the others")
	}
	if closed := server.MustDo("HEXISTS", "dodogate:{acc}:closed", "pay_1"); closed != "1" {
		t.Error("a grant of which nothing is left is lost")
	}

	server.MustDo("FLUSHALL")
	gives(t, s)
	held, err := s.Hold(t.Context(), store.Hold{Account: "acc", ID: "b", Amount: 4, TTL: time.Hour, Token: tokenOf(t, s)})
	if err != nil || held.Note == nil {
		t.Fatalf("hold: %+v, %v", held, err)
	}
	c := give("acc", "pay_1", 0)
	c.Version, c.Policy = 1, ledger.PolicyFloor
	if _, err := s.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	done, err := s.End(t.Context(), store.End{Account: "acc", ID: "b", Captured: 1, Token: tokenOf(t, s), Note: held.Note})
	if err != nil || done.Captured != 1 {
		t.Fatalf("end: %+v, %v", done, err)
	}
	wantBalance(t, s, "acc", 0, 4) // what is forgiven does not come back
}

// TestAlike: of grants that are alike, the first by its id is spent, whichever the server
// tells of first.
func TestAlike(t *testing.T) {
	s := open(t, redisstore.Options{URL: redistest.Start(t).URL()})
	for _, id := range []string{"pay_2", "pay_1", "pay_3"} {
		if _, err := s.Commit(t.Context(), give("acc", id, 10)); err != nil {
			t.Fatal(err)
		}
	}
	charged(t, s, nil, "a", 4, 4)
	entries, err := s.Entries(t.Context(), "acc", 3, 1)
	if err != nil || len(entries) != 1 || entries[0].Grant != "pay_1" {
		t.Errorf("%+v, %v; want them from pay_1", entries, err)
	}
}
