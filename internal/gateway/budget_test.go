package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/gateway"
)

// timer is a clock that only the test moves: by hand, or by sleeping on it.
type timer struct {
	mu  sync.Mutex
	now time.Time
}

func newTimer() *timer { return &timer{now: time.Now()} }

func (c *timer) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *timer) Move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *timer) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.Move(d)
	return nil
}

func (c *timer) budget(perMinute int) *gateway.Budget {
	return gateway.NewBudget(gateway.BudgetOptions{PerMinute: perMinute, Clock: c.Now, Sleep: c.Sleep})
}

// at is a context of a request from an address.
func at(t *testing.T, address string) context.Context {
	t.Helper()
	a, err := netip.ParseAddr(address)
	must(t, err)
	return gateway.WithAddress(t.Context(), a)
}

// withinEvery checks that no window of the given length contains more than most times.
func withinEvery(t *testing.T, span time.Duration, most int, times []time.Time) {
	t.Helper()
	for i := most; i < len(times); i++ {
		if within := times[i].Sub(times[i-most]); within < span {
			t.Fatalf("%d calls within %v, the last at call %d of %d", most+1, within, i, len(times))
		}
	}
}

// TestBudgetIsNeverPassed makes random calls, for random purposes and by random callers.
// No minute has more calls than the budget, and no second more than Dodo allows.
func TestBudgetIsNeverPassed(t *testing.T) {
	for range 40 {
		seed := rand.Uint64()
		chance := rand.New(rand.NewPCG(seed, 0))
		perMinute := []int{10, 11, 60, 240, 1000}[chance.IntN(5)]
		t.Run(fmt.Sprintf("%d a minute, seed %d", perMinute, seed), func(t *testing.T) {
			clock := newTimer()
			budget := clock.budget(perMinute)
			var admitted []time.Time
			byPurpose := make(map[string][]time.Time)
			pace := time.Duration(1 + chance.Int64N(int64(2*time.Second)))
			for range 3000 {
				clock.Move(time.Duration(chance.Int64N(int64(pace))))
				what := []string{"checkout", "confirm", "prices", "reconcile", "checkout"}[chance.IntN(5)]
				account := fmt.Sprint("user", chance.IntN(40))
				ctx := gateway.For(at(t, fmt.Sprint("192.0.2.", chance.IntN(20))), what, account)
				began := clock.Now()
				err := budget.Admit(ctx)
				var many *gateway.TooManyRequestsError
				switch {
				case err == nil:
					admitted = append(admitted, clock.Now())
					byPurpose[what] = append(byPurpose[what], clock.Now())
				case what == "reconcile":
					t.Fatal("reconciling was refused:", err)
				case !errors.As(err, &many) || many.RetryAfter <= 0 || many.RetryAfter > time.Minute+time.Second:
					t.Fatalf("%s: %v", what, err)
				}
				if waited := clock.Now().Sub(began); what != "reconcile" && waited > 5*time.Second {
					t.Fatalf("%s waited %v", what, waited)
				}
			}
			if len(admitted) < perMinute {
				t.Fatalf("only %d calls were admitted", len(admitted))
			}
			withinEvery(t, time.Minute, perMinute, admitted)
			withinEvery(t, time.Second, map[int]int{10: 10, 11: 10, 60: 10, 240: 40, 1000: 100}[perMinute], admitted)
		})
	}
}

