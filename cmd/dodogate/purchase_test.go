package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/dodogate/dodogate/internal/testing/httpclient"
)

// TestBrowser clicks through the demo as customers do, and keeps pictures of every step.
func TestBrowser(t *testing.T) {
	chromium := startChromium(t)
	d := newDemo(t, "")
	for _, story := range []struct {
		name string
		tell func(*tab)
	}{
		{"good-card", buysWithAGoodCard},
		{"declined-card", isDeclinedThenBuys},
		{"challenge", answersTheBank},
		{"cancel", leavesTheCheckout},
		{"keyboard", buysByKeyboard},
		{"no-credits", runsOutOfCredits},
		{"portal", usesThePortal},
	} {
		t.Run(story.name, func(t *testing.T) {
			b := d.tab(t, chromium)
			story.tell(b)
			b.staysAtHome()
		})
	}
}

// Parts of the pages.
const (
	buyPack    chromedp.CSS = "#buy-pack10"                // of the app
	number     chromedp.CSS = "#number"                    // of the checkout page
	pay        chromedp.CSS = "button.primary"             // of it, too
	goodCard   chromedp.CSS = "[value='4242424242424242']" // and its buttons
	badCard    chromedp.CSS = "[value='4000000000000002']"
	failsLater chromedp.CSS = "[value='4000000000000341']"
	alert      chromedp.CSS = "[role=alert]"
	paid       chromedp.CSS = "main.paid" // of the page that Dodo leads back to
)

// introduces fills in who buys.
func (b *tab) introduces() {
	b.t.Helper()
	b.write("#email", "ada@example.com")
	b.write("#name", "Ada Lovelace")
}

// has fails the test unless the app says how many credits the customer has.
func (b *tab) has(credits string) {
	b.t.Helper()
	b.goTo(b.d.site+"/", buyPack)
	b.says("#credits", credits)
}

func buysWithAGoodCard(b *tab) {
	b.goTo(b.d.site+"/", buyPack)
	b.keepAll("app")
	b.click(buyPack, number)
	b.keepAll("checkout")
	b.introduces()
	b.write(number, "4242 4242 4242 4242")
	b.keep("filled-in")
	b.click(pay, paid)
	b.keepAll("paid")
	b.has("10")
	b.keep("app-after")
	b.click("#generate", "#generated")
	b.keepAll("generated")
}

func isDeclinedThenBuys(b *tab) {
	b.goTo(b.d.site+"/", buyPack)
	b.click(buyPack, number)
	b.introduces()
	b.click(badCard, alert)
	b.says(alert, "declined")
	b.keepAll("declined")
	if got := b.is("document.activeElement.getAttribute('role')"); got != "alert" {
		b.t.Errorf("after a decline the focus is on %q", got)
	}
	b.write(number, "1234")
	b.click(pay, alert)
	b.says(alert, "not the number of a test card")
	b.keep("no-card")
	b.choose("details:last-of-type summary")
	b.do(chromedp.SetValue(chromedp.CSS("#reason"), "STOLEN_CARD"))
	b.keep("reasons")
	b.click("[value=decline]", alert)
	b.says(alert, "Your card was declined. Try another one.")
	b.click(goodCard, paid)
	b.has("10")
}

func answersTheBank(b *tab) {
	b.goTo(b.d.site+"/", buyPack)
	for _, answer := range []struct {
		button, leadsTo chromedp.CSS
		name            string
	}{
		{"[value=refuse]", alert, "refused"},
		{"[value=confirm]", paid, "confirmed"},
	} {
		if answer.name == "refused" {
			b.click(buyPack, number)
			b.introduces()
		}
		b.choose("#challenge")
		b.click(goodCard, answer.button)
		b.keepAll("asked")
		b.click(answer.button, answer.leadsTo)
		b.keep(answer.name)
	}
	b.has("10")
}

func leavesTheCheckout(b *tab) {
	b.goTo(b.d.site+"/", buyPack)
	b.click(buyPack, number)
	b.click("[value=cancel]", "main.cancelled")
	b.keepAll("cancelled")
	b.click(".button", number) // "Return to the checkout": nothing is lost
	b.introduces()
	b.click(goodCard, paid)
	b.has("10")
}

// press presses Tab until a part of the page has the focus, and makes sure on the way
// that everything that gets it shows that.
func (b *tab) press(until chromedp.CSS) {
	b.t.Helper()
	for range 40 {
		b.do(chromedp.KeyEvent(kb.Tab))
		if b.is("getComputedStyle(document.activeElement).outlineStyle") == "none" {
			b.t.Errorf("the focus cannot be seen on %s", b.is("document.activeElement.outerHTML"))
		}
		if b.is("document.activeElement.matches(\""+string(until)+"\")") == "true" {
			return
		}
	}
	b.t.Fatalf("Tab never gets to %s", until)
}

