package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/boltstore"
	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// moments are when something happens in the middle of a checkout. Each is called with
// no lock held, if it is set; around those of Dodo the call is under way.
type moments struct {
	beforeCreate, afterCreate, beforeDodo, afterDodo, beforeOpen, afterOpen func()
	// asked is called with what the store is called with.
	asked func(context.Context)
}

func happens(f func()) {
	if f != nil {
		f()
	}
}

// watchedStore is a store around whose calls something happens.
type watchedStore struct {
	store.Store
	*moments
}

func (s watchedStore) Update(ctx context.Context, account string, decide store.Decision) (store.Updated, error) {
	kind, _ := kindOf(account, decide)
	if s.asked != nil && (kind == creates || kind == opens) {
		s.asked(ctx)
	}
	switch kind {
	case creates:
		happens(s.beforeCreate)
		defer happens(s.afterCreate)
	case opens:
		happens(s.beforeOpen)
		defer happens(s.afterOpen)
	}
	return s.Store.Update(ctx, account, decide)
}

// eachUnderWay runs a test with moments against both stores.
func eachUnderWay(t *testing.T, with settings, test func(t *testing.T, w *world, m *moments)) {
	t.Helper()
	for name, open := range map[string]func(t *testing.T) store.Store{
		"bolt": openBolt, "redis": func(t *testing.T) store.Store { return openRedis(t, redistest.Start(t).Addr) },
	} {
		t.Run(name, func(t *testing.T) {
			m := new(moments)
			with.between = func(sim http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodPost {
						happens(m.beforeDodo)
						defer happens(m.afterDodo)
					}
					sim.ServeHTTP(w, r)
				})
			}
			test(t, newWorld(t, watchedStore{open(t), m}, with), m)
		})
	}
}

// TestClientLeaves: whenever the client of a checkout leaves, what is begun is finished
// or undone: its key is not in use, no order is left that cannot be paid, and the next
// request under the key gets an order that can.
func TestClientLeaves(t *testing.T) {
	for name, when := range map[string]func(*moments) *func(){
		"before the order":     func(m *moments) *func() { return &m.beforeCreate },
		"behind the order":     func(m *moments) *func() { return &m.afterCreate },
		"while Dodo thinks":    func(m *moments) *func() { return &m.beforeDodo },
		"when Dodo has it":     func(m *moments) *func() { return &m.afterDodo },
		"behind Dodo's answer": func(m *moments) *func() { return &m.beforeOpen },
		"at the end":           func(m *moments) *func() { return &m.afterOpen },
	} {
		t.Run(name, func(t *testing.T) {
			eachUnderWay(t, settings{}, func(t *testing.T, w *world, m *moments) {
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				*when(m) = leave
				req := wish("pack10")
				req.IdempotencyKey = "once"
				_, err := w.Checkout(ctx, who("alice"), req)
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Errorf("it ended with %v", err)
				}
				order, err := w.Checkout(t.Context(), who("alice"), req)
				must(t, err)
				if pending, err := w.Pending(t.Context(), "alice"); err != nil || len(pending) != 1 || pending[0].ID != order.ID {
					t.Errorf("pending are %v, %v; want %s", pending, err, order.ID)
				}
				_, err = w.sim.Pay(order.SessionID, goodCard)
				must(t, err)
				w.flush()
				w.has("alice", 10, true)
			})
		})
	}
}

