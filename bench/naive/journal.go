package naive

import (
	"errors"
	"runtime"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Journal is a bbolt file. Changes that arrive while others are being written share the
// next transaction and its fsync.
type Journal struct {
	db     *bolt.DB
	queue  chan change
	closed chan struct{}
	done   chan struct{} // closed when nothing writes any more
}

// change is one caller's part of a transaction.
type change struct {
	write func(*bolt.Bucket) error
	reply chan error
}

const (
	together  = 1024 // changes that can share a transaction
	lockWait  = time.Second
	journalOf = "journal"
)

var errJournalClosed = errors.New("the journal is closed")

// OpenJournal opens or creates a file.
func OpenJournal(path string) (*Journal, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: lockWait, FreelistType: bolt.FreelistMapType})
	if err != nil {
		return nil, err
	}
	j := &Journal{db: db, queue: make(chan change, together), closed: make(chan struct{}), done: make(chan struct{})}
	go j.run()
	return j, nil
}

// Do runs write in a transaction that it may share with others, and returns when that is on
// the disk. An error of write undoes the whole transaction.
func (j *Journal) Do(write func(*bolt.Bucket) error) error {
	c := change{write: write, reply: make(chan error, 1)}
	select {
	case j.queue <- c:
	case <-j.closed:
		return errJournalClosed
	}
	select {
	case err := <-c.reply:
		return err
	case <-j.done:
		return errJournalClosed
	}
}

// Close closes the file. Changes that are still queued are not written.
func (j *Journal) Close() error {
	close(j.closed)
	<-j.done
	return j.db.Close()
}

func (j *Journal) run() {
	defer close(j.done)
	for {
		select {
		case first := <-j.queue:
			runtime.Gosched() // callers that are about to ask can join
			j.write(waiting(j.queue, first))
		case <-j.closed:
			return
		}
	}
}

func (j *Journal) write(all []change) {
	err := j.db.Update(func(tx *bolt.Tx) error {
		bucket, err := tx.CreateBucketIfNotExists([]byte(journalOf))
		if err != nil {
			return err
		}
		for _, c := range all {
			if err := c.write(bucket); err != nil {
				return err
			}
		}
		return nil
	})
	for _, c := range all {
		c.reply <- err
	}
}

// waiting returns first and everything that waits in the queue now.
func waiting[T any](queue <-chan T, first T) []T {
	all := []T{first}
	for len(all) < together {
		select {
		case next := <-queue:
			all = append(all, next)
		default:
			return all
		}
	}
	return all
}
