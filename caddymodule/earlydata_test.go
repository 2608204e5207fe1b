package caddymodule_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/dodogate/dodogate/internal/testing/httpclient"
)

// A request that comes before the handshake of HTTP/3 is done is not charged, and not
// done. The client is told to come again, and does.
func TestEarlyDataOverHTTP3(t *testing.T) {
	var calls atomic.Int64
	b := newSecureBench(t)
	app := newServer(t, func(http.ResponseWriter, *http.Request) { calls.Add(1) })
	b.mustLoad(everyProtocol(usualDodo, "", `
	route {
		test_handshake
		`+usualGateway+`
		dodo_charge /charged 1
		reverse_proxy `+app+`
	}`))
	b.awaitCertificate()
	sessions := &sessionCache{ClientSessionCache: tls.NewLRUClientSessionCache(1), got: make(chan struct{}, 8)}
	settings := b.trust()
	settings.ClientSessionCache = sessions

	for _, tt := range []struct {
		path   string
		status int
		calls  int64
	}{{"/charged", http.StatusTooEarly, 0}, {"/free", http.StatusOK, 1}} {
		first := &http3.Transport{TLSClientConfig: settings}
		b.client = &http.Client{Timeout: 20 * time.Second, Transport: first}
		if a := b.send(front{base: "https://127.0.0.1:" + b.Secure}.request(t, "GET", "/free", "", "", "")); a.status != 200 || !<-handshakes {
			t.Fatalf("the first visit: %+v", a)
		}
		<-sessions.got
		_ = first.Close()
		calls.Store(0)

		// The client hears nothing of the server, so that the handshake cannot go on,
		// until its request is answered.
		udp, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		deaf := &deafConn{PacketConn: udp, hear: make(chan struct{})}
		under := &quic.Transport{Conn: deaf}
		again := &http3.Transport{TLSClientConfig: settings, Dial: func(ctx context.Context, address string, settings *tls.Config, config *quic.Config) (*quic.Conn, error) {
			to, err := net.ResolveUDPAddr("udp", address)
			if err != nil {
				return nil, err
			}
			return under.DialEarly(ctx, to, settings, config)
		}}
		go func() {
			if <-handshakes {
				t.Error("the handshake was complete")
			}
			close(deaf.hear)
		}()
		b.client = &http.Client{Timeout: 20 * time.Second, Transport: again}
		early := front{base: "https://127.0.0.1:" + b.Secure}.request(t, "GET", tt.path, "X-Test-User: alice", "", "")
		early.Method = http3.MethodGet0RTT
		a := b.send(early)
		if a.status != tt.status || calls.Load() != tt.calls || receipts(a.header) != "/" {
			t.Errorf("%s: %d %v, and the app was called %d times", tt.path, a.status, a.header, calls.Load())
		}
		if tt.status == http.StatusTooEarly {
			b.problem(a, http.StatusTooEarly, "too_early")
		}
		a = b.send(front{base: "https://127.0.0.1:" + b.Secure}.request(t, "GET", "/charged", "X-Test-User: bob"+tt.path, "", ""))
		if a.status != 200 || receipts(a.header) != "1/2" || !<-handshakes {
			t.Errorf("later: %d %v", a.status, a.header)
		}
		_ = again.Close()
		_ = under.Close()
		_ = udp.Close()
	}
	b.client = httpclient.Default
	b.leaves("alice", 3)
}

// sessionCache tells when there is a session to go on with.
type sessionCache struct {
	tls.ClientSessionCache
	got chan struct{}
}

func (c *sessionCache) Put(key string, session *tls.ClientSessionState) {
	c.ClientSessionCache.Put(key, session)
	if session != nil {
		select {
		case c.got <- struct{}{}:
		default:
		}
	}
}

// deafConn hears nothing until it is let.
type deafConn struct {
	net.PacketConn
	hear chan struct{}
}

func (c *deafConn) ReadFrom(p []byte) (int, net.Addr, error) {
	<-c.hear
	return c.PacketConn.ReadFrom(p)
}

// handshakes says of each answered request whether it came after the handshake.
var handshakes = make(chan bool, 100)

type handshake struct{}

func (handshake) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_handshake", New: func() caddy.Module { return new(handshake) }}
}

func (handshake) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if r.TLS != nil {
		complete := r.TLS.HandshakeComplete
		defer func() { handshakes <- complete }()
	}
	return next.ServeHTTP(w, r)
}

func init() {
	caddy.RegisterModule(handshake{})
	httpcaddyfile.RegisterHandlerDirective("test_handshake", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		h.Next()
		return handshake{}, nil
	})
}
