package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/dodogate/dodogate/internal/dodo"
)

// Parts of the console.
const (
	findField    chromedp.CSS = "#find"
	findButton   chromedp.CSS = "header form button"
	foundFirst   chromedp.CSS = "main dd a"
	verdict      chromedp.CSS = ".verdict"
	toParked     chromedp.CSS = "nav a[href='/dodo/console/parked']"
	toSales      chromedp.CSS = "nav a[href='/dodo/console/sales']"
	toAccounts   chromedp.CSS = "nav a[href='/dodo/console/accounts']"
	firstAccount chromedp.CSS = "main li a"
	tryAgain     chromedp.CSS = "section form[action='/dodo/console/redrive'] button"
	assignTo     chromedp.CSS = "section input[name=account]"
	assignButton chromedp.CSS = "section form[action='/dodo/console/assign'] button"
)

// TestBrowserConsole: in the demo, an operator finds a customer and assigns a parked purchase
// to an account.
func TestBrowserConsole(t *testing.T) {
	chromium := startChromium(t)
	axe := readAxe(t)
	d := newDemo(t, "")
	customer := d.tab(t, chromium)
	customer.goTo(d.site+"/", "#buy-pack10")
	customer.click("#buy-pack10", number)
	customer.introduces()
	customer.click(goodCard, paid)
	dodoAPI, err := dodo.New(dodo.Options{APIKey: demoKey, BaseURL: d.simulator})
	if err != nil {
		t.Fatal(err)
	}
	past, err := dodoAPI.CreateCheckout(t.Context(), &dodo.Checkout{ProductID: "pdt_demo_pack10", Quantity: 1, ReturnURL: d.site + "/"})
	if err != nil {
		t.Fatal(err)
	}
	customer.goTo(past.URL, number)
	customer.introduces()
	customer.click(goodCard, "#credits")

	b := d.tab(t, chromium)
	looks := func(name string) {
		t.Helper()
		b.keepAll(name)
		b.passes(axe, name)
	}
	b.goTo(d.admin+"/dodo/", findField) // typed in: it comes from nowhere
	b.says("main", "It answers.")
	looks("overview")
	b.click(toSales, "svg rect")
	b.says(verdict, "In the last 30 days, pack10 made most: 5.00 USD with 1 payment.")
	looks("sales")
	b.click(toAccounts, firstAccount)
	looks("accounts")
	b.click(firstAccount, verdict)
	b.says(verdict, "can spend 10 credits and has no plan.")
	looks("account")
	account := b.is("document.querySelector('h1').textContent")
	b.write(findField, account)
	b.click(findButton, foundFirst)
	looks("found")
	b.click(foundFirst, verdict)

	b.click(toParked, "h1")
	for b.is("document.querySelectorAll('section').length") == "0" {
		b.click(toParked, "h1") // until the webhook has come
	}
	b.says("section", "Assign it to an account.")
	looks("parked")
	b.click(tryAgain, "h1")
	b.says("main", "It stays parked")
	looks("tried-again")
	b.click(toParked, assignTo)
	b.write(assignTo, account)
	b.click(assignButton, firstAccount)
	b.says("main", "belongs to "+account)
	b.click(firstAccount, verdict)
	b.says(verdict, "can spend 20 credits")
	b.goTo(d.admin+"/dodo/console/account?id=nobody", "h1")
	b.says("main", "was never seen")
	looks("never-seen")

	b.mu.Lock()
	defer b.mu.Unlock()
	for _, request := range b.requests {
		if !strings.HasPrefix(request.Request.URL, d.admin+"/dodo/") {
			t.Errorf("the console asks for %s", request.Request.URL)
		}
	}
	for _, what := range b.errors {
		t.Error("the browser complains:", what)
	}
}

// readAxe reads the script that looks for what keeps people from using a page.
func readAxe(t *testing.T) string {
	t.Helper()
	script, err := os.ReadFile(filepath.Join("testdata", "axe", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		missing := "axe-core is missing, and with it what it finds on the pages: run .ci/deps"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Log(missing)
	}
	return string(script)
}

// passes fails the test if axe finds something on the page, by day or by night. Without
// axe it does nothing.
func (b *tab) passes(axe, name string) {
	b.t.Helper()
	if axe == "" {
		return
	}
	const run = `axe.run().then(r => r.violations.map(v => v.id + ": " + v.nodes.map(n => n.html + " " + n.failureSummary).join("; ")).join("\n"))`
	for _, colours := range []string{"dark", "light"} {
		b.do(scheme(colours))
		b.is(axe + "; 'there'")
		found, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](run, chromedp.EvalAwaitPromise))
		if err != nil {
			b.fail(err)
		}
		if found != "" {
			b.t.Errorf("%s, %s: %s", name, colours, found)
		}
	}
}
