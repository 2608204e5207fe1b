package dodosim_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dodopayments/dodopayments-go"
	"github.com/dodopayments/dodopayments-go/option"

	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/testing/httpclient"
)

// licensed is a shop that sells an app once and by the month, each with a key.
func licensed(t *testing.T) *shop {
	return magazine(t, func(o *dodosim.Options) {
		o.Products = append(o.Products,
			dodosim.Product{ID: "pdt_app", Name: "App", Price: 500, Currency: "USD", LicenseKeys: true, ActivationsLimit: 2},
			dodosim.Product{ID: "pdt_rent", Price: 500, Currency: "USD", LicenseKeys: true, Every: monthly})
	})
}

// Apps use the three calls about licences without an API key.
func TestOfficialSDKLicenses(t *testing.T) {
	shop, ctx := licensed(t), t.Context()
	paid := shop.pay(shop.checkout(cartOf("pdt_app")))
	if got := shop.news(); got != "payment.succeeded license_key.created" {
		t.Errorf("events %s", got)
	}
	shop.flush()
	keys, err := shop.client().LicenseKeys.List(ctx, dodopayments.LicenseKeyListParams{ProductID: dodopayments.F("pdt_app")}) //nolint:staticcheck // deprecated, and still used
	if err != nil || len(keys.Items) != 1 || keys.Items[0].PaymentID != paid.PaymentID || keys.Items[0].ActivationsLimit != 2 {
		t.Fatalf("%+v, %v", keys, err)
	}
	key := keys.Items[0].Key
	if !strings.Contains(paid.RedirectURL, "license_key="+key) {
		t.Errorf("redirect %s", paid.RedirectURL)
	}
	if got := shop.items("/payments", "has_license_key"); !slices.Equal(got, []any{true}) {
		t.Errorf("has_license_key %v", got)
	}
	if got := shop.ask("GET", "/products/pdt_app", ""); got["license_key_enabled"] != true || got["license_key_activations_limit"] != 2.0 {
		t.Errorf("product %v", got)
	}

	app := dodopayments.NewClient(option.WithBaseURL(shop.url), option.WithBearerToken("not the key"), option.WithMaxRetries(0), option.WithHTTPClient(httpclient.Default))
	valid := func(instance string) bool {
		t.Helper()
		params := dodopayments.LicenseValidateParams{LicenseKey: dodopayments.F(key)}
		if instance != "" {
			params.LicenseKeyInstanceID = dodopayments.F(instance)
		}
		got, err := app.Licenses.Validate(ctx, params)
		if err != nil {
			t.Fatal(err)
		}
		return got.Valid
	}
	var instances []string
	for _, name := range []string{"laptop", "desk"} {
		made, err := app.Licenses.Activate(ctx, dodopayments.LicenseActivateParams{LicenseKey: dodopayments.F(key), Name: dodopayments.F(name)})
		if err != nil || made.Name != name || made.Product.Name != "App" || made.Customer.CustomerID != keys.Items[0].CustomerID {
			t.Fatalf("%+v, %v", made, err)
		}
		instances = append(instances, made.ID)
	}
	third := `{"license_key":"` + key + `","name":"third"}`
	shop.refuses(refusal{"POST", "/licenses/activate", third, 422, "LICENSE_KEY_LIMIT_REACHED"})
	if !valid("") || !valid(instances[0]) || valid("lki_no") {
		t.Error("validation does not tell instances apart")
	}
	if err := app.Licenses.Deactivate(ctx, dodopayments.LicenseDeactivateParams{LicenseKey: dodopayments.F(key), LicenseKeyInstanceID: dodopayments.F(instances[0])}); err != nil {
		t.Error(err)
	}
	if valid(instances[0]) {
		t.Error("a deactivated instance is valid")
	}
	renamed, err := shop.client().LicenseKeyInstances.Update(ctx, instances[1], dodopayments.LicenseKeyInstanceUpdateParams{Name: dodopayments.F("tower")})
	if err != nil || renamed.Name != "tower" {
		t.Errorf("%+v, %v", renamed, err)
	}
	if got, err := shop.client().LicenseKeyInstances.Get(ctx, instances[1]); err != nil || got.Name != "tower" {
		t.Errorf("%+v, %v", got, err)
	}
	if got := shop.items("/license_key_instances?license_key_id="+keys.Items[0].ID, "id"); !slices.Equal(got, []any{instances[1]}) {
		t.Errorf("instances %v", got)
	}
	if got := shop.ask("GET", "/license_keys/"+keys.Items[0].ID, ""); got["instances_count"] != 1.0 {
		t.Errorf("key %v", got)
	}

	// A refund of everything ends it.
	if _, err := shop.sim.Refund(paid.PaymentID, 0); err != nil {
		t.Fatal(err)
	}
	if valid("") {
		t.Error("valid after the refund")
	}
	shop.refuses(
		refusal{"POST", "/licenses/activate", third, 403, "INACTIVE_LICENSE_KEY"},
		refusal{"POST", "/licenses/deactivate", `{"license_key":"` + key + `","license_key_instance_id":"` + instances[1] + `"}`, 403, "INACTIVE_LICENSE_KEY"},
	)
}

