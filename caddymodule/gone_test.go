package caddymodule_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Who closes their half of the connection is gone to net/http, and could still read.
// Whoever is gone before there is a status pays nothing, and gets nothing either,
// however the answer would have been written.
func TestNothingForWhoIsGone(t *testing.T) {
	b := newSecureBench(t)
	b.mustLoad(everyProtocol(rich(usualDodo), "", usualGateway+`
	dodo_charge 2 {
		max 10
		replay
	}
	dodo_charge /twice/* 3
	test_deaf`))
	b.awaitCertificate()
	type halfConn interface {
		net.Conn
		CloseWrite() error
	}
	for transport, dial := range map[string]func() (net.Conn, error){
		"TCP": func() (net.Conn, error) { return net.Dial("tcp", "127.0.0.1:"+b.Port) },
		"TLS": func() (net.Conn, error) { return tls.Dial("tcp", "127.0.0.1:"+b.Secure, b.trust()) },
	} {
		for _, path := range []string{"/status", "/body", "/copy", "/flush", "/flusher", "/trailer", "/early", "/taken", "/upgrade", "/twice/body", "/twice/taken"} {
			for _, key := range []string{"", "Idempotency-Key: one"} {
				t.Run(transport+path+key, func(t *testing.T) {
					b.t = t
					conn, err := dial()
					if err != nil {
						t.Fatal(err)
					}
					defer conn.Close()
					_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
					request := lines("GET "+path+" HTTP/1.1", "Host: 127.0.0.1", "X-Test-User: "+t.Name())
					if key != "" {
						request += lines(key)
					}
					if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
						t.Fatal(err)
					}
					<-deafAsked
					if err := conn.(halfConn).CloseWrite(); err != nil {
						t.Fatal(err)
					}
					got, _ := io.ReadAll(conn)
					if strings.Contains(string(got), "paid") {
						t.Errorf("the client got %q", got)
					}
					answers := bufio.NewReader(bytes.NewReader(got))
					resp, err := http.ReadResponse(answers, nil)
					if err == nil && resp.StatusCode == http.StatusEarlyHints {
						resp, err = http.ReadResponse(answers, nil)
					}
					if err == nil && (resp.StatusCode != 499 || receipts(resp.Header) != "0/100") {
						t.Errorf("%d %v", resp.StatusCode, resp.Header)
					}
					b.leaves(t.Name(), 100)
				})
			}
		}
	}
}

// The price comes last, and the client's connection breaks before: the client had
// something and pays what is usual, even where nothing but the writing tells.
func TestConnectionThatBreaks(t *testing.T) {
	b := newBench(t)
	b.Upstream = strings.TrimPrefix(newServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Charge-Credits")
		_, _ = io.WriteString(w, "part")
		_ = http.NewResponseController(w).Flush()
	}), "http://")
	b.mustLoad(caddyfile(rich(usualDodo), usualGateway+`
	route {
		test_breaks
		dodo_charge 2 {
			max 10
		}
		test_copies /copies
		reverse_proxy {{Upstream}}
	}`))
	b.client.Transport = &http.Transport{DisableKeepAlives: true} // it asks once
	for _, path := range []string{"/writes", "/copies"} {
		if a, err := b.try("GET", path, path); err == nil {
			t.Errorf("%s: %+v", path, a)
		}
		b.leaves(path, 98)
	}
}

// A client can break off its request, too, and then the app breaks off its answer.
func TestRequestThatBreaks(t *testing.T) {
	app := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Charge-Credits")
		flow := http.NewResponseController(w)
		_ = flow.EnableFullDuplex()
		_, _ = io.WriteString(w, "paid")
		_ = flow.Flush()
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("X-Charge-Credits", "3")
	})
	b := newSecureBench(t)
	b.mustLoad(everyProtocol(rich(usualDodo), "\t\tenable_full_duplex", usualGateway+`
	dodo_charge 2 {
		max 10
	}
	reverse_proxy /breaks `+breakingApp(t)+`
	reverse_proxy `+app))
	conn, err := net.Dial("tcp", "127.0.0.1:"+b.Port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(conn, lines("POST / HTTP/1.1", "Host: 127.0.0.1", "X-Test-User: alice", "Transfer-Encoding: chunked", "", "1", "x"))
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, len("paid"))); err != nil {
		t.Error(err)
	}
	_, _ = io.WriteString(conn, "no chunk\r\n")
	if rest, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("a whole answer: %q %v", rest, resp.Trailer)
	}
	b.leaves("alice", 98)

	for _, f := range b.fronts()[1:] {
		for _, path := range []string{"/", "/breaks"} { // by itself, while the request goes on
			body, write := io.Pipe()
			req, _ := http.NewRequest("POST", f.base+path, body)
			req.Header.Set("X-Test-User", f.name+path)
			go func() { _, _ = io.WriteString(write, "x") }()
			resp, err := f.client.Do(req)
			if err == nil { // HTTP/3 may drop all of an answer that breaks off
				_, err = io.ReadFull(resp.Body, make([]byte, len("paid")))
			}
			if err != nil && path == "/" {
				t.Fatal(f.name, err)
			}
			if path == "/" {
				_ = write.CloseWithError(io.ErrUnexpectedEOF)
			}
			if err == nil {
				if rest, err := io.ReadAll(resp.Body); err == nil {
					t.Errorf("%s: a whole answer: %q %v", f.name, rest, resp.Trailer)
				}
			}
			if resp != nil {
				_ = resp.Body.Close()
			}
			_ = write.Close()
			b.leaves(f.name+path, 98)
		}
	}
}

