package gateway_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// partly is a store of which the account of carl cannot be reached, as in a Cluster that
// lacks the master of one slot.
type partly struct{ store.Store }

func (p partly) View(ctx context.Context, account string, look store.Decision) (entitlement.Account, error) {
	if account == "carl" {
		return entitlement.Account{}, fmt.Errorf("%w: no master", store.ErrUnavailable)
	}
	return p.Store.View(ctx, account, look)
}

func (p partly) Update(ctx context.Context, account string, decide store.Decision) (store.Updated, error) {
	if account == "carl" {
		return store.Updated{}, fmt.Errorf("%w: no master", store.ErrUnavailable)
	}
	return p.Store.Update(ctx, account, decide)
}

// pays says that ann has paid, or that it was refunded.
func pays(version int64, paid bool) book.Commit {
	return book.Commit{
		Account: "ann", Object: entitlement.Ref{Kind: entitlement.KindPayment, ID: "pay_1"}, Version: version, State: []byte("{}"),
		Effect: entitlement.Effect{Standing: entitlement.Standing{Paid: paid}}, Cause: "test",
	}
}

// TestOneAccountIsNotTheStore: while one account cannot be read, another one that is refunded at
// another gateway passes no gate here, although max_stale would bridge an outage.
func TestOneAccountIsNotTheStore(t *testing.T) {
	for name, away := range map[string]func(s store.Store, server *redistest.Server) store.Store{
		"no master for its slot": func(s store.Store, _ *redistest.Server) store.Store { return partly{s} },
		"its record is garbage": func(s store.Store, server *redistest.Server) store.Store {
			server.MustDo("HSET", "dodogate:{carl}:account", "seq", "garbage")
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			there := newWorld(t, openRedis(t, server.Addr), settings{})
			_, err := there.store.Commit(t.Context(), pays(0, true))
			must(t, err)
			here := newWorld(t, away(openRedis(t, server.Addr), server), settings{maxStale: time.Hour})
			until(t, "changes are heard", func() bool {
				_, err := here.View(t.Context(), "ann")
				return err == nil && here.seen.hearing() == 1
			})
			if v, err := here.View(t.Context(), "ann"); err != nil || !v.HasPaid {
				t.Fatal(v, err)
			}
			_, err = there.store.Commit(t.Context(), pays(1, false))
			must(t, err)
			until(t, "the refund is seen", func() bool {
				if _, err := here.View(t.Context(), "carl"); err == nil {
					t.Error("carl can be read")
				}
				v, err := here.View(t.Context(), "ann")
				if err != nil || v.Stale {
					t.Fatalf("ann is shown as %+v, %v", v, err)
				}
				return !v.HasPaid
			})
		})
	}
}

// TestOneAccountPassesNobodyUncharged: while one account cannot be reached, no request of another
// one passes uncharged by on_store_error open.
func TestOneAccountPassesNobodyUncharged(t *testing.T) {
	w := newWorld(t, partly{openBolt(t)}, settings{signupCredits: 100, maxStale: time.Hour})
	ask := func(account string) (*gateway.Charge, error) {
		known := &gateway.View{Snapshot: entitlement.Snapshot{Credits: 100}}
		if account != "carl" {
			var err error
			known, err = w.View(t.Context(), account)
			must(t, err)
		}
		return w.Hold(t.Context(), gateway.HoldRequest{Account: account, Credits: 1, TTL: time.Minute, Known: known})
	}
	for range 60 {
		if c, err := ask("carl"); err != nil || !c.Deferred() {
			t.Fatalf("carl: %+v, %v", c, err)
		}
		c, err := ask("ann")
		must(t, err)
		if c.Deferred() {
			t.Fatal("ann passes uncharged")
		}
		_, err = c.End(t.Context(), 1, nil)
		must(t, err)
	}
	w.keeps(40)
}

// TestDamagedAccountPassesNothing: an account that cannot be read passes nothing, whatever is
// remembered of it.
func TestDamagedAccountPassesNothing(t *testing.T) {
	server := redistest.Start(t)
	w := newWorld(t, openRedis(t, server.Addr), settings{signupCredits: 10, maxStale: time.Hour})
	known, err := w.View(t.Context(), "ann")
	must(t, err)
	server.MustDo("DEL", "dodogate:{ann}:account")
	w = newWorld(t, openRedis(t, server.Addr), settings{signupCredits: 10, maxStale: time.Hour})
	if v, err := w.View(t.Context(), "ann"); err == nil {
		t.Errorf("ann is shown as %+v", v)
	}
	if c, err := w.Hold(t.Context(), gateway.HoldRequest{Account: "ann", Credits: 1, TTL: time.Minute, Known: known}); err == nil {
		t.Errorf("ann passes: %+v", c)
	}
}
