package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

func payment(id string) entitlement.Ref {
	return entitlement.Ref{Kind: entitlement.KindPayment, ID: id}
}

// give is a commit of so many credits by version 0 of an object.
func give(account, object string, amount int64) book.Commit {
	return book.Commit{
		Account: account, Object: payment(object), State: []byte(`{}`), Cause: object,
		Effect: entitlement.Effect{Grants: []ledger.Target{{ID: object, Amount: amount}}},
	}
}

func order(id string) book.Order {
	return book.Order{
		ID: id, Account: "acc", Product: "pack10", Quantity: 1, ExpiresAt: time.Now().Add(time.Hour),
		Terms: map[string]entitlement.Terms{"pdt_1": {Credits: 5}},
	}
}

var key = book.Key{Hash: "h", Fingerprint: "f", Lease: time.Minute, Keep: time.Hour}

// TestLostReply loses one reply of each operation after the server has done what
// was asked, so that go-redis asks again by itself.
func TestLostReply(t *testing.T) {
	server := redistest.Start(t)
	p := redistest.NewProxy(t, server)
	warm(t, server)
	for _, c := range lostReplies {
		for nth := 1; nth <= c.replies; nth++ {
			t.Run(fmt.Sprintf("%s, reply %d", c.name, nth), func(t *testing.T) {
				prefix := fmt.Sprint("test", prefixes.Add(1), ":")
				direct := open(t, redisstore.Options{URL: server.URL(), KeyPrefix: prefix})
				s := open(t, redisstore.Options{URL: p.URL(), KeyPrefix: prefix})
				if c.before != nil {
					c.before(t, direct)
				}
				if err := s.Ping(t.Context()); err != nil { // so that it has a connection
					t.Fatal(err)
				}
				lost := false
				p.LoseReplies(func(reply int) bool {
					lost = lost || reply == nth
					return reply == nth
				})
				c.do(t, s)
				p.LoseReplies(nil)
				if !lost {
					t.Fatal("no reply was lost")
				}
				if c.after != nil {
					c.after(t, direct)
				}
			})
		}
	}
}

