package dodosim_test

import (
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// guest is a customer in the portal, without a network.
type guest struct {
	*shop
	link string // the path of the portal
	sub  string // of the customer's subscription
}

// letIn lets the owner of a subscription into the portal.
func (s *shop) letIn(subscription string) guest {
	s.t.Helper()
	owner := s.ask("GET", "/subscriptions/"+subscription, "")["customer"].(map[string]any)["customer_id"].(string)
	link := s.ask("POST", "/customers/"+owner+"/customer-portal/session?return_url=https://shop.example/account", "")["link"].(string)
	s.news()
	return guest{s, strings.TrimPrefix(link, s.url), subscription}
}

// see is a page of the portal.
func (v guest) see(query string) string {
	v.t.Helper()
	page := v.open(v.link + query)
	if page.Code != http.StatusOK {
		v.t.Fatalf("%s: %d %s", query, page.Code, page.Body)
	}
	return page.Body.String()
}

// do submits a form about the subscription.
func (v guest) do(action string, fields ...string) *httptest.ResponseRecorder {
	form := url.Values{"action": {action}, "subscription": {v.sub}}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	request := httptest.NewRequest("POST", v.link, strings.NewReader(form.Encode()))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer := httptest.NewRecorder()
	v.sim.ServeHTTP(answer, request)
	return answer
}

// works is do that must succeed, and say so on the page that follows.
func (v guest) works(says, action string, fields ...string) {
	v.t.Helper()
	answer := v.do(action, fields...)
	target := answer.Header().Get("Location")
	if answer.Code != http.StatusSeeOther {
		v.t.Fatalf("%s %s: %d %s", action, fields, answer.Code, answer.Body)
	}
	page := v.open("/portal/" + target)
	if page.Code != http.StatusOK || !strings.Contains(page.Body.String(), says) {
		v.t.Errorf("%s %s leads to %s, %d: %s", action, fields, target, page.Code, page.Body)
	}
}

func (v guest) told(wanted string) {
	v.t.Helper()
	if got := v.news(); got != wanted {
		v.t.Errorf("events %s, wanted %s", got, wanted)
	}
}

func (v guest) status(wanted string) subscription {
	v.t.Helper()
	sub := v.subscription(v.sub)
	if sub.Status != wanted {
		v.t.Errorf("status %s, wanted %s", sub.Status, wanted)
	}
	return sub
}

// What customers do in the portal has the effects and the events that it has by the API.
func TestPortalCancels(t *testing.T) {
	shop := magazine(t, nil)
	ada := shop.letIn(shop.subscribe("pdt_pro", dodosim.CardVisa))
	if page := ada.see("?subscription=" + ada.sub); !strings.Contains(page, "USD 20.00 every month") || !strings.Contains(page, "The next payment is on 1 April 2030") || !strings.Contains(page, "Visa ending in 4242") {
		t.Error(page)
	}
	ada.works("will end with the period", "cancel", "when", "end", "feedback", "too_expensive", "comment", "Sorry <b>")
	ada.told("subscription.updated")
	if sub := ada.status("active"); !sub.Leaving || *sub.Feedback != "too_expensive" {
		t.Errorf("%+v", sub)
	}
	if page := ada.see("?subscription=" + ada.sub); !strings.Contains(page, "Ends on 1 April 2030. You will not be charged again.") || strings.Contains(page, ">Pause<") || strings.Contains(page, "Change plan") {
		t.Error(page)
	}
	ada.works("goes on", "keep")
	ada.told("subscription.updated")
	if sub := ada.status("active"); sub.Leaving || sub.Feedback != nil {
		t.Errorf("%+v", sub)
	}
	ada.works("has ended", "cancel", "when", "now", "feedback", "")
	ada.told("subscription.cancelled subscription.updated")
	if sub := ada.status("cancelled"); sub.EndedAt == nil {
		t.Errorf("%+v", sub)
	}
	if page := ada.see("?subscription=" + ada.sub); strings.Contains(page, "<button") || !strings.Contains(page, "Ended on 1 March 2030") {
		t.Error(page)
	}
	if answer := ada.do("cancel", "when", "now"); answer.Code != http.StatusUnprocessableEntity || !strings.Contains(answer.Body.String(), `role="alert"`) {
		t.Error(answer.Code, answer.Body)
	}
	ada.told("")
}

func TestPortalPauses(t *testing.T) {
	shop := magazine(t, nil)
	ada := shop.letIn(shop.subscribe("pdt_pro", dodosim.CardVisa))
	ada.works("is paused", "pause")
	ada.told("subscription.paused subscription.updated")
	ada.status("paused")
	shop.sim.Advance(10 * day)
	ada = shop.letIn(ada.sub)
	ada.works("goes on", "resume")
	ada.told("subscription.unpaused subscription.updated")
	if sub := ada.status("active"); !sub.Next.Equal(time.Date(2030, time.April, 11, 12, 0, 0, 0, time.UTC)) {
		t.Error("next", sub.Next)
	}
	if answer := ada.do("resume"); answer.Code != http.StatusUnprocessableEntity {
		t.Error(answer.Code)
	}
}

var charged = regexp.MustCompile(`At once: <strong>USD ([0-9.]+)</strong>.*?The next payment is on ([^.]*)\.`)

func TestPortalChangesPlan(t *testing.T) {
	shop := magazine(t, nil)
	ada := shop.letIn(shop.subscribe("pdt_pro", dodosim.CardVisa))
	shop.sim.Advance(15*day + 12*time.Hour) // half of March
	ada = shop.letIn(ada.sub)
	plans := ada.see("?step=plans&subscription=" + ada.sub)
	if !strings.Contains(plans, "USD 50.00 every month") || strings.Contains(plans, "pdt_zen") || strings.Contains(plans, "pdt_pack") || strings.Contains(plans, "product=pdt_pro") {
		t.Error(plans)
	}
	preview := charged.FindStringSubmatch(ada.see("?step=plan&product=pdt_team&subscription=" + ada.sub))
	if len(preview) != 3 || preview[1] != "40.00" || preview[2] != "17 April 2030" {
		t.Fatal("the preview says", preview)
	}
	ada.told("")
	if page := ada.see("?step=plan&product=pdt_short&subscription=" + ada.sub); !strings.Contains(page, "nothing is charged now, and nothing is given back") {
		t.Error(page)
	}
	ada.works("will change on the next billing date", "change", "product", "pdt_team", "when", "later")
	ada.told("subscription.updated")
	if page := ada.see("?subscription=" + ada.sub); !strings.Contains(page, "Changes to Team on 1 April 2030") {
		t.Error(page)
	}
	ada.works("stays as it is", "unplan")
	ada.told("subscription.updated")
	ada.works("on the new plan", "change", "product", "pdt_team", "when", "now")
	ada.told("payment.succeeded subscription.plan_changed subscription.updated")
	if sub := ada.status("active"); sub.Product != "pdt_team" || !sub.Next.Equal(time.Date(2030, time.April, 17, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v", sub)
	}
	if paid := shop.payments(ada.sub); paid[1]["total_amount"] != 4000.0 {
		t.Error(paid[1])
	}
	for name, fields := range map[string][]string{
		"no product": {"when", "now"}, "unknown product": {"product", "pdt_no", "when", "now"}, "sold once": {"product", "pdt_pack", "when", "now"},
		"other currency": {"product", "pdt_zen", "when", "now"}, "never": {"product", "pdt_pro"},
	} {
		if answer := ada.do("change", fields...); answer.Code < 400 {
			t.Errorf("%s: %d", name, answer.Code)
		}
	}
	ada.told("")
}

// A plan change that the card does not pay for is none.
func TestPortalPlanDeclined(t *testing.T) {
	shop := magazine(t, nil)
	ada := shop.letIn(shop.subscribe("pdt_pro", dodosim.CardFailsLater))
	ada.works("your plan stays as it is", "change", "product", "pdt_team", "when", "now")
	ada.told("payment.failed")
	if sub := ada.status("active"); sub.Product != "pdt_pro" {
		t.Errorf("%+v", sub)
	}
}

// A card that fails on renewal is left in the portal, fails, and is replaced.
func TestPortalReplacesCard(t *testing.T) {
	shop := magazine(t, nil)
	ada := shop.letIn(shop.subscribe("pdt_pro", dodosim.CardVisa))
	good := *shop.subscription(ada.sub).Method
	leave := func(card string) string {
		t.Helper()
		answer := ada.do("method", "method", "new")
		target := answer.Header().Get("Location")
		if !strings.HasPrefix(target, "../session/pay_") {
			t.Fatal(answer.Code, target)
		}
		session := strings.TrimPrefix(target, "../session/")
		if page := shop.page("GET", session, nil).Body.String(); !strings.Contains(page, "Payment method") || !strings.Contains(page, ">Cancel<") {
			t.Error(page)
		}
		return shop.page("POST", session, url.Values{"card": {card}}).Header().Get("Location")
	}
	if back := leave(dodosim.CardFailsLater); !strings.Contains(back, ada.link+"?subscription="+ada.sub+"&") {
		t.Error("goes back to", back)
	}
	ada.told("payment.succeeded subscription.update_payment_method subscription.updated")
	latest := shop.payments(ada.sub)[1]
	if read := words(t, shop.download(valueOrEmpty(latest["invoice_url"]))); !strings.Contains(read, "New payment method for Pro") {
		t.Error(read)
	}
	shop.sim.Advance(32 * day)
	ada.told("payment.failed subscription.on_hold subscription.updated")
	ada = shop.letIn(ada.sub)
	if page := ada.see("?subscription=" + ada.sub); !strings.Contains(page, "The last payment failed") {
		t.Error(page)
	}
	if page := ada.see(""); !strings.Contains(page, "Visa ending in 0341") || !strings.Contains(page, "Declined") || !strings.Contains(page, "New payment method") {
		t.Error(page)
	}
	ada.works("was declined", "method", "method", *shop.subscription(ada.sub).Method)
	ada.told("payment.failed")
	ada.works("has been replaced", "method", "method", good)
	ada.told("payment.succeeded subscription.active subscription.update_payment_method subscription.updated")
	ada.status("active")
	for _, method := range []string{"pm_no", ""} {
		if answer := ada.do("method", "method", method); answer.Code != http.StatusNotFound {
			t.Errorf("method %q: %d", method, answer.Code)
		}
	}
	// The failing card is of no use any more and can go; the good one cannot.
	bad := regexp.MustCompile(`value="(pm_[^"]*)"><button class="small"`).FindAllStringSubmatch(ada.see(""), -1)
	if len(bad) != 1 || bad[0][1] == good {
		t.Fatal(bad)
	}
	ada.works("The payment method is gone", "remove", "method", bad[0][1])
	if answer := ada.do("remove", "method", good); answer.Code != http.StatusConflict {
		t.Error(answer.Code)
	}
}

// Nobody sees or changes what is another customer's, and a link ends.
func TestPortalIsOnesOwn(t *testing.T) {
	shop := magazine(t, nil)
	pay := func(email string) string {
		session := shop.checkout(strings.TrimSuffix(cartOf("pdt_pro"), "}") + `,"customer":{"email":"` + email + `","name":"<b>` + email + `</b>"}}`)
		return shop.pay(session).SubscriptionID
	}
	ada, eve := shop.letIn(pay("ada@example.com")), shop.letIn(pay("eve@example.com"))
	if page := eve.see(""); strings.Contains(page, ada.sub) || strings.Contains(page, "ada@example.com") || strings.Contains(page, "<b>") ||
		strings.Count(page, "<article") != 1 || strings.Count(page, "/invoices/payments/") != 1 {
		t.Error(page)
	}
	method := *shop.subscription(ada.sub).Method
	for name, answer := range map[string]*httptest.ResponseRecorder{
		"look":            shop.open(eve.link + "?subscription=" + ada.sub),
		"cancel":          guest{shop, eve.link, ada.sub}.do("cancel", "when", "now"),
		"use her card":    eve.do("method", "method", method),
		"remove her card": eve.do("remove", "method", method),
		"no link":         shop.open("/portal/cps_no"),
		"no such link":    guest{shop, "/portal/cps_no", ada.sub}.do("cancel", "when", "now"),
	} {
		if answer.Code != http.StatusNotFound {
			t.Errorf("%s: %d %s", name, answer.Code, answer.Body)
		}
	}
	if answer := ada.do("steal"); answer.Code != http.StatusUnprocessableEntity {
		t.Error(answer.Code)
	}
	for name, fields := range map[string][]string{"no time": {}, "no such reason": {"when", "now", "feedback", "bored"}} {
		if answer := ada.do("cancel", fields...); answer.Code != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", name, answer.Code)
		}
	}
	if got := shop.news(); got != "" {
		t.Error("events", got)
	}
	if !regexp.MustCompile(`^/portal/cps_[0-9A-Za-z]{21}$`).MatchString(ada.link) {
		t.Error(ada.link)
	}
	shop.sim.Advance(day - time.Second)
	ada.see("")
	shop.sim.Advance(time.Second)
	if page := shop.open(ada.link); page.Code != http.StatusGone || backLink(page.Body.String()) != "https://shop.example/account" {
		t.Error(page.Code, page.Body)
	}
	if answer := ada.do("cancel", "when", "now"); answer.Code != http.StatusGone {
		t.Error(answer.Code)
	}
	ada.status("active")
}

// Another site cannot cancel what a customer has, even if it knows the link.
func TestPortalFromOtherSites(t *testing.T) {
	shop := magazine(t, nil)
	ada := shop.letIn(shop.subscribe("pdt_pro", dodosim.CardVisa))
	form := url.Values{"action": {"cancel"}, "when": {"now"}, "subscription": {ada.sub}}.Encode()
	for _, header := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
		request := httptest.NewRequest("POST", ada.link, strings.NewReader(form))
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set(header[0], header[1])
		answer := httptest.NewRecorder()
		shop.sim.ServeHTTP(answer, request)
		if answer.Code != http.StatusForbidden {
			t.Error(header, answer.Code)
		}
	}
	ada.told("")
	ada.status("active")
}

