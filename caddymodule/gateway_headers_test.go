package caddymodule_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/testing/httpclient"
)

func newReader(text []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(text)) }

const usualProxy = usualGateway + "\n\treverse_proxy {{Upstream}}"

// What a client may try to be believed. Each is lines of a request.
var spoofedHeaders = []string{
	"X-Entitlement-Credits: 999",
	"x-entitlement-credits: 999",
	"X-ENTITLEMENT-CREDITS: 999",
	"X_Entitlement_Credits: 999",
	"X.Entitlement.Credits: 999",
	"X~Entitlement~Credits: 999",
	"X+Entitlement+Credits: 999",
	"X!entitlement!credits: 999",
	"X'Entitlement'Credits: 999",
	"X#Entitlement$Credits: 999",
	"X%Entitlement&Credits: 999",
	"X*Entitlement^Credits: 999",
	"X`Entitlement|Credits: 999",
	"XEntitlementCredits: 999",
	"-X-Entitlement--Credits-: 999",
	"X-Entitle-ment-Cred-its: 999",
	"~~~~X-Entitlement-Credits: 999",
	strings.Repeat("~", 400) + "X-Entitlement-Credits: 999",
	"X-Entitlement-Credits: 999\r\nX-Entitlement-Credits: 998\r\nx-entitlement_credits: 997",
	"X-Entitlement-Credits: 9\r\n 99",
	"X-Entitlement-User: admin",
	"X-Entitlement-Has-Paid: true",
	"X-Entitlement-HasPaid: true",
	"X-Entitlement-Plan: pro",
	"X-Entitlement-Plans: pro,basic",
	"x_entitlement~plans: pro",
	"X-Entitlement-Seats: 99",
	"X-Entitlement-Plan-Status: active",
	"X-Entitlement-Plan-Expires-At: 2099-01-01T00:00:00Z",
	"X-Entitlement-Features: reports",
	"X-Entitlement-Stale: true",
	"X-Entitlement-Token: e30.e30.e30",
	"X~Entitlement~Token: e30.e30.e30",
}

// Lines by which a client may try to have our headers dropped.
var spoofedConnections = []string{
	"Connection: close, X-Entitlement-Credits",
	"Connection: X-Entitlement-Credits, close",
	"Connection: close,X-Entitlement-Credits,X-Other",
	"Connection: close , \t X-Entitlement-Credits \t , X-Other",
	"Connection: close, x-entitlement-credits",
	"Connection: close, X-ENTITLEMENT-CREDITS, X-Entitlement-Has-Paid, X-Entitlement-Plan",
	"Connection: close\r\nConnection: X-Entitlement-Credits",
	"Connection: X-Entitlement-Credits\r\nConnection: close",
	"Connection:\r\nConnection: X-Entitlement-Credits\r\nConnection: close",
	"Connection: ,,\r\nConnection: ,X-Entitlement-Credits,,X-Entitlement-User,\r\nConnection: close",
	"connection: close, X-Entitlement-User",
	"CONNECTION: close, X-Entitlement-Plan-Status, X-Entitlement-Plan-Expires-At, X-Entitlement-Features, X-Entitlement-Stale",
	"Connection: close,\r\n X-Entitlement-Credits",
	"Connection: close,\r\n\tX-Entitlement-Credits,\r\n X-Entitlement-Has-Paid",
	"Connection: close" + strings.Repeat(", X-Entitlement-Credits", 50),
}

// What may come behind a body: lines that announce, and lines that arrive.
var spoofedTrailers = map[string]struct{ declared, trailers string }{
	"declared":                        {"Trailer: X-Entitlement-Credits", "X-Entitlement-Credits: 999"},
	"declared in another spelling":    {"Trailer: x~entitlement~credits", "x~entitlement~credits: 999"},
	"declared beside another":         {"Trailer: X-Checksum, X-Entitlement-Credits", "X-Checksum: abc\r\nX-Entitlement-Credits: 999"},
	"not declared":                    {"X-None: 1", "X-Entitlement-Credits: 999"},
	"not declared beside a declared":  {"Trailer: X-Checksum", "X-Checksum: abc\r\nX-Entitlement-Credits: 999\r\nX_Entitlement_Has_Paid: true"},
	"ours declared, another arrives":  {"Trailer: X-Entitlement-Plan", "X-Entitlement-Credits: 999\r\nX+Entitlement+Plan: pro"},
	"declared on lines of their own":  {"Trailer: X-Checksum\r\nTrailer: X-Entitlement-Credits", "X-Checksum: abc\r\nX-Entitlement-Credits: 999"},
	"declared and several times sent": {"Trailer: X-Checksum, X-Entitlement-Credits", "X-Checksum: abc\r\nX-Entitlement-Credits: 1\r\nX-Entitlement-Credits: 2"},
}

