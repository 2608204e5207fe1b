// Command bench measures dodogate beside the floor of each job: the least that does the
// same job. It also measures what people run without dodogate. All contestants run on this
// machine, interleaved in one run, and the results are ratios, because microseconds differ
// from machine to machine and from hour to hour.
//
//	make bench                      everything, into bench/RESULTS.md; half an hour
//	make bench ROUNDS=30 BURST=500ms
//	make bench ONLY=proxy,webhooks  some parts, to the terminal
//	make bench ONLY=proxy CONTESTANTS=headers-redis
//	make bench BEFORE=/tmp/dodogate an older binary beside this one, in the same run
//	make bench-smoke                checks in seconds that the benchmarks work
//
// docs/performance.md says what is measured and how.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	// Caddy with its standard modules, and the handlers to compare with.
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/dodogate/dodogate/bench/naive"
)

func main() {
	if role := os.Getenv(roleVariable); role != "" {
		play(role)
		return
	}
	if err := run(); err != nil {
		say("%v", err)
		os.Exit(1)
	}
}

func run() error {
	var o options
	var only, out string
	flag.StringVar(&o.dodogate, "dodogate", "bin/dodogate", "the `binary` to measure, of cmd/dodogate")
	flag.StringVar(&o.before, "before", "", "an older `binary`: in proxy, webhooks and checkouts each gateway takes part with both, in the same run")
	flag.StringVar(&o.express, "express", "bench/express", "the `folder` of the Express handler, with its packages installed")
	flag.StringVar(&o.profiles, "profiles", "", "a `folder` for a CPU profile of each gateway under load")
	flag.StringVar(&o.command, "command", "go run ./bench", "what the results say that they were made by")
	flag.StringVar(&o.note, "note", "", "a `sentence` for the head of the results")
	flag.StringVar(&only, "only", "", "run these `parts` only, of "+strings.Join(partNames(), ","))
	flag.StringVar(&o.only, "contestants", "", "let only these `contestants` and their floors take part in proxy, webhooks, checkouts and streams")
	flag.StringVar(&out, "out", "", "write the results to this `file`, where they replace those of the same parts")
	flag.IntVar(&o.rounds, "rounds", 7, "rounds; each result is their median")
	flag.DurationVar(&o.burst, "burst", time.Second, "how long a contestant runs at a time")
	flag.IntVar(&o.connections, "connections", 64, "connections to each contestant")
	flag.IntVar(&o.listeners, "listeners", 5000, "clients that listen at the same time")
	flag.IntVar(&o.accounts, "accounts", 10_000, "accounts")
	flag.StringVar(&o.remembered, "remembered", "1000,100000,1000000", "in accounts: `numbers` of accounts that gateways remember")
	flag.Float64Var(&o.rate, "rate", 1000, "the low constant rate, requests a second")
	flag.IntVar(&o.events, "events", 2000, "webhooks in a burst")
	flag.IntVar(&o.customers, "customers", 1000, "customers who check out at once")
	flag.IntVar(&o.purchases, "purchases", 3000, "purchases of the account that has many")
	flag.IntVar(&o.changes, "changes", 3000, "changes whose way to another gateway is timed")
	flag.Int64Var(&o.download, "download", 1<<30, "size of the download, in bytes")
	flag.DurationVar(&o.patience, "patience", 5*time.Second, "timeout of the gateways' Redis, but for checkouts")
	flag.Uint64Var(&o.seed, "seed", 1, "seed of every draw")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("no arguments are known, only options: %q", flag.Args())
	}
	chosen, err := choose(only)
	if err != nil {
		return err
	}
	debug.SetGCPercent(800) // of the load generator, so that it is not in the way

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	sections, err := measure(ctx, o, chosen)
	if err != nil {
		return err
	}
	if out == "" {
		_, err = os.Stdout.WriteString(report("", sections))
		return err
	}
	before, err := os.ReadFile(out)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.WriteFile(out, []byte(report(string(before), sections)), 0o644) //nolint:gosec // it is to be read by all
}

// say tells whoever waits. Caddy has taken package log for itself.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) }

// measure runs the chosen parts in a folder that is gone afterwards, and returns the section
// of each by its title.
func measure(ctx context.Context, o options, chosen []part) (sections map[string]string, err error) {
	dir, err := os.MkdirTemp("", "dodogate-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b, err := newBench(o, dir)
	if err != nil {
		return nil, err
	}
	sections = make(map[string]string)
	for _, p := range chosen {
		say("%s …", p.name)
		began := time.Now()
		if sections[p.title], err = b.section(ctx, p); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		say("%s took %v", p.name, time.Since(began).Round(time.Second))
	}
	return sections, nil
}

// part is a benchmark of its own, with contestants of its own.
type part struct {
	name, title string
	run         func(*bench, context.Context) (markdown string, err error)
}

func parts() []part {
	return []part{
		{"proxy", "A request through the gateway", (*bench).proxy},
		{"accounts", "By number of accounts", (*bench).byAccounts},
		{"stores", "The stores alone", (*bench).stores},
		{"rich", "An account of many purchases", (*bench).rich},
		{"sizes", "What the stores keep", (*bench).whatIsKept},
		{"webhooks", "Webhooks", (*bench).webhooks},
		{"propagation", "From one gateway to another", (*bench).propagation},
		{"checkouts", "Checkouts", (*bench).checkouts},
		{"streams", "Long answers", (*bench).streams},
		{"listeners", "Clients that listen", (*bench).idleListeners},
	}
}

func partNames() (names []string) {
	for _, p := range parts() {
		names = append(names, p.name)
	}
	return names
}

func choose(only string) (chosen []part, err error) {
	if only == "" {
		return parts(), nil
	}
	for name := range strings.SplitSeq(only, ",") {
		found := false
		for _, p := range parts() {
			if p.name == name {
				chosen, found = append(chosen, p), true
			}
		}
		if !found {
			return nil, fmt.Errorf("no part is called %q, but %s", name, strings.Join(partNames(), ", "))
		}
	}
	return chosen, nil
}

// section runs a part in a folder of its own, and ends what it started.
func (b *bench) section(ctx context.Context, p part) (string, error) {
	dir := filepath.Join(b.dir, p.name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	inner := *b
	inner.dir, inner.goals = dir, new([]goal)
	defer inner.close()
	made := b.circumstances()
	text, err := p.run(&inner, ctx)
	if strings.Contains(text, ", before |") {
		made += aboutBefore
	}
	return made + "\n" + text + goalsReport(*inner.goals), err
}
