package dodo_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dodogate/dodogate/internal/dodo"
)

var sentinels = []error{dodo.ErrUnavailable, dodo.ErrBadAnswer, dodo.ErrRejected, dodo.ErrNotFound, dodo.ErrUnauthorized}

// checkError wants err to wrap exactly that one of the sentinels.
func checkError(t *testing.T, err, want error) {
	t.Helper()
	if want == nil {
		if err != nil {
			t.Errorf("error %v, want none", err)
		}
		return
	}
	for _, s := range sentinels {
		if errors.Is(err, s) != errors.Is(want, s) {
			t.Errorf("error %v, want %v and nothing else", err, want)
		}
	}
	if e, ok := errors.AsType[*dodo.Error](err); !ok || e.Op == "" {
		t.Errorf("%T is not *dodo.Error", err)
	}
}

func html(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "<html>PLANTED_IN_BODY</html>")
	}
}

// reset ends the connection without an answer, after the request was executed.
func reset(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}

// wire writes an answer by hand, then closes.
func wire(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(conn, text)
		conn.Close()
	}
}

func endless(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		for {
			if _, err := io.WriteString(w, `{"a":"`+strings.Repeat("x", 1<<16)); err != nil {
				return
			}
		}
	}
}

func with(header, value string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(header, value)
		next(w, r)
	}
}

