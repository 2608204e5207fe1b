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
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

var (
	purchases = flag.Int("purchases", 600, "how many purchases two sites make that share a business")
	unlimited = rate.NewLimiter(rate.Inf, 1)
)

// second is one more gateway on the world's Dodo, with a store and a site of its own.
func (w *world) second(s store.Store, with settings) *world {
	w.t.Helper()
	other := &world{sim: w.sim, store: store.Client{Store: s}, seen: &observed{}, t: w.t}
	other.gate = other.newGateway(with)
	return other
}

// hears gives a gateway every event that Dodo has sent, through the address of another.
func (w *world) hears(through *world) {
	w.t.Helper()
	usual := through.gate
	through.gate = w.gate
	for _, e := range w.sim.Events() {
		through.deliver(e.ID)
	}
	through.gate = usual
}

// twoSites are two gateways that share a business, and what each of them sold.
type twoSites struct {
	here, there *world
	bought      map[*world]map[string]int64 // credits by account
	orders      map[*world]int
	heard       int // events that were sent to both
	sent        int
	foreign     int64
}

const accountsOfTwoSites = 50

// buy makes one purchase. The same account ids buy at both sites; some buy a
// subscription, and some get their money back.
func (s *twoSites) buy(i int) {
	w, account, product := s.here, fmt.Sprint("user_", i%accountsOfTwoSites), "pack10"
	if i%3 == 0 {
		w = s.there
	}
	credits := int64(10)
	if i%20 == 0 {
		account, product, credits = fmt.Sprint("member_", i), "monthly", 500
	}
	id := w.buy(account, product)
	s.orders[w]++
	if i%20 == 10 {
		_, err := w.sim.Refund(id, 0)
		must(w.t, err)
		credits = 0
	}
	for _, at := range []*world{s.here, s.there} { // the other site knows the account, too
		s.bought[at][account] += 0
	}
	s.bought[w][account] += credits
}

// tell sends the new events to both sites. Each site loses one in lost; 0 is none.
func (s *twoSites) tell(lost int) {
	usual := s.here.gate
	events := s.here.sim.Events()
	for ; s.heard < len(events); s.heard++ {
		for k, to := range []*gate{usual, s.there.gate} {
			if lost == 0 || (s.heard+k*3)%lost != 0 {
				s.here.gate = to
				s.here.deliver(events[s.heard].ID)
				s.sent++
			}
		}
	}
	s.here.gate = usual
}

func (s *twoSites) reconcile() {
	for _, w := range []*world{s.here, s.there} {
		done, err := w.Reconcile(w.t.Context(), unlimited)
		must(w.t, err)
		s.foreign += int64(done.Foreign)
		again, err := w.Redrive(w.t.Context())
		must(w.t, err)
		if len(again.Parked) != 0 {
			w.t.Errorf("parked are %v", again.Parked)
		}
	}
}

// holds wants every account to have what it bought at this site, and nothing else.
func (s *twoSites) holds(when string, w *world, bought map[string]int64) {
	w.t.Helper()
	wrong := 0
	for account, credits := range bought {
		now, err := w.Entitlement(w.t.Context(), account)
		must(w.t, err)
		if now.Credits != credits {
			if wrong++; wrong <= 3 {
				w.t.Errorf("%s: %s has %d credits, want %d", when, account, now.Credits, credits)
			}
		}
	}
	w.t.Logf("%s: %d orders, %d accounts, %d with wrong credits", when, s.orders[w], len(bought), wrong)
}

