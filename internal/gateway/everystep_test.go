package gateway_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"path/filepath"
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

// A use case is broken off at its first step, at its second one, and so on until it goes
// through. Each time it is repeated afterwards, and everything must then be there once.
//
// The faults are below the interface of the stores: in the connection to Redis, and in the
// clock that bolt asks while it works.

// faulty is a world in which something breaks.
type faulty struct {
	*world
	clock *timer
	// arm lets step n break, counted from 1, and all that follow until mend.
	arm func(n int) fault
	// leaves: the store is well, and it is the caller that leaves.
	leaves bool
}

// fault is one that is armed.
type fault struct {
	ctx     context.Context // of the use case
	reached func() bool     // whether the step was
	mend    func()
}

// eachFault runs a test with every kind of fault.
func eachFault(t *testing.T, with settings, test func(t *testing.T, f *faulty)) {
	t.Helper()
	run := func(name string, begin func(t *testing.T, f *faulty) store.Store) {
		t.Run(name, func(t *testing.T) {
			f := &faulty{clock: newTimer()}
			with.clock, with.sleep = f.clock.Now, f.clock.Sleep
			s := begin(t, f)
			f.world = newWorld(t, s, with)
			test(t, f)
		})
	}
	onRedis := func(t *testing.T) (*redistest.Proxy, store.Store) {
		proxy := redistest.NewProxy(t, redistest.Start(t))
		s, err := redisstore.Open(t.Context(), redisstore.Options{URL: proxy.URL(), Timeout: 10 * time.Second})
		must(t, err)
		t.Cleanup(func() { _ = s.Close() })
		return proxy, s
	}
	run("redis is away", func(t *testing.T, f *faulty) store.Store {
		proxy, s := onRedis(t)
		f.arm = func(n int) fault { return fault{t.Context(), proxy.CutAfter(n - 1), proxy.Mend} }
		return s
	})
	run("redis does it and does not answer", func(t *testing.T, f *faulty) store.Store {
		proxy, s := onRedis(t)
		f.arm = func(n int) fault {
			var reached atomic.Bool
			proxy.LoseReplies(func(reply int) bool {
				if reply >= n {
					reached.Store(true)
				}
				return reply >= n
			})
			return fault{t.Context(), reached.Load, func() { proxy.LoseReplies(nil) }}
		}
		return s
	})
	run("the caller leaves, on redis", func(t *testing.T, f *faulty) store.Store {
		var c caller
		proxy, s := onRedis(t)
		proxy.LoseReplies(func(int) bool { c.step(); return false })
		f.arm, f.leaves = func(n int) fault { return c.leavesAt(t, n) }, true
		return s
	})
	run("the caller leaves, on bolt", func(t *testing.T, f *faulty) store.Store {
		var c caller
		s, err := boltstore.Open(filepath.Join(t.TempDir(), "dodogate.db"), boltstore.Options{Clock: func() time.Time {
			c.step()
			return time.Now()
		}})
		must(t, err)
		t.Cleanup(func() { _ = s.Close() })
		f.arm, f.leaves = func(n int) fault { return c.leavesAt(t, n) }, true
		return s
	})
}

// caller leaves at a step.
type caller struct {
	mu    sync.Mutex
	after int // steps
	leave func()
}

func (c *caller) leavesAt(t *testing.T, n int) fault {
	ctx, cancel := context.WithCancel(t.Context())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.after, c.leave = n, cancel
	reached := func() bool { return ctx.Err() != nil }
	return fault{ctx, reached, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.after, c.leave = 0, nil
	}}
}

func (c *caller) step() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.after--; c.after == 0 && c.leave != nil {
		c.leave()
	}
}

// mostSteps ends a test whose use case never goes through.
const mostSteps = 300

var stride = flag.Int("stride", 4, "which of the steps of long use cases are broken off: 1 is all")

