package identity_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/identity"
	"github.com/dodogate/dodogate/internal/identity/identitytest"
)

// login is a source with a clock of the test's own, which counts.
type login struct {
	t       *testing.T
	source  identity.Source
	now     atomic.Int64 // Unix seconds
	mu      sync.Mutex
	results map[identity.Result]int
	log     syncBuffer
}

func (l *login) clock() time.Time         { return time.Unix(l.now.Load(), 0) }
func (l *login) pass(d time.Duration)     { l.now.Add(int64(d / time.Second)) }
func (l *login) in(d time.Duration) int64 { return l.now.Load() + int64(d/time.Second) }

func (l *login) observe(r identity.Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.results[r]++
}

func (l *login) count(r identity.Result) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.results[r]
}

type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func newLogin(t *testing.T) *login {
	l := &login{t: t, results: map[identity.Result]int{}}
	l.now.Store(1_800_000_000)
	return l
}

const (
	issuerName = "https://login.example.com/"
	audience   = "app"
)

func newJWT(t *testing.T, o identity.JWTOptions) *login {
	t.Helper()
	l := newLogin(t)
	o.Clock, o.Observe, o.Logger = l.clock, l.observe, slog.New(slog.NewTextHandler(&l.log, nil))
	source, err := identity.NewJWT(o)
	if err != nil {
		t.Fatal(err)
	}
	l.source = source
	return l
}

func ofIssuer(s *identitytest.Issuer) identity.JWTOptions {
	return identity.JWTOptions{JWKS: s.URL, Issuers: []string{issuerName}, Audiences: []string{audience}}
}

