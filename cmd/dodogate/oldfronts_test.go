package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/dodogate/dodogate/internal/testing/freeport"
)

// TestOldFronts runs the front ends of the two hand-written integrations in a browser, in
// front of the shipped Caddyfiles.
func TestOldFronts(t *testing.T) {
	chromium := startChromium(t)
	for _, front := range []struct {
		style, webhook, who, app string
		stories                  map[string]func(*tab)
	}{
		{"express", "/api/payments/webhook", "/api/auth/me", "app:3000", map[string]func(*tab){
			"buy": expressBuys, "decline": expressIsDeclined, "cancel": expressCancels, "refund": expressIsRefunded, "error": expressFails,
		}},
		{"fastapi", "/payment/webhook/", "/auth/me", "app:8000", map[string]func(*tab){
			"buy": fastAPIBuys, "decline": fastAPIIsDeclined, "cancel": fastAPICancels, "refund": fastAPIIsRefunded, "error": fastAPIFails,
		}},
	} {
		t.Run(front.style, func(t *testing.T) {
			d := newOldShop(t, front.style, front.webhook, front.who, front.app)
			for name, story := range front.stories {
				t.Run(name, func(t *testing.T) {
					b := d.tab(t, chromium)
					b.signsIn(name)
					b.goTo(d.site+"/dashboard", "#banner")
					story(b)
					b.keep("end")
					b.staysAtHome()
				})
			}
		})
	}
}

// newOldShop runs a shipped Caddyfile before an app that has the front end, and whose
// login is a cookie.
func newOldShop(t *testing.T, style, webhook, who, place string) *demo {
	t.Helper()
	page, err := os.ReadFile("testdata/fronts/" + style + ".html")
	if err != nil {
		t.Fatal(err)
	}
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case who:
			if user, err := r.Cookie("session"); err == nil {
				w.Header().Set("X-User-Id", user.Value)
			}
		case "/dashboard":
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write(page)
		case "/api/profile":
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprintf(w, `{"credits":%s}`, r.Header.Get("X-Entitlement-Credits"))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(app.Close)
	shipped, err := os.ReadFile("../../docs/examples/" + style + ".Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	d := &demo{t: t, dir: t.TempDir(), site: "http://localhost:" + freeport.Get(t), simulator: "http://localhost:" + freeport.Get(t)}
	d.env = []string{"ENV=development", "DODO_PRODUCT_ID=pdt_old", "DODO_SUCCESS_URL=" + d.site + "/dashboard?payment=success"}
	d.run(strings.NewReplacer(
		"{\n\tdodo {\n", "{\n\tadmin off\n\tdefault_bind 127.0.0.1\n\tdodo {\n\t\tbase_url "+d.simulator+"\n",
		"https://app.example.com", d.site,
		"\napp.example.com {", "\n"+d.site+" {",
		place, strings.TrimPrefix(app.URL, "http://"),
	).Replace(string(shipped)) + `
` + d.simulator + ` {
	dodo_simulator {
		api_key {env.DODO_PAYMENTS_API_KEY}
		webhook ` + d.site + webhook + ` {env.DODO_PAYMENTS_WEBHOOK_SECRET}
		product pdt_old {
			name "What the old code sold"
			price 1900 USD
		}
	}
}
`)
	return d
}

// signsIn gives the tab a user of its own.
func (b *tab) signsIn(user string) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, network.SetCookie, network.SetCookieParams{Name: "session", Value: user, URL: b.d.site}); err != nil {
		b.fail(err)
	}
}

// Parts of the front ends.
const (
	success   chromedp.CSS = "#banner.success"
	cancelled chromedp.CSS = "#banner.cancelled"
	failed    chromedp.CSS = "#banner.error"
	leave     chromedp.CSS = "[value=cancel]" // of the checkout page
)

// eventually waits for an expression to be true in the page, at most until the tab's time
// is up.
func (b *tab) eventually(expression string) {
	b.t.Helper()
	for b.is(expression) != "true" {
		time.Sleep(50 * time.Millisecond)
	}
}

// showed fails the test unless the page has shown these banners, one after the other.
func (b *tab) showed(want string) {
	b.t.Helper()
	if got := b.is("banners.join()"); got != want {
		b.t.Errorf("the banners were %q, want %q", got, want)
	}
}

// landed fails the test unless the customer is where the front end shows its banner.
func (b *tab) landed(want string) {
	b.t.Helper()
	if got := b.is("location.pathname + '?payment=' + new URLSearchParams(location.search).get('payment')"); got != "/dashboard?payment="+want {
		b.t.Errorf("landed on %s, want payment=%s", got, want)
	}
}