// Whatever a client calls a header, the app reads our value under that name.
func TestClientHeadersNeverReachTheApp(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(usualDodo, usualProxy))
	for _, header := range spoofedHeaders {
		t.Run(header, func(t *testing.T) {
			b.t = t
			for _, user := range []string{"", "alice"} {
				request := lines("GET /app HTTP/1.1", "Host: 127.0.0.1:"+b.Port, "Connection: close", header)
				want := anonymous
				if user != "" {
					request += lines("X-Test-User: " + user)
					want = newcomer(user)
				}
				assertEntitlement(t, b.raw(request+"\r\n"), want)
			}
		})
	}
}

// A server that is told to let underscores or dots through lets ours through, too.
func TestAliasesThatTheServerAllows(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(usualDodo+`
	servers {
		expected_underscore_headers X_Entitlement_* x-entitlement_credits
		expected_dot_headers X.Entitlement.*
	}`, usualProxy))
	d := b.raw(lines("GET /app HTTP/1.1", "Host: 127.0.0.1:"+b.Port, "Connection: close", "X-Test-User: alice",
		"X_Entitlement_Credits: 999", "X.Entitlement.Credits: 998", "X-Entitlement_Credits: 997", "X-Entitlement-Credits: 996",
		"X_Entitlement_Has_Paid: true", "X.Entitlement.Plan: pro", "") + "\r\n")
	assertEntitlement(t, d, newcomer("alice"))
}

// Connection names headers that a proxy drops. A client must not have ours dropped.
func TestConnectionCannotDropOurHeaders(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(usualDodo, usualProxy))
	for _, connection := range spoofedConnections {
		t.Run(connection, func(t *testing.T) {
			b.t = t
			d := b.raw(lines("GET /app HTTP/1.1", "Host: 127.0.0.1:"+b.Port, connection, "X-Test-User: alice", "X-Other: 1") + "\r\n")
			assertEntitlement(t, d, newcomer("alice"))
			if strings.Contains(connection, "X-Other") == (d.Header.Get("X-Other") != "") {
				t.Errorf("X-Other is %q: the rest of Connection must keep its meaning", d.Header.Get("X-Other"))
			}
		})
	}
}

// Trailers arrive after the headers were judged; an app that merges them into
// the headers would believe them.
func TestTrailersNeverReachTheApp(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(usualDodo, usualProxy))
	for name, tt := range spoofedTrailers {
		t.Run(name, func(t *testing.T) {
			b.t = t
			d := b.raw(lines("POST /app HTTP/1.1", "Host: 127.0.0.1:"+b.Port, "Connection: close", "X-Test-User: alice",
				"Transfer-Encoding: chunked", tt.declared, "") + chunked("hello") + tt.trailers + "\r\n\r\n")
			assertEntitlement(t, d, newcomer("alice"))
			if d.Body != "hello" {
				t.Errorf("body is %q", d.Body)
			}
			if strings.Contains(tt.declared, "X-Checksum") && d.Trailer.Get("X-Checksum") != "abc" {
				t.Errorf("the trailer X-Checksum got lost: %v", d.Trailer)
			}
		})
	}
}

// The error routes of a site meet the request that we left.
func TestErrorRoutesSeeTheStrippedRequest(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(usualDodo, usualGateway+`
	error /broken 503
	handle_errors {
		reverse_proxy {{Upstream}}
	}`))
	d := b.raw(lines("POST /broken HTTP/1.1", "Host: 127.0.0.1:"+b.Port, "Connection: close, X-Entitlement-Has-Paid", "X-Test-User: alice",
		"X-Entitlement-Credits: 999", "X~Entitlement~Plan: pro", "Transfer-Encoding: chunked", "Trailer: X-Checksum, X-Entitlement-Credits", "") +
		chunked("hello") + "X-Checksum: abc\r\nX-Entitlement-Credits: 999\r\n\r\n")
	assertEntitlement(t, d, newcomer("alice"))
}

