package redisstore_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// charged is a request of nobody's name: a hold and its end.
func charged(t *testing.T, s *opened, id string, amount, captured int64) {
	t.Helper()
	held, err := s.Hold(t.Context(), book.Hold{Account: "acc", ID: id, Amount: amount, TTL: time.Hour})
	if err != nil || held.Outcome != book.HoldPlaced {
		t.Fatalf("hold: %+v, %v", held, err)
	}
	done, err := s.End(t.Context(), book.End{Account: "acc", ID: id, Captured: captured, Placed: held.Placed})
	if err != nil || !done.Found || done.Captured != captured {
		t.Fatalf("end: %+v, %v", done, err)
	}
}

// whole counts how often scripts read a whole account since it was asked last.
func whole(server *redistest.Server) int {
	stats := server.MustDo("INFO", "commandstats")
	server.MustDo("CONFIG", "RESETSTAT")
	var n int
	if _, rest, read := strings.Cut(stats, "cmdstat_hgetall:calls="); read {
		_, _ = fmt.Sscanf(rest, "%d,", &n)
	}
	return n
}

// TestRemembered: an account is not read for charges while nobody else changes it, and once
// when somebody does.
func TestRemembered(t *testing.T) {
	server := redistest.Start(t)
	s, other := open(t, redisstore.Options{URL: server.URL()}), open(t, redisstore.Options{URL: server.URL()})
	gives(t, s)
	whole(server)
	charged(t, s, "a", 2, 2)
	charged(t, s, "b", 3, 1)
	charged(t, s, "c", 1, 0)
	if n := whole(server); n != 0 {
		t.Errorf("the account was read %d times for three charges", n)
	}
	wantBalance(t, s, "acc", 7, 3)
	charged(t, other, "d", 2, 1)
	whole(server)
	charged(t, s, "e", 2, 1)
	if n := whole(server); n != 1 {
		t.Errorf("the account was read %d times after somebody else changed it", n)
	}
	wantBalance(t, s, "acc", 5, 5)
}

// TestRestored: a server that was restored may come to the same revision by another way. What
// was decided by the other state is not written over that.
func TestRestored(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Options{URL: server.URL()})
	gives(t, s)
	before, err := s.Account(t.Context(), "acc")
	if err != nil {
		t.Fatal(err)
	}
	server.MustDo("FLUSHALL")
	other := open(t, redisstore.Options{URL: server.URL()})
	if _, err := other.Commit(t.Context(), give("acc", "pay_1", 2)); err != nil {
		t.Fatal(err)
	}
	if now, err := other.Account(t.Context(), "acc"); err != nil || now.Rev != before.Rev {
		t.Fatalf("rev %d, and before %d (%v); want the same", now.Rev, before.Rev, err)
	}
	held, err := s.Hold(t.Context(), book.Hold{Account: "acc", ID: "a", Amount: 5, TTL: time.Hour})
	if err != nil || held.Outcome != book.HoldRefused {
		t.Errorf("5 of 2: %+v, %v", held, err)
	}
	charged(t, s, "b", 2, 1)
	wantBalance(t, s, "acc", 1, 2)
}

// TestClosedGrants: a grant of which nothing is left is kept apart, and comes back when a fact gives
// it again.
func TestClosedGrants(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Options{URL: server.URL()})
	gives(t, s)
	charged(t, s, "a", 10, 10)
	in := func(key, field, want string) {
		t.Helper()
		if got := server.MustDo("HEXISTS", "dodogate:{acc}:"+key, field); got != want {
			t.Errorf("%s in %s: %s, want %s", field, key, got, want)
		}
	}
	in("account", "g:pay_1", "0")
	in("closed", "pay_1", "1")
	c := give("acc", "pay_1", 15)
	c.Version = 1
	if _, err := s.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	in("account", "g:pay_1", "1")
	in("closed", "pay_1", "0")
	wantBalance(t, s, "acc", 5, 3)
}