// claims are those of a good token, with changes; nil removes one.
func (l *login) claims(change map[string]any) map[string]any {
	c := map[string]any{"iss": issuerName, "aud": audience, "sub": "alice", "iat": l.in(0), "exp": l.in(time.Hour)}
	maps.Copy(c, change)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

func request(header ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

func (l *login) identify(header ...string) (gateway.Identity, error) {
	return l.source.Identify(request(header...), true)
}

func (l *login) bearer(token string) (gateway.Identity, error) {
	return l.identify("Authorization", "Bearer "+token)
}

func (l *login) is(token, account string) {
	l.t.Helper()
	if who, err := l.bearer(token); err != nil || who.Account != account {
		l.t.Errorf("it is %+v, %v, want %s", who, err, account)
	}
}

func (l *login) fails(token string, want error) {
	l.t.Helper()
	who, err := l.bearer(token)
	if !errors.Is(err, want) || who != (gateway.Identity{}) {
		l.t.Errorf("it is %+v, %v, want %v", who, err, want)
	}
	if parts := strings.Split(token, "."); err != nil && len(parts) == 3 && len(parts[2]) > 8 && strings.Contains(err.Error(), parts[2]) {
		l.t.Errorf("the error shows the token: %v", err)
	}
}

// A token that was verified costs no signature check again, until it expires.
func TestVerifiedOnce(t *testing.T) {
	for _, algorithm := range []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.EdDSA} {
		issuer := identitytest.NewIssuer(t, algorithm)
		l := newJWT(t, ofIssuer(issuer))
		token := issuer.Sign(l.claims(map[string]any{"email": "a@example.com", "email_verified": true, "name": "Alice"}))
		for range 5 {
			who, err := l.bearer(token)
			want := gateway.Identity{Account: "alice", Email: "a@example.com", EmailVerified: true, Name: "Alice"}
			if err != nil || who != want {
				t.Fatalf("%s: %+v, %v", algorithm, who, err)
			}
		}
		if l.count(identity.Verified) != 1 || l.count(identity.Remembered) != 4 || issuer.Fetches.Load() != 1 {
			t.Errorf("%s: %v, %d fetches", algorithm, l.results, issuer.Fetches.Load())
		}
		l.pass(time.Hour - time.Second)
		l.is(token, "alice")
		l.pass(time.Second)
		l.fails(token, gateway.ErrCredentials)
	}
}

// A token with an end far away is remembered like any other, and a shorter one is not
// remembered beyond its end.
func TestRememberedUntil(t *testing.T) {
	issuer := identitytest.NewIssuer(t, jose.ES256)
	for name, end := range map[string]any{
		"the year 2262": 9_223_372_036, "beyond it": 9_223_372_037, "the year 2286": 10_000_000_000, "the year 9999": 253_402_300_799,
		"the last one": 1 << 40, "with an exponent": json.RawMessage("1e10"),
	} {
		l := newJWT(t, ofIssuer(issuer))
		token := issuer.Sign(l.claims(map[string]any{"exp": end}))
		for range 3 {
			l.is(token, "alice")
		}
		if l.count(identity.Verified) != 1 {
			t.Errorf("%s: verified %d times", name, l.count(identity.Verified))
		}
	}
}

func TestBadTokens(t *testing.T) {
	issuer := identitytest.NewIssuer(t, jose.RS256)
	l := newJWT(t, ofIssuer(issuer))
	good := issuer.Sign(l.claims(nil))
	head, rest, _ := strings.Cut(good, ".")
	_, signature, _ := strings.Cut(rest, ".")
	encode := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	payload := fmt.Sprintf(`"iss":%q,"aud":%q,"exp":%d`, issuerName, audience, l.in(time.Hour))

	public := issuer.Public()
	der, err := x509.MarshalPKIXPublicKey(public.Key)
	if err != nil {
		t.Fatal(err)
	}
	pemKey := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	confused := func(key []byte) string {
		return identitytest.Sign(t, jose.JSONWebKey{Key: key, KeyID: public.KeyID, Algorithm: "HS256"}, "{"+payload+`,"sub":"alice"}`)
	}
	other := identitytest.NewIssuer(t, jose.RS256)
	for name, token := range map[string]string{
		"expired":              issuer.Sign(l.claims(map[string]any{"exp": l.in(-time.Second)})),
		"expires now":          issuer.Sign(l.claims(map[string]any{"exp": l.in(0)})),
		"without an end":       issuer.Sign(l.claims(map[string]any{"exp": nil})),
		"an end in words":      issuer.Sign(l.claims(map[string]any{"exp": "tomorrow"})),
		"an end beyond time":   issuer.Sign(l.claims(map[string]any{"exp": 1e300})),
		"an end before time":   issuer.Sign(l.claims(map[string]any{"exp": -1})),
		"not yet valid":        issuer.Sign(l.claims(map[string]any{"nbf": l.in(time.Minute)})),
		"valid from a word":    issuer.Sign(l.claims(map[string]any{"nbf": "now"})),
		"another issuer":       issuer.Sign(l.claims(map[string]any{"iss": "https://evil.example/"})),
		"an issuer less /":     issuer.Sign(l.claims(map[string]any{"iss": strings.TrimSuffix(issuerName, "/")})),
		"no issuer":            issuer.Sign(l.claims(map[string]any{"iss": nil})),
		"issuers":              issuer.Sign(l.claims(map[string]any{"iss": []string{issuerName}})),
		"another audience":     issuer.Sign(l.claims(map[string]any{"aud": "other"})),
		"other audiences":      issuer.Sign(l.claims(map[string]any{"aud": []string{"x", "y"}})),
		"no audience":          issuer.Sign(l.claims(map[string]any{"aud": nil})),
		"audience of numbers":  issuer.Sign(l.claims(map[string]any{"aud": []any{audience, 1}})),
		"account a number":     issuer.Sign(l.claims(map[string]any{"sub": 5})),
		"account an object":    issuer.Sign(l.claims(map[string]any{"sub": map[string]any{"id": "alice"}})),
		"account a list":       issuer.Sign(l.claims(map[string]any{"sub": []string{"alice"}})),
		"account null":         issuer.SignText("{" + payload + `,"sub":null}`),
		"account empty":        issuer.Sign(l.claims(map[string]any{"sub": ""})),
		"account missing":      issuer.Sign(l.claims(map[string]any{"sub": nil})),
		"account of 257 bytes": issuer.Sign(l.claims(map[string]any{"sub": strings.Repeat("x", 257)})),
		"account twice":        issuer.SignText("{" + payload + `,"sub":"alice","sub":"bob"}`),
		"account twice, \\u":   issuer.SignText("{" + payload + `,"sub":"alice","\u0073ub":"bob"}`),
		"a twin further down":  issuer.SignText("{" + payload + `,"sub":"alice","x":{"a":1,"a":2}}`),
		"account not utf-8":    issuer.SignText("{" + payload + ",\"sub\":\"a\xff\"}"),
		"no object":            issuer.SignText(`["alice"]`),
		"no json":              issuer.SignText(`alice`),
		"data behind":          issuer.SignText("{" + payload + `,"sub":"alice"}{}`),
		"none":                 encode(`{"alg":"none"}`) + "." + encode("{"+payload+`,"sub":"alice"}`) + ".",
		"none with signature":  encode(`{"alg":"none"}`) + "." + rest,
		"none in capitals":     encode(`{"alg":"NONE","kid":"key-1"}`) + "." + rest,
		"the key as secret":    confused(der),
		"the same in PEM":      confused(pemKey),
		"another key":          other.Sign(l.claims(nil)),
		"an algorithm twice":   encode(`{"alg":"RS256","alg":"none","kid":"key-1"}`) + "." + rest,
		"another algorithm":    encode(`{"alg":"RS512","kid":"key-1"}`) + "." + rest,
		"a key of its own":     encode(`{"alg":"RS256","jwk":{"kty":"oct","k":"AAAA"}}`) + "." + rest,
		"critical":             encode(`{"alg":"RS256","kid":"key-1","crit":["b64"],"b64":false}`) + "." + rest,
		"no payload":           head + ".." + signature,
		"no signature":         strings.TrimSuffix(good, signature),
		"a byte changed":       head + "." + encode("{"+payload+`,"sub":"mallory"}`) + "." + signature,
		"encrypted":            good + ".AAAA.AAAA",
		"one part":             "abc",
		"a kid that is long":   encode(`{"alg":"RS256","kid":"`+strings.Repeat("k", 300)+`"}`) + "." + rest,
		"a megabyte":           strings.Repeat("a", 1<<20),
		"a big payload":        issuer.Sign(l.claims(map[string]any{"x": strings.Repeat("x", 1<<20)})),
		"json form":            `{"payload":"` + encode("{}") + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			l.t = t
			l.fails(token, gateway.ErrCredentials)
		})
	}
	l.t = t
	l.is(good, "alice")
	l.is(issuer.Sign(l.claims(map[string]any{"aud": []string{"x", audience}})), "alice")
	l.is(issuer.Sign(l.claims(map[string]any{"sub": strings.Repeat("x", 256)})), strings.Repeat("x", 256))
	l.is(issuer.Sign(l.claims(map[string]any{"exp": float64(l.in(time.Minute)) + 0.5})), "alice")
}

