package caddymodule_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/dodogate/dodogate/internal/identity/identitytest"
	"github.com/dodogate/dodogate/internal/testing/httpclient"
)

// A login that a browser sends by itself must not let other sites spend its credits.
func TestCrossOriginSpending(t *testing.T) {
	b := newSecureBench(t)
	b.Upstream = strings.TrimPrefix(newServer(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }), "http://")
	b.mustLoad(everyProtocol(strings.Replace(usualDodo, "signup_credits 3", "signup_credits 1000", 1), "", `
	dodo_gateway {
		account {http.request.header.X-Test-User}
		trusted_origins https://shop.example.com capacitor://localhost
	}
	dodo_charge /usual 1
	dodo_charge /strict 1 {
		refuse_cross_origin_get
	}
	reverse_proxy {{Upstream}}`))
	const passes, refused, strict = 0, 1, 2 // strict: refused for what changes nothing only with the option
	for name, tt := range map[string]struct {
		header string // HOST is the site's own host
		get    int
		post   int
	}{
		"no browser":                {"", passes, passes},
		"the site itself":           {"Sec-Fetch-Site: same-origin\r\nOrigin: https://HOST", passes, passes},
		"typed in":                  {"Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate", passes, passes},
		"another site":              {"Sec-Fetch-Site: cross-site\r\nOrigin: https://evil.example", strict, refused},
		"a form of another site":    {"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nOrigin: null", strict, refused},
		"a link from another site":  {"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1", strict, refused},
		"a picture on another site": {"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image", strict, refused},
		"a sibling":                 {"Sec-Fetch-Site: same-site\r\nOrigin: https://blog.example", strict, refused},
		"something unheard of":      {"Sec-Fetch-Site: moon", strict, refused},
		"an older browser":          {"Origin: https://evil.example", strict, refused},
		"older, of nobody":          {"Origin: null", strict, refused},
		"older, the site itself":    {"Origin: https://HOST", passes, passes},
		"a trusted origin":          {"Sec-Fetch-Site: cross-site\r\nOrigin: https://shop.example.com", passes, passes},
		"a trusted app":             {"Origin: capacitor://localhost", passes, passes},
		"a child of a trusted one":  {"Sec-Fetch-Site: cross-site\r\nOrigin: https://x.shop.example.com", strict, refused},
		"a trusted host by http":    {"Sec-Fetch-Site: cross-site\r\nOrigin: http://shop.example.com", strict, refused},
		"a token of its own":        {"Sec-Fetch-Site: cross-site\r\nOrigin: https://evil.example\r\nAuthorization: Bearer abc", passes, passes},
		"the same in lower case":    {"Sec-Fetch-Site: cross-site\r\nAuthorization: bearer abc", passes, passes},
		"a browser's basic login":   {"Sec-Fetch-Site: cross-site\r\nAuthorization: Basic YTpi", strict, refused},
		"no token at all":           {"Sec-Fetch-Site: cross-site\r\nAuthorization: Bearer ", strict, refused},
		"a token and a login":       {"Sec-Fetch-Site: cross-site\r\nAuthorization: Bearer abc\r\nAuthorization: Basic YTpi", strict, refused},
	} {
		for _, f := range b.fronts() {
			user, spent := name+f.name, int64(0)
			for _, path := range []string{"/usual", "/strict"} {
				for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "BREW"} {
					verdict := tt.post
					if slices.Contains([]string{"GET", "HEAD", "OPTIONS"}, method) {
						verdict = tt.get
					}
					host := strings.TrimPrefix(strings.TrimPrefix(f.base, "https://"), "http://")
					header := "X-Test-User: " + user + "\r\n" + strings.ReplaceAll(tt.header, "HOST", host)
					b.client = f.client
					a := b.send(f.request(t, method, path, header, "", ""))
					if verdict == refused || verdict == strict && path == "/strict" {
						if a.status != 403 || method != "HEAD" && !strings.Contains(a.body, `"cross_origin"`) || receipts(a.header) != "/" {
							t.Errorf("%s, %s, %s %s: %d %s", name, f.name, method, path, a.status, a.body)
						}
						continue
					}
					spent++
					if a.status != 200 {
						t.Errorf("%s, %s, %s %s: %d %s", name, f.name, method, path, a.status, a.body)
					}
				}
			}
			b.client = httpclient.Default
			b.leaves(user, 1000-spent)
		}
	}
}

