package identity_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/identity"
)

// app answers who a visitor is, and counts how often it is asked.
type app struct {
	url    string
	asked  atomic.Int64
	mu     sync.Mutex
	answer http.HandlerFunc
}

func newApp(t *testing.T, answer http.HandlerFunc) *app {
	a := &app{answer: answer}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.asked.Add(1)
		a.mu.Lock()
		answer := a.answer
		a.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	a.url = s.URL + "/api/me"
	return a
}

func (a *app) answers(answer http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = answer
}

func says(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = io.WriteString(w, body)
	}
}

func newAsk(t *testing.T, a *app, o identity.AskOptions) *login {
	t.Helper()
	l := newLogin(t)
	o.URL, o.Clock, o.Observe = a.url, l.clock, l.observe
	source, err := identity.NewAsk(o)
	if err != nil {
		t.Fatal(err)
	}
	l.source = source
	return l
}

func TestAskAnswers(t *testing.T) {
	const nobody, failed = "", "!"
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			_, _ = io.WriteString(w, `{"id":"alice"}`)
		}
	}
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"an id":             {says(`{"id":"alice"}`), "alice"},
		"a number":          {says(`{"id":12345678901234567890}`), "12345678901234567890"},
		"created":           {status(201), "alice"},
		"401":               {status(401), nobody},
		"403":               {status(403), nobody},
		"null":              {says(`null`), nobody},
		"an empty object":   {says(` {} `), nobody},
		"an id null":        {says(`{"id":null}`), nobody},
		"an empty id":       {says(`{"id":""}`), nobody},
		"a long id":         {says(`{"id":"` + strings.Repeat("x", 257) + `"}`), failed},
		"an id true":        {says(`{"id":true}`), failed},
		"a fraction":        {says(`{"id":1.5}`), failed},
		"a negative":        {says(`{"id":-1}`), failed},
		"an exponent":       {says(`{"id":1e3}`), failed},
		"an object":         {says(`{"id":{"a":1}}`), failed},
		"an id twice":       {says(`{"id":"alice","id":"bob"}`), failed},
		"a list":            {says(`["alice"]`), failed},
		"half of an answer": {says(`{"id":"alice"`), failed},
		"two answers":       {says(`{"id":"alice"}{"id":"bob"}`), failed},
		"a page":            {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>alice</html>") }, failed},
		"text": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, `{"id":"alice"}`)
		}, failed},
		"10 MB":               {says(`{"id":"alice","x":"` + strings.Repeat("x", 10<<20) + `"}`), failed},
		"nothing":             {status(204), failed},
		"not found":           {status(404), failed},
		"an error":            {status(500), failed},
		"a redirect":          {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) }, failed},
		"a cut connection":    {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, failed},
		"many header lines":   {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) }, failed},
		"an early answer 103": {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(103); says(`{"id":"alice"}`)(w, r) }, "alice"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newAsk(t, newApp(t, tt.answer), identity.AskOptions{Timeout: 20 * time.Second})
			who, err := l.identify("Cookie", "sid=MARK")
			switch {
			case tt.want == failed:
				if !errors.Is(err, gateway.ErrLoginUnavailable) || who != (gateway.Identity{}) || strings.Contains(err.Error(), "MARK") {
					t.Errorf("it is %+v, %v", who, err)
				}
			case err != nil || who.Account != tt.want:
				t.Errorf("it is %+v, %v, want %q", who, err, tt.want)
			}
		})
	}
}

// A slow app, and one that is not there, are nobody's word.
func TestAskWithoutAnswer(t *testing.T) {
	end := make(chan struct{})
	a := newApp(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-end:
		case <-r.Context().Done():
		}
	})
	l := newAsk(t, a, identity.AskOptions{Timeout: 50 * time.Millisecond})
	if who, err := l.identify("Cookie", "sid=1"); !errors.Is(err, gateway.ErrLoginUnavailable) {
		t.Errorf("slow: %+v, %v", who, err)
	}
	close(end)
	gone := newApp(t, says(`{}`))
	gone.url = "http://127.0.0.1:1/me?key=MARK"
	l = newAsk(t, gone, identity.AskOptions{})
	if who, err := l.identify("Cookie", "sid=1"); !errors.Is(err, gateway.ErrLoginUnavailable) || strings.Contains(err.Error(), "MARK") {
		t.Errorf("gone: %+v, %v", who, err)
	}
}