// eachByClock runs a test with moments against both stores, all of which live by a clock.
func eachByClock(t *testing.T, test func(t *testing.T, w *world, m *moments, pass func(time.Duration))) {
	t.Helper()
	for name, open := range map[string]func(*testing.T, func() time.Time) (store.Store, func() error){
		"bolt": func(t *testing.T, clock func() time.Time) (store.Store, func() error) {
			s, err := boltstore.Open(filepath.Join(t.TempDir(), "dodogate.db"), boltstore.Options{Clock: clock})
			must(t, err)
			return s, s.Close
		},
		"redis": func(t *testing.T, clock func() time.Time) (store.Store, func() error) {
			s, err := redisstore.Open(t.Context(), redisstore.Options{URL: redistest.Start(t).URL(), Timeout: 10 * time.Second, Clock: clock})
			must(t, err)
			return s, s.Close
		},
	} {
		t.Run(name, func(t *testing.T) {
			var passed atomic.Int64
			begin := time.Now()
			clock := func() time.Time { return begin.Add(time.Duration(passed.Load())) }
			s, end := open(t, clock)
			t.Cleanup(func() { _ = end() })
			m := new(moments)
			w := newWorld(t, watchedStore{s, m}, settings{clock: clock})
			test(t, w, m, func(d time.Duration) { passed.Add(int64(d)) })
		})
	}
}

// TestBegunAndAbandoned: what processes left behind that died in the middle of checkouts
// does not use up the orders that an account may have.
func TestBegunAndAbandoned(t *testing.T) {
	eachByClock(t, func(t *testing.T, w *world, m *moments, pass func(time.Duration)) {
		m.afterCreate = runtime.Goexit
		for range book.MaxOpenOrders {
			var dying sync.WaitGroup
			dying.Go(func() { _, _ = w.Checkout(t.Context(), who("alice"), wish("pack10")) })
			dying.Wait()
		}
		*m = moments{}
		pass(20 * time.Second)
		if _, err := w.Checkout(t.Context(), who("alice"), wish("pack10")); !errors.Is(err, store.ErrTooManyOrders) {
			t.Errorf("while they may still be at work: %v", err)
		}
		pass(10 * time.Second)
		order := w.order("alice", "pack10")
		if want := w.Clock().Add(24 * time.Hour).Truncate(time.Millisecond); !order.ExpiresAt.Equal(want) {
			t.Errorf("an order can be paid until %v, want %v", order.ExpiresAt, want)
		}
	})
}

// TestSuspended: a gateway that stood still, longer than a key is held for it, finds that
// another one has finished its order, and sends the customer to the same checkout.
func TestSuspended(t *testing.T) {
	eachByClock(t, func(t *testing.T, w *world, m *moments, pass func(time.Duration)) {
		req := wish("pack10")
		req.IdempotencyKey = "once"
		var second *book.Order
		m.beforeOpen = func() {
			m.beforeOpen = nil
			pass(30 * time.Second)
			var err error
			second, err = w.Checkout(t.Context(), who("alice"), req)
			must(t, err)
		}
		first, err := w.Checkout(t.Context(), who("alice"), req)
		must(t, err)
		third, err := w.Checkout(t.Context(), who("alice"), req)
		must(t, err)
		for _, o := range []*book.Order{first, third} {
			if o.ID != second.ID || o.SessionID != second.SessionID || o.CheckoutURL != second.CheckoutURL || !o.ExpiresAt.Equal(third.ExpiresAt) {
				t.Errorf("one key leads to %+v and %+v", second, o)
			}
		}
		_, err = w.sim.Pay(first.SessionID, goodCard)
		must(t, err)
		w.flush()
		w.has("alice", 10, true)
	})
}

// TestCheckoutEnds: what a checkout may take, all in all, is less than its key is held for.
func TestCheckoutEnds(t *testing.T) {
	var left []time.Duration
	m := &moments{asked: func(ctx context.Context) {
		if deadline, ok := ctx.Deadline(); ok {
			left = append(left, time.Until(deadline))
		}
	}}
	newWorld(t, watchedStore{openBolt(t), m}, settings{}).order("alice", "pack10")
	if len(left) != 2 || left[0]+left[1] > 20*time.Second {
		t.Errorf("until Dodo has answered and then, it may take %v", left)
	}
}

