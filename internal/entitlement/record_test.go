package entitlement_test

import (
	"testing"

	"github.com/dodogate/dodogate/internal/entitlement"
)

// TestDescribes: a fact that only tells of a refund, a grace or an import does not describe
// its object.
func TestDescribes(t *testing.T) {
	for name, c := range map[string]struct {
		fact entitlement.Fact
		want bool
	}{
		"a payment":               {about(paid(line("pdt_pack", 1))), true},
		"a refund":                {about(refund("r", "succeeded", 300, false)), false},
		"a dispute":               {about(dispute("opened")), false},
		"a subscription":          {ofSubscription("sub_1", body("active", "pdt_pro", 0)), true},
		"a subscription's charge": {ofSubscription("sub_1", charged("a", 0)), false},
		"a grace":                 {ofSubscription("sub_1", entitlement.Subscription{GraceEndsAt: noon}), false},
		"a feature":               {grantOf("entg_1", entitlement.FeatureRevoked, "", 0), true},
		"an import":               {entitlement.Fact{Import: entitlement.Import{AsOf: noon}}, false},
		"nothing":                 {entitlement.Fact{}, false},
	} {
		if got := c.fact.Describes(); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
}

// TestRefs: what writes a name reads it, whatever its id has in it.
func TestRefs(t *testing.T) {
	for _, ref := range []entitlement.Ref{{Kind: entitlement.KindPayment, ID: "pay_1"}, {Kind: entitlement.KindForeign, ID: "payment:pay_1"}, {Kind: entitlement.KindOrder}} {
		if got, ok := entitlement.ParseRef(ref.String()); !ok || got != ref {
			t.Errorf("%q is read as %+v, %t", ref, got, ok)
		}
	}
	if _, ok := entitlement.ParseRef("pay_1"); ok {
		t.Error("a name without a kind is read")
	}
}