// breakingApp is one that breaks off its answers and goes on to read.
func breakingApp(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				if _, err := http.ReadRequest(in); err == nil {
					_, _ = io.WriteString(conn, lines("HTTP/1.1 200 OK", "Trailer: X-Charge-Credits", "Transfer-Encoding: chunked", "", "4", "paid"))
					_ = conn.(*net.TCPConn).CloseWrite()
					_, _ = io.Copy(io.Discard, in)
				}
			}()
		}
	}()
	return l.Addr().String()
}

// breaks is a handler behind whose back the client's connection is broken, but for
// the headers.
type breaks struct{}

func (breaks) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_breaks", New: func() caddy.Module { return new(breaks) }}
}

func (breaks) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return next.ServeHTTP(brokenWriter{w}, r)
}

type brokenWriter struct{ http.ResponseWriter }

func (brokenWriter) Write([]byte) (int, error) { return 0, net.ErrClosed }

// copies is a handler that lets the writer read.
type copies struct{}

func (copies) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_copies", New: func() caddy.Module { return new(copies) }}
}

func (copies) ServeHTTP(w http.ResponseWriter, _ *http.Request, _ caddyhttp.Handler) error {
	w.Header().Set("Trailer", "X-Charge-Credits")
	if _, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("part")); err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

// deafAsked tells of each request that waits for its client to leave.
var deafAsked = make(chan struct{}, 1)

// deaf is a handler that answers without a look at whether anybody is there.
type deaf struct{}

func (deaf) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_deaf", New: func() caddy.Module { return new(deaf) }}
}

func (deaf) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	deafAsked <- struct{}{}
	<-r.Context().Done()
	flow := http.NewResponseController(w)
	w.Header().Set("X-Secret", "paid")
	switch path := strings.TrimPrefix(r.URL.Path, "/twice"); path {
	case "/status":
		w.WriteHeader(http.StatusFound)
	case "/body":
		_, _ = io.WriteString(w, "paid")
	case "/copy":
		_, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader("paid"))
	case "/flush":
		_ = flow.Flush()
		_, _ = io.WriteString(w, "paid")
		_ = flow.Flush()
	case "/flusher":
		w.(http.Flusher).Flush()
		_, _ = io.WriteString(w, "paid")
	case "/trailer":
		w.Header().Set("Trailer", "X-Charge-Credits, X-Other")
		_, _ = io.WriteString(w, "paid")
		w.Header().Set("X-Charge-Credits", "4")
		w.Header().Set("X-Other", "paid")
		w.Header().Set(http.TrailerPrefix+"X-Third", "paid")
	case "/early":
		w.Header().Del("X-Secret") // hints are of no answer
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("X-Secret", "paid")
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, "paid")
	case "/taken", "/upgrade":
		if path == "/upgrade" {
			w.WriteHeader(http.StatusSwitchingProtocols)
		}
		conn, _, err := flow.Hijack()
		if err != nil {
			return nil
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, lines("HTTP/1.1 101 Mine", "X-Secret: paid", ""))
	default:
		return caddyhttp.Error(http.StatusNotFound, fmt.Errorf("no such way to answer: %s", path))
	}
	return nil
}

func init() {
	caddy.RegisterModule(deaf{})
	caddy.RegisterModule(breaks{})
	caddy.RegisterModule(copies{})
	for name, handler := range map[string]caddyhttp.MiddlewareHandler{"test_deaf": deaf{}, "test_breaks": breaks{}, "test_copies": copies{}} {
		httpcaddyfile.RegisterHandlerDirective(name, func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
			h.Next()
			return handler, nil
		})
		httpcaddyfile.RegisterDirectiveOrder(name, httpcaddyfile.Before, "handle")
	}
}
