package dodosim_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
)

const onePack = `{"product_cart":[{"product_id":"pdt_pack","quantity":1}]}`

// with is a checkout of one pack with more fields.
func with(fields string) string { return strings.TrimSuffix(onePack, "}") + "," + fields + "}" }

func TestCheckoutRefusals(t *testing.T) {
	shop := open(t, nil)
	var pairs []string
	for i := range 51 {
		pairs = append(pairs, fmt.Sprintf(`"k%d":"v"`, i))
	}
	line := `{"product_id":"pdt_pack","quantity":1}`
	for name, test := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"no JSON":                 {`{`, 400, "INVALID_REQUEST_BODY"},
		"trailing data":           {onePack + `{}`, 400, "INVALID_REQUEST_BODY"},
		"too large":               {with(`"metadata":{"a":"` + strings.Repeat("x", 1<<20) + `"}`), 413, "INVALID_REQUEST_BODY"},
		"wrong type":              {`{"product_cart":"pdt_pack"}`, 422, "INVALID_REQUEST_BODY"},
		"no cart":                 {`{}`, 422, "INVALID_REQUEST_BODY"},
		"empty cart":              {`{"product_cart":[]}`, 422, "PRODUCT_CART_EMTPY"},
		"21 lines":                {`{"product_cart":[` + strings.Repeat(line+",", 20) + line + `]}`, 422, "INVALID_REQUEST_PARAMETERS"},
		"no quantity":             {`{"product_cart":[{"product_id":"pdt_pack"}]}`, 422, "INVALID_REQUEST_BODY"},
		"no product":              {`{"product_cart":[{"quantity":1}]}`, 422, "INVALID_REQUEST_BODY"},
		"quantity 0":              {`{"product_cart":[{"product_id":"pdt_pack","quantity":0}]}`, 422, "INVALID_QUANTITY"},
		"quantity -1":             {`{"product_cart":[{"product_id":"pdt_pack","quantity":-1}]}`, 422, "INVALID_QUANTITY"},
		"quantity past int32":     {`{"product_cart":[{"product_id":"pdt_pack","quantity":2147483648}]}`, 422, "INVALID_REQUEST_BODY"},
		"fractional quantity":     {`{"product_cart":[{"product_id":"pdt_pack","quantity":1.5}]}`, 422, "INVALID_REQUEST_BODY"},
		"total past int32":        {`{"product_cart":[{"product_id":"pdt_pack","quantity":2149634}]}`, 422, "INTEGER_CONVERSION_FAILURE"},
		"unknown product":         {`{"product_cart":[{"product_id":"pdt_no","quantity":1}]}`, 404, "NOT_FOUND"},
		"two currencies":          {`{"product_cart":[` + line + `,{"product_id":"pdt_yen","quantity":1}]}`, 422, "UNSUPPORTED_CURRENCY"},
		"add-ons":                 {`{"product_cart":[{"product_id":"pdt_pack","quantity":1,"addons":[{"addon_id":"adn_1","quantity":1}]}]}`, 422, "INVALID_REQUEST_PARAMETERS"},
		"confirm":                 {with(`"confirm":true`), 422, "INVALID_REQUEST_PARAMETERS"},
		"saved method":            {with(`"payment_method_id":"pm_1"`), 422, "INVALID_REQUEST_PARAMETERS"},
		"unknown code":            {with(`"discount_codes":["NOPE"]`), 422, "INVALID_DISCOUNT_CODE"},
		"code twice":              {with(`"discount_codes":["HALF","half"]`), 422, "INVALID_DISCOUNT_CODE"},
		"unknown old code":        {with(`"discount_code":"NOPE"`), 422, "INVALID_DISCOUNT_CODE"},
		"old and new codes":       {with(`"discount_code":"HALF","discount_codes":["HALF"]`), 422, "INVALID_REQUEST_PARAMETERS"},
		"21 codes":                {with(`"discount_codes":[` + strings.Repeat(`"HALF",`, 20) + `"HALF"]`), 422, "INVALID_REQUEST_PARAMETERS"},
		"unknown country":         {with(`"billing_address":{"country":"XX"}`), 422, "UNSUPPORTED_COUNTRY"},
		"unknown currency":        {with(`"billing_currency":"XXX"`), 422, "UNSUPPORTED_CURRENCY"},
		"relative return_url":     {with(`"return_url":"/thanks"`), 422, "INVALID_REQUEST_PARAMETERS"},
		"script as cancel_url":    {with(`"cancel_url":"javascript:alert(1)"`), 422, "INVALID_REQUEST_PARAMETERS"},
		"customer without either": {with(`"customer":{"name":"Ada"}`), 422, "INVALID_REQUEST_BODY"},
		"unknown customer":        {with(`"customer":{"customer_id":"cus_no"}`), 404, "NOT_FOUND"},
		"no e-mail":               {with(`"customer":{"email":"Ada <ada@example.com>"}`), 422, "INVALID_REQUEST_PARAMETERS"},
		"51 pairs":                {with(`"metadata":{` + strings.Join(pairs, ",") + `}`), 422, "MAXIMUM_KEYS_REACHED"},
		"long key":                {with(`"metadata":{"` + strings.Repeat("k", 41) + `":"v"}`), 422, "INVALID_REQUEST_PARAMETERS"},
		"key with a dot":          {with(`"metadata":{"a.b":"v"}`), 422, "INVALID_REQUEST_PARAMETERS"},
		"long value":              {with(`"metadata":{"a":"` + strings.Repeat("ü", 501) + `"}`), 422, "INVALID_REQUEST_PARAMETERS"},
		"null value":              {with(`"metadata":{"a":null}`), 422, "INVALID_REQUEST_BODY"},
		"nested value":            {with(`"metadata":{"a":{"b":"c"}}`), 422, "INVALID_REQUEST_BODY"},
		"list as a value":         {with(`"metadata":{"a":["b"]}`), 422, "INVALID_REQUEST_BODY"},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := shop.call("POST", "/checkouts", test.body)
			var refusal struct{ Code string }
			decode(t, body, &refusal)
			if status != test.status || refusal.Code != test.code {
				t.Errorf("%d %s", status, body)
			}
		})
	}
}

