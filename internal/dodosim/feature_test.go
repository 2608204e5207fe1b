package dodosim_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// gated is a magazine whose products unlock features.
func gated(t *testing.T) *shop {
	return magazine(t, func(o *dodosim.Options) {
		for i := range o.Products {
			switch o.Products[i].ID {
			case "pdt_pack":
				o.Products[i].Features = []string{"export"}
			case "pdt_pro":
				o.Products[i].Features = []string{"reports"}
			case "pdt_team":
				o.Products[i].Features = []string{"reports", "seats"}
			}
		}
	})
}

// grants are all that there are, oldest first, as "feature status reason".
func (s *shop) grants() []string {
	s.t.Helper()
	var flags struct {
		Items []struct{ ID, Name string }
	}
	decode(s.t, s.get("/entitlements?integration_type=feature_flag&page_size=100"), &flags)
	var all []string
	for _, flag := range flags.Items {
		var grants struct {
			Items []struct {
				Status  string
				Reason  string `json:"revocation_reason"`
				Feature struct {
					ID string `json:"feature_id"`
				}
			}
		}
		decode(s.t, s.get("/entitlements/"+flag.ID+"/grants?page_size=100"), &grants)
		for _, g := range slices.Backward(grants.Items) {
			all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %s", g.Feature.ID, g.Status, g.Reason)))
		}
	}
	return all
}

func (s *shop) wantGrants(want ...string) {
	s.t.Helper()
	if got := s.grants(); !slices.Equal(got, want) {
		s.t.Errorf("grants are\n%q\nwant\n%q", got, want)
	}
}

func TestFeatureOfASubscription(t *testing.T) {
	shop := gated(t)
	id := shop.subscribe("pdt_pro", dodosim.CardVisa)
	if got := shop.news(); !strings.Contains(got, "entitlement_grant.created entitlement_grant.delivered") {
		t.Error(got)
	}
	shop.wantGrants("reports Delivered")
	shop.patch(id, `{"status":"paused"}`)
	shop.wantGrants("reports Revoked SubscriptionPaused")
	shop.patch(id, `{"status":"active"}`) // at the same instant
	shop.wantGrants("reports Delivered")
	if got := shop.news(); strings.Count(got, "entitlement_grant.") != 2 || strings.Contains(got, "grant.created") {
		t.Error("a pause told", got)
	}
	shop.sim.Advance(40 * day) // it renews
	if got := shop.news(); strings.Contains(got, "grant") {
		t.Error("a renewal told", got)
	}
	shop.changePlan(id, `"product_id":"pdt_team","quantity":1,"proration_billing_mode":"do_not_bill"`)
	shop.wantGrants("reports Delivered", "seats Delivered")
	shop.changePlan(id, `"product_id":"pdt_pro","quantity":1,"proration_billing_mode":"do_not_bill"`)
	shop.wantGrants("reports Delivered", "seats Revoked plan_changed")
	shop.patch(id, `{"status":"cancelled"}`)
	shop.wantGrants("reports Revoked subscription_cancelled", "seats Revoked plan_changed")
	shop.flush() // each one fits the description
}

func TestFeatureOfAHold(t *testing.T) {
	shop := gated(t)
	id := shop.subscribe("pdt_pro", dodosim.CardFailsLater)
	shop.sim.Advance(40 * day)
	shop.wantGrants("reports Revoked subscription_on_hold")
	if _, err := shop.sim.ReplaceCard(id, dodosim.CardVisa); err != nil {
		t.Fatal(err)
	}
	shop.wantGrants("reports Delivered")
	failed, err := shop.sim.Pay(shop.checkout(cartOf("pdt_pro")), dodosim.CardDeclined)
	if err != nil || failed.Status != dodosim.Failed {
		t.Fatal(failed, err)
	}
	shop.wantGrants("reports Delivered")
}

func TestFeatureOfAPurchase(t *testing.T) {
	shop := gated(t)
	if _, err := shop.sim.Pay(shop.checkout(cartOf("pdt_pack")), dodosim.CardDeclined); err != nil {
		t.Fatal(err)
	}
	shop.wantGrants()
	bought := shop.pay(shop.checkout(cartOf("pdt_pack")))
	shop.pay(shop.checkout(cartOf("pdt_book")))
	mixed := shop.pay(shop.checkout(`{"product_cart":[{"product_id":"pdt_pack","quantity":2},{"product_id":"pdt_pro","quantity":1}]}`))
	shop.wantGrants("export Delivered", "export Delivered", "reports Delivered")
	for _, amount := range []int{100, 0} {
		if _, err := shop.sim.Refund(bought.PaymentID, amount); err != nil {
			t.Fatal(err)
		}
		if amount > 0 {
			shop.wantGrants("export Delivered", "export Delivered", "reports Delivered")
		}
	}
	shop.wantGrants("export Revoked refund", "export Delivered", "reports Delivered")
	if _, err := shop.sim.Refund(mixed.PaymentID, 0); err != nil { // the subscription goes on
		t.Fatal(err)
	}
	shop.wantGrants("export Revoked refund", "export Revoked refund", "reports Delivered")
	shop.flush()
}

func TestFeatureLists(t *testing.T) {
	shop := gated(t)
	shop.pay(shop.checkout(cartOf("pdt_pack")))
	shop.subscribe("pdt_pro", dodosim.CardVisa)
	count := func(path string) int {
		var list struct{ Items []any }
		decode(t, shop.get(path), &list)
		return len(list.Items)
	}
	var flags struct{ Items []struct{ ID string } }
	decode(t, shop.get("/entitlements"), &flags)
	grants := "/entitlements/" + flags.Items[0].ID + "/grants"
	for path, want := range map[string]int{
		"/entitlements": 3, "/entitlements?integration_type=discord": 0, "/entitlements?page_size=2&page_number=1": 1,
		grants: 1, grants + "?status=Delivered": 1, grants + "?status=Revoked": 0, grants + "?customer_id=cus_0": 0, grants + "?page_number=1": 0,
	} {
		if got := count(path); got != want {
			t.Errorf("%s has %d items, want %d", path, got, want)
		}
	}
	for path, want := range map[string]int{
		"/entitlements?integration_type=fax": http.StatusUnprocessableEntity, grants + "?status=gone": http.StatusUnprocessableEntity,
		"/entitlements/ent_0/grants": http.StatusNotFound,
	} {
		if got, body := shop.call("GET", path, ""); got != want {
			t.Errorf("%s: %d %s, want %d", path, got, body, want)
		}
	}
	var product struct{ Entitlements []struct{ Name string } }
	decode(t, shop.get("/products/pdt_team"), &product)
	if len(product.Entitlements) != 2 || product.Entitlements[1].Name != "seats" {
		t.Errorf("the product has %v", product.Entitlements)
	}
}
