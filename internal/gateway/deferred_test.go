package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// unsteady is a store that can be cut off, and can lose the replies to what it did.
type unsteady struct {
	store.Store
	mu   sync.Mutex
	away bool
	lose int           // which reply of holds and of their ends, counted from 1
	slow chan struct{} // not nil: ends wait for it
}

func (u *unsteady) set(away bool, lose int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.away, u.lose = away, lose
}

func (u *unsteady) isAway() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.away
}

func (u *unsteady) loses() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.lose--
	return u.lose == 0
}

func (u *unsteady) View(ctx context.Context, account string, look store.Decision) (entitlement.Account, error) {
	if u.isAway() {
		return entitlement.Account{}, store.ErrUnavailable
	}
	return u.Store.View(ctx, account, look)
}

func (u *unsteady) Update(ctx context.Context, account string, decide store.Decision) (store.Updated, error) {
	kind, _ := kindOf(account, decide)
	if kind != holds && kind != ends {
		return u.Store.Update(ctx, account, decide)
	}
	if u.isAway() {
		return store.Updated{}, store.ErrUnavailable
	}
	if u.slow != nil && kind == ends {
		<-u.slow
	}
	done, err := u.Store.Update(ctx, account, decide)
	if u.loses() {
		return store.Updated{}, store.ErrUnavailable
	}
	return done, err
}

// ask holds credits for a request that may pass on what is remembered of ann.
func (w *world) ask(credits int64) (*gateway.Charge, error) {
	w.t.Helper()
	known, err := w.View(w.t.Context(), "ann")
	must(w.t, err)
	return w.Hold(w.t.Context(), gateway.HoldRequest{Account: "ann", Credits: credits, TTL: time.Minute, Known: known})
}

// passes is ask that is answered by a charge for later.
func (w *world) passes(credits, available int64) *gateway.Charge {
	w.t.Helper()
	c, err := w.ask(credits)
	must(w.t, err)
	if !c.Deferred() || c.Available != available || c.Held() != credits {
		w.t.Fatalf("late %v, %d available beside %d", c.Deferred(), c.Available, c.Held())
	}
	return c
}

// ended is how End went.
type ended struct {
	spent bool
	err   error
}

func end(ctx context.Context, c *gateway.Charge, captured int64) <-chan ended {
	done := make(chan ended, 1)
	go func() {
		spent, err := c.End(ctx, captured, nil)
		done <- ended{spent, err}
	}()
	return done
}

// spent are the credits that late charges took from ann, one by one.
func (w *world) spent() (amounts []int64) {
	w.t.Helper()
	entries, err := w.store.Entries(w.t.Context(), "ann", store.Page{After: 0, Limit: 1000})
	must(w.t, err)
	for _, e := range entries {
		if strings.HasPrefix(e.Cause, "charge:late:") {
			amounts = append(amounts, -e.Amount)
		}
	}
	return amounts
}

func (w *world) keeps(want int64) {
	w.t.Helper()
	a, err := w.store.Account(w.t.Context(), "ann")
	must(w.t, err)
	if got := a.Ledger.Available(time.Now()); got != want {
		w.t.Errorf("ann has %d credits, want %d", got, want)
	}
}

// Redis goes, requests pass for as much as is known to be there, and are charged
// once when it comes back.
func TestLateCharges(t *testing.T) {
	server := redistest.Start(t, "--appendfsync", "always")
	w := newWorld(t, openRedis(t, server.Addr), settings{signupCredits: 10, maxStale: time.Hour})
	c, err := w.ask(1)
	must(t, err)
	if c.Deferred() || c.Available != 9 {
		t.Errorf("late %v, %d available", c.Deferred(), c.Available)
	}
	if spent, err := c.End(t.Context(), 1, nil); !spent || err != nil {
		t.Error(spent, err)
	}
	server.Kill()
	first := w.passes(4, 5)
	for name, r := range map[string]gateway.HoldRequest{
		"may not":      {Account: "ann", Credits: 1, TTL: time.Minute},
		"has a key":    {Account: "ann", Credits: 1, TTL: time.Minute, Key: "k", Known: &gateway.View{}},
		"has nothing":  {Account: "bob", Credits: 1, TTL: time.Minute, Known: &gateway.View{}},
		"wants it all": {Account: "ann", Credits: 9, TTL: time.Minute, Known: &gateway.View{}},
	} {
		if r.Known != nil && r.Account == "ann" {
			r.Known.Credits = 9
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second) // the store waits for 10
		if c, err := w.Hold(ctx, r); err == nil {
			t.Errorf("%s: passes with %d", name, c.Held())
		}
		cancel()
	}
	second := w.passes(5, 0)
	if _, err := second.End(t.Context(), 0, nil); err != nil { // the app failed
		t.Error(err)
	}
	third := w.passes(2, 3)
	one, two := end(t.Context(), first, 3), end(t.Context(), third, 2)
	server.Restart()
	for _, done := range []<-chan ended{one, two} {
		if got := <-done; !got.spent || got.err != nil {
			t.Errorf("%+v", got)
		}
	}
	if got := w.spent(); len(got) != 2 || got[0]+got[1] != 5 {
		t.Errorf("late charges of %v", got)
	}
	w.keeps(4)
	if c, err = w.ask(4); err != nil || c.Deferred() {
		t.Errorf("%+v, %v", c, err)
	}
}

