package caddymodule_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// browses asks the console for a page, or sends it a form, as a browser does that comes
// from another page of it. header replaces what the browser says.
func (b *bench) browses(path string, form url.Values, header ...string) answer {
	b.t.Helper()
	method := http.MethodGet
	if form != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequest(method, "http://"+b.Admin+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Close = true // a reload closes connections
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	req.Header.Set("Sec-Fetch-Mode", "navigate")
	req.Header.Set("Referer", "http://"+b.Admin+"/dodo/")
	if form != nil {
		req.Header.Set("Origin", "http://"+b.Admin)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i+1] == "" {
			req.Header.Del(header[i])
		}
	}
	return b.send(req)
}

// sees asks for a page and wants words on it.
func (b *bench) sees(path string, words ...string) answer {
	b.t.Helper()
	a := b.browses(path, nil)
	b.isPage(a, http.StatusOK, words...)
	return a
}

func (b *bench) isPage(a answer, status int, words ...string) {
	b.t.Helper()
	if a.status != status || a.header.Get("Content-Type") != "text/html; charset=utf-8" {
		b.t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
	_, content, _ := strings.Cut(a.body, "<main")
	for _, word := range words {
		if !strings.Contains(a.body, word) {
			b.t.Errorf("the page does not say %q: %s", word, content)
		}
	}
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin",
	} {
		if got := a.header.Get(name); got != want {
			b.t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	policy := a.header.Get("Content-Security-Policy")
	if !regexp.MustCompile(`^default-src 'none'; style-src 'sha256-[^']+'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'$`).MatchString(policy) {
		b.t.Errorf("policy %q", policy)
	}
	for _, not := range []string{"<script", "http://", "https://", "buyer@example.com", "checkout.dodo"} {
		if strings.Contains(a.body, not) {
			b.t.Errorf("the page has %s in it: %s", not, content)
		}
	}
}

var tokenOf = regexp.MustCompile(`name="token" value="([A-Z0-9]+)"`)

// sellsElsewhere has somebody pay for pack10 past the checkout of ours.
func (b *bench) sellsElsewhere(sim *dodosim.Simulator) (paymentID string) {
	b.t.Helper()
	client, err := dodo.New(dodo.Options{APIKey: "test_api_key", BaseURL: b.Dodo})
	if err != nil {
		b.t.Fatal(err)
	}
	session, err := client.CreateCheckout(b.t.Context(), &dodo.Checkout{ProductID: "pdt_pack10", Quantity: 1, ReturnURL: "http://localhost:8080/"})
	if err != nil {
		b.t.Fatal(err)
	}
	attempt, err := sim.Pay(session.ID, dodosim.CardVisa)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := sim.Flush(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	return attempt.PaymentID
}

// TestConsole: the console shows accounts, finds them by any id, and lets an operator redrive,
// assign or dismiss parked events.
func TestConsole(t *testing.T) {
	b := newBench(t)
	sim := newSimulator(t, b, "")
	b.mustLoad(caddyfile(off(usualDodo), usualProxy))
	payment := b.buys(sim, "alice", "pack10")
	stray := b.sellsElsewhere(sim)
	b.sees("/dodo/", "It answers.", "1 parked events", "No pass has ended")
	b.sees("/dodo/console/accounts", `href="/dodo/console/account?id=alice"`)
	b.sees("/dodo/console/account?id=alice", "alice can spend 13 credits and has no plan.", "In all, 13 credits were given.", payment, "pack10", "ord_")
	b.isPage(b.browses("/dodo/console/account?id=nobody", nil), 404, "was never seen")

	order := regexp.MustCompile(`ord_[A-Za-z0-9_-]{22}`).FindString(b.sees("/dodo/console/account?id=alice").body)
	search := tokenOf.FindStringSubmatch(b.sees("/dodo/").body)
	finds := func(text string, status int, words ...string) {
		t.Helper()
		b.isPage(b.browses("/dodo/console/find", url.Values{"token": {search[1]}, "q": {text}}), status, words...)
	}
	for _, id := range []string{"alice", payment, order} {
		finds(" "+id+" ", 200, `href="/dodo/console/account?id=alice"`)
	}
	finds("nothing", 404, "was ever seen")
	if a := b.browses("/dodo/console/find?q=alice@example.com", nil); a.status != 405 { // the log has addresses of pages
		t.Errorf("what is looked for may be in the address: %d", a.status)
	}
	b.sees("/dodo/console/sales", "In the last 30 days, pack10 made most: 5.00 USD with 1 payment.", "<rect")
	b.isPage(b.browses("/dodo/console/sales?days=0", nil), 400, "1 to 366")

	page := b.sees("/dodo/console/parked", "payment:"+stray, "Assign it to an account.", "Dismiss")
	token, link := tokenOf.FindStringSubmatch(page.body), regexp.MustCompile(`href="/dodo/console/event\?id=([^"]+)"`).FindStringSubmatch(page.body)
	if token == nil || link == nil {
		t.Fatalf("no form, or no link to the event: %s", page.body)
	}
	event := link[1]
	finds(event, 200, link[0])
	act := func(what string, fields ...string) answer {
		form := url.Values{"token": {token[1]}}
		for i := 0; i < len(fields); i += 2 {
			form.Set(fields[i], fields[i+1])
		}
		return b.browses("/dodo/console/"+what, form)
	}
	b.isPage(act("redrive", "id", event), 200, "it is parked now", "unknown_account")
	b.isPage(act("dismiss", "id", event), 200, "Nothing is to be done about the event "+event)
	b.isPage(act("redrive", "id", event), 200, "it is parked now")
	// A form that was opened before a reload is still good.
	b.mustLoad(caddyfile(off(usualDodo)+"\n\tmetrics", usualProxy))
	b.isPage(act("redrive"), 200, "1 events were tried again, and 0 of them", "unknown_account: 1.")
	b.isPage(act("assign", "what", event, "account", "bob"), 200, "payment:"+stray+" belongs to bob now.")
	b.isPage(act("assign", "what", event, "account", "carol"), 409, "belongs to the account")
	b.isPage(act("redrive", "id", "evt_unknown"), 404, "not in the journal")
	b.sees("/dodo/console/account?id=bob", "bob can spend 10 credits")
	b.sees("/dodo/console/parked", "Nothing is parked.")
	if got := b.credits("bob"); got != "10" {
		t.Errorf("bob has %s credits", got)
	}
}

// The ledger of a busy account comes in pages.
func TestConsoleLedgerPages(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(off(strings.Replace(usualDodo, "signup_credits 3", "signup_credits 100", 1)), usualGateway+"\n\tdodo_charge /charged 1\n\treverse_proxy {{Upstream}}"))
	for range 60 {
		b.do("GET", "/charged", "", "X-Test-User", "alice")
	}
	eventually(t, "charges are written behind the answers", func() string {
		account := adminJSON[struct {
			LastEntry int `json:"last_entry"`
		}](b, "GET", "/dodo/accounts/alice")
		if account.LastEntry != 61 {
			return fmt.Sprintf("%d entries", account.LastEntry)
		}
		return ""
	})
	page := b.sees("/dodo/console/account?id=alice", "alice can spend 40 credits")
	older := regexp.MustCompile(`href="(/dodo/console/account\?[^"]+)#ledger">Older`).FindStringSubmatch(page.body)
	if older == nil || strings.Count(page.body, "<td>capture</td>") != 50 {
		t.Fatalf("not a page of 50 entries: %s", page.body)
	}
	page = b.sees(strings.ReplaceAll(older[1], "&amp;", "&"))
	if n := strings.Count(page.body, "<td>capture</td>"); n != 10 || strings.Contains(page.body, "Older entries") {
		t.Errorf("%d older entries", n)
	}
}

// A text that comes from outside stays a text.
func TestConsoleShowsTexts(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(off(usualDodo), usualProxy))
	for name, tt := range map[string]struct{ account, shown string }{
		"markup":       {`"><script>alert(1)</script>`, "&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"},
		"a link":       {`javascript:alert(1)`, `javascript:alert(1)`},
		"a template":   {`{{.Token}}`, `{{.Token}}`},
		"a separator":  {`a&b=c#d/../e`, `a&amp;b=c#d/../e`},
		"spaces":       {"a b", "a b"},
		"no text":      {"a\xff", `&#34;a\xff&#34;`},
		"turned round": {"a\u202eb", `&#34;a\u202eb&#34;`},
	} {
		t.Run(name, func(t *testing.T) {
			page := "/dodo/console/account?" + url.Values{"id": {tt.account}}.Encode()
			a := b.browses(page, nil)
			b.isPage(a, 404, tt.shown)
			if tt.account != "a\xff" && tt.account != "a\u202eb" { // what HTTP can say as a header
				b.do("GET", "/app", "", "X-Test-User", tt.account)
				a = b.browses(page, nil)
				b.isPage(a, 200, tt.shown+" can spend 3 credits")
				list := b.sees("/dodo/console/accounts", tt.shown)
				for _, link := range regexp.MustCompile(`<a href="([^"]*)"`).FindAllStringSubmatch(list.body, -1) {
					if !strings.HasPrefix(link[1], "/dodo/") {
						t.Errorf("a link leads to %s", link[1])
					}
				}
			}
			if strings.Contains(a.body, "<script") {
				t.Errorf("markup of the account is markup of the page: %s", a.body)
			}
		})
	}
}

// Only the console sends forms to the console.
func TestConsoleRefusesForgeries(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(off(usualDodo), usualProxy))
	b.paidElsewhere()
	token := tokenOf.FindStringSubmatch(b.sees("/dodo/console/parked").body)[1]
	own := "http://" + b.Admin
	good := url.Values{"token": {token}, "id": {"msg_1"}}
	for name, tt := range map[string]struct {
		form   url.Values
		header []string
		status int
	}{
		"another site":                 {good, []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}, 403},
		"another port":                 {good, []string{"Origin", "http://127.0.0.1:1", "Sec-Fetch-Site", "same-site"}, 403},
		"an origin of nobody":          {good, []string{"Origin", "null", "Sec-Fetch-Site", "cross-site"}, 400},
		"a browser that hides it":      {good, []string{"Origin", "", "Referer", own + "/", "Sec-Fetch-Site", "cross-site"}, 403},
		"an old browser":               {good, []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "", "Sec-Fetch-Mode", ""}, 403},
		"no token":                     {url.Values{"id": {"msg_1"}}, nil, 403},
		"an empty token":               {url.Values{"id": {"msg_1"}, "token": {""}}, nil, 403},
		"another token":                {url.Values{"id": {"msg_1"}, "token": {"AAAA"}}, nil, 403},
		"no token, by a program":       {url.Values{"id": {"msg_1"}}, []string{"Origin", "", "Referer", "", "Sec-Fetch-Site", "", "Sec-Fetch-Mode", ""}, 403},
		"a field twice":                {url.Values{"token": {token}, "id": {"msg_1", "msg_2"}}, nil, 400},
		"a field that is not known":    {url.Values{"token": {token}, "id": {"msg_1"}, "x": {""}}, nil, 400},
		"what is no form":              {good, []string{"Content-Type", "text/plain"}, 400},
		"a form that is much too long": {url.Values{"token": {token}, "id": {strings.Repeat("a", 10_000)}}, nil, 400},
	} {
		t.Run(name, func(t *testing.T) {
			if a := b.browses("/dodo/console/dismiss", tt.form, tt.header...); a.status != tt.status {
				t.Errorf("%d %s, want %d", a.status, a.body, tt.status)
			}
		})
	}
	for name, tt := range map[string]struct {
		path, method string
		header       []string
		status       int
	}{
		"a page for another site": {"/dodo/console/parked", "GET", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"an act by GET":           {"/dodo/console/dismiss?id=msg_1&token=" + token, "GET", nil, 405},
		"a page by POST":          {"/dodo/console/parked", "POST", nil, 405},
		"no such page":            {"/dodo/console/", "GET", nil, 404},
		"a long query":            {"/dodo/console/account?id=" + strings.Repeat("a", 300), "GET", nil, 400},
		"a number that is none":   {"/dodo/console/account?id=a&before=-1", "GET", nil, 400},
		"a place that is none":    {"/dodo/console/parked?after=%21", "GET", nil, 400},
	} {
		t.Run(name, func(t *testing.T) {
			var form url.Values
			if tt.method == http.MethodPost {
				form = good
			}
			if a := b.browses(tt.path, form, tt.header...); a.status != tt.status {
				t.Errorf("%d %s, want %d", a.status, a.body, tt.status)
			}
		})
	}
	// A host that only looks like ours, as after DNS rebinding, is turned away by Caddy.
	req, err := http.NewRequest(http.MethodGet, own+"/dodo/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "evil.example"
	if a := b.send(req); a.status != http.StatusForbidden {
		t.Errorf("another host: %d", a.status)
	}
	b.sees("/dodo/console/event?id=msg_1", "parked, unknown_account")
}

// With the origin "", which the console needs, a page of another site can have a browser open
// an address. It gets no answer from the API, either.
func TestAdminRefusesHiddenSites(t *testing.T) {
	b := newBench(t)
	b.mustLoad(strings.Replace(caddyfile(off(usualDodo), usualProxy), "admin {{Admin}}", "admin {{Admin}} {\n\t\torigins {{Admin}} \"\"\n\t}", 1))
	for name, tt := range map[string]struct {
		site, referer, mode string
		status              int
	}{
		"typed in":               {"none", "", "navigate", 200},
		"a link of the console":  {"same-origin", "http://" + b.Admin + "/dodo/", "navigate", 200},
		"a program":              {"", "", "", 200},
		"another site":           {"cross-site", "", "navigate", 403},
		"another port":           {"same-site", "", "navigate", 403},
		"another site, by name":  {"cross-site", "https://evil.example/", "navigate", 403},
		"another site's picture": {"cross-site", "", "no-cors", 400},
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"/dodo/health", "/dodo/accounts", "/dodo/accounts/alice"} {
				a := b.browses(path, nil, "Sec-Fetch-Site", tt.site, "Referer", tt.referer, "Sec-Fetch-Mode", tt.mode)
				if a.status != tt.status {
					t.Errorf("%s: %d %s, want %d", path, a.status, a.body, tt.status)
				}
			}
		})
	}
}

// While the store is away, the console says so.
func TestConsoleWithoutStore(t *testing.T) {
	b := newBench(t)
	server := redistest.Start(t)
	b.mustLoad(caddyfile(off(onRedis("redis "+server.URL())), usualProxy))
	b.sees("/dodo/", "It answers.")
	server.Kill()
	b.sees("/dodo/", "Look at this. ", "store unavailable", "Passes over Dodo")
	b.isPage(b.browses("/dodo/console/account?id=alice", nil), 503, "The store does not answer")
}

// Without a dodo block there is nothing to show.
func TestConsoleWithoutApp(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile("", "respond ok"))
	if a := b.browses("/dodo/", nil); a.status != http.StatusNotFound {
		t.Errorf("%d %s", a.status, a.body)
	}
}