// A token cannot say where its key is, nor bring it along.
func TestKeysThatTokensName(t *testing.T) {
	issuer, evil := identitytest.NewIssuer(t, jose.EdDSA), identitytest.NewIssuer(t, jose.EdDSA)
	l := newJWT(t, ofIssuer(issuer))
	l.is(issuer.Sign(l.claims(nil)), "alice")
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(l.claims(nil))
	if err != nil {
		t.Fatal(err)
	}
	known := issuer.Public().KeyID
	for name, header := range map[string]map[jose.HeaderKey]any{
		"its own":          {"kid": known, "jwk": jose.JSONWebKey{Key: key.Public()}},
		"at an address":    {"kid": known, "jku": evil.URL},
		"a certificate at": {"kid": known, "x5u": evil.URL},
		"a file":           {"kid": "../../../../proc/self/environ"},
		"an address":       {"kid": evil.URL},
		"a query":          {"kid": "x' UNION SELECT 'key"},
		"a null":           {"kid": known + "\x00"},
		"nothing":          {},
	} {
		options := new(jose.SignerOptions)
		for header, value := range header {
			options.WithHeader(header, value)
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: key}, options)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := signer.Sign(payload)
		if err != nil {
			t.Fatal(err)
		}
		token, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		if who, err := l.bearer(token); !errors.Is(err, gateway.ErrCredentials) {
			t.Errorf("%s: %+v, %v", name, who, err)
		}
	}
	if n := evil.Fetches.Load(); n != 0 {
		t.Errorf("%d fetches from an address that a token names", n)
	}
}

