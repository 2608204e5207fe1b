package caddymodule_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/go-jose/go-jose/v4"

	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/identity/identitytest"
)

// block is a piece of code on a page.
type block struct{ section, language, text string }

// blocksOf are the pieces of code on a page of docs, in their order.
func blocksOf(t *testing.T, path string) (blocks []block) {
	t.Helper()
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	section := ""
	for _, m := range regexp.MustCompile("(?sm)^## (.*?)$|^```([a-z]*)\n(.*?)^```$").FindAllStringSubmatch(string(page), -1) {
		if m[1] != "" {
			section = m[1]
			continue
		}
		blocks = append(blocks, block{section, m[2], m[3]})
	}
	return blocks
}

// publicPEM is the public key of an issuer.
func publicPEM(t *testing.T, issuer *identitytest.Issuer) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(issuer.Public().Key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// loginPage are the blocks of docs/login.md that a test has not run yet.
type loginPage struct {
	t    *testing.T
	left []block
}

// take is the next block of a section.
func (p *loginPage) take(section, language string) string {
	p.t.Helper()
	i := slices.IndexFunc(p.left, func(b block) bool { return b.section == section && b.language == language })
	if i < 0 {
		p.t.Fatalf("the page has no more %s in the section %s", language, section)
	}
	text := p.left[i].text
	p.left = slices.Delete(p.left, i, i+1)
	return text
}

const loginGlobals = `{
	dodo {
		api_key {env.DODO_PAYMENTS_API_KEY}
		webhook_secret {env.DODO_PAYMENTS_WEBHOOK_SECRET}
		public_url https://app.example.com
		product pack10 {
			id pdt_from_your_dashboard
			credits 10
		}
PLANS
	}
}

`

// TestLoginPage runs all code of docs/login.md: each site, with a login service of the
// test's own, the app's answer, and what the page has for curl.
func TestLoginPage(t *testing.T) {
	page := &loginPage{t: t, left: blocksOf(t, "../docs/login.md")}
	const curl = "Buy and spend with curl"
	walk := walk{buying: page.take(curl, "sh"), spending: page.take(curl, "sh")}
	const managing = "Manage a subscription with curl"
	loginGlobals := strings.Replace(loginGlobals, "PLANS\n", page.take(managing, "caddyfile"), 1)
	walk.subscribing, walk.cancelling = page.take(managing, "sh"), page.take(managing, "sh")
	walk.changing, walk.opening = page.take(managing, "sh"), page.take(managing, "sh")
	in := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }

	for _, tt := range []struct {
		name, section, jwks string
		algorithm           jose.SignatureAlgorithm
		account             string
		claims              map[string]any
	}{
		{"supabase", "Supabase", "https://abcd.supabase.co/auth/v1/.well-known/jwks.json", jose.ES256, "8f9c1a3e-5f8f-4a57-9a43-4f7f2cf0c5ab", map[string]any{
			"iss": "https://abcd.supabase.co/auth/v1", "aud": "authenticated", "role": "authenticated", "aal": "aal1", "session_id": "1",
			"email": "alice@example.com", "user_metadata": map[string]any{"email_verified": true, "full_name": "Alice"},
		}},
		{"supabase, by a secret", "Supabase", "", jose.HS256, "8f9c1a3e-5f8f-4a57-9a43-4f7f2cf0c5ac", map[string]any{
			"iss": "https://abcd.supabase.co/auth/v1", "aud": "authenticated", "email": "alice@example.com",
		}},
		{"auth0", "Auth0", "https://example.eu.auth0.com/.well-known/jwks.json", jose.RS256, "auth0|5f7c8ec7c33c6c004bbafe82", map[string]any{
			"iss": "https://example.eu.auth0.com/", "aud": []string{"https://api.example.com", "https://example.eu.auth0.com/userinfo"},
			"azp": "client", "scope": "openid profile", "https://example.com/email": "alice@example.com",
		}},
		{"clerk", "Clerk", "https://clerk.example.com/.well-known/jwks.json", jose.RS256, "user_2b1c", map[string]any{
			"iss": "https://clerk.example.com", "azp": "https://app.example.com", "sid": "sess_1", "v": 2, "fva": []int{0, -1}, "nbf": in(-10 * time.Second),
		}},
		{"firebase", "Firebase", "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com", jose.RS256, "kX3f0a", map[string]any{
			"iss": "https://securetoken.google.com/my-project", "aud": "my-project", "user_id": "kX3f0a", "email": "alice@example.com", "email_verified": true,
			"firebase": map[string]any{"identities": map[string]any{"email": []string{"alice@example.com"}}, "sign_in_provider": "password"},
		}},
	} {
		site := page.take(tt.section, "caddyfile")
		t.Run(tt.name, func(t *testing.T) {
			sign, issuer := newSigner(t, tt.algorithm)
			token := func(change map[string]any) string {
				claims := map[string]any{"sub": tt.account, "iat": in(0), "exp": in(time.Hour)}
				for _, more := range []map[string]any{tt.claims, change} {
					for name, value := range more {
						claims[name] = value
					}
				}
				text, err := json.Marshal(claims)
				if err != nil {
					t.Fatal(err)
				}
				return sign(string(text))
			}
			places := []string{"app:3000", newLoginApp(t, "")}
			if issuer != nil {
				places = append(places, tt.jwks, issuer.URL)
			}
			config := loginGlobals + site
			b, sim := run(t, config, places...)
			l := &shopper{b, sim, walk}
			l.buys(token(nil), tt.account)
			l.manages(token(nil))
			l.rejects(map[string]string{
				"expired": token(map[string]any{"exp": in(-time.Hour)}), "not yet valid": token(map[string]any{"nbf": in(time.Hour)}),
				"another issuer": token(map[string]any{"iss": "https://evil.example"}), "an account that is a number": token(map[string]any{"sub": 5}),
			})
			if issuer == nil {
				return
			}
			issuer.Die() // and a new visitor comes, and the config is loaded again
			bob := token(map[string]any{"sub": "bob"})
			l.sees("bob", "Authorization", "Bearer "+bob)
			if tt.name == "clerk" {
				l.sees("bob", "Cookie", "a=b; __session="+bob)
				l.crosses(bob)
			}
			adapted, err := adapt(b.fill(strings.NewReplacer(append(places,
				"{\n\tdodo {\n", "{\n\tadmin {{Admin}}\n\tdodo {\n\t\tbase_url {{Dodo}}\n\t\tstore bolt {{Dir}}/dodogate.db\n",
				"https://app.example.com", "http://127.0.0.1:{{Port}}", "\napp.example.com {", "\nhttp://127.0.0.1:{{Port}} {", "pdt_from_your_dashboard", "pdt_pack10",
			)...).Replace(config)))
			if err != nil {
				t.Fatal(err)
			}
			if err := caddy.Load(adapted, true); err != nil {
				t.Fatal(err)
			}
			l.sees("carol", "Authorization", "Bearer "+token(map[string]any{"sub": "carol"}))
		})
	}

	site := page.take("Your own tokens", "caddyfile")
	t.Run("own tokens", func(t *testing.T) {
		issuer := identitytest.NewIssuer(t, jose.EdDSA)
		file := filepath.Join(t.TempDir(), "public.pem")
		if err := os.WriteFile(file, []byte(publicPEM(t, issuer)), 0o600); err != nil {
			t.Fatal(err)
		}
		b, sim := run(t, loginGlobals+site, "app:3000", newLoginApp(t, ""), "/etc/app/public.pem", file)
		l := &shopper{b, sim, walk}
		l.buys(issuer.Sign(map[string]any{"iss": "app", "exp": in(time.Hour), "user": map[string]any{"id": "u7"}}), "u7")
		l.manages(issuer.Sign(map[string]any{"iss": "app", "exp": in(time.Hour), "user": map[string]any{"id": "u7"}}))
	})

	const session = "Your app's own session"
	me := page.take(session, "json")
	for i, account := range []string{"u_81", "u_headers"} {
		site := page.take(session, "caddyfile")
		t.Run(fmt.Sprint("ask ", i+1), func(t *testing.T) {
			b, sim := run(t, loginGlobals+site, "app:3000", newLoginApp(t, me))
			l := &shopper{b, sim, walk}
			l.buys("alice", account)
			l.manages("alice")
			l.sees(account, "Cookie", "session_id=alice")
			l.sees("", "Cookie", "session_id=stranger")
			l.b.problem(b.do("POST", "/api/generate", "", "Cookie", "session_id=stranger"), 401, "unauthenticated")
			for _, broken := range []string{"500", "html", "redirect", "cut"} {
				l.sees("", "Cookie", "session_id="+broken)
				b.problem(b.do("POST", "/api/generate", "", "Cookie", "session_id="+broken), 503, "login_unavailable")
				b.problem(b.do("GET", "/payments/status", "", "Cookie", "session_id="+broken), 503, "login_unavailable")
			}
		})
	}

	site = page.take("basic_auth", "caddyfile")
	t.Run("basic_auth", func(t *testing.T) {
		b, _ := run(t, loginGlobals+site, "app:3000", newLoginApp(t, ""), "$2a$14$…", "$2a$06$InHQk5QijA8Xr/n10x1XrOomoXte1u8Z0amLkJU7MlCIO28YT3gXq")
		if a := b.do("GET", "/", "", as("alice")...); a.body != "alice 0" {
			t.Errorf("%d %s", a.status, a.body)
		}
		b.problem(b.do("POST", "/payments/webhook", "{}"), 401, "webhook_signature_invalid")
	})

	site = page.take("forward_auth", "caddyfile")
	t.Run("forward_auth", func(t *testing.T) {
		auth := newServer(t, func(w http.ResponseWriter, r *http.Request) {
			if c, err := r.Cookie("sid"); err == nil {
				w.Header().Set("Remote-User", c.Value)
			}
		})
		b, _ := run(t, loginGlobals+site, "app:3000", newLoginApp(t, ""), "auth:9091", auth)
		l := &shopper{b: b}
		l.sees("alice", "Cookie", "sid=alice")
		l.sees("", "Remote-User", "mallory")
		b.problem(b.do("POST", "/payments/webhook", "{}"), 401, "webhook_signature_invalid")
	})

	for _, grammar := range []struct{ option, text string }{
		{"jwt", page.take("All options", "caddyfile")}, {"ask http://app/me", page.take("All options", "caddyfile")},
	} {
		first, _, _ := strings.Cut(grammar.text, "\n")
		_, err := adapt("example.com {\n dodo_gateway {\n " + grammar.option + " {\n nosuch\n }\n }\n}\n")
		if err == nil {
			t.Fatal("nosuch is taken")
		}
		_, named, _ := strings.Cut(err.Error(), "there are ")
		named, _, _ = strings.Cut(named, ", at ")
		if written := strings.Join(optionsOn(t, "\n"+grammar.text, first), ", "); written != named {
			t.Errorf("the page has %q, the refusal %q", written, named)
		}
	}
	if len(page.left) > 0 {
		t.Errorf("no test runs %q", page.left)
	}
}

