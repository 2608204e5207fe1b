package gateway_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// damagedWorld has alice, who bought pack10 twice and spent 4, and bob, in a Redis.
func damagedWorld(t *testing.T) (*world, *redistest.Server) {
	server := redistest.Start(t)
	w := newWorld(t, openRedis(t, server.Addr), settings{signupCredits: 3})
	_, err := w.View(t.Context(), "alice") // the sign-up
	must(t, err)
	w.buy("alice", "pack10")
	w.buy("alice", "pack10")
	w.buy("bob", "pro30")
	must(t, w.sim.Flush(t.Context()))
	c, err := w.Hold(t.Context(), gateway.HoldRequest{Account: "alice", Credits: 4, TTL: 60e9})
	must(t, err)
	_, err = c.End(t.Context(), 4, nil)
	must(t, err)
	w.has("alice", 19, true)
	return w, server
}

// fresh is a gateway on the same Redis that remembers nothing.
func (w *world) fresh(server *redistest.Server) {
	w.t.Helper()
	w.store = store.Client{Store: openRedis(w.t, server.Addr)}
	w.remake(func(o *gateway.Options) { o.Store = w.store })
}

func (w *world) mends(account string) gateway.Rebuilt {
	w.t.Helper()
	done, err := w.RebuildAccount(w.t.Context(), account, rate.NewLimiter(rate.Inf, 1))
	must(w.t, err)
	if len(done.Wrong) == 0 || len(done.Left) > 0 {
		w.t.Errorf("it did %+v", done)
	}
	return done
}

// TestRebuildAccount: what is lost of one account comes back from its ledger and from Dodo, and what
// was spent stays spent if an entry says so.
func TestRebuildAccount(t *testing.T) {
	for name, c := range map[string]struct {
		keys    []string // of alice that are lost
		credits int64    // afterwards
		bound   bool     // it can be found only by what is bound to her
	}{
		"the account":                {keys: []string{"account"}, credits: 19},
		"the entries":                {keys: []string{"entries"}, credits: 19},
		"an object":                  {keys: []string{"object:payment:*"}, credits: 19},
		"the account and the ledger": {keys: []string{"account", "entries", "closed"}, credits: 20},
		"everything":                 {keys: []string{"*"}, credits: 20, bound: true},
	} {
		t.Run(name, func(t *testing.T) {
			w, server := damagedWorld(t)
			for _, pattern := range c.keys {
				for key := range strings.FieldsSeq(server.MustDo("EVAL", "return table.concat(redis.call('KEYS', ARGV[1]), ' ')", "0", "dodogate:{alice}:"+pattern)) {
					server.MustDo("DEL", key)
				}
			}
			w.fresh(server)
			var found []gateway.Checked
			for after, more := "", true; more; more = after != "" {
				wrong, _, next, err := gateway.Checker{Store: w.store}.Page(t.Context(), after, 100)
				must(t, err)
				found, after = append(found, wrong...), next
			}
			if len(found) == 0 || found[0].Account != "alice" {
				t.Errorf("found %+v", found)
			}
			if !c.bound { // else she is new, to the store
				if v, err := w.View(t.Context(), "alice"); err == nil && v.Credits != 19 {
					t.Errorf("alice is shown with %d credits", v.Credits)
				}
			}
			done := w.mends("alice")
			if done.Read == 0 {
				t.Errorf("nothing was read: %+v", done)
			}
			w.has("alice", c.credits, true)
			w.has("bob", 3, true)
			if c.credits != 19 && len(done.Notes) == 0 {
				t.Errorf("it does not say what was not known: %+v", done)
			}
			w.buy("alice", "pack10")
			must(t, w.sim.Flush(t.Context()))
			w.has("alice", c.credits+10, true)
		})
	}
}

// TestRebuildAccountWithoutDodo: if Dodo does not answer, nothing is changed.
func TestRebuildAccountWithoutDodo(t *testing.T) {
	w, server := damagedWorld(t)
	server.MustDo("DEL", "dodogate:{alice}:account")
	w.fresh(server)
	w.sim.SetFault(dodosim.Fault{Status: http.StatusServiceUnavailable, Body: "{}"}, 100)
	if _, err := w.RebuildAccount(t.Context(), "alice", rate.NewLimiter(rate.Inf, 1)); err == nil {
		t.Error("no error")
	}
	if there := server.MustDo("EXISTS", "dodogate:{alice}:account"); there != "0" {
		t.Error("something was written")
	}
	w.sim.SetFault(dodosim.Fault{}, 0)
	w.mends("alice")
	w.has("alice", 19, true)
}

