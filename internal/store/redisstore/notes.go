package redisstore

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/dodogate/dodogate/internal/book"
)

// noteKey is the key of a note. Marks have the keys that they always had.
func (s *Store) noteKey(name string) string {
	if mark, is := strings.CutPrefix(name, "mark:"); is {
		return s.prefix + "mark:" + escape(mark)
	}
	return s.prefix + "note:" + escape(name)
}

// Note implements [store.Store]. Whoever writes the first note writes what the format is.
func (s *Store) Note(ctx context.Context, name, seen, text string) (kept string, err error) {
	if err := book.CheckNames(name, text); err != nil {
		return "", err
	}
	key := s.noteKey(name)
	if text == "" {
		err = s.do(ctx, "read note "+name, func(ctx context.Context) error {
			kept, err = s.client.Get(ctx, key).Result()
			if errors.Is(err, redis.Nil) {
				err = nil
			}
			return err
		})
		return kept, err
	}
	err = s.do(ctx, "note the format", func(ctx context.Context) error {
		return s.client.SetNX(ctx, s.noteKey(formatNote), format, 0).Err()
	})
	if err == nil {
		err = s.ask(ctx, "note "+name, func() error {
			reply, err := s.conn.Writes().Run(ctx, noteScript, []string{key}, []string{seen, text})
			if err == nil {
				kept = reply[0]
			}
			return err
		})
	}
	return kept, err
}
