package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
)

// reconcile runs one pass without a limit.
func (w *world) reconcile() gateway.Reconciled {
	w.t.Helper()
	done, err := w.Reconcile(w.t.Context(), rate.NewLimiter(rate.Inf, 1))
	must(w.t, err)
	return done
}

// account is everything that requests and the ledger show of an account.
func (w *world) account(name string) string {
	w.t.Helper()
	snap, err := w.Entitlement(w.t.Context(), name)
	must(w.t, err)
	return fmt.Sprintf("%d %v %s %s %v %q", snap.Credits, snap.HasPaid, snap.Plan, snap.PlanStatus, snap.PlanExpiresAt.UTC(), snap.Features)
}

// TestReconcile: what no webhook told is found, once, and an empty store gets it
// all back.
func TestReconcile(t *testing.T) {
	each(t, settings{hold: true, products: storyProducts}, func(t *testing.T, w *world) {
		alice := w.buy("alice", "pack10")
		bob := w.buy("bob", "pack9")
		_, err := w.sim.Refund(bob, 300)
		must(t, err)
		w.buy("carol", "monthly")
		w.order("dave", "pack10") // never paid
		w.reconcile()
		w.has("alice", 10, true)
		w.has("bob", 6, true)
		w.has("carol", 500, true)
		w.has("dave", 0, false)
		if again := w.reconcile(); again.Read != 0 || again.Applied != 0 || again.Seen == 0 {
			t.Errorf("nothing happened, and it did %+v", again)
		}
		_, err = w.sim.Refund(alice, 0)
		must(t, err)
		_, err = w.sim.OpenDispute(bob)
		must(t, err)
		if third := w.reconcile(); third.Read != 2 || third.Applied != 2 {
			t.Errorf("two things happened, and it did %+v", third)
		}
		w.has("alice", 0, false)
		w.has("bob", 0, false)

		want := map[string]string{}
		for _, name := range []string{"alice", "bob", "carol", "dave"} {
			want[name] = w.account(name)
		}
		w.store = store.Client{Store: openBolt(t)}
		w.gate = w.newGateway(settings{products: storyProducts})
		w.reconcile()
		for name, before := range want {
			if got := w.account(name); got != before {
				t.Errorf("%s has %s in the new store, had %s", name, got, before)
			}
		}
	})
}

// TestReconcileFeatures: features come and go without a webhook, too.
func TestReconcileFeatures(t *testing.T) {
	each(t, settings{hold: true, products: storyProducts}, func(t *testing.T, w *world) {
		export := w.buy("alice", "export")
		attempt, err := w.sim.Pay(w.order("alice", "reports").SessionID, dodosim.CardFailsLater)
		must(t, err)
		w.reconcile()
		w.unlocked("alice", "export", "reports")
		if again := w.reconcile(); again.Read != 0 || again.Applied != 0 {
			t.Errorf("nothing happened, and it did %+v", again)
		}
		_, err = w.sim.Refund(export, 0)
		must(t, err)
		w.reconcile()
		w.unlocked("alice", "reports")
		w.sim.Advance(32 * day) // the renewal fails
		w.reconcile()
		w.unlocked("alice")
		_, err = w.sim.ReplaceCard(attempt.SubscriptionID, goodCard)
		must(t, err)
		w.reconcile()
		w.unlocked("alice", "reports")

		w.store = store.Client{Store: openBolt(t)}
		w.gate = w.newGateway(settings{products: storyProducts})
		w.reconcile()
		w.unlocked("alice", "reports")
		w.unlocked("bob")
	})
}

// unlocked wants the account's features.
func (w *world) unlocked(account string, want ...string) {
	w.t.Helper()
	snap, err := w.Entitlement(w.t.Context(), account)
	must(w.t, err)
	if !slices.Equal(snap.Features, want) {
		w.t.Errorf("%s has the features %q, want %q", account, snap.Features, want)
	}
}

// noFeatures is a Dodo that refuses to speak of feature flags.
type noFeatures struct {
	gateway.Provider
	err error
}

func (d noFeatures) FeatureFlags(context.Context, int) (dodo.Page[string], error) {
	return dodo.Page[string]{}, d.err
}

