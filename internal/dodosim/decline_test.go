package dodosim_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// Every reason to decline can be tried, and customers read about it in words of theirs.
func TestDeclineReasons(t *testing.T) {
	shop := open(t, nil)
	session := shop.checkout(with(bothURLs))
	reasons := regexp.MustCompile(`<option>([A-Z_]+)</option>`).FindAllStringSubmatch(shop.page("GET", session, nil).Body.String(), -1)
	if len(reasons) != 44 {
		t.Fatal(len(reasons), "reasons, wanted those of FACTS 5.3")
	}
	secret := map[string]bool{"STOLEN_CARD": true, "LOST_CARD": true, "PICKUP_CARD": true, "FRAUDULENT": true}
	generic := regexp.MustCompile(`role="alert"[^>]*>([^<]*)`)
	for _, reason := range reasons {
		form := ada("action", "decline")
		form.Set("reason", reason[1])
		if answer := shop.page("POST", session, form); answer.Code != http.StatusSeeOther {
			t.Fatal(reason[1], answer.Code)
		}
		page := shop.page("GET", session, nil).Body.String()
		alert := generic.FindStringSubmatch(page)
		if alert == nil || alert[1] == "" || strings.Contains(alert[1], "_") {
			t.Errorf("%s: the customer reads %q", reason[1], alert)
			continue
		}
		if secret[reason[1]] && alert[1] != "Your card was declined. Try another one." {
			t.Errorf("%s: the customer reads %q", reason[1], alert[1])
		}
		payment := shop.payment(shop.ask("GET", "/checkouts/"+session, "")["payment_id"].(string))
		if payment["error_code"] != reason[1] || payment["status"] != "failed" {
			t.Error(reason[1], payment)
		}
	}
	form := ada("action", "decline")
	form.Set("reason", "BAD_LUCK")
	if answer := shop.page("POST", session, form); answer.Code != http.StatusUnprocessableEntity {
		t.Error(answer.Code)
	}
	shop.pay(session)
}

// UPI needs India and rupees (FACTS 5.2).
func TestUPI(t *testing.T) {
	shop := magazine(t, func(o *dodosim.Options) {
		o.Products = append(o.Products,
			dodosim.Product{ID: "pdt_rupee", Price: 50_000, Currency: "INR"},
			dodosim.Product{ID: "pdt_mandate", Price: 50_000, Currency: "INR", Every: monthly})
	})
	indian := `{"product_cart":[{"product_id":"pdt_rupee","quantity":1}],"billing_address":{"country":"IN"}}`
	session := shop.checkout(indian)
	if page := shop.page("GET", session, nil).Body.String(); !strings.Contains(page, `value="success@upi"`) || !strings.Contains(page, "or UPI ID") {
		t.Error(page)
	}
	shop.page("POST", session, ada("card", "failure@upi"))
	typed := ada("action", "pay")
	typed.Set("number", " Success@UPI")
	typed.Set("challenge", "yes") // is for cards
	shop.page("POST", session, typed)
	if got := shop.news(); got != "payment.failed payment.succeeded" {
		t.Error("events", got)
	}
	payment := shop.payment(shop.ask("GET", "/checkouts/"+session, "")["payment_id"].(string))
	if payment["payment_method"] != "upi" || payment["payment_method_type"] != "upi_collect" || payment["card_last_four"] != nil {
		t.Error(payment)
	}
	sub := shop.subscribe("pdt_mandate", "success@upi")
	owner := shop.ask("GET", "/subscriptions/"+sub, "")["customer"].(map[string]any)["customer_id"].(string)
	if got := shop.items("/customers/"+owner+"/payment-methods", "payment_method"); len(got) != 1 || got[0] != "upi" {
		t.Error(got)
	}
	for name, request := range map[string]string{
		"dollars":    with(`"billing_address":{"country":"IN"}`),
		"elsewhere":  strings.Replace(indian, `"IN"`, `"US"`, 1),
		"not taken":  strings.Replace(indian, `"billing`, `"allowed_payment_method_types":["credit","debit"],"billing`, 1),
		"by default": onePack,
	} {
		session := shop.checkout(request)
		if page := shop.page("GET", session, nil).Body.String(); strings.Contains(page, "upi\"") {
			t.Errorf("%s: UPI is offered", name)
		}
		if answer := shop.page("POST", session, ada("card", "success@upi")); answer.Code != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", name, answer.Code)
		}
	}
	if _, err := shop.sim.ReplaceCard(shop.subscribe("pdt_pro", dodosim.CardVisa), "success@upi"); err == nil {
		t.Error("UPI pays dollars")
	}
}