func TestLicenseOfSubscription(t *testing.T) {
	shop := licensed(t)
	id := shop.subscribe("pdt_rent", dodosim.CardVisa)
	status := func() any { return shop.items("/license_keys?product_id=pdt_rent", "status")[0] }
	shop.sim.Advance(32 * day)
	if got := shop.items("/license_keys", "subscription_id"); !slices.Equal(got, []any{id}) || status() != "active" {
		t.Errorf("after a renewal %v, %v", got, status())
	}
	shop.patch(id, `{"status":"paused"}`)
	if status() != "disabled" {
		t.Errorf("paused: %v", status())
	}
	shop.patch(id, `{"status":"active"}`)
	if status() != "active" {
		t.Errorf("resumed: %v", status())
	}
	path := "/license_keys/" + shop.items("/license_keys", "id")[0].(string)
	shop.ask("PATCH", path, `{"disabled":true}`)
	shop.sim.Advance(31 * day)
	if status() != "disabled" {
		t.Errorf("a renewal brought back what the merchant had disabled: %v", status())
	}
	shop.ask("PATCH", path, `{"disabled":false}`)
	shop.patch(id, `{"status":"cancelled"}`)
	if status() != "expired" {
		t.Errorf("cancelled: %v", status())
	}
}

func TestImportedLicense(t *testing.T) {
	shop := licensed(t)
	owner := shop.ask("POST", "/customers", adaJSON)["customer_id"].(string)
	made, err := shop.client().LicenseKeys.New(t.Context(), dodopayments.LicenseKeyNewParams{
		CustomerID: dodopayments.F(owner), ProductID: dodopayments.F("pdt_app"), Key: dodopayments.F("MINE"), ExpiresAt: dodopayments.F(opening.Add(time.Hour)),
	})
	if err != nil || made.Source != "import" || made.Status != "active" {
		t.Fatalf("%+v, %v", made, err)
	}
	shop.sim.Advance(time.Hour)
	if got := shop.ask("POST", "/licenses/validate", `{"license_key":"MINE"}`)["valid"]; got != false {
		t.Error("valid after its end")
	}
	longer := dodopayments.LicenseKeyUpdateParams{ExpiresAt: dodopayments.F(opening.Add(2 * time.Hour))}
	got, err := shop.client().LicenseKeys.Update(t.Context(), made.ID, longer) //nolint:staticcheck // deprecated, and still used
	if err != nil || got.Status != "active" {
		t.Errorf("%+v, %v", got, err)
	}
	if got := shop.ask("POST", "/licenses/validate", `{"license_key":"NOT MINE"}`)["valid"]; got != false {
		t.Error("a key that does not exist is valid")
	}
	body := `{"customer_id":"` + owner + `","product_id":"pdt_app","key":"MINE"}`
	shop.refuses(
		refusal{"POST", "/license_keys", body, 409, "LICENSE_KEY_ALREADY_EXISTS"},
		refusal{"POST", "/license_keys", `{}`, 422, "INVALID_REQUEST_BODY"},
		refusal{"POST", "/license_keys", strings.Replace(body, owner, "cus_no", 1), 404, "NOT_FOUND"},
		refusal{"POST", "/license_keys", strings.Replace(body, "pdt_app", "pdt_no", 1), 404, "NOT_FOUND"},
		refusal{"PATCH", "/license_keys/" + made.ID, `{"activations_limit":0}`, 422, "INVALID_REQUEST_PARAMETERS"},
		refusal{"GET", "/license_keys/lic_no", "", 404, "NOT_FOUND"},
		refusal{"GET", "/license_keys?status=x", "", 422, "INVALID_QUERY_PARAMS"},
		refusal{"GET", "/license_key_instances/lki_no", "", 404, "NOT_FOUND"},
		refusal{"PATCH", "/license_key_instances/lki_no", `{"name":"x"}`, 404, "NOT_FOUND"},
		refusal{"PATCH", "/license_key_instances/lki_no", `{}`, 422, "INVALID_REQUEST_BODY"},
		refusal{"POST", "/licenses/validate", `{}`, 422, "INVALID_REQUEST_BODY"},
		refusal{"POST", "/licenses/activate", `{"license_key":"x"}`, 422, "INVALID_REQUEST_BODY"},
		refusal{"POST", "/licenses/activate", `{"license_key":"x","name":"y"}`, 404, "LICENSE_KEY_NOT_FOUND"},
		refusal{"POST", "/licenses/deactivate", `{"license_key":"MINE","license_key_instance_id":"lki_no"}`, 404, "NOT_FOUND"},
		refusal{"POST", "/licenses/deactivate", `{"license_key":"x"}`, 422, "INVALID_REQUEST_BODY"},
	)
	shop.flush()
}