func unsteadyWorld(t *testing.T, s store.Store) (*world, *unsteady) {
	return richWorld(t, s, 10)
}

func richWorld(t *testing.T, s store.Store, credits int64) (*world, *unsteady) {
	u := &unsteady{Store: s}
	w := newWorld(t, u, settings{signupCredits: credits, maxStale: time.Hour})
	_, err := w.View(t.Context(), "ann")
	must(t, err)
	return w, u
}

// Whichever reply is lost, a late charge is made once.
func TestLateChargeLosesReplies(t *testing.T) {
	lose := func(t *testing.T, s store.Store, lost int) {
		w, u := unsteadyWorld(t, s)
		u.set(true, 0)
		done := end(t.Context(), w.passes(4, 6), 3)
		u.set(false, lost)
		if got := <-done; !got.spent || got.err != nil {
			t.Errorf("reply %d lost: %+v", lost, got)
		}
		if got := w.spent(); len(got) != 1 || got[0] != 3 {
			t.Errorf("reply %d lost: late charges of %v", lost, got)
		}
		w.keeps(7)
	}
	for lost := range 4 {
		t.Run("bolt", func(t *testing.T) { lose(t, openBolt(t), lost) })
		t.Run("redis", func(t *testing.T) { lose(t, openRedis(t, redistest.Start(t).Addr), lost) })
	}
}

// What somebody else spent meanwhile cannot be charged.
func TestLateChargeInsufficient(t *testing.T) {
	w, u := unsteadyWorld(t, openBolt(t))
	u.set(true, 0)
	done := end(t.Context(), w.passes(6, 4), 6)
	other := w.newGateway(settings{change: func(o *gateway.Options) { o.Store = u.Store }})
	c, err := other.Hold(t.Context(), gateway.HoldRequest{Account: "ann", Credits: 5, TTL: time.Minute})
	must(t, err)
	_, err = c.End(t.Context(), 5, nil)
	must(t, err)
	u.set(false, 0)
	if got := <-done; got.spent || !errors.Is(got.err, gateway.ErrInsufficient) {
		t.Errorf("%+v", got)
	}
	w.keeps(5)
}

// Who gives up waiting is not charged, and owes nothing more.
func TestLateChargeGivenUp(t *testing.T) {
	w, u := unsteadyWorld(t, openBolt(t))
	u.set(true, 0)
	ctx, cancel := context.WithCancel(t.Context())
	one, two := end(ctx, w.passes(4, 6), 4), end(ctx, w.passes(5, 1), 5)
	cancel()
	for _, done := range []<-chan ended{one, two} {
		if got := <-done; got.spent || got.err == nil {
			t.Errorf("%+v", got)
		}
	}
	w.passes(10, 0)
	u.set(false, 0)
	w.keeps(10)
}

// There is a limit to what is kept in memory, and one account cannot use up all of it.
func TestLateChargesAreBounded(t *testing.T) {
	w, u := richWorld(t, openBolt(t), 1_000_000)
	u.set(true, 0)
	known := &gateway.View{Snapshot: entitlement.Snapshot{Credits: 1_000_000}}
	ask := func(account string) (*gateway.Charge, error) {
		return w.Hold(t.Context(), gateway.HoldRequest{Account: account, Credits: 1, TTL: time.Minute, Known: known})
	}
	pass := func(account string, want int) (last *gateway.Charge) {
		t.Helper()
		for n := 0; ; n++ {
			c, err := ask(account)
			if err != nil {
				if n != want || !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("%d of %s pass, want %d: %v", n, account, want, err)
				}
				return last
			}
			last = c
		}
	}
	last := pass("ann", gateway.MaxDeferred/2)
	pass("bob", gateway.MaxDeferred/4)
	if _, err := ask("ann"); err == nil {
		t.Error("one more of ann passes")
	}
	_, err := last.End(t.Context(), 0, nil)
	must(t, err)
	if _, err := ask("bob"); err != nil {
		t.Error("one more does not pass in the place of one that is over:", err)
	}
	for n := range gateway.MaxDeferred / 4 {
		if _, err := ask(fmt.Sprint("customer_", n)); err != nil {
			t.Fatalf("customer %d does not pass: %v", n, err)
		}
	}
	if _, err := ask("carol"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("beyond the limit: %v", err)
	}
}

