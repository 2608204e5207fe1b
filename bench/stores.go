package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"

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

	commits, pairs       series // a second
	commitCPU, pairCPU   series // microseconds of Redis' own
	commitTrip, pairTrip series // round trips to Redis
}

// stores measures the stores without anything around them.
func (b *bench) stores(ctx context.Context) (string, error) {
	contenders, done, err := b.contenders(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	for range b.rounds {
		for _, i := range b.draw.Perm(len(contenders)) {
			c := contenders[i]
			err := b.hammer(ctx, c.server, c.pair, &c.pairs, &c.pairCPU, &c.pairTrip)
			if c.commit != nil {
				err = errors.Join(err, b.hammer(ctx, c.server, c.commit, &c.commits, &c.commitCPU, &c.commitTrip))
			}
			if err != nil {
				return "", fmt.Errorf("%s: %w", c.title, err)
			}
		}
	}
	t := newTable("store", "commits of a payment, a second", "pairs of hold and capture, a second", "round trips", "Redis' own CPU, µs", "so at most, a second")
	for _, c := range contenders {
		trips, cpu, most, commits := "–", "–", "–", "–"
		switch {
		case c.server != nil && c.commit == nil:
			trips, cpu, most = fmt.Sprintf("%.2f", c.pairTrip.median()), c.pairCPU.format("%.1f"), fmt.Sprintf("%.0f", 1e6/c.pairCPU.median())
		case c.server != nil:
			trips = fmt.Sprintf("%.2f, %.2f", c.commitTrip.median(), c.pairTrip.median())
			cpu = c.commitCPU.format("%.1f") + ", " + c.pairCPU.format("%.1f")
			most = fmt.Sprintf("%.0f, %.0f", 1e6/c.commitCPU.median(), 1e6/c.pairCPU.median())
		}
		if c.commit != nil {
			commits = c.commits.format("%.0f")
		}
		t.add(c.title, commits, c.pairs.format("%.0f"), trips, cpu, most)
	}
	return fmt.Sprintf(`## The stores alone

Durable changes of %d accounts, or of one, by %d callers at once. Of Redis: what a commit takes, and what a pair takes. Ten
gateways are ten stores of one process, between which the callers are divided.

%s`, b.accounts, callers, t), nil
}

func (b *bench) contenders(ctx context.Context) (all []*contender, done func(), err error) {
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
	embedded, err := boltstore.Open(filepath.Join(b.dir, "dodogate.db"), boltstore.Options{})
	if err != nil {
		return nil, nil, err
	}
	opened = append(opened, embedded)
	file := store.Client{Store: embedded}
	plain, err := openPlain(filepath.Join(b.dir, "plain.db"))
	if err != nil {
		return nil, nil, err
	}
	opened = append(opened, plain)
	server, err := b.redis("redis")
	if err != nil {
		return nil, nil, err
	}
	var gateways []store.Client
	for range manyGateways {
		s, err := redisstore.Open(ctx, redisstore.Options{URL: "redis://" + server.Addr, Timeout: 10 * time.Second})
		if err != nil {
			return nil, nil, err
		}
		gateways, opened = append(gateways, store.Client{Store: s}), append(opened, s)
	}
	shared := gateways[0]
	for _, s := range []store.Client{file, shared} {
		if err := b.fill(ctx, s); err != nil {
			return nil, nil, err
		}
	}
	return []*contender{
		b.contender(ctx, "embedded, group commit", file, nil),
		{title: "a plain bbolt `Update` for each commit, and for each pair", commit: plain.commit(b.accounts), pair: plain.pair(b.accounts)},
		b.contender(ctx, "Redis", shared, server),
		one(ctx, "Redis, one account", server, shared),
		one(ctx, "Redis, one account, ten gateways", server, gateways...),
	}, done, nil
}

// manyGateways is how many charge one account.
const manyGateways = 10

// one charges one account by several gateways, which take turns.
func one(ctx context.Context, title string, server *rig.Redis, gateways ...store.Client) *contender {
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
// with another number, and appends how often a second it was done, what it took of
// Redis' CPU, and round trips.
func (b *bench) hammer(ctx context.Context, server *rig.Redis, do func(n int64) error, rate, cpu, trips *series) error {
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
	*rate = append(*rate, n/time.Since(start).Seconds())
	after, err := r.after(ctx)
	*cpu = append(*cpu, micros(after.redis-before.redis)/n)
	*trips = append(*trips, float64(after.traffic.Since(before.traffic).Reads)/n)
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

// plainStore is what bbolt's introduction shows: an Update for each change. It
// writes about as many keys and bytes as we do, and checks nothing.
type plainStore struct{ *bolt.DB }

func openPlain(path string) (plainStore, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, FreelistType: bolt.FreelistMapType})
	return plainStore{db}, err
}

func (p plainStore) commit(accounts int) func(n int64) error {
	return func(n int64) error {
		payment := fmt.Sprintf("pay_%08d", n)
		return p.put(account(int(n)%accounts), map[string]string{
			"object:" + payment:           string(paymentState),
			"seq":                         fmt.Sprint(n),
			"grant:" + payment:            "10 10 0 - 1767323045000",
			fmt.Sprintf("entry:%016x", n): "1 1767323045000 grant 10 10 " + payment,
		})
	}
}

// pair takes a credit in one step: there is nothing to give back.
func (p plainStore) pair(accounts int) func(n int64) error {
	return func(n int64) error {
		return p.put(account(int(n)%accounts), map[string]string{
			"seq":                         fmt.Sprint(n),
			"grant:signup":                "1000000 999999 0 - 1767323045000",
			fmt.Sprintf("entry:%016x", n): "1 1767323045000 capture -1 999999 signup",
		})
	}
}

func (p plainStore) put(account string, values map[string]string) error {
	return p.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(account))
		if err != nil {
			return err
		}
		for name, value := range values {
			if err := b.Put([]byte(name), []byte(value)); err != nil {
				return err
			}
		}
		return nil
	})
}