// warm makes the server know the scripts, so that the first reply is an answer.
func warm(t *testing.T, server *redistest.Server) {
	t.Helper()
	s := open(t, redisstore.Options{URL: server.URL(), KeyPrefix: "warm:"})
	if _, err := s.Commit(t.Context(), give("acc", "pay_1", 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Claim(t.Context(), payment("pay_1"), "acc"); err != nil {
		t.Fatal(err)
	}
	holds(holdOf("h", 1), book.HoldPlaced, 0)(t, s)
	holdEnds(1, 0)(t, s)
	creates("a", key, book.Created, "a")(t, s)
	if err := s.DropOrder(t.Context(), order("a"), key); err != nil {
		t.Fatal(err)
	}
	gone := order("a")
	gone.SessionID = "cks_1"
	if err := s.OpenOrder(t.Context(), gone, key); !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	records(1)(t, s)
	settles(book.EventApplied)(t, s)
}

var lostReplies = []struct {
	name              string
	replies           int // of the operation, which are lost in turn
	before, do, after func(*testing.T, *opened)
}{
	{"commit", 2, nil,
		func(t *testing.T, s *opened) {
			if done, err := s.Commit(t.Context(), give("acc", "pay_1", 7)); err != nil || len(done.Entries) != 1 {
				t.Fatalf("%+v, %v; want what the first did", done, err)
			}
		},
		func(t *testing.T, s *opened) {
			wantBalance(t, s, "acc", 7, 1)
			if o, err := s.Object(t.Context(), "acc", payment("pay_1")); err != nil || o.Version != 1 {
				t.Fatal(o, err)
			}
		}},
	{"event that binds a customer", 4, nil,
		func(t *testing.T, s *opened) {
			if _, err := s.Commit(t.Context(), give("acc", "pay_0", 1)); err != nil { // so that the account is remembered
				t.Fatal(err)
			}
			d := store.Delivery{Event: book.Event{ID: "msg_1", Type: "t", Body: []byte("body")}, Object: payment("pay_1"), Account: "acc"}
			if _, err := s.Receive(t.Context(), d, func(b *book.Book) error {
				if err := b.Claim(entitlement.Ref{Kind: entitlement.KindCustomer, ID: "cus_1"}); err != nil {
					return err
				}
				_, err := b.Commit(give("acc", "pay_1", 7))
				return err
			}); err != nil {
				t.Fatal(err)
			}
		},
		func(t *testing.T, s *opened) {
			wantBalance(t, s, "acc", 8, 2)
			if owner, err := s.Owner(t.Context(), entitlement.Ref{Kind: entitlement.KindCustomer, ID: "cus_1"}); err != nil || owner != "acc" {
				t.Fatalf("the customer belongs to %q, %v", owner, err)
			}
		}},
	{"sign up", 2, nil,
		func(t *testing.T, s *opened) {
			if a, err := s.SignUp(t.Context(), give("acc", "pay_1", 7)); err != nil || a.Ledger.Seq != 1 {
				t.Fatal(a, err)
			}
		},
		leaves(7, 1)},
	{"hold", 2, gives, holds(holdOf("h", 7), book.HoldPlaced, 3), both(holdEnds(7, 3), leaves(3, 2))},
	{"hold, refused", 1, gives, holds(holdOf("h", 11), book.HoldRefused, 10), leaves(10, 1)},
	{"hold, renewed", 2, both(gives, holds(holdOf("h", 7), book.HoldPlaced, 3)),
		holds(holdOf("h", 7), book.HoldPlaced, 3), both(holdEnds(0, 10), leaves(10, 1))},
	{"hold, finished", 1, both(gives, both(holds(holdOf("h", 7), book.HoldPlaced, 3), holdEnds(7, 3))),
		holds(holdOf("h", 7), book.HoldFinished, 3), leaves(3, 2)},
	{"capture", 2, both(gives, holds(holdOf("h", 7), book.HoldPlaced, 3)), holdEnds(5, 5), both(leaves(5, 2), remembers("h", 5))},
	{"release", 2, both(gives, holds(holdOf("h", 7), book.HoldPlaced, 3)), holdEnds(0, 10), leaves(10, 1)},
	{"claim", 1, nil,
		func(t *testing.T, s *opened) {
			if owner, err := s.Claim(t.Context(), payment("pay_1"), "acc"); err != nil || owner != "acc" {
				t.Fatal(owner, err)
			}
		}, nil},
	{"create order", 2, nil, creates("a", key, book.Created, "a"), countsOpen(1)},
	{"create order without a key", 2, nil, creates("a", book.Key{}, book.Created, "a"), countsOpen(1)},
	{"create order, resumed", 3,
		creates("a", book.Key{Hash: "h", Fingerprint: "f"}, book.Created, "a"), creates("b", key, book.Resumed, "a"), countsOpen(1)},
	{"open order", 2, creates("a", key, book.Created, "a"),
		func(t *testing.T, s *opened) {
			o := order("a")
			o.SessionID = "cks_1"
			if err := s.OpenOrder(t.Context(), o, key); err != nil {
				t.Fatal(err)
			}
		}, creates("b", key, book.Replayed, "a")},
	{"drop order", 2, creates("a", key, book.Created, "a"),
		func(t *testing.T, s *opened) {
			if err := s.DropOrder(t.Context(), order("a"), key); err != nil {
				t.Fatal(err)
			}
		}, creates("b", key, book.Created, "b")},
	{"record", 1, nil, records(1), records(2)},
	{"record again", 1, records(1), records(2), records(3)},
	{"receive", 1, nil, receives(1), records(2)},
	{"receive again", 1, receives(1), receives(2), records(3)},
	{"receive and apply", 3, nil, applies(1), both(applies(2), leaves(5, 1))},
	{"receive and apply again", 1, applies(1), applies(2), both(applies(3), leaves(5, 1))},
	{"park", 4, records(1), settles(book.EventParked), parks(true)},
	{"un-park", 3,
		func(t *testing.T, s *opened) { records(1)(t, s); settles(book.EventParked)(t, s) },
		settles(book.EventApplied), parks(false)},
	{"redact", 1, records(1),
		func(t *testing.T, s *opened) {
			e := book.Event{ID: "msg_1", State: book.EventApplied, Deliveries: 1}
			if err := s.Settle(t.Context(), e, book.Retention{Keep: keep90, Body: []byte("less")}); err != nil {
				t.Fatal(err)
			}
		},
		func(t *testing.T, s *opened) {
			if e, err := s.Event(t.Context(), "msg_1"); err != nil || string(e.Body) != "less" || e.Deliveries != 1 {
				t.Fatalf("%+v, %v", e, err)
			}
		}},
}

func creates(id string, key book.Key, want book.Start, first string) func(*testing.T, *opened) {
	return func(t *testing.T, s *opened) {
		t.Helper()
		if o, how, err := s.CreateOrder(t.Context(), order(id), key); err != nil || how != want || o.ID != first {
			t.Fatalf("%s with order %q, %v; want %s with %q", how, o.ID, err, want, first)
		}
	}
}

// countsOpen finds out by filling up how many open orders the store counts.
func countsOpen(want int) func(*testing.T, *opened) {
	return func(t *testing.T, s *opened) {
		t.Helper()
		for i := range book.MaxOpenOrders + 1 {
			_, _, err := s.CreateOrder(t.Context(), order(fmt.Sprint("fill_", i)), book.Key{})
			if errors.Is(err, store.ErrTooManyOrders) {
				if got := book.MaxOpenOrders - i; got != want {
					t.Fatalf("%d orders were open, want %d", got, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		t.Fatal("there is no limit")
	}
}

func records(deliveries int64) func(*testing.T, *opened) {
	return func(t *testing.T, s *opened) {
		t.Helper()
		e, err := s.Record(t.Context(), book.Event{ID: "msg_1", Type: "t", Body: []byte("body")})
		if err != nil || e.Deliveries != deliveries {
			t.Fatalf("%d deliveries, %v; want %d", e.Deliveries, err, deliveries)
		}
	}
}

func receives(deliveries int64) func(*testing.T, *opened) {
	return func(t *testing.T, s *opened) {
		t.Helper()
		d := store.Delivery{Event: book.Event{ID: "msg_1", Type: "t", Body: []byte("body")}, Object: payment("pay_1"), Account: "acc"}
		done, err := s.Receive(t.Context(), d, nil)
		if err != nil || done.Event.Deliveries != deliveries || done.Owner != "acc" {
			t.Fatalf("%d deliveries to %q, %v; want %d", done.Event.Deliveries, done.Owner, err, deliveries)
		}
	}
}

// applies receives an event and gives what it is about, once, and settles it.
func applies(deliveries int64) func(*testing.T, *opened) {
	return func(t *testing.T, s *opened) {
		t.Helper()
		d := store.Delivery{Event: book.Event{ID: "msg_1", Type: "t", Body: []byte("body")}, Object: payment("pay_1"), Account: "acc"}
		done, err := s.Receive(t.Context(), d, func(b *book.Book) error {
			known, err := b.Object(payment("pay_1"))
			if err != nil || known.Version > 0 {
				return err
			}
			c := give("acc", "pay_1", 5)
			c.Settle = &book.Settlement{Event: book.Event{ID: "msg_1", State: book.EventApplied, Object: "payment:pay_1", Account: "acc"}}
			_, err = b.Commit(c)
			return err
		})
		if err != nil || done.Event.Deliveries != deliveries || done.Owner != "acc" {
			t.Fatalf("%d deliveries to %q, %v; want %d", done.Event.Deliveries, done.Owner, err, deliveries)
		}
		e, err := s.Event(t.Context(), "msg_1")
		if err != nil || e.State != book.EventApplied {
			t.Fatalf("the event is %s, %v", e.State, err)
		}
	}
}

func settles(state book.EventState) func(*testing.T, *opened) {
	return func(t *testing.T, s *opened) {
		t.Helper()
		if err := s.Settle(t.Context(), book.Event{ID: "msg_1", State: state, Object: "payment:a"}, book.Retention{}); err != nil {
			t.Fatal(err)
		}
	}
}

// parks checks that the event is parked and found, or neither.
func parks(want bool) func(*testing.T, *opened) {
	return func(t *testing.T, s *opened) {
		t.Helper()
		events, _, err := s.Parked(t.Context(), "payment:a", "", 100)
		if err != nil || (len(events) == 1) != want {
			t.Fatalf("parked: %v, %v, want %v", events, err, want)
		}
		events, next, err := s.Parked(t.Context(), "", "", 100)
		if err != nil || (len(events) == 1) != want || next != "" {
			t.Fatalf("all parked: %v, %q, %v, want %v", events, next, err, want)
		}
		e, err := s.Event(t.Context(), "msg_1")
		if err != nil || (e.State == book.EventParked) != want {
			t.Fatalf("event: %+v, %v, want parked: %v", e, err, want)
		}
	}
}

// wantBalance checks that so many entries of an account, without a gap, add up
// to a balance.
func wantBalance(t *testing.T, s *opened, account string, balance int64, entries int) {
	t.Helper()
	var all []ledger.Entry
	for {
		page, err := s.Entries(t.Context(), account, store.Page{After: int64(len(all)), Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, page...); len(page) < 1000 {
			break
		}
	}
	var sum int64
	for i, e := range all {
		if sum += e.Amount; e.Seq != int64(i+1) || e.Balance != sum {
			t.Fatalf("entry %d is %+v, the amounts add up to %d", i+1, e, sum)
		}
	}
	a, err := s.Account(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	if got := a.Ledger.Available(time.Now()); got != balance || sum != balance || len(all) != entries || a.Ledger.Seq != int64(entries) {
		t.Fatalf("balance %d, sum %d, %d entries, seq %d; want %d by %d entries", got, sum, len(all), a.Ledger.Seq, balance, entries)
	}
}

// TestManyLostReplies writes from many goroutines while every k-th reply is
// lost. Callers do what the contract tells them to.
func TestManyLostReplies(t *testing.T) {
	server := redistest.Start(t)
	p := redistest.NewProxy(t, server)
	for _, k := range []int{3, 4, 5, 7, 10} {
		t.Run(fmt.Sprint("every ", k), func(t *testing.T) {
			prefix := fmt.Sprint("test", prefixes.Add(1), ":")
			s := open(t, redisstore.Options{URL: p.URL(), KeyPrefix: prefix, Timeout: 5 * time.Second})
			p.LoseReplies(func(reply int) bool { return reply%k == 0 })
			const workers, versions = 16, 12
			var all sync.WaitGroup
			for w := range workers {
				all.Go(func() {
					for v := range int64(versions) {
						if err := commitUntil(t.Context(), s, fmt.Sprint("pay_", w), v); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			p.LoseReplies(nil)
			direct := open(t, redisstore.Options{URL: server.URL(), KeyPrefix: prefix})
			wantBalance(t, direct, "acc", workers*versions, workers*versions)
		})
	}
}

// commitUntil brings an object from one version to the next and its grant to as
// many credits, whatever is lost on the way.
func commitUntil(ctx context.Context, s *opened, object string, version int64) error {
	c := give("acc", object, version+1)
	c.Version = version
	for range 200 {
		_, err := s.Commit(ctx, c)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, store.ErrConflict):
			o, err := s.Object(ctx, "acc", c.Object)
			if err == nil && o.Version > version {
				return nil // it was ours: nobody else writes this object
			}
			if err == nil {
				return fmt.Errorf("conflict at version %d of an object at %d", version, o.Version)
			}
		case !errors.Is(err, store.ErrUnavailable):
			return err
		}
	}
	return errors.New("200 times in vain")
}

func TestScriptFlush(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Options{URL: server.URL()})
	for v := range int64(20) {
		server.MustDo("SCRIPT", "FLUSH")
		c := give("acc", "pay_1", v+1)
		c.Version = v
		if _, err := s.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	server.MustDo("SCRIPT", "FLUSH")
	records(1)(t, s)
	for n := range int64(3) {
		server.MustDo("SCRIPT", "FLUSH")
		receives(n+2)(t, s)
	}
	wantBalance(t, s, "acc", 20, 20)
}

// TestReceiveBehindAForgottenScript: an event that joins another one about the same object is
// applied, even if the object was read before it was bound because the server forgot a script.
func TestReceiveBehindAForgottenScript(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Options{URL: server.URL()})
	server.MustDo("SCRIPT", "FLUSH")
	gives(t, s) // so the server knows one script again
	receive := func(id string, then func()) error {
		version := int64(-1)
		done, err := s.Receive(t.Context(), store.Delivery{
			Event: book.Event{ID: id, Type: "t", Body: []byte("body")}, Object: payment("pay_2"), Account: "acc",
		}, func(b *book.Book) error {
			if then != nil {
				then()
				then = nil
			}
			known, err := b.Object(payment("pay_2"))
			if err != nil {
				return err
			}
			c := give("acc", "pay_2", 5)
			c.Version, version = known.Version, known.Version
			_, err = b.Commit(c)
			return err
		})
		if err == nil && (version < 0 || done.Owner != "acc") {
			return fmt.Errorf("%s: nothing was decided, and the object is said to be %q's", id, done.Owner)
		}
		return err
	}
	second := make(chan error, 1)
	err := receive("msg_1", func() {
		go func() { second <- receive("msg_2", nil) }()
		for redisstore.Waiting(s.store, "acc") == 0 {
			runtime.Gosched()
		}
	})
	if err := errors.Join(err, <-second); err != nil {
		t.Error(err)
	}
	if o, err := s.Object(t.Context(), "acc", payment("pay_2")); err != nil || o.Version != 2 {
		t.Errorf("version %d, %v; want both events applied", o.Version, err)
	}
}
