package dodosim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/dodogate/dodogate/internal/dodosim"
)

const catalogFile = `
# Everything that a catalog can say.
products:
  - id: pdt_pro
    name: Pro
    description: All of it.
    price: 2000
    currency: USD
    every: month
    term: 2 years
    trial_days: 14
    features: [export]
    credits:
      - {name: Pictures, unit: picture, amount: 2.5}
  - {id: pdt_key, price: 0, currency: JPY, license_keys: true, activations_limit: 3, archived: true}
discounts:
  - {code: HALF, basis_points: 5000}
options:
  grace_period_days: 3
  cancel_after_grace: true
`

func parsed() dodosim.Catalog {
	return dodosim.Catalog{
		Products: []dodosim.Product{
			{
				ID: "pdt_pro", Name: "Pro", Description: "All of it.", Price: 2000, Currency: "USD", Every: monthly,
				Term: dodosim.Period{Count: 2, Interval: dodosim.Year}, TrialDays: 14, Features: []string{"export"},
				Credits: []dodosim.ProductCredit{{Name: "Pictures", Unit: "picture", Amount: "2.5"}},
			},
			{ID: "pdt_key", Currency: "JPY", LicenseKeys: true, ActivationsLimit: 3, Archived: true},
		},
		Discounts: []dodosim.Discount{{Code: "HALF", BasisPoints: 5000}},
		Options:   dodosim.Behavior{GracePeriodDays: 3, CancelAfterGrace: true},
	}
}

// TestParseCatalog reads YAML, and JSON with tabs that is written of it.
func TestParseCatalog(t *testing.T) {
	asJSON, err := json.MarshalIndent(parsed(), "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{"yaml": catalogFile, "json": string(asJSON)} {
		got, err := dodosim.ParseCatalog([]byte(file))
		if err != nil || !reflect.DeepEqual(got, parsed()) {
			t.Errorf("%s: %v\n%+v", name, err, got)
		}
	}
}

func TestParseCatalogRefuses(t *testing.T) {
	for name, test := range map[string]struct{ file, says string }{
		"nothing":         {"", "not a mapping"},
		"a list":          {"- id: pdt_1", "not a mapping"},
		"no YAML":         {"products: [", "yaml"},
		"unknown field":   {"products: [{id: a, prise: 1}]", "prise"},
		"unknown option":  {"options: {grace: 1}", "grace"},
		"a field twice":   {"products: []\nproducts: []", "already defined"},
		"price with cent": {"products: [{id: a, price: 9.99}]", "price"},
		"unknown period":  {"products: [{id: a, every: fortnight}]", "fortnight"},
		"period of zero":  {"products: [{id: a, every: 0 days}]", "count from 1"},
		"amount":          {"products: [{id: a, credits: [{amount: many}]}]", "Number"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := dodosim.ParseCatalog([]byte(test.file))
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Error(err)
			}
		})
	}
}

// TestSeed changes the catalog while it is used: what is replaced is sold anew under its
// id, and what was sold goes on as it was.
func TestSeed(t *testing.T) {
	shop := open(t, nil)
	before := shop.checkout(`{"product_cart":[{"product_id":"pdt_pack","quantity":1}]}`)
	old := shop.discountID("half")
	err := shop.sim.Seed(
		[]dodosim.Product{
			{ID: "pdt_pack", Name: "Twenty credits", Price: 1900, Currency: "USD", Features: []string{"export"}},
			{ID: "pdt_new", Price: 100, Currency: "USD", Credits: []dodosim.ProductCredit{{Name: "Pictures", Unit: "picture", Amount: "2"}}},
		},
		nil,
		[]dodosim.Discount{{Code: "half", BasisPoints: 4000}, {Code: "new", BasisPoints: 100}})
	if err != nil {
		t.Fatal(err)
	}
	after := shop.pay(shop.checkout(`{"product_cart":[{"product_id":"pdt_pack","quantity":1},{"product_id":"pdt_new","quantity":1}],"discount_codes":["HALF"]}`))
	if got := shop.payment(after.PaymentID)["total_amount"]; got != 1200.0 {
		t.Error("new prices:", got)
	}
	if got := shop.news(); got != "payment.succeeded credit.added entitlement_grant.created entitlement_grant.delivered" &&
		got != "payment.succeeded entitlement_grant.created entitlement_grant.delivered credit.added" {
		t.Error(got)
	}
	if got := shop.payment(shop.pay(before).PaymentID)["total_amount"]; got != 999.0 {
		t.Error("the open checkout:", got)
	}
	if got := shop.discountID("half"); got != old {
		t.Error("the discount is another one:", got)
	}
	shop.flush()
}