func TestCheckoutTolerates(t *testing.T) {
	shop := open(t, nil)
	for name, body := range map[string]string{
		"fields of newer versions": with(`"a_field_of_2027":{"deep":[1]}`),
		"null everywhere": with(`"customer":null,"billing_address":null,"billing_currency":null,"return_url":null,
			"cancel_url":null,"metadata":null,"discount_codes":null,"discount_code":null,"payment_method_id":null`),
		"no codes":        with(`"discount_codes":[]`),
		"amount":          `{"product_cart":[{"product_id":"pdt_pack","quantity":1,"amount":1}]}`, // only for pay-what-you-want
		"limits":          with(`"metadata":{"` + strings.Repeat("k", 40) + `":"` + strings.Repeat("ü", 500) + `"}`),
		"flags and looks": with(`"feature_flags":{"redirect_immediately":true},"customization":{"theme":"dark"}`),
	} {
		t.Run(name, func(t *testing.T) {
			paid := shop.pay(shop.checkout(body))
			if total := shop.payment(paid.PaymentID)["total_amount"]; total != 999.0 {
				t.Error("total", total)
			}
		})
	}
}

// Every country that the description names can be a billing address, and no other.
func TestCountries(t *testing.T) {
	shop := open(t, nil)
	known := enum(t, "CountryCodeAlpha2")
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			country := string([]rune{a, b})
			status, _ := shop.call("POST", "/checkouts", with(`"billing_address":{"country":"`+country+`"}`))
			if (status == http.StatusOK) != known[country] {
				t.Errorf("%s: %d", country, status)
			}
		}
	}
}

// Every currency that the description names can be sold in, and no other.
func TestCurrencies(t *testing.T) {
	known := enum(t, "Currency")
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			for c := 'A'; c <= 'Z'; c++ {
				o := options()
				o.Products = []dodosim.Product{{ID: "pdt_x", Price: 1, Currency: string([]rune{a, b, c})}}
				_, err := dodosim.New(o)
				if (err == nil) != known[o.Products[0].Currency] {
					t.Errorf("%s: %v", o.Products[0].Currency, err)
				}
			}
		}
	}
}