// TestSharesAreKept: after one purpose has used all the calls that it may make, each
// other purpose still gets its share.
func TestSharesAreKept(t *testing.T) {
	kept := map[string]int{"checkout": 60, "confirm": 60, "reconcile": 60, "prices": 1}
	most := map[string]int{"checkout": 119, "confirm": 119, "reconcile": 119, "prices": 60}
	for greedy, gets := range most {
		t.Run(greedy, func(t *testing.T) {
			clock := newTimer()
			budget := clock.budget(240)
			n := 0
			ask := func(what string) error { // each time somebody else
				n++
				address := netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
				return budget.Admit(gateway.For(gateway.WithAddress(t.Context(), address), what, fmt.Sprint("user", n)))
			}
			began := clock.Now()
			for range gets {
				must(t, ask(greedy))
			}
			if greedy != "reconcile" { // which waits
				var many *gateway.TooManyRequestsError
				if err := ask(greedy); !errors.As(err, &many) || many.Limit != gateway.LimitGateway || many.RetryAfter < 30*time.Second {
					t.Fatalf("after %d calls: %v", gets, err)
				}
			}
			for other, share := range kept {
				if other == greedy {
					continue
				}
				for range share {
					must(t, ask(other))
				}
			}
			if took := clock.Now().Sub(began); took > 59*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// TestLimitsOfCallers: one account and one address are limited in how many calls they
// may cause at once, and a limited caller does not limit others.
func TestLimitsOfCallers(t *testing.T) {
	for name, c := range map[string]struct {
		what    string
		account func(i int) string
		address func(i int) string
		most    int
	}{
		"checkouts of an account":    {"checkout", one("alice"), one("192.0.2.1"), 10},
		"... from many addresses":    {"checkout", one("alice"), func(i int) string { return fmt.Sprint("192.0.2.", i) }, 10},
		"checkouts from an address":  {"checkout", many, one("192.0.2.1"), 30},
		"... of IPv6":                {"checkout", many, func(i int) string { return fmt.Sprintf("2001:db8::%x", i+1) }, 30},
		"... of IPv4 in IPv6":        {"checkout", many, one("::ffff:192.0.2.1"), 30},
		"confirming by an account":   {"confirm", one("alice"), one("192.0.2.1"), 20},
		"confirming from an address": {"confirm", many, one("192.0.2.1"), 40},
	} {
		t.Run(name, func(t *testing.T) {
			clock := newTimer()
			budget := clock.budget(240)
			admitted := 0
			for i := range 200 {
				err := budget.Admit(gateway.For(at(t, c.address(i)), c.what, c.account(i)))
				var many *gateway.TooManyRequestsError
				if err == nil {
					admitted++
				} else if !errors.As(err, &many) || many.Limit != gateway.LimitCaller || many.RetryAfter <= 0 {
					t.Fatal(err)
				}
			}
			if admitted < c.most || admitted > c.most+2 { // two more come back while calls wait for their second
				t.Errorf("%d calls were admitted, want %d", admitted, c.most)
			}
			for _, other := range []string{"198.51.100.7", "2001:db8:0:1::1"} {
				if err := budget.Admit(gateway.For(at(t, other), c.what, "bob"+other)); err != nil {
					t.Errorf("somebody else at %s: %v", other, err)
				}
			}
			clock.Move(time.Minute)
			if err := budget.Admit(gateway.For(at(t, c.address(0)), c.what, c.account(0))); err != nil {
				t.Errorf("a minute later: %v", err)
			}
		})
	}
}

func one(name string) func(int) string { return func(int) string { return name } }
func many(i int) string                { return fmt.Sprint("user", i) }

// TestBudgetRemembersLittle: 100,000 addresses and accounts cannot fill memory.
func TestBudgetRemembersLittle(t *testing.T) {
	clock := newTimer()
	budget := clock.budget(240)
	most := 0
	for i := range 100_000 {
		clock.Move(20 * time.Millisecond)
		address := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		ctx := gateway.WithAddress(t.Context(), address)
		account := fmt.Sprint("user", i)
		if budget.Admit(gateway.For(ctx, "checkout", account)) == nil {
			budget.WrongCode(ctx, account)
		}
		most = max(most, budget.Remembered())
	}
	// At most 120 checkouts a minute are admitted. Each adds two callers, which are
	// remembered as guessers for 15 minutes. The list is cleaned when it has doubled.
	if most > 10_000 {
		t.Errorf("%d things were remembered", most)
	}
}
