package caddymodule_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// example runs a Caddyfile of docs/examples as it is, but for where things are.
func example(t *testing.T, name string, places ...string) (*bench, *dodosim.Simulator) {
	t.Helper()
	text, err := os.ReadFile("../docs/examples/" + name + ".Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	return run(t, string(text), places...)
}

func run(t *testing.T, text string, places ...string) (*bench, *dodosim.Simulator) {
	t.Helper()
	b := newBench(t)
	sim := shop(t, b)
	b.shipped(text, places...)
	return b, sim
}

// shipped loads a Caddyfile that users copy, with other places in it.
func (b *bench) shipped(text string, places ...string) {
	b.t.Helper()
	b.t.Setenv("DODO_PAYMENTS_API_KEY", "test_api_key")
	b.t.Setenv("DODO_PAYMENTS_WEBHOOK_SECRET", webhookSecret)
	b.mustLoad(strings.NewReplacer(append(places,
		"{\n\tdodo {\n", "{\n\tadmin {{Admin}}\n\tdodo {\n\t\tbase_url {{Dodo}}\n\t\tstore bolt {{Dir}}/dodogate.db\n",
		"https://app.example.com", "http://127.0.0.1:{{Port}}",
		"\napp.example.com {", "\nhttp://127.0.0.1:{{Port}} {",
		"pdt_from_your_dashboard", "pdt_pack10",
		"/srv/site", "{{Dir}}",
	)...).Replace(text))
}

// as is the header of somebody who is logged in by name and password.
func as(user string) []string {
	return []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+user))}
}

var buttonFields = regexp.MustCompile(`<input type="hidden" name="([a-z_]+)" value="([^"]*)">`)

// click buys by the first button of a page, and pays.
func (b *bench) click(sim *dodosim.Simulator, user, page string) {
	b.t.Helper()
	_, form, found := strings.Cut(page, `<form method="post" action="/payments/checkout">`)
	if !found {
		b.t.Fatalf("no button: %s", page)
	}
	form, _, _ = strings.Cut(form, "</form>")
	var fields []string
	for _, m := range buttonFields.FindAllStringSubmatch(form, -1) {
		fields = append(fields, m[1]+"="+m[2])
	}
	a := b.do("POST", "/payments/checkout", strings.Join(fields, "&"),
		append(as(user), "Content-Type", "application/x-www-form-urlencoded", "Accept", "text/html", "Sec-Fetch-Site", "same-origin")...)
	to := a.header.Get("Location")
	if a.status != http.StatusSeeOther {
		b.t.Fatalf("the form is answered with %d %s", a.status, a.body)
	}
	if _, err := sim.Pay(to[strings.LastIndex(to, "/")+1:], "4242424242424242"); err != nil {
		b.t.Fatal(err)
	}
}