func TestAskRemembers(t *testing.T) {
	a := newApp(t, says(`{"id":"alice","email":"a@example.com","email_verified":true,"name":"Alice"}`))
	l := newAsk(t, a, identity.AskOptions{Remember: 30 * time.Second})
	ask := func(header ...string) {
		t.Helper()
		want := gateway.Identity{Account: "alice", Email: "a@example.com", EmailVerified: true, Name: "Alice"}
		if who, err := l.identify(header...); err != nil || who != want {
			t.Errorf("%+v, %v", who, err)
		}
	}
	asked := func(want int64) {
		t.Helper()
		if n := a.asked.Swap(0); n != want {
			t.Errorf("asked %d times, want %d", n, want)
		}
	}
	ask("Cookie", "sid=1")
	l.pass(29 * time.Second)
	ask("Cookie", "sid=1")
	asked(1)
	l.pass(time.Second)
	ask("Cookie", "sid=1")
	asked(1)
	ask("Cookie", "sid=2")
	ask("Authorization", "Bearer 1")
	ask("Cookie", "sid=1", "Authorization", "Bearer 1")
	asked(3)
	if who, err := l.identify(); err != nil || who.Account != "" {
		t.Errorf("without credentials: %+v, %v", who, err)
	}
	asked(0)

	// Nobody and failures are not remembered for long: who signs in may keep the cookie.
	a.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	for range 3 {
		if who, err := l.identify("Cookie", "sid=3"); err != nil || who.Account != "" {
			t.Errorf("%+v, %v", who, err)
		}
	}
	asked(1)
	a.answers(says(`{"id":"carol"}`))
	l.pass(time.Second)
	if who, err := l.identify("Cookie", "sid=3"); err != nil || who.Account != "carol" {
		t.Errorf("%+v, %v", who, err)
	}
}

// An answer for one host is not taken for another: the app may give each its own users.
func TestAskOfTwoHosts(t *testing.T) {
	a := newApp(t, func(w http.ResponseWriter, r *http.Request) {
		says(`{"id":"alice of `+r.Header.Get("X-Forwarded-Host")+`"}`)(w, r)
	})
	l := newAsk(t, a, identity.AskOptions{})
	for range 2 {
		for _, host := range []string{"one.example", "two.example", "one.exampl", "ONE.example"} {
			r := request("Cookie", "esid=1", "Authorization", "Basic YTpi")
			r.Host = host
			if who, err := l.source.Identify(r, true); err != nil || who.Account != "alice of "+host {
				t.Errorf("%s: %+v, %v", host, who, err)
			}
		}
	}
	if n := a.asked.Load(); n != 4 {
		t.Errorf("asked %d times", n)
	}
}

// What the app hears: the credentials that count, who the client is, and no body.
func TestAskPassesOn(t *testing.T) {
	var heard http.Header
	var body []byte
	a := newApp(t, func(w http.ResponseWriter, r *http.Request) {
		heard = r.Header.Clone()
		body, _ = io.ReadAll(r.Body)
		w.Header().Set("X-User", "alice")
		w.Header().Set("X-Verified", "true")
		says(`{"email":"a@example.com"}`)(w, r)
	})
	l := newAsk(t, a, identity.AskOptions{
		Cookies: []string{"sid", "auth.*"},
		Fields:  identity.Paths{Email: identity.Path{"email"}},
		Headers: identity.HeaderNames{Account: "x-user", EmailVerified: "X-Verified"},
	})
	r := httptest.NewRequest(http.MethodPost, "https://shop.example.com/buy?id=mallory", strings.NewReader(`{"id":"mallory"}`))
	r.RemoteAddr = "192.0.2.7:1234"
	for name, value := range map[string]string{
		"Cookie": "_ga=1; sid=2; auth.0=3; xsid=4; sid =5", "Authorization": "Bearer t", "User-Agent": "browser", "X-Forwarded-For": "10.0.0.1", "X-User": "mallory",
	} {
		r.Header.Set(name, value)
	}
	who, err := l.source.Identify(r, true)
	if want := (gateway.Identity{Account: "alice", Email: "a@example.com", EmailVerified: true}); err != nil || who != want {
		t.Errorf("%+v, %v", who, err)
	}
	heard.Del("Accept-Encoding")
	if len(heard.Get("Dodogate-Ask")) < 16 {
		t.Errorf("the mark can be guessed: %q", heard.Get("Dodogate-Ask"))
	}
	heard.Del("Dodogate-Ask")
	want := "map[Accept:[application/json] Authorization:[Bearer t] Cookie:[sid=2; auth.0=3; sid =5] User-Agent:[browser] X-Forwarded-For:[192.0.2.7] X-Forwarded-Host:[shop.example.com] X-Forwarded-Proto:[https]]"
	if got := fmt.Sprint(heard); got != want || len(body) > 0 {
		t.Errorf("the app hears\n%s %q\nwant\n%s", got, body, want)
	}
	a.asked.Store(0)
	if who, err := l.identify("Cookie", "_ga=1"); err != nil || who.Account != "" || a.asked.Load() != 0 {
		t.Errorf("a cookie that is no credential: %+v, %v, asked %d times", who, err, a.asked.Load())
	}
}

