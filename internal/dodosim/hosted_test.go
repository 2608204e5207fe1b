package dodosim_test

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/dodosim"
)

const bothURLs = `"return_url":"https://shop.example/back?order=a%20b&x#top","cancel_url":"https://shop.example/cart"`

// serve puts a handler on a port.
func serve(t *testing.T, handler http.Handler) string {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// open opens a page that is not a session's, without a network.
func (s *shop) open(path string) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	s.sim.ServeHTTP(answer, httptest.NewRequest("GET", path, nil))
	return answer
}

// page opens a session's page, or submits its form, without a network.
func (s *shop) page(method, session string, form url.Values) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, "/session/"+session, strings.NewReader(form.Encode()))
	if method == "POST" {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	answer := httptest.NewRecorder()
	s.sim.ServeHTTP(answer, request)
	return answer
}

// checkoutDirectly is checkout without a network, for bubbles of synctest.
func (s *shop) checkoutDirectly(body string) string {
	s.t.Helper()
	request := httptest.NewRequest("POST", "/checkouts", strings.NewReader(body))
	request.Header.Set("Authorization", "Bearer "+key)
	answer := httptest.NewRecorder()
	s.sim.ServeHTTP(answer, request)
	var session struct {
		ID string `json:"session_id"`
	}
	decode(s.t, answer.Body.Bytes(), &session)
	return session.ID
}

// ada is the form as Ada fills it in, with one button pressed.
func ada(name, value string) url.Values {
	return url.Values{"email": {"ada@example.com"}, "name": {"Ada"}, name: {value}}
}

// backLink is the target of the page's "Back to the shop", "" without one.
func backLink(page string) string {
	link := regexp.MustCompile(`href="([^"]*)">Back to the shop`).FindStringSubmatch(page)
	if link == nil {
		return ""
	}
	return html.UnescapeString(link[1])
}