func (s *shop) discountID(code string) string {
	var d struct {
		ID string `json:"discount_id"`
	}
	decode(s.t, s.get("/discounts/code/"+code), &d)
	return d.ID
}

// TestSeedRefuses: all or nothing.
func TestSeedRefuses(t *testing.T) {
	shop := open(t, nil)
	good, bad := dodosim.Product{ID: "pdt_good", Price: 1, Currency: "USD"}, dodosim.Product{ID: "pdt_bad", Price: 1, Currency: "usd"}
	for name, err := range map[string]error{
		"product":  shop.sim.Seed([]dodosim.Product{good, bad}, nil, nil),
		"discount": shop.sim.Seed([]dodosim.Product{good}, nil, []dodosim.Discount{{Code: "A"}}),
	} {
		if err == nil {
			t.Error(name, "accepted")
		}
	}
	if status, _ := shop.call("GET", "/products/pdt_good", ""); status != http.StatusNotFound {
		t.Error("a part of it was taken:", status)
	}
}

func TestBehaviorSet(t *testing.T) {
	var b dodosim.Behavior
	for name, value := range map[string]string{"grace_period_days": "3", "cancel_after_grace": "", "short_disputes": "true", "rate_limits": "false"} {
		if err := b.Set(name, value); err != nil {
			t.Error(err)
		}
	}
	want := dodosim.Behavior{GracePeriodDays: 3, CancelAfterGrace: true, ShortDisputes: true}
	if b != want {
		t.Errorf("%+v", b)
	}
	for name, value := range map[string]string{
		"grace_period_days": "three", "Grace_Period_Days": "3", "": "", `a":1,"rate_limits`: "", "short_disputes": `true,"rate_limits":true`,
		"unknown": "1", "cancel_after_grace": "3", "grace_period_days ": "1.5",
	} {
		if err := b.Set(name, value); err == nil {
			t.Errorf("%q %q is accepted", name, value)
		}
	}
	if err := b.Set("grace_period_days", ""); err == nil || b != want {
		t.Errorf("%v %+v", err, b)
	}
}

// TestSeedWhileUsed is for the race detector.
func TestSeedWhileUsed(t *testing.T) {
	sim := start(t, options())
	shop := &shop{t: t, sim: sim, url: serve(t, sim)}
	var work sync.WaitGroup
	work.Go(func() {
		for i := range 50 {
			p := dodosim.Product{
				ID: "pdt_pack", Price: i, Currency: "USD", Every: monthly, Features: []string{fmt.Sprint("f", i)},
				Meters: []dodosim.Meter{{ID: "mtr_1", EventName: "call", PricePerUnit: "1"}},
			}
			if err := sim.Seed([]dodosim.Product{p}, nil, []dodosim.Discount{{Code: "HALF", BasisPoints: i + 1}}); err != nil {
				t.Error(err)
			}
		}
	})
	for _, path := range []string{"/products", "/products/pdt_pack", "/meters", "/entitlements", "/discounts"} {
		work.Go(func() {
			for range 20 {
				if status, body := shop.call("GET", path, ""); status != http.StatusOK {
					t.Errorf("%s: %d %s", path, status, body)
				}
			}
		})
	}
	work.Wait()
	for _, path := range []string{"/meters/mtr_1", "/events?meter_id=mtr_1"} {
		shop.get(path)
	}
}
