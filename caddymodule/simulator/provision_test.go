package simulator_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/dodogate/dodogate/caddymodule/simulator"
	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/testing/freeport"
	"github.com/dodogate/dodogate/internal/testing/httpclient"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" // the example of Standard Webhooks

// load runs a Caddyfile in this process, in place of the one before.
func load(t *testing.T, config string) error {
	t.Helper()
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(config), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatal(err)
	}
	return caddy.Load(adapted, true)
}

// site is a Caddyfile with the simulator under /dodo; rest goes into its block.
func site(address, rest string) string {
	return fmt.Sprintf(`{
	admin off
	persist_config off
	auto_https off
	log {
		level ERROR
	}
}

http://%s {
	handle_path /dodo/* {
		dodo_simulator {
			api_key {env.DODO_TEST_KEY}
			public_url http://%s/dodo
			product pdt_1 {
				price 999 USD
			}
			%s
		}
	}
	respond 404
}
`, address, address, rest)
}

// call makes an API call and returns the status and the decoded body.
func call(t *testing.T, method, target, body string) (int, map[string]any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer resolved-key")
	response, err := httpclient.Default.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, answer
}

// TestPurchase runs Caddy with the simulator under a path, and buys something in it as a
// browser would.
func TestPurchase(t *testing.T) {
	t.Setenv("DODO_TEST_KEY", "resolved-key")
	secretFile := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secretFile, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	hooks := make(chan error, 10)
	merchant := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		hooks <- verifier.Verify(body, r.Header)
	})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = merchant.Serve(listener) }()
	t.Cleanup(func() { _ = merchant.Close() })

	address := "127.0.0.1:" + freeport.Get(t)
	base := "http://" + address + "/dodo"
	webhook := "webhook http://" + listener.Addr().String() + " {file." + secretFile + "}"
	if err := load(t, site(address, webhook)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = caddy.Stop() })

	status, session := call(t, "POST", base+"/checkouts", `{"product_cart":[{"product_id":"pdt_1","quantity":1}]}`)
	if status != http.StatusOK || !strings.HasPrefix(session["checkout_url"].(string), base+"/session/cks_") {
		t.Fatal(status, session)
	}
	page, err := httpclient.Default.PostForm(session["checkout_url"].(string), url.Values{
		"email": {"ada@example.com"}, "name": {"Ada"}, "card": {"4242424242424242"},
	})
	if err != nil {
		t.Fatal(err)
	}
	shown, _ := io.ReadAll(page.Body)
	_ = page.Body.Close()
	if page.Request.URL.String() != session["checkout_url"] || !bytes.Contains(shown, []byte("<h1>Paid</h1>")) {
		t.Errorf("%s shows %s", page.Request.URL, shown) // the relative redirect kept the prefix
	}
	select {
	case err := <-hooks:
		if err != nil {
			t.Error("webhook:", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("no webhook came")
	}
}

// TestRenewalComesByItself patches a billing date as one does at Dodo to see a renewal,
// and then only waits.
func TestRenewalComesByItself(t *testing.T) {
	t.Setenv("DODO_TEST_KEY", "resolved-key")
	types := make(chan string, 100)
	merchant := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var event struct {
			Type string
			Data struct {
				Session *any `json:"checkout_session_id"`
			}
		}
		_ = json.NewDecoder(r.Body).Decode(&event)
		if event.Type == "payment.succeeded" && event.Data.Session == nil {
			event.Type = "renewal"
		}
		types <- event.Type
	}))
	t.Cleanup(merchant.Close)
	address := "127.0.0.1:" + freeport.Get(t)
	base := "http://" + address + "/dodo"
	if err := load(t, site(address, "webhook "+merchant.URL+" "+secret+`
			product pdt_pro {
				price 2000 USD
				every month
			}`)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = caddy.Stop() })
	_, session := call(t, "POST", base+"/checkouts", `{"product_cart":[{"product_id":"pdt_pro","quantity":1}]}`)
	page, err := httpclient.Default.PostForm(session["checkout_url"].(string), url.Values{
		"email": {"ada@example.com"}, "name": {"Ada"}, "card": {"4242424242424242"},
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = page.Body.Close()
	_, list := call(t, "GET", base+"/subscriptions", "")
	id := list["items"].([]any)[0].(map[string]any)["subscription_id"].(string)
	soon := time.Now().Add(100 * time.Millisecond).UTC().Format(time.RFC3339Nano)
	if status, answer := call(t, "PATCH", base+"/subscriptions/"+id, `{"next_billing_date":"`+soon+`"}`); status != http.StatusOK {
		t.Fatal(status, answer)
	}
	for timeout := time.After(10 * time.Second); ; {
		select {
		case got := <-types:
			if got == "renewal" {
				return
			}
		case <-timeout:
			t.Fatal("it did not renew")
		}
	}
}

// TestReload goes through a reload's steps in Caddy's order, the new config's Provision
// before the old one's Cleanup, and looks whether a session is still there.
func TestReload(t *testing.T) {
	t.Setenv("DODO_TEST_KEY", "resolved-key")
	for name, test := range map[string]struct {
		change func(*simulator.Handler)
		kept   bool
	}{
		"the same settings":   {func(*simulator.Handler) {}, true},
		"the same, literally": {func(h *simulator.Handler) { h.APIKey = "resolved-key" }, true},
		"another product":     {func(h *simulator.Handler) { h.Products[0].Price = 2 }, false},
		"another discount":    {func(h *simulator.Handler) { h.Discounts = []dodosim.Discount{{Code: "HALF", BasisPoints: 5000}} }, false},
		"a catalog":           {func(h *simulator.Handler) { h.Catalog = "testdata/catalog.yaml" }, false},
		"another option":      {func(h *simulator.Handler) { h.Options.ShortDisputes = true }, false},
		"another webhook":     {func(h *simulator.Handler) { h.Webhook.URL = "http://localhost/other" }, false},
		"another secret":      {func(h *simulator.Handler) { h.Webhook.Secret = strings.ToLower(secret) }, false},
		"a read-only key":     {func(h *simulator.Handler) { h.ReadOnlyKey = "read-key" }, false},
		"another public URL":  {func(h *simulator.Handler) { h.PublicURL = "http://localhost" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			before, after := handler(), handler()
			test.change(after)
			stop := provision(t, before)
			session := checkout(t, before)
			defer provision(t, after)()
			stop()
			if status := get(after, "/checkouts/"+session); (status == http.StatusOK) != test.kept {
				t.Error(status)
			}
			// Requests of the old config outlive its Cleanup.
			if status := get(before, "/checkouts/"+session); status != http.StatusOK {
				t.Error("the old handler answers", status)
			}
		})
	}
}

// With its last config, a simulator is gone.
func TestLastCleanup(t *testing.T) {
	t.Setenv("DODO_TEST_KEY", "resolved-key")
	first, second, third := handler(), handler(), handler()
	stopFirst, stopSecond := provision(t, first), provision(t, second)
	session := checkout(t, first)
	stopFirst()
	if status := get(second, "/checkouts/"+session); status != http.StatusOK {
		t.Error("one of two users left, and the other gets", status)
	}
	stopSecond()
	defer provision(t, third)()
	if status := get(third, "/checkouts/"+session); status != http.StatusNotFound {
		t.Error("something was remembered:", status)
	}
}

// handler is a complete configuration.
func handler() *simulator.Handler {
	return &simulator.Handler{
		APIKey:   "{env.DODO_TEST_KEY}",
		Webhook:  &simulator.Webhook{URL: "http://localhost/webhook", Secret: secret},
		Products: []dodosim.Product{{ID: "pdt_1", Price: 1, Currency: "USD"}},
	}
}

// provision provisions a handler and returns what unloads it.
func provision(t *testing.T, h *simulator.Handler) (stop func()) {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	if err := h.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	return func() {
		cancel()
		if err := h.Cleanup(); err != nil {
			t.Error(err)
		}
	}
}

// checkout makes a session without a network and returns its id.
func checkout(t *testing.T, h *simulator.Handler) string {
	t.Helper()
	request := httptest.NewRequest("POST", "/checkouts", strings.NewReader(`{"product_cart":[{"product_id":"pdt_1","quantity":1}]}`))
	request.Header.Set("Authorization", "Bearer resolved-key")
	answer := httptest.NewRecorder()
	if err := h.ServeHTTP(answer, request, nil); err != nil {
		t.Fatal(err)
	}
	var session struct {
		ID string `json:"session_id"`
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &session); err != nil || session.ID == "" {
		t.Fatal(err, answer.Body)
	}
	return session.ID
}

// get makes an API call without a network and returns the status.
func get(h *simulator.Handler, path string) int {
	request := httptest.NewRequest("GET", path, nil)
	request.Header.Set("Authorization", "Bearer resolved-key")
	answer := httptest.NewRecorder()
	_ = h.ServeHTTP(answer, request, nil)
	return answer.Code
}

// A reload that fails leaves the running simulator alone.
func TestFailedReload(t *testing.T) {
	t.Setenv("DODO_TEST_KEY", "resolved-key")
	address := "127.0.0.1:" + freeport.Get(t)
	base := "http://" + address + "/dodo"
	if err := load(t, site(address, "")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = caddy.Stop() })
	_, session := call(t, "POST", base+"/checkouts", `{"product_cart":[{"product_id":"pdt_1","quantity":1}]}`)
	broken := site(address, "") + "\nhttp://" + address + "/other {\n\tdodo_simulator\n}\n"
	refused(t, load(t, broken), "api_key is required")
	if status, body := call(t, "GET", base+"/checkouts/"+session["session_id"].(string), ""); status != http.StatusOK {
		t.Error(status, body)
	}
}