func TestPageShowsTheCart(t *testing.T) {
	shop := open(t, nil)
	session := shop.checkout(`{"product_cart":[{"product_id":"pdt_pack","quantity":2},{"product_id":"pdt_book","quantity":1}],
		"customer":{"email":"ada@example.com","name":"Ada \"A\" <L>"},"discount_codes":["TENTH"],` + bothURLs + `}`)
	page := shop.page("GET", session, nil)
	body := page.Body.String()
	for _, wanted := range []string{
		"Simulator", "Ten credits × 2", "USD 19.98", "Good for &lt;ten&gt; things", "The book", "USD 25.00",
		"Discount TENTH", "−USD 4.49", "Pay USD 40.49", `value="ada@example.com"`, `value="Ada &#34;A&#34; &lt;L&gt;"`,
		`value="4242424242424242"`, `value="4000000000000002"`, `value="4000000000009995"`, "4242 4242 4242 4242",
		"Discount code", "Cancel",
	} {
		if !strings.Contains(body, wanted) {
			t.Errorf("the page does not show %q", wanted)
		}
	}
	for _, unwanted := range []string{"<script", "http://", "https://", "src="} {
		if strings.Contains(body, unwanted) {
			t.Errorf("the page has %q", unwanted)
		}
	}
	policy := page.Header().Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "form-action") {
		t.Error("policy", policy)
	}
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(body)[1]
	hash := sha256.Sum256([]byte(style))
	if !strings.Contains(style, ".banner") || !strings.Contains(policy, "'sha256-"+base64.StdEncoding.EncodeToString(hash[:])+"'") {
		t.Error("the policy forbids the page's own style")
	}
	for name, wanted := range map[string]string{
		"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
		"Cache-Control": "no-store", "Content-Type": "text/html; charset=utf-8",
	} {
		if got := page.Header().Get(name); got != wanted {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestPageHidesWhatIsOff(t *testing.T) {
	shop := open(t, nil)
	body := shop.page("GET", shop.checkout(with(`"feature_flags":{"allow_discount_code":false}`)), nil).Body.String()
	for _, unwanted := range []string{"Discount code", "Cancel", "Back to the shop"} {
		if strings.Contains(body, unwanted) {
			t.Errorf("the page has %q", unwanted)
		}
	}
	free := shop.page("GET", shop.checkout(with(`"discount_codes":["FREE"]`)), nil).Body.String()
	if strings.Contains(free, "Card number") || !strings.Contains(free, "Complete order") {
		t.Error("a free order asks for a card")
	}
	yen := shop.page("GET", shop.checkout(`{"product_cart":[{"product_id":"pdt_yen","quantity":1}]}`), nil).Body.String()
	if !strings.Contains(yen, "JPY 500<") {
		t.Error("yen have no hundredths")
	}
	dinars := open(t, func(o *dodosim.Options) {
		o.Products = []dodosim.Product{{ID: "pdt_dinar", Price: 12_005, Currency: "KWD"}}
	})
	page := dinars.page("GET", dinars.checkout(`{"product_cart":[{"product_id":"pdt_dinar","quantity":1}]}`), nil).Body.String()
	if !strings.Contains(page, "KWD 12.005<") {
		t.Error("dinars have thousandths")
	}
}

func TestPaySucceeds(t *testing.T) {
	for name, form := range map[string]url.Values{
		"one click": ada("card", dodosim.CardVisa),
		"typed":     {"email": {"ada@example.com"}, "name": {"Ada"}, "number": {"4242 4242-4242 4242"}, "action": {"pay"}},
	} {
		t.Run(name, func(t *testing.T) {
			shop := open(t, nil)
			session := shop.checkout(with(bothURLs))
			answer := shop.page("POST", session, form)
			if answer.Code != http.StatusSeeOther {
				t.Fatal(answer.Code, answer.Body)
			}
			id := shop.sim.Events()[0].ObjectID
			wanted := "https://shop.example/back?order=a%20b&x&email=ada%40example.com&payment_id=" + id + "&status=succeeded#top"
			if got := answer.Header().Get("Location"); got != wanted {
				t.Errorf("goes to %s, wanted %s", got, wanted)
			}
			if payment := shop.payment(id); payment["card_last_four"] != "4242" || payment["tax"] != 0.0 {
				t.Error(payment)
			}
			shop.flush()
			if got := shop.hooks.types(t); len(got) != 1 || got[0] != "payment.succeeded" {
				t.Error("webhooks", got)
			}
		})
	}
}

func TestPayWithoutReturnURL(t *testing.T) {
	shop := open(t, nil)
	session := shop.checkout(onePack)
	answer := shop.page("POST", session, ada("card", dodosim.CardVisa))
	if got := answer.Header().Get("Location"); got != session {
		t.Error("goes to", got)
	}
	if page := shop.page("GET", session, nil); page.Code != http.StatusOK || !strings.Contains(page.Body.String(), "<h1>Paid</h1>") {
		t.Error(page.Body)
	}
}

func TestDeclineThenSuccess(t *testing.T) {
	shop := open(t, nil)
	session := shop.checkout(with(bothURLs))
	for _, declined := range []struct{ card, code, says string }{
		{dodosim.CardDeclined, "GENERIC_DECLINE", "declined"},
		{dodosim.CardInsufficientFunds, "INSUFFICIENT_FUNDS", "insufficient funds"},
	} {
		answer := shop.page("POST", session, ada("card", declined.card))
		if answer.Code != http.StatusSeeOther || answer.Header().Get("Location") != session {
			t.Fatal(answer.Code, answer.Header())
		}
		page := shop.page("GET", session, nil).Body.String()
		if !strings.Contains(page, `role="alert"`) || !strings.Contains(page, declined.says) || !strings.Contains(page, `value="ada@example.com"`) {
			t.Error("the page after a decline:", page)
		}
		var status map[string]any
		decode(t, shop.get("/checkouts/"+session), &status)
		id := status["payment_id"].(string)
		if status["payment_status"] != "failed" {
			t.Error("session", status)
		}
		back := "https://shop.example/back?order=a%20b&x&email=ada%40example.com&payment_id=" + id + "&status=failed#top"
		if got := backLink(page); got != back {
			t.Errorf("giving up goes to %s, wanted %s", got, back)
		}
		if payment := shop.payment(id); payment["error_code"] != declined.code || payment["tax"] != nil {
			t.Error("payment", payment)
		}
	}
	if answer := shop.page("POST", session, ada("card", dodosim.CardMastercard)); !strings.Contains(answer.Header().Get("Location"), "status=succeeded") {
		t.Error("goes to", answer.Header().Get("Location"))
	}
	seen := make(map[string]bool)
	for _, event := range shop.sim.Events() {
		seen[event.ObjectID] = true
	}
	if len(seen) != 3 {
		t.Error("each try is to be a payment of its own:", shop.sim.Events())
	}
	// What a double click sees, whatever else is wrong with the form.
	for _, form := range []url.Values{ada("card", dodosim.CardVisa), {"action": {"pay"}}, {"action": {"discount"}}} {
		again := shop.page("POST", session, form)
		if again.Code != http.StatusConflict || !strings.Contains(backLink(again.Body.String()), "status=succeeded") {
			t.Error(again.Code, again.Body)
		}
	}
}

func TestCancel(t *testing.T) {
	shop := open(t, nil)
	session := shop.checkout(with(bothURLs))
	if answer := shop.page("POST", session, ada("action", "cancel")); answer.Code != http.StatusSeeOther ||
		answer.Header().Get("Location") != "https://shop.example/cart" {
		t.Error(answer.Code, answer.Header())
	}
	shop.pay(session) // nothing was lost
	if answer := shop.page("POST", shop.checkout(onePack), ada("action", "cancel")); answer.Code != http.StatusUnprocessableEntity {
		t.Error("cancelled to nowhere:", answer.Code)
	}
}

func TestDiscountOnThePage(t *testing.T) {
	shop := open(t, nil)
	session := shop.checkout(with(`"customer":{"email":"old@example.com"}`))
	apply := func(code string) *httptest.ResponseRecorder {
		form := ada("action", "discount")
		form.Set("discount_code", code)
		return shop.page("POST", session, form)
	}
	if answer := apply("half"); answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), "Pay USD 5.00") ||
		!strings.Contains(answer.Body.String(), `value="ada@example.com"`) {
		t.Error(answer.Code, answer.Body)
	}
	enter := ada("action", "pay") // what Enter in the code's field sends
	enter.Set("number", dodosim.CardVisa)
	enter.Set("discount_code", "tenth")
	if answer := shop.page("POST", session, enter); answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), "Pay USD 4.50") {
		t.Error(answer.Code, answer.Body)
	}
	for _, refused := range []string{"HALF", "NOPE", ""} {
		if answer := apply(refused); answer.Code != http.StatusUnprocessableEntity || !strings.Contains(answer.Body.String(), `role="alert"`) {
			t.Errorf("code %q: %d", refused, answer.Code)
		}
	}
	if answer := apply("FREE"); !strings.Contains(answer.Body.String(), "Complete order") {
		t.Error(answer.Body)
	}
	// Free, so the declining card is not even asked.
	shop.page("POST", session, ada("card", dodosim.CardDeclined))
	if payment := shop.payment(shop.sim.Events()[0].ObjectID); payment["status"] != "succeeded" || payment["total_amount"] != 0.0 {
		t.Error(payment)
	}
	session = shop.checkout(with(`"feature_flags":{"allow_discount_code":false}`))
	if answer := apply("half"); answer.Code != http.StatusUnprocessableEntity {
		t.Error("a code where none is allowed:", answer.Code)
	}
}