// expressHas reads the credits anew.
func (b *tab) expressHas(credits string) {
	b.t.Helper()
	b.goTo(b.d.site+"/dashboard", "#banner")
	b.eventually("credits.textContent == '" + credits + "'")
}

func expressBuys(b *tab) {
	b.eventually("credits.textContent == '3'")
	b.click("#buy", number)
	b.introduces()
	b.click(goodCard, success)
	b.landed("success")
	b.showed("processing,success")
	b.says("#banner", "Payment Successful! Your credits have been added.")
	b.says("#credits", "13")
	b.keepAll("success")
	// The account that the browser named has nothing.
	b.signsIn("abc-123")
	b.expressHas("3")
}

func expressIsDeclined(b *tab) {
	b.click("#buy", number)
	b.introduces()
	b.click(badCard, alert)
	b.click(leave, failed)
	b.landed("failed")
	b.showed("error")
	b.keepAll("failed")
	b.expressHas("3")
}

func expressCancels(b *tab) {
	b.click("#buy", number)
	b.click(leave, cancelled)
	b.landed("cancelled")
	b.showed("cancelled")
	b.keepAll("cancelled")
	b.expressHas("3")
}

func expressIsRefunded(b *tab) {
	b.click("#buy", number)
	b.introduces()
	b.click(goodCard, success)
	b.refundsNewest()
	b.eventually("profile(), credits.textContent == '3'")
}

func expressFails(b *tab) {
	b.choose("#buy-much")
	b.do(chromedp.WaitVisible(failed))
	b.says("#banner", "Payment failed: There is no such product")
	b.showed("error")
	b.keepAll("error")
}

func fastAPIBuys(b *tab) {
	b.eventually("plan.textContent == 'none'")
	b.choose("#claim") // nothing was paid yet
	b.eventually("banners.length == 1")
	b.says("#plan", "none")
	b.click("#subscribe", number)
	b.introduces()
	b.click(goodCard, success)
	b.landed("success")
	b.showed("processing,success")
	b.says("#plan", "monthly")
	b.says("#paid", "paid until 2")
	b.keepAll("success")
	b.signsIn("somebody-else")
	b.fastAPIHas("none")
	b.choose("#claim")
	b.eventually("banners.length == 1")
	b.says("#plan", "none")
}

// fastAPIHas reads the plan anew.
func (b *tab) fastAPIHas(plan string) {
	b.t.Helper()
	b.goTo(b.d.site+"/dashboard", "#banner")
	b.eventually("plan.textContent == '" + plan + "'")
}

func fastAPIIsDeclined(b *tab) {
	b.click("#subscribe", number)
	b.introduces()
	b.click(badCard, alert)
	b.click(leave, failed)
	b.landed("failed")
	b.showed("error")
	b.keepAll("failed")
	b.eventually("plan.textContent == 'pending_monthly'")
	b.says("#paid", "not paid")
}

func fastAPICancels(b *tab) {
	b.click("#subscribe", number)
	b.click(leave, cancelled)
	b.landed("cancelled")
	b.showed("cancelled")
	b.keepAll("cancelled")
	b.fastAPIHas("pending_monthly")
}

func fastAPIIsRefunded(b *tab) {
	b.click("#subscribe", number)
	b.introduces()
	b.click(goodCard, success)
	b.says("#plan", "monthly")
	b.refundsNewest()
	b.eventually("status(), plan.textContent == 'none'")
	b.says("#paid", "not paid")
}

func fastAPIFails(b *tab) {
	b.choose("#subscribe-yearly")
	b.do(chromedp.WaitVisible(failed))
	b.says("#banner", "Payment failed: There is no such product")
	b.showed("error")
}

// refundsNewest refunds the payment that was made last, as a merchant does.
func (b *tab) refundsNewest() {
	b.t.Helper()
	var payments struct {
		Items []struct {
			ID string `json:"payment_id"`
		} `json:"items"`
	}
	b.d.asMerchant(b.t, http.MethodGet, "/payments?page_size=1&status=succeeded", "", &payments)
	if len(payments.Items) != 1 {
		b.t.Fatalf("payments: %+v", payments)
	}
	var refund struct {
		ID string `json:"refund_id"`
	}
	b.d.asMerchant(b.t, http.MethodPost, "/refunds", `{"payment_id":"`+payments.Items[0].ID+`"}`, &refund)
}