// What is verified as one algorithm with one key is not taken for another.
func TestAlgorithmsArePinned(t *testing.T) {
	issuer := identitytest.NewIssuer(t, jose.ES256)
	o := ofIssuer(issuer)
	o.Algorithms = []string{"RS256"}
	l := newJWT(t, o)
	l.fails(issuer.Sign(l.claims(nil)), gateway.ErrCredentials)
	issuer.Rotate(jose.RS256)
	l.pass(time.Minute)
	l.is(issuer.Sign(l.claims(nil)), "alice")
}

func TestSecrets(t *testing.T) {
	const older, newer = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
	l := newJWT(t, identity.JWTOptions{Secrets: []string{newer, older}})
	sign := func(secret string) string {
		return identitytest.Sign(t, jose.JSONWebKey{Key: []byte(secret), Algorithm: "HS256"}, fmt.Sprintf(`{"sub":"alice","exp":%d}`, l.in(time.Hour)))
	}
	l.is(sign(older), "alice")
	l.is(sign(newer), "alice")
	l.fails(sign("0123456789abcdef0123456789abcdeX"), gateway.ErrCredentials)
}

func TestKeyFile(t *testing.T) {
	issuer := identitytest.NewIssuer(t, jose.ES256)
	public := issuer.Public()
	der, _ := x509.MarshalPKIXPublicKey(public.Key)
	set, _ := public.MarshalJSON()
	for name, text := range map[string]string{
		"PEM":       string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		"a key":     string(set),
		"a key set": `{"keys":[{"kty":"oct","k":"AAAA"},{"kty":"new"},` + string(set) + `]}`,
	} {
		file := filepath.Join(t.TempDir(), "keys")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		l := newJWT(t, identity.JWTOptions{KeyFile: file})
		if who, err := l.bearer(issuer.Sign(l.claims(nil))); err != nil || who.Account != "alice" {
			t.Errorf("%s: %+v, %v", name, who, err)
		}
	}
	for name, text := range map[string]string{
		"nothing": "", "no key": `{"keys":[]}`, "a secret": `{"kty":"oct","k":"AAAA"}`,
		"a private key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	} {
		file := filepath.Join(t.TempDir(), "keys")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := identity.NewJWT(identity.JWTOptions{KeyFile: file}); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// The issuer rotates its keys, is away, publishes nonsense, and is asked seldom.
func TestIssuerLives(t *testing.T) {
	issuer := identitytest.NewIssuer(t, jose.ES256)
	l := newJWT(t, ofIssuer(issuer))
	issuer.Answer(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusInternalServerError) })
	token := issuer.Sign(l.claims(nil))
	for range 10 {
		l.fails(token, gateway.ErrLoginUnavailable) // nobody can say yet
	}
	if n := issuer.Fetches.Load(); n != 1 {
		t.Errorf("%d fetches in no time", n)
	}
	issuer.Answer(nil)
	l.pass(10 * time.Second)
	l.is(token, "alice")

	// An unknown kid is looked for once in a while, however many tokens have one.
	issuer.Rotate(jose.ES256)
	next := issuer.Sign(l.claims(map[string]any{"sub": "bob"}))
	l.fails(next, gateway.ErrCredentials) // the keys are fresh
	l.pass(time.Minute)
	l.is(next, "bob")
	l.is(token, "alice")
	before := issuer.Fetches.Load()
	forged := identitytest.NewIssuer(t, jose.ES256)
	for range 4 {
		forged.Rotate(jose.ES256)
	}
	for range 20 {
		l.fails(forged.Sign(l.claims(nil)), gateway.ErrCredentials)
	}
	if n := issuer.Fetches.Load() - before; n != 0 {
		t.Errorf("%d fetches for forged tokens", n)
	}

	// The issuer is away: known keys stay, for new tokens too.
	for name, answer := range map[string]http.HandlerFunc{
		"an error":        func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"a page":          func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
		"no keys":         func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"keys":[]}`) },
		"too much":        func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, io.LimitReader(zeros{}, 4<<20)) },
		"somebody else's": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, forged.URL, http.StatusFound) },
	} {
		issuer.Answer(answer)
		l.pass(time.Minute)
		l.fails(forged.Sign(l.claims(nil)), gateway.ErrLoginUnavailable) // there may be a new key
		if who, err := l.bearer(issuer.Sign(l.claims(map[string]any{"sub": "carol", "jti": name}))); err != nil || who.Account != "carol" {
			t.Errorf("%s: %+v, %v", name, who, err)
		}
	}
	issuer.Die()
	l.pass(time.Minute)
	l.is(issuer.Sign(l.claims(nil)), "alice")
	if log := l.log.String(); strings.Count(log, "could not be fetched") != 2 || strings.Contains(log, token) {
		t.Errorf("the log has %s", log)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// A key that the issuer withdraws ends the tokens that it signed, remembered ones too.
func TestWithdrawnKey(t *testing.T) {
	issuer := identitytest.NewIssuer(t, jose.ES256)
	l := newJWT(t, ofIssuer(issuer))
	token := issuer.Sign(l.claims(map[string]any{"exp": l.in(24 * time.Hour)}))
	l.is(token, "alice")
	issuer.Rotate(jose.ES256)
	issuer.Withdraw()
	l.is(token, "alice") // nobody has heard of it yet
	l.pass(time.Hour)
	for range 2000 { // the keys are read in the background
		if _, err := l.bearer(token); errors.Is(err, gateway.ErrCredentials) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Error("the token is still believed")
}

func TestCredentialsOfRequests(t *testing.T) {
	issuer := identitytest.NewIssuer(t, jose.ES256)
	o := ofIssuer(issuer)
	o.Cookie = "__session"
	l := newJWT(t, o)
	alice, bob := issuer.Sign(l.claims(nil)), issuer.Sign(l.claims(map[string]any{"sub": "bob"}))
	for name, tt := range map[string]struct {
		header []string
		want   string // "" is anonymous, "!" is refused
	}{
		"nothing":                      {nil, ""},
		"another cookie":               {[]string{"Cookie", "a=" + alice}, ""},
		"a cookie":                     {[]string{"Cookie", "a=b; __session=" + alice + "; c=d"}, "alice"},
		"a quoted cookie":              {[]string{"Cookie", `__session="` + alice + `"`}, "alice"},
		"an empty cookie":              {[]string{"Cookie", "__session="}, ""},
		"a bad cookie":                 {[]string{"Cookie", "__session=x"}, "!"},
		"two cookies":                  {[]string{"Cookie", "__session=" + alice + "; __session=" + bob}, "!"},
		"two cookie lines":             {[]string{"Cookie", "__session=" + alice, "Cookie", "__session=" + bob}, "!"},
		"two cookies, one spaced":      {[]string{"Cookie", "__session =" + alice + "; __session=" + bob}, "!"},
		"two cookies, one with a tab":  {[]string{"Cookie", "__session=" + alice + ";\t__session\t=" + bob}, "!"},
		"a spaced cookie":              {[]string{"Cookie", "__session = " + alice}, "alice"},
		"a bearer by a tab":            {[]string{"Authorization", "Bearer\t" + bob, "Cookie", "__session=" + alice}, "bob"},
		"a bearer behind a space":      {[]string{"Authorization", " Bearer " + bob, "Cookie", "__session=" + alice}, "bob"},
		"an empty bearer by a tab":     {[]string{"Authorization", "Bearer\t", "Cookie", "__session=" + alice}, "!"},
		"a bearer":                     {[]string{"Authorization", "Bearer " + alice}, "alice"},
		"in lower case":                {[]string{"Authorization", "bearer   " + alice}, "alice"},
		"a bearer before a cookie":     {[]string{"Authorization", "Bearer " + bob, "Cookie", "__session=" + alice}, "bob"},
		"a bad bearer, a good cookie":  {[]string{"Authorization", "Bearer x", "Cookie", "__session=" + alice}, "!"},
		"an empty bearer":              {[]string{"Authorization", "Bearer", "Cookie", "__session=" + alice}, "!"},
		"two bearers":                  {[]string{"Authorization", "Bearer " + alice, "Authorization", "Bearer " + bob}, "!"},
		"another scheme and a cookie":  {[]string{"Authorization", "Basic YTpi", "Cookie", "__session=" + alice}, "alice"},
		"a scheme that begins like it": {[]string{"Authorization", "BearerX " + alice}, ""},
	} {
		who, err := l.identify(tt.header...)
		switch {
		case tt.want == "!" && errors.Is(err, gateway.ErrCredentials):
		case err != nil || who.Account != tt.want:
			t.Errorf("%s: %+v, %v, want %q", name, who, err, tt.want)
		}
	}
	o.NoBearer = true
	only := newJWT(t, o)
	only.now.Store(l.now.Load())
	if who, err := only.identify("Authorization", "Bearer "+alice); err != nil || who.Account != "" {
		t.Errorf("a bearer that is off: %+v, %v", who, err)
	}
}

func TestClaimPaths(t *testing.T) {
	issuer := identitytest.NewIssuer(t, jose.ES256)
	o := ofIssuer(issuer)
	o.Paths = identity.Paths{
		Account: identity.ParsePath("https://app.example.com/uid"), Email: identity.ParsePath("user_metadata.mail"),
		EmailVerified: identity.ParsePath("https://x/claims", "mail.ok"), Name: identity.ParsePath("a.b.c"),
	}
	l := newJWT(t, o)
	who, err := l.bearer(issuer.Sign(l.claims(map[string]any{
		"https://app.example.com/uid": "u1", "user_metadata": map[string]any{"mail": "m@example.com"},
		"https://x/claims": map[string]any{"mail": map[string]any{"ok": "true"}}, "a": "b",
	})))
	if want := (gateway.Identity{Account: "u1", Email: "m@example.com", EmailVerified: true}); err != nil || who != want {
		t.Errorf("%+v, %v", who, err)
	}
}

func TestLeeway(t *testing.T) {
	issuer := identitytest.NewIssuer(t, jose.ES256)
	o := ofIssuer(issuer)
	o.Leeway = time.Minute
	l := newJWT(t, o)
	l.is(issuer.Sign(l.claims(map[string]any{"exp": l.in(-59 * time.Second), "nbf": l.in(time.Minute)})), "alice")
	l.fails(issuer.Sign(l.claims(map[string]any{"exp": l.in(-time.Minute)})), gateway.ErrCredentials)
	l.fails(issuer.Sign(l.claims(map[string]any{"nbf": l.in(61 * time.Second)})), gateway.ErrCredentials)
}
