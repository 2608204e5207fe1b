// Package freeport finds ports for the servers that tests and benchmarks start.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The ports to choose from. Those above are what systems give to outgoing
// connections: one that is free now may be taken by the next connection of
// another test, before the server listens.
const (
	lowest  = 15000
	highest = 32000
)

// reserved is for how long a port is nobody else's after Find, whatever process asks: until
// its server listens, and where a test has nobody listen at all.
const reserved = 10 * time.Minute

// Get returns a port of 127.0.0.1 on which nobody listens. It is the test's until the end.
func Get(t testing.TB) string {
	t.Helper()
	port, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(mark(port)) })
	return port
}

// Find is Get outside of tests.
func Find() (string, error) {
	for range 100 {
		port := fmt.Sprint(lowest + rand.IntN(highest-lowest)) //nolint:gosec // nobody gains by guessing
		if !reserve(port) {
			continue
		}
		l, err := net.Listen("tcp", "127.0.0.1:"+port) //nolint:noctx // nothing to wait for
		if err != nil {
			continue
		}
		_ = l.Close()
		return port, nil
	}
	return "", errors.New("found no free port")
}

// mark is the file that says that a port is somebody's.
func mark(port string) string { return filepath.Join(os.TempDir(), "dodogate-ports", port) }

// reserve takes a port that nobody has reserved, or did so long ago.
func reserve(port string) bool {
	name := mark(port)
	if info, err := os.Stat(name); err == nil && time.Since(info.ModTime()) > reserved {
		_ = os.Remove(name)
	}
	if os.MkdirAll(filepath.Dir(name), 0o700) != nil {
		return true // without a place for marks it goes by luck
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return !errors.Is(err, os.ErrExist)
	}
	_ = f.Close()
	return true
}
