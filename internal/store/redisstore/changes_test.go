package redisstore_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/store/storetest"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// quick is a timeout for tests that wait for it to pass.
const quick = 300 * time.Millisecond

// watch watches a store until the test ends.
func watch(t *testing.T, s *opened) *storetest.Watched {
	t.Helper()
	w := storetest.NewWatched()
	t.Cleanup(s.Watch(w))
	w.AwaitLast(t, "live")
	return w
}

// TestChangesAcrossStores: a store hears of the changes that another one makes.
func TestChangesAcrossStores(t *testing.T) {
	server := redistest.Start(t)
	one := open(t, redisstore.Options{URL: server.URL()})
	other := open(t, redisstore.Options{URL: server.URL()})
	stranger := open(t, redisstore.Options{URL: server.URL(), KeyPrefix: "dodogate:2:"})
	w, silent := watch(t, one), watch(t, stranger)
	if _, err := other.Commit(t.Context(), give("{acc}", "pay_1", 1)); err != nil {
		t.Fatal(err)
	}
	w.AwaitLast(t, `"{acc}" 1`)
	if told := silent.Told(); len(told) != 1 {
		t.Errorf("a store with another prefix hears %q", told)
	}
}

// logged is a log that is read while it is written.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *logged) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), text)
}

// TestSubscriptionLost: whatever happens to the connection, the watcher is told,
// and not told that all is well before it is.
func TestSubscriptionLost(t *testing.T) {
	for name, f := range map[string]struct{ begin, end func(*redistest.Server) }{
		"the connection is killed": {begin: func(s *redistest.Server) { s.MustDo("CLIENT", "KILL", "TYPE", "pubsub") }},
		"the server is restarted":  {begin: func(s *redistest.Server) { s.Restart() }},
		"the server is gone":       {begin: (*redistest.Server).Kill, end: (*redistest.Server).Restart},
		"the server hangs":         {begin: (*redistest.Server).Freeze, end: (*redistest.Server).Thaw},
		"the server is loading": {
			begin: func(s *redistest.Server) { s.MustDo("CLIENT", "PAUSE", "2500", "ALL") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t, "--appendfsync", "always")
			var log logged
			s := open(t, redisstore.Options{URL: server.URL(), Timeout: quick, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			w := watch(t, s)
			f.begin(server)
			w.Await(t, func(told []string) bool { return slices.Contains(told, "lost") })
			if f.end != nil {
				if told := w.Told(); told[len(told)-1] != "lost" {
					t.Errorf("told %q while the server is away", told)
				}
				f.end(server)
			}
			w.AwaitLast(t, "live")
			if lost, again := log.has("not heard for now"), log.has("heard again"); !lost || !again {
				t.Errorf("the log says that changes are lost: %v, that they are back: %v", lost, again)
			}
			// On a busy machine the subscription may be lost once more meanwhile.
			n := 0
			eventually(t, func() error {
				n++
				if _, err := s.Commit(t.Context(), give("acc", fmt.Sprint("pay_", n), 1)); err != nil {
					return err
				}
				if told := w.Told(); !slices.ContainsFunc(told, func(s string) bool { return strings.HasPrefix(s, `"acc" `) }) {
					return fmt.Errorf("told %q", told)
				}
				return nil
			})
			if told := w.Told(); !slices.Equal(told[:3], []string{"live", "lost", "live"}) {
				t.Errorf("told %q", told)
			}
		})
	}
}

// TestSubscriptionUnconfirmed: what the server has not confirmed does not count.
func TestSubscriptionUnconfirmed(t *testing.T) {
	server := redistest.Start(t)
	p := redistest.NewProxy(t, server)
	s := open(t, redisstore.Options{URL: p.URL(), Timeout: quick})
	var lost atomic.Int64
	p.LoseReplies(func(int) bool { lost.Add(1); return true })
	w := storetest.NewWatched()
	t.Cleanup(s.Watch(w))
	eventually(t, func() error {
		if n := lost.Load(); n < 5 {
			return fmt.Errorf("only %d replies were lost", n)
		}
		return nil
	})
	if told := w.Told(); len(told) != 0 {
		t.Fatalf("told %q", told)
	}
	p.LoseReplies(nil)
	w.AwaitLast(t, "live")
}

// TestNothingMissedUnnoticed keeps a copy of counts by what a watcher is told
// while its connection is killed again and again: whenever it is live it must
// come to what the store has.
func TestNothingMissedUnnoticed(t *testing.T) {
	server := redistest.Start(t)
	writer := open(t, redisstore.Options{URL: server.URL()})
	s := open(t, redisstore.Options{URL: server.URL(), Timeout: quick})
	c := &counts{revs: make(map[string]int64)}
	t.Cleanup(s.Watch(c))
	accounts := []string{"a", "b", "c"}
	var writers sync.WaitGroup
	for _, account := range accounts {
		writers.Go(func() {
			for n := range 400 {
				if _, err := writer.Commit(t.Context(), give(account, fmt.Sprint("pay_", n), 1)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	over := make(chan struct{})
	go func() { writers.Wait(); close(over) }()
	for done := false; !done; {
		select {
		case <-over:
			done = true
		case <-time.After(15 * time.Millisecond):
			server.MustDo("CLIENT", "KILL", "TYPE", "pubsub")
		}
		c.read(t, s, accounts)
	}
	eventually(t, func() error {
		c.read(t, s, accounts)
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, account := range accounts {
			if !c.live || c.revs[account] != 400 {
				return fmt.Errorf("live %v after %d times, and the copy is %v", c.live, c.lives, c.revs)
			}
		}
		return nil
	})
	if c.lives < 3 {
		t.Fatalf("the subscription was live only %d times", c.lives)
	}
}

// counts is a watcher's copy of how often accounts changed.
type counts struct {
	mu    sync.Mutex
	live  bool
	fresh bool // the copy was read since it is live
	lives int
	revs  map[string]int64
}

func (c *counts) Changed(account string, rev int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live {
		c.revs[account] = max(c.revs[account], rev)
	}
}

func (c *counts) Live() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live, c.fresh = true, false
	c.lives++
}

func (c *counts) Lost() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live = false
	clear(c.revs)
}

// read reads what the copy begins with.
func (c *counts) read(t *testing.T, s *opened, accounts []string) {
	t.Helper()
	c.mu.Lock()
	life, needed := c.lives, c.live && !c.fresh
	c.mu.Unlock()
	if !needed {
		return
	}
	for _, account := range accounts {
		a, err := s.Account(t.Context(), account)
		if err != nil {
			t.Fatal(err)
		}
		c.mu.Lock()
		if c.live && c.lives == life {
			c.revs[account] = max(c.revs[account], a.Rev)
			c.fresh = true
		}
		c.mu.Unlock()
	}
}

// TestChangesCluster: whatever node has an account, and whatever node the
// subscription is at, and when that is gone, at another.
func TestChangesCluster(t *testing.T) {
	nodes := redistest.StartCluster(t, 3)
	s := open(t, redisstore.Options{URL: nodes[0].URL() + "?cluster=true", Timeout: 2 * time.Second})
	w := watch(t, s)
	for i := range 30 { // some on each node
		if _, err := s.Commit(t.Context(), give(fmt.Sprint("acc_", i), "pay_1", 1)); err != nil {
			t.Fatal(err)
		}
	}
	w.Await(t, func(told []string) bool { return len(told) == 31 })
	for _, node := range nodes {
		node.MustDo("CLIENT", "KILL", "TYPE", "pubsub")
	}
	w.Await(t, func(told []string) bool { return slices.Equal(told[31:], []string{"lost", "live"}) })
}

// TestChangesSentinel: the subscription follows the master.
func TestChangesSentinel(t *testing.T) {
	master := redistest.Start(t)
	host, port, _ := net.SplitHostPort(master.Addr)
	redistest.Start(t, "--replicaof", host+" "+port)
	sentinel := redistest.StartSentinel(t, master, "money")
	eventually(t, func() error {
		if info := sentinel.MustDo("INFO", "sentinel"); !strings.Contains(info, "status=ok") || !strings.Contains(info, "slaves=1") {
			return errors.New(info)
		}
		return nil
	})
	s := open(t, redisstore.Options{URL: sentinel.URL() + "?master_name=money", Timeout: quick})
	w := watch(t, s)
	// The old master hangs instead of dying, so that nothing tells of its end.
	master.Freeze()
	w.AwaitLast(t, "lost")
	w.AwaitLast(t, "live")
	eventually(t, func() error {
		_, err := s.Commit(t.Context(), give("acc", "pay_1", 1))
		if errors.Is(err, store.ErrConflict) {
			return nil
		}
		return err
	})
	w.AwaitLast(t, `"acc" 1`)
}

// TestWatchClosed: a store that is closed says so, and ends its listener.
func TestWatchClosed(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Options{URL: server.URL()})
	w := watch(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	late := storetest.NewWatched()
	s.Watch(late)()
	s.Watch(late)
	if told := append(w.Told(), late.Told()...); !slices.Equal(told, []string{"live", "lost"}) {
		t.Errorf("told %q", told)
	}
}

// TestOpenWithoutChannels: an ACL that keeps us from telling of changes is found
// at the start and not by the first customer.
func TestOpenWithoutChannels(t *testing.T) {
	server := redistest.Start(t)
	server.MustDo("ACL", "SETUSER", "shop", "on", "nopass", "~dodogate:*", "+@all", "resetchannels")
	url := strings.Replace(server.URL(), "redis://", "redis://shop:x@", 1)
	_, err := dial(t.Context(), redisstore.Options{URL: url})
	if err == nil || errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "&dodogate:*") {
		t.Fatal(err)
	}
	server.MustDo("ACL", "SETUSER", "shop", "&dodogate:*")
	watch(t, open(t, redisstore.Options{URL: url}))
}
