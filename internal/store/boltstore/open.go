package boltstore

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/dodogate/dodogate/internal/store"
)

// Options of [Open]. The zero value is good for production.
type Options struct {
	// Clock tells the time; nil is time.Now.
	Clock func() time.Time
	// Logger hears about faults of the file; nil is silence.
	Logger *slog.Logger
	// LockTimeout is how long to wait for another holder of the file to let go;
	// 0 is one second.
	LockTimeout time.Duration
}

const (
	format      = "2" // of the layout in doc.go
	unsealed    = "1" // the one before: its values of accounts have no checksums
	lockTimeout = time.Second
)

// The buckets and the key that every file has.
var (
	bucketMeta     = []byte("meta")
	bucketAccounts = []byte("accounts")
	bucketOwners   = []byte("owners")
	bucketDays     = []byte("days") // made with its first day
	bucketEvents   = []byte("events")
	bucketBodies   = []byte("bodies")
	bucketParked   = []byte("parked")
	bucketEnds     = []byte("ends")
	keyFormat      = []byte("format")
)

// Open opens the store in the file at path, and creates the file (mode 0600)
// and the directories above it (0700) where they are missing. A file has one
// holder at a time: a second Open, in this process or another, fails once
// Options.LockTimeout is over. Every error names the path and wraps
// [store.ErrUnavailable].
//
// The caller must [Store.Close] it.
func Open(path string, opts Options) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, unavailable("find the store's file", err)
	}
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.LockTimeout <= 0 {
		opts.LockTimeout = lockTimeout
	}
	db, err := openFile(path, opts.LockTimeout)
	if err != nil {
		return nil, fmt.Errorf("%w: open store file %s: %w", store.ErrUnavailable, path, explain(err))
	}
	s := &Store{
		db: db, path: path, clock: opts.Clock, log: opts.Logger, holds: newHolds(),
		queue: make(chan *operation, maxQueue), drained: make(chan struct{}),
	}
	s.watchers.Live() // nobody else writes the file
	go s.commitAll()
	return s, nil
}

// CheckPath says why no store file can be at a path. It opens nothing, so that it can
// be asked while another process has the file.
func CheckPath(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return errors.New("it is not a regular file")
	}
	for dir := filepath.Dir(path); err != nil; dir = filepath.Dir(dir) {
		if info, err = os.Stat(dir); err == nil && !info.IsDir() {
			return fmt.Errorf("%s is not a directory", dir)
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	return nil
}

func openFile(path string, timeout time.Duration) (db *bolt.DB, err error) {
	if err := CheckPath(path); err != nil {
		return nil, err
	}
	if err := makeDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	// A damaged file makes bbolt panic where its checks do not reach.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			db, err = nil, fmt.Errorf("%w: %v", berrors.ErrInvalid, r)
		}
	}()
	db, err = bolt.Open(path, 0o600, &bolt.Options{Timeout: timeout, FreelistType: bolt.FreelistMapType})
	if err != nil {
		return nil, err
	}
	// The directory is synced every time: who created the file may have died
	// before it did that.
	if err = prepare(db); err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// makeDir creates dir and what is missing above it, and makes it last.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	above := filepath.Dir(dir)
	if err := makeDir(above); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(above)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// prepare writes the layout into an empty file and refuses one that is not ours.
func prepare(db *bolt.DB) error {
	var found string
	empty, complete := true, false
	err := db.View(func(tx *bolt.Tx) error {
		if k, _ := tx.Cursor().First(); k != nil {
			empty = false
		}
		if meta := tx.Bucket(bucketMeta); meta != nil {
			found = string(meta.Get(keyFormat))
		}
		complete = tx.Bucket(bucketEnds) != nil
		return nil
	})
	switch {
	case err != nil:
		return err
	case empty:
		return db.Update(create)
	case found == "":
		return errors.New("it is a bbolt file, but not one of dodogate")
	case found == unsealed, found == format && !complete: // an earlier release must not write it any more
		return db.Update(func(tx *bolt.Tx) error {
			if _, err := tx.CreateBucketIfNotExists(bucketEnds); err != nil { // written before events had an end
				return err
			}
			return tx.Bucket(bucketMeta).Put(keyFormat, []byte(format))
		})
	case found != format:
		return fmt.Errorf("it has format %.20q, this version of dodogate knows %q", found, format)
	}
	return nil
}

func create(tx *bolt.Tx) error {
	for _, name := range [][]byte{bucketMeta, bucketAccounts, bucketOwners, bucketEvents, bucketBodies, bucketParked, bucketEnds} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	meta := tx.Bucket(bucketMeta)
	return errors.Join(meta.Put(keyFormat, []byte(format)), meta.Put(keyAdopted, []byte(adoptedAll)))
}

// explain says in plain words what bbolt and the system say in theirs.
func explain(err error) error {
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return fmt.Errorf("another process, or another handle of this one, holds the file; end that one, or give each its own: store bolt <file>: %w", err)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return fmt.Errorf("it is damaged, or not a bbolt file: %w", err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("it cannot be written: %w", err)
	}
	return err
}