func TestPortalHistory(t *testing.T) {
	shop := magazine(t, nil)
	ada := shop.letIn(shop.subscribe("pdt_pro", dodosim.CardVisa))
	first := shop.payments(ada.sub)[0]["payment_id"].(string)
	back, err := shop.sim.Refund(first, 500)
	if err != nil {
		t.Fatal(err)
	}
	page := ada.see("")
	for _, wanted := range []string{"Pro", "USD 20.00", "Paid", "../invoices/payments/" + first, "../invoices/refunds/" + back, "−USD 5.00", "1 March 2030"} {
		if !strings.Contains(page, wanted) {
			t.Errorf("the history does not show %q: %s", wanted, page)
		}
	}
	form := url.Values{"email": {"customer@example.com"}, "name": {"X"}, "card": {dodosim.CardVisa}, "challenge": {"yes"}}
	shop.page("POST", shop.checkout(onePack), form)
	form.Set("challenge", "")
	form.Set("card", dodosim.CardDeclined)
	shop.page("POST", shop.checkout(onePack), form)
	if page := ada.see(""); !strings.Contains(page, "Waits for your bank") || !strings.Contains(page, "Declined") {
		t.Error(page)
	}
	for range 60 {
		shop.sim.Advance(31 * day)
	}
	ada = shop.letIn(ada.sub)
	if page := ada.see(""); strings.Count(page, "/invoices/payments/") != 50 || !strings.Contains(page, "There is more") {
		t.Error(strings.Count(page, "/invoices/payments/"), "payments are shown")
	}
}

