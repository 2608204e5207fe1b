package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/dodogate/dodogate/caddymodule"
	"github.com/dodogate/dodogate/internal/testing/freeport"
)

// Everything that Caddy writes on its own goes to a folder of the test run.
func TestMain(m *testing.M) {
	home, err := os.MkdirTemp("", "dodogate-caddy-")
	if err != nil {
		panic(err)
	}
	_ = os.Setenv("XDG_DATA_HOME", filepath.Join(home, "data"))
	_ = os.Setenv("XDG_CONFIG_HOME", filepath.Join(home, "config"))
	caddy.ConfigAutosavePath = filepath.Join(home, "autosave.json")
	code := m.Run()
	_ = os.RemoveAll(home)
	os.Exit(code)
}

const webhookSecret = "whsec_ZG9kb2dhdGUtdGVzdC1zZWNyZXQtMDEyMzQ1Njc4OQ=="

// bench is what the Caddyfiles of tests are filled in with.
type bench struct {
	t        *testing.T
	Port     string // of the site
	Secure   string // the site's port for TLS, where it has one
	Admin    string // address of the admin API
	Dir      string // for files
	TLS      string // for the site's certificates
	Upstream string // address of the app
	Dodo     string // address of the API
	client   *http.Client
	loads    int // how many configs were loaded
}

func newBench(t *testing.T) *bench {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a Caddy")
	}
	b := &bench{t: t, Dir: t.TempDir(), Admin: "127.0.0.1:" + freeport.Get(t), Port: freeport.Get(t), Dodo: "http://127.0.0.1:1"}
	b.Upstream = newUpstream(t)
	b.client = &http.Client{
		Timeout:       30 * time.Second,
		Transport:     &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return b
}

// The usual global options and the usual site.
const (
	usualDodo = `
	dodo {
		api_key        test_api_key
		site           site_test
		base_url       {{Dodo}}
		webhook_secret ` + webhookSecret + `
		store          bolt {{Dir}}/dodogate.db
		signup_credits 3
		product pack10 {
			id      pdt_pack10
			credits 10
		}
	}`
	usualGateway = `
	dodo_gateway {
		account {http.request.header.X-Test-User}
	}`
)

// caddyfile makes a config of one site.
func caddyfile(globals, site string) string {
	return "{\n\tadmin {{Admin}}\n\tauto_https off\n\tskip_install_trust\n" + globals + "\n}\n" +
		"http://127.0.0.1:{{Port}} {\n" + site + "\n}\n"
}

func (b *bench) fill(text string) string {
	return strings.NewReplacer("{{Port}}", b.Port, "{{Secure}}", b.Secure, "{{Admin}}", b.Admin, "{{Dir}}", b.Dir, "{{TLS}}", b.TLS,
		"{{Upstream}}", b.Upstream, "{{Dodo}}", b.Dodo).Replace(text)
}

func adapt(text string) ([]byte, error) {
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	return adapted, err
}

// load runs a Caddyfile until the test ends.
func (b *bench) load(text string) error {
	b.t.Helper()
	adapted, err := adapt(b.fill(text))
	if err != nil {
		return err
	}
	b.t.Cleanup(func() { _ = caddy.Stop() })
	b.loads++
	// The server before closes its idle connections. A POST on one of them is not sent again.
	defer b.client.CloseIdleConnections()
	return caddy.Load(adapted, true)
}

func (b *bench) mustLoad(text string) {
	b.t.Helper()
	if err := b.load(text); err != nil {
		b.t.Fatalf("load: %v", err)
	}
}

// answer is a response that was read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

func (b *bench) do(method, path, body string, header ...string) answer {
	b.t.Helper()
	req, err := http.NewRequest(method, "http://127.0.0.1:"+b.Port+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header[header[i]] = append(req.Header[header[i]], header[i+1])
	}
	return b.send(req)
}

func (b *bench) send(req *http.Request) answer {
	b.t.Helper()
	resp, err := b.roundTrip(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}
}

