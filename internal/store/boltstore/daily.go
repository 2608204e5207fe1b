package boltstore

import (
	"context"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/internal/book"
)

// Count implements [store.Days].
func (s *Store) Count(ctx context.Context, d book.Daily) error {
	if err := d.Check(); err != nil {
		return err
	}
	return s.update(ctx, len(d.Name)+len(d.Value), func(tx *bolt.Tx) error { return count(tx, d, s.now()) })
}

// count keeps a daily value. The first one of a day removes the collections that have ended.
func count(tx *bolt.Tx, d book.Daily, now time.Time) error {
	days, err := tx.CreateBucketIfNotExists(bucketDays)
	if err != nil {
		return writeError{err}
	}
	name := dayName(d.Of, d.Day)
	day := days.Bucket(name)
	if day == nil {
		if err := removeDays(days, now); err != nil {
			return err
		}
		if day, err = days.CreateBucket(name); err != nil {
			return writeError{err}
		}
	}
	return put(day, []byte(d.Name), []byte(d.Value))
}

func dayName(of book.DailyKind, day string) []byte { return []byte(string(of) + " " + day) }

// removeDays removes the collections that have ended.
func removeDays(days *bolt.Bucket, now time.Time) error {
	var ended [][]byte
	c := days.Cursor()
	for name, _ := c.First(); name != nil; name, _ = c.Next() {
		_, day, _ := strings.Cut(string(name), " ")
		if now.After((book.Daily{Day: day}).Ends()) {
			ended = append(ended, append([]byte(nil), name...))
		}
	}
	for _, name := range ended {
		if err := days.DeleteBucket(name); err != nil {
			return writeError{err}
		}
	}
	return nil
}

// Day implements [store.Days]. Where a page ends is its last name.
func (s *Store) Day(ctx context.Context, of book.DailyKind, day, after string, limit int) (rows []book.Daily, next string, err error) {
	err = s.view(ctx, func(tx *bolt.Tx) error {
		days := tx.Bucket(bucketDays)
		if days == nil {
			return nil
		}
		b := days.Bucket(dayName(of, day))
		if b == nil {
			return nil
		}
		c := b.Cursor()
		name, value := c.Seek([]byte(after))
		if name != nil && string(name) == after {
			name, value = c.Next()
		}
		for ; name != nil; name, value = c.Next() {
			if len(rows) == limit {
				next = rows[limit-1].Name
				break
			}
			rows = append(rows, book.Daily{Of: of, Day: day, Name: string(name), Value: string(value)})
		}
		return nil
	})
	return rows, next, err
}