// Wherever the simulator is mounted, links and forms lead to it.
func TestPagesUnderAPrefix(t *testing.T) {
	shop := magazine(t, func(o *dodosim.Options) { o.PublicURL = "https://pay.example/dodo" })
	ada := shop.letIn(shop.subscribe("pdt_pro", dodosim.CardVisa))
	if !strings.HasPrefix(ada.link, "https://pay.example/dodo/portal/cps_") {
		t.Fatal(ada.link)
	}
	mounted := http.StripPrefix("/dodo", shop.sim)
	seen := make(map[string]bool)
	var crawl func(address string)
	crawl = func(address string) {
		if seen[address] {
			return
		}
		seen[address] = true
		answer := httptest.NewRecorder()
		mounted.ServeHTTP(answer, httptest.NewRequest("GET", address, http.NoBody))
		if answer.Code != http.StatusOK {
			t.Errorf("%s: %d", address, answer.Code)
		}
		base, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range regexp.MustCompile(`(?:href|action)="([^"]*)"`).FindAllStringSubmatch(answer.Body.String(), -1) {
			target, err := base.Parse(html.UnescapeString(link[1]))
			if err != nil {
				t.Fatal(err)
			}
			if target.Host == "pay.example" {
				crawl(target.String())
			}
		}
	}
	crawl(ada.link)
	for _, wanted := range []string{
		ada.link + "?subscription=" + ada.sub + "&step=cancel", ada.link + "?subscription=" + ada.sub + "&step=plan&product=pdt_team",
		"https://pay.example/dodo/invoices/payments/" + valueOrEmpty(shop.payments(ada.sub)[0]["payment_id"]),
	} {
		if !seen[wanted] {
			t.Errorf("no link leads to %s: %v", wanted, seen)
		}
	}
	request := httptest.NewRequest("POST", ada.link, strings.NewReader("action=method&method=new&subscription="+ada.sub))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer := httptest.NewRecorder()
	mounted.ServeHTTP(answer, request)
	if base, err := url.Parse(ada.link); err == nil {
		target, err := base.Parse(answer.Header().Get("Location"))
		if err != nil || !strings.HasPrefix(target.String(), "https://pay.example/dodo/session/pay_") {
			t.Error("another card is left at", target, err)
		}
	}
}

// Every page of the portal keeps the policy of the checkout, and has no script.
func TestPortalPolicy(t *testing.T) {
	shop := magazine(t, nil)
	ada := shop.letIn(shop.subscribe("pdt_pro", dodosim.CardVisa))
	for _, query := range []string{"", "?subscription=", "?step=cancel&subscription=", "?step=method&subscription=", "?step=plans&subscription=", "?step=plan&product=pdt_team&subscription="} {
		if query != "" {
			query += ada.sub
		}
		page := shop.open(ada.link + query)
		body := page.Body.String()
		if policy := page.Header().Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || !strings.Contains(policy, "form-action 'self'") {
			t.Error("policy", policy)
		}
		if strings.Contains(body, "<script") || strings.Contains(body, " style=") || strings.Contains(body, "src=") || !strings.Contains(body, "<h1>") {
			t.Error(query, body)
		}
	}
}
