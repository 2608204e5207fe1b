package gateway_test

import (
	"errors"
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/gateway"
)

// TestMonthBeginsWhileRemembered: at the very instant, every gateway shows a month's credits
// and charges them, although nothing happened to the account and both remember it.
func TestMonthBeginsWhileRemembered(t *testing.T) {
	for _, backend := range []string{"bolt", "redis"} {
		t.Run(backend, func(t *testing.T) {
			catalog := []config.Product{ // credits that stay, so that the clock has no other reason to look
				{Name: "yearly", ID: "pdt_year", Plan: "yearly", Credits: 100, CreditsEvery: config.EveryMonth, CreditsStay: true},
			}
			s := tellOf(t, backend, settings{products: catalog})
			begins := s.now().AddDate(0, 1, 0)
			s.yearly()
			s.spend("h1", 95)
			other := s.newGateway(settings{products: catalog, clock: s.Clock})
			wants := func(want int64) {
				t.Helper()
				for i, g := range []*gate{s.gate, other} {
					// What another gateway wrote is heard of a little later.
					seen := int64(-1)
					for deadline := time.Now().Add(20 * time.Second); seen != want && time.Now().Before(deadline); {
						snap, err := g.Entitlement(t.Context(), "alice")
						must(t, err)
						seen = snap.Credits
					}
					if seen != want {
						t.Errorf("gateway %d sees %d credits at %s, want %d", i, seen, s.now(), want)
					}
				}
			}
			charge := func(g *gate) error {
				c, err := g.Hold(t.Context(), gateway.HoldRequest{Account: "alice", Credits: 6, TTL: time.Hour})
				if err == nil {
					_, err = c.End(t.Context(), 6, nil)
				}
				return err
			}
			s.set(begins.Add(-time.Minute))
			wants(5)
			s.set(begins.Add(-time.Millisecond))
			wants(5)
			if err := charge(s.gate); !errors.Is(err, gateway.ErrInsufficient) {
				t.Errorf("a moment before it begins: %v", err)
			}
			s.set(begins)
			wants(105)
			must(t, charge(other))
			s.set(begins.Add(time.Second))
			must(t, charge(s.gate))
			wants(93)
		})
	}
}

// TestMonthsToCome: nobody is shown credits that have not begun, and operators see when they
// do.
func TestMonthsToCome(t *testing.T) {
	for _, backend := range []string{"bolt", "redis"} {
		t.Run(backend, func(t *testing.T) {
			s := tellOf(t, backend, settings{products: storyProducts})
			first := s.now()
			s.yearly()
			s.spend("h1", 60)
			wants := func(credits, waiting int64) {
				t.Helper()
				v, err := s.Inspect(t.Context(), "alice")
				must(t, err)
				exported, _, next, err := s.Export(t.Context(), "", 10)
				for err == nil && next != "" && len(exported) == 0 { // a page may be empty
					exported, _, next, err = s.Export(t.Context(), next, 10)
				}
				must(t, err)
				if len(exported) != 1 {
					t.Fatalf("%d accounts are exported", len(exported))
				}
				for name, seen := range map[string]gateway.Inspection{"inspected": v, "exported": exported[0].Inspection} {
					var left, later int64
					for _, g := range seen.Ledger.Grants {
						left, later = left+g.Left, later+g.Waiting
						if (g.Waiting > 0) != g.StartsAt.After(s.now()) {
							t.Errorf("%s: %d wait until %s", name, g.Waiting, g.StartsAt)
						}
					}
					if seen.Snapshot.Credits != credits || left != credits || later != waiting {
						t.Errorf("%s at %s: %d credits, %d left and %d to come; want %d and %d", name, s.now(), seen.Snapshot.Credits, left, later, credits, waiting)
					}
				}
			}
			wants(40, 1100)
			s.set(first.AddDate(0, 1, 0).Add(-time.Millisecond))
			wants(40, 1100)
			s.set(first.AddDate(0, 1, 0))
			wants(100, 1000)
			s.set(first.AddDate(0, 11, 0))
			wants(100, 0)
			s.set(first.AddDate(1, 0, 0))
			wants(0, 0)
		})
	}
}