// steps breaks off a use case at each of its steps, for an account of its own each time. begin
// prepares the account and returns the use case; after wants that it was done once, now that
// nothing breaks any more. With a stride, only some of the steps are broken off.
func (f *faulty) steps(stride, least int, begin func(account string) func(fault) error, after func(account string)) {
	f.t.Helper()
	for n := 1; n <= mostSteps; n += stride {
		account := fmt.Sprint("account_", n)
		do := begin(account)
		broken := f.arm(n)
		err := do(broken)
		reached := broken.reached()
		broken.mend()
		switch {
		case err != nil && !reached:
			f.t.Errorf("step %d was not reached: %v", n, err)
		case err != nil && !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, context.Canceled):
			f.t.Errorf("step %d: %v", n, err)
		}
		after(account)
		if f.t.Failed() {
			f.t.Fatalf("after step %d", n)
		}
		if !reached {
			if n <= least {
				f.t.Errorf("it has %d steps, want %d at least", n-1, least)
			}
			return
		}
	}
	f.t.Errorf("it does not go through in %d steps", mostSteps)
}

// again repeats what can fail until it is done: a connection may still be one that was cut.
func (f *faulty) again(what string, do func() error) {
	f.t.Helper()
	var err error
	for range 5 {
		f.clock.Move(3 * time.Second) // an order is confirmed once in two
		if err = do(); err == nil {
			return
		}
	}
	f.t.Errorf("%s: %v", what, err)
}

// is wants an account's credits, here and at a gateway that has seen nothing, and its entries.
func (f *faulty) is(account string, credits int64, entries ...int64) {
	f.t.Helper()
	f.again("read the account", func() error { _, err := f.Entitlement(f.t.Context(), account); return err })
	f.has(account, credits, f.paid(account))
	f.entries(account, entries...)
	a, err := f.store.Account(f.t.Context(), account)
	must(f.t, err)
	if got := a.Ledger.Available(time.Now()); got != credits {
		f.t.Errorf("%s has %d credits in the store, want %d", account, got, credits)
	}
}

func (f *faulty) paid(account string) bool {
	s, err := f.Entitlement(f.t.Context(), account)
	must(f.t, err)
	return s.HasPaid
}

// told lets the webhooks of all that happened come, which must change nothing, and wants the
// journal to have them as done.
func (f *faulty) told(from int) {
	f.t.Helper()
	for _, e := range f.sim.Events()[from:] {
		f.deliver(e.ID)
		if record, err := f.store.Event(f.t.Context(), e.ID); err != nil || !record.State.Final() {
			f.t.Errorf("event %s is %s, %v", e.Type, record.State, err)
		}
	}
	if events, _, err := f.store.Parked(f.t.Context(), "", "", 100); err != nil || len(events) != 0 {
		f.t.Errorf("%d events are parked, %v", len(events), err)
	}
}

func TestConfirmBreaksOff(t *testing.T) {
	for product, credits := range map[string]int64{"pack10": 10, "monthly": 500} {
		t.Run(product, func(t *testing.T) {
			eachFault(t, settings{hold: true, products: storyProducts}, func(t *testing.T, f *faulty) {
				orders, events := make(map[string]string), 0
				f.steps(1, 3, func(account string) func(fault) error {
					events = len(f.sim.Events())
					order := f.order(account, product)
					_, err := f.sim.Pay(order.SessionID, goodCard)
					must(t, err)
					orders[account] = order.ID
					return func(broken fault) error { _, err := f.Confirm(broken.ctx, account, order.ID); return err }
				}, func(account string) {
					f.again("confirm", func() error {
						order, err := f.Confirm(t.Context(), account, orders[account])
						if err == nil && order.State != book.OrderPaid {
							err = fmt.Errorf("the order is %s", order.State)
						}
						return err
					})
					f.is(account, credits, credits)
					f.told(events)
					f.is(account, credits, credits)
				})
			})
		})
	}
}

func TestEventBreaksOff(t *testing.T) {
	for product, credits := range map[string]int64{"pack10": 10, "monthly": 500} {
		t.Run(product, func(t *testing.T) {
			eachFault(t, settings{hold: true, products: storyProducts}, func(t *testing.T, f *faulty) {
				events, each := 0, 1
				if product == "monthly" {
					each = *stride
				}
				f.steps(each, 2, func(account string) func(fault) error {
					events = len(f.sim.Events())
					f.buy(account, product)
					return func(broken fault) error {
						for _, e := range f.sim.Events()[events:] {
							d, err := f.sim.Redeliver(t.Context(), e.ID)
							must(t, err)
							header := make(http.Header)
							for name, values := range d.Header {
								header[http.CanonicalHeaderKey(name)] = values
							}
							if _, err := f.HandleEvent(broken.ctx, header, d.Body); err != nil {
								return err
							}
						}
						return nil
					}
				}, func(account string) {
					f.told(events)
					f.is(account, credits, credits)
				})
			})
		})
	}
}

