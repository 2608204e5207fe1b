package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/boltstore"
	"github.com/dodogate/dodogate/internal/store/redisstore"
)

// callers is how many goroutines ask a store at once.
const callers = 64

// stores measures the stores without anything around them.
func (b *bench) stores(ctx context.Context) (string, error) {
	embedded, err := boltstore.Open(filepath.Join(b.dir, "dodogate.db"), boltstore.Options{})
	if err != nil {
		return "", err
	}
	defer embedded.Close()
	plain, err := openPlain(filepath.Join(b.dir, "plain.db"))
	if err != nil {
		return "", err
	}
	defer plain.Close()
	server, err := b.redis("redis")
	if err != nil {
		return "", err
	}
	shared, err := redisstore.Open(ctx, redisstore.Options{URL: "redis://" + server.Addr, Timeout: 10 * time.Second})
	if err != nil {
		return "", err
	}
	defer shared.Close()

	var group, single, remote, remoteCPU series
	var id atomic.Int64
	for range b.rounds {
		n, err := b.hammer(func(n int64) error { return commit(ctx, embedded, n%int64(b.accounts), &id) })
		if err != nil {
			return "", err
		}
		group = append(group, n/b.burst.Seconds())
		if n, err = b.hammer(func(n int64) error { return plain.commit(n%int64(b.accounts), id.Add(1)) }); err != nil {
			return "", err
		}
		single = append(single, n/b.burst.Seconds())
		before, err := server.CPU()
		if err != nil {
			return "", err
		}
		if n, err = b.hammer(func(n int64) error { return commit(ctx, shared, n%int64(b.accounts), &id) }); err != nil {
			return "", err
		}
		after, err := server.CPU()
		if err != nil {
			return "", err
		}
		remote = append(remote, n/b.burst.Seconds())
		remoteCPU = append(remoteCPU, micros(after-before)/n)
	}
	t := newTable("store", "commits a second")
	t.add("embedded, group commit", group.format("%.0f"))
	t.add("a plain bbolt `Update` for each", single.format("%.0f"))
	t.add("Redis", remote.format("%.0f"))
	return fmt.Sprintf(`## The stores alone

Durable commits of a payment to one of %d accounts, by %d callers at once. A commit in Redis costs %s µs of Redis' own CPU,
so one server can do at most %.0f a second.

%s`, b.accounts, callers, remoteCPU.format("%.1f"), 1e6/remoteCPU.median(), t), nil
}

// hammer has all callers do something again and again for one burst, and returns
// how often it was done. do is given a number that is another one each time.
func (b *bench) hammer(do func(n int64) error) (float64, error) {
	var (
		all    sync.WaitGroup
		failed = make([]error, callers)
		done   atomic.Int64
		start  = time.Now()
	)
	for i := range callers {
		all.Go(func() {
			for time.Since(start) < b.burst {
				if failed[i] = do(done.Add(1)); failed[i] != nil {
					return
				}
			}
		})
	}
	all.Wait()
	// Some were done after the burst's end.
	return float64(done.Load()) * b.burst.Seconds() / time.Since(start).Seconds(), errors.Join(failed...)
}

// commit writes a payment that gives credits, as a webhook does.
func commit(ctx context.Context, s store.Accounts, n int64, id *atomic.Int64) error {
	payment := fmt.Sprintf("pay_%08d", id.Add(1))
	grant := ledger.Target{ID: payment, Amount: productGives, CreatedAt: time.Now()}
	_, err := s.Commit(ctx, store.Commit{
		Account: account(int(n)),
		Object:  entitlement.Ref{Kind: entitlement.KindPayment, ID: payment},
		State:   paymentState,
		Effect:  entitlement.Effect{Grants: []ledger.Target{grant}},
		Cause:   "evt_" + payment,
	})
	return err
}

// paymentState is about as long as a merged payment is.
var paymentState = []byte(`{"kind":"payment","status":"succeeded","created_at":"2026-01-02T03:04:05Z","total":500,"refunds":{},"disputes":{},"cart":[{"product":"pdt_bench_pack10","quantity":1,"credits":10}]}`)

// plainStore is what bbolt's introduction shows: an Update for each change. It
// writes as many keys and bytes as a commit of ours, and checks nothing.
type plainStore struct{ *bolt.DB }

func openPlain(path string) (plainStore, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, FreelistType: bolt.FreelistMapType})
	return plainStore{db}, err
}

func (p plainStore) commit(n, id int64) error {
	return p.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(account(int(n))))
		if err != nil {
			return err
		}
		payment := fmt.Sprintf("pay_%08d", id)
		return errors.Join(
			b.Put([]byte("object:"+payment), paymentState),
			b.Put([]byte("seq"), []byte(fmt.Sprint(id))),
			b.Put([]byte("grant:"+payment), []byte("10 10 0 - 1767323045000")),
			b.Put(fmt.Appendf(nil, "entry:%016x", id), []byte("1 1767323045000 grant 10 10 "+payment)),
		)
	})
}
