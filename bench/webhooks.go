package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/dodogate/dodogate/bench/load"
	"github.com/dodogate/dodogate/bench/rig"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/boltstore"
	"github.com/dodogate/dodogate/internal/store/redisstore"
)

// taker takes webhooks.
type taker struct {
	title   string
	addr    string
	path    string
	process *rig.Process
	caddy   *rig.Caddy // nil when it is none
	server  *rig.Redis
	// counted is how many payments it has given credits for.
	counted func(context.Context) (int64, error)

	seen taken
}

// taken is what the events have cost.
type taken struct {
	cpu, cpuWithRedis, rate, roundTrips series // microseconds an event; events a second; an event

	calls  map[string]int64 // of each command of Redis
	events int64            // in the same time
}

// webhooks measures what an event costs, from its signature to its credits.
func (b *bench) webhooks(ctx context.Context) (string, error) {
	all := b.purchases("webhook", (b.rounds+1)*b.events)
	takers, err := b.takers(ctx, all)
	if err != nil {
		return "", err
	}
	signer, err := newSigner()
	if err != nil {
		return "", err
	}
	for round := range b.rounds + 1 {
		for _, i := range b.draw.Perm(len(takers)) {
			t := takers[i]
			deliveries, err := signer.deliveries(t.addr, t.path, all[round*b.events:][:b.events])
			if err != nil {
				return "", err
			}
			profiles := func() error { return nil }
			if b.profiles != "" && round == 1 && t.caddy != nil {
				profiles = b.takeProfiles(t.caddy)
			}
			if err := errors.Join(t.take(ctx, b, deliveries), profiles()); err != nil {
				return "", fmt.Errorf("%s: %w", t.title, err)
			}
			if round == 0 { // the warm-up, which Node needs
				t.seen = taken{}
			}
		}
	}
	for _, t := range takers {
		switch n, err := t.counted(ctx); {
		case err != nil:
			return "", fmt.Errorf("%s: %w", t.title, err)
		case n != int64(len(all)):
			return "", fmt.Errorf("%s counted %d payments instead of %d", t.title, n, len(all))
		}
	}
	return b.webhookReport(takers), nil
}

// take delivers events, each of them once.
func (t *taker) take(ctx context.Context, b *bench, deliveries []load.Exchange) error {
	r := running{process: t.process, server: t.server}
	before, err := r.before(ctx)
	if err != nil {
		return err
	}
	result, err := b.once(ctx, t.addr, deliveries)
	if err != nil {
		return err
	}
	after, err := r.after(ctx)
	if err != nil {
		return err
	}
	t.seen.add(result, before, after)
	return nil
}

func (s *taken) add(result load.Result, before, after look) {
	n := float64(result.Done)
	cpu, redis := after.cpu-before.cpu, after.redis-before.redis
	s.cpu = append(s.cpu, micros(cpu)/n)
	s.cpuWithRedis = append(s.cpuWithRedis, micros(cpu+redis)/n)
	s.rate = append(s.rate, result.Rate())
	traffic := after.traffic.Since(before.traffic)
	s.roundTrips = append(s.roundTrips, float64(traffic.Reads)/n)
	if s.calls == nil {
		s.calls = make(map[string]int64)
	}
	for command, calls := range traffic.Calls {
		s.calls[command] += calls
	}
	s.events += result.Done
}

func (b *bench) takers(ctx context.Context, all []purchase) (takers []*taker, err error) {
	for _, c := range []struct {
		name string
		with func(context.Context, []purchase) (*taker, error)
	}{
		{"webhook-redis", b.redisTaker(stockGC)}, {"webhook-own-redis", b.redisTaker("")},
		{"webhook-bolt", b.boltTaker(stockGC)}, {"webhook-own-bolt", b.boltTaker("")},
		{bareName, b.floorTaker}, {"webhook-go", b.goTaker}, {"webhook-express", b.expressTaker},
	} {
		if !b.takesPart(c.name) {
			continue
		}
		t, err := c.with(ctx, all)
		if err != nil {
			return nil, err
		}
		if t != nil {
			takers = append(takers, t)
		}
	}
	return takers, nil
}