// An error before us, such as a failed login, leads to error routes with the
// client's headers; there the gateway can be used as well.
func TestGatewayInErrorRoutes(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(usualDodo, `
	route {
		error * 401
		`+strings.TrimSpace(usualGateway)+`
	}
	handle_errors {
		`+strings.TrimSpace(usualGateway)+`
		reverse_proxy {{Upstream}}
	}`))
	d := b.seen(b.do("GET", "/app", "", "X-Test-User", "alice", "X-Entitlement-Credits", "999"))
	assertEntitlement(t, d, newcomer("alice"))
}

func TestHTTP2(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(usualDodo+`
	servers {
		protocols h1 h2c
	}`, usualProxy))
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	b.client = &http.Client{Transport: transport, Timeout: httpclient.Timeout}
	req, err := http.NewRequest(http.MethodPost, "http://127.0.0.1:"+b.Port+"/app", io.NopCloser(strings.NewReader("hello")))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Test-User", "alice")
	req.Header["x-entitlement-credits"] = []string{"999", "998"}
	req.Header["x~entitlement~plan"] = []string{"pro"}
	req.Trailer = http.Header{"X-Checksum": {"abc"}, "X-Entitlement-Credits": {"999"}, "X~entitlement~has~paid": {"true"}}
	d := b.seen(b.send(req))
	assertEntitlement(t, d, newcomer("alice"))
	if d.Body != "hello" || d.Trailer.Get("X-Checksum") != "abc" {
		t.Errorf("body %q, trailers %v", d.Body, d.Trailer)
	}
}

// What follows dodo_gateway sees the headers: to rename them, for one.
func TestLaterDirectivesSeeTheHeaders(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(usualDodo, usualProxy+`
	request_header X-Copy {http.request.header.X-Entitlement-Credits}`))
	d := b.seen(b.do("GET", "/app", "", "X-Test-User", "alice", "X-Entitlement-Credits", "999"))
	assertEntitlement(t, d, newcomer("alice"))
	if got := d.Header["X-Copy"]; !slices.Equal(got, []string{"3"}) {
		t.Errorf("X-Copy is %q", got)
	}
}

func TestHeaderPrefix(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(usualDodo, `
	dodo_gateway {
		account {http.request.header.X-Test-User}
		header_prefix acme-paid-
	}
	reverse_proxy {{Upstream}}`))
	d := b.seen(b.do("GET", "/app", "", "X-Test-User", "alice", "Acme-Paid-Credits", "999", "Acme~Paid~Plan", "pro"))
	for name, want := range newcomer("alice") {
		if got := d.claims("Acme-Paid-" + name); len(got) != 1 || got[0] != want {
			t.Errorf("Acme-Paid-%s is %q, want %q", name, got, want)
		}
	}
}

// An upgraded connection goes through as if we were not there.
func TestUpgrade(t *testing.T) {
	b := newBench(t)
	app, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	got := make(chan *http.Request, 1)
	go func() {
		conn, err := app.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		buffered := bufio.NewReader(conn)
		req, err := http.ReadRequest(buffered)
		if err != nil {
			return
		}
		got <- req
		_, _ = io.WriteString(conn, lines("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket")+"\r\n")
		_, _ = io.Copy(conn, buffered)
	}()
	b.Upstream = app.Addr().String()
	b.mustLoad(caddyfile(usualDodo, usualProxy))

	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", "127.0.0.1:"+b.Port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(conn, lines("GET /socket HTTP/1.1", "Host: 127.0.0.1:"+b.Port, "Connection: Upgrade, X-Entitlement-Credits",
		"Upgrade: websocket", "X-Test-User: alice")+"\r\n")
	buffered := bufio.NewReader(conn)
	resp, err := http.ReadResponse(buffered, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v %v", resp, err)
	}
	_, _ = io.WriteString(conn, "over\n")
	if line, err := buffered.ReadString('\n'); line != "over\n" {
		t.Errorf("echo is %q, %v", line, err)
	}
	req := <-got
	assertEntitlement(t, dump{Header: req.Header}, newcomer("alice"))
}