// A request that looked at its account before another one held credits of it passes
// for what is left, and not for what it saw.
func TestLateChargeSeesOtherHolds(t *testing.T) {
	w, u := unsteadyWorld(t, openBolt(t))
	before, err := w.View(t.Context(), "ann")
	must(t, err)
	if c, err := w.ask(8); err != nil || c.Deferred() {
		t.Fatal(c, err)
	}
	u.set(true, 0)
	ask := func(credits int64) (*gateway.Charge, error) {
		return w.Hold(t.Context(), gateway.HoldRequest{Account: "ann", Credits: credits, TTL: time.Minute, Known: before})
	}
	if _, err := ask(3); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("more than is left: %v", err)
	}
	if c, err := ask(2); err != nil || !c.Deferred() || c.Available != 0 {
		t.Errorf("what is left: %+v, %v", c, err)
	}
}

// When the store is back, nobody spends what others owe for.
func TestLateChargesComeFirst(t *testing.T) {
	w, u := unsteadyWorld(t, openBolt(t))
	u.set(true, 0)
	owes := w.passes(6, 4)
	u.set(false, 0)
	hold := func(credits int64) error {
		c, err := w.Hold(t.Context(), gateway.HoldRequest{Account: "ann", Credits: credits, TTL: time.Minute})
		if err == nil {
			_, err = c.End(t.Context(), credits, nil)
		}
		return err
	}
	if err := hold(5); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("of what is owed for: %v", err)
	}
	until(t, "what was held for that is back", func() bool { return hold(4) == nil })
	if spent, err := owes.End(t.Context(), 6, nil); !spent || err != nil {
		t.Error(spent, err)
	}
	w.keeps(0)
	if err := hold(1); !errors.Is(err, gateway.ErrInsufficient) {
		t.Error(err)
	}
}

// What a request does not cost can be spent as soon as that is decided.
func TestLateChargeIsDecided(t *testing.T) {
	w, u := unsteadyWorld(t, openBolt(t))
	u.set(true, 0)
	w.passes(10, 0).AnnounceEnd(4)
	w.passes(6, 0).AnnounceEnd(0)
	w.passes(6, 0)
}

// Who comes back before the last charge is written waits for that.
func TestHoldWaitsForEnds(t *testing.T) {
	u := &unsteady{Store: openBolt(t), slow: make(chan struct{})}
	w := newWorld(t, u, settings{signupCredits: 10})
	c, err := w.ask(10)
	must(t, err)
	if _, err := w.ask(10); !errors.Is(err, gateway.ErrInsufficient) {
		t.Errorf("while a request runs: %v", err)
	}
	c.AnnounceEnd(0)
	done := end(t.Context(), c, 0)
	go close(u.slow)
	if c, err = w.ask(10); err != nil || c.Held() != 10 {
		t.Errorf("behind its end: %v", err)
	}
	<-done
}

// TestOldDeferredCharges: charges that wait are counted, and one that has waited for a minute is
// logged with its account.
func TestOldDeferredCharges(t *testing.T) {
	clock, log := newTimer(), new(lines)
	u := &unsteady{Store: openBolt(t)}
	w := newWorld(t, u, settings{
		signupCredits: 10, maxStale: time.Hour, clock: clock.Now, logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	_, err := w.View(t.Context(), "ann")
	must(t, err)
	u.set(true, 0)
	c := w.passes(2, 8)
	waiting := func() int {
		w.seen.mu.Lock()
		defer w.seen.mu.Unlock()
		return w.seen.deferred
	}
	if waiting() != 1 {
		t.Errorf("%d charges wait", waiting())
	}
	done := end(t.Context(), c, 2)
	if log.has("not charged yet") {
		t.Error("a charge is old at once")
	}
	until(t, "an old charge is logged", func() bool {
		clock.Move(time.Second)
		return log.has("not charged yet") && log.has("account=ann")
	})
	u.set(false, 0)
	if got := <-done; !got.spent || got.err != nil {
		t.Error(got)
	}
	until(t, "none waits", func() bool { return waiting() == 0 })
	w.keeps(8)
}

// lines is a log that is written and read at the same time.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) has(words string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), words)
}