// TestTwoSites: two gateways with two stores share a business, and both know the same
// account ids. What an account buys at one site gives it nothing at the other: by
// webhooks, which both get and of which both lose some, by reconcile or by a rebuild; and
// an emptied store that is given its site back gets exactly its own.
func TestTwoSites(t *testing.T) {
	here := newWorld(t, openBolt(t), settings{hold: true, products: storyProducts, site: config.SiteID{ID: "here"}})
	atThere := settings{products: storyProducts, site: config.SiteID{ID: "there"}}
	there := here.second(openRedis(t, redistest.Start(t).Addr), atThere)
	s := &twoSites{
		here: here, there: there, orders: map[*world]int{},
		bought: map[*world]map[string]int64{here: {}, there: {}},
	}
	for i := range *purchases {
		s.buy(i)
		switch {
		case i%500 == 499:
			s.tell(7)
			s.reconcile()
		case i%50 == 49:
			s.tell(7)
		}
	}
	s.tell(7)
	s.reconcile()
	s.holds("here, with lost webhooks", here, s.bought[here])
	s.holds("there, with lost webhooks", there, s.bought[there])

	emptied := here.second(openBolt(t), atThere)
	for _, w := range []*world{emptied, here} {
		done, err := w.Rebuild(t.Context(), unlimited, nil)
		must(t, err)
		if done.Foreign == 0 {
			t.Error("a rebuild met no order of the other site")
		}
		t.Logf("rebuilt: %+v", done)
	}
	s.orders[emptied] = s.orders[there]
	s.holds("there, emptied and rebuilt", emptied, s.bought[there])

	s.there, s.heard = emptied, 0
	s.tell(0) // every event once more, to both
	s.reconcile()
	s.holds("here, told again", here, s.bought[here])
	s.holds("there, told again", emptied, s.bought[there])
	t.Logf("%d purchases, %d deliveries, %d foreign in reconciliations", *purchases, s.sent, s.foreign)
	if s.foreign == 0 {
		t.Error("no reconciliation met an order of the other site")
	}
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
				if record.State != book.EventIgnored || record.Account != "" {
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
			lost.gate = lost.newGateway(settings{site: config.SiteID{ID: "new", Also: []string{siteID}}})
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
			s.gate = s.newGateway(settings{products: storyProducts, clock: s.Clock, site: config.SiteID{ID: siteID, Unnamed: true}})
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
		w.remake(func(o *gateway.Options) { o.SiteID = config.SiteID{} })
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
			g := w.second(fresh, settings{change: func(o *gateway.Options) { o.SiteID = config.SiteID{} }})
			all.Go(func() {
				if err := g.Open(context.Background()); err != nil {
					t.Error(err)
				}
				sites[i], _ = g.Store.Note(context.Background(), "site", "", "")
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

// emptied is a store that a test replaces by an empty one.
type emptied struct{ store.Store }

// TestEmptiedWhileRunning: a running gateway knows its site, and gives it to a store that
// has lost everything.
func TestEmptiedWhileRunning(t *testing.T) {
	server := redistest.Start(t)
	emptied := &emptied{openRedis(t, server.Addr)}
	log := new(lines)
	w := newWorld(t, emptied, settings{hold: true, logger: slog.New(slog.NewTextHandler(log, nil))})
	w.buy("alice", "pack10")
	must(t, w.Open(t.Context()))
	const empty, lost = "the store is empty, although the config names its site", "the store was emptied while this gateway ran"
	if !log.has(empty) || log.has(lost) {
		t.Error("a store that is new, and should not be, is not logged as empty")
	}
	emptied.Store = openRedis(t, redistest.Start(t).Addr)
	_, err := w.Rebuild(t.Context(), unlimited, nil)
	must(t, err)
	w.has("alice", 10, true)
	if site, err := w.store.Note(t.Context(), "site", "", ""); err != nil || site != siteID {
		t.Errorf("the store's site is %q, %v", site, err)
	}
	if !log.has(lost) {
		t.Error("it is not logged that the store was emptied")
	}
	other := w.newGateway(settings{logger: slog.New(slog.NewTextHandler(log, nil))})
	log.text.Reset()
	must(t, other.Open(t.Context()))
	if log.has(empty) {
		t.Error("a store that has something is logged as empty")
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
			s.gate = s.newGateway(settings{products: storyProducts, clock: s.Clock})
			s.wants(pay("pay_4", "bus_theirs"), gateway.Parked)
			s.stays(s.redrives(4, 0), map[string]int{gateway.ReasonOtherBusiness: 4})
			s.gate = s.newGateway(settings{products: storyProducts, clock: s.Clock, businesses: []string{"bus_theirs", "bus_ours"}})
			s.stays(s.redrives(4, 4), map[string]int{})
			s.sees("40 none none true")
			s.wants(pay("pay_5", "bus_third"), gateway.Parked)
			s.sees("40 none none true")
		})
	}
}