func TestFailures(t *testing.T) {
	const s = time.Second
	ok := answer(200, goodSession)
	twice := []time.Duration{s / 2, s}
	for name, tc := range map[string]struct {
		answers []http.HandlerFunc
		want    error
		status  int
		code    string
		pauses  []time.Duration // one less than attempts
	}{
		"500 for ever":          {[]http.HandlerFunc{answer(500, `{"code":"INTERNAL_SERVER_ERROR","message":"x"}`)}, dodo.ErrUnavailable, 500, "INTERNAL_SERVER_ERROR", twice},
		"500 once":              {[]http.HandlerFunc{answer(500, ``), ok}, nil, 0, "", twice[:1]},
		"502 as a page":         {[]http.HandlerFunc{html(502)}, dodo.ErrUnavailable, 502, "", twice},
		"503 concurrent":        {[]http.HandlerFunc{answer(503, `{"code":"DISCOUNT_CONCURRENT_REDEMPTION"}`), ok}, nil, 0, "", twice[:1]},
		"408":                   {[]http.HandlerFunc{answer(408, ``), ok}, nil, 0, "", twice[:1]},
		"429, empty":            {[]http.HandlerFunc{answer(429, ``)}, dodo.ErrUnavailable, 429, "", twice},
		"429, wait 3":           {[]http.HandlerFunc{with("Retry-After", "3", answer(429, ``)), ok}, nil, 0, "", []time.Duration{3 * s}},
		"429, wait 0":           {[]http.HandlerFunc{with("Retry-After", "0", answer(429, ``)), ok}, nil, 0, "", twice[:1]},
		"429, wait an hour":     {[]http.HandlerFunc{with("Retry-After", "3600", answer(429, ``))}, dodo.ErrUnavailable, 429, "", nil},
		"429, wait till 2100":   {[]http.HandlerFunc{with("Retry-After", "Fri, 01 Jan 2100 00:00:00 GMT", answer(429, ``))}, dodo.ErrUnavailable, 429, "", nil},
		"429, wait till 2000":   {[]http.HandlerFunc{with("Retry-After", "Sat, 01 Jan 2000 00:00:00 GMT", answer(429, ``)), ok}, nil, 0, "", twice[:1]},
		"429, wait nonsense":    {[]http.HandlerFunc{with("Retry-After", "-1e9", answer(429, ``)), ok}, nil, 0, "", twice[:1]},
		"reset after execution": {[]http.HandlerFunc{reset, ok}, nil, 0, "", twice[:1]},
		"reset for ever":        {[]http.HandlerFunc{reset}, dodo.ErrUnavailable, 0, "", twice},
		"cut short":             {[]http.HandlerFunc{with("Content-Length", "4000", ok), ok}, nil, 0, "", twice[:1]},
		"cut short for ever":    {[]http.HandlerFunc{with("Content-Length", "4000", ok)}, dodo.ErrBadAnswer, 200, "", twice},
		"not HTTP":              {[]http.HandlerFunc{wire("SSH-2.0-PLANTED_IN_BODY\r\n\r\n")}, dodo.ErrBadAnswer, 0, "", twice},
		"bad chunks":            {[]http.HandlerFunc{wire("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")}, dodo.ErrBadAnswer, 200, "", twice},

		"400":             {[]http.HandlerFunc{answer(400, `{"code":"INVALID_REQUEST_BODY","message":"PLANTED_IN_BODY"}`)}, dodo.ErrRejected, 400, "INVALID_REQUEST_BODY", nil},
		"401":             {[]http.HandlerFunc{answer(401, `{"code":"UNAUTHORIZED","message":"x"}`)}, dodo.ErrUnauthorized, 401, "UNAUTHORIZED", nil},
		"403":             {[]http.HandlerFunc{answer(403, ``)}, dodo.ErrUnauthorized, 403, "", nil},
		"404":             {[]http.HandlerFunc{answer(404, `{"code":"NOT_FOUND","message":"x"}`)}, dodo.ErrNotFound, 404, "NOT_FOUND", nil},
		"409":             {[]http.HandlerFunc{answer(409, `{"code":"CHECKOUT_SESSION_CONSUMED"}`)}, dodo.ErrRejected, 409, "CHECKOUT_SESSION_CONSUMED", nil},
		"422":             {[]http.HandlerFunc{answer(422, `{"code":"INVALID_DISCOUNT_CODE","message":"PLANTED_IN_BODY"}`)}, dodo.ErrRejected, 422, "INVALID_DISCOUNT_CODE", nil},
		"422, misspelt":   {[]http.HandlerFunc{answer(422, `{"code":"PRODUCT_CART_EMTPY"}`)}, dodo.ErrRejected, 422, "PRODUCT_CART_EMTPY", nil},
		"422, code odd":   {[]http.HandlerFunc{answer(422, `{"code":"PLANTED_IN_BODY jane@example.com"}`)}, dodo.ErrRejected, 422, "", nil},
		"422, code long":  {[]http.HandlerFunc{answer(422, `{"code":"`+strings.Repeat("A", 65)+`"}`)}, dodo.ErrRejected, 422, "", nil},
		"422, code null":  {[]http.HandlerFunc{answer(422, `{"code":null}`)}, dodo.ErrRejected, 422, "", nil},
		"422, no JSON":    {[]http.HandlerFunc{answer(422, `PLANTED_IN_BODY`)}, dodo.ErrRejected, 422, "", nil},
		"422, page":       {[]http.HandlerFunc{html(422)}, dodo.ErrRejected, 422, "", nil},
		"422, no end":     {[]http.HandlerFunc{endless(422)}, dodo.ErrRejected, 422, "", nil},
		"418":             {[]http.HandlerFunc{answer(418, ``)}, dodo.ErrRejected, 418, "", nil},
		"redirect":        {[]http.HandlerFunc{with("Location", "/elsewhere", answer(302, ``)), ok}, dodo.ErrBadAnswer, 302, "", nil},
		"redirect, keep":  {[]http.HandlerFunc{with("Location", "https://evil.example/", answer(307, ``)), ok}, dodo.ErrBadAnswer, 307, "", nil},
		"not modified":    {[]http.HandlerFunc{answer(304, ``)}, dodo.ErrBadAnswer, 304, "", nil},
		"200 as a page":   {[]http.HandlerFunc{html(200)}, dodo.ErrBadAnswer, 200, "", nil},
		"200 as text":     {[]http.HandlerFunc{with("Content-Type", "text/plain", wrong(goodSession))}, dodo.ErrBadAnswer, 200, "", nil},
		"200 half JSON":   {[]http.HandlerFunc{answer(200, goodSession[:40])}, dodo.ErrBadAnswer, 200, "", nil},
		"200 and more":    {[]http.HandlerFunc{answer(200, goodSession+`{"session_id":"PLANTED_IN_BODY"}`)}, dodo.ErrBadAnswer, 200, "", nil},
		"200 empty":       {[]http.HandlerFunc{answer(200, ``)}, dodo.ErrBadAnswer, 200, "", nil},
		"204":             {[]http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }}, dodo.ErrBadAnswer, 204, "", nil},
		"200 without end": {[]http.HandlerFunc{endless(200)}, dodo.ErrBadAnswer, 200, "", nil},
		"200 too long":    {[]http.HandlerFunc{answer(200, goodSession+strings.Repeat(" ", 5<<20))}, dodo.ErrBadAnswer, 200, "", nil},
		"200 as +json":    {[]http.HandlerFunc{with("Content-Type", "application/vnd.dodo+json; charset=utf-8", wrong(goodSession))}, nil, 0, "", nil},
		"200 and spaces":  {[]http.HandlerFunc{answer(200, "\n "+goodSession+"\n")}, nil, 0, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			stub := newStub(t, nil, tc.answers...)
			got, err := stub.client.CreateCheckout(t.Context(), &dodo.Checkout{ProductID: "pdt_1", Quantity: 1, Customer: dodo.Customer{Email: "jane@example.com"}})
			checkError(t, err, tc.want)
			if n := len(stub.seen()); n != len(tc.pauses)+1 {
				t.Errorf("%d attempts, want %d", n, len(tc.pauses)+1)
			}
			if !reflect.DeepEqual(stub.pauses, tc.pauses) {
				t.Errorf("paused %v, want %v", stub.pauses, tc.pauses)
			}
			if tc.want == nil {
				if got.ID != "cks_1" {
					t.Errorf("session %+v", got)
				}
				return
			}
			e, _ := errors.AsType[*dodo.Error](err)
			if e.Status != tc.status || e.Code != tc.code || e.Attempts != len(tc.pauses)+1 {
				t.Errorf("status %d, code %q, %d attempts; want %d, %q, %d", e.Status, e.Code, e.Attempts, tc.status, tc.code, len(tc.pauses)+1)
			}
		})
	}
}

