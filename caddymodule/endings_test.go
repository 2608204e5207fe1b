package caddymodule_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// endingApp ends its answers in every way that an app can. waits is told of requests
// that wait for their client to leave.
func endingApp(waits chan<- struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		flow := http.NewResponseController(w)
		switch name, status, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/app/"), "/"); name {
		case "status":
			code, _ := strconv.Atoi(status)
			w.WriteHeader(code)
		case "hints":
			w.Header().Set("Link", "</x>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusInternalServerError)
		case "half":
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "half")
			_ = flow.Flush()
			panic(http.ErrAbortHandler)
		case "aborts":
			panic(http.ErrAbortHandler)
		case "silent":
			waits <- struct{}{}
			<-r.Context().Done()
		case "stream":
			w.WriteHeader(http.StatusOK)
			_ = flow.Flush()
			waits <- struct{}{}
			<-r.Context().Done()
		default:
			_, _ = io.WriteString(w, "here")
		}
	}
}

const endingSite = usualGateway + `
	dodo_charge 1 {
		replay
	}
	test_panic /panic
	test_panic_late /panic-late
	test_nothing /nothing
	handle /refused {
		reverse_proxy 127.0.0.1:1
	}
	handle /retried {
		reverse_proxy 127.0.0.1:1 {{Upstream}} {
			lb_policy first
			lb_retries 3
			fail_duration 1m
		}
	}
	handle /app/silent/slow {
		reverse_proxy {{Upstream}} {
			transport http {
				response_header_timeout 100ms
			}
		}
	}
	handle /file {
		respond "here"
	}
	handle {
		reverse_proxy {{Upstream}}
	}
	handle_errors {
		respond "{err.status_code}"
	}`

// A hold ends once, however a request ends, by whatever protocol, and whether or not
// its answer is kept for who asks again.
func TestHoldEndsOnce(t *testing.T) {
	waits := make(chan struct{}, 1)
	b := newSecureBench(t)
	b.Upstream = strings.TrimPrefix(newServer(t, endingApp(waits)), "http://")
	b.mustLoad(everyProtocol(rich(usualDodo), "", endingSite))
	for _, f := range b.fronts() {
		for _, key := range []string{"", "\r\nIdempotency-Key: one"} {
			for _, tt := range endings {
				name := tt.name + " by " + f.name
				if key != "" {
					name += ", with a key"
				}
				t.Run(name, func(t *testing.T) {
					b.t = t
					ctx, leave := context.WithCancel(t.Context())
					defer leave()
					req := f.request(t, "GET", tt.path, "X-Test-User: "+name+key, "", "").WithContext(ctx)
					if tt.leaves == beforeStatus {
						go func() {
							<-waits
							leave()
						}()
					}
					resp, err := f.client.Do(req)
					if err == nil {
						if tt.leaves == behindStatus {
							<-waits
							leave()
						}
						_, err = io.Copy(io.Discard, resp.Body)
						_ = resp.Body.Close()
					}
					if tt.path == "/app/silent/slow" {
						<-waits
					}
					switch want := fmt.Sprintf("%d/%d", tt.charged, 100-tt.charged); {
					case (err != nil) != (tt.broken || tt.leaves != never):
						t.Errorf("%+v, %v", resp, err)
					case resp != nil && (resp.StatusCode != tt.status || receipts(resp.Header) != want):
						t.Errorf("%d, receipts %s, want %d, %s", resp.StatusCode, receipts(resp.Header), tt.status, want)
					}
					b.leaves(name, 100-tt.charged)
					b.spends(name, int(tt.charged), tt.charged)
				})
			}
		}
	}
}

// When a client leaves.
const (
	never = iota
	beforeStatus
	behindStatus
)

var endings = []struct {
	name, path string
	status     int // that the client sees, if it sees one
	charged    int64
	broken     bool // the client sees that there is no end
	leaves     int
}{
	{name: "200", path: "/app/", status: 200, charged: 1},
	{name: "204", path: "/app/status/204", status: 204, charged: 1},
	{name: "301", path: "/app/status/301", status: 301, charged: 1},
	{name: "404", path: "/app/status/404", status: 404},
	{name: "500", path: "/app/status/500", status: 500},
	{name: "hints and then 500", path: "/app/hints", status: 500},
	{name: "an answer of Caddy's own", path: "/file", status: 200, charged: 1},
	{name: "no answer and no error", path: "/nothing", status: 200},
	{name: "a refused connection", path: "/refused", status: 502},
	{name: "a refused connection, and another one", path: "/retried", status: 200, charged: 1},
	{name: "an app that takes too long", path: "/app/silent/slow", status: 504},
	{name: "an app that breaks off before the status", path: "/app/aborts", status: 502},
	{name: "an app that breaks off behind it", path: "/app/half", status: 200, charged: 1, broken: true},
	{name: "a panic before the status", path: "/panic", broken: true},
	{name: "a panic behind it", path: "/panic-late", status: 200, charged: 1, broken: true},
	{name: "a client that leaves before the status", path: "/app/silent", leaves: beforeStatus},
	{name: "a client that leaves in the middle", path: "/app/stream", status: 200, charged: 1, leaves: behindStatus},
}

