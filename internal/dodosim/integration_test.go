package dodosim_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// club is a magazine whose products give access elsewhere: of each kind there is.
func club(t *testing.T) *shop {
	return magazine(t, func(o *dodosim.Options) {
		for i := range o.Products {
			switch p := &o.Products[i]; p.ID {
			case "pdt_pack":
				p.LicenseKeys, p.ActivationsLimit = true, 3
				p.Integrations = []dodosim.Integration{{dodosim.LicenseKey, "Key"}, {dodosim.DigitalFiles, "pack.zip"}}
			case "pdt_pro":
				p.Integrations = []dodosim.Integration{{dodosim.GitHub, "acme/private"}}
			case "pdt_book":
				for _, kind := range []dodosim.IntegrationKind{"discord", "telegram", "github", "figma", "framer", "notion"} {
					p.Integrations = append(p.Integrations, dodosim.Integration{Kind: kind, Name: "some " + string(kind)})
				}
			}
		}
	})
}

// grantOf is the only grant of a kind.
func (s *shop) grantOf(kind string) object {
	s.t.Helper()
	var found []any
	for _, id := range s.items("/entitlements?integration_type="+kind, "id") {
		found = append(found, s.ask("GET", "/entitlements/"+id.(string)+"/grants", "")["items"].([]any)...)
	}
	if len(found) != 1 {
		s.t.Fatal("grants of", kind, found)
	}
	return found[0].(object)
}

// Every kind has a configuration and grants that the description knows.
func TestIntegrationKinds(t *testing.T) {
	shop := club(t)
	shop.get("/products/pdt_book")
	shop.get("/products/pdt_pack")
	shop.get("/products")
	for _, item := range shop.items("/entitlements?page_size=100", "id") {
		shop.ask("GET", "/entitlements/"+item.(string), "")
	}
	shop.pay(shop.checkout(cartOf("pdt_book")))
	if got := shop.news(); strings.Count(got, "entitlement_grant.created") != 6 || strings.Contains(got, "delivered") {
		t.Error(got)
	}
	shop.pay(shop.checkout(cartOf("pdt_pack")))
	if got := shop.news(); strings.Count(got, "entitlement_grant.created entitlement_grant.delivered") != 2 {
		t.Error(got)
	}
	key := shop.grantOf("license_key")["license_key"].(map[string]any)
	if key["activations_used"] != 0.0 || key["activations_limit"] != 3.0 {
		t.Error(key)
	}
	shop.ask("POST", "/licenses/activate", fmt.Sprintf(`{"license_key":%q,"name":"laptop"}`, key["key"]))
	if got := shop.grantOf("license_key")["license_key"].(map[string]any); got["activations_used"] != 1.0 {
		t.Error(got)
	}
	if file := shop.grantOf("digital_files")["digital_product_delivery"].(map[string]any)["files"].([]any)[0].(map[string]any); file["filename"] != "pack.zip" {
		t.Error(file)
	}
	if shop.grantOf("discord")["oauth_url"] == nil || shop.grantOf("telegram")["oauth_url"] != nil {
		t.Error("oauth_url")
	}
	shop.flush()
}

// A grant that somebody has to accept: it fails, is delivered after all, and follows its
// subscription.
func TestGrantIsDeliveredLater(t *testing.T) {
	shop := club(t)
	sub := shop.subscribe("pdt_pro", dodosim.CardVisa)
	shop.news()
	id := shop.grantOf("github")["id"].(string)
	if err := shop.sim.FailGrant(id); err != nil {
		t.Fatal(err)
	}
	if g := shop.grantOf("github"); g["status"] != "Failed" || g["error_code"] == nil || g["delivered_at"] != nil {
		t.Error(g)
	}
	if err := shop.sim.DeliverGrant(id); err != nil {
		t.Fatal(err)
	}
	if g := shop.grantOf("github"); g["status"] != "Delivered" || g["error_code"] != nil || g["delivered_at"] == nil {
		t.Error(g)
	}
	if got := shop.news(); got != "entitlement_grant.failed entitlement_grant.delivered" {
		t.Error(got)
	}
	if shop.sim.DeliverGrant(id) == nil || shop.sim.FailGrant(id) == nil || shop.sim.FailGrant("entg_0") == nil {
		t.Error("a delivered grant changed, or one that does not exist")
	}
	shop.patch(sub, `{"status":"paused"}`)
	shop.patch(sub, `{"status":"active"}`)
	if g := shop.grantOf("github"); g["status"] != "Delivered" {
		t.Error(g)
	}
	shop.flush()
}

func TestPendingGrantIsRevoked(t *testing.T) {
	shop := club(t)
	sub := shop.subscribe("pdt_pro", dodosim.CardVisa)
	shop.patch(sub, `{"status":"paused"}`)
	if g := shop.grantOf("github"); g["status"] != "Revoked" || g["revocation_reason"] != "SubscriptionPaused" {
		t.Error(g)
	}
	shop.patch(sub, `{"status":"active"}`)
	if g := shop.grantOf("github"); g["status"] != "Pending" || g["revoked_at"] != nil {
		t.Error(g)
	}
	shop.flush()
}

// What the merchant revokes stays so, whatever the subscription does.
func TestRevokeGrant(t *testing.T) {
	shop := club(t)
	sub := shop.subscribe("pdt_pro", dodosim.CardVisa)
	g := shop.grantOf("github")
	path := fmt.Sprintf("/entitlements/%s/grants/%s", g["entitlement_id"], g["id"])
	for range 2 {
		if g := shop.ask("DELETE", path, ""); g["status"] != "Revoked" || g["revocation_reason"] != "manual" {
			t.Error(g)
		}
	}
	shop.patch(sub, `{"status":"paused"}`)
	shop.patch(sub, `{"status":"active"}`)
	if g := shop.grantOf("github"); g["status"] != "Revoked" {
		t.Error(g)
	}
	if got := strings.Count(shop.news(), "entitlement_grant.revoked"); got != 1 {
		t.Error("revoked", got, "times")
	}
	shop.refuses(
		refusal{"DELETE", fmt.Sprintf("/entitlements/%s/grants/entg_0", g["entitlement_id"]), "", 404, "NOT_FOUND"},
		refusal{"DELETE", fmt.Sprintf("/entitlements/ent_0/grants/%s", g["id"]), "", 404, "NOT_FOUND"},
		refusal{"GET", "/entitlements/ent_0", "", 404, "NOT_FOUND"},
	)
	shop.flush()
}

func TestIntegrationsAreChecked(t *testing.T) {
	for name, product := range map[string]dodosim.Product{
		"kind":    {Integrations: []dodosim.Integration{{"fax", "home"}}},
		"name":    {Integrations: []dodosim.Integration{{dodosim.GitHub, ""}}},
		"twice":   {Integrations: []dodosim.Integration{{dodosim.GitHub, "a"}, {dodosim.GitHub, "a"}}},
		"no keys": {Integrations: []dodosim.Integration{{dodosim.LicenseKey, "a"}}},
		"feature": {Features: []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			product.ID, product.Currency = "pdt_this", "USD"
			o.Products = append(o.Products, product)
			if _, err := dodosim.New(o); err == nil {
				t.Error("accepted")
			}
		})
	}
}