func TestProvisionRefusals(t *testing.T) {
	t.Setenv("DODO_TEST_KEY", "resolved-key")
	t.Setenv("DODO_TEST_EMPTY", "")
	product := dodosim.Product{ID: "pdt_1", Price: 1, Currency: "USD"}
	for name, test := range map[string]struct {
		change func(*simulator.Handler)
		wanted string
	}{
		"no key":           {func(h *simulator.Handler) { h.APIKey = "" }, "api_key is required"},
		"unset variable":   {func(h *simulator.Handler) { h.APIKey = "{env.DODO_TEST_UNSET}" }, "api_key: {env.DODO_TEST_UNSET} is unset, empty or cannot be read"},
		"empty variable":   {func(h *simulator.Handler) { h.APIKey = "{env.DODO_TEST_EMPTY}" }, "api_key: {env.DODO_TEST_EMPTY} is unset, empty or cannot be read"},
		"missing file":     {func(h *simulator.Handler) { h.Webhook.Secret = "{file./no/such/file}" }, "webhook secret: {file./no/such/file} is unset, empty or cannot be read"},
		"unknown in text":  {func(h *simulator.Handler) { h.Webhook.Secret = "hidden{hidden.x}" }, "webhook secret: a placeholder in it is unknown or empty"},
		"no secret":        {func(h *simulator.Handler) { h.Webhook.Secret = "" }, "webhook secret is required"},
		"read-only unset":  {func(h *simulator.Handler) { h.ReadOnlyKey = "{env.DODO_TEST_UNSET}" }, "read_only_key: {env.DODO_TEST_UNSET} is unset"},
		"weak secret":      {func(h *simulator.Handler) { h.Webhook.Secret = "whsec_hidden" }, "the webhook secret must be base64 of 24 to 64 bytes"},
		"no webhook URL":   {func(h *simulator.Handler) { h.Webhook.URL = "" }, "webhook url is required"},
		"relative URL":     {func(h *simulator.Handler) { h.Webhook.URL = "/webhook" }, "webhook URL: must be absolute"},
		"public URL":       {func(h *simulator.Handler) { h.PublicURL = "localhost" }, "public URL: must be absolute"},
		"no catalog":       {func(h *simulator.Handler) { h.Catalog = "/no/such/file" }, "catalog: open /no/such/file"},
		"odd catalog":      {func(h *simulator.Handler) { h.Catalog = "testdata/odd.yaml" }, "testdata/odd.yaml: read catalog: json: unknown field"},
		"options twice":    {func(h *simulator.Handler) { h.Catalog, h.Options.RateLimits = "testdata/catalog.yaml", true }, "options are given in two places"},
		"catalog twice":    {func(h *simulator.Handler) { h.Catalog, h.Products[0].ID = "testdata/catalog.yaml", "pdt_pack10" }, "product pdt_pack10: defined twice"},
		"no products":      {func(h *simulator.Handler) { h.Products = nil }, "at least one product is required"},
		"product twice":    {func(h *simulator.Handler) { h.Products = []dodosim.Product{product, product} }, "product pdt_1: defined twice"},
		"unknown currency": {func(h *simulator.Handler) { h.Products[0].Currency = "ABC" }, `product pdt_1: "ABC" is not a currency`},
		"unknown interval": {func(h *simulator.Handler) { h.Products[0].Every = dodosim.Period{Count: 1, Interval: "Eon"} }, "product pdt_1: cycle and term are 1 to 1000"},
		"large discount":   {func(h *simulator.Handler) { h.Discounts = []dodosim.Discount{{Code: "ALL", BasisPoints: 10001}} }, "discount code ALL: 10001 is not between"},
	} {
		t.Run(name, func(t *testing.T) {
			h := handler()
			test.change(h)
			ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
			defer cancel()
			refused(t, h.Provision(ctx), test.wanted)
			if err := h.Cleanup(); err != nil {
				t.Error("cleanup:", err)
			}
		})
	}
}

// What Provision resolves does not show in the config that the admin API serves.
func TestSecretsStayPlaceholders(t *testing.T) {
	t.Setenv("DODO_TEST_KEY", "resolved-key")
	h := handler()
	defer provision(t, h)()
	shown, err := json.Marshal(h)
	if err != nil || bytes.Contains(shown, []byte("resolved-key")) || !bytes.Contains(shown, []byte("{env.DODO_TEST_KEY}")) {
		t.Errorf("%s %v", shown, err)
	}
	if printed := fmt.Sprintf("%v", h); strings.Contains(printed, "resolved-key") {
		t.Error(printed)
	}
}
