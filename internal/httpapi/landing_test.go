package httpapi_test

import (
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/dodosim"
)

// look is what somebody sees on GET /return.
type look struct {
	title   string
	links   map[string]string // address by text
	refresh string            // address
	wait    int               // seconds, when there is a refresh
	text    string            // the page
}

var (
	heading = regexp.MustCompile(`<h1>(.*?)…?</h1>`)
	anchor  = regexp.MustCompile(`<a (?:class="button" )?href="([^"]*)">(.*?)</a>`)
	meta    = regexp.MustCompile(`<meta http-equiv="refresh" content="(\d+);url=([^"]*)">`)
)

func (s *site) look(target, account string) look {
	s.t.Helper()
	a := s.get(target).by(account).asBrowser().do()
	page := a.page(200)
	checkPage(s.t, a)
	if got := a.Header().Get("Vary"); got != "Accept" {
		s.t.Errorf("Vary %q", got)
	}
	l := look{text: page, links: map[string]string{}, title: heading.FindStringSubmatch(page)[1]}
	for _, m := range anchor.FindAllStringSubmatch(page, -1) {
		l.links[m[2]] = html.UnescapeString(m[1])
	}
	if m := meta.FindStringSubmatch(page); m != nil {
		l.wait, _ = strconv.Atoi(m[1])
		l.refresh = html.UnescapeString(m[2])
	}
	return l
}

// follow looks again and again, as the page itself would, and returns the last
// look, how often it looked and how many seconds that took.
func (s *site) follow(target, account string) (last look, looks, seconds int) {
	s.t.Helper()
	at, err := url.Parse(target)
	must(s.t, err)
	for looks = 1; ; looks++ {
		last = s.look(at.String(), account)
		if last.refresh == "" || looks > 30 {
			return last, looks, seconds
		}
		to, err := url.Parse(last.refresh)
		must(s.t, err)
		if to.IsAbs() {
			return last, looks, seconds
		}
		at = at.ResolveReference(to)
		seconds += last.wait
		s.clock.pass(time.Duration(last.wait) * time.Second)
	}
}

func (l look) check(t *testing.T, title string, links map[string]string) {
	t.Helper()
	if l.title != title {
		t.Errorf("title %q, want %q", l.title, title)
	}
	if !reflect.DeepEqual(l.links, links) {
		t.Errorf("links %v, want %v", l.links, links)
	}
}

const dodoAdds = "&status=succeeded&payment_id=pay_forged&email=mallory%40example.com&subscription_id=sub_x"

func TestReturnPaid(t *testing.T) {
	s := newSite(t, nil)
	order, session := s.order(alice, `{"product":"pack10","quantity":2}`)
	s.pay(session, dodosim.CardVisa)
	for _, query := range []string{"", dodoAdds, "&cancelled=1", "&try=99", "&status=failed"} {
		l := s.look("/payments/return?order="+order+query, alice)
		l.check(t, "Payment confirmed", map[string]string{"Continue": public + "/app?payment=success"})
		if l.refresh != public+"/app?payment=success" || l.wait != 5 {
			t.Errorf("refresh to %q in %d s", l.refresh, l.wait)
		}
		for _, part := range []string{
			"Thank you for buying <strong>2 × Ten &lt;credits&gt; &amp; more</strong>", "<dt>Credits bought</dt><dd>20</dd>", "<dt>Credits you have now</dt><dd>20</dd>",
		} {
			if !strings.Contains(l.text, part) {
				t.Errorf("no %s in %s", part, l.text)
			}
		}
		if strings.Contains(l.text, "mallory") || strings.Contains(l.text, "forged") || strings.Contains(l.text, "Plan") {
			t.Errorf("%s", l.text)
		}
	}
}

func TestReturnPaidPlan(t *testing.T) {
	s := newSite(t, nil)
	order, session := s.order(alice, `{"product":"pro","return_to":"https://docs.example/done/a;b?d=e&f=%22g%22;h,i"}`)
	s.pay(session, dodosim.CardVisa)
	const to = "https://docs.example/done/a;b?d=e&f=%22g%22;h,i"
	l := s.look("/payments/return?order="+order, alice)
	l.check(t, "Payment confirmed", map[string]string{"Continue": to})
	if l.refresh != to {
		t.Errorf("refresh to %q", l.refresh)
	}
	if !strings.Contains(l.text, "<strong>pro</strong>") || !strings.Contains(l.text, "<dt>Plan</dt><dd>pro</dd>") {
		t.Error(l.text)
	}
}

