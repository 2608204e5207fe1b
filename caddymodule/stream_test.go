package caddymodule_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"github.com/dodogate/dodogate/internal/testing/httpclient"
)

// newStreams is a bench whose app is gated and charged, and reached by every protocol.
// Small answers are kept to be repeated, and still nothing waits for their end.
func newStreams(t *testing.T, app http.HandlerFunc) *bench {
	b := newSecureBench(t)
	b.Upstream = strings.TrimPrefix(newServer(t, app), "http://")
	b.mustLoad(everyProtocol(strings.Replace(usualDodo, "signup_credits 3", "signup_credits 100", 1), "\t\tenable_full_duplex", usualGateway+`
	dodo_require credits 1
	dodo_charge 1 {
		max 5
		replay
	}
	reverse_proxy {{Upstream}}`))
	return b
}

// What the app flushes is with the client before the app goes on, and a price behind
// it is in time.
func TestEventsAreNotHeldBack(t *testing.T) {
	next := make(chan struct{})
	b := newStreams(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Trailer", "X-Charge-Credits")
		for i := range 20 {
			_, _ = fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
		}
		w.Header().Set("X-Charge-Credits", "4")
	})
	for _, f := range b.fronts() {
		for _, key := range []string{"", "\r\nIdempotency-Key: one"} {
			user := f.name + fmt.Sprint(len(key))
			resp, err := f.client.Do(f.request(t, "GET", "/", "X-Test-User: "+user+key, "", ""))
			if err != nil {
				t.Fatal(err)
			}
			events := bufio.NewReader(resp.Body)
			for i := range 20 {
				line, err := events.ReadString('\n')
				if err != nil || line != fmt.Sprintf("data: %d\n", i) {
					t.Fatalf("%s: %q %v", f.name, line, err)
				}
				_, _ = events.ReadString('\n')
				next <- struct{}{}
			}
			rest, err := io.ReadAll(events)
			resp.Body.Close()
			if len(rest) != 0 || err != nil || receipts(resp.Trailer) != "4/96" {
				t.Errorf("%s: %q %v, trailer %v", f.name, rest, err, resp.Trailer)
			}
			b.client = httpclient.Default
			b.leaves(user, 96)
		}
	}
}

// Requests and answers go on at the same time, a line here for a line there.
func TestBothDirectionsAtOnce(t *testing.T) {
	b := newSecureBench(t)
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		flow := http.NewResponseController(w)
		_ = flow.EnableFullDuplex()
		_ = flow.Flush()
		in := bufio.NewReader(r.Body)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			_, _ = io.WriteString(w, strings.ToUpper(line))
			_ = flow.Flush()
		}
	})
	app := httptest.NewUnstartedServer(echo)
	app.Config.Protocols = new(http.Protocols)
	app.Config.Protocols.SetUnencryptedHTTP2(true)
	app.Config.Protocols.SetHTTP1(true)
	app.Start()
	defer app.Close()
	for _, upstream := range []string{"http://", "h2c://"} {
		b.mustLoad(everyProtocol(usualDodo, "\t\tenable_full_duplex", usualGateway+"\n\tdodo_charge 1\n\treverse_proxy "+upstream+app.Listener.Addr().String()))
		for _, f := range b.fronts() {
			if f.name == "HTTP/1.1" {
				continue // its clients send all of a request first
			}
			in, out := io.Pipe()
			req, _ := http.NewRequest("POST", f.base+"/", in)
			req.Header.Set("X-Test-User", f.name+upstream)
			resp, err := f.client.Do(req)
			if err != nil {
				t.Fatal(upstream, f.name, err)
			}
			if receipts(resp.Header) != "1/2" {
				t.Errorf("%s %s: %v", upstream, f.name, resp.Header)
			}
			answers := bufio.NewReader(resp.Body)
			for i := range 50 {
				if _, err := fmt.Fprintf(out, "line %d\n", i); err != nil {
					t.Fatal(err)
				}
				if line, err := answers.ReadString('\n'); line != fmt.Sprintf("LINE %d\n", i) {
					t.Fatalf("%s %s: %q %v", upstream, f.name, line, err)
				}
			}
			_ = out.Close()
			if rest, err := io.ReadAll(answers); len(rest) != 0 || err != nil {
				t.Errorf("%s %s: %q %v", upstream, f.name, rest, err)
			}
			resp.Body.Close()
		}
	}
}

