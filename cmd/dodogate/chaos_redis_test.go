package main

import (
	"encoding/binary"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// shim makes the disk and the clock of a Redis fail, see testdata/chaos/faults.c.
type shim struct {
	t    *testing.T
	file string
}

// newShim returns also the variables of the Redis. Without a C compiler there is none.
func newShim(t *testing.T) (*shim, []string) {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		cc, err = exec.LookPath("gcc")
	}
	if err != nil {
		t.Log("without a C compiler the disk and the clock of Redis never fail")
		return nil, nil
	}
	dir := t.TempDir()
	library := filepath.Join(dir, "faults.so")
	build := exec.CommandContext(t.Context(), cc, "-shared", "-fPIC", "-O2", "-o", library, "testdata/chaos/faults.c", "-ldl")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build, err, said)
	}
	s := &shim{t, filepath.Join(dir, "faults")}
	s.set(0, 0, 0)
	return s, []string{"LD_PRELOAD=" + library, "CHAOS_FAULTS=" + s.file}
}

// set sets how far the clock is ahead, and the errors of writes and fsyncs.
func (s *shim) set(ahead time.Duration, write, fsync syscall.Errno) {
	b := binary.NativeEndian.AppendUint64(nil, uint64(ahead.Microseconds()))
	b = binary.NativeEndian.AppendUint32(b, uint32(write))
	b = binary.NativeEndian.AppendUint32(b, uint32(fsync))
	f, err := os.OpenFile(s.file, os.O_CREATE|os.O_WRONLY, 0o600) // in place: Redis has it mapped
	if err == nil {
		_, err = f.WriteAt(b, 0)
		_ = f.Close()
	}
	if err != nil {
		s.t.Error(err)
	}
}

// singleRedis is one Redis that writes everything to its disk before it answers, behind a
// proxy that loses replies.
func singleRedis(c *chaos) (line string, faults []fault) {
	s, env := newShim(c.t)
	server := redistest.StartWith(c.t, env, "--appendfsync", "always")
	proxy := redistest.NewProxy(c.t, server)
	faults = []fault{
		{"redis-kill", func(*rand.Rand) {
			from := time.Now()
			server.Restart()
			c.well("redis-kill")
			c.outage(from)
		}},
		{"redis-stop", func(chance *rand.Rand) {
			from := time.Now()
			server.Freeze()
			pause(chance, 1500*time.Millisecond)
			server.Thaw()
			c.well("redis-stop")
			c.outage(from)
		}},
		{"replies-lost", func(chance *rand.Rand) {
			from := time.Now()
			every := 2 + chance.IntN(10)
			var replies atomic.Int64
			proxy.LoseReplies(func(int) bool { return replies.Add(1)%int64(every) == 0 })
			pause(chance, time.Second)
			proxy.LoseReplies(nil)
			c.well("replies-lost")
			c.outage(from)
		}},
	}
	if s != nil {
		// With appendfsync always, Redis ends when it cannot write.
		breaks := func(name string, write, fsync syscall.Errno) fault {
			return fault{name, func(chance *rand.Rand) {
				from := time.Now()
				s.set(0, write, fsync)
				pause(chance, time.Second)
				s.set(0, 0, 0)
				server.Restart()
				c.well(name)
				c.outage(from)
			}}
		}
		faults = append(faults, breaks("redis-disk-full", syscall.ENOSPC, 0), breaks("redis-fsync-fails", 0, syscall.EIO), c.clockSteps(s))
	}
	return "redis " + proxy.URL(), faults
}

// clockSteps lets a clock of Redis step, and step back. What was held runs out early, or late.
func (c *chaos) clockSteps(s *shim) fault {
	return fault{"redis-clock", func(chance *rand.Rand) {
		from := time.Now()
		s.set(time.Duration(chance.IntN(1200)-600)*time.Second, 0, 0)
		pause(chance, time.Second)
		s.set(0, 0, 0)
		c.forgets(from)
	}}
}

// well measures how long it takes, now that the store is well, until every gate charges
// every account that has enough.
func (c *chaos) well(after string) {
	from := time.Now()
	chance := rand.New(rand.NewPCG(c.seed, 3))
	for _, g := range c.gates {
		if !g.mu.TryLock() {
			continue // something happens to it
		}
		for i := range chaosRich {
			for c.charge(chance, g, rich(i), "/paid/ok", "") != http.StatusOK {
				if time.Since(from) > time.Minute {
					c.t.Errorf("a minute after %s a gate does not charge", after)
					break
				}
				time.Sleep(5 * time.Millisecond)
			}
		}
		g.mu.Unlock()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recovered[after] = max(c.recovered[after], time.Since(from))
}
