package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dodogate/dodogate/internal/testing/freeport"
	"github.com/dodogate/dodogate/internal/testing/httpclient"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// TestMain lets the test binary be dodogate itself, or an attacker, so that the tests and
// their scripts run real processes and can kill them.
func TestMain(m *testing.M) {
	if os.Getenv("DODOGATE_TEST_RUN_MAIN") != "" {
		main()
		return
	}
	if order := os.Getenv(attackVariable); order != "" {
		attackMain(order)
		return
	}
	testscript.Main(m, map[string]func(){"dodogate": main})
}

// demo is the shipped Caddyfile, running in a process of its own on free ports.
type demo struct {
	t               *testing.T
	dir             string // Caddy's data, kept over restarts
	config          string // the Caddyfile
	site, simulator string // their addresses
	admin           string // the address of the admin API, with the console
	env             []string
	process         *exec.Cmd
	log             *os.File
}

// newDemo prepares the shipped Caddyfile, on ports of its own and with an extra
// line in its dodo block, and starts it. edits are pairs of what is replaced and by what.
func newDemo(t *testing.T, storeLine string, edits ...string) *demo {
	t.Helper()
	shipped, err := os.ReadFile("../../Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	d := &demo{t: t, dir: t.TempDir()}
	text := string(shipped)
	for _, port := range []string{"8080", "8081", "8090", "2019"} {
		free := freeport.Get(t)
		switch port {
		case "8080":
			d.site = "http://localhost:" + free
		case "8090":
			d.simulator = "http://localhost:" + free
		case "2019":
			d.admin = "http://localhost:" + free
		}
		text = strings.ReplaceAll(text, "localhost:"+port, "localhost:"+free)
	}
	if storeLine != "" {
		text = strings.Replace(text, "\tdodo {\n", "\tdodo {\n\t\t"+storeLine+"\n", 1)
		if !strings.Contains(text, storeLine) {
			t.Fatal("the shipped Caddyfile has no dodo block")
		}
	}
	for i := 0; i+1 < len(edits); i += 2 {
		if !strings.Contains(text, edits[i]) {
			t.Fatalf("the shipped Caddyfile lacks %q", edits[i])
		}
		text = strings.Replace(text, edits[i], edits[i+1], 1)
	}
	d.run(text)
	return d
}

// run starts a Caddyfile, until the test ends.
func (d *demo) run(text string) {
	d.t.Helper()
	d.config = filepath.Join(d.dir, "Caddyfile")
	if err := os.WriteFile(d.config, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
	d.start()
	d.t.Cleanup(d.kill)
}

const (
	demoKey    = "demo_key_of_the_test"
	demoSecret = "whsec_ZGVtbyBzZWNyZXQgb2YgdGhlIHRlc3QsIDMyIGI="
)

// start runs the demo and waits until the site answers.
func (d *demo) start() {
	d.t.Helper()
	log, err := os.CreateTemp(d.dir, "log")
	if err != nil {
		d.t.Fatal(err)
	}
	d.log = log
	d.process = exec.Command(os.Args[0], "run", "--config", d.config)
	d.process.Env = append(append(os.Environ(), "DODOGATE_TEST_RUN_MAIN=1",
		"XDG_DATA_HOME="+d.dir, "XDG_CONFIG_HOME="+d.dir,
		"DODO_PAYMENTS_API_KEY="+demoKey, "DODO_PAYMENTS_WEBHOOK_SECRET="+demoSecret), d.env...)
	d.process.Stdout, d.process.Stderr = log, log
	if err := d.process.Start(); err != nil {
		d.t.Fatal(err)
	}
	for range 200 {
		if resp, err := httpclient.Default.Get(d.site + "/payments/products"); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	d.t.Fatalf("the demo does not answer; it said:\n%s", d.said())
}

func (d *demo) said() string {
	b, err := os.ReadFile(d.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// kill ends the process as a power cut would.
func (d *demo) kill() {
	_ = d.process.Process.Signal(syscall.SIGKILL)
	_ = d.process.Wait()
	_ = d.log.Close()
}

// customer is a browser without JavaScript.
type customer struct {
	*http.Client
	d *demo
}

func (d *demo) customer() customer {
	jar, err := cookiejar.New(nil)
	if err != nil {
		d.t.Fatal(err)
	}
	c := customer{&http.Client{Jar: jar, Timeout: 20 * time.Second}, d}
	c.page(d.site + "/") // gets the demo's login cookie
	return c
}

// page reads a page, wherever it redirects to.
func (c customer) page(address string) string {
	c.d.t.Helper()
	req, err := http.NewRequest(http.MethodGet, address, http.NoBody)
	if err != nil {
		c.d.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	return c.body(c.Do(req))
}

// submit sends a form, as from a page at the address, and follows redirects.
func (c customer) submit(address string, form url.Values) (body string, at *url.URL) {
	c.d.t.Helper()
	req, err := http.NewRequest(http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		c.d.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", address[:strings.Index(address[8:], "/")+8])
	resp, err := c.Do(req)
	body = c.body(resp, err)
	return body, resp.Request.URL
}

func (c customer) body(resp *http.Response, err error) string {
	c.d.t.Helper()
	if err != nil {
		c.d.t.Fatalf("%v; the demo said:\n%s", err, c.d.said())
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		c.d.t.Fatal(err)
	}
	if resp.StatusCode >= 400 {
		c.d.t.Fatalf("%s: %s\n%s\nthe demo said:\n%s", resp.Request.URL, resp.Status, b, c.d.said())
	}
	return string(b)
}

var cell = regexp.MustCompile(`id="(credits|has-paid|plan)">([^<]*)<`)

// seen is what the app behind the gateway shows: "credits has-paid plan".
func (c customer) seen() string {
	c.d.t.Helper()
	var got []string
	for _, m := range cell.FindAllStringSubmatch(c.page(c.d.site+"/"), -1) {
		got = append(got, m[2])
	}
	return strings.Join(got, " ")
}

func (c customer) sees(want string) {
	c.d.t.Helper()
	if got := c.seen(); got != want {
		c.d.t.Errorf("the app sees %q, want %q", got, want)
	}
}

// eventuallySees is sees, after the webhooks that are under way. The page after a
// purchase waits for the payment, and a subscription begins by an event of its own.
func (c customer) eventuallySees(want string) {
	c.d.t.Helper()
	for range 100 {
		if c.seen() == want {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	c.sees(want)
}

// buy clicks buy and pays with a card; it returns the page that the customer
// comes back to once it has settled.
func (c customer) buy(product, card string) string {
	c.d.t.Helper()
	_, checkout := c.submit(c.d.site+"/payments/checkout", url.Values{"product": {product}})
	if !strings.HasPrefix(checkout.String(), c.d.simulator+"/session/cks_") {
		c.d.t.Fatalf("the buy button leads to %s", checkout)
	}
	page, at := c.submit(checkout.String(), url.Values{"email": {"demo@example.com"}, "name": {"Demo"}, "card": {card}})
	for range 100 {
		if at.Path != "/payments/return" || !strings.Contains(page, "http-equiv=\"refresh\"") || strings.Contains(page, "Payment confirmed") {
			return page
		}
		time.Sleep(50 * time.Millisecond)
		page = c.page(at.String())
	}
	c.d.t.Fatal("the purchase never settles")
	return ""
}

// TestDemo is the README's promise: buy in the demo, and the app sees it, also
// after a crash.
func TestDemo(t *testing.T) {
	d := newDemo(t, "")
	alice, bob := d.customer(), d.customer()
	alice.sees("0 false none")
	if page := alice.buy("pack10", "4000000000000002"); !strings.Contains(page, "Pay") {
		t.Errorf("after a declined card:\n%s", page)
	}
	alice.sees("0 false none")
	alice.buy("pack10", "4242424242424242")
	alice.sees("10 true none")
	alice.buy("pro30", "4242424242424242")
	alice.sees("10 true pro")
	bob.sees("0 false none")
	bob.buy("pro", "4242424242424242")
	bob.eventuallySees("500 true pro")
	d.kill()
	d.start()
	alice.sees("10 true pro")
	bob.sees("500 true pro")
	if page, _ := alice.submit(d.site+"/generate", nil); !strings.Contains(page, `id="generated"`) || !strings.Contains(page, "You have 9 credits left") {
		t.Errorf("generated:\n%s", page)
	}
	alice.sees("9 true pro")
	resp, err := d.customer().Post(d.site+"/generate", "", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusPaymentRequired {
		t.Errorf("who has no credits gets %s", resp.Status)
	}
}

// TestDemoOnRedis: the same on Redis, over a crash of either process.
func TestDemoOnRedis(t *testing.T) {
	redis := redistest.Start(t)
	d := newDemo(t, "store redis redis://"+redis.Addr)
	alice := d.customer()
	alice.buy("pack10", "4242424242424242")
	alice.sees("10 true none")
	d.kill()
	d.start()
	alice.sees("10 true none")
	redis.Kill()
	// Until the gateway has noticed, it answers from memory.
	var status, retryAfter string
	for range 400 {
		resp, err := alice.Get(d.site + "/")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if status, retryAfter = resp.Status, resp.Header.Get("Retry-After"); resp.StatusCode == http.StatusServiceUnavailable {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if !strings.HasPrefix(status, "503 ") || retryAfter == "" {
		t.Errorf("without its store the gateway answers %s, Retry-After %q", status, retryAfter)
	}
	redis.Restart()
	alice.sees("10 true none")
	alice.buy("pack10", "4242424242424242")
	alice.sees("20 true none")
}

// TestDemoByAPI is the README's curl transcript.
func TestDemoByAPI(t *testing.T) {
	d := newDemo(t, "")
	call := func(method, path, body string) (int, map[string]any) {
		t.Helper()
		req, err := http.NewRequest(method, d.site+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Cookie", "demo_user=alice")
		resp, err := httpclient.Default.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		answer := map[string]any{}
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		return resp.StatusCode, answer
	}
	status, order := call(http.MethodPost, "/payments/checkout", `{"product":"pack10"}`)
	if status != http.StatusCreated {
		t.Fatalf("checkout: %d %v", status, order)
	}
	resp, err := httpclient.Default.PostForm(fmt.Sprint(order["checkout_url"]), url.Values{"email": {"a@example.com"}, "name": {"Alice"}, "card": {"4242424242424242"}})
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	status, confirmed := call(http.MethodPost, "/payments/confirm", fmt.Sprintf(`{"order_id":%q}`, order["order_id"]))
	if status != http.StatusOK || confirmed["status"] != "paid" {
		t.Errorf("confirm: %d %v", status, confirmed)
	}
	status, account := call(http.MethodGet, "/payments/status", "")
	if status != http.StatusOK || account["credits"] != 10.0 || account["has_paid"] != true {
		t.Errorf("status: %d %v", status, account)
	}
	req, err := http.NewRequest(http.MethodPost, d.site+"/generate", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cookie", "demo_user=alice")
	if resp, err = httpclient.Default.Do(req); err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("X-Credits-Charged") != "1" || resp.Header.Get("X-Credits-Remaining") != "9" {
		t.Errorf("generate: %s %v", resp.Status, resp.Header)
	}
}
