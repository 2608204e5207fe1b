package httpapi_test

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/httpapi"
)

// Every request is either served as the route that it names, or ours and a 404,
// or somebody else's.
func TestPaths(t *testing.T) {
	const (
		served = iota
		ours
		theirs
	)
	s := newSite(t, nil)
	for _, test := range []struct {
		want  int
		paths []string
	}{
		// What Caddy's own path matcher takes for the route.
		{served, []string{
			"/payments/products", "/payments//products", "//payments/products", "///payments///products", "/PAYMENTS/products", "/Payments/Products",
			"/payments/%70roducts", "/%70ayments/products", "/payments%2fproducts", "%2fpayments%2Fproducts", "/payments/./products", "/./payments/products",
			"/payments/x/../products", "/payments/%2e%2e/payments/products", "/a/..%2fpayments/products", "/../payments/products",
			"/payments/x%2f..%2fproducts", "/x%2f..%2f../payments/products", "/payments/products?x=/other", "/payments/products?", "http://evil.example/payments/products",
		}},
		{ours, []string{
			"/payments", "/payments/", "/payments?x", "/PAYMENTS", "/payments/x", "/payments/checkout/x", "/payments/webhooks", "/payments/account", "/payments/nothing",
			"/payments/events/", "/payments/credits/charge", "/payments/jwks.json",
			// A slash at the end is the webhook's privilege.
			"/payments/products/", "/payments/products//", "/payments/products/.", "/payments/products/x/..",
			// What some reader after us might take for the route.
			"/payments/products;x", "/payments;x/products", "/payments;/products", "/;/payments/products", "/;x%2fy/payments", "/;%5cx/payments/products", "/payments/products%3bx", "/payments%3fx/products", "/payments%23/products",
			"/payments%5cproducts", "/%5cpayments/products", "\\payments\\products", "/payments/products%00", "/payments%00/products", "/payments%00x/products", "/payments%20/products",
			"/payments%09/products", "/pay%0aments/products", "/payments./products", "/payments%2e/products", "/payments/products.", "/.%20/payments/products",
			"/%2570ayments/products", "/%252570ayments/products", "/payments%252fproducts", "/%25%37%30ayments/products", "/%2570ayments/%25zz", "/payment%c5%bf/products", "/payment\u017f/products",
			"/payments/..%2fproducts", "/payments/../products", "/payments/..;/products", "/x/..;/payments/products", "/..;/payments/products", "/x%2fy/../payments/products",
			"/index.php/payments/webhook", "/app/index.PHP/payments", "//anything/payments/webhook", "///anything/payments/products", "http:/payments%c0%afwebhook",
			"/%c0%afpayments/webhook", "/x/%c0%ae%c0%ae/payments/products", "/payments%e0%80%afproducts", "/payments%f0%80%80%afproducts", "/payments/index.html", "/payments/products.gz",
			"/%2e%2e/x/../%2e%2e/payments", "/x/..%255cpayments/products", "/payments/%c0%af/products", "/payments/%ff",
		}},
		{theirs, []string{
			"/", "/x", "/paymentsx", "/xpayments/products", "/payments-x/products", "/payment", "/payments_/products", "/pay/ments", "/app/payments", "/app/payments/products", "/products",
			"/?payments/products", "/x?/payments/products", "/payments.html", "/payments.x/products", "/x;/payments", "/x..payments/products", "/...x/payments", "/x/../y", "*",
			"/payme%25nts", "/100%25", "/%25", "/%252", "/app/%70ayments/products",
		}},
	} {
		for _, p := range test.paths {
			t.Run(p, func(t *testing.T) {
				s := s.in(t)
				r := request(t, p)
				if owns := s.api.Owns(r); owns != (test.want != theirs) {
					t.Errorf("Owns(%q) = %v", r.URL, owns)
				}
				a := call{r, s}.do()
				if test.want == served {
					a.json(200)
				} else {
					a.problem(404, "not_found")
				}
			})
		}
	}
}

