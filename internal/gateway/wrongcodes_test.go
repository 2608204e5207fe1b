package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/gateway"
)

// calls notes when calls reach Dodo.
type calls struct {
	clock *timer
	mu    sync.Mutex
	times []time.Time
}

func (c *calls) between(dodo http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		c.times = append(c.times, c.clock.Now())
		c.mu.Unlock()
		dodo.ServeHTTP(w, r)
	})
}

func (c *calls) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.times)
}

// counted is a world with a budget, by a clock that only the test moves.
func counted(t *testing.T, perMinute int) (*world, *timer, *calls) {
	clock := newTimer()
	seen := &calls{clock: clock}
	w := newWorld(t, openBolt(t), settings{
		hold: true, clock: clock.Now, sleep: clock.Sleep, perMinute: perMinute, between: seen.between,
	})
	return w, clock, seen
}

// TestCodesGuessed: somebody who tries discount codes soon hears 429, Dodo gets few
// of them, others buy meanwhile, and payments are confirmed.
func TestCodesGuessed(t *testing.T) {
	for name, c := range map[string]struct {
		account func(int) string
		address func(int) string
		most    int // calls for 200 guesses in 9 seconds
	}{
		"one account":                     {one("mallory"), one("192.0.2.1"), 6},
		"one account, many addresses":     {one("mallory"), func(i int) string { return fmt.Sprint("192.0.2.", i) }, 6},
		"many accounts, one address":      {many, one("192.0.2.1"), 15},
		"many accounts, one IPv6 network": {many, func(i int) string { return fmt.Sprintf("2001:db8::%x:1", i) }, 15},
	} {
		t.Run(name, func(t *testing.T) {
			w, clock, seen := counted(t, 240)
			paid, err := w.Checkout(at(t, "198.51.100.1"), who("payer"), wish("pack10"))
			must(t, err)
			_, err = w.sim.Pay(paid.SessionID, goodCard)
			must(t, err)
			before := seen.count()
			var refused *gateway.TooManyRequestsError
			for i := range 200 {
				clock.Move(45 * time.Millisecond)
				guess := wish("pack10")
				guess.DiscountCode = fmt.Sprint("GUESS", i)
				_, err := w.Checkout(at(t, c.address(i)), who(c.account(i)), guess)
				switch {
				case errors.As(err, &refused):
					if refused.RetryAfter <= 0 || refused.RetryAfter > 5*time.Minute {
						t.Fatalf("come again after %v", refused.RetryAfter)
					}
				case !errors.Is(err, gateway.ErrDiscountCode):
					t.Fatal(err)
				}
			}
			if n := seen.count() - before; n < 3 || n > c.most {
				t.Errorf("Dodo was asked %d times, want at most %d", n, c.most)
			}
			if refused == nil || refused.Limit != gateway.LimitCodes {
				t.Fatalf("the last refusal was %v", refused)
			}
			// The same caller buys without a code, another with one, and who has paid is heard.
			if _, err := w.Checkout(at(t, c.address(0)), who(c.account(0)), wish("pack10")); err != nil {
				t.Error("without a code:", err)
			}
			right := wish("pack10")
			right.DiscountCode = "ALLFREE"
			if _, err := w.Checkout(at(t, "198.51.100.2"), who("bob"), right); err != nil {
				t.Error("somebody else:", err)
			}
			if o, err := w.Confirm(at(t, c.address(0)), "payer", paid.ID); err != nil || o.State != book.OrderPaid {
				t.Errorf("confirming: %+v, %v", o, err)
			}
			// The right code works as soon as it was said.
			clock.Move(refused.RetryAfter)
			if _, err := w.Checkout(at(t, c.address(0)), who(c.account(0)), right); err != nil {
				t.Error("the right code after the pause:", err)
			}
		})
	}
}

// TestGuessPauses: each wrong code doubles the pause, a right one does not end it,
// and after a quarter of an hour without one all are forgotten.
func TestGuessPauses(t *testing.T) {
	w, clock, _ := counted(t, 240)
	try := func(code string) error {
		clock.Move(time.Minute / 4) // so that no other limit counts
		req := wish("pack10")
		req.DiscountCode = code
		_, err := w.Checkout(at(t, "192.0.2.1"), who("alice"), req)
		return err
	}
	pause := func() time.Duration {
		var refused *gateway.TooManyRequestsError
		if err := try("WRONG"); !errors.As(err, &refused) || refused.Limit != gateway.LimitCodes {
			t.Fatal(err)
		}
		return refused.RetryAfter
	}
	for range 6 { // three are free, and pauses of 2, 4 and 8 seconds are over when the next comes
		if err := try("WRONG"); !errors.Is(err, gateway.ErrDiscountCode) {
			t.Fatal(err)
		}
	}
	for _, seconds := range []int{16, 32, 64, 128, 256, 300, 300} {
		left := pause()
		if want := time.Duration(seconds)*time.Second - time.Minute/4; left != want {
			t.Fatalf("%v are left of a pause of %d seconds, want %v", left, seconds, want)
		}
		clock.Move(left - time.Minute/4)
		if err := try("ALLFREE"); err != nil {
			t.Fatal(err)
		}
		if err := try("WRONG"); !errors.Is(err, gateway.ErrDiscountCode) {
			t.Fatal("a right code made it wait:", err)
		}
	}
	clock.Move(15 * time.Minute)
	for range 3 {
		if err := try("WRONG"); !errors.Is(err, gateway.ErrDiscountCode) {
			t.Fatal("not forgotten:", err)
		}
	}
}

