package gateway_test

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/boltstore"
)

// TestSettle: whoever has just paid is not refused, though no webhook has come.
func TestSettle(t *testing.T) {
	each(t, settings{hold: true, products: storyProducts}, func(t *testing.T, w *world) {
		now, waiting, err := w.ConfirmAccount(t.Context(), "alice")
		if err != nil || now.HasPaid || len(waiting) != 0 {
			t.Fatalf("a newcomer: %+v, %v, %v", now, waiting, err)
		}
		open := w.order("alice", "pack10")
		w.buy("alice", "monthly")
		now, waiting, err = w.ConfirmAccount(t.Context(), "alice")
		if err != nil || now.Credits != 500 || !now.HasPaid || now.Plan != "pro" {
			t.Errorf("%+v, %v", now, err)
		}
		if len(waiting) != 1 || waiting[0].ID != open.ID {
			t.Errorf("waiting are %v, want %s", waiting, open.ID)
		}
		if now, _, err := w.ConfirmAccount(t.Context(), "bob"); err != nil || now.HasPaid {
			t.Errorf("somebody else: %+v, %v", now, err)
		}
	})
}

// TestSettleAsksOnce: a hundred requests that would be refused are one read.
func TestSettleAsksOnce(t *testing.T) {
	each(t, settings{hold: true}, func(t *testing.T, w *world) {
		w.buy("alice", "pack10")
		var refused sync.WaitGroup
		for range 100 {
			refused.Go(func() {
				now, waiting, err := w.ConfirmAccount(t.Context(), "alice")
				if err != nil || now.Credits != 10 || len(waiting) != 0 {
					t.Errorf("%+v, %v, %v", now, waiting, err)
				}
			})
		}
		refused.Wait()
		sessions, payments := w.sim.Calls("GET", "/checkouts/{id}"), w.sim.Calls("GET", "/payments/{id}")
		if sessions != 1 || payments != 1 {
			t.Errorf("Dodo was asked for %d sessions and %d payments", sessions, payments)
		}
		w.entries("alice", 10)
	})
}

// TestSettleAsksInTurn: whichever of many open orders is the paid one, a few refusals find it,
// each with no more than a few calls.
func TestSettleAsksInTurn(t *testing.T) {
	for _, paid := range []int{0, 3, 10, 19} {
		w := newWorld(t, openBolt(t), settings{hold: true})
		var sessions []string
		for range 20 {
			sessions = append(sessions, w.order("alice", "pack10").SessionID)
		}
		_, err := w.sim.Pay(sessions[paid], goodCard)
		must(t, err)
		refusals, asked := 0, 0
		for ; refusals < 7; refusals++ {
			now, _, err := w.ConfirmAccount(t.Context(), "alice")
			must(t, err)
			before := asked
			if asked = w.sim.Calls("GET", "/checkouts/{id}"); asked-before > 3 {
				t.Errorf("one refusal asked about %d orders", asked-before)
			}
			if now.Credits == 10 {
				break
			}
		}
		if w.has("alice", 10, true); asked > 20 {
			t.Errorf("with order %d of 20 paid, Dodo was asked %d times in %d refusals", paid, asked, refusals)
		}
	}
}

// TestSettleAsksSeldom: a few orders for each refusal, and none of them again at once.
func TestSettleAsksSeldom(t *testing.T) {
	w := newWorld(t, openBolt(t), settings{})
	for range 5 {
		w.order("alice", "pack10")
	}
	for range 10 {
		_, waiting, err := w.ConfirmAccount(t.Context(), "alice")
		if err != nil || len(waiting) != 5 {
			t.Fatalf("%d wait, %v", len(waiting), err)
		}
	}
	if n := w.sim.Calls("GET", "/checkouts/{id}"); n != 5 {
		t.Errorf("Dodo was asked %d times, want once for each order", n)
	}
}

// TestSettleWithoutDodo: then what is known counts, and the order is named.
func TestSettleWithoutDodo(t *testing.T) {
	w := newWorld(t, openBolt(t), settings{hold: true})
	order := w.order("alice", "pack10")
	_, err := w.sim.Pay(order.SessionID, goodCard)
	must(t, err)
	w.sim.SetFault(dodosim.Fault{Status: http.StatusUnauthorized, Body: "{}"}, 10)
	now, waiting, err := w.ConfirmAccount(t.Context(), "alice")
	if err != nil || now.HasPaid || len(waiting) != 1 || waiting[0].ID != order.ID {
		t.Errorf("%+v, %v, %v", now, waiting, err)
	}
}

