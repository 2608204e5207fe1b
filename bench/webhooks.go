package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/dodogate/dodogate/bench/load"
	"github.com/dodogate/dodogate/bench/rig"
)

// taker takes webhooks.
type taker struct {
	name, title string
	job         string
	addr        string
	path        string
	process     *rig.Process
	caddy       *rig.Caddy // nil when it is none
	server      *rig.Redis
	paid        []order // what is paid in all rounds
	// counted is how many payments it has given credits for.
	counted func(context.Context) (int64, error)

	seen taken
}

// taken is what the events have cost.
type taken struct {
	cpu, redis, both, rate, roundTrips series // microseconds an event; events a second; an event

	calls  map[string]int64 // of each command of Redis
	events int64            // in the same time
}

// The jobs of the webhooks part.
const (
	jobEventRedis = "event-redis"
	jobEventBolt  = "event-bolt"
)

func webhookJobs() []string { return []string{jobEventRedis, jobEventBolt} }

const verifies = "a handler of Caddy that verifies the signature, reads the type and the account, and "

// webhooks measures what an event costs, from its signature to its credits.
func (b *bench) webhooks(ctx context.Context) (string, error) {
	takers, err := b.takers(ctx)
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
			first := round * b.events
			deliveries, err := signer.deliveries(t.addr, t.path, t.paid[first:][:b.events], first)
			if err != nil {
				return "", err
			}
			profiles := func() error { return nil }
			if b.profiles != "" && round == 1 && t.caddy != nil {
				profiles = b.takeProfiles(t.caddy)
			}
			if err := errors.Join(t.take(ctx, b, deliveries), profiles()); err != nil {
				return "", fmt.Errorf("%s: %w", t.name, err)
			}
			if round == 0 { // the warm-up, which Node needs
				t.seen = taken{}
			}
		}
	}
	for _, t := range takers {
		switch n, err := t.counted(ctx); {
		case err != nil:
			return "", fmt.Errorf("%s: %w", t.name, err)
		case n != int64(len(t.paid)):
			return "", fmt.Errorf("%s counted %d payments instead of %d", t.name, n, len(t.paid))
		}
	}
	b.webhookGoals(takers)
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
	cpu, redis := micros(after.cpu-before.cpu)/n, micros(after.redis-before.redis)/n
	s.cpu = append(s.cpu, cpu)
	s.redis = append(s.redis, redis)
	s.both = append(s.both, cpu+redis)
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

func (b *bench) webhookGoals(takers []*taker) {
	seen := make(map[string]series)
	for _, t := range takers {
		seen[t.name] = t.seen.both
	}
	for _, store := range []string{"redis", "bolt"} {
		name := "webhook-" + store
		b.goalAtMost(1, "%.2f", "webhooks, "+storeTitle(store)+": CPU with Redis', × before", seen[name].over(seen[beforeName(name)]))
	}
}

func (b *bench) webhookReport(takers []*taker) string {
	var text strings.Builder
	fmt.Fprintf(&text, `%d signed `+"`payment.succeeded`"+` in each round, each of its own order and payment, over %d connections.
`, b.events, b.connections)
	for _, name := range webhookJobs() {
		var members []*taker
		for _, t := range takers {
			if t.job == name {
				members = append(members, t)
			}
		}
		if len(members) > 0 {
			text.WriteString(takersReport(jobs[name], members))
		}
	}
	return text.String()
}

// takersReport is the table of one job, of which the floor comes first.
func takersReport(j job, members []*taker) string {
	floor := &members[0].seen
	withRedis := members[0].server != nil
	head := []string{"handler", "CPU per event, µs", "× floor", "events a second", "× floor"}
	if withRedis {
		head = append(head, "Redis' CPU per event, µs", "× floor", "both, × floor", "round trips")
	}
	t := newTable(head...)
	var notes strings.Builder
	for _, m := range members {
		s := &m.seen
		row := []string{m.title, s.cpu.format("%.0f"), s.cpu.over(floor.cpu).format("%.2f"), s.rate.format("%.0f"), s.rate.over(floor.rate).format("%.2f")}
		if withRedis {
			row = append(row, s.redis.format("%.0f"), s.redis.over(floor.redis).format("%.2f"), s.both.over(floor.both).format("%.2f"), s.roundTrips.format("%.2f"))
			fmt.Fprintf(&notes, "- %s: %s\n", strings.TrimPrefix(m.title, "**floor:** "), calls(s.calls, s.events))
		}
		t.add(row...)
	}
	commands := ""
	if notes.Len() > 0 {
		commands = "\nCommands in Redis per event, those inside scripts too:\n\n" + notes.String()
	}
	return fmt.Sprintf("\n### %s\n\nFloor: %s.\n\n%s%s", j.title, j.does, t, commands)
}