// Any page may open a WebSocket to any site, with the login of whoever looks at it.
func TestCrossOriginWebSocket(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(rich(usualDodo), `
	dodo_gateway {
		account {http.request.header.X-Test-User}
		trusted_origins https://shop.example.com
	}
	dodo_charge /charged 1
	reverse_proxy `+appSwitching(t)))
	own := "127.0.0.1:" + b.Port
	handshake := func(path, header string) string {
		return lines("GET "+path+" HTTP/1.1", "Host: "+own, "X-Test-User: alice", "Connection: Upgrade, close", "Upgrade: websocket",
			"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", header, "")
	}
	for _, header := range []string{"Origin: https://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site\r\nOrigin: https://evil.example"} {
		b.problem(b.rawAnswer(handshake("/charged", header)), 403, "cross_origin")
		b.upgraded(handshake("/free", header)) // nothing is spent there
	}
	b.leaves("alice", 100)
	for i, header := range []string{"X-None: 1", "Origin: http://" + own, "Origin: https://shop.example.com", "Origin: https://evil.example\r\nAuthorization: Bearer abc"} {
		b.upgraded(handshake("/charged", header))
		b.leaves("alice", int64(99-i))
	}
}

// trusted_origins counts for our own routes as well.
func TestTrustedOriginsOfOwnRoutes(t *testing.T) {
	b := newBench(t)
	shop(t, b)
	b.mustLoad(caddyfile(planDodo, `
	dodo_gateway {
		account {http.request.header.X-Test-User}
		trusted_origins https://shop.example.com
	}`))
	buy := func(header ...string) answer {
		return b.do("POST", "/payments/checkout", `{"product":"pack10"}`, append(header, "Content-Type", "application/json", "X-Test-User", "alice")...)
	}
	b.problem(buy("Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"), 403, "cross_origin")
	b.problem(buy("Origin", "https://evil.example"), 403, "cross_origin")
	for _, header := range [][]string{
		nil, {"Origin", "https://shop.example.com", "Sec-Fetch-Site", "cross-site"}, {"Origin", "https://shop.example.com"},
	} {
		if a := buy(header...); a.status != http.StatusCreated {
			t.Errorf("%v: %d %s", header, a.status, a.body)
		}
	}
}

// A bearer token that the login does not look at is no proof that no other page sent it.
func TestCrossOriginIgnoredBearer(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	t.Setenv("DODOGATE_TEST_JWT", secret)
	token := identitytest.Sign(t, jose.JSONWebKey{Key: []byte(secret), Algorithm: "HS256"}, fmt.Sprintf(`{"sub":"alice","exp":%d}`, time.Now().Add(time.Hour).Unix()))
	for option, want := range map[string]int{"bearer off": 403, "": 200} {
		b := newBench(t)
		b.mustLoad(caddyfile(usualDodo, `
	dodo_gateway {
		jwt {
			secret {env.DODOGATE_TEST_JWT}
			cookie token
			`+option+`
		}
	}
	dodo_charge /charged 1
	respond ok`))
		a := b.do("POST", "/charged", "", "Cookie", "token="+token, "Authorization", "Bearer "+token, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example")
		if a.status != want {
			t.Errorf("%q: %d %s, want %d", option, a.status, a.body, want)
		}
		if a := b.do("POST", "/charged", "", "Cookie", "token="+token, "Sec-Fetch-Site", "same-origin"); a.status != 200 {
			t.Errorf("%q: the site itself: %d %s", option, a.status, a.body)
		}
	}
}