// A client that leaves when it has the last byte has paid, and that is all.
func TestHoldEndsBehindTheLastByte(t *testing.T) {
	b := newShop(t, "\tdodo_charge 1 {\n\t\treplay\n\t}", endingApp(nil))
	for i, key := range []string{"", "Idempotency-Key: one\r\n"} {
		conn, err := net.Dial("tcp", "127.0.0.1:"+b.Port)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = io.WriteString(conn, lines("GET /app/ HTTP/1.1", "Host: 127.0.0.1", "X-Test-User: alice")+key+"\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body := make([]byte, len("here"))
		if _, err := io.ReadFull(resp.Body, body); err != nil || string(body) != "here" {
			t.Errorf("%q %v", body, err)
		}
		_ = conn.(*net.TCPConn).SetLinger(0) // by a reset
		_ = conn.Close()
		b.leaves("alice", 99-int64(i))
		b.spends("alice", i+1, int64(i+1))
	}
}

// An upgrade is paid when it begins, and its end, which may come from either side,
// ends nothing more.
func TestHoldEndsWithAnUpgrade(t *testing.T) {
	b := newBench(t)
	hangUp := make(chan struct{}, 1)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		if r.URL.Path == "/app" {
			go func() {
				<-hangUp
				_ = conn.Close()
			}()
		}
		_, _ = io.Copy(conn, buf)
	}))
	defer app.Close()
	b.Upstream = strings.TrimPrefix(app.URL, "http://")
	b.mustLoad(caddyfile(rich(usualDodo), usualGateway+"\n\tdodo_charge 1 {\n\t\treplay\n\t}\n\treverse_proxy {{Upstream}}"))
	left := int64(100)
	for _, who := range []string{"/client", "/app"} {
		conn, err := net.Dial("tcp", "127.0.0.1:"+b.Port)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = io.WriteString(conn, lines("GET "+who+" HTTP/1.1", "Host: 127.0.0.1", "X-Test-User: alice", "Idempotency-Key: "+who, "Connection: Upgrade", "Upgrade: websocket", ""))
		buf := bufio.NewReader(conn)
		resp, err := http.ReadResponse(buf, nil)
		left--
		if err != nil || resp.StatusCode != 101 || receipts(resp.Header) != fmt.Sprintf("1/%d", left) {
			t.Fatalf("upgrade: %+v, %v", resp, err)
		}
		_, _ = io.WriteString(conn, "hello\n")
		if line, err := buf.ReadString('\n'); line != "hello\n" {
			t.Errorf("the other protocol said %q, %v", line, err)
		}
		b.leaves("alice", left) // while it goes on
		if who == "/client" {
			_ = conn.Close()
		} else {
			hangUp <- struct{}{}
			if _, err := buf.ReadByte(); !errors.Is(err, io.EOF) {
				t.Error(err)
			}
		}
		b.leaves("alice", left)
		b.spends("alice", int(100-left), 100-left)
	}
}

func init() {
	caddy.RegisterModule(testPanic{})
	caddy.RegisterModule(testPanicLate{})
	caddy.RegisterModule(testNothing{})
	for name, handler := range map[string]caddyhttp.MiddlewareHandler{
		"test_panic": testPanic{}, "test_panic_late": testPanicLate{}, "test_nothing": testNothing{},
	} {
		httpcaddyfile.RegisterHandlerDirective(name, func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
			h.Next()
			return handler, nil
		})
		httpcaddyfile.RegisterDirectiveOrder(name, httpcaddyfile.Before, "handle")
	}
}

// testPanic is a handler that is broken.
type testPanic struct{}

func (testPanic) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_panic", New: func() caddy.Module { return new(testPanic) }}
}

func (testPanic) ServeHTTP(http.ResponseWriter, *http.Request, caddyhttp.Handler) error {
	panic("a broken handler")
}

// testPanicLate is one that breaks in the middle of its answer.
type testPanicLate struct{}

func (testPanicLate) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_panic_late", New: func() caddy.Module { return new(testPanicLate) }}
}

func (testPanicLate) ServeHTTP(w http.ResponseWriter, _ *http.Request, _ caddyhttp.Handler) error {
	_, _ = io.WriteString(w, "half")
	_ = http.NewResponseController(w).Flush()
	panic("a broken handler")
}

// testNothing is a handler that answers nothing.
type testNothing struct{}

func (testNothing) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_nothing", New: func() caddy.Module { return new(testNothing) }}
}

func (testNothing) ServeHTTP(http.ResponseWriter, *http.Request, caddyhttp.Handler) error { return nil }