// The webhook may be late or lost: the page asks Dodo.
func TestReturnFindsThePayment(t *testing.T) {
	s := newSite(t, nil)
	order, session := s.order(alice, `{"product":"pack10"}`)
	s.sim.HoldWebhooks(true)
	attempt := s.pay(session, dodosim.CardVisa)
	back, err := url.Parse(attempt.RedirectURL)
	must(t, err)
	if got := s.look(back.RequestURI(), alice).title; got != "Payment confirmed" {
		t.Errorf("title %q", got)
	}
	if !strings.Contains(back.RequestURI(), order) {
		t.Errorf("Dodo leads to %s", back)
	}
}

// A subscription is paid when its plan is there. Until then the page waits, and leads to no
// second payment.
func TestReturnWaitsForThePlan(t *testing.T) {
	s := newSite(t, func(set *setting) {
		set.products = []config.Product{{Name: "monthly", ID: "pdt_monthly", Plan: "pro", Credits: 50}}
		set.sold = []dodosim.Product{{ID: "pdt_monthly", Price: 900, Currency: "USD", Every: dodosim.Period{Count: 1, Interval: dodosim.Month}}}
	})
	order, session := s.order(alice, `{"product":"monthly"}`)
	s.sim.HoldWebhooks(true)
	s.pay(session, dodosim.CardVisa)
	for _, e := range s.sim.Events() {
		if e.Type == "payment.succeeded" {
			d, err := s.sim.Redeliver(t.Context(), e.ID)
			must(t, err)
			if !d.Acknowledged() {
				t.Fatalf("%+v", d)
			}
		}
	}
	at := "/payments/return?order=" + order
	s.sim.SetFault(dodosim.Fault{Status: http.StatusForbidden, Body: "{}"}, 100)
	l := s.look(at, alice)
	l.check(t, "Confirming your payment", map[string]string{"Check again": "?order=" + order, "Back to the site": public + "/"})
	waits := s.get("/payments/status").by(alice).do().json(http.StatusOK)
	if pending := waits["pending"].([]any); waits["plan"] != "none" || len(pending) != 1 || pending[0].(map[string]any)["order_id"] != order {
		t.Errorf("the status is %v", waits)
	}
	s.sim.SetFault(dodosim.Fault{}, 0)
	s.clock.pass(5 * time.Second)
	if l := s.look(at, alice); l.title != "Payment confirmed" || !strings.Contains(l.text, "<dt>Credits you have now</dt><dd>50</dd>") {
		t.Errorf("%s", l.text)
	}
	paid := s.get("/payments/status").by(alice).do().json(http.StatusOK)
	if paid["plan"] != "pro" || len(paid["pending"].([]any)) != 0 {
		t.Errorf("the status is %v", paid)
	}
}

// Nothing that the address says makes an order paid.
func TestReturnProcessing(t *testing.T) {
	s := newSite(t, nil)
	order, session := s.order(alice, `{"product":"pack10"}`)
	at := "/payments/return?order=" + order
	checkout := "https://checkout.dodo.example/session/" + session
	l := s.look(at+dodoAdds, alice)
	l.check(t, "Confirming your payment", map[string]string{
		"Not paid yet? Return to the checkout": checkout, "Check again": "?order=" + order, "Back to the site": public + "/",
	})
	if l.refresh != "?order="+order+"&try=1" || l.wait != 2 {
		t.Errorf("refresh to %q in %d s", l.refresh, l.wait)
	}
	if strings.Contains(l.text, "mallory") || strings.Contains(l.text, "forged") {
		t.Error(l.text)
	}

	last, looks, seconds := s.follow(at, alice)
	last.check(t, "Still waiting for your payment", map[string]string{
		"Not paid yet? Return to the checkout": checkout, "Check again": "?order=" + order, "Back to the site": public + "/",
	})
	if looks != 11 || seconds < 100 || seconds > 130 {
		t.Errorf("looked %d times in %d s", looks, seconds)
	}
	for _, odd := range []string{"&try=1000000", "&try=99999999999999999999", "&try=-1", "&try=x", "&try="} {
		if title := s.look(at+odd, alice).title; title != "Still waiting for your payment" && title != "Confirming your payment" {
			t.Errorf("%s: %q", odd, title)
		}
	}

	s.clock.pass(25 * time.Hour)
	if l := s.look(at, alice); l.links["Not paid yet? Return to the checkout"] != "" {
		t.Errorf("links to a checkout that has expired: %v", l.links)
	}
}