// newSigner signs tokens as the algorithm wants it. The service has rotated its keys
// before, and publishes two; it is nil for a secret.
func newSigner(t *testing.T, algorithm jose.SignatureAlgorithm) (sign func(string) string, issuer *identitytest.Issuer) {
	t.Helper()
	if algorithm == jose.HS256 {
		const secret = "MARK-0123456789abcdef0123456789abcdef"
		t.Setenv("SUPABASE_JWT_SECRET", secret)
		return func(payload string) string {
			return identitytest.Sign(t, jose.JSONWebKey{Key: []byte(secret), Algorithm: "HS256"}, payload)
		}, nil
	}
	issuer = identitytest.NewIssuer(t, algorithm)
	issuer.Rotate(algorithm)
	return issuer.SignText, issuer
}

// newLoginApp says to everybody what it heard of the account. Of its own visitor alice it
// says me, as JSON and in headers.
func newLoginApp(t *testing.T, me string) string {
	return strings.TrimPrefix(newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/me" && r.URL.Path != "/verify" {
			_, _ = io.WriteString(w, r.Header.Get("X-Entitlement-User")+" "+r.Header.Get("X-Entitlement-Credits"))
			return
		}
		who := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if c, err := r.Cookie("session_id"); err == nil {
			who = c.Value
		}
		switch who {
		case "alice":
			w.Header().Set("X-User-Id", "u_headers")
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, me)
		case "500":
			w.WriteHeader(http.StatusInternalServerError)
		case "html":
			if r.URL.Path == "/verify" { // there, headers count alone
				w.WriteHeader(http.StatusNotFound)
			}
			_, _ = io.WriteString(w, "<html>alice")
		case "redirect":
			http.Redirect(w, r, "/login", http.StatusFound)
		case "cut":
			panic(http.ErrAbortHandler)
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	}), "http://")
}