func TestPaidDownload(t *testing.T) {
	b, sim := example(t, "paid-download")
	b.write("downloads/book.pdf", "%PDF, the whole book")
	b.write("index.html", "welcome")
	if a := b.do("GET", "/", "", as("alice")...); a.body != "welcome" {
		t.Errorf("%d %s", a.status, a.body)
	}
	browser := append(as("alice"), "Accept", "text/html")
	a := b.do("GET", "/downloads/book.pdf", "", browser...)
	if a.status != 402 || strings.Contains(a.body, "PDF") {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for _, path := range []string{"/downloads/../downloads/book.pdf", "//downloads/book.pdf", "/%64ownloads/book.pdf", "/downloads%2fbook.pdf", "/downloads/"} {
		if a := b.do("GET", path, "", browser...); a.status != 402 {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	b.click(sim, "alice", a.body)
	if a = b.do("GET", "/downloads/book.pdf", "", append(browser, "Range", "bytes=0-3")...); a.status != 206 || a.body != "%PDF" {
		t.Errorf("who has paid gets %d %s", a.status, a.body)
	}
	if a = b.do("GET", "/downloads/book.pdf", "", as("bob")...); a.status != 402 {
		t.Errorf("somebody else gets %d", a.status)
	}
}

func TestPlanUpstream(t *testing.T) {
	answering := func(text string) string {
		return newServer(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
	}
	b, sim := example(t, "plan-upstream", "fast:3000", answering("fast"), "slow:3000", answering("slow"))
	if a := b.do("GET", "/app", "", as("alice")...); a.body != "slow" {
		t.Errorf("%d %s", a.status, a.body)
	}
	b.problem(b.do("GET", "/reports/1", "", as("alice")...), 402, "plan_required")
	a := b.do("GET", "/reports/1", "", append(as("alice"), "Accept", "text/html")...)
	b.click(sim, "alice", a.body)
	for _, path := range []string{"/reports/1", "/app"} {
		if a := b.do("GET", path, "", as("alice")...); a.body != "fast" {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a := b.do("GET", "/app", "", as("bob")...); a.body != "slow" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestPlanLimit(t *testing.T) {
	app := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	b, sim := example(t, "plan-limit", "app:3000", app)
	upload := strings.Repeat("x", 200<<10)
	if a := b.do("POST", "/upload", upload, as("alice")...); a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := b.do("POST", "/upload", upload[:50<<10], as("alice")...); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	a := b.do("POST", "/payments/checkout", `{"plan":"pro"}`, append(as("alice"), "Content-Type", "application/json")...)
	session := regexp.MustCompile(`"session_id":"([^"]+)"`).FindStringSubmatch(a.body)
	if session == nil {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if _, err := sim.Pay(session[1], "4242424242424242"); err != nil {
		t.Fatal(err)
	}
	sim.HoldWebhooks(false)
	for _, e := range sim.Events() {
		if _, err := sim.Redeliver(t.Context(), e.ID); err != nil {
			t.Fatal(err)
		}
	}
	if a := b.do("POST", "/upload", upload, as("alice")...); a.status != http.StatusOK {
		t.Errorf("pro: %d %s", a.status, a.body)
	}
}

// A rate limit from a plug-in goes by the plan through matchers of Caddy's own, and
// counts by the account.
func TestPlanRate(t *testing.T) {
	b := newBench(t)
	sim := shop(t, b)
	sim.HoldWebhooks(false)
	b.mustLoad(caddyfile(strings.Replace(usualDodo, "credits 10", "plan pro", 1), usualGateway+`
	@pro vars {http.dodo.plan} pro
	@others expression {http.dodo.plan} != "pro"
	test_rate @pro {http.dodo.account} 5
	test_rate @others {http.dodo.account} 2
	reverse_proxy {{Upstream}}`))
	passes := func(user string, want int) {
		t.Helper()
		n := 0
		for range 10 {
			switch a := b.do("GET", "/app", "", "X-Test-User", user); a.status {
			case http.StatusOK:
				n++
			case http.StatusTooManyRequests:
			default:
				t.Fatal(a.status, a.body)
			}
		}
		if n != want {
			t.Errorf("%d requests of %s pass, want %d", n, user, want)
		}
	}
	passes("alice", 2)
	a := b.do("POST", "/payments/checkout", `{"plan":"pro"}`, "Content-Type", "application/json", "X-Test-User", "alice")
	session := regexp.MustCompile(`"session_id":"([^"]+)"`).FindStringSubmatch(a.body)
	if session == nil {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if _, err := sim.Pay(session[1], "4242424242424242"); err != nil {
		t.Fatal(err)
	}
	if err := sim.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	passes("alice", 5)
	passes("bob", 2)
}

// rate is the smallest rate limit: so many requests by key, for ever.
type rate struct {
	Key  string `json:"key"`
	Most int    `json:"most"`

	mu   sync.Mutex
	seen map[string]int
}

func (*rate) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_rate", New: func() caddy.Module { return new(rate) }}
}

func (l *rate) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	key := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).ReplaceAll(l.Key, "")
	l.mu.Lock()
	if l.seen == nil {
		l.seen = map[string]int{}
	}
	l.seen[key]++
	over := l.seen[key] > l.Most
	l.mu.Unlock()
	if over {
		return caddyhttp.Error(http.StatusTooManyRequests, nil)
	}
	return next.ServeHTTP(w, r)
}

func init() {
	caddy.RegisterModule(new(rate))
	httpcaddyfile.RegisterHandlerDirective("test_rate", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		h.Next()
		l, args := new(rate), h.RemainingArgs()
		if len(args) != 2 {
			return nil, h.ArgErr()
		}
		l.Key = args[0]
		var err error
		l.Most, err = strconv.Atoi(args[1])
		return l, err
	})
	httpcaddyfile.RegisterDirectiveOrder("test_rate", httpcaddyfile.Before, "handle")
}

func TestAPIPrices(t *testing.T) {
	app := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if price := r.URL.Query().Get("price"); price != "" {
			w.Header().Set("X-Charge-Credits", price)
		}
		if r.URL.Path == "/api/images/missing" {
			w.WriteHeader(http.StatusNotFound)
		}
	})
	b, sim := example(t, "api-prices", "app:3000", app)
	for _, tt := range []struct{ path, want string }{
		{"/", "/"}, {"/api/search", "1/19"}, {"/api/images/1", "5/14"}, {"/api/images/missing", "0/14"},
	} {
		if a := b.do("GET", tt.path, "", as("alice")...); receipts(a.header) != tt.want {
			t.Errorf("%s: %d, receipts %s, want %s", tt.path, a.status, receipts(a.header), tt.want)
		}
	}
	a := b.do("GET", "/api/chat", "", append(as("alice"), "Accept", "text/html")...)
	if a.status != 402 { // 15 are held for it
		t.Fatalf("%d %s", a.status, a.body)
	}
	b.click(sim, "alice", a.body)
	for _, tt := range []struct{ path, want string }{{"/api/chat", "1/113"}, {"/api/chat?price=7", "7/106"}, {"/api/chat?price=99", "15/91"}} {
		a := b.do("GET", tt.path, "", as("alice")...)
		if receipts(a.header) != tt.want || a.header.Get("X-Charge-Credits") != "" {
			t.Errorf("%s: %d %v, receipts %s, want %s", tt.path, a.status, a.header, receipts(a.header), tt.want)
		}
		left, _ := strconv.ParseInt(a.header.Get("X-Credits-Remaining"), 10, 64)
		b.leaves("alice", left, as("alice")...)
	}
}

func TestBalancePage(t *testing.T) {
	b, _ := example(t, "balance")
	text, err := os.ReadFile("../docs/examples/balance.Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	var page strings.Builder
	for line := range strings.Lines(string(text)) {
		if code, ok := strings.CutPrefix(line, "#\t"); ok {
			page.WriteString(code)
		}
	}
	b.write("balance.html", page.String())
	a := b.do("GET", "/balance.html", "", as("alice")...)
	if want := "<p>alice, you have\n3 credits and the plan none.</p>\n"; a.body != want || a.header.Get("Cache-Control") != "private, no-store" {
		t.Errorf("%d %v %q", a.status, a.header, a.body)
	}
}

// write makes a file of the site.
func (b *bench) write(name, text string) {
	b.t.Helper()
	name = filepath.Join(b.Dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}