func TestReturnWhileDodoIsDown(t *testing.T) {
	s := newSite(t, nil)
	order, _ := s.order(alice, `{"product":"pack10"}`)
	s.sim.SetFault(dodosim.Fault{Status: 500}, 3)
	if got := s.look("/payments/return?order="+order, alice).title; got != "Confirming your payment" {
		t.Errorf("title %q", got)
	}
	if log := s.log.String(); !strings.Contains(log, "order could not be confirmed") {
		t.Errorf("log: %s", log)
	}
}

func TestReturnWithoutStore(t *testing.T) {
	s := newSite(t, nil)
	order, _ := s.order(alice, `{"product":"pack10"}`)
	must(t, s.store.Close())
	a := s.get("/payments/return?order=" + order).by(alice).asBrowser().do()
	if page := a.page(503); !strings.Contains(page, "store_unavailable") || !strings.Contains(page, "Try again") {
		t.Error(page)
	}
	checkPage(t, a)
}

func TestReturnCancelled(t *testing.T) {
	s := newSite(t, nil)
	order, session := s.order(alice, `{"product":"pack10"}`)
	l := s.look("/payments/return?order="+order+"&cancelled=1", alice)
	// The landing place may stand for success, so it is not where a cancelled
	// checkout leads.
	l.check(t, "Checkout not completed", map[string]string{
		"Return to the checkout": "https://checkout.dodo.example/session/" + session, "Check again": "?cancelled=1&order=" + order, "Back to the site": public + "/",
	})
	if l.refresh != "" || strings.Contains(l.text, "payment=success") {
		t.Error(l.text)
	}
	for _, other := range []string{"&cancelled=0", "&cancelled=", "&cancelled=true", "&Cancelled=1"} {
		if title := s.look("/payments/return?order="+order+other, alice).title; title != "Confirming your payment" {
			t.Errorf("%s: %q", other, title)
		}
	}

	// Dodo says so itself.
	s.signed("m", fmt.Sprintf(`{"type":"payment.cancelled","timestamp":"2026-11-21T12:00:00Z","data":{
		"payload_type":"Payment","payment_id":"pay_1","status":"cancelled","checkout_session_id":%q,"total_amount":999,"currency":"USD",
		"created_at":"2026-11-21T12:00:00Z","product_cart":[{"product_id":"pdt_pack10","quantity":1}],"metadata":{},"customer":{"customer_id":"cus_1"}}}`, session)).do().json(200)
	if title := s.look("/payments/return?order="+order, alice).title; title != "Checkout not completed" {
		t.Errorf("title %q", title)
	}
}

func TestReturnFailed(t *testing.T) {
	s := newSite(t, nil)
	order, session := s.order(alice, `{"product":"pack10"}`)
	s.pay(session, dodosim.CardDeclined)
	for query, again := range map[string]string{"order=" + order: "?order=" + order, "order=" + order + "&cancelled=1": "?cancelled=1&order=" + order} {
		l := s.look("/payments/return?"+query+"&status=succeeded", alice)
		l.check(t, "Payment not completed", map[string]string{
			"Try again": "https://checkout.dodo.example/session/" + session, "Check again": again, "Back to the site": public + "/",
		})
		if l.refresh != "" || strings.Contains(strings.ToLower(l.text), "declin") {
			t.Error(l.text)
		}
	}
	// The next attempt succeeds.
	s.pay(session, dodosim.CardVisa)
	if title := s.look("/payments/return?order="+order, alice).title; title != "Payment confirmed" {
		t.Errorf("title %q", title)
	}
}

