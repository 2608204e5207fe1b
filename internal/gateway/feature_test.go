package gateway_test

import (
	"testing"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
)

// under wants an event to be filed under an object.
func (w *world) under(id, object string) {
	w.t.Helper()
	e, err := w.store.Event(w.t.Context(), id)
	must(w.t, err)
	if e.Object != object {
		w.t.Errorf("event %s is under %s, want %s", id, e.Object, object)
	}
}

// TestFeatureWaits for what brings it its account, whatever it waited for before,
// and is then filed under its own name.
func TestFeatureWaits(t *testing.T) {
	for _, backend := range []string{"bolt", "redis"} {
		t.Run(backend, func(t *testing.T) {
			s := tell(t, backend, "")
			s.deliverAs("msg_sub", "entitlement_grant.delivered", s.grant("entg_1", "Delivered", "reports", "payment_id", "pay_1"))
			s.deliverAs("msg_pay", "entitlement_grant.delivered", s.grant("entg_2", "Delivered", "export", "subscription_id", nil, "payment_id", "pay_1"))
			s.deliverAs("msg_none", "entitlement_grant.delivered", s.grant("entg_3", "Delivered", "seats", "subscription_id", nil))
			s.under("msg_sub", "subscription:sub_1")
			s.under("msg_pay", "payment:pay_1")
			s.under("msg_none", "feature:entg_3")

			e, err := s.store.Event(t.Context(), "msg_sub") // which an older version did not understand
			must(t, err)
			e.Reason, e.Object = gateway.ReasonUnclear, ""
			must(t, s.store.Settle(t.Context(), e, book.Retention{}))
			s.redrives(3, 0)
			s.waits("msg_sub", gateway.ReasonUnknownAccount)
			s.under("msg_sub", "subscription:sub_1")

			s.send("payment.succeeded", s.charge("pay_1", "metadata", s.subscription()["metadata"]))
			s.features("export", "reports")
			for id, object := range map[string]string{"msg_sub": "feature:entg_1", "msg_pay": "feature:entg_2"} {
				s.waits(id, "")
				s.under(id, object)
			}
			_, err = s.store.Claim(t.Context(), entitlement.Ref{Kind: entitlement.KindCustomer, ID: "cus_1"}, "alice")
			must(t, err)
			s.redrives(1, 1)
			s.waits("msg_none", "")
			s.features("export", "reports", "seats")
		})
	}
}

// TestFeatureIsOvertaken: its subscription finds its account at the moment at
// which the feature begins to wait for it.
func TestFeatureIsOvertaken(t *testing.T) {
	s := tell(t, "bolt", "")
	s.remake(func(o *gateway.Options) {
		o.Store = &interrupted{o.Store, func() {
			_, err := s.store.Claim(t.Context(), entitlement.Ref{Kind: entitlement.KindSubscription, ID: "sub_1"}, "alice")
			must(t, err)
		}}
	})
	s.wants(s.deliverAs("msg_1", "entitlement_grant.delivered", s.grant("entg_1", "Delivered", "reports")), gateway.Applied)
	s.waits("msg_1", "")
	s.features("reports")
}

// TestFeatureIsUnassigned: an operator takes a feature from an account by its name, and it goes to
// the account of its subscription then.
func TestFeatureIsUnassigned(t *testing.T) {
	for _, backend := range []string{"bolt", "redis"} {
		t.Run(backend, func(t *testing.T) {
			s := tell(t, backend, "")
			sub, feature := entitlement.Ref{Kind: entitlement.KindSubscription, ID: "sub_1"}, entitlement.Ref{Kind: entitlement.KindFeature, ID: "entg_1"}
			_, err := s.store.Claim(t.Context(), sub, "alice")
			must(t, err)
			s.send("entitlement_grant.delivered", s.grant("entg_1", "Delivered", "reports"))
			s.features("reports")
			_, err = s.Unassign(t.Context(), doing("alice", "sub_1"))
			must(t, err)
			_, err = s.store.Claim(t.Context(), sub, "bob")
			must(t, err)
			_, err = s.Unassign(t.Context(), doing("alice", feature.String()))
			must(t, err)
			s.features()
			s.send("entitlement_grant.delivered", s.grant("entg_1", "Delivered", "reports"))
			s.features()
			if owner, err := s.store.Owner(t.Context(), feature); err != nil || owner != "bob" {
				t.Errorf("the feature belongs to %q, %v", owner, err)
			}
		})
	}
}

// TestFeatureStaysWithItsAccount, whatever later bodies say.
func TestFeatureStaysWithItsAccount(t *testing.T) {
	s := tell(t, "bolt", "")
	s.subscribed()
	s.send("entitlement_grant.delivered", s.grant("entg_1", "Delivered", "reports"))
	for ref, account := range map[entitlement.Ref]string{{Kind: entitlement.KindSubscription, ID: "sub_2"}: "bob", {Kind: entitlement.KindCustomer, ID: "cus_2"}: "bob"} {
		_, err := s.store.Claim(t.Context(), ref, account)
		must(t, err)
	}
	s.set(s.now().Add(day))
	s.send("entitlement_grant.delivered", s.grant("entg_1", "Delivered", "export", "subscription_id", "sub_2", "customer_id", "cus_2"))
	s.features("export")
	s.unlocked("bob")
}
