package dodo_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dodogate/dodogate/internal/dodo"
)

// counted is a server that counts its connections, of which some are still open.
type counted struct {
	*httptest.Server
	made, open atomic.Int64
}

func newCounted(t *testing.T, handler http.HandlerFunc, secure bool) *counted {
	t.Helper()
	c := &counted{Server: httptest.NewUnstartedServer(handler)}
	c.Config.ErrorLog = quiet()
	c.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			c.made.Add(1)
			c.open.Add(1)
		case http.StateClosed, http.StateHijacked:
			c.open.Add(-1)
		}
	}
	if secure {
		c.EnableHTTP2 = true
		c.StartTLS()
	} else {
		c.Start()
	}
	t.Cleanup(c.Close)
	return c
}

// client has connections of its own, which trust the server.
func (c *counted) client(t *testing.T) *dodo.Client {
	t.Helper()
	transport := dodo.NewTransport()
	if c.TLS != nil {
		transport.TLSClientConfig = &tls.Config{RootCAs: c.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	}
	client, err := dodo.New(dodo.Options{APIKey: apiKey, BaseURL: c.URL, Transport: transport, Jitter: func() float64 { return 1 }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// TestConnectionsAreKept: one call after the other takes one connection, whatever comes
// of them, until the client is closed.
func TestConnectionsAreKept(t *testing.T) {
	for name, secure := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(name, func(t *testing.T) {
			answers := []http.HandlerFunc{
				answer(200, goodSession), answer(422, `{"code":"INVALID_DISCOUNT_CODE"}`), answer(404, ``), html(200), answer(302, ``), answer(200, `[]`),
				answer(200, `{"a":"`+strings.Repeat("x", 100_000)+`"}`), html(403),
			}
			calls := 0
			server := newCounted(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Proto != name || r.Header.Get("Authorization") != "Bearer "+apiKey {
					t.Errorf("asked by %s, with %v", r.Proto, r.Header)
				}
				_, _ = io.Copy(io.Discard, r.Body)
				answers[calls%len(answers)](w, r)
				calls++
			}, secure)
			client := server.client(t)
			for i := range 3 * len(answers) {
				_, err := client.CreateCheckout(t.Context(), &dodo.Checkout{ProductID: "pdt_1", Quantity: 1})
				if (err == nil) != (i%len(answers) == 0) {
					t.Fatal(i, err)
				}
			}
			if made := server.made.Load(); made != 1 || calls != 3*len(answers) {
				t.Errorf("%d calls took %d connections", calls, made)
			}
			client.Close()
			for begin := time.Now(); server.open.Load() > 0; time.Sleep(time.Millisecond) {
				if time.Since(begin) > 10*time.Second {
					t.Fatal("a connection outlives its client")
				}
			}
		})
	}
}

// TestManyAtOnce: a rush of calls waits for Dodo, and not for each other. Dodo answers
// none of them before it has them all.
func TestManyAtOnce(t *testing.T) {
	for name, secure := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(name, func(t *testing.T) {
			const rush = 200
			var here atomic.Int64
			complete := make(chan struct{})
			server := newCounted(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // so that the server sees who leaves
				if here.Add(1) == rush {
					close(complete)
				}
				select {
				case <-complete:
					answer(200, goodSession)(w, r)
				case <-r.Context().Done():
				}
			}, secure)
			client := server.client(t)
			var all sync.WaitGroup
			for range rush {
				all.Go(func() {
					if _, err := client.CreateCheckout(t.Context(), &dodo.Checkout{ProductID: "pdt_1", Quantity: 1}); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
		})
	}
}

// TestStreamFailures: what goes wrong within HTTP/2 is told like any other failure, and
// tried again.
func TestStreamFailures(t *testing.T) {
	abort := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	cut := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "4000")
		answer(200, goodSession)(w, r)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	for name, tc := range map[string]struct {
		first, then http.HandlerFunc
		want        error
		calls       int64
	}{
		"reset after execution": {abort, answer(200, goodSession), nil, 2},
		"reset for ever":        {abort, abort, dodo.ErrUnavailable, 3},
		"cut short":             {cut, answer(200, goodSession), nil, 2},
		"cut short for ever":    {cut, cut, dodo.ErrBadAnswer, 3},
		"without end":           {endless(200), abort, dodo.ErrBadAnswer, 1},
		"refusal without end":   {endless(422), abort, dodo.ErrRejected, 1},
		"elsewhere":             {with("Location", "/", answer(308, ``)), abort, dodo.ErrBadAnswer, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int64
			server := newCounted(t, func(w http.ResponseWriter, r *http.Request) {
				if calls.Add(1) == 1 {
					tc.first(w, r)
				} else {
					tc.then(w, r)
				}
			}, true)
			_, err := server.client(t).CreateCheckout(t.Context(), &dodo.Checkout{ProductID: "pdt_1", Quantity: 1})
			checkError(t, err, tc.want)
			if calls.Load() != tc.calls {
				t.Errorf("%d calls, want %d", calls.Load(), tc.calls)
			}
		})
	}
}

// TestAnswersAreClosed: every answer is, whatever it is, or its connection would be lost.
func TestAnswersAreClosed(t *testing.T) {
	for _, status := range []int{200, 204, 302, 404, 422, 429, 500} {
		synctest.Test(t, func(t *testing.T) {
			var bodies []*closing
			client := inMemory(t, 0, func(*http.Request) (*http.Response, error) {
				res := respond(status, nil, http.NoBody)
				body := &closing{Reader: strings.NewReader(goodSession)}
				res.Body, bodies = body, append(bodies, body)
				return res, nil
			})
			_, _ = client.CreateCheckout(t.Context(), &dodo.Checkout{ProductID: "pdt_1", Quantity: 1})
			for i, body := range bodies {
				if !body.closed {
					t.Errorf("answer %d with status %d is left open", i+1, status)
				}
			}
		})
	}
}

// closing notes that it was closed.
type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}