// walk is what docs/login.md has for curl.
type walk struct{ buying, spending, subscribing, cancelling, changing, opening string }

// shopper is a customer with curl.
type shopper struct {
	b   *bench
	sim *dodosim.Simulator
	walk
}

// answers runs commands of the page, each of which prints JSON.
func (l *shopper) answers(commands, token string) (all []map[string]any) {
	l.b.t.Helper()
	out := l.curl(commands, token)
	for d := json.NewDecoder(strings.NewReader(out)); d.More(); {
		var m map[string]any
		if err := d.Decode(&m); err != nil {
			l.b.t.Fatalf("%v: %s", err, out)
		}
		all = append(all, m)
	}
	if want := strings.Count(commands, "curl "); len(all) != want {
		l.b.t.Fatalf("%d answers of %d: %s", len(all), want, out)
	}
	return all
}

// manages does what the page says: subscribe, pay, cancel, keep it, change the plan, and
// open the portal. No webhook comes meanwhile.
func (l *shopper) manages(token string) {
	t := l.b.t
	t.Helper()
	order := l.answers(l.subscribing, token)[0]
	session, _ := order["session_id"].(string)
	if _, err := l.sim.Pay(session, "4242424242424242"); err != nil {
		t.Fatalf("%v: %v", err, order)
	}
	for i, m := range l.answers(l.cancelling, token) {
		if ending := i == 0; m["cancel_at_period_end"] != ending || m["plan"] != "basic" || m["status"] != "active" {
			t.Errorf("cancelling, step %d: %v", i, m)
		}
	}
	changed := l.answers(l.changing, token)
	charge, _ := changed[0]["charge"].(map[string]any)
	amount, _ := charge["amount"].(float64) // the difference, and a moment of the old period that is used up
	if changed[0]["state"] != "preview" || amount < 1000 || amount > 1900 || charge["currency"] != "USD" {
		t.Errorf("preview: %v", changed[0])
	}
	if changed[1]["state"] != "changed" || changed[2]["plan"] != "pro" {
		t.Errorf("change: %v, then %v", changed[1], changed[2])
	}
	link, _ := l.answers(l.opening, token)[0]["portal_url"].(string)
	if !strings.Contains(link, "/portal/") {
		t.Errorf("portal: %q", link)
	}
}