// redisTaker is a gateway on Redis; gc are its settings of the garbage collector, "" for
// its own.
func (b *bench) redisTaker(gc string) func(context.Context, []purchase) (*taker, error) {
	return func(ctx context.Context, all []purchase) (*taker, error) {
		server, err := b.redis("redis" + gc)
		if err != nil {
			return nil, err
		}
		s, err := redisstore.Open(ctx, redisstore.Options{URL: "redis://" + server.Addr, Timeout: 10 * time.Second})
		if err != nil {
			return nil, err
		}
		return b.gatewayTaker(ctx, "dodogate, Redis", gc, b.storeIn(server), server, store.Client{Store: s}, s.Close, all)
	}
}

func (b *bench) boltTaker(gc string) func(context.Context, []purchase) (*taker, error) {
	return func(ctx context.Context, all []purchase) (*taker, error) {
		file := filepath.Join(b.dir, "dodogate"+gc+".db")
		s, err := boltstore.Open(file, boltstore.Options{})
		if err != nil {
			return nil, err
		}
		return b.gatewayTaker(ctx, "dodogate, embedded", gc, "bolt "+file, nil, store.Client{Store: s}, s.Close, all)
	}
}

// gatewayTaker places the orders in the store, closes it, and starts a gateway
// on it that every account visits once.
func (b *bench) gatewayTaker(ctx context.Context, title, gc, storeLine string, server *rig.Redis, s store.Client, done func() error, all []purchase) (*taker, error) {
	err := place(ctx, s, all)
	if closed := done(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, err
	}
	name, env := "gateway-"+strings.Fields(storeLine)[0]+gc, []string{gc}
	if gc == "" {
		title, env = title+", its own GC settings", nil
	}
	_, upstream, err := b.role(roleUpstream, name+"-upstream")
	if err != nil {
		return nil, err
	}
	gateway, err := b.caddy(rig.CaddySpec{
		Name: name, Env: env,
		Global: gatewayOptions(storeLine, upstream), Site: gatewaySite("", upstream),
	})
	if err != nil {
		return nil, err
	}
	itself := func(account string) string { return account }
	if _, err := b.once(ctx, gateway.Addr, b.visits(gateway.Addr, "/", itself, fmt.Sprint(signup))); err != nil {
		return nil, err
	}
	return &taker{
		title: title, addr: gateway.Addr, path: "/payments/webhook", process: gateway.Process, caddy: gateway, server: server,
		counted: func(context.Context) (int64, error) {
			const applied = `dodogate_events_total{outcome="applied",type="payment.succeeded"}`
			m, err := gateway.Metrics(applied)
			return int64(m[applied]), err
		},
	}, nil
}

func (b *bench) webhookReport(takers []*taker) string {
	last := takers[len(takers)-1]
	var express taken // nothing to compare with where it is missing
	if last.title == expressTitle {
		express = last.seen
	}
	t := newTable("handler", "CPU per event, µs", "with Redis' own", "events per CPU second", "× Express", "with Redis' own", "events a second", "Redis round trips")
	var notes strings.Builder
	for _, k := range takers {
		s := k.seen
		trips := "–"
		if k.server != nil {
			trips = fmt.Sprintf("%.2f", s.roundTrips.median())
			fmt.Fprintf(&notes, "- %s: %s\n", k.title, calls(s.calls, s.events))
		}
		t.add(k.title, s.cpu.format("%.0f"), s.cpuWithRedis.format("%.0f"), fmt.Sprintf("%.0f", 1e6/s.cpu.median()),
			express.cpu.over(s.cpu).format("%.2f"), express.cpuWithRedis.over(s.cpuWithRedis).format("%.2f"), s.rate.format("%.0f"), trips)
	}
	ceiling := ""
	if first := takers[0]; first.server != nil {
		cpu := first.seen.cpuWithRedis.minus(first.seen.cpu).median()
		ceiling = fmt.Sprintf(" Redis itself needs\n%.0f µs for an event of dodogate: one server can take at most %.0f events a second.", cpu, 1e6/cpu)
	}
	return fmt.Sprintf(`## Webhooks

%d signed `+"`payment.succeeded`"+` in each round, each of its own order and payment, over %d connections.%s

%s
Commands in Redis per event, those inside of scripts too:

%s`, b.events, b.connections, ceiling, t, &notes)
}