// buysByKeyboard has no mouse.
func buysByKeyboard(b *tab) {
	b.goTo(b.d.site+"/", buyPack)
	b.press(buyPack)
	b.keep("app")
	b.then(chromedp.KeyEvent(kb.Enter), number)
	b.press("#email")
	b.do(chromedp.KeyEvent("ada@example.com"))
	b.press("#name")
	b.do(chromedp.KeyEvent("Ada Lovelace"))
	b.press("[value='4000000000009995']") // a button, with a key that presses buttons
	b.keep("choice")
	b.then(chromedp.KeyEvent(kb.Enter), alert)
	b.press("#email") // kept by the session
	b.press("#number")
	b.do(chromedp.KeyEvent("4242424242424242"))
	b.then(chromedp.KeyEvent(kb.Enter), paid)
	b.keep("paid")
	b.has("10") // not by a link of that page: it leads on by itself, after some seconds
}

// runsOutOfCredits is shown what there is to buy instead of the app.
func runsOutOfCredits(b *tab) {
	b.goTo(b.d.site+"/", buyPack)
	b.click("#generate", "main.refusal")
	b.keepAll("offers")
	b.click("main.refusal button", number)
	b.introduces()
	b.click(goodCard, paid)
	b.has("10")
}

// portalOf makes a link to the customer portal, as a merchant does.
func (d *demo) portalOf(t *testing.T, email string) string {
	t.Helper()
	var customers struct {
		Items []struct {
			ID string `json:"customer_id"`
		} `json:"items"`
	}
	d.asMerchant(t, http.MethodGet, "/customers?email="+url.QueryEscape(email), "", &customers)
	if len(customers.Items) != 1 {
		t.Fatalf("customers of %s: %+v", email, customers)
	}
	var portal struct {
		Link string `json:"link"`
	}
	d.asMerchant(t, http.MethodPost, "/customers/"+customers.Items[0].ID+"/customer-portal/session?return_url="+url.QueryEscape(d.site+"/"), "", &portal)
	return portal.Link
}

// asMerchant calls the simulator's API with the merchant's key.
func (d *demo) asMerchant(t *testing.T, method, path, body string, into any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, d.simulator+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+demoKey)
	request.Header.Set("Content-Type", "application/json")
	answer, err := httpclient.Default.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s, %v", method, path, answer.Status, err)
	}
}

// usesThePortal subscribes and does everything there that the demo's catalog allows; the
// app sees what it does to the plan.
func usesThePortal(b *tab) {
	if _, err := chromedp.Call(b.ctx, network.SetCookie, network.SetCookieParams{Name: "demo_user", Value: "visitor-of-the-portal", URL: b.d.site}); err != nil {
		b.fail(err)
	}
	app := b.d.customerCalled("visitor-of-the-portal")
	b.goTo(b.d.site+"/", "#buy-pro")
	b.click("#buy-pro", number)
	b.keep("checkout")
	b.write("#email", "grace@example.com")
	b.write("#name", "Grace Hopper")
	b.click(goodCard, paid)
	app.eventuallySees("500 true pro")

	b.goTo(b.d.portalOf(b.t, "grace@example.com"), "article")
	b.keepAll("account")
	b.opensInvoice()
	b.click("article a", "[value=pause]")
	b.keepAll("subscription")
	b.click("[value=pause]", "[value=resume]")
	b.keep("paused")
	app.eventuallySees("500 false none")
	b.click("[value=resume]", "[value=pause]")
	app.eventuallySees("500 true pro")

	b.click("a[href*='step=method']", "#new")
	b.keepAll("method")
	b.click("[value=method]", number)
	b.keepAll("new-card")
	b.click(failsLater, "[value=pause]")
	b.says("dl", "Visa ending in 0341")

	b.click("a[href*='step=cancel']", "#end")
	b.keepAll("cancel")
	b.click("[value=cancel]", "[value=keep]")
	b.says("[role=status]", "will end with the period")
	b.keepAll("ending")
	b.click("[value=keep]", "[value=pause]")
	b.click("a[href*='step=cancel']", "#end")
	b.choose("label[for=now]")
	b.click("[value=cancel]", "[role=status]")
	b.says("[role=status]", "has ended")
	b.keep("cancelled")
	app.eventuallySees("500 false none")
	b.click(".foot a", "#buy-pro")
}

// opensInvoice reads the invoice that the page links to.
func (b *tab) opensInvoice() {
	b.t.Helper()
	answer, err := httpclient.Default.Get(b.is("document.querySelector('a[href*=invoices]').href"))
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.Header.Get("Content-Type") != "application/pdf" || !strings.HasPrefix(string(body), "%PDF-") {
		b.t.Errorf("the invoice: %s, %v, %.60q", answer.Status, err, body)
	}
}

// customerCalled is the customer without a browser who has a name at the demo's login.
func (d *demo) customerCalled(name string) customer {
	d.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		d.t.Fatal(err)
	}
	site, err := url.Parse(d.site)
	if err != nil {
		d.t.Fatal(err)
	}
	jar.SetCookies(site, []*http.Cookie{{Name: "demo_user", Value: name}})
	return customer{&http.Client{Jar: jar, Timeout: httpclient.Timeout}, d}
}
