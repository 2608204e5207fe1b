package entitlement_test

import (
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

// TestDescribes: a fact that is only about a refund, a grace or an import does not describe
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

// TestRefs: ParseRef reads what String writes, with any id.
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

// TestForgivenUnderANewName: credits that were spent, taken back by a dispute and forgiven are
// not given again if the dispute is won, even if their period has another name by then.
func TestForgivenUnderANewName(t *testing.T) {
	told := body("active", "pdt_keep", 0, moved(33*time.Second))
	sooner := body("active", "pdt_keep", 0, after(time.Minute))
	opened, won := charged("a", 0, disputed("opened")), charged("a", 0, disputed("won"))
	for name, story := range map[string][]entitlement.Subscription{
		"the same name":                 {opened, won},
		"a new name during the dispute": {opened, sooner, won},
		"a new name after the dispute":  {opened, won, sooner},
		"a new name before":             {sooner, opened, won},
	} {
		l := begin(noon.Add(day))
		l.policy = ledger.PolicyFloor
		for _, s := range []entitlement.Subscription{told, charged("a", 0)} {
			l.hear(t, ofSubscription("sub_1", s))
		}
		var err error
		if l.ledger, _, _, err = l.ledger.Hold("h", 300, l.now.Add(time.Hour), l.now); err != nil {
			t.Fatal(err)
		}
		if l.ledger, _, _, err = l.ledger.End("h", 300, l.now); err != nil {
			t.Fatal(err)
		}
		for _, s := range story {
			l.hear(t, ofSubscription("sub_1", s))
		}
		if got := l.ledger.Available(l.now); got != 200 {
			t.Errorf("%s: %d of 500 are left after 300 were spent", name, got)
		}
	}
}
