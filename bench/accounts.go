package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dodogate/dodogate/bench/load"
	"github.com/dodogate/dodogate/bench/rig"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/redisstore"
)

// crowd is a gateway that remembers so many accounts.
type crowd struct {
	running
	accounts         int
	headers, charged *measures
	heap, memory     int64      // how much more it has than before it remembered them, in bytes
	hits, lookups    [2]float64 // of the headers only, before and after
}

const (
	plainPath   = "/api/item"
	chargedPath = "/api/charged"
)

// byAccounts measures what requests cost by the number of accounts that a gateway remembers. All
// gateways use one Redis, which has all accounts, so its own growth is the same for all.
func (b *bench) byAccounts(ctx context.Context) (string, error) {
	sizes, err := b.sizes()
	if err != nil {
		return "", err
	}
	upstream, upstreamAddr, err := b.role(roleUpstream, roleUpstream)
	if err != nil {
		return "", err
	}
	dodo, err := b.simulator()
	if err != nil {
		return "", err
	}
	server, err := b.redis("redis")
	if err != nil {
		return "", err
	}
	if err := b.subscribe(ctx, server, sizes[len(sizes)-1]); err != nil {
		return "", fmt.Errorf("write the accounts: %w", err)
	}
	bare := &crowd{running: running{contestant: contestant{name: bareName, title: "bare Caddy"}, process: upstream}, accounts: sizes[0]}
	if bare.caddy, err = b.caddy(b.spec(&bare.running, upstreamAddr, dodo.Addr)); err != nil {
		return "", err
	}
	bare.addr, bare.process = bare.caddy.Addr, bare.caddy.Process
	crowds := []*crowd{bare}
	for _, n := range sizes {
		c, err := b.crowd(ctx, n, server, upstreamAddr, dodo.Addr)
		if err != nil {
			return "", fmt.Errorf("%d accounts: %w", n, err)
		}
		crowds = append(crowds, c)
	}
	if err := b.compare(ctx, crowds); err != nil {
		return "", err
	}
	return b.accountsReport(crowds), nil
}

// sizes are the numbers of accounts, the largest last.
func (b *bench) sizes() (sizes []int, err error) {
	if b.remembered == "" {
		return []int{b.accounts}, nil
	}
	for text := range strings.SplitSeq(b.remembered, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n <= 0 || len(sizes) > 0 && n <= sizes[len(sizes)-1] {
			return nil, fmt.Errorf("numbers of accounts rise from 1, not %q", b.remembered)
		}
		sizes = append(sizes, n)
	}
	return sizes, nil
}

// subscribe gives each account a plan and a grant.
func (b *bench) subscribe(ctx context.Context, server *rig.Redis, accounts int) error {
	s, err := redisstore.Open(ctx, redisstore.Options{URL: "redis://" + server.Addr, Timeout: 30 * time.Second})
	if err != nil {
		return err
	}
	defer s.Close()
	client := store.Client{Store: s}
	now := time.Now()
	until := now.Add(30 * 24 * time.Hour)
	return all(accounts, func(i int) error {
		id := fmt.Sprintf("sub_bench%08d", i)
		_, err := client.Commit(ctx, book.Commit{
			Account: account(i),
			Object:  entitlement.Ref{Kind: entitlement.KindSubscription, ID: id},
			State:   paymentState,
			Effect: entitlement.Effect{
				Grants: []ledger.Target{{ID: "subscription:" + id + "/0", Amount: signup, CreatedAt: now, ExpiresAt: until}},
				Standing: entitlement.Standing{
					PaidAt:    now,
					Renewal:   &entitlement.Renewal{Plan: "pro", Status: entitlement.PlanActive, Access: true, Until: until, Renews: true},
					Freshness: &entitlement.Freshness{StaleAt: until, ReportedAt: now, PeriodStart: now, Renews: true},
				},
			},
			Cause: "evt_" + id,
		})
		return err
	})
}