func TestReturnFailedAndExpired(t *testing.T) {
	s := newSite(t, nil)
	order, session := s.order(alice, `{"product":"pack10"}`)
	s.pay(session, dodosim.CardDeclined)
	s.clock.pass(25 * time.Hour)
	s.look("/payments/return?order="+order, alice).check(t, "Payment not completed",
		map[string]string{"Check again": "?order=" + order, "Back to the site": public + "/"})
}

// The page of an order that does not exist is the same for everybody.
func TestReturnOfUnknownOrders(t *testing.T) {
	s := newSite(t, nil)
	const made = "ord_AAAAAAAAAAAAAAAAAAAAAA"
	page := func(account, query string) string {
		a := s.get("/payments/return?order=" + made + query).by(account).asBrowser().do()
		checkPage(t, a)
		return a.page(200)
	}
	for _, query := range []string{"", "&try=1", "&try=2", "&try=3", "&try=77", "&cancelled=1"} {
		s.untouched(func() {
			if got, want := page(alice, query), page("", query); got != want {
				t.Errorf("alice sees on %q:\n%s\nwant\n%s", query, got, want)
			}
		})
	}
	last, looks, seconds := s.follow("/payments/return?order="+made+dodoAdds, "")
	last.check(t, "Please sign in", map[string]string{"Check again": "?order=" + made, "Back to the site": "/"})
	if looks != 4 || seconds != 6 {
		t.Errorf("looked %d times in %d s", looks, seconds)
	}
}

// Whoever has the address of an order sees what became of it, signed in or not, because a
// page of the app may be what keeps the login. What belongs to the account is not shown:
// neither the balance nor the checkout, which names the customer.
func TestReturnWithoutLogin(t *testing.T) {
	for name, signIn := range map[string]string{"a way to sign in": "/login?from=order", "no way": ""} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, func(set *setting) { set.signIn = signIn })
			links := func(more map[string]string) map[string]string {
				if signIn != "" {
					more["Sign in"] = signIn
				}
				return more
			}
			order, session := s.order(alice, `{"product":"pack10","quantity":2}`)
			at := "/payments/return?order=" + order
			again := map[string]string{"Check again": "?order=" + order, "Back to the site": public + "/"}
			for _, stranger := range []string{"", bob} {
				l := s.look(at, stranger)
				l.check(t, "Confirming your payment", links(maps.Clone(again)))
				if l.refresh == "" || strings.Contains(l.text, session) {
					t.Errorf("%q sees %s", stranger, l.text)
				}
			}
			s.pay(session, dodosim.CardDeclined)
			s.look(at, "").check(t, "Payment not completed", links(maps.Clone(again)))

			s.sim.HoldWebhooks(true) // so that the page itself must ask Dodo
			s.pay(session, dodosim.CardVisa)
			s.clock.pass(time.Minute)
			for _, stranger := range []string{"", bob} {
				l := s.look(at, stranger)
				l.check(t, "Payment confirmed", links(map[string]string{"Continue": public + "/app?payment=success"}))
				if !strings.Contains(l.text, "<strong>2 × Ten") || strings.Contains(l.text, "Credits you have now") || strings.Contains(l.text, alice) {
					t.Errorf("%q sees %s", stranger, l.text)
				}
			}
			if l := s.look(at, alice); !strings.Contains(l.text, "<dt>Credits you have now</dt><dd>20</dd>") || l.links["Sign in"] != "" {
				t.Errorf("alice sees %s", l.text)
			}
			for _, stranger := range []string{"", bob} {
				if credits := s.get("/payments/status").by(bob).do().json(200)["credits"]; credits != json.Number("0") {
					t.Errorf("%q: bob has %v credits", stranger, credits)
				}
			}
		})
	}
}

// The first navigation back from Dodo brings no SameSite=Strict cookie; the page's own
// refresh does.
func TestReturnBeforeTheCookie(t *testing.T) {
	s := newSite(t, nil)
	order, session := s.order(alice, `{"product":"pack10"}`)
	first := s.look("/payments/return?order="+order, "")
	if first.links["Not paid yet? Return to the checkout"] != "" || first.refresh == "" {
		t.Errorf("%q, %v", first.title, first.links)
	}
	if to := s.look("/payments/return"+first.refresh, alice).links["Not paid yet? Return to the checkout"]; !strings.HasSuffix(to, session) {
		t.Errorf("the checkout is at %q", to)
	}
}