// enum is the set of values of a component of the description.
func enum(t *testing.T, component string) map[string]bool {
	t.Helper()
	schemas := loadDescription().document["components"].(map[string]any)["schemas"].(map[string]any)
	known := make(map[string]bool)
	for _, value := range schemas[component].(map[string]any)["enum"].([]any) {
		known[value.(string)] = true
	}
	return known
}

func TestMetadataAndBillingReachThePayment(t *testing.T) {
	shop := open(t, nil)
	paid := shop.pay(shop.checkout(with(`"metadata":{"order_id":"ord_1","proof":"a<b>&c"},
		"billing_address":{"country":"DE","city":"Berlin"}`)))
	payment := shop.payment(paid.PaymentID)
	if got := fmt.Sprint(payment["metadata"]); got != "map[order_id:ord_1 proof:a<b>&c]" {
		t.Error("metadata", got)
	}
	if got := fmt.Sprint(payment["billing"]); got != "map[city:Berlin country:DE state:<nil> street:<nil> zipcode:<nil>]" {
		t.Error("billing", got)
	}
}

// A number keeps its digits. (The description would refuse it: a whole number is both
// its "integer" and its "number", and it wants exactly one.)
func TestMetadataNumbersAreExact(t *testing.T) {
	o := options()
	sim := start(t, o)
	shop := &shop{t: t, sim: sim, url: serve(t, sim)}
	paid := shop.pay(shop.checkout(with(`"metadata":{"n":9007199254740993,"b":true}`)))
	var payment struct{ Metadata map[string]json.RawMessage }
	decode(t, shop.get("/payments/"+paid.PaymentID), &payment)
	if string(payment.Metadata["n"]) != "9007199254740993" || string(payment.Metadata["b"]) != "true" {
		t.Errorf("metadata %s", payment.Metadata)
	}
}

func TestCustomers(t *testing.T) {
	shop := open(t, nil)
	customer := func(session string) string {
		payment := shop.payment(shop.pay(session).PaymentID)
		return payment["customer"].(map[string]any)["customer_id"].(string)
	}
	ada := with(`"customer":{"email":"ada@example.com","name":"Ada"}`)
	first := customer(shop.checkout(ada))
	if again := customer(shop.checkout(ada)); again != first {
		t.Error("the same e-mail made another customer")
	}
	second := customer(shop.checkout(with(`"customer":{"email":"ada@example.com"},"feature_flags":{"always_create_new_customer":true}`)))
	if second == first {
		t.Error("always_create_new_customer reused one")
	}
	if latest := customer(shop.checkout(ada)); latest != second {
		t.Error("not the most recent customer was reused")
	}
	if attached := customer(shop.checkout(with(`"customer":{"customer_id":"` + first + `"}`))); attached != first {
		t.Error("not the attached customer paid")
	}
	if other := customer(shop.checkout(onePack)); other == first || other == second {
		t.Error("another buyer is the same customer")
	}
}

func TestSessionExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := start(t, options())
		shop := &shop{t: t, sim: sim}
		first, second := shop.checkoutDirectly(onePack), shop.checkoutDirectly(onePack)
		time.Sleep(24*time.Hour - time.Nanosecond)
		if _, err := sim.Pay(first, dodosim.CardVisa); err != nil {
			t.Error("in time:", err)
		}
		time.Sleep(time.Nanosecond)
		_, err := sim.Pay(second, dodosim.CardVisa)
		if refusal, ok := errors.AsType[*dodosim.Error](err); !ok || refusal.Code != "CHECKOUT_SESSION_EXPIRED" {
			t.Error("too late:", err)
		}
		if page := shop.page("GET", second, nil); page.Code != http.StatusGone || !strings.Contains(page.Body.String(), "expired") {
			t.Error("page of an expired session", page.Code)
		}
		if page := shop.page("POST", second, ada("card", dodosim.CardVisa)); page.Code != http.StatusGone {
			t.Error("paid an expired session on its page:", page.Code)
		}
		if events := sim.Events(); len(events) != 1 {
			t.Error(events)
		}
	})
}