// wrong leaves the content type to whoever wraps it.
func wrong(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

func TestRetryAfterIsTold(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"3600": time.Hour, "9999999": 24 * time.Hour, "0": 0, "-5": 0, "Sat, 01 Jan 2000 00:00:00 GMT": 0, "soon": 0,
	} {
		s := newStub(t, nil, with("Retry-After", value, answer(429, ``)))
		_, err := s.client.Session(t.Context(), "cks_1")
		if e, ok := errors.AsType[*dodo.Error](err); !ok || e.RetryAfter != want {
			t.Errorf("Retry-After %q: told %v, want %v", value, e.RetryAfter, want)
		}
	}
}

func TestNobodyThere(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	s := newStub(t, func(o *dodo.Options) { o.BaseURL = server.URL }, answer(200, ``))
	_, err := s.client.Session(t.Context(), "cks_1")
	checkError(t, err, dodo.ErrUnavailable)
	if want := "read checkout session: dodo is unavailable: cannot connect after 3 attempts"; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

func TestUntrustedCertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(answer(200, `{}`))
	server.Config.ErrorLog = quiet()
	server.StartTLS()
	defer server.Close()
	s := newStub(t, func(o *dodo.Options) { o.BaseURL = server.URL }, answer(200, ``))
	_, err := s.client.Session(t.Context(), "cks_1")
	checkError(t, err, dodo.ErrUnavailable)
	if len(s.pauses) != 0 || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("error %v after %d pauses", err, len(s.pauses))
	}
}