func TestFormRefusals(t *testing.T) {
	shop := open(t, nil)
	session := shop.checkout(onePack)
	for name, form := range map[string]url.Values{
		"no e-mail":      {"name": {"Ada"}, "card": {dodosim.CardVisa}},
		"bad e-mail":     {"email": {"ada"}, "name": {"Ada"}, "card": {dodosim.CardVisa}},
		"no name":        {"email": {"ada@example.com"}, "name": {" "}, "card": {dodosim.CardVisa}},
		"no card":        ada("action", "pay"),
		"unknown card":   ada("card", "4111111111111111"),
		"no button":      ada("action", ""),
		"unknown button": ada("action", "steal"),
	} {
		t.Run(name, func(t *testing.T) {
			answer := shop.page("POST", session, form)
			if answer.Code != http.StatusUnprocessableEntity || !strings.Contains(answer.Body.String(), `role="alert"`) {
				t.Error(answer.Code, answer.Body)
			}
		})
	}
	if events := shop.sim.Events(); len(events) != 0 {
		t.Error("payments were made:", events)
	}
	if got := shop.page("GET", "cks_no", nil).Code; got != http.StatusNotFound {
		t.Error("unknown session:", got)
	}
	if got := shop.page("POST", "cks_no", ada("card", dodosim.CardVisa)).Code; got != http.StatusNotFound {
		t.Error("unknown session:", got)
	}
	if got := shop.page("POST", session, ada("name", strings.Repeat("x", 1<<15))).Code; got != http.StatusBadRequest {
		t.Error("large form:", got)
	}
}

// A customer cannot change what the merchant fixed.
func TestFixedCustomer(t *testing.T) {
	shop := open(t, nil)
	session := shop.checkout(with(`"customer":{"email":"fixed@example.com","name":"Fixed"},
		"feature_flags":{"allow_customer_editing_email":false,"allow_customer_editing_name":false}`))
	if page := shop.page("GET", session, nil).Body.String(); strings.Count(page, " readonly") != 2 {
		t.Error(page)
	}
	shop.page("POST", session, ada("card", dodosim.CardVisa))
	customer := shop.payment(shop.sim.Events()[0].ObjectID)["customer"].(map[string]any)
	if customer["email"] != "fixed@example.com" || customer["name"] != "Fixed" {
		t.Error(customer)
	}
}

func TestCheckoutURL(t *testing.T) {
	shop := open(t, func(o *dodosim.Options) { o.PublicURL = "https://pay.example/sim/" })
	_, body := shop.call("POST", "/checkouts", onePack)
	var session struct {
		URL string `json:"checkout_url"`
		ID  string `json:"session_id"`
	}
	decode(t, body, &session)
	if session.URL != "https://pay.example/sim/session/"+session.ID {
		t.Error(session.URL)
	}
	if !regexp.MustCompile(`^cks_[0-9A-Za-z]{21}$`).MatchString(session.ID) {
		t.Error(session.ID)
	}
}

