package main

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/bench/naive"
)

// writesOf is a contender that writes about as many keys and bytes as we do into a bbolt
// file, and checks nothing. A pair is one write, because a hold can stay in memory.
func writesOf(title string, do func(func(*bolt.Bucket) error) error, accounts int) *contender {
	return &contender{
		title: title,
		pair: func(n int64) error {
			user := account(int(n) % accounts)
			return do(puts(
				"account:"+user, "1000000 999999 0 - 1767323045000",
				fmt.Sprintf("entry:%016x", n), user+" 1 1767323045000 capture -1 999999 signup"))
		},
		commit: func(n int64) error {
			user, payment := account(int(n)%accounts), fmt.Sprintf("pay_%08d", n)
			return do(puts(
				"account:"+user, "1000000 999999 0 - 1767323045000",
				"object:"+payment, string(paymentState),
				"grant:"+payment, "10 10 0 - 1767323045000",
				fmt.Sprintf("entry:%016x", n), user+" 1 1767323045000 grant 10 10 "+payment))
		},
	}
}

// puts writes keys and values, which take turns.
func puts(words ...string) func(*bolt.Bucket) error {
	return func(bucket *bolt.Bucket) error {
		for i := 0; i < len(words); i += 2 {
			if err := bucket.Put([]byte(words[i]), []byte(words[i+1])); err != nil {
				return err
			}
		}
		return nil
	}
}

// plainStore is what bbolt's introduction shows: an Update for each change.
type plainStore struct{ *bolt.DB }

func openPlain(path string) (plainStore, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, FreelistType: bolt.FreelistMapType})
	return plainStore{db}, err
}

func (p plainStore) do(write func(*bolt.Bucket) error) error {
	return p.Update(func(tx *bolt.Tx) error {
		bucket, err := tx.CreateBucketIfNotExists([]byte("plain"))
		if err != nil {
			return err
		}
		return write(bucket)
	})
}

// pairOf holds and captures one credit of the account that of chooses.
func pairOf(ctx context.Context, h naive.Holder, of func(n int64) int) func(n int64) error {
	return func(n int64) error {
		user, id := account(of(n)), fmt.Sprintf("req_%08d", n)
		left, err := h.Hold(ctx, user, id)
		if err != nil || left < 0 {
			return fmt.Errorf("hold of %s: %d left, %w", user, left, err)
		}
		return h.Capture(ctx, user, id)
	}
}

// paid writes what a payment changes, and checks only whether it was there before.
var paid = redis.NewScript(`
if not redis.call('SET', KEYS[1], ARGV[1], 'NX') then return 0 end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
redis.call('HINCRBY', KEYS[2], 'credits', ARGV[4])
redis.call('RPUSH', KEYS[3], ARGV[5])
return 1
`)

func payScript(ctx context.Context, client *redis.Client, accounts int) func(n int64) error {
	return func(n int64) error {
		user, payment := account(int(n)%accounts), fmt.Sprintf("pay_%08d", n)
		return paid.Run(ctx, client, []string{"object:" + payment, naive.Key(user), "entries:" + user},
			paymentState, "g:"+payment, "10 10 0 - 1767323045000", productGives, "1 1767323045000 grant 10 10 "+payment).Err()
	}
}