// TestSettleHasPatience: nobody waits for a Dodo that hangs, and what it says in
// the end still counts.
func TestSettleHasPatience(t *testing.T) {
	hangs := make(chan struct{})
	w := newWorld(t, openBolt(t), settings{hold: true, between: func(dodo http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				if <-hangs; r.Context().Err() != nil {
					t.Error("the visitor waited as long as we do")
				}
			}
			dodo.ServeHTTP(rw, r)
		})
	}})
	order := w.order("alice", "pack10")
	_, err := w.sim.Pay(order.SessionID, goodCard)
	must(t, err)
	now, waiting, err := w.ConfirmAccount(t.Context(), "alice")
	if err != nil || now.HasPaid || len(waiting) != 1 {
		t.Errorf("while Dodo hangs: %+v, %v, %v", now, waiting, err)
	}
	close(hangs)
	_, err = w.Confirm(t.Context(), "alice", order.ID) // waits for the answer to the same question
	must(t, err)
	w.has("alice", 10, true)
}

// TestSettleWithoutStore: "not paid" is never said of somebody whose account
// cannot be read.
func TestSettleWithoutStore(t *testing.T) {
	s := openBolt(t)
	w := newWorld(t, s, settings{hold: true})
	w.buy("alice", "pack10")
	must(t, s.(*boltstore.Store).Close())
	if _, _, err := w.ConfirmAccount(t.Context(), "alice"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("%v", err)
	}
}

// TestSettleCannotStore: nor of one of whom Dodo says that they paid.
func TestSettleCannotStore(t *testing.T) {
	s := openBolt(t)
	w := newWorld(t, s, settings{hold: true})
	w.buy("alice", "pack10")
	g := w.newGateway(settings{change: func(o *gateway.Options) { o.Store = readOnly{s} }})
	if _, _, err := g.ConfirmAccount(t.Context(), "alice"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("%v", err)
	}
}

// readOnly is a store whose disk is full.
type readOnly struct{ store.Store }

func (r readOnly) Update(ctx context.Context, account string, decide store.Decision) (store.Updated, error) {
	if kind, _ := kindOf(account, decide); kind == commits {
		return store.Updated{}, store.ErrUnavailable
	}
	return r.Store.Update(ctx, account, decide)
}

// TestOffersNow never waits for Dodo, which is asked all the same when the first who wants
// to know has left.
func TestOffersNow(t *testing.T) {
	hangs := make(chan struct{})
	w := newWorld(t, openBolt(t), settings{between: func(dodo http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			<-hangs
			dodo.ServeHTTP(rw, r)
		})
	}})
	ctx, leave := context.WithCancel(t.Context())
	leave()
	for range 3 {
		if offers := w.OffersNow(ctx); len(offers) != 3 || offers[0].Priced {
			t.Errorf("%+v", offers)
		}
	}
	close(hangs)
	for begin := time.Now(); !w.OffersNow(ctx)[0].Priced; runtime.Gosched() {
		if time.Since(begin) > 5*time.Second {
			t.Fatal("nobody reads the prices")
		}
	}
	if n := w.sim.Calls("GET", "/products"); n != 1 {
		t.Errorf("Dodo was asked %d times", n)
	}
}

// asked counts how often open orders are read.
type asked struct {
	store.Store
	orders atomic.Int64
}

func (a *asked) Orders(ctx context.Context, account string, list store.OrderList) ([]book.Order, error) {
	if list == store.OpenOrders {
		a.orders.Add(1)
	}
	return a.Store.Orders(ctx, account, list)
}

// TestSettleRemembers that no order waits, until one can be paid, whichever gateway
// made it.
func TestSettleRemembers(t *testing.T) {
	each(t, settings{hold: true}, func(t *testing.T, w *world) {
		counted := &asked{Store: w.store}
		g := w.newGateway(settings{hold: true})
		g.Close()
		o := g.Options
		o.Store = counted
		g = newGate(t, o)
		refused := func() {
			t.Helper()
			if now, waiting, err := g.ConfirmAccount(t.Context(), "alice"); err != nil || now.HasPaid || len(waiting) != 0 {
				t.Fatalf("%+v, %v, %v", now, waiting, err)
			}
		}
		calm := func() bool { // nothing is asked any more, once changes are heard
			before := counted.orders.Load()
			refused()
			return counted.orders.Load() == before
		}
		for range 1000 {
			if calm() {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		before := counted.orders.Load()
		for range 100 {
			refused()
		}
		if n := counted.orders.Load() - before; n != 0 {
			t.Fatalf("orders were read %d times", n)
		}
		order := w.order("alice", "pack10") // at another gateway
		for range 1000 {
			_, waiting, err := g.ConfirmAccount(t.Context(), "alice")
			must(t, err)
			if len(waiting) == 1 && waiting[0].ID == order.ID {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Error("the order is not seen")
	})
}

// TestSettleSeesOwnOrders at once.
func TestSettleSeesOwnOrders(t *testing.T) {
	each(t, settings{hold: true}, func(t *testing.T, w *world) {
		for range 20 {
			_, _, err := w.ConfirmAccount(t.Context(), "bob")
			must(t, err)
		}
		for n := range 5 {
			w.order("bob", "pack10")
			if _, waiting, err := w.ConfirmAccount(t.Context(), "bob"); err != nil || len(waiting) != n+1 {
				t.Fatalf("after %d orders: %d wait, %v", n+1, len(waiting), err)
			}
		}
	})
}
