package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/dodogate/dodogate/bench/load"
	"github.com/dodogate/dodogate/bench/rig"
)

// measures are what a contestant has shown, one value for each round.
type measures struct {
	cpu, redis, both series // microseconds a request, saturated: its own, Redis', the sum
	throughput       series // requests a second, saturated
	allocations      series // a request
	roundTrips       series // to Redis, a request
	halfP50, halfP99 series // microseconds, at half of bare Caddy's throughput
	lowP50, lowP99   series // microseconds, at the low rate
	unsent           int64
	calls            map[string]int64 // by Redis' own count, over all rounds
	requests         int64            // in the same time
}

// proxy measures what a request costs on its way through each contestant.
func (b *bench) proxy(ctx context.Context) (string, error) {
	field, err := b.field(ctx, func(contestant) bool { return true })
	if err != nil {
		return "", err
	}
	half, err := b.halfOfFloors(ctx, field)
	if err != nil {
		return "", err
	}
	seen := make(map[string]*measures)
	for _, r := range field {
		seen[r.name] = &measures{calls: make(map[string]int64)}
	}
	for range b.rounds {
		for _, phase := range []func(*running, *measures) error{
			func(r *running, m *measures) error { return b.saturated(ctx, r, m) },
			func(r *running, m *measures) (err error) {
				if r.direct {
					return nil
				}
				m.halfP50, m.halfP99, err = b.paced(ctx, r, m, half[r.job], m.halfP50, m.halfP99)
				return err
			},
			func(r *running, m *measures) (err error) {
				if r.direct {
					return nil
				}
				m.lowP50, m.lowP99, err = b.paced(ctx, r, m, b.rate, m.lowP50, m.lowP99)
				return err
			},
		} {
			for _, i := range b.draw.Perm(len(field)) {
				if err := phase(field[i], seen[field[i].name]); err != nil {
					return "", fmt.Errorf("%s: %w", field[i].name, err)
				}
			}
		}
	}
	if err := b.profile(ctx, field); err != nil {
		return "", err
	}
	b.proxyGoals(seen)
	return b.proxyReport(field, seen, half), nil
}

// field starts the contestants that are wanted and that the binary is able to be.
func (b *bench) field(ctx context.Context, wanted func(contestant) bool) (field []*running, err error) {
	upstream, upstreamAddr, err := b.role(roleUpstream, roleUpstream)
	if err != nil {
		return nil, err
	}
	dodo, err := b.simulator()
	if err != nil {
		return nil, err
	}
	for _, c := range b.contestants() {
		if !wanted(c) || !b.takesPart(c) {
			continue
		}
		if c.needs != "" && !b.modules[c.needs] {
			say("without %s: the binary has no %s", c.name, c.needs)
			continue
		}
		r, err := b.start(ctx, c, upstream, upstreamAddr, dodo.Addr)
		if err != nil {
			return nil, err
		}
		field = append(field, r)
	}
	return field, nil
}

// warmUp is the part of a burst that is run before it and not counted.
const warmUp = 5

// halfOfFloors is half of what the floor of each job can do, in requests a second.
func (b *bench) halfOfFloors(ctx context.Context, field []*running) (map[string]float64, error) {
	half := make(map[string]float64)
	for _, r := range field {
		if r.direct || jobs[r.job].floor != r.name {
			continue
		}
		var rates series
		for range 3 {
			err := b.dial(ctx, r, func(c *load.Client) error {
				result, err := c.Saturate(ctx, load.Random(r.visits, b.draw.Uint64()), b.burst)
				rates = append(rates, result.Rate())
				return err
			})
			if err != nil {
				return nil, fmt.Errorf("%s: %w", r.name, err)
			}
		}
		half[r.job] = rates.median() / 2
	}
	return half, nil
}

// dial opens connections for one burst, so that nobody's are older or warmer
// than another's.
func (b *bench) dial(ctx context.Context, r *running, burst func(*load.Client) error) error {
	client, err := load.Dial(ctx, r.addr, b.connections)
	if err != nil {
		return err
	}
	defer client.Close()
	if _, err := client.Saturate(ctx, load.Random(r.visits, b.draw.Uint64()), b.burst/warmUp); err != nil {
		return err
	}
	return burst(client)
}

// saturated is a burst as fast as the contestant can.
func (b *bench) saturated(ctx context.Context, r *running, m *measures) error {
	return b.dial(ctx, r, func(c *load.Client) error {
		before, err := r.before(ctx)
		if err != nil {
			return err
		}
		result, err := c.Saturate(ctx, load.Random(r.visits, b.draw.Uint64()), b.burst)
		if err != nil {
			return err
		}
		after, err := r.after(ctx)
		if err != nil {
			return err
		}
		m.add(result, before, after)
		return nil
	})
}

func (m *measures) add(result load.Result, before, after look) {
	n := float64(result.Done)
	cpu, redis := micros(after.cpu-before.cpu)/n, micros(after.redis-before.redis)/n
	m.cpu = append(m.cpu, cpu)
	m.redis = append(m.redis, redis)
	m.both = append(m.both, cpu+redis)
	m.throughput = append(m.throughput, result.Rate())
	m.allocations = append(m.allocations, float64(after.allocations-before.allocations-before.reading)/n)
	traffic := after.traffic.Since(before.traffic)
	m.roundTrips = append(m.roundTrips, float64(traffic.Reads)/n)
	for command, calls := range traffic.Calls {
		m.calls[command] += calls
	}
	m.requests += result.Done
}

// paced is a burst at a constant rate.
func (b *bench) paced(ctx context.Context, r *running, m *measures, rate float64, p50, p99 series) (series, series, error) {
	err := b.dial(ctx, r, func(c *load.Client) error {
		result, err := c.Constant(ctx, load.Random(r.visits, b.draw.Uint64()), rate, b.burst)
		p50 = append(p50, micros(result.Quantile(50)))
		p99 = append(p99, micros(result.Quantile(99)))
		m.unsent += result.Unsent
		return err
	})
	return p50, p99, err
}

// profile writes where each gateway spends its time.
func (b *bench) profile(ctx context.Context, field []*running) error {
	if b.profiles == "" {
		return nil
	}
	for _, r := range field {
		if r.caddy == nil {
			continue
		}
		profiles := b.takeProfiles(r.caddy)
		err := b.dial(ctx, r, func(c *load.Client) error {
			_, err := c.Saturate(ctx, load.Random(r.visits, b.draw.Uint64()), profiling+time.Second)
			return err
		})
		if err := errors.Join(err, profiles()); err != nil {
			return err
		}
	}
	return nil
}

const profiling = 5 * time.Second

// takeProfiles begins to write where a gateway spends its time and its memory. The
// function that it returns waits for that.
func (b *bench) takeProfiles(c *rig.Caddy) (wait func() error) {
	kinds := []string{"profile", "allocs"}
	failed := make(chan error, len(kinds))
	for _, kind := range kinds {
		go func() {
			profile, err := c.Profile(kind, profiling)
			if err == nil {
				err = os.WriteFile(filepath.Join(b.profiles, c.Name()+"."+kind+".pprof"), profile, 0o600)
			}
			failed <- err
		}()
	}
	return func() error { return errors.Join(<-failed, <-failed) }
}
