package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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

// kept is something that a store keeps, and how large it is.
type kept struct {
	title string
	each  int // how many there are for each account that has any
	one   int // one in so many accounts has any
	write func(ctx context.Context, s store.Client, account string, n int) error

	redis, file series // bytes of one
}

// whatIsKept measures what a store keeps of accounts, purchases, webhooks and charges.
func (b *bench) whatIsKept(ctx context.Context) (string, error) {
	server, err := b.redis("sizes")
	if err != nil {
		return "", err
	}
	inRedis, err := redisstore.Open(ctx, redisstore.Options{URL: "redis://" + server.Addr, Timeout: 10 * time.Second})
	if err != nil {
		return "", err
	}
	defer inRedis.Close()
	path := filepath.Join(b.dir, "sizes.db")
	embedded, err := boltstore.Open(path, boltstore.Options{})
	if err != nil {
		return "", err
	}
	defer embedded.Close()
	things := []*kept{
		{title: "an account with credits from its sign-up", each: 1, one: 1, write: func(ctx context.Context, s store.Client, account string, _ int) error {
			return pay(ctx, s, account, "signup", signup)
		}},
		{title: "a purchase: order, session, payment, grant and entry", each: 1, one: 1, write: writePurchase},
		{title: "a webhook with its body, for as long as `keep_events` says", each: 3, one: 1, write: writeWebhook},
		{title: "a charge: its entry", each: 100, one: 10, write: func(ctx context.Context, s store.Client, account string, n int) error {
			return charge(ctx, s, account, fmt.Sprintf("%s-%026d", account, n)) // as long as a request's id is
		}},
	}
	inRedisOf := func() (int64, error) { return redisMemory(ctx, server) }
	inFileOf := func() (int64, error) { return fileSize(path) }
	for _, k := range things {
		if k.redis, err = b.growth(ctx, store.Client{Store: inRedis}, k, inRedisOf); err != nil {
			return "", err
		}
		if k.file, err = b.growth(ctx, store.Client{Store: embedded}, k, inFileOf); err != nil {
			return "", err
		}
	}
	t := newTable("what is kept", "bytes in Redis", "bytes in the embedded file")
	for _, k := range things {
		t.add(k.title, k.redis.format("%.0f"), k.file.format("%.0f"))
	}
	return fmt.Sprintf(`What the stores of %d accounts grow by, for one of each. Redis' memory includes its tables for keys; of the file, pages that are in use count.

%s`, b.accounts, t), nil
}

// growth writes a thing for all accounts, and returns the bytes that each has taken.
func (b *bench) growth(ctx context.Context, s store.Client, k *kept, size func() (int64, error)) (series, error) {
	before, err := size()
	if err != nil {
		return nil, err
	}
	accounts := b.accounts / k.one
	err = all(accounts*k.each, func(n int) error { return k.write(ctx, s, account(n%accounts), n) })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.title, err)
	}
	after, err := size()
	return series{float64(after-before) / float64(accounts*k.each)}, err
}

func writePurchase(ctx context.Context, s store.Client, account string, n int) error {
	order := book.Order{
		ID: fmt.Sprintf("ord_sizes_%012d", n), Account: account, Product: "pack10", Quantity: 1,
		ExpiresAt: time.Now().Add(24 * time.Hour),
		Terms:     map[string]entitlement.Terms{"pdt_bench_pack10": {Credits: productGives}},
	}
	if _, _, err := s.CreateOrder(ctx, order, book.Key{}); err != nil {
		return err
	}
	order.SessionID = fmt.Sprintf("cks_sizes_%012d", n)
	order.CheckoutURL = "https://checkout.example.com/session/" + order.SessionID
	if err := s.OpenOrder(ctx, order, book.Key{}); err != nil {
		return err
	}
	payment := entitlement.Ref{Kind: entitlement.KindPayment, ID: fmt.Sprintf("pay_sizes_%012d", n)}
	if _, err := s.Claim(ctx, payment, account); err != nil {
		return err
	}
	_, err := s.Commit(ctx, book.Commit{
		Account: account, Object: payment, State: paymentState, Cause: fmt.Sprintf("msg_sizes_%012d", n),
		Effect: entitlement.Effect{
			Grants:   []ledger.Target{{ID: payment.String() + "/0", Amount: productGives, CreatedAt: time.Now()}},
			Standing: entitlement.Standing{Paid: true, PaidAt: time.Now()},
		},
		Order: &book.OrderResult{ID: order.ID, State: book.OrderPaid, PaymentID: payment.ID},
	})
	return err
}

// writeWebhook records an event, which waits for ever, so that it is there when it is measured.
func writeWebhook(ctx context.Context, s store.Client, account string, n int) error {
	body := strings.Repeat("x", webhookSize)
	_, err := s.Record(ctx, book.Event{
		ID: fmt.Sprintf("msg_sizes_%012d", n), Type: "payment.succeeded", Body: []byte(body), Account: account,
	})
	return err
}

// webhookSize is how many bytes the body of a payment.succeeded has, about.
const webhookSize = 2000

func redisMemory(ctx context.Context, server *rig.Redis) (int64, error) {
	text, err := server.Client.Info(ctx, "memory").Result()
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(text, "used_memory:")
	line, _, _ := strings.Cut(rest, "\r\n")
	return strconv.ParseInt(line, 10, 64)
}

// fileSize is how many bytes of a bbolt file are in use. It reads a copy, because the file is locked.
func fileSize(path string) (size int64, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	copied := path + ".copy"
	if err := os.WriteFile(copied, text, 0o600); err != nil { //nolint:gosec // in our own folder
		return 0, err
	}
	db, err := bolt.Open(copied, 0o600, &bolt.Options{NoSync: true})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close(), os.Remove(copied)) }()
	if err := db.Update(func(*bolt.Tx) error { return nil }); err != nil { // it counts the free pages
		return 0, err
	}
	return int64(len(text)) - int64(db.Stats().FreePageN*db.Info().PageSize), nil
}