// One question for all who bring the same credentials, and a bound for all questions.
func TestAskTogether(t *testing.T) {
	const slots = 3
	arrived, release := make(chan string, 100), make(chan struct{})
	a := newApp(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- r.Header.Get("Cookie")
		<-release
		says(`{"id":"`+r.Header.Get("Cookie")+`"}`)(w, r)
	})
	l := newAsk(t, a, identity.AskOptions{Calls: slots, Timeout: 30 * time.Second})
	var wg sync.WaitGroup
	for i := range 50 {
		sid := fmt.Sprintf("sid=%d", i%5)
		wg.Go(func() {
			if who, err := l.identify("Cookie", sid); err != nil || who.Account != sid {
				t.Errorf("%s is %+v, %v", sid, who, err)
			}
		})
	}
	for range slots {
		<-arrived
	}
	select {
	case more := <-arrived:
		t.Errorf("%s is asked about beyond the bound", more)
	default:
	}
	close(release)
	wg.Wait()
	if n := a.asked.Load(); n != 5 {
		t.Errorf("asked %d times about 5 visitors", n)
	}
}

// Clients that send ever new cookies and leave don't pile up questions.
func TestAskAbandoned(t *testing.T) {
	const clients = 5000
	release := make(chan struct{})
	a := newApp(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
		says(`{"id":"alice"}`)(w, r)
	})
	end := sync.OnceFunc(func() { close(release) })
	t.Cleanup(end)
	l := newAsk(t, a, identity.AskOptions{Calls: 1, Timeout: 30 * time.Second})
	before := runtime.NumGoroutine()
	gone, leave := context.WithCancel(t.Context())
	leave()
	for i := range clients {
		r := request("Cookie", fmt.Sprintf("sid=%d", i)).WithContext(gone)
		if who, err := l.source.Identify(r, true); !errors.Is(err, gateway.ErrLoginUnavailable) {
			t.Fatalf("%+v, %v", who, err)
		}
	}
	if n := runtime.NumGoroutine() - before; n > clients/2 {
		t.Fatalf("%d questions wait for clients that have left", n)
	}
	// A new visitor hears at once that the login is overloaded, and that is not remembered.
	if who, err := l.identify("Cookie", "sid=alice"); !errors.Is(err, gateway.ErrLoginUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%+v, %v", who, err)
	}
	end()
	for range 2000 { // the queue empties in the background
		if who, err := l.identify("Cookie", "sid=alice"); err == nil && who.Account == "alice" {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Error("the visitor is still refused")
}

// A question that comes back to a gateway is not asked about again.
func TestAskDoesNotRecur(t *testing.T) {
	var l *login
	a := newApp(t, func(w http.ResponseWriter, r *http.Request) {
		if who, err := l.source.Identify(r, true); !errors.Is(err, gateway.ErrLoginUnavailable) {
			t.Errorf("it is %+v, %v", who, err)
		}
		w.WriteHeader(http.StatusBadGateway)
	})
	l = newAsk(t, a, identity.AskOptions{})
	if who, err := l.identify("Cookie", "sid=1"); !errors.Is(err, gateway.ErrLoginUnavailable) || a.asked.Load() != 1 {
		t.Errorf("%+v, %v, asked %d times", who, err, a.asked.Load())
	}
}

// A client cannot pretend that its request is a question that comes back.
func TestAskForgedGuard(t *testing.T) {
	a := newApp(t, says(`{"id":"alice"}`))
	l := newAsk(t, a, identity.AskOptions{})
	for _, mark := range []string{"", "1", "true"} {
		if who, err := l.identify("Cookie", "sid=1", "Dodogate-Ask", mark); err != nil || who.Account != "alice" {
			t.Errorf("%q: %+v, %v", mark, who, err)
		}
	}
}