// request is what a server makes of a request line.
func request(t testing.TB, target string) *http.Request {
	t.Helper()
	r := httptest.NewRequest("GET", "/", nil)
	u, err := url.ParseRequestURI(target)
	if err != nil {
		// Not everything can be sent; some layer before us may still produce it.
		u = &url.URL{Path: target}
		if decoded, err := url.PathUnescape(target); err == nil {
			u = &url.URL{Path: decoded, RawPath: target}
		}
	}
	r.URL = u
	return r
}

// A path of more than 4 KiB is no route, however it resolves.
func TestLongPaths(t *testing.T) {
	s := newSite(t, nil)
	for detours, want := range map[int]int{0: 200, 800: 200, 1000: 404, 3000: 404} {
		r := request(t, strings.Repeat("/x/..", detours)+"/payments/products")
		if !s.api.Owns(r) {
			t.Errorf("%d detours: not ours", detours)
		}
		if a := (call{r, s}).do(); a.Code != want {
			t.Errorf("%d detours: %d, want %d", detours, a.Code, want)
		}
	}
}

// A request whose address was rewritten is ours by either address, and its route is
// found by the one that has it. The rest of its address goes with it.
func TestPathsOfRewritten(t *testing.T) {
	s := newSite(t, nil)
	for _, tt := range []struct {
		original, now string
		owns          bool
		status        int
	}{
		{"/payments/status", "/index.php", true, 200}, {"/PAYMENTS//status", "/index.html", true, 200}, {"/payments/status", "/payments/status/", true, 200},
		{"/shop/payments/status", "/payments/status", true, 200}, {"/balance", "/payments/status", true, 200},
		{"/payments/nothing", "/index.php", true, 404}, {"/payments;x/status", "/index.php", true, 404}, {"/x", "/payments;x/status", true, 404},
		{"/payments/history?limit=nothing", "/index.php?route=history", true, 400}, {"/payments/history", "/index.php?limit=nothing", true, 200},
		{"/x", "/index.php", false, 404},
	} {
		original := request(t, tt.original).URL
		api, err := s.gate.api(httpapi.Options{Reading: func(r *http.Request) httpapi.Reading {
			return httpapi.NewReading(r, original, func(*http.Request) *httpapi.Spellings { return new(httpapi.Spellings) })
		}})
		if err != nil {
			t.Fatal(err)
		}
		r := request(t, tt.now)
		r = r.WithContext(httpapi.WithIdentity(r.Context(), gateway.Identity{Account: alice}))
		if got := api.Owns(r); got != tt.owns {
			t.Errorf("%s rewritten to %s: ours is %v", tt.original, tt.now, got)
		}
		w := httptest.NewRecorder()
		if api.ServeHTTP(w, r); w.Code != tt.status {
			t.Errorf("%s rewritten to %s: %d %s", tt.original, tt.now, w.Code, w.Body)
		}
	}
}

func TestWebhookAddress(t *testing.T) {
	address, err := httpapi.NewWebhookAddress("/Hooks/dodo/")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		original, now string
		want          bool
	}{
		{"/hooks/dodo", "/hooks/dodo", true}, {"/hooks/dodo/", "/index.php", true}, {"/x", "/hooks/dodo/", true}, {"/HOOKS//dodo", "/x", true}, {"/hooks/%64odo", "/x", true},
		{"/hooks/dodo/x", "/x", false}, {"/hooks/dodo;x", "/x", false}, {"/hooks", "/", false}, {"/index.php/hooks/dodo", "/x", false},
	} {
		if got := address.Names(request(t, tt.now), request(t, tt.original).URL); got != tt.want {
			t.Errorf("%s rewritten to %s: %v", tt.original, tt.now, got)
		}
	}
	for _, p := range []string{"", "/", "x", "/a//b", "/a/../b", "/a*", "/{x}", "/a%20b", "/a?b", "/a b"} {
		if _, err := httpapi.NewWebhookAddress(p); err == nil {
			t.Errorf("%q is accepted", p)
		}
	}
}