// Pages and problems that ask for a login lead there.
func TestSignInURL(t *testing.T) {
	s := newSite(t, func(set *setting) { set.signIn = "https://app.example.com/login" })
	p := s.get("/payments/status").do()
	if to := p.problem(401, "unauthenticated")["sign_in_url"]; to != "https://app.example.com/login" {
		t.Errorf("sign_in_url is %v", to)
	}
	if page := s.get("/payments/status").asBrowser().do().page(401); !strings.Contains(page, `<a class="button" href="https://app.example.com/login">Sign in</a>`) {
		t.Error(page)
	}
	if page := s.get("/payments/nosuch").asBrowser().do().page(404); strings.Contains(page, "login") {
		t.Error(page)
	}
	last, _, _ := s.follow("/payments/return?order=ord_AAAAAAAAAAAAAAAAAAAAAA", "")
	last.check(t, "Please sign in", map[string]string{
		"Sign in": "https://app.example.com/login", "Check again": "?order=ord_AAAAAAAAAAAAAAAAAAAAAA", "Back to the site": "/",
	})
}

func TestReturnEscapes(t *testing.T) {
	s := newSite(t, nil)
	for _, query := range []string{
		"", "order=", "order=" + url.QueryEscape(`"><script>alert(1)</script>`), "order=javascript:alert(1)", "order=%00%ff", "order=https://evil.example",
		"order=" + strings.Repeat("x", 5000), "order=a&order=b", "order=;url=https://evil.example", "order=%zz", "a;b", "order=" + url.QueryEscape("x\r\nSet-Cookie: a=b"),
	} {
		for _, account := range []string{"", alice} {
			l := s.look("/payments/return?"+query, account)
			if l.title != "Checking your order" || len(l.text) > 6000 {
				t.Errorf("%.50q: %q, %d bytes", query, l.title, len(l.text))
			}
			for _, to := range append([]string{l.refresh}, l.links["Check again"]) {
				if !strings.HasPrefix(to, "?order=") || strings.ContainsAny(to, "<>\"'; \n") {
					t.Errorf("%.50q leads to %q", query, to)
				}
			}
		}
	}
}

func TestReturnAsJSON(t *testing.T) {
	s := newSite(t, nil)
	order, session := s.order(alice, `{"product":"pack10"}`)
	get := func(account, id string) answer {
		return s.get("/payments/return?cancelled=1&order="+id).by(account).with("Accept", "application/json").do()
	}
	want := map[string]any{"order_id": order, "status": "open", "product": "pack10", "return_to": public + "/app?payment=success"}
	if got := get(alice, order).json(200); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	s.pay(session, dodosim.CardVisa)
	want["status"] = "paid"
	a := get(alice, order)
	if got := a.json(200); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if vary, cache := a.Header().Get("Vary"), a.Header().Get("Cache-Control"); vary != "Accept" || cache != "no-store" {
		t.Errorf("Vary %q, Cache-Control %q", vary, cache)
	}
	for _, stranger := range []string{bob, ""} {
		if got := get(stranger, order).json(200); !reflect.DeepEqual(got, want) {
			t.Errorf("%q gets %v, want %v", stranger, got, want)
		}
	}
	get(alice, "ord_AAAAAAAAAAAAAAAAAAAAAA").problem(404, "order_not_found")
	get(alice, "").problem(404, "order_not_found")
	get("", "ord_AAAAAAAAAAAAAAAAAAAAAA").problem(404, "order_not_found")
}

// What an operator may call things does no harm to a page either.
func TestReturnEscapesTitles(t *testing.T) {
	const nasty = `</title><script>alert("1")</script><a href='x'>{{.}}`
	s := newSite(t, func(set *setting) {
		set.products = []config.Product{{Name: "pack10", ID: "pdt_pack10", Credits: 10, Title: nasty}}
	})
	order, _ := s.order(alice, `{"product":"pack10"}`)
	l := s.look("/payments/return?order="+order, alice)
	if !strings.Contains(l.text, html.EscapeString(nasty)) {
		t.Error(l.text)
	}
}
