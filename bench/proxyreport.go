package main

import (
	"fmt"
	"slices"
	"strings"
)

// proxyGoals records the goals of the proxy part.
func (b *bench) proxyGoals(seen map[string]*measures) {
	of := func(name string) *measures {
		if m := seen[name]; m != nil {
			return m
		}
		return &measures{}
	}
	charge := of("charge-redis")
	b.goalAtMost(1.15, "%.2f", "hold and capture, Redis: Redis' own CPU, × floor", charge.redis.over(of("floor-redis").redis))
	b.goalAtMost(180, "%.0f", fmt.Sprintf("hold and capture, Redis: p50 at %.0f/s, µs more than bare Caddy", b.rate), charge.lowP50.minus(of(bareName).lowP50))

	for _, store := range []string{"redis", "bolt"} {
		name := "headers-" + store
		b.goalAtMost(1, "%.2f", "headers only, "+storeTitle(store)+": CPU, × before", of(name).cpu.over(of(beforeName(name)).cpu))
	}
	before := of(beforeName("charge-redis"))
	b.goalAtMost(1.05, "%.2f", "hold and capture, Redis: Redis' own CPU, × before", charge.redis.over(before.redis))
	b.goalAtMost(1, "%.2f", fmt.Sprintf("hold and capture, Redis: p50 at %.0f/s, × before", b.rate), charge.lowP50.over(before.lowP50))
	one, oneBefore := of("charge-one"), of(beforeName("charge-one"))
	b.goalAtLeast(2, "%.2f", "hold and capture of one account, Redis: requests a second, × before", one.throughput.over(oneBefore.throughput))
	b.goalAtMost(0.5, "%.2f", "hold and capture of one account, Redis: Redis' own CPU, × before", one.redis.over(oneBefore.redis))
	b.goalAtLeast(1, "%.2f", "hold and capture, embedded: requests a second, × before",
		of("charge-bolt").throughput.over(of(beforeName("charge-bolt")).throughput))
}

func storeTitle(store string) string {
	if store == "bolt" {
		return "embedded"
	}
	return "Redis"
}

func (b *bench) proxyReport(field []*running, seen map[string]*measures, half map[string]float64) string {
	var text strings.Builder
	fmt.Fprintf(&text, `%d accounts, %d connections, answers of %d bytes. CPU and requests a second are of a contestant that gets as many requests as
it can answer; times are at constant rates. Redis' CPU is not part of "CPU". Bare Caddy answers %s requests a second`,
		b.accounts, b.connections, answerLength, seen[bareName].throughput.format("%.0f"))
	if direct := seen["direct"]; direct != nil {
		fmt.Fprintf(&text, ", the\nupstream alone %s", direct.throughput.format("%.0f"))
	}
	text.WriteString(".\n")
	for _, name := range proxyJobs() {
		members := slices.DeleteFunc(slices.Clone(field), func(r *running) bool { return r.job != name })
		if len(members) > 0 && seen[jobs[name].floor] != nil {
			text.WriteString(b.jobReport(jobs[name], members, seen, half[name]))
		}
	}
	return text.String()
}

// jobReport are the tables of one job. Its floor is the first row.
func (b *bench) jobReport(j job, members []*running, seen map[string]*measures, half float64) string {
	floor, bare := seen[j.floor], seen[bareName]
	slices.SortStableFunc(members, func(x, y *running) int {
		switch j.floor {
		case x.name:
			return -1
		case y.name:
			return 1
		}
		return 0
	})
	withRedis := slices.ContainsFunc(members, func(r *running) bool { return r.server != nil })
	head := []string{"contestant", "CPU per request, µs", "× floor", "requests a second, × floor", "allocations more than the floor"}
	if withRedis {
		head = append(head, "Redis' CPU per request, µs", "× floor", "both, × floor", "round trips")
	}
	costs := newTable(head...)
	times := newTable("contestant", fmt.Sprintf("p50 at %.0f/s, µs", b.rate), "more than bare Caddy, µs", fmt.Sprintf("p99 at %.0f/s, µs", b.rate),
		fmt.Sprintf("p50 at %.0f/s, µs", half), fmt.Sprintf("p99 at %.0f/s, µs", half), "× floor")
	var notes strings.Builder
	for _, r := range members {
		m := seen[r.name]
		row := []string{r.title, m.cpu.format("%.1f"), m.cpu.over(floor.cpu).format("%.2f"),
			m.throughput.over(floor.throughput).format("%.2f"), m.allocations.minus(floor.allocations).format("%.0f")}
		switch {
		case r.server != nil:
			row = append(row, m.redis.format("%.1f"), onRedis(floor.redis, m.redis.over(floor.redis)), m.both.over(floor.both).format("%.2f"), m.roundTrips.format("%.2f"))
			fmt.Fprintf(&notes, "- %s: %s\n", strings.TrimPrefix(r.title, "**floor:** "), calls(m.calls, m.requests))
		case withRedis:
			row = append(row, "–", "–", m.both.over(floor.both).format("%.2f"), "–")
		}
		costs.add(row...)
		times.add(r.title, m.lowP50.format("%.0f"), m.lowP50.minus(bare.lowP50).format("%.0f"), m.lowP99.format("%.0f"),
			m.halfP50.format("%.0f"), m.halfP99.format("%.0f"), m.halfP99.over(floor.halfP99).format("%.2f"))
		if m.unsent > 0 {
			fmt.Fprintf(&notes, "- %s did not keep up: %d requests of the constant rates were never sent\n", r.title, m.unsent)
		}
	}
	commands := ""
	if notes.Len() > 0 {
		commands = "\nCommands in Redis per request, those inside scripts too:\n\n" + notes.String()
	}
	return fmt.Sprintf("\n### %s\n\nFloor: %s.\n\n%s\nThe second rate is half of what the floor can do.\n\n%s%s", j.title, j.does, costs, times, commands)
}

// onRedis is a ratio to the floor's use of Redis, if the floor uses it.
func onRedis(floor, ratio series) string {
	if floor.median() == 0 {
		return "–"
	}
	return ratio.format("%.2f")
}

// calls writes what Redis counted, per request, without what is rare.
func calls(calls map[string]int64, requests int64) string {
	var parts []string
	for command, n := range calls {
		if share := float64(n) / float64(requests); share >= 0.005 {
			parts = append(parts, fmt.Sprintf("%s %.2f", command, share))
		}
	}
	slices.Sort(parts)
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}
