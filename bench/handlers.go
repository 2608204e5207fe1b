package main

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/dodogate/dodogate/bench/naive"
	"github.com/dodogate/dodogate/bench/rig"
	"github.com/dodogate/dodogate/internal/testing/freeport"
)

// entrant is a taker that has not started.
type entrant struct {
	name, title, job string
	start            func(context.Context, *taker) error
}

// entrants are all takers. The floor of a job is the first of it.
func (b *bench) entrants() []entrant {
	const express = "Express, standardwebhooks and ioredis: two commands, no journal, no ledger"
	all := []entrant{
		{"floor-event-redis", "**floor:** one script", jobEventRedis, b.naiveTaker(naive.Scripts)},
		{"webhook-redis", "dodogate", jobEventRedis, b.gatewayTaker("redis", stockGC, "")},
		{"webhook-own-redis", "dodogate, its own GC settings", jobEventRedis, b.gatewayTaker("redis", "", "")},
		{"webhook-go", "the Express handler in Go: two commands", jobEventRedis, b.naiveTaker(naive.Commands)},
		{"webhook-express", express, jobEventRedis, b.expressTaker},
		{"floor-event-bolt", "**floor:** one group-committed write", jobEventBolt, b.naiveTaker(naive.File)},
		{"webhook-bolt", "dodogate", jobEventBolt, b.gatewayTaker("bolt", stockGC, "")},
		{"webhook-own-bolt", "dodogate, its own GC settings", jobEventBolt, b.gatewayTaker("bolt", "", "")},
	}
	if b.before != "" {
		all = append(all,
			entrant{beforeName("webhook-redis"), "dodogate, before", jobEventRedis, b.gatewayTaker("redis", stockGC, b.before)},
			entrant{beforeName("webhook-bolt"), "dodogate, before", jobEventBolt, b.gatewayTaker("bolt", stockGC, b.before)})
	}
	return all
}

// takers starts those that are wanted.
func (b *bench) takers(ctx context.Context) (takers []*taker, err error) {
	names := make(map[string]map[string]bool) // of each job
	for _, e := range b.entrants() {
		if names[e.job] == nil {
			names[e.job] = make(map[string]bool)
		}
		names[e.job][e.name] = true
	}
	for _, e := range b.entrants() {
		if !b.wants(e.name, jobs[e.job].floor, maps.Keys(names[e.job])) {
			continue
		}
		if e.name == "webhook-express" && !b.hasExpress() {
			continue
		}
		t := &taker{name: e.name, title: e.title, job: e.job}
		if err := e.start(ctx, t); err != nil {
			return nil, fmt.Errorf("%s: %w", e.name, err)
		}
		takers = append(takers, t)
	}
	slices.SortStableFunc(takers, func(x, y *taker) int { return floorFirst(x.job, x.name) - floorFirst(y.job, y.name) })
	return takers, nil
}

func floorFirst(job, name string) int {
	if jobs[job].floor == name {
		return 0
	}
	return 1
}

// gatewayTaker is a gateway on a store. gc are its settings of the garbage collector, "" for
// its own; bin is the binary, "" for the measured one.
func (b *bench) gatewayTaker(store, gc, bin string) func(context.Context, *taker) error {
	return func(ctx context.Context, t *taker) (err error) {
		where := "bolt " + filepath.Join(b.dir, t.name+".db")
		if store == "redis" {
			if t.server, err = b.redis(t.name + "-redis"); err != nil {
				return err
			}
			where = b.storeIn(t.server)
		}
		_, provider, err := b.role(roleQuick, t.name+"-provider")
		if err != nil {
			return err
		}
		spec := rig.CaddySpec{Name: t.name, Bin: bin, Global: unlimitedOptions(where, provider), Site: gatewaySite("", provider)}
		if gc != "" {
			spec.Env = []string{gc}
		}
		if t.caddy, err = b.caddy(spec); err != nil {
			return err
		}
		t.addr, t.path, t.process = t.caddy.Addr, "/payments/webhook", t.caddy.Process
		itself := func(account string) string { return account }
		if _, err := b.once(ctx, t.addr, b.visits(t.addr, "/", itself, fmt.Sprint(signup))); err != nil {
			return err
		}
		const applied = `dodogate_events_total{outcome="applied",type="payment.succeeded"}`
		t.counted = func(context.Context) (int64, error) {
			m, err := t.caddy.Metrics(applied)
			return int64(m[applied]), err
		}
		t.paid, err = b.orders(ctx, t.addr, provider, (b.rounds+1)*b.events)
		return err
	}
}

// naiveTaker is a handler of package naive.
func (b *bench) naiveTaker(how string) func(context.Context, *taker) error {
	return func(_ context.Context, t *taker) (err error) {
		where := filepath.Join(b.dir, t.name+".db")
		if how != naive.File {
			if t.server, err = b.redis(t.name + "-redis"); err != nil {
				return err
			}
			where = t.server.Addr
		}
		t.caddy, err = b.naiveCaddy(t.name, fmt.Sprintf("naive_webhook %s %s %s %d", how, where, webhookSecret, productGives))
		if err != nil {
			return err
		}
		b.countsGranted(t, t.caddy.Addr, t.caddy.Process)
		return nil
	}
}

// countsGranted is for a handler that says itself how many credits it has given.
func (b *bench) countsGranted(t *taker, addr string, process *rig.Process) {
	t.addr, t.path, t.process = addr, "/webhook", process
	t.paid = b.withoutGateway((b.rounds + 1) * b.events)
	t.counted = func(context.Context) (int64, error) {
		text, err := rig.Get("http://" + addr + "/granted")
		if err != nil {
			return 0, err
		}
		granted, err := strconv.ParseInt(string(text), 10, 64)
		return granted / productGives, err
	}
}

// hasExpress reports whether the packages are installed: `make bench` does that.
func (b *bench) hasExpress() bool {
	_, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat(filepath.Join(b.express, "node_modules", "express"))
	}
	if b.express == "" || err != nil {
		say("without Express: %v", err)
		return false
	}
	return true
}

func (b *bench) expressTaker(_ context.Context, t *taker) (err error) {
	if t.server, err = b.redis(t.name + "-redis"); err != nil {
		return err
	}
	node, err := exec.LookPath("node")
	if err != nil {
		return err
	}
	port, err := freeport.Find()
	if err != nil {
		return err
	}
	addr := net.JoinHostPort("127.0.0.1", port)
	process, err := rig.Start(rig.Spec{
		Name: t.name, Bin: node, Dir: b.dir, Args: []string{filepath.Join(b.express, "server.js")},
		Env: []string{
			"NODE_ENV=production", "PORT=" + port, "REDIS_URL=redis://" + t.server.Addr,
			"WEBHOOK_SECRET=" + webhookSecret, "CREDITS=" + strconv.Itoa(productGives),
		},
		Ready: rig.Accepts(addr),
	})
	if err != nil {
		return err
	}
	b.keep(process)
	b.countsGranted(t, addr, process)
	return nil
}