func TestReconcileBreaksOff(t *testing.T) {
	eachFault(t, settings{hold: true, products: storyProducts}, func(t *testing.T, f *faulty) {
		events := 0
		f.reconcile()
		every := *stride
		if every > 1 {
			every *= 3 // a pass has many steps
		}
		f.steps(every, 6, func(account string) func(fault) error {
			f.clock.Move(40 * day) // what the passes before have seen is not listed again
			events = len(f.sim.Events())
			_, err := f.sim.Refund(f.buy(account, "pack10"), 250)
			must(t, err)
			f.buy(account, "pro30")
			return func(broken fault) error { _, err := f.Reconcile(broken.ctx, unlimited); return err }
		}, func(account string) {
			f.again("reconcile", func() error { _, err := f.Reconcile(t.Context(), unlimited); return err })
			if next := f.reconcile(); next.Read != 0 || next.Unapplied != 0 {
				t.Errorf("the next pass did %+v", next)
			}
			f.is(account, 5, 5)
			f.plan(account, "pro")
			f.told(events)
			f.is(account, 5, 5)
		})
	})
}

// plan wants an account's plan.
func (f *faulty) plan(account, want string) {
	f.t.Helper()
	s, err := f.Entitlement(f.t.Context(), account)
	must(f.t, err)
	if s.Plan != want {
		f.t.Errorf("%s has the plan %s, want %s", account, s.Plan, want)
	}
}

func TestSignupBreaksOff(t *testing.T) {
	eachFault(t, settings{signupCredits: 7}, func(t *testing.T, f *faulty) {
		f.steps(1, 1, func(account string) func(fault) error {
			return func(broken fault) error { _, err := f.View(broken.ctx, account); return err }
		}, func(account string) {
			f.is(account, 7, 7)
		})
	})
}

// TestDeferredChargeBreaksOff: whenever Redis goes again while it is charged for what passed
// without it, or the caller leaves, the request is charged once. A caller that leaves may also
// be charged nothing, and is not told something else.
func TestDeferredChargeBreaksOff(t *testing.T) {
	eachFault(t, settings{signupCredits: 10, maxStale: time.Hour}, func(t *testing.T, f *faulty) {
		outcomes := make(map[string]ended)
		f.steps(1, 2, func(account string) func(fault) error {
			known, err := f.View(t.Context(), account)
			must(t, err)
			away := &unsteady{Store: f.store.Store}
			away.set(true, 0)
			g := newGate(t, gateway.Options{
				Store: away, Observer: f.seen, Logger: f.Logger, Clock: f.clock.Now, Catalog: f.Options.Catalog, MaxStale: time.Hour,
			})
			c, err := g.Hold(t.Context(), gateway.HoldRequest{Account: account, Credits: 4, TTL: time.Minute, Known: known})
			must(t, err)
			if !c.Deferred() {
				t.Fatal("it is not deferred")
			}
			away.set(false, 0)
			return func(broken fault) error {
				done := end(broken.ctx, c, 3)
				for {
					select {
					case outcomes[account] = <-done:
						return outcomes[account].err
					case <-time.After(time.Millisecond):
						if broken.reached() {
							broken.mend() // Redis comes back
						}
					}
				}
			}
		}, func(account string) {
			got := outcomes[account]
			entries, err := f.store.Entries(t.Context(), account, store.Page{Limit: 10})
			must(t, err)
			switch charged := len(entries) == 2 && entries[1].Amount == -3; {
			case !f.leaves && (!charged || !got.spent || got.err != nil), got.spent && !charged, len(entries) > 2:
				t.Errorf("%+v with the entries %+v", got, entries)
			}
		})
	})
}