// TestFirstByID: of grants that are alike, the first by its id is spent, whichever the server
// tells of first.
func TestFirstByID(t *testing.T) {
	s := open(t, redisstore.Options{URL: redistest.Start(t).URL()})
	for _, id := range []string{"pay_2", "pay_1", "pay_3"} {
		if _, err := s.Commit(t.Context(), give("acc", id, 10)); err != nil {
			t.Fatal(err)
		}
	}
	charged(t, s, "a", 4, 4)
	entries, err := s.Entries(t.Context(), "acc", store.Page{After: 3, Limit: 1})
	if err != nil || len(entries) != 1 || entries[0].Grant != "pay_1" {
		t.Errorf("%+v, %v; want them from pay_1", entries, err)
	}
}

// TestWrongClock: what is decided by a wrong idea of the server's time is not written. It is
// decided again by the right one.
func TestWrongClock(t *testing.T) {
	for name, wrong := range map[string]time.Duration{"an hour ahead": time.Hour, "an hour behind": -time.Hour, "right": 0} {
		t.Run(name, func(t *testing.T) {
			s := open(t, redisstore.Options{URL: redistest.Start(t).URL()})
			c := give("acc", "pay_1", 5)
			c.Effect.Grants = []ledger.Target{
				{ID: "soon", Amount: 5, ExpiresAt: time.Now().Add(30 * time.Minute)},
				{ID: "later", Amount: 5, StartsAt: time.Now().Add(30 * time.Minute)},
			}
			if _, err := s.Commit(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			redisstore.SetServerTime(s.store, time.Now().Add(wrong))
			held, err := s.Hold(t.Context(), book.Hold{Account: "acc", ID: "a", Amount: 5, TTL: time.Hour})
			if err != nil || held.Outcome != book.HoldPlaced || len(held.Placed.Parts) != 1 || held.Placed.Parts[0].Grant != "soon" {
				t.Fatalf("%+v, %v; want 5 of soon", held, err)
			}
			if off := time.Until(held.Placed.ExpiresAt) - time.Hour; off.Abs() > 10*time.Minute {
				t.Errorf("the hold of an hour ends at %v", held.Placed.ExpiresAt)
			}
			redisstore.SetServerTime(s.store, time.Now().Add(wrong))
			if done, err := s.End(t.Context(), book.End{Account: "acc", ID: "a", Captured: 5, Placed: held.Placed}); err != nil || !done.Found {
				t.Fatalf("%+v, %v", done, err)
			}
			entries, err := s.Entries(t.Context(), "acc", store.Page{After: 1, Limit: 10})
			if err != nil || len(entries) != 1 || time.Since(entries[0].At).Abs() > 10*time.Minute {
				t.Errorf("%+v, %v; want one capture at about now", entries, err)
			}
		})
	}
}

// TestManyGateways: ten gateways that charge one account all the time get on, and no credit is
// spent twice or lost.
func TestManyGateways(t *testing.T) {
	const gateways, callers, charges = 10, 4, 10
	server := redistest.Start(t)
	stores := make([]*opened, gateways)
	for i := range stores {
		stores[i] = open(t, redisstore.Options{URL: server.URL()})
	}
	if _, err := stores[0].Commit(t.Context(), give("acc", "pay_1", gateways*callers*charges+7)); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i, s := range stores {
		for j := range callers {
			all.Go(func() {
				for n := range charges {
					id := fmt.Sprint("h", i, "_", j, "_", n)
					held, err := s.Hold(t.Context(), book.Hold{Account: "acc", ID: id, Amount: 1, TTL: time.Hour})
					if err != nil || held.Outcome != book.HoldPlaced {
						t.Errorf("hold: %+v, %v", held, err)
						return
					}
					done, err := s.End(t.Context(), book.End{Account: "acc", ID: id, Captured: 1, Placed: held.Placed})
					if err != nil || !done.Found {
						t.Errorf("end: %+v, %v", done, err)
					}
				}
			})
		}
	}
	all.Wait()
	wantBalance(t, stores[0], "acc", 7, 1+gateways*callers*charges)
}

// TestLostAndChanged: the reply to a change is lost, and somebody else changes the account before
// the client asks again. What was done is not done twice.
func TestLostAndChanged(t *testing.T) {
	server := redistest.Start(t)
	p := redistest.NewProxy(t, server)
	warm(t, server)
	for _, name := range []string{"hold", "capture", "release", "commit", "create order", "open order"} {
		t.Run(name, func(t *testing.T) {
			prefix := fmt.Sprint("test", prefixes.Add(1), ":")
			direct := open(t, redisstore.Options{URL: server.URL(), KeyPrefix: prefix})
			s := open(t, redisstore.Options{URL: p.URL(), KeyPrefix: prefix})
			gives(t, direct)
			held, err := s.Hold(t.Context(), book.Hold{Account: "acc", ID: "h", By: "me", Amount: 4, TTL: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			creates("a", key, book.Created, "a")(t, s)
			lost := false
			p.LoseReplies(func(int) bool {
				if lost {
					return false
				}
				lost = true
				if _, err := direct.Commit(t.Context(), give("acc", "pay_2", 100)); err != nil {
					t.Error(err)
				}
				return true
			})
			defer p.LoseReplies(nil)
			left, entries := int64(106), 2
			switch name {
			case "hold":
				again, err := s.Hold(t.Context(), book.Hold{Account: "acc", ID: "i", By: "me", Amount: 3, TTL: time.Hour})
				if err != nil || again.Outcome != book.HoldPlaced {
					t.Fatal(again, err)
				}
				left -= 3
			case "capture":
				done, err := s.End(t.Context(), book.End{Account: "acc", ID: "h", By: "me", Captured: 3, Placed: held.Placed})
				if err != nil || !done.Found || done.Captured != 3 {
					t.Fatal(done, err)
				}
				left, entries = left+1, 3
			case "release":
				done, err := s.End(t.Context(), book.End{Account: "acc", ID: "h", By: "me", Placed: held.Placed})
				if err != nil || !done.Found || done.Captured != 0 {
					t.Fatal(done, err)
				}
				left += 4
			case "commit":
				// By then it cannot be told from somebody else's.
				if _, err := s.Commit(t.Context(), give("acc", "pay_3", 50)); err != nil && !strings.Contains(err.Error(), "changed meanwhile") {
					t.Fatal(err)
				}
				left, entries = left+50, 3
			case "create order":
				creates("b", book.Key{}, book.Created, "b")(t, s)
			case "open order":
				o := order("a")
				o.SessionID = "cks_1"
				if err := s.OpenOrder(t.Context(), o, key); err != nil {
					t.Fatal(err)
				}
				creates("c", key, book.Replayed, "a")(t, s)
			}
			if !lost {
				t.Fatal("no reply was lost")
			}
			a, err := direct.Account(t.Context(), "acc")
			if got := a.Ledger.Available(time.Now()); err != nil || got != left || a.Ledger.Seq != int64(entries) {
				t.Errorf("%d credits, %d entries, %v; want %d and %d", got, a.Ledger.Seq, err, left, entries)
			}
		})
	}
}

// TestLookFails: what a look returns is returned as it is, once all that it asked for was read.
func TestLookFails(t *testing.T) {
	s := open(t, redisstore.Options{URL: redistest.Start(t).URL()})
	gives(t, s)
	own, looks := errors.New("own"), 0
	_, err := s.View(t.Context(), "acc", func(b *book.Book) error {
		looks++
		o, err := b.Object(payment("pay_1"))
		if err != nil {
			return err
		}
		return fmt.Errorf("version %d: %w", o.Version, own)
	})
	if !errors.Is(err, own) || err.Error() != "version 1: own" || looks > 2 {
		t.Errorf("%v after %d looks", err, looks)
	}
}
