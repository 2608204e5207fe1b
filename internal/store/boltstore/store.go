package boltstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/internal/store"
)

// Store is a [store.Store] in a file. It is made by [Open].
type Store struct {
	db    *bolt.DB
	path  string
	clock func() time.Time
	log   *slog.Logger

	holds   *holds
	lastRev int64 // of any account; known to the goroutine that writes

	queue   chan *operation
	drained chan struct{} // closed when the queue is empty for good

	mu     sync.RWMutex // held to look at closed and to be counted in users
	closed bool
	users  sync.WaitGroup

	broken   atomic.Pointer[error] // the fault after which nothing is written
	unusable atomic.Pointer[error] // the fault after which nothing is read either
	panicked atomic.Bool           // bbolt may hold locks that nobody will release

	watchers store.Watchers

	operations, transactions atomic.Int64
}

var _ store.Store = (*Store)(nil)

// closeTimeout is how long Close waits for a file that was found damaged.
const closeTimeout = time.Second

var errClosed = errors.New("store is closed")

// Stats counts what a handle has written.
type Stats struct {
	Operations   int64 // changes asked for and answered by the disk
	Transactions int64 // what it took to write them
}

// Stats reports the counts since Open.
func (s *Store) Stats() Stats {
	return Stats{Operations: s.operations.Load(), Transactions: s.transactions.Load()}
}

// Ping reports whether the store can serve: an error when it is closed and for
// ever after the disk failed it.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.fault(); err != nil {
		return err
	}
	return s.view(ctx, func(tx *bolt.Tx) error {
		if tx.Bucket(bucketMeta) == nil {
			return unavailable("ping", errors.New("file has no layout"))
		}
		return nil
	})
}

// Close waits until every operation that was begun is answered, and lets go of
// the file. Later calls of any method return [store.ErrUnavailable]; a second
// Close does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		<-s.drained
		return nil
	}
	s.closed = true
	s.mu.Unlock()

	s.users.Wait()
	close(s.queue)
	<-s.drained
	s.watchers.End()
	if err := s.closeFile(); err != nil {
		return unavailable("close "+s.path, err)
	}
	return nil
}

// closeFile lets go of the file. After a panic that may never end, which is
// worse than a file that is held until the process ends.
func (s *Store) closeFile() error {
	if !s.panicked.Load() {
		return s.db.Close()
	}
	released := make(chan error, 1)
	go func() { released <- s.db.Close() }()
	select {
	case err := <-released:
		return err
	case <-time.After(closeTimeout):
		return errors.New("file is held until this process ends, after it was found damaged")
	}
}

// enter counts the caller among the users whom Close waits for; it must call
// s.users.Done unless an error is returned.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return ended(err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return unavailable("use "+s.path, errClosed)
	}
	s.users.Add(1)
	return nil
}

// view runs a reading function; what it returns is returned.
func (s *Store) view(ctx context.Context, read func(*bolt.Tx) error) (err error) {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.users.Done()
	if err := s.unusable.Load(); err != nil {
		return *err
	}
	// The file is mapped into memory: a page that the disk cannot give is a
	// fault, and must not take the process down.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	var begun bool
	defer func() {
		if r := recover(); r != nil {
			err = unavailable("read "+s.path, fmt.Errorf("file is damaged: %v", r))
			s.panicked.Store(true)
			if !begun { // bbolt does not release its locks then
				s.unusable.Store(&err)
			}
			s.log.Error("store file cannot be read", "path", s.path, "fault", r)
		}
	}()
	var answer error
	if err := s.db.View(func(tx *bolt.Tx) error {
		begun = true
		answer = read(tx)
		return nil
	}); err != nil {
		return unavailable("read "+s.path, err)
	}
	return answer
}

// now is the time that the store writes.
func (s *Store) now() time.Time { return s.clock().UTC().Truncate(time.Millisecond) }

// fault is the error that ended writing, or nil.
func (s *Store) fault() error {
	for _, fault := range []*atomic.Pointer[error]{&s.broken, &s.unusable} {
		if err := fault.Load(); err != nil {
			return *err
		}
	}
	return nil
}

func unavailable(doing string, err error) error {
	return fmt.Errorf("%w: %s: %w", store.ErrUnavailable, doing, err)
}

// ended says that the caller's context ended first.
func ended(err error) error { return fmt.Errorf("wait for the store: %w", err) }