func TestPlainHTTPBehindHTTPS(t *testing.T) {
	server := httptest.NewServer(answer(200, `{}`))
	defer server.Close()
	client, err := dodo.New(dodo.Options{APIKey: apiKey, BaseURL: strings.Replace(server.URL, "http:", "https:", 1)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Session(t.Context(), "cks_1")
	checkError(t, err, dodo.ErrUnavailable)
	if !strings.Contains(err.Error(), "the server speaks http, not https") {
		t.Errorf("error %v", err)
	}
}

// What the network says is told in our own words.
func TestLostConnections(t *testing.T) {
	for words, err := range map[string]error{
		"the host name does not resolve":    &net.DNSError{Err: "PLANTED", Name: "PLANTED", IsNotFound: true},
		"the server speaks http, not https": tls.RecordHeaderError{RecordHeader: [5]byte{'H', 'T', 'T', 'P', '/'}},
		"connection lost":                   io.EOF,
		"no answer in time":                 context.DeadlineExceeded,
		"cannot connect":                    &net.OpError{Op: "dial", Err: errors.New("PLANTED")},
		"not an HTTP answer":                errors.New("malformed HTTP response PLANTED"),
	} {
		t.Run(words, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := inMemory(t, 0, func(*http.Request) (*http.Response, error) { return nil, err })
				_, err := client.Payment(t.Context(), "pay_1")
				if err == nil || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "PLANTED") {
					t.Errorf("error %v, want %q", err, words)
				}
			})
		})
	}
}

// transport is a network in memory, so that the clock of synctest rules it.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func hang(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func inMemory(t *testing.T, timeout time.Duration, f transport) *dodo.Client {
	t.Helper()
	client, err := dodo.New(dodo.Options{
		APIKey: apiKey, Timeout: timeout, Transport: f, Jitter: func() float64 { return 0 },
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func respond(status int, header http.Header, body io.Reader) *http.Response {
	if header == nil {
		header = http.Header{"Content-Type": {"application/json"}}
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(body)}
}

// Hanging takes as long as the deadline allows, and no longer.
func TestHang(t *testing.T) {
	hanging := func(status int) transport {
		return func(r *http.Request) (*http.Response, error) {
			return respond(status, nil, hangingBody{r.Context()}), nil
		}
	}
	for name, tc := range map[string]struct {
		server   transport
		timeout  time.Duration
		want     error
		took     time.Duration
		attempts int
	}{
		"no answer":         {hang, 0, dodo.ErrUnavailable, 10 * time.Second, 2},
		"a short deadline":  {hang, 3 * time.Second, dodo.ErrUnavailable, 3 * time.Second, 2},
		"body hangs":        {hanging(200), 0, dodo.ErrUnavailable, 10 * time.Second, 2},
		"error body hangs":  {hanging(422), 0, dodo.ErrRejected, 5 * time.Second, 1},
		"500, then nothing": {first(respond(500, nil, http.NoBody), hang), 0, dodo.ErrUnavailable, 10 * time.Second, 3},
		"once, then fine":   {firstly(hang, respond(200, nil, strings.NewReader(goodSession))), 0, nil, 5500 * time.Millisecond, 0},
		"wait beyond the deadline": {func(*http.Request) (*http.Response, error) {
			return respond(429, http.Header{"Retry-After": {"3"}}, http.NoBody), nil
		}, 3 * time.Second, dodo.ErrUnavailable, 0, 1},
		"wait within the deadline": {func(*http.Request) (*http.Response, error) {
			return respond(429, http.Header{"Retry-After": {"1"}}, http.NoBody), nil
		}, 3 * time.Second, dodo.ErrUnavailable, 2 * time.Second, 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := inMemory(t, tc.timeout, tc.server)
				start := time.Now()
				_, err := client.CreateCheckout(t.Context(), &dodo.Checkout{ProductID: "pdt_1", Quantity: 1})
				if took := time.Since(start); took != tc.took {
					t.Errorf("took %v, want %v", took, tc.took)
				}
				checkError(t, err, tc.want)
				if e, ok := errors.AsType[*dodo.Error](err); ok && e.Attempts != tc.attempts {
					t.Errorf("%d attempts, want %d: %v", e.Attempts, tc.attempts, err)
				}
				if errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v claims that the caller's time ran out", err)
				}
			})
		})
	}
}