// roundTrip sends a request. A server that is being replaced may drop a connection that it
// has not read from: then the request is sent again.
func (b *bench) roundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.client.Do(req)
	for range 5 {
		if b.loads <= 1 || !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
			break
		}
		if req.GetBody != nil {
			req.Body, _ = req.GetBody()
		}
		resp, err = b.client.Do(req)
	}
	return resp, err
}

// dump is what the app behind the gateway saw of a request.
type dump struct {
	Proto   string
	Path    string
	Header  http.Header
	Trailer http.Header
	Body    string
}

func newUpstream(t *testing.T) string {
	t.Helper()
	return strings.TrimPrefix(newServer(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_ = json.NewEncoder(w).Encode(dump{r.Proto, r.URL.Path, r.Header, r.Trailer, string(body)})
	}), "http://")
}

// newServer returns the address of a server whose every answer is handler's.
func newServer(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL
}

// seen reads what the app saw from its answer.
func (b *bench) seen(a answer) dump {
	b.t.Helper()
	var d dump
	if err := json.Unmarshal([]byte(a.body), &d); err != nil {
		b.t.Fatalf("not an answer of the app: %d %s", a.status, a.body)
	}
	return d
}

// fold is the name of a header as the most forgiving backend reads it.
func fold(name string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case 'A' <= c && c <= 'Z':
			return c + 'a' - 'A'
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			return c
		}
		return -1
	}, name)
}

// claims are the values that the app would find under a name, however it reads
// names.
func (d dump) claims(name string) []string {
	var values []string
	for _, h := range []http.Header{d.Header, d.Trailer} {
		for n, v := range h {
			if fold(n) == fold(name) {
				values = append(values, v...)
			}
		}
	}
	return values
}

// assertEntitlement compares everything that the app was told, and that each of
// it was said once.
func assertEntitlement(t *testing.T, d dump, want map[string]string) {
	t.Helper()
	for _, name := range []string{"User", "Credits", "Has-Paid", "Plan", "Plans", "Plan-Status", "Plan-Expires-At", "Features", "Stale"} {
		got := d.claims("X-Entitlement-" + name)
		if len(got) != 1 || got[0] != want[name] {
			t.Errorf("X-Entitlement-%s is %q, want exactly %q", name, got, want[name])
		}
	}
	for _, name := range []string{"X-Entitlement-Seats", "X-Entitlement-Token"} {
		if got := d.claims(name); got != nil {
			t.Errorf("%s is %q, want none", name, got)
		}
	}
	if len(d.Trailer) > 0 {
		for name := range d.Trailer {
			if strings.HasPrefix(fold(name), "xentitlement") {
				t.Errorf("trailer %s arrived", name)
			}
		}
	}
}

var anonymous = map[string]string{
	"User": "", "Credits": "0", "Has-Paid": "false", "Plan": "none", "Plans": "", "Plan-Status": "none", "Plan-Expires-At": "", "Features": "", "Stale": "false",
}

// newcomer is what a new account with 3 sign-up credits may do.
func newcomer(user string) map[string]string {
	m := map[string]string{}
	for k, v := range anonymous {
		m[k] = v
	}
	m["User"], m["Credits"] = user, "3"
	return m
}

// raw sends bytes to the site and returns what the app saw, or fails.
func (b *bench) raw(request string) dump {
	b.t.Helper()
	return b.seen(b.rawAnswer(request))
}

func (b *bench) rawAnswer(request string) answer {
	b.t.Helper()
	conn, err := net.Dial("tcp", "127.0.0.1:"+b.Port)
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		b.t.Fatal(err)
	}
	text, err := io.ReadAll(conn)
	if err != nil {
		b.t.Fatalf("read answer: %v", err)
	}
	return parseAnswer(b.t, text)
}

func parseAnswer(t *testing.T, text []byte) answer {
	t.Helper()
	resp, err := http.ReadResponse(newReader(text), nil)
	if err != nil {
		t.Fatalf("parse answer %q: %v", text, err)
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	_, _ = body.ReadFrom(resp.Body)
	return answer{resp.StatusCode, resp.Header, body.String()}
}

func lines(l ...string) string { return strings.Join(l, "\r\n") + "\r\n" }

func chunked(body string) string { return fmt.Sprintf("%x\r\n%s\r\n0\r\n", len(body), body) }
