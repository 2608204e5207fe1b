package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/redistest"
)

var (
	purchases = flag.Int("purchases", 500, "how many purchases two sites make that share a business")
	unlimited = rate.NewLimiter(rate.Inf, 1)
)

// second is one more gateway on the world's Dodo, with a store and a site of its own.
func (w *world) second(s store.Store, with settings) *world {
	w.t.Helper()
	other := &world{sim: w.sim, store: s, seen: &observed{}, t: w.t}
	other.Gateway = other.newGateway(with)
	return other
}

// hears gives a gateway every event that Dodo has sent, through the address of another.
func (w *world) hears(through *world) {
	w.t.Helper()
	usual := through.Gateway
	through.Gateway = w.Gateway
	for _, e := range w.sim.Events() {
		through.deliver(e.ID)
	}
	through.Gateway = usual
}

// TestTwoSites: two gateways with two stores share a business, and both know the same
// account ids. Whatever is bought at one gives nothing at the other: neither by
// webhooks, which both get, nor by reconcile, nor by a rebuild.
func TestTwoSites(t *testing.T) {
	here := newWorld(t, openBolt(t), settings{hold: true, site: config.SiteID{ID: "here"}})
	there := here.second(openRedis(t, redistest.Start(t).Addr), settings{site: config.SiteID{ID: "there"}})
	const accounts = 10
	want := map[*world]map[string]int64{here: {}, there: {}}
	for i := range *purchases {
		w, account := here, fmt.Sprint("user_", i%accounts)
		if i%3 == 0 {
			w = there
		}
		id := w.buy(account, "pack10")
		want[w][account] += 10
		if i%10 == 0 {
			_, err := w.sim.Refund(id, 0)
			must(t, err)
			want[w][account] -= 10
		}
	}
	same := func(when string) {
		t.Helper()
		for w, accounts := range want {
			for account, credits := range accounts {
				s, err := w.Entitlement(t.Context(), account)
				must(t, err)
				if s.Credits != credits {
					t.Fatalf("%s: %s has %d credits at one site, want %d", when, account, s.Credits, credits)
				}
			}
		}
	}
	// One site misses its webhooks at first, the other gets all.
	here.hears(here)
	for _, w := range []*world{there, here} {
		_, err := w.Rebuild(t.Context(), unlimited, nil)
		must(t, err)
	}
	same("rebuilt")
	there.hears(here)
	here.hears(here)
	for _, w := range []*world{there, here} {
		_, err := w.Reconcile(t.Context(), unlimited)
		must(t, err)
		done, err := w.Redrive(t.Context())
		must(t, err)
		if len(done.Parked) != 0 {
			t.Errorf("parked are %v", done.Parked)
		}
	}
	same("told again")
}

// TestForeign: what another site sold is ignored for that reason, with its refund in
// any order, whoever its customer is; and counted.
func TestForeign(t *testing.T) {
	each(t, settings{hold: true}, func(t *testing.T, w *world) {
		other := w.second(openBolt(t), settings{site: config.SiteID{ID: "there"}})
		// Alice's customer is known here: her login vouched for the address.
		alice := gateway.Identity{Account: "alice", Email: "alice@example.com", EmailVerified: true}
		for _, at := range []*world{w, other} {
			order, err := at.Checkout(t.Context(), alice, wish("pack10"))
			must(t, err)
			attempt, err := w.sim.Pay(order.SessionID, goodCard)
			must(t, err)
			if at == other {
				_, err = w.sim.Refund(attempt.PaymentID, 0)
				must(t, err)
			}
		}
		events := w.sim.Events()
		for _, e := range []int{len(events) - 1, len(events) - 2, len(events) - 1} { // the refund first
			w.deliver(events[e].ID)
		}
		for _, e := range events {
			w.deliver(e.ID)
		}
		w.has("alice", 10, true)
		w.stays(w.redrives(0, 0), map[string]int{})
		foreign := 0
		for _, e := range events {
			record, err := w.store.Event(t.Context(), e.ID)
			must(t, err)
			if record.Reason == gateway.ReasonForeign {
				foreign++
				if record.State != store.EventIgnored || record.Account != "" {
					t.Errorf("a foreign event is %+v", record)
				}
			}
		}
		if foreign != 2 {
			t.Errorf("%d foreign events, want 2", foreign)
		}
		done, err := w.Rebuild(t.Context(), unlimited, nil)
		must(t, err)
		if done.Foreign != 1 || done.Applied != 0 || done.Unapplied != 0 {
			t.Errorf("rebuilt %+v", done)
		}
		w.has("alice", 10, true)
	})
}

// TestLostSite: an empty store gets everything back if the config names the site, and
// else says what is missing.
func TestLostSite(t *testing.T) {
	each(t, settings{hold: true}, func(t *testing.T, w *world) {
		w.buy("alice", "pack10")
		w.buy("alice", "pack9")
		for name, c := range map[string]struct {
			site    config.SiteID
			credits int64
		}{
			"another":            {config.SiteID{ID: "new"}, 0},
			"another, unnamed":   {config.SiteID{ID: "new", Unnamed: true}, 0},
			"its own":            {config.SiteID{ID: siteID}, 19},
			"another, that also": {config.SiteID{ID: "new", Also: []string{"old", siteID}}, 19},
		} {
			var log bytes.Buffer
			lost := w.second(openBolt(t), settings{site: c.site, logger: slog.New(slog.NewTextHandler(&log, nil))})
			lost.hears(w) // at first it is foreign to some of them
			_, err := lost.Reconcile(t.Context(), unlimited)
			must(t, err)
			lost.has("alice", c.credits, c.credits > 0)
			if said := strings.Contains(log.String(), "level=WARN") && strings.Contains(log.String(), "sites=map["+siteID+":2]"); said != (c.credits == 0) {
				t.Errorf("%s: the log has\n%s", name, &log)
			}
			if c.credits > 0 {
				continue
			}
			// What was left alone comes when the site is named.
			lost.Gateway = lost.newGateway(settings{site: config.SiteID{ID: "new", Also: []string{siteID}}})
			lost.hears(w)
			_, err = lost.Rebuild(t.Context(), unlimited, nil)
			must(t, err)
			lost.has("alice", 19, true)
		}
	})
}