// curl runs commands of the page, and returns what they print.
func (l *shopper) curl(commands, token string) string {
	l.b.t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("CI") == "true" {
			l.b.t.Fatal("there is no curl")
		}
		l.b.t.Skip("there is no curl")
	}
	c := exec.CommandContext(l.b.t.Context(), "sh", "-ec", strings.ReplaceAll(commands, "https://app.example.com", "http://127.0.0.1:"+l.b.Port))
	c.Env = append(os.Environ(), "TOKEN="+token, "NO_PROXY=*")
	out, err := c.CombinedOutput()
	if err != nil {
		l.b.t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// buys does what the page says: nothing, buy, pay, spend.
func (l *shopper) buys(token, account string) {
	b := l.b
	b.t.Helper()
	l.sees("")
	b.problem(b.do("POST", "/api/generate", ""), 401, "unauthenticated")
	var status struct {
		Account string
		Credits int64
	}
	var order struct {
		ID      string `json:"order_id"`
		Session string `json:"session_id"`
		URL     string `json:"checkout_url"`
	}
	answers := json.NewDecoder(strings.NewReader(l.curl(l.buying, token)))
	if err := answers.Decode(&status); err != nil || status.Account != account || status.Credits != 0 {
		b.t.Fatalf("status %+v, %v, want %s", status, err, account)
	}
	if err := answers.Decode(&order); err != nil || order.URL == "" {
		b.t.Fatalf("order %+v, %v", order, err)
	}
	if _, err := l.sim.Pay(order.Session, "4242424242424242"); err != nil {
		b.t.Fatal(err)
	}
	// The browser comes back without the token.
	back := b.do("GET", "/payments/return?order="+order.ID, "", "Accept", "text/html")
	if !strings.Contains(back.body, "Payment confirmed") || strings.Contains(back.body, account) {
		b.t.Errorf("the return page is %d %s", back.status, back.body)
	}
	verified := b.metric(`dodogate_logins_total{result="verified"}`)
	if spent := l.curl(l.spending, token); !strings.Contains(spent, "X-Credits-Remaining: 9\r\n") {
		b.t.Errorf("spending answers %s", spent)
	}
	if n := b.metric(`dodogate_logins_total{result="verified"}`) - verified; n != 0 {
		b.t.Errorf("the token was judged %v times again", n)
	}
}

// sees checks for whom the app takes a request to a free page.
func (l *shopper) sees(account string, header ...string) {
	l.b.t.Helper()
	a := l.b.do("GET", "/", "", header...)
	if got, _, _ := strings.Cut(a.body, " "); a.status != 200 || strings.ReplaceAll(got, "%7C", "|") != account {
		l.b.t.Errorf("the app sees %q (%d), want %q", a.body, a.status, account)
	}
}

// rejects checks what becomes of tokens that are not valid.
func (l *shopper) rejects(tokens map[string]string) {
	b := l.b
	b.t.Helper()
	for name, token := range tokens {
		l.sees("", "Authorization", "Bearer "+token)
		for _, target := range [][2]string{{"POST", "/api/generate"}, {"GET", "/payments/status"}} {
			a := b.do(target[0], target[1], "", "Authorization", "Bearer "+token)
			b.problem(a, 401, "credentials_invalid")
			if got := a.header.Get("WWW-Authenticate"); got != `Bearer error="invalid_token"` {
				b.t.Errorf("%s: WWW-Authenticate %q", name, got)
			}
		}
	}
}

// crosses checks that pages of other sites cannot spend with a cookie, while a bearer
// token is nothing that a browser sends by itself.
func (l *shopper) crosses(token string) {
	l.b.t.Helper()
	evil := []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}
	l.b.problem(l.b.do("POST", "/api/generate", "", append(evil, "Cookie", "__session="+token)...), 403, "cross_origin")
	l.b.problem(l.b.do("POST", "/api/generate", "", append(evil, "Authorization", "Bearer "+token)...), 402, "insufficient_credits")
}
