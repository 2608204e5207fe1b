package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
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
// test may limit the gateway's memory, the kernel kills it if it takes more. In peace half
// of the visits are counted before the attack and half after it, as many as during it.
func TestAbuse(t *testing.T) {
	// What Caddy sets in a container of 150 MiB. With more memory the garbage collector runs
	// less often, and what it has not collected yet says nothing.
	t.Setenv("GOMEMLIMIT", "135MiB")
	size := abuseSize{connections: 300, requests: 1000, visits: 100}
	if os.Getenv("DODOGATE_ABUSE") == "long" {
		size = abuseSize{connections: 5000, requests: 10_000, visits: 6000, judged: true}
	}
	for _, kind := range abuseKinds() {
		t.Run(kind.name, func(t *testing.T) {
			a := newAbuse(t, size)
			quiet := func() times { return a.good.during(func() { a.good.wait(size.visits / 2) }) }
			before := quiet()
			war := a.attack(kind)
			a.judge(war, before.and(quiet()))
			a.sells()
		})
	}
}

// abuseSize says how much of everything there is.
type abuseSize struct {
	connections, requests int
	visits                int  // of good customers, in peace and while connections are held
	judged                bool // the good customers' times are compared
}

// The most that the gateway may take.
const (
	abuseMemory = 150 << 20
	abuseTimes  = 3   // p99 in war by p99 in peace
	abuseCalls  = 240 // a minute at Dodo (FACTS 1.4)
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

// judge says what went too far. peace is what good customers met at the quiet gateway.
func (a *abuse) judge(war, peace times) {
	a.t.Helper()
	peak := a.gate.mostMemory()
	a.t.Logf("%d MiB at the most; good customers' p99 %v (of %d), in peace %v (of %d): %.2f times; %d calls at Dodo",
		peak>>20, war.p99(), len(war.took), peace.p99(), len(peace.took), float64(war.p99())/float64(peace.p99()), a.calls.Load())
	if peak > abuseMemory {
		a.t.Errorf("the gateway took %d MiB", peak>>20)
	}
	if war.failed > 0 {
		a.t.Errorf("%d good requests were not served: %v", war.failed, war.first)
	}
	if len(war.took) == 0 {
		a.t.Error("no good request was answered meanwhile")
	}
	if a.size.judged && war.p99() > abuseTimes*peace.p99() {
		a.t.Errorf("good customers' p99 is %v, in peace %v", war.p99(), peace.p99())
	}
	minutes := time.Since(a.began)/time.Minute + 1
	if most := abuseCalls * int64(minutes); a.calls.Load() > most {
		a.t.Errorf("%d calls at Dodo in %v", a.calls.Load(), time.Since(a.began))
	}
}

// attack is one attack, and what good customers met: while connections are held, or while
// requests come.
func (a *abuse) attack(k kind) (met times) {
	a.t.Helper()
	order := attackOrder{Kind: k.name, Site: a.gate.site, Connections: a.size.connections}
	if k.request != nil {
		order.Requests = a.size.requests
	}
	attacker := startAttacker(a.t, order)
	if k.request != nil {
		var report attackReport
		met = a.good.during(func() { report = attacker.goOn() })
		a.judgeFlood(order, report)
		return met
	}
	met = a.good.during(func() { a.good.wait(a.size.visits) })
	if status := a.gate.webhook("msg_genuine"); status != http.StatusOK {
		a.t.Errorf("a webhook of Dodo meanwhile: %d", status)
	}
	for _, wrong := range attacker.goOn().Wrong {
		a.t.Error(wrong)
	}
	return met
}

// judgeFlood says whether the attack was what it should be.
func (a *abuse) judgeFlood(order attackOrder, report attackReport) {
	a.t.Helper()
	pace := float64(order.Requests) / report.Took.Seconds()
	a.t.Logf("%d requests in %v, %.0f a second; %d answered", order.Requests, report.Took, pace, report.Answered)
	for _, wrong := range report.Wrong {
		a.t.Error(wrong)
	}
	if report.Answered < order.Requests*9/10 {
		a.t.Errorf("%d attackers' requests of %d were answered", report.Answered, order.Requests)
	}
	if a.size.judged && pace < abusePace*9/10 {
		a.t.Errorf("%.0f attackers' requests a second, want %d: the machine is too busy to judge", pace, abusePace)
	}
}

// sells has a good customer buy.
func (a *abuse) sells() {
	a.t.Helper()
	r := attackerRequest(http.MethodPost, a.gate.site, "/payments/checkout", strings.NewReader(`{"product":"pack10"}`))
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

func (s times) and(more times) times {
	return times{slices.Concat(s.took, more.took), s.failed + more.failed, cmp.Or(s.first, more.first)}
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
