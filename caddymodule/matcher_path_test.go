package caddymodule_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/dodogate/dodogate/caddymodule"
	"github.com/dodogate/dodogate/internal/httpapi"
	"github.com/dodogate/dodogate/internal/testing/pathreaders"
)

// hostileApp serves what is paid to whoever asks for it in any way that any app
// knows: by a path in any spelling, in a header that stands for it, by any method.
func hostileApp(w http.ResponseWriter, r *http.Request) {
	targets := append([]string{r.RequestURI}, r.Header["X-Original-Url"]...)
	for _, target := range append(targets, r.Header["X-Rewrite-Url"]...) {
		if reader, paid := pathreaders.Paid(target); paid {
			_, _ = io.WriteString(w, "PAID, by "+reader+" from "+target)
			return
		}
	}
	_, _ = io.WriteString(w, "free")
}

// rawClient sends requests as they are, over one connection as long as it lasts.
type rawClient struct {
	b    *bench
	conn net.Conn
	in   *bufio.Reader
}

// do returns the status and the body, or 0 when there is no HTTP in the answer.
func (c *rawClient) do(request string) (int, string) {
	c.b.t.Helper()
	if c.conn == nil {
		conn, err := net.Dial("tcp", "127.0.0.1:"+c.b.Port)
		if err != nil {
			c.b.t.Fatal(err)
		}
		c.conn, c.in = conn, bufio.NewReader(conn)
	}
	_ = c.conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c.conn, request); err != nil {
		c.close()
		return c.do(request)
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.close()
		return 0, ""
	}
	body, err := io.ReadAll(resp.Body)
	if resp.Close || err != nil {
		c.close()
	}
	return resp.StatusCode, string(body)
}

func (c *rawClient) close() {
	if c.conn != nil {
		_ = c.conn.Close()
	}
	c.conn = nil
}

// Nothing that the app behind would serve as paid passes unpaid, however it is
// asked for.
func TestGateCannotBeWalkedAround(t *testing.T) {
	for gate, is := range map[string]string{"dodo_require": "paid", "dodo_charge": "4"} {
		t.Run(gate, func(t *testing.T) { walkAround(t, gate, is) })
	}
}

