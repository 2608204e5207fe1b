package gateway_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// counting is a store that counts the holds that it is asked for.
type counting struct {
	store.Store
	holds atomic.Int64
}

func (c *counting) Update(ctx context.Context, account string, decide store.Decision) (store.Updated, error) {
	if kind, _ := kindOf(account, decide); kind == holds {
		c.holds.Add(1)
	}
	return c.Store.Update(ctx, account, decide)
}

// TestRefusedFromMemory: who is known to have too little is refused without the store,
// until there is enough, whoever of two gateways it came by.
func TestRefusedFromMemory(t *testing.T) {
	server := redistest.Start(t)
	counted := &counting{Store: openURL(t, server.URL())}
	with := settings{signupCredits: 3, hold: true}
	one := newWorld(t, counted, with)
	other := &world{t: t, store: store.Client{Store: openURL(t, server.URL())}, seen: &observed{}, sim: one.sim}
	other.gate = other.newGateway(with)
	until(t, "both hear of changes", func() bool { return one.seen.hearing() == 1 && other.seen.hearing() == 1 })

	ask := func(w *world, credits int64, key string) (*gateway.Charge, error) {
		return w.Hold(t.Context(), gateway.HoldRequest{Account: "acc", Credits: credits, TTL: time.Minute, Key: key, Fingerprint: "f"})
	}
	holds := func(w *world, credits int64, key string) *gateway.Charge {
		t.Helper()
		c, err := ask(w, credits, key)
		must(t, err)
		return c
	}
	ends := func(c *gateway.Charge, captured int64) {
		t.Helper()
		if spent, err := c.End(t.Context(), captured, []byte("receipt")); err != nil || !spent {
			t.Fatal(spent, err)
		}
	}
	// refused wants a refusal that takes so many calls of the store.
	refused := func(credits, calls int64) {
		t.Helper()
		before := counted.holds.Load()
		if c, err := ask(one, credits, ""); !errors.Is(err, gateway.ErrInsufficient) || counted.holds.Load()-before != calls {
			t.Fatalf("%v, %v after %d holds; want a refusal after %d", c, err, counted.holds.Load()-before, calls)
		}
		_, _, err := one.ConfirmAccount(t.Context(), "acc") // as whoever refuses does
		must(t, err)
	}
	passes := func(credits int64) {
		t.Helper()
		until(t, "it is heard of", func() bool {
			c, err := ask(one, credits, "")
			if err == nil {
				ends(c, 0)
			}
			return err == nil
		})
	}

	one.has("acc", 3, false)
	refused(5, 1) // whether an order waits is not known yet
	refused(5, 0)
	refused(4, 0)
	ends(holds(one, 3, ""), 0)

	c := holds(other, 3, "")
	until(t, "the hold is heard of", func() bool { s, err := one.Entitlement(t.Context(), "acc"); return err == nil && s.Credits == 0 })
	refused(1, 1)
	refused(1, 0)
	ends(c, 0)
	passes(3)

	// One that ends at this very gateway is waited for.
	c = holds(one, 3, "")
	refused(1, 1)
	refused(1, 0)
	c.AnnounceEnd(0)
	wait := make(chan struct{})
	go func() {
		defer close(wait)
		time.Sleep(20 * time.Millisecond)
		ends(c, 0)
	}()
	ends(holds(one, 1, ""), 0)
	<-wait

	// What was charged before is known by its key, however little is left.
	ends(holds(one, 3, "key"), 3)
	refused(1, 1)
	refused(1, 0)
	if _, err := ask(one, 3, "key"); !errors.Is(err, gateway.ErrKeyFinished) {
		t.Errorf("the same key again: %v", err)
	}

	// An order that waits to be paid is looked at, and so is what it brings.
	other.buy("acc", "pack10")
	other.deliver(other.event("payment.succeeded"))
	passes(10)
	refused(11, 1)
	refused(11, 0)

	server.Kill()
	until(t, "the store is missed", func() bool { return one.seen.hearing() == 0 })
	if _, err := ask(one, 11, ""); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("without a store: %v", err)
	}
}

// TestKnownIsNotRead: an account that is remembered is read by no script of a charge.
func TestKnownIsNotRead(t *testing.T) {
	server := redistest.Start(t)
	w := newWorld(t, openURL(t, server.URL()), settings{signupCredits: 10, hold: true})
	until(t, "it hears of changes", func() bool { return w.seen.hearing() == 1 })
	w.has("acc", 10, false)
	server.MustDo("CONFIG", "RESETSTAT")
	for captured := range int64(3) {
		c, err := w.Hold(t.Context(), gateway.HoldRequest{Account: "acc", Credits: 2, TTL: time.Minute})
		must(t, err)
		if spent, err := c.End(t.Context(), captured, nil); err != nil || !spent {
			t.Fatal(spent, err)
		}
	}
	if stats := server.MustDo("INFO", "commandstats"); strings.Contains(stats, "cmdstat_hgetall:") {
		t.Errorf("accounts were read:\n%s", stats)
	}
	w.has("acc", 7, false)
	w.entries("acc", 10, -1, -2)
}
