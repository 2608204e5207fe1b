package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dodogate/dodogate/bench/naive"
	"github.com/dodogate/dodogate/bench/rig"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/boltstore"
	"github.com/dodogate/dodogate/internal/store/redisstore"
)

// callers is how many goroutines ask a store at once.
const callers = 64

// contender is a store, and what it did in a second.
type contender struct {
	title        string
	commit, pair func(n int64) error
	server       *rig.Redis // nil when it has none

	commits, pairs stored
}

// stored is what a store did, and what that took of Redis.
type stored struct {
	rate, cpu, trips series // a second; microseconds of Redis' own and round trips for each
}

// stores measures the stores without anything around them.
func (b *bench) stores(ctx context.Context) (string, error) {
	groups, done, err := b.contenders(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	var all []*contender
	for _, g := range groups {
		all = append(all, g.contenders...)
	}
	for range b.rounds {
		for _, i := range b.draw.Perm(len(all)) {
			c := all[i]
			err := b.hammer(ctx, c.server, c.pair, &c.pairs)
			if c.commit != nil {
				err = errors.Join(err, b.hammer(ctx, c.server, c.commit, &c.commits))
			}
			if err != nil {
				return "", fmt.Errorf("%s: %w", c.title, err)
			}
		}
	}
	var text strings.Builder
	fmt.Fprintf(&text, `Durable changes of %d accounts by %d callers at once. A pair is a hold and its capture.
`, b.accounts, callers)
	for _, g := range groups {
		text.WriteString(g.report())
	}
	return text.String(), nil
}

// group is one kind of store beside its floor, which comes first.
type group struct {
	title, floor string
	contenders   []*contender
}

func (g group) report() string {
	floor := g.contenders[0]
	withRedis := floor.server != nil
	head := []string{"store", "pairs a second", "× floor", "payments a second", "× floor"}
	if withRedis {
		head = append(head, "Redis' CPU per pair, µs", "× floor", "per payment, µs", "× floor", "round trips per pair", "per payment")
	}
	t := newTable(head...)
	for _, c := range g.contenders {
		row := []string{c.title, c.pairs.rate.format("%.0f"), c.pairs.rate.over(floor.pairs.rate).format("%.2f"),
			c.commits.rate.format("%.0f"), c.commits.rate.over(floor.commits.rate).format("%.2f")}
		if withRedis {
			row = append(row, c.pairs.cpu.format("%.1f"), c.pairs.cpu.over(floor.pairs.cpu).format("%.2f"),
				c.commits.cpu.format("%.1f"), c.commits.cpu.over(floor.commits.cpu).format("%.2f"),
				c.pairs.trips.format("%.2f"), c.commits.trips.format("%.2f"))
		}
		t.add(row...)
	}
	return fmt.Sprintf("\n### %s\n\nFloor: %s.\n\n%s", g.title, g.floor, t)
}

// contenders opens the stores. The function that it returns closes them.
func (b *bench) contenders(ctx context.Context) (groups []group, done func(), err error) {
	var opened []io.Closer
	done = func() {
		for _, c := range opened {
			_ = c.Close()
		}
	}
	defer func() {
		if err != nil {
			done()
		}
	}()
	keep := func(c io.Closer) { opened = append(opened, c) }
	embedded, err := b.embeddedContenders(ctx, keep)
	if err != nil {
		return nil, nil, err
	}
	inRedis, err := b.redisContenders(ctx, keep)
	if err != nil {
		return nil, nil, err
	}
	return append(embedded, inRedis...), done, nil
}

func (b *bench) embeddedContenders(ctx context.Context, keep func(io.Closer)) ([]group, error) {
	ours, err := boltstore.Open(filepath.Join(b.dir, "dodogate.db"), boltstore.Options{})
	if err != nil {
		return nil, err
	}
	keep(ours)
	floor, err := naive.OpenJournal(filepath.Join(b.dir, "floor.db"))
	if err != nil {
		return nil, err
	}
	keep(floor)
	plain, err := openPlain(filepath.Join(b.dir, "plain.db"))
	if err != nil {
		return nil, err
	}
	keep(plain)
	return []group{{
		title: "Embedded",
		floor: "a bbolt file. Changes that wait share a transaction and its fsync. A pair writes the new balance and an entry, a payment also its state and its grant; nothing is checked",
		contenders: []*contender{
			writesOf("**floor:** group commit", floor.Do, b.accounts),
			b.contender(ctx, "dodogate", store.Client{Store: ours}, nil),
			writesOf("a transaction for each change, as in bbolt's introduction", plain.do, b.accounts),
		},
	}}, b.fill(ctx, store.Client{Store: ours})
}

func (b *bench) redisContenders(ctx context.Context, keep func(io.Closer)) ([]group, error) {
	server, err := b.redis("redis")
	if err != nil {
		return nil, err
	}
	if err := b.seed(ctx, server.Client); err != nil {
		return nil, err
	}
	alone, err := naive.NewHolder(ctx, naive.Scripts, server.Addr)
	if err != nil {
		return nil, err
	}
	keep(alone)
	batched, err := naive.NewHolder(ctx, naive.Batched, server.Addr)
	if err != nil {
		return nil, err
	}
	keep(batched)
	whole, err := naive.NewHolder(ctx, naive.Whole, server.Addr)
	if err != nil {
		return nil, err
	}
	keep(whole)
	var gateways []store.Client
	for range manyGateways {
		s, err := redisstore.Open(ctx, redisstore.Options{URL: "redis://" + server.Addr, Timeout: 10 * time.Second})
		if err != nil {
			return nil, err
		}
		keep(s)
		gateways = append(gateways, store.Client{Store: s})
	}
	const scripts = "two scripts for a pair, one for a payment, each a command of its own. A hold never expires; a pair writes no entry"
	few := "**floor:** scripts, each a command of its own"
	together := "the same scripts; those that wait share a round trip"
	expiring := "they too, but holds expire, captures write entries, and other gateways are notified, as with dodogate"
	many := func(n int64) int { return int(n) % b.accounts }
	one := func(int64) int { return 0 }
	return []group{
		{title: "Redis", floor: scripts, contenders: []*contender{
			{title: few, server: server, pair: pairOf(ctx, alone, many), commit: payScript(ctx, server.Client, b.accounts)},
			{title: together, server: server, pair: pairOf(ctx, batched, many)},
			{title: expiring, server: server, pair: pairOf(ctx, whole, many)},
			b.contender(ctx, "dodogate", gateways[0], server),
		}},
		{title: "Redis, all pairs of one account", floor: scripts, contenders: []*contender{
			{title: few, server: server, pair: pairOf(ctx, alone, one)},
			{title: together, server: server, pair: pairOf(ctx, batched, one)},
			{title: expiring, server: server, pair: pairOf(ctx, whole, one)},
			ofOne(ctx, "dodogate, one gateway", server, gateways[:1]),
			ofOne(ctx, fmt.Sprintf("dodogate, %d gateways, which are stores of one process", manyGateways), server, gateways),
		}},
	}, b.fill(ctx, gateways[0])
}

// manyGateways is how many charge one account.
const manyGateways = 10

// ofOne charges one account by several gateways, which take turns.
func ofOne(ctx context.Context, title string, server *rig.Redis, gateways []store.Client) *contender {
	return &contender{title: title, server: server, pair: func(n int64) error {
		return charge(ctx, gateways[int(n)%len(gateways)], account(0), fmt.Sprintf("one_%08d", n))
	}}
}

func (b *bench) contender(ctx context.Context, title string, s store.Client, server *rig.Redis) *contender {
	return &contender{
		title: title, server: server,
		commit: func(n int64) error {
			return pay(ctx, s, account(int(n)%b.accounts), fmt.Sprintf("pay_%08d", n), productGives)
		},
		pair: func(n int64) error {
			i := int(n) % b.accounts
			return charge(ctx, s, account(i), fmt.Sprintf("req_%08d", n))
		},
	}
}

// fill gives every account credits to spend.
func (b *bench) fill(ctx context.Context, s store.Client) error {
	return all(b.accounts, func(n int) error { return pay(ctx, s, account(n), "signup", signup) })
}

// numbers are given to changes, each once.
var numbers atomic.Int64

// hammer has all callers do something again and again for one burst, each time
// with another number, and appends what that took.
func (b *bench) hammer(ctx context.Context, server *rig.Redis, do func(n int64) error, seen *stored) error {
	r := running{server: server}
	before, err := r.before(ctx)
	if err != nil {
		return err
	}
	var done atomic.Int64
	start := time.Now()
	err = all(callers, func(int) error {
		for time.Since(start) < b.burst {
			if err := do(numbers.Add(1)); err != nil {
				return err
			}
			done.Add(1)
		}
		return nil
	})
	if err != nil {
		return err
	}
	n := float64(done.Load())
	seen.rate = append(seen.rate, n/time.Since(start).Seconds())
	if server == nil {
		return nil
	}
	after, err := r.after(ctx)
	seen.cpu = append(seen.cpu, micros(after.redis-before.redis)/n)
	seen.trips = append(seen.trips, float64(after.traffic.Since(before.traffic).Reads)/n)
	return err
}

// all does something for each number below n, by as many callers as there are.
func all(n int, do func(i int) error) error {
	var (
		crew   sync.WaitGroup
		failed = make([]error, callers)
		next   atomic.Int64
	)
	for i := range callers {
		crew.Go(func() {
			for {
				at := int(next.Add(1)) - 1
				if at >= n {
					return
				}
				if failed[i] = do(at); failed[i] != nil {
					return
				}
			}
		})
	}
	crew.Wait()
	return errors.Join(failed...)
}

// pay writes a payment that gives credits, as a webhook does.
func pay(ctx context.Context, s store.Client, account, payment string, credits int64) error {
	grant := ledger.Target{ID: payment, Amount: credits, CreatedAt: time.Now()}
	_, err := s.Commit(ctx, book.Commit{
		Account: account,
		Object:  entitlement.Ref{Kind: entitlement.KindPayment, ID: payment},
		State:   paymentState,
		Effect:  entitlement.Effect{Grants: []ledger.Target{grant}},
		Cause:   "evt_" + payment,
	})
	return err
}

// charge takes a credit for a request that went well, as dodo_charge does.
func charge(ctx context.Context, s store.Client, account, id string) error {
	held, err := s.Hold(ctx, book.Hold{Account: account, ID: id, Amount: 1, TTL: time.Minute})
	if err != nil || held.Outcome != book.HoldPlaced {
		return fmt.Errorf("hold is %q: %w", held.Outcome, errors.Join(err))
	}
	ended, err := s.End(ctx, book.End{Account: account, ID: id, Captured: 1, Placed: held.Placed})
	if err != nil || !ended.Found || ended.Captured != 1 {
		return fmt.Errorf("hold %s ended as %+v: %w", id, ended, errors.Join(err))
	}
	return nil
}

// paymentState is about as long as a merged payment is.
var paymentState = []byte(`{"kind":"payment","status":"succeeded","created_at":"2026-01-02T03:04:05Z","total":500,"refunds":{},"disputes":{},"cart":[{"product":"pdt_bench_pack10","quantity":1,"credits":10}]}`)
