package redisstore

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dodogate/dodogate/internal/book"
)

// Count implements [store.Days].
func (s *Store) Count(ctx context.Context, d book.Daily) error {
	if err := d.Check(); err != nil {
		return err
	}
	return s.do(ctx, "count by day", func(ctx context.Context) error {
		_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			s.addCount(ctx, p, d)
			return nil
		})
		return err
	})
}

// addCount adds what keeps a daily value. Its collection ends by the time that the server told
// last.
func (s *Store) addCount(ctx context.Context, p redis.Pipeliner, d book.Daily) *redis.IntCmd {
	key := s.dayKey(d.Of, d.Day)
	kept := p.HSet(ctx, key, d.Name, d.Value)
	p.PExpire(ctx, key, max(time.Hour, d.Ends().Sub(s.serverNow())))
	return kept
}

// addCounts adds the daily values of a decision.
func (s *Store) addCounts(ctx context.Context, p redis.Pipeliner, b *book.Book, asked []*redis.IntCmd) []*redis.IntCmd {
	for _, d := range b.Changes().Counts {
		asked = append(asked, s.addCount(ctx, p, d))
	}
	return asked
}

// count keeps the daily values of a decision, each of which may lie on another server.
func (s *Store) count(ctx context.Context, b *book.Book) error {
	for _, d := range b.Changes().Counts {
		if err := s.Count(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// Day implements [store.Days], by HSCAN. Where a page ends is its cursor.
func (s *Store) Day(ctx context.Context, of book.DailyKind, day, after string, limit int) (rows []book.Daily, next string, err error) {
	cursor, err := strconv.ParseUint("0"+after, 10, 64)
	if err != nil {
		return nil, "", errPage
	}
	err = s.do(ctx, "read a day", func(ctx context.Context) error {
		rows, next = nil, ""
		found, end, err := s.client.HScan(ctx, s.dayKey(of, day), cursor, "", int64(limit)).Result()
		if err != nil {
			return err
		}
		if len(found)%2 != 0 {
			return fmt.Errorf("%d words", len(found))
		}
		for i := 0; i < len(found); i += 2 {
			rows = append(rows, book.Daily{Of: of, Day: day, Name: found[i], Value: found[i+1]})
		}
		if end != 0 {
			next = strconv.FormatUint(end, 10)
		}
		return nil
	})
	return rows, next, err
}