// TestWhatDodoIsAskedFor: all of it, and nothing that the customer made up.
func TestWhatDodoIsAskedFor(t *testing.T) {
	var asked string
	w := newWorld(t, openBolt(t), settings{between: func(sim http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			must(t, err)
			asked, r.Body = string(body), io.NopCloser(bytes.NewReader(body))
			sim.ServeHTTP(w, r)
		})
	}})
	req := wish("pack10")
	req.Quantity, req.DiscountCode, req.ReturnTo = 3, "ALLFREE", "http://localhost:8080/there"
	order, err := w.Checkout(t.Context(), gateway.Identity{Account: "alice", Email: "alice@example.com", Name: "Alice"}, req)
	must(t, err)
	proof := w.proof(order.ID, "alice", "pack10")["dodogate_proof"]
	want := `{"product_cart":[{"product_id":"pdt_pack10","quantity":3}],` +
		`"return_url":"http://localhost:8080/payments/return?order=` + order.ID + `",` +
		`"cancel_url":"http://localhost:8080/payments/return?order=` + order.ID + `\u0026cancelled=1",` +
		`"discount_codes":["ALLFREE"],"customer":{"email":"alice@example.com","name":"Alice"},` +
		`"metadata":{"dodogate_account":"alice","dodogate_order":"` + order.ID + `","dodogate_product":"pack10","dodogate_proof":"` + proof + `","dodogate_site":"` + siteID + `"}}`
	if asked != want {
		t.Errorf("asked for\n%s\nwant\n%s", asked, want)
	}
	if order.ReturnTo != req.ReturnTo || order.Email != "" {
		t.Errorf("the order is %+v", order)
	}
}

// TestStoreEmptied: when the store loses everything while Dodo makes the session, the
// customer is asked to come again, and finds the key free. A session that is paid all the
// same is known by its proof.
func TestStoreEmptied(t *testing.T) {
	server := redistest.Start(t)
	m := new(moments)
	w := newWorld(t, watchedStore{openRedis(t, server.Addr), m}, settings{})
	m.beforeOpen = func() { server.MustDo("FLUSHALL") }
	req := wish("pack10")
	req.IdempotencyKey = "once"
	_, err := w.Checkout(t.Context(), who("alice"), req)
	if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrNotFound) {
		t.Errorf("it ended with %v", err)
	}
	lost := w.sessions()
	m.beforeOpen = nil
	order, err := w.Checkout(t.Context(), who("alice"), req)
	must(t, err)
	for _, session := range append(lost, order.SessionID) {
		_, err = w.sim.Pay(session, goodCard)
		must(t, err)
	}
	w.flush()
	w.has("alice", 20, true)
	w.entries("alice", 10, 10)
}

// sessions are the ids of all that Dodo has made.
func (w *world) sessions() (ids []string) {
	w.t.Helper()
	var all struct {
		Sessions []struct {
			ID string `json:"session_id"`
		} `json:"checkout_sessions"`
	}
	text, err := w.sim.Dump()
	must(w.t, err)
	must(w.t, json.Unmarshal(text, &all))
	for _, s := range all.Sessions {
		ids = append(ids, s.ID)
	}
	return ids
}

// TestOneKeyAtTwoGateways: of many at once under one key, at two gateways on one store
// and with a Dodo that takes its time, one makes the order.
func TestOneKeyAtTwoGateways(t *testing.T) {
	eachUnderWay(t, settings{}, func(t *testing.T, w *world, m *moments) {
		m.beforeDodo = func() { time.Sleep(50 * time.Millisecond) }
		gates := []*gate{w.gate, w.newGateway(settings{})}
		req := wish("pack10")
		req.IdempotencyKey = "once"
		var (
			callers sync.WaitGroup
			mu      sync.Mutex
			urls    = make(map[string]bool)
		)
		for i := range 40 {
			callers.Go(func() {
				for {
					order, err := gates[i%2].Checkout(t.Context(), who("alice"), req)
					if errors.Is(err, gateway.ErrKeyRunning) {
						time.Sleep(time.Millisecond)
						continue
					}
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					urls[order.CheckoutURL] = true
					return
				}
			})
		}
		callers.Wait()
		if n := w.sim.Calls("POST", "/checkouts"); len(urls) != 1 || n != 1 {
			t.Errorf("%d addresses to pay at, %d sessions", len(urls), n)
		}
	})
}
