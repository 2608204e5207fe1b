package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/dodosim/simtest"
)

// TestAbuse has strangers and one bad customer do what fills a server up, each kind at a
// gateway of its own, while good customers go on. Memory is bounded, Dodo's budget is kept,
// webhooks arrive, and good customers are served.
//
// With DODOGATE_ABUSE=long (`make abuse`) there are 5,000 connections of each kind, the
// good customers' p99 is compared with that of the same gateway in peace, and where the
// test may limit the gateway's memory, the kernel kills it if it takes more.
func TestAbuse(t *testing.T) {
	// What Caddy sets in a container of 150 MiB. With more memory the garbage collector runs
	// less often, and what it has not collected yet says nothing.
	t.Setenv("GOMEMLIMIT", "135MiB")
	size := abuseSize{connections: 300, requests: 1000, codes: 100, visits: 100}
	if os.Getenv("DODOGATE_ABUSE") == "long" {
		size = abuseSize{connections: 5000, requests: 10_000, codes: 1000, visits: 2000, judged: true}
	}
	for _, kind := range abuseKinds() {
		t.Run(kind.name, func(t *testing.T) {
			a := newAbuse(t, size)
			quiet := func() times { return a.good.during(func() { a.good.wait(size.visits) }) }
			before := quiet()
			war := kind.attack(a)
			a.judge(war, max(before.p99(), quiet().p99())) // the machine has other work
			a.sells()
		})
	}
}

// abuseSize says how much of everything there is.
type abuseSize struct {
	connections, requests, codes int
	visits                       int  // of good customers, in peace and while connections are held
	judged                       bool // the good customers' times are compared
}

// The most that the gateway may take.
const (
	abuseMemory = 150 << 20
	abuseTimes  = 3   // p99 in war by p99 in peace
	abuseCalls  = 240 // a minute at Dodo (FACTS 1.4)
	abusePace   = 500 // attackers' requests a second
)

type abuse struct {
	t     *testing.T
	size  abuseSize
	gate  *gate
	sim   *dodosim.Simulator
	good  *regulars
	calls atomic.Int64 // of the gateway at Dodo
	began time.Time
}

func newAbuse(t *testing.T, size abuseSize) *abuse {
	a := &abuse{t: t, size: size}
	sim, dodo := simtest.Serve(t, dodosim.Options{
		APIKey: demoKey, Products: []dodosim.Product{{ID: "pdt_pack10", Name: "Ten credits", Price: 1000, Currency: "USD"}},
	})
	a.sim = sim
	target, err := url.Parse(dodo)
	if err != nil {
		t.Fatal(err)
	}
	way := httputil.NewSingleHostReverseProxy(target)
	counted := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.calls.Add(1)
		way.ServeHTTP(w, r)
	}))
	t.Cleanup(counted.Close)
	group := ""
	if size.judged {
		if group = memoryGroup(t, abuseMemory); group == "" {
			t.Log("the gateway's memory is measured and not limited: no control group can be made here")
		}
	}
	a.gate = newGateIn(t, group, counted.URL, "bolt {{Dir}}/dodogate.db", 1000,
		"dodo_require /paid/* paid\n\tdodo_require /other/*/x paid\n\tdodo_charge /generate 1\n\tdodo_charge /api/* 1\n\trespond ok")
	a.began = time.Now()
	a.good = newRegulars(t, a.gate)
	return a
}

// judge says what went too far. peace is the p99 of a quiet gateway.
func (a *abuse) judge(war times, peace time.Duration) {
	a.t.Helper()
	peak := a.gate.mostMemory()
	a.t.Logf("%d MiB at the most; good customers' p99 %v, in peace %v; %d calls at Dodo", peak>>20, war.p99(), peace, a.calls.Load())
	if peak > abuseMemory {
		a.t.Errorf("the gateway took %d MiB", peak>>20)
	}
	if war.failed > 0 {
		a.t.Errorf("%d good requests were not served: %v", war.failed, war.first)
	}
	if len(war.took) == 0 {
		a.t.Error("no good request was answered meanwhile")
	}
	if a.size.judged && war.p99() > abuseTimes*peace {
		a.t.Errorf("good customers' p99 is %v, in peace %v", war.p99(), peace)
	}
	minutes := time.Since(a.began)/time.Minute + 1
	if most := abuseCalls * int64(minutes); a.calls.Load() > most {
		a.t.Errorf("%d calls at Dodo in %v", a.calls.Load(), time.Since(a.began))
	}
}

// kind is one way to be a nuisance.
type kind struct {
	name  string
	head  string // that is sent on each connection
	body  int    // bytes of the body, behind it
	flood func(a *abuse)
}

