package redisstore

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/dodogate/dodogate/internal/store/record"
)

func (s *Store) noteKey(name string) string { return s.prefix + "note:" + escape(name) }

// Note implements [store.Notes]. What is there is never changed, so the read behind
// the write finds what the first writer wrote.
func (s *Store) Note(ctx context.Context, name, text string) (kept string, err error) {
	if err := record.CheckNames(name, text); err != nil {
		return "", err
	}
	err = s.do(ctx, "note "+name, func(ctx context.Context) error {
		kept, err = s.client.Get(ctx, s.noteKey(name)).Result()
		if !errors.Is(err, redis.Nil) {
			return err
		}
		if text == "" {
			return nil
		}
		for _, note := range [][2]string{{formatNote, format}, {name, text}} {
			if err := s.client.SetNX(ctx, s.noteKey(note[0]), note[1], 0).Err(); err != nil {
				return err
			}
		}
		kept, err = s.client.Get(ctx, s.noteKey(name)).Result()
		return err
	})
	if err != nil {
		return "", err
	}
	return kept, nil
}
