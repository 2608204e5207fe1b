package httpapi_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// opener opens an empty store that lives by a clock.
type opener func(t *testing.T, clock *clock) opened

// eachStore runs a test against both stores.
func eachStore(t *testing.T, test func(t *testing.T, open opener)) {
	t.Helper()
	t.Run("bolt", func(t *testing.T) {
		t.Parallel()
		test(t, openBolt)
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		server, n := redistest.Start(t), 0
		test(t, func(t *testing.T, clock *clock) opened {
			n++
			return openRedis(t, server.URL(), fmt.Sprint("store", n, ":"), clock)
		})
	})
}

// memory is a directory that goes when t ends: in memory, where the system has a
// place for that. Nothing here is about disks, and for their fsync every test of
// the machine would wait.
func memory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "dodogate-test-") //nolint:usetesting // t.TempDir is on a disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// openRedis opens the store under a key prefix, with time enough for a machine
// that does other things too.
func openRedis(t *testing.T, url, prefix string, clock *clock) opened {
	t.Helper()
	s, err := redisstore.Open(t.Context(), redisstore.Options{URL: url, KeyPrefix: prefix, Timeout: 10 * time.Second, Clock: clock.Now})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return openStore(s)
}