// The caller's own end is told as such, and at once.
func TestCallerEnds(t *testing.T) {
	for name, tc := range map[string]struct {
		server transport
		end    func(context.Context) (context.Context, context.CancelFunc)
		want   error
		took   time.Duration
	}{
		"deadline while asking": {hang, func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Second)
		}, context.DeadlineExceeded, time.Second},
		"cancelled while asking": {hang, cancelAfter(time.Second), context.Canceled, time.Second},
		"cancelled while pausing": {func(*http.Request) (*http.Response, error) {
			return respond(500, nil, http.NoBody), nil
		}, cancelAfter(600 * time.Millisecond), context.Canceled, 600 * time.Millisecond},
		"cancelled before": {hang, cancelAfter(0), context.Canceled, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := tc.end(t.Context())
				defer cancel()
				start := time.Now()
				_, err := inMemory(t, 0, tc.server).Payment(ctx, "pay_1")
				checkError(t, err, dodo.ErrUnavailable)
				if !errors.Is(err, tc.want) {
					t.Errorf("error %v, want %v", err, tc.want)
				}
				if took := time.Since(start); took != tc.took {
					t.Errorf("took %v, want %v", took, tc.took)
				}
			})
		})
	}
}

func cancelAfter(d time.Duration) func(context.Context) (context.Context, context.CancelFunc) {
	return func(ctx context.Context) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(ctx)
		if d == 0 {
			cancel()
		} else {
			time.AfterFunc(d, cancel)
		}
		return ctx, cancel
	}
}

// Pages share one deadline.
func TestProductsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := inMemory(t, 0, func(*http.Request) (*http.Response, error) {
			time.Sleep(3 * time.Second)
			return respond(200, nil, strings.NewReader(page(0, 100))), nil
		})
		start := time.Now()
		_, err := client.Products(t.Context())
		checkError(t, err, dodo.ErrUnavailable)
		if took := time.Since(start); took > 12*time.Second || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("took %v and ended with %v", took, err)
		}
	})
}

func TestJitter(t *testing.T) {
	var pauses []time.Duration
	for _, drawn := range []float64{0, 0.5, 0.9} {
		s := newStub(t, func(o *dodo.Options) { o.Jitter = func() float64 { return drawn } }, answer(500, ``))
		_, _ = s.client.Session(t.Context(), "cks_1")
		pauses = append(pauses, s.pauses...)
	}
	const ms = time.Millisecond
	want := []time.Duration{500 * ms, 1000 * ms, 375 * ms, 750 * ms, 275 * ms, 550 * ms}
	if !reflect.DeepEqual(pauses, want) {
		t.Errorf("pauses %v, want %v", pauses, want)
	}
}

type hangingBody struct{ ctx context.Context }

func (b hangingBody) Read([]byte) (int, error) {
	<-b.ctx.Done()
	return 0, b.ctx.Err()
}

func first(res *http.Response, then transport) transport {
	calls := 0
	return func(r *http.Request) (*http.Response, error) {
		if calls++; calls == 1 {
			return res, nil
		}
		return then(r)
	}
}

func firstly(do transport, then *http.Response) transport {
	calls := 0
	return func(r *http.Request) (*http.Response, error) {
		if calls++; calls == 1 {
			return do(r)
		}
		return then, nil
	}
}