// crowd starts a gateway and lets it remember the accounts.
func (b *bench) crowd(ctx context.Context, accounts int, server *rig.Redis, upstream, dodo string) (*crowd, error) {
	title := fmt.Sprintf("%d accounts", accounts)
	c := &crowd{
		running:  running{contestant: contestant{name: fmt.Sprint("accounts-", accounts), title: title, gateway: true, charge: "dodo_charge " + chargedPath + " 1"}, server: server},
		accounts: accounts,
	}
	spec := b.spec(&c.running, upstream, dodo)
	spec.Global = strings.Replace(spec.Global, fmt.Sprintf("\t\tsignup_credits %d\n", signup), fmt.Sprintf("\t\tcache %d\n", max(accounts, gatewayRemembers)), 1)
	spec.Global = strings.Replace(spec.Global, "bolt "+b.dir+"/"+c.name+".db", b.storeIn(server), 1)
	var err error
	if c.caddy, err = b.caddy(spec); err != nil {
		return nil, err
	}
	c.addr, c.process = c.caddy.Addr, c.caddy.Process
	if _, err := c.visit(ctx, b, c.each(1), time.Second); err != nil {
		return nil, err
	}
	heap, memory, err := c.sizeInMemory()
	if err != nil {
		return nil, err
	}
	if _, err := c.visit(ctx, b, c.each(accounts), 0); err != nil {
		return nil, fmt.Errorf("first visits: %w", err)
	}
	if c.heap, c.memory, err = c.sizeInMemory(); err != nil {
		return nil, err
	}
	c.heap, c.memory = c.heap-heap, c.memory-memory
	return c, c.checkRemembers(ctx, b)
}

// gatewayRemembers is what the gateways' cache is at least, as it is by default.
const gatewayRemembers = 1_000_000

// checkRemembers fails if the gateway has to read more than one in a hundred of the accounts that have
// visited it.
func (c *crowd) checkRemembers(ctx context.Context, b *bench) error {
	hits, lookups, err := c.lookUps()
	if err != nil {
		return err
	}
	sample := min(c.accounts, 20_000)
	left := atomic.Int64{}
	left.Store(int64(sample))
	draw := c.random(plainPath)
	if _, err := c.visit(ctx, b, func() *load.Exchange {
		if left.Add(-1) < 0 {
			return nil
		}
		return draw()
	}, 0); err != nil {
		return err
	}
	hitsNow, lookupsNow, err := c.lookUps()
	if err == nil && hitsNow-hits < 0.99*(lookupsNow-lookups) {
		err = fmt.Errorf("of %.0f accounts that were visited again, %.0f were remembered", lookupsNow-lookups, hitsNow-hits)
	}
	return err
}

func (c *crowd) lookUps() (hits, all float64, err error) {
	const name, hit = "dodogate_cache_requests_total", `dodogate_cache_requests_total{result="hit"}`
	m, err := c.caddy.Metrics(name, hit)
	if err == nil && m[name] == 0 {
		err = fmt.Errorf("%s has no metric %s", c.name, name)
	}
	return m[hit], m[name], err
}

// sizeInMemory is the size of its live heap, and of all of it.
func (c *crowd) sizeInMemory() (heap, memory int64, err error) {
	if heap, err = c.caddy.LiveHeap(); err == nil {
		memory, err = c.process.Memory()
	}
	return heap, memory, err
}

// visit sends requests over new connections until the source is empty, or for as long as d if that
// is not 0.
func (c *crowd) visit(ctx context.Context, b *bench, source load.Source, d time.Duration) (load.Result, error) {
	client, err := load.Dial(ctx, c.addr, b.connections)
	if err != nil {
		return load.Result{}, err
	}
	defer client.Close()
	return client.Saturate(ctx, source, d)
}

// exchange is a request of an account. It is made when it is sent: a million of them would be in the
// way of the load generator.
func (c *crowd) exchange(n int, path string) *load.Exchange {
	user := account(n)
	entitled := user
	if !c.gateway {
		entitled = ""
	}
	return &load.Exchange{
		Request: request(c.addr, "GET", path, user, nil), Status: 200,
		Prefix: []byte(answerFor(user, entitled, "")), Length: answerLength,
	}
}

