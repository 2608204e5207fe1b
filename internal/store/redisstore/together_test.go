package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// together does all at once on an account, in one change of it.
func together(t *testing.T, p *redistest.Proxy, s *opened, all ...func()) {
	t.Helper()
	reached, release := p.Hold(1)
	var done sync.WaitGroup
	done.Go(func() { holds(holdOf("in front", 1), book.HoldPlaced, 9)(t, s) })
	<-reached
	for _, do := range all {
		done.Go(do)
	}
	time.Sleep(200 * time.Millisecond) // until they wait
	close(release)
	done.Wait()
}

// TestRefusedTogether: what is refused does not count as done because something else of its
// account was written with it.
func TestRefusedTogether(t *testing.T) {
	server := redistest.Start(t)
	p := redistest.NewProxy(t, server)
	warm(t, server)
	s := open(t, redisstore.Options{URL: p.URL(), Timeout: patient})
	gives(t, s)
	e, err := s.Record(t.Context(), book.Event{ID: "msg_1", Type: "t", Body: []byte("body")})
	if err != nil {
		t.Fatal(err)
	}
	together(t, p, s,
		func() { holds(holdOf("beside", 1), book.HoldPlaced, 8)(t, s) },
		func() {
			c, settled := give("acc", "pay_1", 100), e // by a version that it no longer has
			settled.State = book.EventApplied
			c.Settle = &book.Settlement{Event: settled, Retention: book.Retention{Body: []byte("short")}}
			if _, err := s.Commit(t.Context(), c); !errors.Is(err, store.ErrConflict) {
				t.Errorf("commit: %v, want a conflict", err)
			}
		})
	if e, err := s.Event(t.Context(), "msg_1"); err != nil || e.State != book.EventReceived || string(e.Body) != "body" {
		t.Errorf("the event is %s with %q, %v; want it to wait", e.State, e.Body, err)
	}
}

// TestGuessTogether: a commit is not refused because of a guess at its object's version.
func TestGuessTogether(t *testing.T) {
	server := redistest.Start(t)
	p := redistest.NewProxy(t, server)
	warm(t, server)
	s := open(t, redisstore.Options{URL: p.URL(), Timeout: patient})
	gives(t, s)
	all := []func(){func() {
		c := give("acc", "pay_1", 10)
		c.Version = 1
		if _, err := s.Commit(t.Context(), c); err != nil {
			t.Errorf("commit: %v", err)
		}
	}}
	for i := range 8 { // one of them is decided before the commit
		all = append(all, func() {
			if _, err := s.Hold(t.Context(), holdOf(fmt.Sprint("beside", i), 1)); err != nil {
				t.Error(err)
			}
		})
	}
	together(t, p, s, all...)
}

// TestSignUpBehindAPayment: who pays while they sign up is shown what the payment gave.
func TestSignUpBehindAPayment(t *testing.T) {
	server := redistest.Start(t)
	direct := open(t, redisstore.Options{URL: server.URL()})
	paid := give("acc", "pay_1", 10)
	paid.Effect.Standing = entitlement.Standing{Paid: true, PaidAt: time.Now()}
	told := 0
	s := open(t, redisstore.Options{URL: server.URL(), Clock: func() time.Time {
		if told++; told == 2 { // when the account has been looked at
			if _, err := direct.Commit(t.Context(), paid); err != nil {
				t.Error(err)
			}
		}
		return time.Now()
	}})
	signUp := give("acc", "signup", 3)
	signUp.Effect.Standing = entitlement.Standing{Paid: true, PaidAt: time.Now()}
	got, err := s.SignUp(t.Context(), signUp)
	if err != nil || told < 2 {
		t.Fatal(told, err)
	}
	want, err := direct.Account(t.Context(), "acc")
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v, %v", got, want, err)
	}
}