// TestOldProofs: a proof that names no site counts at the store that knows its order.
func TestOldProofs(t *testing.T) {
	for _, backend := range []string{"bolt", "redis"} {
		t.Run(backend, func(t *testing.T) {
			s := tell(t, backend, "")
			s.promises(10)
			old := func(order string) map[string]string {
				return s.Prover.Metadata(dodo.Claim{Order: order, Account: "alice", Product: "pack10"})
			}
			const elsewhere = "ord_CCCCCCCCCCCCCCCCCCCCCC"
			s.wants(s.send("payment.succeeded", s.payment("pdt_pack10", "metadata", old(orderID))), gateway.Applied)
			s.wants(s.send("payment.succeeded", s.payment("pdt_pack10", "payment_id", "pay_2", "metadata", old(elsewhere))), gateway.Foreign)
			s.wants(s.send("refund.succeeded", refundOf("pay_2")), gateway.Foreign)
			s.sees("10 none none true")
			s.Gateway = s.newGateway(settings{products: storyProducts, clock: s.Clock, site: config.SiteID{ID: siteID, Unnamed: true}})
			s.wants(s.send("payment.succeeded", s.payment("pdt_pack10", "payment_id", "pay_2", "metadata", old(elsewhere))), gateway.Applied)
			s.sees("20 none none true")
			s.wants(s.send("refund.succeeded", refundOf("pay_2")), gateway.Applied)
			s.sees("10 none none true")
		})
	}
}

// TestSiteOfAStore is made once, kept, given back to a store that was emptied under us,
// and not changed by a config.
func TestSiteOfAStore(t *testing.T) {
	each(t, settings{}, func(t *testing.T, w *world) {
		must(t, w.Open(t.Context()))
		w.SiteID = config.SiteID{}
		for _, site := range []config.SiteID{{ID: "other"}, {ID: "other", Also: []string{siteID}}} {
			err := w.second(w.store, settings{site: site}).Open(t.Context())
			if !errors.Is(err, gateway.ErrOtherSite) || !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), siteID) {
				t.Errorf("%+v: %v", site, err)
			}
		}
		// Many gateways begin at once on a store that is new.
		fresh := openBolt(t)
		var all sync.WaitGroup
		sites := make([]string, 8)
		for i := range sites {
			g := w.second(fresh, settings{})
			g.SiteID = config.SiteID{}
			all.Go(func() {
				if err := g.Open(context.Background()); err != nil {
					t.Error(err)
				}
				sites[i], _ = g.Store.Note(context.Background(), "site", "")
			})
		}
		all.Wait()
		for _, site := range sites {
			if site == "" || site != sites[0] {
				t.Errorf("sites %q", sites)
			}
		}
	})
}

// TestEmptiedWhileRunning: a running gateway knows its site, and gives it to a store that
// has lost everything.
func TestEmptiedWhileRunning(t *testing.T) {
	server := redistest.Start(t)
	w := newWorld(t, openRedis(t, server.Addr), settings{hold: true})
	w.buy("alice", "pack10")
	w.store = openRedis(t, redistest.Start(t).Addr)
	w.Store = w.store
	_, err := w.Rebuild(t.Context(), unlimited, nil)
	must(t, err)
	w.has("alice", 10, true)
	if site, err := w.store.Note(t.Context(), "site", ""); err != nil || site != siteID {
		t.Errorf("the store's site is %q, %v", site, err)
	}
}

// TestOtherBusiness: a signed event of another business than the first is parked, and
// applied once the config names it.
func TestOtherBusiness(t *testing.T) {
	for _, backend := range []string{"bolt", "redis"} {
		t.Run(backend, func(t *testing.T) {
			s := tell(t, backend, "")
			pay := func(id, business string) gateway.Outcome {
				return s.send("payment.succeeded", s.payment("pdt_pack10", "payment_id", id, "business_id", business))
			}
			s.wants(pay("pay_1", "bus_ours"), gateway.Applied)
			s.wants(pay("pay_2", "bus_theirs"), gateway.Parked)
			s.wants(s.send("payment.succeeded", s.payment("pdt_pack10", "payment_id", "pay_3")), gateway.Applied) // says nothing
			s.sees("20 none none true")
			s.waits("msg_2", gateway.ReasonOtherBusiness)
			s.Gateway = s.newGateway(settings{products: storyProducts, clock: s.Clock})
			s.wants(pay("pay_4", "bus_theirs"), gateway.Parked)
			s.stays(s.redrives(4, 0), map[string]int{gateway.ReasonOtherBusiness: 4})
			s.Gateway = s.newGateway(settings{products: storyProducts, clock: s.Clock, businesses: []string{"bus_theirs", "bus_ours"}})
			s.stays(s.redrives(4, 4), map[string]int{})
			s.sees("40 none none true")
			s.wants(pay("pay_5", "bus_third"), gateway.Parked)
			s.sees("40 none none true")
		})
	}
}
