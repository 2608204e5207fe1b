package caddymodule_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/dodogate/dodogate/internal/testing/httpclient"
)

// lyingApp answers every request with the same bytes, and ends the connection.
func lyingApp(t *testing.T, text string) string {
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
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					_, _ = io.WriteString(conn, text)
				}
			}()
		}
	}()
	return l.Addr().String()
}

// What an app itself writes of charges never reaches the client, nor does its price:
// not in headers, not before them and not behind the body, in no spelling.
func TestAppCannotLieToTheClient(t *testing.T) {
	const lies = "X-Credits-Charged: 999\r\nx-credits-REMAINING: 999\r\nX-CREDITS-CHARGED: 998\r\n"
	for name, tt := range map[string]struct {
		answer  string
		receipt string // as the client is told
		atEnd   bool   // as a trailer
	}{
		"headers": {
			lines("HTTP/1.1 200 OK", "Content-Length: 2") + lies + "x-chArge-credits: 4\r\nLink: </x>\r\n\r\nok", "4/96", false,
		},
		"hints": {
			lines("HTTP/1.1 103 Early Hints", "X-CHARGE-CREDITS: 1", "Link: </x>") + lies + "\r\n" + lines("HTTP/1.1 200 OK", "Content-Length: 2", "", "ok"), "2/98", false,
		},
		"many hints": {
			strings.Repeat(lines("HTTP/1.1 103 Early Hints", "x-charge-credits: 1", "Link: </x>")+lies+"\r\n", 4) + lines("HTTP/1.1 200 OK", "Content-Length: 2", "", "ok"), "2/98", false,
		},
		"trailers that are announced": {
			lines("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "Trailer: x-credits-charged, X-Other", "Trailer: X-CREDITS-Remaining", "") +
				chunked("ok") + lies + "X-Other: kept\r\n\r\n", "2/98", false,
		},
		"trailers that are not": {
			lines("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "") + chunked("ok") + lies + "x-charge-credits: 4\r\nX-Other: kept\r\n\r\n", "2/98", false,
		},
		"trailers of which one is announced": {
			lines("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "Trailer: X-Other", "") + chunked("ok") + lies + "X-Other: kept\r\n\r\n", "2/98", false,
		},
		"a price behind the body": {
			lines("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "Trailer: x-CHARGE-credits, X-Credits-Charged, X-Other") + lies + "\r\n" +
				chunked("ok") + lies + "x-charge-CREDITS: 5\r\nX-Other: kept\r\n\r\n", "5/95", true,
		},
		"a price before and behind": {
			lines("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "Trailer: X-Charge-Credits", "X-Charge-Credits: 3", "") +
				chunked("ok") + "X-Charge-Credits: 5\r\n\r\n", "3/97", false,
		},
		"an error with a price": {
			lines("HTTP/1.1 500 Oops", "Transfer-Encoding: chunked", "Trailer: X-Charge-Credits, X-Credits-Charged", "X-Charge-Credits: 3") + lies + "\r\n" +
				chunked("ok") + lies + "X-Charge-Credits: 5\r\n\r\n", "0/100", false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newSecureBench(t)
			b.Upstream = lyingApp(t, tt.answer)
			b.mustLoad(everyProtocol(strings.Replace(usualDodo, "signup_credits 3", "signup_credits 100", 1), "", usualGateway+`
			dodo_charge 2 {
				max 10
			}
			reverse_proxy {{Upstream}}`))
			for _, f := range b.fronts() {
				var hints []http.Header
				req, _ := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
					Got1xxResponse: func(_ int, h textproto.MIMEHeader) error { hints = append(hints, http.Header(h).Clone()); return nil },
				}), "GET", f.base+"/", nil)
				req.Header.Set("X-Test-User", f.name)
				resp, err := f.client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || !strings.HasPrefix(string(body), "ok") {
					t.Errorf("%s: %q %v", f.name, body, err)
				}
				header, trailer := tt.receipt, "/"
				if tt.atEnd {
					header, trailer = trailer, header
				}
				if receipts(resp.Header) != header || receipts(resp.Trailer) != trailer {
					t.Errorf("%s: header %v, trailer %v", f.name, resp.Header, resp.Trailer)
				}
				if strings.Contains(tt.answer, "X-Other: kept") && resp.Trailer.Get("X-Other") != "kept" {
					t.Errorf("%s: a trailer got lost: %v", f.name, resp.Trailer)
				}
				if strings.Contains(tt.answer, "103") != (len(hints) > 0) {
					t.Errorf("%s: hints %v", f.name, hints)
				}
				for _, hint := range hints {
					if hint.Get("Link") == "" || receipts(hint) != "/" {
						t.Errorf("%s: hint %v", f.name, hint)
					}
				}
				for _, h := range append(hints, resp.Header, resp.Trailer) {
					for key := range h {
						if strings.Contains(strings.ToLower(key), "charge-credits") {
							t.Errorf("%s: the price reached the client: %v", f.name, h)
						}
					}
				}
			}
		})
	}
}

// The same for an app that is a module of Caddy, which may write names as it likes.
func TestModuleCannotLieToTheClient(t *testing.T) {
	b := newSecureBench(t)
	b.mustLoad(everyProtocol(strings.Replace(usualDodo, "signup_credits 3", "signup_credits 100", 1), "", usualGateway+`
	dodo_charge 2 {
		max 10
	}
	test_odd_names`))
	for _, f := range b.fronts() {
		b.client = f.client
		a := b.send(f.request(t, "GET", "/", "X-Test-User: "+f.name, "", ""))
		if receipts(a.header) != "7/93" {
			t.Errorf("%s: %v", f.name, a.header)
		}
		for key := range a.header {
			if strings.EqualFold(key, "x-charge-credits") {
				t.Errorf("%s: the price reached the client: %v", f.name, a.header)
			}
		}
	}
}

// oddNames is a handler that spells names as nobody should.
type oddNames struct{}

func (oddNames) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_odd_names", New: func() caddy.Module { return new(oddNames) }}
}

