package boltstore_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/boltstore"
)

func TestOpenCreatesPrivateFile(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	path := filepath.Join(t.TempDir(), "a", "b", "dodogate.db")
	open(t, path, boltstore.Options{})
	for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700, filepath.Dir(filepath.Dir(path)): 0o700} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", name, got, want)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	write := func(t *testing.T, path, content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		make func(t *testing.T, path string) // what is at path, or above it
		want string
	}{
		{"a directory", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "it is not a regular file"},
		{"a pipe", func(t *testing.T, path string) {
			if err := syscall.Mkfifo(path, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "it is not a regular file"},
		{"text", func(t *testing.T, path string) { write(t, path, strings.Repeat("this is no database\n", 1000)) }, "it is damaged, or not a bbolt file"},
		{"a short file", func(t *testing.T, path string) { write(t, path, "x") }, "it is damaged, or not a bbolt file"},
		{"zeros", func(t *testing.T, path string) { write(t, path, strings.Repeat("\x00", 1<<16)) }, "it is damaged, or not a bbolt file"},
		{"someone else's bbolt file", func(t *testing.T, path string) { edit(t, path, "theirs", "k", "v") }, "not one of dodogate"},
		{"a later format", func(t *testing.T, path string) { edit(t, path, "meta", "format", "3") }, `it has format "3", this version of dodogate knows "2"`},
		{"a truncated store", func(t *testing.T, path string) {
			fill(t, path)
			if err := os.Truncate(path, 8192); err != nil {
				t.Fatal(err)
			}
		}, "it is damaged, or not a bbolt file"},
		{"both meta pages gone", func(t *testing.T, path string) {
			fill(t, path)
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.Write(make([]byte, 8192)); err != nil {
				t.Fatal(err)
			}
		}, "it is damaged, or not a bbolt file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "dodogate.db")
			c.make(t, path)
			refused(t, path, c.want)
		})
	}
}

func TestOpenUnderFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, filepath.Join(file, "dodogate.db"), "not a directory")
}

// refused opens a path that must not open, with an error that says why.
func refused(t *testing.T, path, want string) {
	t.Helper()
	s, err := dial(path, boltstore.Options{LockTimeout: 20 * time.Millisecond})
	if err == nil {
		_ = s.Close()
		t.Fatal("opened")
	}
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
		t.Fatalf("error is %q, want %q and the path in it", err, want)
	}
}

func edit(t *testing.T, path, bucket, key, value string) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(bucket))
		if err != nil {
			return err
		}
		return b.Put([]byte(key), []byte(value))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// fill makes a store with something in it.
func fill(t *testing.T, path string) {
	t.Helper()
	s, err := dial(path, boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if err := give(t.Context(), s, "acc", i); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOpenTwiceSaysThatItIsHeld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dodogate.db")
	open(t, path, boltstore.Options{})
	begin := time.Now()
	refused(t, path, "another process, or another handle of this one, holds the file")
	if took := time.Since(begin); took > time.Second {
		t.Errorf("took %v", took)
	}
}

func TestOpenHeldByAnotherProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dodogate.db")
	child := startChild(t, "hold", path)
	child.line(t) // it says that it has opened the file
	refused(t, path, "another process, or another handle of this one, holds the file")
	child.kill(t)
	open(t, path, boltstore.Options{})
}

// TestOpenWithoutPermission runs as somebody who may not write, because root
// always may.
func TestOpenWithoutPermission(t *testing.T) {
	dir, err := os.MkdirTemp("", "dodogate") //nolint:usetesting // t.TempDir is not readable for others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	binary := filepath.Join(dir, "test")
	if out, err := exec.Command("cp", os.Args[0], binary).CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	path := filepath.Join(dir, "closed", "dodogate.db")
	fill(t, path)
	for name, mode := range map[string]os.FileMode{path: 0o444, filepath.Dir(path): 0o555, dir: 0o755} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Dir(path), 0o700) })
	for name, path := range map[string]string{
		"an old file": path,
		"a new file":  filepath.Join(dir, "closed", "new.db"),
		"a new place": filepath.Join(dir, "closed", "new", "new.db"),
	} {
		t.Run(name, func(t *testing.T) {
			cmd := childCommand(binary, "open", path)
			if os.Geteuid() == 0 {
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			}
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "it cannot be written") || !strings.Contains(string(out), path) {
				t.Fatalf("%v, %s", err, out)
			}
		})
	}
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dodogate.db")
	fill(t, path)
	s := open(t, path, boltstore.Options{})
	if n := len(entries(t, s, "acc")); n != 200 {
		t.Fatalf("%d entries after reopening, want 200", n)
	}
}

// TestReopenWithMonthsToCome: a grant that has not begun is there after a restart, and
// begins.
func TestReopenWithMonthsToCome(t *testing.T) {
	path, at := filepath.Join(t.TempDir(), "dodogate.db"), time.Now()
	s, err := dial(path, boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Commit(t.Context(), book.Commit{
		Account: "acc", Object: entitlement.Ref{Kind: entitlement.KindSubscription, ID: "s"}, State: []byte("{}"),
		Effect: entitlement.Effect{Grants: []ledger.Target{{ID: "a", Amount: 7, StartsAt: at.Add(time.Hour)}}},
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	a, err := open(t, path, boltstore.Options{}).Account(t.Context(), "acc")
	if err != nil || a.Ledger.Available(at) != 0 || a.Ledger.Available(at.Add(2*time.Hour)) != 7 {
		t.Errorf("after reopening it is %+v, %v", a, err)
	}
}