// TestSlowServer: what reaches the server late is written at last.
func TestSlowServer(t *testing.T) {
	now := time.Now()
	slow := false
	s := open(t, redisstore.Options{URL: redistest.Start(t).URL(), Clock: func() time.Time {
		if slow {
			now = now.Add(1500 * time.Millisecond) // that every command takes
		}
		return now
	}})
	gives(t, s)
	slow = true
	began := now
	if held, err := s.Hold(t.Context(), holdOf("h", 1)); err != nil || held.Outcome != book.HoldPlaced {
		t.Errorf("%+v, %v", held, err)
	}
	if took := now.Sub(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

// hurried is the context of a caller with a deadline, who goes away when asked for the n-th time
// how it is. Who asked goes on when the caller has gone.
type hurried struct {
	context.Context //nolint:containedctx // it is one
	n               atomic.Int64
	ends, gone      chan struct{}
}

func (c *hurried) Deadline() (time.Time, bool) { return time.Now().Add(time.Hour), true }
func (c *hurried) Done() <-chan struct{}       { return c.ends }
func (c *hurried) Err() error {
	if n := c.n.Add(-1); n == 0 {
		close(c.ends)
		<-c.gone
	} else if n < 0 {
		return context.Canceled
	}
	return nil
}

// TestGoneBeforeItIsSent: what a caller who has gone left behind is sent as it was, and does not
// touch what it is not about.
func TestGoneBeforeItIsSent(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Options{URL: server.URL()})
	if _, err := s.Account(t.Context(), "acc"); err != nil {
		t.Fatal(err)
	}
	server.MustDo("SCRIPT", "FLUSH")
	// It is asked at the beginning, before the script is sent, and before its text is.
	ctx := &hurried{Context: t.Context(), ends: make(chan struct{}), gone: make(chan struct{})}
	ctx.n.Store(3)
	if _, err := s.Commit(ctx, give("acc", "pay_1", 5)); !errors.Is(err, context.Canceled) {
		t.Errorf("commit: %v", err)
	}
	close(ctx.gone)
	eventually(t, func() error {
		keys := strings.Fields(server.MustDo("KEYS", "*"))
		if len(keys) < 3 {
			return fmt.Errorf("there is %q", keys)
		}
		return nil
	})
	wantBalance(t, s, "acc", 5, 1)
}

// TestPanicTogether: who waits for somebody that panics is told, and does not wait for ever.
func TestPanicTogether(t *testing.T) {
	server := redistest.Start(t)
	p := redistest.NewProxy(t, server)
	warm(t, server)
	var calls atomic.Int64 // of the clock until it panics
	s := open(t, redisstore.Options{URL: p.URL(), Timeout: patient, Clock: func() time.Time {
		if calls.Add(-1) == 0 {
			panic("no time")
		}
		return time.Now()
	}})
	gives(t, s)
	var told, panicked atomic.Int64
	charge := func(id string) func() {
		return func() {
			defer func() {
				if recover() != nil {
					panicked.Add(1)
				}
			}()
			if _, err := s.Hold(t.Context(), holdOf(id, 1)); errors.Is(err, store.ErrUnavailable) {
				told.Add(1)
			}
		}
	}
	together(t, p, s, charge("a"), charge("b"), func() {
		time.Sleep(100 * time.Millisecond) // until the others wait
		calls.Store(2)                     // when it is known who is led
	})
	if panicked.Load() != 1 || told.Load() != 1 {
		t.Errorf("%d panicked and %d were told, want one of each", panicked.Load(), told.Load())
	}
	holds(holdOf("behind", 1), book.HoldPlaced, 8)(t, s)
}

// TestPresumedTogether: of two who take different things for likely, neither is believed.
func TestPresumedTogether(t *testing.T) {
	server := redistest.Start(t)
	p := redistest.NewProxy(t, server)
	warm(t, server)
	s := open(t, redisstore.Options{URL: p.URL(), Timeout: patient})
	gives(t, s)
	held, err := s.Hold(t.Context(), holdOf("h", 4))
	if err != nil {
		t.Fatal(err)
	}
	reached, release := p.Hold(1)
	var done sync.WaitGroup
	done.Go(func() { holds(holdOf("in front", 1), book.HoldPlaced, 5)(t, s) })
	<-reached
	done.Go(func() {
		e := endOf("h", 4)
		e.By, e.Placed = "another", held.Placed
		if ended, err := s.End(t.Context(), e); err != nil || ended.Found {
			t.Errorf("end: %+v, %v; want it not to be found", ended, err)
		}
	})
	time.Sleep(100 * time.Millisecond)
	done.Go(func() {
		h := holdOf("h", 3)
		h.By = "another"
		holds(h, book.HoldRunning, 5)(t, s)
	})
	time.Sleep(100 * time.Millisecond)
	close(release)
	done.Wait()
	holdEnds(4, 5)(t, s)
	if _, err := s.End(t.Context(), endOf("in front", 0)); err != nil {
		t.Fatal(err)
	}
	wantBalance(t, s, "acc", 6, 2)
}

// TestGoneTogether: callers come and go, by their deadlines or otherwise, while the server forgets
// its scripts. No credit is lost, and nobody waits for ever.
func TestGoneTogether(t *testing.T) {
	const gateways, callers, rounds = 2, 8, 60
	server := redistest.Start(t)
	var all sync.WaitGroup
	direct := open(t, redisstore.Options{URL: server.URL()})
	for g := range gateways {
		s := open(t, redisstore.Options{URL: server.URL()})
		for c := range callers {
			all.Go(func() {
				for n := range rounds {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.N(4000))*time.Microsecond)
					if n%3 == 0 {
						ctx, cancel = context.WithCancel(t.Context())
						time.AfterFunc(time.Duration(rand.N(4000))*time.Microsecond, cancel)
					}
					if c == 0 && n%10 == 0 {
						server.MustDo("SCRIPT", "FLUSH")
					}
					id := fmt.Sprint(g, "/", c, "/", n)
					switch n % 4 {
					case 0:
						_, _ = s.Commit(ctx, give("acc", id, 3))
					case 1:
						o := order(id)
						if _, start, err := s.CreateOrder(ctx, o, book.Key{}); err == nil && start == book.Created {
							_ = s.DropOrder(ctx, o, book.Key{})
						}
					default:
						h := holdOf(id, 2)
						h.TTL = 2 * time.Second
						held, err := s.Hold(ctx, h)
						if err == nil && held.Outcome == book.HoldPlaced {
							e := endOf(id, int64(n%3))
							e.Placed = held.Placed
							_, _ = s.End(ctx, e)
						}
					}
					cancel()
				}
			})
		}
	}
	all.Wait()
	time.Sleep(2 * time.Second) // until every hold has run out
	if _, err := direct.Commit(t.Context(), give("acc", "last", 3)); err != nil {
		t.Fatal(err)
	}
	a, err := direct.Account(t.Context(), "acc")
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range a.Ledger.Grants {
		if g.Held != 0 {
			t.Errorf("%+v is held for nobody", g)
		}
	}
	wantBalance(t, direct, "acc", a.Ledger.Balance(), int(a.Ledger.Seq))
}

// TestNoTimeTogether: the credits of a hold that is over at once come back once.
func TestNoTimeTogether(t *testing.T) {
	server := redistest.Start(t)
	p := redistest.NewProxy(t, server)
	warm(t, server)
	s := open(t, redisstore.Options{URL: p.URL(), Timeout: patient})
	gives(t, s)
	brief := func(id string) func() {
		return func() {
			h := holdOf(id, 2)
			h.TTL = 0
			if held, err := s.Hold(t.Context(), h); err != nil || held.Outcome != book.HoldPlaced {
				t.Errorf("hold: %+v, %v", held, err)
			}
		}
	}
	together(t, p, s, brief("a"), brief("b"), brief("c"))
	time.Sleep(5 * time.Millisecond)
	holds(holdOf("behind", 1), book.HoldPlaced, 8)(t, s)
	a, err := s.Account(t.Context(), "acc")
	if err != nil || a.Ledger.Grants.At("pay_1").Held != 2 {
		t.Errorf("%+v, %v; want 2 held", a, err)
	}
}