func TestOpaqueAddress(t *testing.T) {
	s := newSite(t, nil)
	for target, want := range map[string]bool{"http:payments/products": true, "http:%70ayments": true, "http:x": false} {
		if got := s.api.Owns(request(t, target)); got != want {
			t.Errorf("Owns(%s) = %v, want %v", target, got, want)
		}
	}
}

// The webhook is served in the spellings that Caddy's path matcher takes for it,
// with or without a slash at the end.
func TestWebhookPaths(t *testing.T) {
	s := newSite(t, nil)
	for target, want := range map[string]int{
		"/payments/webhook": 405, "/payments/webhook/": 405, "/PAYMENTS//webhook": 405, "/payments/%77ebhook": 405, "/payments/./webhook": 405, "/payments/webhook//": 405,
		"/payments/webhook/x": 404, "/payments/webhook;x": 404, "/payments/": 404, "/webhook": 404, "/payments%5cwebhook": 404,
	} {
		if got := (call{request(t, target), s}).do().Code; got != want {
			t.Errorf("GET %s: %d, want %d", target, got, want)
		}
	}
}

func TestBasePath(t *testing.T) {
	gw := newSite(t, nil).gateway(setting{publicURL: public, products: catalog()})
	for base, good := range map[string]bool{
		"/pay": true, "/api/payments": true, "/API/Pay-ments_~1": true, "/v1.2/pay": true, "": true, "/a": true,
		"/": false, "pay": false, "/pay/": false, "//pay": false, "/pay//x": false, "/../pay": false, "/./pay": false, "/pay/..": false, "/.pay": false, "/pay.": false,
		"/p%61y": false, "/pay?x": false, "/pay#x": false, "/pay x": false, "/päy": false, "/{path}": false, "/pay*": false, "/pay;x": false, "/pay\\x": false,
		"/" + strings.Repeat("x", 256): false,
	} {
		_, err := gw.api(httpapi.Options{BasePath: base})
		if (err == nil) != good {
			t.Errorf("base path %q: %v", base, err)
		}
	}
	if _, err := httpapi.New(httpapi.Options{}); err == nil {
		t.Error("an API without a gateway")
	}
}

func TestDeeperBasePath(t *testing.T) {
	s := newSite(t, func(set *setting) { set.basePath = "/API/Billing.v1" })
	s.get("/api/billing.v1/products").do().json(200)
	s.get("/API/Billing.v1/products").do().json(200)
	for target, want := range map[string]bool{
		"/api/billing.v1": true, "/api/x/../billing.v1": true, "/api;x/billing.v1/y": true, "/api%2fbilling.v1": true, "/api/./billing.v1": true, "/api//billing.v1/": true,
		"/api/billing%2ev1/x": true, "/x%2fy/../api/billing.v1": true,
		"/api": false, "/api/": false, "/billing.v1": false, "/api/x/billing.v1": false, "/api/billing.v12": false, "/api/billing": false,
	} {
		if got := s.api.Owns(request(t, target)); got != want {
			t.Errorf("Owns(%s) = %v, want %v", target, got, want)
		}
	}
	// Links keep the operator's spelling.
	id := s.post("/api/billing.v1/checkout", `{"product":"pack10"}`).by(alice).do().json(201)["order_id"].(string)
	a := s.post("/api/billing.v1/confirm", "order_id="+id).by(alice).asForm().do()
	if to := a.Header().Get("Location"); a.Code != 303 || to != "/API/Billing.v1/return?order="+id {
		t.Errorf("%d %q", a.Code, to)
	}
}

