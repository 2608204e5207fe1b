package boltstore

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"

	bolt "go.etcd.io/bbolt"
)

const (
	maxQueue      = 1024    // operations that wait; more callers wait to be let in
	maxBatch      = 512     // operations in one transaction
	maxBatchBytes = 8 << 20 // and about how much they write
)

// operation is one change that waits to be made. It shares no memory with its
// caller, who may have gone by the time that it runs.
type operation struct {
	ctx    context.Context
	size   int // about how many bytes it writes
	run    func(*bolt.Tx) error
	answer chan error
}

// writeError is a failure to write, as against a refusal. It undoes the whole
// transaction.
type writeError struct{ error }

func (e writeError) Unwrap() error { return e.error }

// errUnwritten is what an operation returns that did what it should without
// writing, and without following from what others of its transaction write. It is
// answered at once: others may have to wait for the disk.
var errUnwritten = errors.New("nothing was written")

// errNothing undoes a transaction in which every operation was refused.
var errNothing = errors.New("nothing to write")

// update queues a change and waits for it to be on disk. What run returns is
// returned, errUnwritten as nil; it must not have written anything then. The results of
// run may be looked at only when update returns nil.
func (s *Store) update(ctx context.Context, size int, run func(*bolt.Tx) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.users.Done()
	if err := s.fault(); err != nil {
		return err
	}
	op := &operation{ctx: ctx, size: size, run: run, answer: make(chan error, 1)}
	select {
	case s.queue <- op:
	case <-ctx.Done():
		return ended(ctx.Err())
	}
	select {
	case err := <-op.answer:
		return err
	case <-ctx.Done():
		return ended(ctx.Err())
	}
}

// commitAll makes the changes in the queue until it is closed and empty.
func (s *Store) commitAll() {
	defer close(s.drained)
	debug.SetPanicOnFault(true)
	for op := range s.queue {
		runtime.Gosched() // whoever is about to ask may come along; when nobody is, it takes nothing
		s.commit(s.gather(op))
	}
}

// gather takes what waits behind first, as much as one transaction should hold.
func (s *Store) gather(first *operation) []*operation {
	batch, size := []*operation{first}, first.size
	for len(batch) < maxBatch && size < maxBatchBytes {
		select {
		case op, open := <-s.queue:
			if !open {
				return batch
			}
			batch, size = append(batch, op), size+op.size
		default:
			return batch
		}
	}
	return batch
}

// commit makes the changes of a batch and answers each of them.
func (s *Store) commit(batch []*operation) {
	answers := make([]error, len(batch))
	err := s.fault()
	if err == nil {
		err = s.transact(batch, answers)
	}
	for i, op := range batch {
		switch {
		case answers[i] == errUnwritten: //nolint:errorlint // as above; it is answered already
		case err != nil:
			op.answer <- err
		default:
			op.answer <- answers[i]
		}
	}
}

// transact runs a batch in one transaction and notes what each operation says.
// Any error that it returns is the end of writing through this handle.
func (s *Store) transact(batch []*operation, answers []error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			s.panicked.Store(true)
			err = fmt.Errorf("file is damaged: %v", r)
		}
		if errors.Is(err, errNothing) {
			err = nil
		}
		if err != nil {
			err = unavailable("write "+s.path+", which ends writing until it is opened again", err)
			s.broken.Store(&err)
			s.log.Error("store file cannot be written: every change is refused until a restart", "path", s.path, "error", err)
		}
	}()
	return s.db.Update(func(tx *bolt.Tx) error {
		done := 0
		for i, op := range batch {
			answers[i] = op.perform(tx)
			if failed, ok := errors.AsType[writeError](answers[i]); ok {
				return failed.error
			}
			if answers[i] == nil {
				done++
			}
			if answers[i] == errUnwritten { //nolint:errorlint // our own, never wrapped
				op.answer <- nil
			}
		}
		if done == 0 {
			return errNothing
		}
		if err := s.sweep(tx, max(done, minSweep)); err != nil {
			return err
		}
		s.operations.Add(int64(done))
		s.transactions.Add(1)
		return nil
	})
}

func (op *operation) perform(tx *bolt.Tx) error {
	if err := op.ctx.Err(); err != nil {
		return ended(err)
	}
	return op.run(tx)
}