// TestReconcileWithoutFeatures: an API key that may not read feature flags still
// reconciles what is about money.
func TestReconcileWithoutFeatures(t *testing.T) {
	for err, passes := range map[error]bool{dodo.ErrUnauthorized: true, dodo.ErrNotFound: true, dodo.ErrRejected: true, dodo.ErrUnavailable: false} {
		w := newWorld(t, openBolt(t), settings{hold: true, change: func(o *gateway.Options) { o.Provider = noFeatures{o.Provider, err} }})
		w.buy("alice", "pack10")
		if _, got := w.Reconcile(t.Context(), rate.NewLimiter(rate.Inf, 1)); (got == nil) != passes {
			t.Errorf("%v: %v", err, got)
		}
		w.has("alice", 10, true)
	}
}

// TestFeatureWebhooks: a feature follows its subscription, whatever the order of
// arrival and whichever state the bodies show.
func TestFeatureWebhooks(t *testing.T) {
	w := newWorld(t, openBolt(t), settings{hold: true, products: storyProducts})
	_, err := w.sim.Pay(w.order("alice", "reports").SessionID, dodosim.CardFailsLater)
	must(t, err)
	first := w.event("entitlement_grant.delivered")
	w.deliver(first) // before its subscription
	w.unlocked("alice")
	w.deliver(w.event("subscription.active"))
	w.unlocked("alice", "reports")
	w.sim.Advance(32 * day)
	w.deliver(first) // which shows the latest state: the renewal failed
	w.unlocked("alice")
}

// TestLostWebhooks: three of ten never come, others come twice or under another
// id, and one pass makes up for it.
func TestLostWebhooks(t *testing.T) {
	w := newWorld(t, openBolt(t), settings{products: storyProducts})
	w.sim.SetMischief(dodosim.Mischief{Seed: 7, Drop: 0.3, Duplicate: 0.3, NewID: 0.2})
	const customers = 20
	for i := range customers {
		name := fmt.Sprint("customer", i)
		w.buy(name, "pack10")
		nine := w.buy(name, "pack9")
		w.buy(name, "monthly")
		_, err := w.sim.Refund(nine, 300)
		must(t, err)
	}
	w.flush()
	missing := 0
	for i := range customers {
		if snap, err := w.Entitlement(t.Context(), fmt.Sprint("customer", i)); err != nil || snap.Credits != 516 {
			missing++
		}
	}
	if missing == 0 {
		t.Error("no webhook was lost")
	}
	w.reconcile()
	for i := range customers {
		w.has(fmt.Sprint("customer", i), 516, true)
	}
}

// TestReconcileLeavesOthersAlone: what the merchant sells elsewhere is not read.
func TestReconcileLeavesOthersAlone(t *testing.T) {
	w := newWorld(t, openBolt(t), settings{hold: true})
	elsewhere := w.newGateway(settings{change: func(o *gateway.Options) { o.Prover = otherProver(t) }})
	order, err := elsewhere.Checkout(t.Context(), who("mallory"), wish("pack10"))
	must(t, err)
	_, err = w.sim.Pay(order.SessionID, goodCard)
	must(t, err)
	w.store = store.Client{Store: openBolt(t)}
	w.gate = w.newGateway(settings{})
	if done := w.reconcile(); done.Seen != 1 || done.Read != 0 {
		t.Errorf("it did %+v", done)
	}
	w.has("mallory", 0, false)
}

// TestReconcileFails: an error in the middle leaves the mark, so that the next
// pass sees what this one did not.
func TestReconcileFails(t *testing.T) {
	w := newWorld(t, openBolt(t), settings{hold: true})
	w.reconcile()
	w.buy("alice", "pack10")
	w.sim.SetFault(dodosim.Fault{Status: http.StatusForbidden, Body: "{}"}, 2)
	if _, err := w.Reconcile(t.Context(), rate.NewLimiter(rate.Inf, 1)); err == nil {
		t.Fatal("no error")
	}
	w.has("alice", 0, false)
	w.sim.SetFault(dodosim.Fault{}, 0)
	w.reconcile()
	w.has("alice", 10, true)
}

// TestReconcileKeepsToItsBudget: every call takes from it.
func TestReconcileKeepsToItsBudget(t *testing.T) {
	w := newWorld(t, openBolt(t), settings{hold: true})
	w.buy("alice", "pack10")
	before := w.sim.Calls("", "")
	const calls = 3
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := w.Reconcile(ctx, rate.NewLimiter(rate.Every(time.Hour), calls)); err == nil {
		t.Error("it never ran out")
	}
	if made := w.sim.Calls("", "") - before; made != calls {
		t.Errorf("%d calls on a budget of %d", made, calls)
	}
}
