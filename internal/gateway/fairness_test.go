package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
)

// One account's haste or misfortune is nobody else's.

// TestImpatientCustomer: a customer who lets the gateway ask Dodo all the time about many
// orders, by /confirm, by requests that are refused, or by the return page from many
// addresses, leaves all others their confirmations.
func TestImpatientCustomer(t *testing.T) {
	for name, pester := range map[string]func(w *world, ctx context.Context, order book.Order){
		"confirm": func(w *world, ctx context.Context, order book.Order) {
			_, _ = w.Confirm(ctx, "alice", order.ID)
		},
		"refusals": func(w *world, ctx context.Context, _ book.Order) {
			_, _, _ = w.ConfirmAccount(ctx, "alice")
		},
		"return page": func(w *world, ctx context.Context, order book.Order) {
			_, _ = w.ConfirmAddressed(ctx, order.ID)
		},
	} {
		t.Run(name, func(t *testing.T) {
			clock := newTimer()
			w := newWorld(t, openBolt(t), settings{hold: true, clock: clock.Now, sleep: clock.Sleep, perMinute: gateway.DefaultBudget})
			checkOut := func(account string) book.Order {
				clock.Move(10 * time.Second) // as often as one account may
				return w.order(account, "pack10")
			}
			var pestered, waiting []book.Order
			for range 40 {
				pestered = append(pestered, checkOut("alice"))
			}
			for i := range 40 {
				order := checkOut(fmt.Sprint("customer_", i))
				_, err := w.sim.Pay(order.SessionID, goodCard)
				must(t, err)
				waiting = append(waiting, order)
			}
			clock.Move(5 * time.Minute)
			calls := w.sim.Calls("", "")
			for i, order := range waiting { // 20 a minute
				for j, of := range pestered {
					pester(w, at(t, fmt.Sprintf("192.0.2.%d", j)), of)
				}
				clock.Move(3 * time.Second)
				got, err := w.Confirm(at(t, fmt.Sprintf("198.51.100.%d", i)), order.Account, order.ID)
				must(t, err)
				if got.State != book.OrderPaid {
					t.Errorf("order %d is %s", i, got.State)
				}
			}
			// What one account gets in two minutes, and a session and a payment for each of the others.
			if made := w.sim.Calls("", "") - calls; made > 60+2*len(waiting) {
				t.Errorf("%d calls in two minutes", made)
			}
		})
	}
}

// hindered is a store that does not hold credits of some accounts.
type hindered struct {
	*unsteady
	hold func(account string) error // before it is asked
}

func (s hindered) Update(ctx context.Context, account string, decide store.Decision) (store.Updated, error) {
	if kind, _ := kindOf(account, decide); kind == holds && !s.isAway() {
		if err := s.hold(account); err != nil {
			return store.Updated{}, err
		}
	}
	return s.unsteady.Update(ctx, account, decide)
}

// deferred are charges of requests that passed while the store was away.
type deferred struct {
	*world
	away *unsteady
}

// deferring is a world whose store is away, after every account has got its credits.
func deferring(t *testing.T, credits int64, hold func(account string) error, accounts ...string) deferred {
	t.Helper()
	u := &unsteady{Store: openBolt(t)}
	w := newWorld(t, hindered{u, hold}, settings{signupCredits: credits, maxStale: time.Hour})
	for _, account := range accounts {
		_, err := w.View(t.Context(), account)
		must(t, err)
	}
	u.set(true, 0)
	return deferred{w, u}
}

func (d deferred) pass(account string, credits int64) *gateway.Charge {
	d.t.Helper()
	known := &gateway.View{Snapshot: entitlement.Snapshot{Credits: 1000}}
	c, err := d.Hold(d.t.Context(), gateway.HoldRequest{Account: account, Credits: credits, TTL: time.Minute, Known: known})
	must(d.t, err)
	return c
}

// back lets the store be reached again.
func (d deferred) back() { d.away.set(false, 0) }

