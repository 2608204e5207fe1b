package main

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// Parts of the console.
const (
	findField    chromedp.CSS = "#find"
	findButton   chromedp.CSS = "header form button"
	firstFound   chromedp.CSS = "main dd a"
	verdict      chromedp.CSS = ".verdict"
	parkedLink   chromedp.CSS = "nav a[href='/dodo/console/parked']"
	dismissForm  chromedp.CSS = "form[action='/dodo/console/dismiss'] button"
	redriveForm  chromedp.CSS = "section form[action='/dodo/console/redrive'] button"
	consoleLists chromedp.CSS = "nav a[href='/dodo/console/accounts']"
	firstAccount chromedp.CSS = "main li a"
)

// TestBrowserConsole is an operator at the demo, who finds a customer and decides about a
// purchase that nothing leads to an account.
func TestBrowserConsole(t *testing.T) {
	chromium := startChromium(t)
	d := newDemo(t, "")
	b := d.tab(t, chromium)
	b.goTo(d.site+"/", "#buy-pack10")
	b.click("#buy-pack10", number)
	b.introduces()
	b.click(goodCard, paid)

	operator := d.tab(t, chromium)
	operator.goTo(d.admin+"/dodo/", findField) // typed in: it comes from nowhere
	operator.says("main", "It answers.")
	operator.keepAll("console-overview")
	operator.click(consoleLists, firstAccount)
	operator.click(firstAccount, verdict)
	operator.says(verdict, "can spend 10 credits and has no plan.")
	operator.keepAll("console-account")
	account := operator.is("document.querySelector('h1').textContent")
	operator.write(findField, account)
	operator.click(findButton, firstFound)
	operator.keepAll("console-found")
	operator.click(firstFound, verdict)
	operator.click(parkedLink, "h1")
	operator.says("main", "Nothing is parked.")

	operator.mu.Lock()
	defer operator.mu.Unlock()
	for _, request := range operator.requests {
		if !strings.HasPrefix(request.Request.URL, d.admin+"/dodo/") {
			t.Errorf("the console asks for %s", request.Request.URL)
		}
	}
	for _, what := range operator.errors {
		t.Error("the browser complains:", what)
	}
}