// readers are ways in which the next one might read a raw path.
var readers = map[string]func(raw string) string{
	"raw":       func(raw string) string { return raw },
	"clean":     func(raw string) string { return path.Clean("/" + raw) },
	"decoded":   func(raw string) string { return path.Clean("/" + decode(raw)) },
	"twice":     func(raw string) string { return path.Clean("/" + decode(decode(raw))) },
	"late":      func(raw string) string { return decode(path.Clean("/" + raw)) },
	"late too":  func(raw string) string { return path.Clean("/" + decode(path.Clean("/"+raw))) },
	"backslash": func(raw string) string { return path.Clean("/" + strings.ReplaceAll(decode(raw), `\`, "/")) },
	"c string":  func(raw string) string { s, _, _ := strings.Cut(decode(raw), "\x00"); return path.Clean("/" + s) },
	"servlet": func(raw string) string {
		var kept []string
		for segment := range strings.SplitSeq(raw, "/") {
			s, _, _ := strings.Cut(segment, ";")
			kept = append(kept, decode(s))
		}
		return path.Clean("/" + strings.Join(kept, "/"))
	},
	"windows": func(raw string) string {
		var kept []string
		for segment := range strings.SplitSeq(strings.ReplaceAll(decode(raw), `\`, "/"), "/") {
			if segment != "." && segment != ".." {
				segment = strings.TrimRight(segment, ". ")
			}
			kept = append(kept, segment)
		}
		return path.Clean("/" + strings.Join(kept, "/"))
	},
}

func decode(s string) string {
	if d, err := url.PathUnescape(s); err == nil {
		return d
	}
	return s
}

// checkReaders fails when some reader finds the base path in a request that is
// not ours, or when more is served than Caddy's own path matcher matches.
func checkReaders(t *testing.T, api *httpapi.API, raw string) {
	t.Helper()
	u, err := url.ParseRequestURI(raw)
	if err != nil {
		return // no request has such a path
	}
	r := httptest.NewRequest("DELETE", "/", nil)
	r.URL = u
	owned := api.Owns(r)
	for name, read := range readers {
		p := strings.ToLower(read(u.EscapedPath()))
		if (p == "/payments" || strings.HasPrefix(p, "/payments/")) && !owned {
			t.Errorf("%q is not ours, but %s for a %s reader", raw, p, name)
		}
	}
	w := httptest.NewRecorder()
	api.ServeHTTP(w, r) // no route knows DELETE
	clean := path.Clean("/" + strings.ToLower(u.Path))
	if w.Code != http.StatusNotFound && (!routes[clean] || !owned) {
		t.Errorf("%q is served (ours: %v)", raw, owned)
	}
}

var routes = map[string]bool{
	"/payments/checkout": true, "/payments/confirm": true, "/payments/history": true, "/payments/products": true, "/payments/return": true, "/payments/status": true, "/payments/webhook": true,
}

func bareAPI(t testing.TB) *httpapi.API {
	t.Helper()
	g := new(gate)
	g.Shop, g.Events, g.Accounts = gateway.New(gateway.Options{})
	api, err := g.api(httpapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return api
}

func TestNoReaderFindsAWayAround(t *testing.T) {
	api := bareAPI(t)
	words := []string{
		"/", "/", "/", "payments", "/payments", "PAYMENTS", "webhook", "x", "..", ".", ";", ";x", `\`, "%2f", "%5c", "%2e", "%2E%2e", "%00", "%20", "%3b", "%3f",
		"%25", "%252f", "%252e", "%70ayments", "%2570ayments", "/../", "/./", "//", "/..;/", "%", "?", "%c5%bf",
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 50_000 {
		raw := "/"
		for range 1 + random.IntN(8) {
			raw += words[random.IntN(len(words))]
		}
		if checkReaders(t, api, raw); t.Failed() {
			return
		}
	}
}

func FuzzPath(f *testing.F) {
	for _, seed := range []string{
		"/payments/products", "/payments", "/x/../payments", "/%70ayments/products", "/payments%5cproducts", "/x%2fy/../payments", "/a/b/%2e%2e/..;/payments/x",
		"/payments;x/..%2f", "/%2570ayments", "/pay%00ments", "/payments%00/x", "/\u017f", "/payments./x", "//payments", "/PAYMENTS/..", "/payments%3f", "/..\\payments",
	} {
		f.Add(seed)
	}
	api := bareAPI(f)
	f.Fuzz(func(t *testing.T, raw string) { checkReaders(t, api, raw) })
}
