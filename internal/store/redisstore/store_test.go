package redisstore_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/store/storetest"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// prefixes keeps the stores of one server apart.
var prefixes atomic.Int64

// patient is a timeout for tests that are not about it, on a busy machine.
const patient = 20 * time.Second

func TestConformance(t *testing.T) {
	server := redistest.Start(t)
	storetest.Run(t, func(t *testing.T, clock func() time.Time) store.Store {
		return open(t, redisstore.Options{URL: server.URL(), KeyPrefix: fmt.Sprint("test", prefixes.Add(1), ":"), Clock: clock}).Client
	})
}

func TestConformanceCluster(t *testing.T) {
	nodes := redistest.StartCluster(t, 3)
	storetest.Run(t, func(t *testing.T, clock func() time.Time) store.Store {
		return open(t, redisstore.Options{
			URL: nodes[0].URL() + "?cluster=true", KeyPrefix: fmt.Sprint("test", prefixes.Add(1), ":"), Clock: clock,
		})
	})
}

// TestPlainClientOfACluster: a client that cannot know of the Cluster, because a proxy hides it for
// example, does in two steps what it cannot do in one.
func TestPlainClientOfACluster(t *testing.T) {
	node := redistest.StartCluster(t, 1)[0]
	node.MustDo("ACL", "SETUSER", "proxied", "on", ">"+secret, "~*", "&*", "+@all", "-info")
	url := strings.Replace(node.URL(), "redis://", "redis://proxied:"+secret+"@", 1)
	for name, do := range map[string]func(t *testing.T, s *opened, n int64){
		"an order gets its session": func(t *testing.T, s *opened, n int64) {
			key := book.Key{Hash: fmt.Sprint("h", n), Fingerprint: "f", Lease: time.Minute, Keep: time.Hour}
			o := order(fmt.Sprint("ord_", n))
			creates(o.ID, key, book.Created, o.ID)(t, s)
			o.SessionID = fmt.Sprint("cks_", n)
			if err := s.OpenOrder(t.Context(), o, key); err != nil {
				t.Fatal(err)
			}
			creates("another", key, book.Replayed, o.ID)(t, s)
			session := entitlement.Ref{Kind: entitlement.KindSession, ID: o.SessionID}
			if owner, err := s.Owner(t.Context(), session); err != nil || owner != "acc" {
				t.Errorf("the session is %q's, %v", owner, err)
			}
		},
		"an event is settled by a commit": func(t *testing.T, s *opened, n int64) {
			e := book.Event{ID: fmt.Sprint("msg_", n), Type: "t", Body: []byte("body")}
			e, err := s.Record(t.Context(), e)
			if err != nil {
				t.Fatal(err)
			}
			e.State = book.EventApplied
			c := give("acc", fmt.Sprint("pay_", n), 5)
			c.Settle = &book.Settlement{Event: e}
			if _, err := s.Commit(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if e, err := s.Event(t.Context(), e.ID); err != nil || e.State != book.EventApplied {
				t.Errorf("the event is %s, %v", e.State, err)
			}
			wantBalance(t, s, "acc", 5*n, int(n))
		},
		"an event is received": func(t *testing.T, s *opened, n int64) { receives(n)(t, s) },
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, redisstore.Options{URL: url, KeyPrefix: fmt.Sprint("test", prefixes.Add(1), ":")})
			do(t, s, 1) // and finds out
			do(t, s, 2) // and knows
		})
	}
}

// TestSentinel: the store follows the master that the Sentinel names.
func TestSentinel(t *testing.T) {
	master := redistest.Start(t)
	host, port, _ := net.SplitHostPort(master.Addr)
	replica := redistest.Start(t, "--replicaof", host+" "+port)
	sentinel := redistest.StartSentinel(t, master, "money")
	eventually(t, func() error { // until the Sentinel has found the replica
		if info := sentinel.MustDo("INFO", "sentinel"); !strings.Contains(info, "status=ok") || !strings.Contains(info, "slaves=1") {
			return errors.New(info)
		}
		return nil
	})
	s := open(t, redisstore.Options{URL: sentinel.URL() + "?master_name=money", Timeout: 500 * time.Millisecond})
	if _, err := s.Commit(t.Context(), give("acc", "pay_1", 5)); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { // replication does not wait for us
		if _, err := replica.Do("GET", "x"); err != nil || replica.MustDo("EXISTS", "dodogate:{acc}:account") != "1" {
			return fmt.Errorf("not replicated, %w", err)
		}
		return nil
	})
	master.Kill()
	if _, err := s.Commit(t.Context(), give("acc", "pay_2", 5)); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("commit without a master: %v", err)
	}
	eventually(t, func() error {
		_, err := s.Commit(t.Context(), give("acc", "pay_3", 5))
		if errors.Is(err, store.ErrConflict) { // an earlier try went through
			return nil
		}
		return err
	})
	wantBalance(t, s, "acc", 10, 2)
}

// open opens a store and closes it when the test ends.
func open(t *testing.T, opts redisstore.Options) *opened {
	t.Helper()
	if opts.Timeout == 0 {
		opts.Timeout = patient
	}
	s, err := dial(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func BenchmarkCommit(b *testing.B) {
	for _, fsync := range []string{"everysec", "always"} {
		for _, callers := range []int{1, 64} {
			b.Run(fmt.Sprintf("appendfsync=%s/callers=%d", fsync, callers), func(b *testing.B) {
				server := redistest.Start(b, "--appendfsync", fsync)
				s, err := dial(b.Context(), redisstore.Options{URL: server.URL(), Timeout: patient})
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				work := make(chan int)
				var all sync.WaitGroup
				for range callers {
					all.Go(func() {
						for i := range work {
							if _, err := s.Commit(b.Context(), give(fmt.Sprint("acc_", i%1000), fmt.Sprint(i), 1)); err != nil {
								b.Error(err)
							}
						}
					})
				}
				b.ResetTimer()
				for i := range b.N {
					work <- i
				}
				close(work)
				all.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
			})
		}
	}
}
