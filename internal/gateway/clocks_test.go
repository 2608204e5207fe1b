package gateway_test

import (
	"net/http"
	"testing"
	"time"
)

// TestConfirmByAnotherClock: what a gateway read from Dodo never outlives a later event
// because the clock of the gateway is minutes away.
func TestConfirmByAnotherClock(t *testing.T) {
	for name, off := range map[string]time.Duration{"ahead": 4 * time.Minute, "behind": -4 * time.Minute, "right": 0} {
		t.Run(name, func(t *testing.T) {
			each(t, settings{hold: true, products: storyProducts}, func(t *testing.T, w *world) {
				w.gate = w.newGateway(settings{products: storyProducts, clock: func() time.Time { return time.Now().Add(off) }})
				order := w.order("alice", "monthly")
				attempt, err := w.sim.Pay(order.SessionID, goodCard)
				must(t, err)
				_, err = w.Confirm(t.Context(), "alice", order.ID)
				must(t, err)
				w.hasPlan("alice", "pro")

				w.sim.Advance(time.Minute)
				w.call(http.MethodPatch, "/subscriptions/"+attempt.SubscriptionID, `{"status":"cancelled"}`)
				w.deliver(w.event("subscription.cancelled"))
				w.hasPlan("alice", "none")

				// What is read afterwards says no more than the event did.
				w.reconcile()
				w.hasPlan("alice", "none")
			})
		})
	}
}

// hasPlan wants the account's plan; "none" is none.
func (w *world) hasPlan(account, want string) {
	w.t.Helper()
	s, err := w.Entitlement(w.t.Context(), account)
	must(w.t, err)
	if s.Plan != want {
		w.t.Errorf("%s has the plan %q, want %q", account, s.Plan, want)
	}
}
