package redisstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dodogate/dodogate/internal/store/record"
)

func (s *Store) markKey(name string) string { return s.prefix + "mark:" + escape(name) }

// Mark implements [store.Marks].
func (s *Store) Mark(ctx context.Context, name string) (time.Time, error) {
	if err := record.CheckNames(name); err != nil {
		return time.Time{}, err
	}
	var at time.Time
	err := s.do(ctx, "read mark "+name, func(ctx context.Context) error {
		value, err := s.client.Get(ctx, s.markKey(name)).Result()
		if errors.Is(err, redis.Nil) {
			return nil
		}
		if err == nil {
			at, err = record.ParseMillis(value)
		}
		return err
	})
	return at, err
}

// SetMark implements [store.Marks].
func (s *Store) SetMark(ctx context.Context, name string, at time.Time) error {
	at, err := record.Time(at)
	if err == nil {
		err = record.CheckNames(name)
	}
	if err != nil {
		return fmt.Errorf("set mark: %w", err)
	}
	return s.do(ctx, "set mark "+name, func(ctx context.Context) error {
		return s.client.Set(ctx, s.markKey(name), record.Millis(at), 0).Err()
	})
}