// attack is one attack, and what good customers met: while connections are held, or while
// requests come.
func (k kind) attack(a *abuse) (met times) {
	if k.flood != nil {
		return a.good.during(func() { k.flood(a) })
	}
	a.hold(k.head, k.body, func() {
		met = a.good.during(func() { a.good.wait(a.size.visits) })
		if status := a.gate.webhook("msg_genuine"); status != http.StatusOK {
			a.t.Errorf("a webhook of Dodo meanwhile: %d", status)
		}
	})
	return met
}

func abuseKinds() []kind {
	fresh := fmt.Sprintf("webhook-id: msg_x\r\nwebhook-timestamp: %d\r\nwebhook-signature: v1,%s\r\n",
		time.Now().Unix(), base64.StdEncoding.EncodeToString(make([]byte, 32)))
	post := func(path, header string, length int) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: shop.example.com\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n", path, header, length)
	}
	return []kind{
		{name: "idle"},
		{name: "half a head", head: "POST /payments/webhook HTTP/1.1\r\nHost: shop.example.com\r\nX-A"},
		{name: "webhooks without headers", head: post("/payments/webhook", "", 1<<20), body: 1<<20 - 1},
		{name: "webhooks with made-up headers", head: post("/payments/webhook", fresh, 1<<20), body: 1<<20 - 1},
		{name: "webhooks without a length", head: "POST /payments/webhook HTTP/1.1\r\nHost: shop.example.com\r\n" + fresh + "Transfer-Encoding: chunked\r\n\r\nfffff\r\n", body: 1<<20 - 2},
		{name: "checkouts of strangers", head: post("/payments/checkout", "", 16<<10), body: 16<<10 - 1},
		{name: "checkouts of a customer", head: post("/payments/checkout", "X-Test-User: mallory\r\n", 16<<10), body: 16<<10 - 1},
		{name: "confirmations of a customer", head: post("/payments/confirm", "X-Test-User: mallory\r\n", 16<<10), body: 16<<10 - 1},
		{name: "bad signatures", flood: func(a *abuse) { a.requests(a.badSignature) }},
		{name: "routing headers", flood: func(a *abuse) { a.requests(a.routingHeaders) }},
		{name: "odd paths", flood: func(a *abuse) { a.requests(a.oddPath) }},
		{name: "guessed codes", flood: (*abuse).guessCodes},
	}
}

// hold opens connections from fifty addresses, sends the head and a part of the body on
// each, and keeps them open for as long as something lasts.
func (a *abuse) hold(head string, body int, meanwhile func()) {
	var open sync.WaitGroup
	conns := make([]net.Conn, a.size.connections)
	begun := make(chan struct{}, 128) // at a time
	for i := range conns {
		open.Go(func() {
			begun <- struct{}{}
			defer func() { <-begun }()
			from := net.Dialer{Timeout: 10 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%50))}}
			conn, err := from.DialContext(a.t.Context(), "tcp", a.gate.site)
			if err != nil {
				a.t.Errorf("connection %d: %v", i, err)
				return
			}
			conns[i] = conn
			_ = conn.SetWriteDeadline(time.Now().Add(5 * time.Second)) // the gateway need not read it
			if _, err := io.WriteString(conn, head); err != nil {
				return
			}
			_, _ = conn.Write(bytes.Repeat([]byte("a"), body))
		})
	}
	open.Wait()
	meanwhile()
	for _, conn := range conns {
		if conn != nil {
			_ = conn.Close()
		}
	}
}

// requests sends requests at the attackers' pace, and takes whatever answer.
func (a *abuse) requests(next func(i int) *http.Request) {
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	var sent sync.WaitGroup
	pace := time.NewTicker(time.Second / abusePace)
	defer pace.Stop()
	slots := make(chan struct{}, 64)
	for i := range a.size.requests {
		<-pace.C
		slots <- struct{}{}
		sent.Go(func() {
			defer func() { <-slots }()
			resp, err := client.Do(next(i))
			if err != nil {
				return // it may break off what it does not want to read
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode < 400 {
				a.t.Errorf("an attacker's request was answered with %d", resp.StatusCode)
			}
		})
	}
	sent.Wait()
}

func (a *abuse) badSignature(i int) *http.Request {
	body := bytes.Repeat([]byte(" "), rand.IntN(64<<10))
	r := a.request(http.MethodPost, "/payments/webhook", bytes.NewReader(append([]byte(`{"type":"payment.succeeded"`), body...)))
	r.Header.Set("Webhook-Id", fmt.Sprint("msg_", i))
	r.Header.Set("Webhook-Timestamp", strconv.FormatInt(time.Now().Unix(), 10))
	r.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString([]byte(fmt.Sprintf("%032d", i))))
	return r
}