// TestRefusedCheckoutLeavesNothing: no order and no used key. A repeat of what was
// made is answered also beyond the limit, because it needs no call.
func TestRefusedCheckoutLeavesNothing(t *testing.T) {
	w, clock, seen := counted(t, 240)
	ctx, key := at(t, "192.0.2.1"), 0
	keyed := func(key int) gateway.CheckoutRequest {
		req := wish("pack10")
		req.IdempotencyKey = fmt.Sprint("key", key)
		return req
	}
	first, err := w.Checkout(ctx, who("alice"), keyed(0))
	must(t, err)
	for err == nil {
		key++
		_, err = w.Checkout(ctx, who("alice"), keyed(key))
	}
	if !errors.Is(err, gateway.ErrTooManyRequests) || key > 12 {
		t.Fatalf("%v after %d checkouts", err, key)
	}
	n := seen.count()
	if _, err := w.Checkout(ctx, who("alice"), wish("pack10")); !errors.Is(err, gateway.ErrTooManyRequests) {
		t.Error("without a key:", err)
	}
	if pending, err := w.Pending(ctx, "alice"); err != nil || len(pending) != key {
		t.Errorf("%d orders after %d checkouts, %v", len(pending), key, err)
	}
	if again, err := w.Checkout(ctx, who("alice"), keyed(0)); err != nil || again.ID != first.ID {
		t.Errorf("the repeat: %+v, %v", again, err)
	}
	if seen.count() != n {
		t.Error("Dodo was asked")
	}
	clock.Move(time.Minute)
	if _, err := w.Checkout(ctx, who("alice"), keyed(key)); err != nil {
		t.Error("the refused key later:", err)
	}
}

// TestConfirmingHasALimit: 50 open orders of one account, confirmed all the time,
// cost no more than its part, and nobody is refused.
func TestConfirmingHasALimit(t *testing.T) {
	w, clock, seen := counted(t, 240)
	var orders []string
	for len(orders) < book.MaxOpenOrders {
		o, err := w.Checkout(at(t, "192.0.2.1"), who("alice"), wish("pack10"))
		must(t, err)
		orders = append(orders, o.ID)
		clock.Move(6 * time.Second)
	}
	before := seen.count()
	for i := range 1200 { // for a minute
		clock.Move(50 * time.Millisecond)
		if o, err := w.Confirm(at(t, "192.0.2.1"), "alice", orders[i%len(orders)]); err != nil || o.State != book.OrderOpen {
			t.Fatalf("%+v, %v", o, err)
		}
		if i%100 == 0 {
			_, _, err := w.ConfirmAccount(at(t, "192.0.2.1"), "alice")
			must(t, err)
		}
	}
	if n := seen.count() - before; n < 20 || n > 40 {
		t.Errorf("Dodo was asked %d times in a minute", n)
	}
}

// TestGatewayWithinBudget: whatever customers and the background do, and however often
// Dodo fails, no minute brings Dodo more calls than the budget.
func TestGatewayWithinBudget(t *testing.T) {
	for _, perMinute := range []int{10, 40, 240} {
		seed := rand.Uint64()
		chance := rand.New(rand.NewPCG(seed, 0))
		t.Run(fmt.Sprintf("%d a minute, seed %d", perMinute, seed), func(t *testing.T) {
			w, clock, seen := counted(t, perMinute)
			w.sim.SetFault(dodosim.Fault{Status: http.StatusBadGateway, Share: 0.2, Seed: seed}, 1<<30)
			orders := make(map[string][]string)
			for range 900 {
				clock.Move(time.Duration(chance.Int64N(int64(300 * time.Millisecond))))
				account := fmt.Sprint("user", chance.IntN(60))
				ctx := at(t, fmt.Sprint("192.0.2.", chance.IntN(30)))
				switch chance.IntN(8) {
				case 0:
					w.Offers(ctx)
				case 1:
					if chance.IntN(10) == 0 {
						_, _ = w.Reconcile(ctx, rate.NewLimiter(rate.Inf, 1))
					}
				case 2, 3, 4:
					req := wish("pack10")
					if chance.IntN(2) == 0 {
						req.DiscountCode = "GUESS"
					}
					if o, err := w.Checkout(ctx, who(account), req); err == nil {
						orders[account] = append(orders[account], o.ID)
						if chance.IntN(3) == 0 {
							_, err := w.sim.Pay(o.SessionID, goodCard)
							must(t, err)
						}
					}
				case 5:
					_, _, err := w.ConfirmAccount(ctx, account)
					must(t, err)
				default:
					if own := orders[account]; len(own) > 0 {
						_, _ = w.Confirm(ctx, account, own[chance.IntN(len(own))])
					}
				}
			}
			if seen.count() < perMinute {
				t.Fatalf("only %d calls", seen.count())
			}
			slices.SortFunc(seen.times, time.Time.Compare)
			withinEvery(t, time.Minute, perMinute, seen.times)
		})
	}
}

// TestReconcileWaits: a pass gets its share while customers use up theirs, and ends.
func TestReconcileWaits(t *testing.T) {
	w, clock, seen := counted(t, 20)
	for i := range 200 {
		_, err := w.Checkout(at(t, fmt.Sprint("192.0.2.", i)), who(many(i)), wish("pack10"))
		if errors.Is(err, gateway.ErrTooManyRequests) {
			break
		}
		must(t, err)
	}
	began := clock.Now()
	before := seen.count()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := w.Reconcile(ctx, rate.NewLimiter(rate.Inf, 1)); err != nil {
		t.Fatal(err)
	}
	if n, took := seen.count()-before, clock.Now().Sub(began); n < 5 || took > 2*time.Minute {
		t.Errorf("%d calls in %v", n, took)
	}
}