// charged wants a charge to be made soon.
func charged(t *testing.T, what string, done <-chan ended) {
	t.Helper()
	select {
	case got := <-done:
		if !got.spent || got.err != nil {
			t.Errorf("%s: %+v", what, got)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("%s is not charged", what)
	}
}

func customers(n int) (accounts []string) {
	for i := range n {
		accounts = append(accounts, fmt.Sprint("customer_", i))
	}
	return accounts
}

// TestDeferredChargesDoNotWaitForAnAccount whose charges hang, or fail again and again. Its
// own are made when that is over.
func TestDeferredChargesDoNotWaitForAnAccount(t *testing.T) {
	for name, hangs := range map[string]bool{"hangs": true, "fails": false} {
		t.Run(name, func(t *testing.T) {
			mended, cancel := context.WithCancel(t.Context())
			defer cancel()
			hold := func(account string) error {
				select {
				case <-mended.Done():
					return nil
				default:
				}
				if account != "broken" {
					return nil
				}
				if hangs {
					<-mended.Done()
				}
				return store.ErrUnavailable
			}
			accounts := customers(100)
			d := deferring(t, 10, hold, append(accounts, "broken")...)
			var broken, others []<-chan ended
			for range 5 {
				broken = append(broken, end(t.Context(), d.pass("broken", 1), 1))
			}
			for _, account := range accounts {
				others = append(others, end(t.Context(), d.pass(account, 1), 1))
			}
			d.back()
			for i, done := range others {
				charged(t, accounts[i], done)
			}
			for _, done := range broken {
				select {
				case got := <-done:
					t.Errorf("a charge that cannot be made: %+v", got)
				default:
				}
			}
			cancel()
			for _, done := range broken {
				charged(t, "the broken account", done)
			}
			a, err := d.store.Account(t.Context(), "broken")
			must(t, err)
			if got := a.Ledger.Available(time.Now()); got != 5 {
				t.Errorf("%d credits are left, want 5", got)
			}
		})
	}
}

// TestDeferredChargesOfManyBrokenAccounts: also many accounts that cannot be charged leave the
// others their turn.
func TestDeferredChargesOfManyBrokenAccounts(t *testing.T) {
	const broken = 40
	accounts := customers(2 * broken)
	hold := func(account string) error {
		if slices.Contains(accounts[:broken], account) {
			return store.ErrUnavailable
		}
		return nil
	}
	d := deferring(t, 10, hold, accounts...)
	ctx, giveUp := context.WithCancel(t.Context())
	var done []<-chan ended
	for _, account := range accounts {
		done = append(done, end(ctx, d.pass(account, 1), 1))
	}
	d.back()
	for i := broken; i < len(accounts); i++ {
		charged(t, accounts[i], done[i])
	}
	giveUp()
	for _, done := range done[:broken] {
		if got := <-done; got.spent || got.err == nil {
			t.Errorf("%+v", got)
		}
	}
	d.pass(accounts[0], 10) // it owes nothing any more
}

// TestDeferredChargesOfOneAccount are made one after the other, the oldest first, also if the
// store fails in between; and a charge whose caller gives up does not wait for those before it.
func TestDeferredChargesOfOneAccount(t *testing.T) {
	var attempts atomic.Int64
	reached, release := make(chan struct{}), make(chan struct{})
	first := sync.OnceFunc(func() { close(reached); <-release })
	hold := func(string) error {
		first()
		if attempts.Add(1)%3 == 2 {
			return store.ErrUnavailable
		}
		return nil
	}
	d := deferring(t, 1000, hold, "ann")
	var done []<-chan ended
	queue := func(ctx context.Context, credits int64) <-chan ended {
		c := d.pass("ann", credits)
		before := d.Queued()
		ch := end(ctx, c, credits)
		until(t, "the charge is queued", func() bool { return d.Queued() > before })
		return ch
	}
	done = append(done, queue(t.Context(), 1))
	d.back()
	<-reached
	ctx, giveUp := context.WithCancel(t.Context())
	done = append(done, queue(t.Context(), 2))
	left := queue(ctx, 500)
	for credits := int64(3); credits <= 8; credits++ {
		done = append(done, queue(t.Context(), credits))
	}
	giveUp()
	if got := <-left; got.spent || !errors.Is(got.err, context.Canceled) { // while the first one hangs
		t.Errorf("%+v", got)
	}
	close(release)
	for i, done := range done {
		charged(t, fmt.Sprint("charge ", i), done)
	}
	d.entries("ann", 1000, -1, -2, -3, -4, -5, -6, -7, -8)
	d.keeps(1000 - 36)
}