// A large body reaches the app while the client still sends it.
func TestBodiesAreNotHeldBack(t *testing.T) {
	began := make(chan struct{})
	b := newStreams(t, func(w http.ResponseWriter, r *http.Request) {
		var first [1]byte
		_, _ = io.ReadFull(r.Body, first[:])
		select {
		case began <- struct{}{}:
		case <-r.Context().Done():
			return
		}
		n, err := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprint(w, n+1, " ", err)
	})
	for _, f := range b.fronts() {
		in, out := io.Pipe()
		go func() {
			_, _ = out.Write([]byte("first"))
			<-began
			_, err := io.Copy(out, bytes.NewReader(make([]byte, 8<<20)))
			_ = out.CloseWithError(err)
		}()
		req, _ := http.NewRequest("POST", f.base+"/", in)
		req.Header = fieldsOf("X-Test-User: " + f.name + "\r\nIdempotency-Key: one")
		b.client = f.client
		if a := b.send(req); a.body != fmt.Sprint(8<<20+5, " <nil>") || receipts(a.header) != "1/99" {
			t.Errorf("%s: %d %q %v", f.name, a.status, a.body, a.header)
		}
	}
}

// WebSocket messages go to and fro, and the charge is done before the first.
func TestWebSocket(t *testing.T) {
	b := newStreams(t, websocket.Server{Handler: func(ws *websocket.Conn) {
		for {
			var message []byte
			if websocket.Message.Receive(ws, &message) != nil || websocket.Message.Send(ws, message) != nil {
				return
			}
		}
	}}.ServeHTTP)
	for name, address := range map[string]string{"plain": "ws://127.0.0.1:" + b.Port, "TLS": "wss://127.0.0.1:" + b.Secure} {
		config, err := websocket.NewConfig(address+"/", strings.Replace(address, "ws", "http", 1)) // a page of the site itself
		if err != nil {
			t.Fatal(err)
		}
		b.awaitCertificate()
		config.TlsConfig, config.Dialer = b.trust(), &net.Dialer{Timeout: 20 * time.Second}
		config.Header = http.Header{"X-Test-User": {name}}
		ws, err := websocket.DialConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		_ = ws.SetDeadline(time.Now().Add(20 * time.Second))
		b.leaves(name, 99)
		for i := range 500 {
			sent, got := make([]byte, i*37), []byte(nil)
			_, _ = rand.Read(sent)
			if err := websocket.Message.Send(ws, sent); err != nil {
				t.Fatal(err)
			}
			if err := websocket.Message.Receive(ws, &got); err != nil || !bytes.Equal(sent, got) {
				t.Fatalf("%s, message %d: %d bytes came back as %d, %v", name, i, len(sent), len(got), err)
			}
		}
		_ = ws.Close()
		b.leaves(name, 99)
	}
}

// HTTP/3 has WebSockets by another way (RFC 9220), which looks like an answer of status
// 200. It is an upgrade all the same: gated, charged when it begins and kept for nobody.
func TestWebSocketOverHTTP3(t *testing.T) {
	b := newStreams(t, func(w http.ResponseWriter, r *http.Request) {
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, lines("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket", "X-Saw: "+r.Header.Get("X-Entitlement-Credits"), ""))
		_, _ = io.Copy(conn, buffered)
	})
	fronts := b.fronts()
	f := fronts[len(fronts)-1]
	begin := func(user string) (*http.Response, *io.PipeWriter) {
		t.Helper()
		in, out := io.Pipe()
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodConnect, f.base+"/socket", in)
		req.Proto = "websocket"
		req.Header = fieldsOf("X-Test-User: " + user + "\r\nIdempotency-Key: one\r\nSec-Websocket-Version: 13\r\nX-Entitlement-Credits: 999")
		resp, err := f.client.Transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		return resp, out
	}
	resp, out := begin("alice")
	if resp.StatusCode != 200 || receipts(resp.Header) != "1/99" || resp.Header.Get("X-Saw") != "95" { // 5 are held
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	b.client = httpclient.Default
	b.leaves("alice", 99) // while it goes on
	in := bufio.NewReader(resp.Body)
	for i := range 50 {
		_, _ = fmt.Fprintf(out, "line %d\n", i)
		if line, err := in.ReadString('\n'); line != fmt.Sprintf("line %d\n", i) {
			t.Fatalf("%q %v", line, err)
		}
	}
	_ = out.Close()
	resp.Body.Close()
	b.leaves("alice", 99)
	b.spends("alice", 1, 1)
	again, out := begin("alice")
	_ = out.Close()
	if again.StatusCode != http.StatusConflict {
		t.Errorf("again: %d %v", again.StatusCode, again.Header)
	}
	again.Body.Close()
	nobody, out := begin("")
	_ = out.Close()
	if nobody.StatusCode != http.StatusUnauthorized {
		t.Errorf("nobody: %d %v", nobody.StatusCode, nobody.Header)
	}
	nobody.Body.Close()
}