func TestPageOfASubscription(t *testing.T) {
	shop := magazine(t, func(o *dodosim.Options) {
		o.Products = append(o.Products, dodosim.Product{ID: "pdt_quarter", Price: 900, Currency: "USD", Every: dodosim.Period{Count: 3, Interval: dodosim.Month}})
	})
	onDemand := strings.TrimSuffix(cartOf("pdt_pro"), "}") + `,"subscription_data":{"on_demand":{"mandate_only":true}}}`
	for request, wanted := range map[string]string{
		cartOf("pdt_pro"):     "USD 20.00 every month",
		cartOf("pdt_quarter"): "USD 9.00 every 3 months",
		cartOf("pdt_try"):     "14 days free, then USD 10.00 every month",
		onDemand:              "Later charges on demand",
	} {
		session := shop.checkout(request)
		page := shop.page("GET", session, nil).Body.String()
		if !strings.Contains(page, wanted) || !strings.Contains(page, dodosim.CardFailsLater) {
			t.Errorf("no %q on the page", wanted)
		}
		shop.page("POST", session, ada("action", "pay")) // even a free start needs a card
		if got := shop.news(); got != "" {
			t.Errorf("%s: paid without a card: %s", wanted, got)
		}
		answer := shop.page("POST", session, ada("card", dodosim.CardVisa))
		if target := answer.Header().Get("Location"); !strings.Contains(target, "subscription_id=sub_") || !strings.Contains(target, "status=active") {
			t.Error("went to", target)
		}
		shop.news()
	}
	if page := shop.page("GET", shop.checkout(onePack), nil).Body.String(); strings.Contains(page, dodosim.CardFailsLater) {
		t.Error("a card that fails on renewal is offered for what is never renewed")
	}
	session := shop.checkout(onDemand)
	if answer := shop.page("POST", session, url.Values{"action": {"discount"}, "discount_code": {"HALF"}}); answer.Code != http.StatusUnprocessableEntity {
		t.Error(answer.Code)
	}
}

// All test cards of FACTS 5.2 can be chosen, and the simulator's own.
func TestPageOffersEveryCard(t *testing.T) {
	shop := magazine(t, nil)
	page := shop.page("GET", shop.checkout(cartOf("pdt_pro")), nil).Body.String()
	for _, number := range []string{
		"4242424242424242", "5555555555554444", "4576238912771450", "5409162669381034", "4000000000000002",
		"4000000000009995", "4706131211212123", "5105105105105100", "4000000000000341", dodosim.CardIndiaFailsLater,
	} {
		if !strings.Contains(page, `name="card" value="`+number+`"`) {
			t.Errorf("%s is not offered", number)
		}
	}
}

// Another site cannot pay, cancel a subscription or do anything else in the name of a
// customer whose browser it has; a merchant's script without a browser can.
func TestFormsFromOtherSites(t *testing.T) {
	shop := open(t, nil)
	session := shop.checkout(onePack)
	for name, test := range map[string]struct {
		header, value string
		status        int
	}{
		"other site":      {"Sec-Fetch-Site", "cross-site", http.StatusForbidden},
		"sister site":     {"Sec-Fetch-Site", "same-site", http.StatusForbidden},
		"other origin":    {"Origin", "https://shop.example", http.StatusForbidden},
		"the page itself": {"Sec-Fetch-Site", "same-origin", http.StatusUnprocessableEntity},
		"its own origin":  {"Origin", "http://example.com", http.StatusUnprocessableEntity},
		"no browser":      {"Accept", "*/*", http.StatusUnprocessableEntity},
	} {
		t.Run(name, func(t *testing.T) {
			request := httptest.NewRequest("POST", "/session/"+session, strings.NewReader("action=steal"))
			request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			request.Header.Set(test.header, test.value)
			answer := httptest.NewRecorder()
			shop.sim.ServeHTTP(answer, request)
			if answer.Code != test.status || !strings.Contains(answer.Body.String(), `role="alert"`) {
				t.Error(answer.Code, answer.Body)
			}
		})
	}
}

func TestTypedTextIsKept(t *testing.T) {
	shop := open(t, nil)
	session := shop.checkout(onePack)
	form := ada("action", "pay")
	form.Set("number", `4111 <1111>`)
	if page := shop.page("POST", session, form).Body.String(); !strings.Contains(page, `value="4111 &lt;1111&gt;"`) || !strings.Contains(page, `value="Ada"`) {
		t.Error(page)
	}
	form.Set("discount_code", `"NOPE"`)
	if page := shop.page("POST", session, form).Body.String(); !strings.Contains(page, `value="&#34;NOPE&#34;"`) {
		t.Error(page)
	}
}