// routingHeaders has 15 KiB of one of the headers by which some app might route.
func (a *abuse) routingHeaders(i int) *http.Request {
	names := []string{"X-Original-URL", "X-Rewrite-URL", "X-Original-URI", "X-Forwarded-Prefix", "X-Forwarded-Uri", "X-Forwarded-Path"}
	r := a.request(http.MethodGet, "/paid/x", nil)
	for range 400 {
		r.Header.Add(names[i%len(names)], `x%25252f;a\..%20/`)
	}
	return r
}

func (a *abuse) oddPath(i int) *http.Request {
	odd := []string{"%25252f", "/..;/", "%5c", ";a=b/", "%c0%af", "/./", "%20/", "//"}
	r := a.request(http.MethodGet, "/", nil)
	r.URL.Opaque = "//shop.example.com/paid" + strings.Repeat(odd[i%len(odd)]+"x", 8000)[:14<<10]
	return r
}

func (a *abuse) request(method, path string, body io.Reader) *http.Request {
	r, err := http.NewRequestWithContext(context.WithoutCancel(a.t.Context()), method, "http://"+a.gate.site+path, body)
	if err != nil {
		panic(err)
	}
	r.Host = "shop.example.com"
	return r
}

// guessCodes is one customer after another who tries discount codes.
func (a *abuse) guessCodes() {
	client := &http.Client{Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	for i := range a.size.codes {
		r := a.request(http.MethodPost, "/payments/checkout", strings.NewReader(fmt.Sprintf(`{"product":"pack10","discount_code":"GUESS%d"}`, i)))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Test-User", fmt.Sprint("guesser", i%10))
		resp, err := client.Do(r)
		if err != nil {
			a.t.Errorf("guess: %v", err)
			return
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusTooManyRequests && resp.Header.Get("Retry-After") == "" {
			a.t.Error("429 does not say when to come again")
		}
		if resp.StatusCode < 400 || resp.StatusCode >= 500 {
			a.t.Errorf("a guessed code was answered with %d", resp.StatusCode)
		}
	}
}

// sells has a good customer buy.
func (a *abuse) sells() {
	a.t.Helper()
	r := a.request(http.MethodPost, "/payments/checkout", strings.NewReader(`{"product":"pack10"}`))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Test-User", "carol")
	resp, err := crowd.Do(r)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusCreated {
		a.t.Errorf("a good customer's checkout after it: %d %s", resp.StatusCode, body)
	}
}

// regulars are good customers: each asks again as soon as its answer is there and a moment
// has passed.
type regulars struct {
	t    *testing.T
	gate *gate

	mu   sync.Mutex
	seen *times // nil: nobody counts
}

// times are what good customers met.
type times struct {
	took   []time.Duration
	failed int
	first  error
}

func (s times) p99() time.Duration {
	if len(s.took) == 0 {
		return 0
	}
	sorted := slices.SortedFunc(slices.Values(s.took), cmp.Compare)
	return sorted[len(sorted)*99/100]
}

func newRegulars(t *testing.T, g *gate) *regulars {
	r := &regulars{t: t, gate: g}
	over, stop := context.WithCancel(context.Background())
	var customers sync.WaitGroup
	t.Cleanup(func() { stop(); customers.Wait() })
	for i := range 4 {
		customers.Go(func() {
			pace := time.NewTicker(10 * time.Millisecond)
			defer pace.Stop()
			for over.Err() == nil {
				<-pace.C
				r.visit(over, fmt.Sprint("good", i))
			}
		})
	}
	return r
}

func (r *regulars) visit(ctx context.Context, user string) {
	began := time.Now()
	resp, err := crowd.Do(r.gate.request(ctx, "/free", user))
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("status %d", resp.StatusCode)
		}
	}
	took := time.Since(began)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.seen == nil || ctx.Err() != nil:
	case err != nil:
		r.seen.failed++
		r.seen.first = cmp.Or(r.seen.first, err)
	default:
		r.seen.took = append(r.seen.took, took)
	}
}

// during counts while something happens.
func (r *regulars) during(what func()) times {
	var seen times
	r.mu.Lock()
	r.seen = &seen
	r.mu.Unlock()
	what()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = nil
	return seen
}

// wait ends when so many more visits were counted.
func (r *regulars) wait(visits int) {
	r.t.Helper()
	count := func() int {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.seen.took) + r.seen.failed
	}
	enough := count() + visits
	r.gate.eventually("good customers come", func() string {
		if n := count(); n < enough {
			return fmt.Sprintf("%d visits of %d", n, enough)
		}
		return ""
	})
}