func walkAround(t *testing.T, gate, is string) {
	b := newBench(t)
	app := newServer(t, hostileApp)
	b.mustLoad(caddyfile(planDodo, fmt.Sprintf(usualGateway+`
	%[1]s /paid/* %[2]s
	%[1]s /paid.php %[2]s
	reverse_proxy %[3]s`, gate, is, app)))
	client := &rawClient{b: b}
	defer client.close()
	request := func(method, target string, header ...string) string {
		return lines(append([]string{method + " " + target + " HTTP/1.1", "Host: 127.0.0.1:" + b.Port, "X-Test-User: alice"}, header...)...) + "\r\n"
	}
	attempt := func(text string) (served bool) {
		t.Helper()
		status, body := client.do(text)
		if strings.HasPrefix(body, "PAID") {
			t.Errorf("%q passed: %s", text, body)
		}
		return status == http.StatusOK
	}

	for _, target := range []string{
		"/paid", "/paid/", "/paid/x", "//paid/x", "/paid//x", "/./paid/x", "/paid/./x", "/x/../paid/x", "/paid/../x", "/paid/..", "/../paid",
		"/%2e/paid/x", "/x/%2e%2e/paid/x", "/x/.%2e/paid", "/paid/%2e%2e/x", "/paid%2fx", "/%2fpaid/x", "/x%2f..%2fpaid/x", "/x/..%2fpaid/x",
		"/%70aid/x", "/%50AID/x", "/%2570aid/x", "/%252e%252e/paid/x", "/x/..%252fpaid", "/paid;x", "/paid;/x", "/;x/paid", "/x/..;/paid/x", "/paid%3bx/y",
		"/PAID/x", "/Paid", "/paid/?x", "/paid?x", "/paid#x", "/paid%23", "/paid%3f", "/paid%00", "/paid%20", "/paid.", "/paid./x",
		`/paid\x`, `/x\..\paid`, "/x/..%5cpaid", "/%5cpaid", "http://evil.example/paid/x", "http://127.0.0.1/x/../paid", "http:/paid/x", "http:paid/x", "HTTP://x//paid",
		"//evil.example/paid/x", "///evil.example/paid", `/\evil.example/paid`, "/paid.php", "/paid.php/x", "/paid.php%2fx", "/x/../paid.PHP/y", "/index.php/paid/x", "/index.php%2fpaid",
	} {
		for _, method := range []string{"GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "get"} {
			if method == "HEAD" {
				continue // its answer has no end that a raw reader sees
			}
			attempt(request(method, target))
		}
		attempt(request("GET", "/free", "X-Original-URL: "+target))
		attempt(request("POST", "/free", "X-Rewrite-URL: "+target, "Content-Length: 0"))
		attempt(request("POST", target, "X-HTTP-Method-Override: OPTIONS", "Content-Length: 0"))
		attempt(request("OPTIONS", target, "X-HTTP-Method-Override: GET", "Origin: https://x.example", "Access-Control-Request-Method: GET"))
	}

	seed := rand.Uint64()
	dice := rand.New(rand.NewPCG(seed, 2))
	free := 0
	for range 4000 {
		var target strings.Builder
		target.WriteByte('/')
		for range 1 + dice.IntN(7) {
			target.WriteString(hostilePieces[dice.IntN(len(hostilePieces))])
		}
		if attempt(request("GET", target.String())) {
			free++
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if free < 100 {
		t.Errorf("only %d requests got to the app", free)
	}
	b.leaves("alice", 3)
}

var hostilePieces = []string{
	"/", "/", "/", "//", "paid", "paid", "PAID", "p%61id", "%70aid", "x", "y", "..", "..", ".", "%2e", "%2E%2e", ".%2e", "%2f", "%2F", "%5c", `\`, ";", ";v=1", "..;", "%3b",
	"%00", "%20", "%09", "%0a", "%3f", "%23", "?", "%25", "%252f", "%252e", "%2570", "%255c", ":", "@", ".php", "/index.php", "/default.aspx", "/Index.cfm", ".", "%c0%af", "%c3%a9",
}

// However many gates a site has, a request is read once, within the bound.
func TestGatesShareOneReading(t *testing.T) {
	r := httptest.NewRequest("GET", "/x%20y/", nil)
	for range 400 {
		r.Header.Add("X-Original-URL", `x%25252f;a\..%20/`)
	}
	r.Header.Set("X-Rewrite-URL", strings.Repeat(`x%25252f;a\..%20/`, 1000))
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), httptest.NewRecorder(), nil)
	work := 0
	for i, pattern := range []string{"/a/*", "*.mp4", "/b/*/c", "/report", "/paid/*"} {
		gate := &caddymodule.MatchPath{Paths: []string{pattern}}
		if err := gate.Provision(caddy.Context{}); err != nil {
			t.Fatal(err)
		}
		if stands, err := gate.MatchWithError(r); !stands || err != nil {
			t.Errorf("%s: %v %v", pattern, stands, err)
		}
		if i == 0 {
			work = caddymodule.PathWork(r)
		}
	}
	if got := caddymodule.PathWork(r); got != work || work == 0 || work > httpapi.MaxWork {
		t.Errorf("%d bytes were looked at by one gate, %d by all", work, got)
	}
	// What is rewritten meanwhile is read, and only that.
	gate := &caddymodule.MatchPath{Paths: []string{"/late"}}
	if err := gate.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	clean := caddyhttp.PrepareRequest(httptest.NewRequest("GET", "/x%20y/", nil), caddy.NewReplacer(), httptest.NewRecorder(), nil)
	for _, step := range []struct {
		path string
		want bool
	}{{"/x y/", false}, {"/l%61te", true}, {"/z z", true}} {
		clean.URL.Path = step.path
		if stands, err := gate.MatchWithError(clean); stands != step.want || err != nil {
			t.Errorf("rewritten to %s: %v %v", step.path, stands, err)
		}
	}
}