// each visits the first accounts once.
func (c *crowd) each(n int) load.Source {
	var taken atomic.Int64
	return func() *load.Exchange {
		i := int(taken.Add(1)) - 1
		if i >= n {
			return nil
		}
		return c.exchange(i, plainPath)
	}
}

func (c *crowd) random(path string) load.Source {
	return func() *load.Exchange { return c.exchange(rand.IntN(c.accounts), path) } //nolint:gosec // it only spreads
}

// compare measures all of them, by turns.
func (b *bench) compare(ctx context.Context, crowds []*crowd) (err error) {
	for _, c := range crowds {
		c.headers, c.charged = &measures{calls: make(map[string]int64)}, &measures{calls: make(map[string]int64)}
		if c.gateway {
			if c.hits[0], c.lookups[0], err = c.lookUps(); err != nil {
				return err
			}
		}
	}
	var rates series
	for range 3 {
		r, err := crowds[0].visit(ctx, b, crowds[0].random(plainPath), b.burst)
		if err != nil {
			return err
		}
		rates = append(rates, r.Rate())
	}
	for range b.rounds {
		for _, i := range b.draw.Perm(len(crowds)) {
			if err := b.measure(ctx, crowds[i], rates.median()/2); err != nil {
				return fmt.Errorf("%s: %w", crowds[i].title, err)
			}
		}
	}
	for _, c := range crowds[1:] {
		if c.hits[1], c.lookups[1], err = c.lookUps(); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) measure(ctx context.Context, c *crowd, half float64) error {
	for path, m := range map[string]*measures{plainPath: c.headers, chargedPath: c.charged} {
		if path == chargedPath && !c.gateway {
			continue
		}
		if _, err := c.visit(ctx, b, c.random(path), b.burst/warmUp); err != nil {
			return err
		}
		before, err := c.before(ctx)
		if err != nil {
			return err
		}
		result, err := c.visit(ctx, b, c.random(path), b.burst)
		if err != nil {
			return err
		}
		after, err := c.after(ctx)
		if err != nil {
			return err
		}
		m.add(result, before, after)
	}
	client, err := load.Dial(ctx, c.addr, b.connections)
	if err != nil {
		return err
	}
	defer client.Close()
	result, err := client.Constant(ctx, c.random(plainPath), half, b.burst)
	c.headers.halfP99 = append(c.headers.halfP99, micros(result.Quantile(99)))
	c.headers.unsent += result.Unsent
	return err
}

func (b *bench) accountsReport(crowds []*crowd) string {
	bare, few := crowds[0], crowds[1]
	t := newTable("accounts", "headers only, CPU, × bare Caddy", "× the fewest", "p99 at half load, × bare Caddy",
		"hold and capture, CPU, × bare Caddy", "× the fewest", "bytes for each: live heap", "resident", "remembered")
	for _, c := range crowds[1:] {
		heap, memory := "–", "–"
		if c.accounts >= 100_000 { // of fewer, it is mostly something else
			heap = fmt.Sprintf("%.0f", float64(c.heap)/float64(c.accounts))
			memory = fmt.Sprintf("%.0f", float64(c.memory)/float64(c.accounts))
		}
		t.add(fmt.Sprint(c.accounts), c.headers.cpu.over(bare.headers.cpu).format("%.2f"), c.headers.cpu.over(few.headers.cpu).format("%.2f"),
			c.headers.halfP99.over(bare.headers.halfP99).format("%.2f"),
			c.charged.cpu.over(bare.headers.cpu).format("%.2f"), c.charged.cpu.over(few.charged.cpu).format("%.2f"),
			heap, memory, fmt.Sprintf("%.2f %%", 100*(c.hits[1]-c.hits[0])/(c.lookups[1]-c.lookups[0])))
	}
	return fmt.Sprintf(`Each account has one grant and one plan, and has visited the gateway before. %d connections, all with `+"`%s`"+`, on one
Redis. CPU is the gateway's own, without Redis'. Bytes are those that a gateway has more after the first visits than
before. "Remembered" are the requests of the rounds that needed no reading; each account is read again after five minutes.

%s`, b.connections, stockGC, t)
}