func (oddNames) ServeHTTP(w http.ResponseWriter, _ *http.Request, _ caddyhttp.Handler) error {
	w.Header()["x-charge-CREDITS"] = []string{"7"}
	w.Header()["x-credits-charged"] = []string{"999"}
	w.Header()["X-CREDITS-Remaining"] = []string{"999"}
	_, err := io.WriteString(w, "ok")
	return err
}

// An error that an app makes the page of is no answer that is charged, and the client
// is told so.
func TestErrorPageAfterCharge(t *testing.T) {
	b := newShop(t, `
	dodo_charge /down 2 {
		max 10
	}
	handle /down {
		reverse_proxy 127.0.0.1:1
	}
	handle_errors {
		reverse_proxy {{Upstream}}
	}`, func(http.ResponseWriter, *http.Request) {})
	if a := b.do("GET", "/down", "", "X-Test-User", "alice"); a.status != 200 || receipts(a.header) != "0/100" {
		t.Errorf("%d %v", a.status, a.header)
	}
	b.leaves("alice", 100)
}

// Two charges are told as one, before the body and behind it.
func TestChargesAddUp(t *testing.T) {
	b := newShop(t, `
	dodo_charge /both/* 3
	dodo_charge /both/* 2 {
		max 10
	}`, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Credits-Charged", "999")
		if r.URL.Path == "/both/late" {
			w.Header().Set("Trailer", "X-Charge-Credits")
			defer w.Header().Set("X-Charge-Credits", "7")
		}
		_, _ = io.WriteString(w, "ok")
	})
	for path, want := range map[string]string{"/both/now": "5", "/both/late": "10"} {
		req, _ := http.NewRequest("GET", "http://127.0.0.1:"+b.Port+path, nil)
		req.Header.Set("X-Test-User", path)
		resp, err := b.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		told := resp.Header
		if path == "/both/late" {
			told = resp.Trailer
		}
		if got := told["X-Credits-Charged"]; !slices.Equal(got, []string{want}) {
			t.Errorf("%s: header %v, trailer %v", path, resp.Header, resp.Trailer)
		}
	}
	b.leaves("/both/now", 95)
	b.leaves("/both/late", 90)
}

// A handler that takes the connection for itself is paid for it, as for an upgrade.
func TestChargeOfATakenConnection(t *testing.T) {
	b := newShop(t, "\tdodo_charge 3 {\n\t\tmax 10\n\t}\n\ttest_take", nil)
	conn, err := net.Dial("tcp", "127.0.0.1:"+b.Port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(conn, lines("GET / HTTP/1.1", "Host: 127.0.0.1", "X-Test-User: alice", "Upgrade: mine", "Connection: Upgrade", ""))
	if line, err := bufio.NewReader(conn).ReadString('\n'); line != "HTTP/1.1 101 Mine\r\n" {
		t.Errorf("%q %v", line, err)
	}
	b.leaves("alice", 97) // decided while it is open

	// HTTP/2 has no connection to give, so nothing was given.
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	b.client = &http.Client{Transport: transport, Timeout: httpclient.Timeout}
	if a := b.do("GET", "/", "", "X-Test-User", "bob"); a.status != 501 || receipts(a.header) != "0/100" {
		t.Errorf("%d %v", a.status, a.header)
	}
	b.client = httpclient.Default
	b.leaves("bob", 100)
}

// taker is a handler that leaves HTTP on its own.
type taker struct{}

func (taker) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_take", New: func() caddy.Module { return new(taker) }}
}

func (taker) ServeHTTP(w http.ResponseWriter, _ *http.Request, _ caddyhttp.Handler) error {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return caddyhttp.Error(http.StatusNotImplemented, err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, lines("HTTP/1.1 101 Mine", ""))
	_, err = io.Copy(io.Discard, conn) // until the client leaves
	return err
}

func init() {
	caddy.RegisterModule(oddNames{})
	caddy.RegisterModule(taker{})
	for name, handler := range map[string]caddyhttp.MiddlewareHandler{"test_odd_names": oddNames{}, "test_take": taker{}} {
		httpcaddyfile.RegisterHandlerDirective(name, func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
			h.Next()
			return handler, nil
		})
		httpcaddyfile.RegisterDirectiveOrder(name, httpcaddyfile.Before, "handle")
	}
}