// TestEventsOfDamagedAccount: an event about a damaged account is kept, and applied when that is
// mended.
func TestEventsOfDamagedAccount(t *testing.T) {
	w, server := damagedWorld(t)
	server.MustDo("DEL", "dodogate:{alice}:account")
	w.fresh(server)
	w.sim.HoldWebhooks(true)
	refunded := ""
	for _, p := range w.boundPayments("alice") {
		refunded = p
	}
	_, err := w.sim.Refund(refunded, 0)
	must(t, err)
	w.sim.HoldWebhooks(false)
	must(t, w.sim.Flush(t.Context()))
	parked, _, err := w.store.Parked(t.Context(), "", "", 10)
	must(t, err)
	if len(parked) == 0 || parked[0].Reason != gateway.ReasonDamaged {
		t.Fatalf("parked: %+v", parked)
	}
	done, err := w.Redrive(t.Context())
	must(t, err)
	if names := done.Damaged.Names(); len(names) != 1 || names[0] != "alice" || done.Parked[gateway.ReasonDamaged] == 0 {
		t.Errorf("redrive: %+v", done)
	}
	w.mends("alice")
	if done, err = w.Redrive(t.Context()); err != nil || done.Parked[gateway.ReasonDamaged] != 0 {
		t.Errorf("redrive: %+v, %v", done, err)
	}
	w.has("alice", 9, true)
}

// boundPayments are the payments of an account.
func (w *world) boundPayments(account string) (ids []string) {
	w.t.Helper()
	m, err := w.store.Mender()
	must(w.t, err)
	page, _, err := m.Bindings(w.t.Context(), "", 1000)
	must(w.t, err)
	for _, b := range page {
		if b.Account == account && b.Ref.Kind == "payment" {
			ids = append(ids, b.Ref.ID)
		}
	}
	return ids
}

var manyPurchases = flag.Int("damage.purchases", 120, "purchases that a pass heals in TestPassWithDamage")

// TestPassWithDamage: a pass over many purchases, none of which arrived, heals all but those of the
// five accounts that are damaged, and names these.
func TestPassWithDamage(t *testing.T) {
	server := redistest.Start(t)
	w := newWorld(t, openRedis(t, server.Addr), settings{hold: true})
	for i := range *manyPurchases {
		w.buy(fmt.Sprint("customer_", i), "pack10")
	}
	damaged := make(map[string]bool)
	for i := range 5 {
		name := fmt.Sprint("customer_", i*(*manyPurchases-1)/4)
		damaged[name] = true
		server.MustDo("HSET", "dodogate:{"+name+"}:account", "seq", "garbage")
	}
	w.fresh(server)
	done := w.rebuild()
	if names := done.Damaged.Names(); len(names) != 5 {
		t.Errorf("damaged: %v", names)
	}
	healed := 0
	for i := range *manyPurchases {
		name := fmt.Sprint("customer_", i)
		a, err := w.store.Account(t.Context(), name)
		switch {
		case damaged[name] && err != nil:
		case !damaged[name] && err == nil && a.Ledger.Balance() == 10:
			healed++
		default:
			raw, _ := json.Marshal(a)
			t.Errorf("%s: %s, %v", name, raw, err)
		}
	}
	if healed != *manyPurchases-5 {
		t.Errorf("healed %d of %d", healed, *manyPurchases-5)
	}
}

// TestCheckOldSession: an account of which an earlier release kept no more than the session of an
// abandoned checkout is not damaged.
func TestCheckOldSession(t *testing.T) {
	w := newWorld(t, openBolt(t), settings{})
	_, err := w.store.Claim(t.Context(), entitlement.Ref{Kind: entitlement.KindSession, ID: "cks_1"}, "carol")
	must(t, err)
	_, err = w.store.Claim(t.Context(), entitlement.Ref{Kind: entitlement.KindPayment, ID: "pay_1"}, "dave")
	must(t, err)
	var damaged []string
	for after := ""; ; {
		wrong, _, next, err := (gateway.Checker{Store: w.store}).Page(t.Context(), after, 10)
		must(t, err)
		for _, c := range wrong {
			damaged = append(damaged, c.Account)
		}
		if after = next; next == "" {
			break
		}
	}
	if len(damaged) != 1 || damaged[0] != "dave" {
		t.Errorf("damaged are %q, want dave, whose payment is bound", damaged)
	}
}
