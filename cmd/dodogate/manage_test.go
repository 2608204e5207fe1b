package main

import (
	"testing"

	"github.com/chromedp/chromedp"
)

// sellsTeam adds a second plan to the demo, and pages that need it.
var sellsTeam = []string{
	"\t\tproduct pro {\n", "\t\tproduct team {\n\t\t\tid pdt_demo_team\n\t\t\ttitle \"Team, monthly\"\n\t\t\tplan team\n\t\t}\n\t\tproduct pro {\n",
	"\tdodo_charge /generate 1\n", "\tdodo_charge /generate 1\n\tdodo_require /team/* plan team\n",
	"\t\tproduct pdt_demo_pro {\n", "\t\tproduct pdt_demo_team {\n\t\t\tname \"Team, monthly\"\n\t\t\tprice 4500 USD\n\t\t\tevery month\n\t\t}\n\t\tproduct pdt_demo_pro {\n",
}

// Parts of the pages about subscriptions.
const (
	buyPro     chromedp.CSS = "#buy-pro"                               // of the app
	refusal    chromedp.CSS = "main.refusal"                           // of the gateway
	subscribed chromedp.CSS = "main.subscribed"                        // of it, too
	toPortal   chromedp.CSS = "form[action='/payments/portal'] button" // of both
	change     chromedp.CSS = "form[action$='/subscription/change'] button"
	cancelNow  chromedp.CSS = "form[action$='/subscription/cancel'] button"
)

// TestBrowserManages is a customer with a subscription: buying it again leads to the portal,
// where it is cancelled and kept after all; a page for another plan offers the change.
func TestBrowserManages(t *testing.T) {
	chromium := startChromium(t)
	d := newDemo(t, "", sellsTeam...)
	b := d.tab(t, chromium)
	b.goTo(d.site+"/", buyPro)
	b.click(buyPro, number)
	b.introduces()
	b.click(goodCard, paid)
	b.goTo(d.site+"/", buyPro)
	b.says("#plan", "pro")

	b.click(buyPro, subscribed)
	b.says("h1", "You have this already")
	b.keepAll("already-subscribed")
	b.click(toPortal, "article")
	b.click("article a", "[value=pause]")
	b.click("a[href*='step=cancel']", "#end")
	b.click("[value=cancel]", "[value=keep]")
	b.says("[role=status]", "will end with the period")
	b.click("[value=keep]", "[value=pause]")

	b.goTo(d.site+"/team/report", refusal)
	for b.is("document.querySelector('main.refusal form').action.endsWith('/subscription/change')") != "true" {
		b.goTo(d.site+"/team/report", refusal) // until the webhook has come that it is kept
	}
	b.says("main.refusal form:first-of-type", "Change to Team, monthly, 45.00 USD every month")
	b.keepAll("change-offered")
	b.click(change, "main.change")
	b.says("main.change", "Next payment")
	b.keepAll("change-previewed")
	b.click(change, "#plan")
	b.says("#plan", "team")
	if got := b.is("location.pathname"); got != "/team/report" {
		b.t.Errorf("the change leads to %s", got)
	}
	b.keep("changed")

	b.goTo(d.site+"/", buyPro)
	b.is("document.querySelector('#buy-pro').form.querySelector('input').value = 'team'")
	b.click(buyPro, subscribed)
	b.click(cancelNow, buyPro) // it ends with the period, so that the plan is still there
	b.says("#plan", "team")
	b.staysAtHome()
}