func TestSessionIsPaidOnce(t *testing.T) {
	shop := open(t, nil)
	session := shop.checkout(onePack)
	shop.pay(session)
	_, err := shop.sim.Pay(session, dodosim.CardVisa)
	if refusal, ok := errors.AsType[*dodosim.Error](err); !ok || refusal.Code != "CHECKOUT_SESSION_CONSUMED" {
		t.Error(err)
	}
}

// Of many who pay one session at once, one succeeds.
func TestSessionIsPaidOnceByMany(t *testing.T) {
	shop := open(t, nil)
	session := shop.checkout(onePack)
	outcomes := make(chan error)
	for range 20 {
		go func() {
			_, err := shop.sim.Pay(session, dodosim.CardVisa)
			outcomes <- err
		}()
	}
	paid := 0
	for range 20 {
		if err := <-outcomes; err == nil {
			paid++
		}
	}
	if paid != 1 {
		t.Error("paid", paid, "times")
	}
}

func TestDiscountDetails(t *testing.T) {
	shop := open(t, nil)
	session := shop.checkout(with(`"discount_codes":["half","tenth"]`))
	if _, err := shop.sim.Pay(session, dodosim.CardDeclined); err != nil { // no use of the codes
		t.Fatal(err)
	}
	for use := 1; use <= 2; use++ {
		payment := shop.payment(shop.pay(session).PaymentID)
		for i, wanted := range []struct {
			code   string
			amount float64
		}{{"HALF", 5000}, {"TENTH", 1000}} {
			discount := payment["discounts"].([]any)[i].(map[string]any)
			if discount["code"] != wanted.code || discount["amount"] != wanted.amount ||
				discount["position"] != float64(i) || discount["times_used"] != float64(use) {
				t.Error(discount)
			}
		}
		session = shop.checkout(with(`"discount_codes":["half","tenth"]`))
	}
}

func TestDiscountsAddUp(t *testing.T) {
	shop := open(t, nil)
	for name, test := range map[string]struct {
		codes string
		total float64
	}{
		"none":         {``, 2997},
		"one":          {`"half"`, 1499}, // half a cent stays with the merchant
		"in order":     {`"HALF","TENTH"`, 1350},
		"free":         {`"FREE"`, 0},
		"nothing left": {`"FREE","HALF"`, 0},
		"with a blank": {`" half "`, 1499},
	} {
		t.Run(name, func(t *testing.T) {
			attempt := shop.pay(shop.checkout(`{"product_cart":[{"product_id":"pdt_pack","quantity":3}],"discount_codes":[` + test.codes + `]}`))
			payment := shop.payment(attempt.PaymentID)
			if payment["total_amount"] != test.total {
				t.Error("total", payment["total_amount"])
			}
			discounts, _ := payment["discounts"].([]any)
			if wanted := strings.Count(test.codes, ",") + min(1, len(test.codes)); len(discounts) != wanted {
				t.Error("discounts", discounts)
			}
			if test.total == 0 && payment["payment_method"] != nil {
				t.Error("a card was charged for nothing")
			}
		})
	}
}

// The simulator takes cards: a session that allows none could not be paid.
func TestAllowedMethods(t *testing.T) {
	shop := open(t, nil)
	for _, path := range []string{"/checkouts", "/payments"} {
		body := func(types string) string {
			return strings.TrimSuffix(linked, "}") + `,"allowed_payment_method_types":` + types + `}`
		}
		for _, types := range []string{`null`, `["credit","upi_collect"]`, `["debit"]`} {
			shop.ask("POST", path, body(types))
		}
		for _, types := range []string{`[]`, `["upi_collect"]`} {
			shop.refuses(refusal{"POST", path, body(types), 422, "NO_ELIGIBLE_PAYMENT_METHODS"})
		}
	}
}
