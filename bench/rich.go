package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/redisstore"
)

// fewCallers is how many callers of each kind charge at once.
const fewCallers = 4

// neighbour is what happens in Redis while other customers are charged.
type neighbour struct {
	title    string
	account  string // is charged all the time by another gateway; "" is none
	p50, p99 series // milliseconds of a pair of the other customers
}

// rich measures whether an account with many purchases slows other customers down, because
// Redis does one thing at a time.
func (b *bench) rich(ctx context.Context) (string, error) {
	server, err := b.redis("redis")
	if err != nil {
		return "", err
	}
	var gateways [2]*redisstore.Store
	for i := range gateways {
		gateways[i], err = redisstore.Open(ctx, redisstore.Options{URL: "redis://" + server.Addr, Timeout: 10 * time.Second})
		if err != nil {
			return "", err
		}
		defer gateways[i].Close()
	}
	here, there := store.Client{Store: gateways[0]}, store.Client{Store: gateways[1]}
	if err := b.fill(ctx, here); err != nil {
		return "", err
	}
	if err := errors.Join(pay(ctx, here, "poor", "signup", signup), buyMany(ctx, here, "rich", b.purchases)); err != nil {
		return "", err
	}
	neighbours := []*neighbour{
		{title: "**floor:** nobody else is charged"},
		{title: "an account with one grant is charged by another gateway", account: "poor"},
		{title: fmt.Sprintf("an account with %d unspent grants and %d standings is charged by another gateway", b.purchases, b.purchases), account: "rich"},
	}
	for range b.rounds {
		for _, i := range b.draw.Perm(len(neighbours)) {
			if err := b.besides(ctx, here, there, neighbours[i]); err != nil {
				return "", fmt.Errorf("%s: %w", neighbours[i].title, err)
			}
		}
	}
	quiet, loud := neighbours[0], neighbours[2]
	b.goalAtMost(1.5, "%.2f", "a neighbour with many purchases: p50 of a pair, × floor", loud.p50.over(quiet.p50))
	t := newTable("meanwhile", "p50 of a pair, ms", "× floor", "p99, ms", "× floor")
	for _, n := range neighbours {
		t.add(n.title, n.p50.format("%.2f"), n.p50.over(quiet.p50).format("%.2f"), n.p99.format("%.2f"), n.p99.over(quiet.p99).format("%.2f"))
	}
	return fmt.Sprintf(`A hold and its capture, of %d callers whose accounts have few purchases, in a Redis in which %d other callers charge one account.
Gateways are stores of one process.

Floor: the same pairs while nobody else is charged.

%s`, fewCallers, fewCallers, t), nil
}

// besides charges accounts here for one burst, while there somebody charges one account.
func (b *bench) besides(ctx context.Context, here, there store.Client, n *neighbour) error {
	var (
		crew   sync.WaitGroup
		mu     sync.Mutex
		took   = hdrhistogram.New(1, int64(time.Minute), 3)
		failed error
		start  = time.Now()
	)
	loop := func(s store.Client, of func(n int64) string, note func(time.Duration)) {
		for time.Since(start) < b.burst {
			began, number := time.Now(), numbers.Add(1)
			err := charge(ctx, s, of(number), fmt.Sprintf("rich_%08d", number))
			mu.Lock()
			failed = errors.Join(failed, err)
			if err == nil {
				note(time.Since(began))
			}
			mu.Unlock()
			if err != nil {
				return
			}
		}
	}
	for range fewCallers {
		crew.Go(func() {
			loop(here, func(n int64) string { return account(int(n) % b.accounts) }, func(d time.Duration) { _ = took.RecordValue(int64(d)) })
		})
		if n.account != "" {
			crew.Go(func() {
				loop(there, func(int64) string { return n.account }, func(time.Duration) {})
			})
		}
	}
	crew.Wait()
	n.p50, n.p99 = append(n.p50, ms(took, 50)), append(n.p99, ms(took, 99))
	return failed
}

// buyMany gives an account many grants that nobody spends first, and as many standings.
func buyMany(ctx context.Context, s store.Client, account string, purchases int) error {
	for i := range purchases {
		payment := fmt.Sprintf("pay_rich_%06d", i)
		_, err := s.Commit(ctx, book.Commit{
			Account: account,
			Object:  entitlement.Ref{Kind: entitlement.KindPayment, ID: payment},
			State:   paymentState,
			Effect: entitlement.Effect{
				Grants:   []ledger.Target{{ID: payment, Amount: signup, CreatedAt: time.Now()}},
				Standing: entitlement.Standing{Paid: true, PaidAt: time.Now()},
			},
			Cause: "evt_" + payment,
		})
		if err != nil {
			return err
		}
	}
	return nil
}
