package redisstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/redisconn"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// oneReplica is a level that one replica must confirm, within a time that a busy machine has.
var oneReplica = redisconn.Durability{Level: redisconn.Replicas, Replicas: 1, Timeout: 300 * time.Millisecond}

// buys applies a payment as a webhook does: what is known changes nothing.
func buys(account, payment string, amount int64) store.Decision {
	c := give(account, payment, amount)
	return func(b *book.Book) error {
		known, err := b.Object(c.Object)
		if err != nil || known.Version > 0 {
			return err
		}
		_, err = b.Commit(c)
		return err
	}
}

// confirmed repeats what the store refuses for want of replicas until it does not, as Dodo does.
func confirmed(t *testing.T, do func() error) {
	t.Helper()
	for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		err := do()
		if err == nil {
			return
		}
		if !errors.Is(err, store.ErrUnavailable) || time.Since(begin) > patient {
			t.Error(err)
			return
		}
	}
}

// commandCalls is how often a server ran a command since the last reset.
func commandCalls(server *redistest.Server, command string) int {
	m := regexp.MustCompile(`cmdstat_` + command + `:calls=(\d+)`).FindStringSubmatch(server.MustDo("INFO", "commandstats"))
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// TestUnconfirmed: without a replica nothing is acknowledged, also not what is there from the
// first try. When the replica is back, what was asked for again is acknowledged, and has happened
// once.
func TestUnconfirmed(t *testing.T) {
	master := redistest.Start(t)
	replica := redistest.StartReplica(t, master)
	event := book.Event{ID: "msg_1", Type: "t", Body: []byte("body")}
	for _, c := range []struct {
		name   string
		before func(s *opened) error
		do     func(s *opened) error
		after  func(t *testing.T, s *opened)
	}{
		{
			name: "a purchase",
			do: func(s *opened) error {
				_, err := s.Update(t.Context(), "acc", buys("acc", "pay_1", 5))
				return err
			},
			after: func(t *testing.T, s *opened) { wantBalance(t, s, "acc", 5, 1) },
		},
		{
			name: "a webhook",
			do: func(s *opened) error {
				_, err := s.Receive(t.Context(), store.Delivery{Event: event, Object: payment("pay_1"), Account: "acc"}, buys("acc", "pay_1", 5))
				return err
			},
			after: func(t *testing.T, s *opened) { wantBalance(t, s, "acc", 5, 1) },
		},
		{
			name: "an event of nobody",
			do: func(s *opened) error {
				_, err := s.Record(t.Context(), event)
				return err
			},
		},
		{
			name: "an event that is parked",
			before: func(s *opened) error {
				_, err := s.Record(t.Context(), event)
				return err
			},
			do: func(s *opened) error {
				return s.Settle(t.Context(), book.Event{ID: "msg_1", State: book.EventParked, Object: "payment:p_1"}, book.Retention{})
			},
			after: func(t *testing.T, s *opened) {
				if events, _, err := s.Parked(t.Context(), "payment:p_1", "", 10); err != nil || len(events) != 1 {
					t.Errorf("parked are %v, %v", events, err)
				}
			},
		},
		{
			name: "a claim",
			do: func(s *opened) error {
				_, err := s.Claim(t.Context(), payment("pay_1"), "acc")
				return err
			},
		},
		{
			name: "a hold", before: func(s *opened) error {
				_, err := s.Update(t.Context(), "acc", buys("acc", "pay_1", 5))
				return err
			},
			do: func(s *opened) error {
				held, err := s.Hold(t.Context(), book.Hold{Account: "acc", ID: "h", By: "b", Amount: 2, TTL: time.Hour})
				if err == nil && held.Outcome != book.HoldPlaced {
					return fmt.Errorf("it is %s", held.Outcome)
				}
				return err
			},
			after: func(t *testing.T, s *opened) {
				if a, err := s.Account(t.Context(), "acc"); err != nil || a.Ledger.Available(time.Now()) != 3 {
					t.Errorf("%+v, %v", a, err)
				}
			},
		},
		{
			name: "a capture", before: func(s *opened) error {
				_, err := s.Update(t.Context(), "acc", buys("acc", "pay_1", 5))
				if err == nil {
					_, err = s.Hold(t.Context(), book.Hold{Account: "acc", ID: "h", Amount: 2, TTL: time.Hour})
				}
				return err
			},
			do: func(s *opened) error {
				done, err := s.End(t.Context(), book.End{Account: "acc", ID: "h", Captured: 2})
				if err == nil && (!done.Found || done.Captured != 2) {
					return fmt.Errorf("%+v", done)
				}
				return err
			},
			after: func(t *testing.T, s *opened) { wantBalance(t, s, "acc", 3, 2) },
		},
		{
			name: "a note",
			do: func(s *opened) error {
				_, err := s.Note(t.Context(), "site", "", "site_1")
				return err
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, redisstore.Options{URL: master.URL(), KeyPrefix: fmt.Sprint("test", prefixes.Add(1), ":"), Durability: oneReplica})
			if c.before != nil {
				confirmed(t, func() error { return c.before(s) })
			}
			replica.Freeze()
			defer replica.Thaw()
			for range 2 {
				if err := c.do(s); !errors.Is(err, store.ErrNotDurable) || !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "0 of 1 replicas") {
					t.Errorf("without a replica: %v", err)
				}
			}
			if _, err := s.Account(t.Context(), "acc"); err != nil {
				t.Errorf("a view waits for replicas: %v", err)
			}
			replica.Thaw()
			confirmed(t, func() error { return c.do(s) })
			if c.after != nil {
				c.after(t, s)
			}
		})
	}
}

// TestConfirmedAfterLostReply: a reply that was lost is no acknowledgement, and the repeat waits for
// replicas as well.
func TestConfirmedAfterLostReply(t *testing.T) {
	master := redistest.Start(t)
	replica := redistest.StartReplica(t, master)
	p := redistest.NewProxy(t, master)
	s := open(t, redisstore.Options{URL: p.URL(), Durability: oneReplica})
	for n := range int64(5) {
		p.LoseReplies(func(reply int) bool { return reply == 1 })
		confirmed(t, func() error {
			_, err := s.Update(t.Context(), "acc", buys("acc", fmt.Sprint("pay_", n), 1))
			return err
		})
		p.LoseReplies(nil)
		if seq := replica.MustDo("HGET", "dodogate:{acc}:account", "seq"); seq != fmt.Sprint(n+1) {
			t.Fatalf("acknowledged, and the replica has entry %q of %d", seq, n+1)
		}
	}
	wantBalance(t, s, "acc", 5, 5)
}

// TestConfirmedAtOnce: whatever is written together waits together, and what is only read, or
// written by a store that waits for nobody, does not wait.
func TestConfirmedAtOnce(t *testing.T) {
	master := redistest.Start(t)
	redistest.StartReplica(t, master)
	for level, durability := range map[string]redisconn.Durability{"local": {}, "replicas": {Level: redisconn.Replicas, Replicas: 1, Timeout: 10 * time.Second}} {
		t.Run(level, func(t *testing.T) {
			s := open(t, redisstore.Options{URL: master.URL(), KeyPrefix: level + ":", Durability: durability})
			const accounts = 300
			for range 2 { // the first time, scripts are loaded
				master.MustDo("CONFIG", "RESETSTAT")
				var callers sync.WaitGroup
				for i := range accounts {
					callers.Go(func() {
						id := fmt.Sprint("acc_", i)
						if _, err := s.Update(t.Context(), id, buys(id, fmt.Sprint("pay_", prefixes.Add(1)), 1)); err != nil {
							t.Error(err)
						}
					})
				}
				callers.Wait()
			}
			waits, scripts := commandCalls(master, "wait"), commandCalls(master, "evalsha")
			switch {
			case scripts < accounts:
				t.Errorf("%d scripts for %d accounts", scripts, accounts)
			case level == "local" && waits+commandCalls(master, "set") > 0:
				t.Errorf("local waits %d times", waits)
			case level != "local" && (waits == 0 || waits > accounts/2):
				t.Errorf("%d writes wait %d times", accounts, waits)
			}
			master.MustDo("CONFIG", "RESETSTAT")
			for i := range accounts {
				if _, err := s.Account(t.Context(), fmt.Sprint("acc_", i)); err != nil {
					t.Error(err)
				}
			}
			if n := commandCalls(master, "wait"); n > 0 {
				t.Errorf("%d views wait %d times", accounts, n)
			}
		})
	}
}

// TestConfirmedFailOver: what was acknowledged survives the death of the master, and what was not
// can be asked for again. Nothing happens twice.
func TestConfirmedFailOver(t *testing.T) {
	master := redistest.Start(t)
	replica := redistest.StartReplica(t, master)
	sentinel := redistest.StartSentinel(t, master, "money")
	sentinel.KnowsReplicas("1")
	s := open(t, redisstore.Options{URL: sentinel.URL() + "?master_name=money", Timeout: quick, Durability: oneReplica})
	var replaced atomic.Int64
	s.store.OnReplaced(func() { replaced.Add(1) })
	w := watch(t, s)

	const accounts = 8
	acknowledged := make([]int64, accounts) // purchases of each, less charges
	asked := make([]int64, accounts)
	var callers sync.WaitGroup
	var over atomic.Bool
	var done atomic.Int64
	for i := range accounts {
		id := fmt.Sprint("acc_", i)
		callers.Go(func() {
			for n := 0; !over.Load() || n < 20; n++ {
				pay := fmt.Sprint("pay_", n)
				confirmed(t, func() error {
					_, err := s.Update(t.Context(), id, buys(id, pay, 10))
					return err
				})
				acknowledged[i] += 10
				hold := book.Hold{Account: id, ID: "charge:" + pay, By: "b", Amount: 1, TTL: time.Hour}
				confirmed(t, func() error {
					_, err := s.Hold(t.Context(), hold)
					return err
				})
				confirmed(t, func() error {
					ended, err := s.End(t.Context(), book.End{Account: id, ID: hold.ID, By: "b", Captured: 1, Keep: time.Hour})
					if err == nil && !ended.Found {
						t.Errorf("the hold of an acknowledged charge is lost: %s", hold.ID)
					}
					return err
				})
				acknowledged[i]--
				asked[i] = int64(n + 1)
				done.Add(1)
			}
		})
	}
	eventually(t, func() error {
		if n := done.Load(); n < 5*accounts {
			return fmt.Errorf("%d charges", n)
		}
		return nil
	})
	master.Kill()
	// Nothing is acknowledged before there is a replica again.
	eventually(t, func() error {
		if info := replica.MustDo("INFO", "replication"); !strings.Contains(info, "role:master") {
			return errors.New(info)
		}
		return nil
	})
	redistest.StartReplica(t, replica)
	over.Store(true)
	callers.Wait()
	for i := range accounts {
		wantBalance(t, s, fmt.Sprint("acc_", i), acknowledged[i], int(2*asked[i]))
	}
	eventually(t, func() error {
		if replaced.Load() == 0 {
			return errors.New("nobody is told that another server has taken over")
		}
		return nil
	})
	w.Await(t, func(told []string) bool { return slices.Contains(told, "lost") })
}

// TestReplacedIsTold: a server that is restarted, or that another one replaces, is told, and
// watchers forget what they know; a connection that only broke is not.
func TestReplacedIsTold(t *testing.T) {
	server := redistest.Start(t)
	for _, name := range []string{"with INFO", "without"} {
		t.Run(name, func(t *testing.T) {
			url := server.URL()
			if name != "with INFO" {
				url = restricted(t, server, "-info")
			}
			var log bytes.Buffer
			s := open(t, redisstore.Options{URL: url, Timeout: quick, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			told := make(chan struct{}, 100)
			s.store.OnReplaced(func() { told <- struct{}{} })
			w := watch(t, s)
			if name == "with INFO" { // without it nobody knows
				server.MustDo("CLIENT", "KILL", "TYPE", "pubsub")
				w.Await(t, func(told []string) bool { return slices.Equal(told, []string{"live", "lost", "live"}) })
				server.MustDo("CONFIG", "RESETSTAT")
				own := 0
				eventually(t, func() error { // until it has looked
					if own++; commandCalls(server, "info") <= own+1 {
						return errors.New("it does not look")
					}
					return nil
				})
				if len(told) > 0 {
					t.Error("a connection that broke is taken for another server")
				}
			}
			server.Restart()
			if name != "with INFO" {
				restricted(t, server, "-info")
			}
			select {
			case <-told:
			case <-time.After(patient):
				t.Fatal("nobody was told")
			}
			w.AwaitLast(t, "live")
		})
	}
}

// TestOpenDurability: a server that cannot give the level is refused, and the log says when a
// fail-over may lose something.
func TestOpenDurability(t *testing.T) {
	const loses, few = "a fail-over may lose", "fewer replicas than durability wants"
	alone := redistest.Start(t)
	master := redistest.Start(t)
	redistest.StartReplica(t, master)
	guarded := redistest.Start(t, "--min-replicas-to-write", "1")
	redistest.StartReplica(t, guarded)
	sentinel := redistest.StartSentinel(t, redistest.Start(t), "money")
	for name, c := range map[string]struct {
		url        string
		durability redisconn.Durability
		want       string // in the log; "" is neither
	}{
		"alone":             {url: alone.URL()},
		"a replica":         {url: master.URL(), want: loses},
		"min-replicas":      {url: guarded.URL()},
		"a Sentinel":        {url: sentinel.URL() + "?master_name=money", want: loses},
		"a level":           {url: master.URL(), durability: oneReplica},
		"too few":           {url: alone.URL(), durability: oneReplica, want: few},
		"min-replicas also": {url: guarded.URL(), durability: oneReplica},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			open(t, redisstore.Options{URL: c.url, Durability: c.durability, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			for _, warning := range []string{loses, few} {
				if got := strings.Count(log.String(), warning); got != map[bool]int{true: 1}[warning == c.want] {
					t.Errorf("%q is there %d times in %s", warning, got, log.String())
				}
			}
		})
	}
	fsync := redisconn.Durability{Level: redisconn.Fsync, Timeout: time.Second}
	if strings.HasPrefix(redisVersion(alone), "7.0.") {
		refuses(t, redisstore.Options{URL: alone.URL(), Durability: fsync}, "does not have the commands WAITAOF", "durability fsync needs Redis 7.2 or newer")
	} else {
		open(t, redisstore.Options{URL: alone.URL(), Durability: fsync})
		refuses(t, redisstore.Options{URL: redistest.Start(t, "--appendonly", "no").URL(), Durability: fsync}, "appendonly")
	}
	refuses(t, redisstore.Options{URL: restricted(t, master, "-wait"), Durability: oneReplica}, "forbids the commands WAIT;")
	open(t, redisstore.Options{URL: restricted(t, master, "+wait"), Durability: oneReplica})
}

func redisVersion(server *redistest.Server) string {
	return regexp.MustCompile(`redis_version:(\S+)`).FindStringSubmatch(server.MustDo("INFO", "server"))[1]
}

// TestConfirmedInCluster: each master waits for replicas of its own, and one that has none concerns
// only its accounts.
func TestConfirmedInCluster(t *testing.T) {
	nodes := redistest.StartCluster(t, 2)
	redistest.StartClusterReplica(t, nodes[0])
	s := open(t, redisstore.Options{URL: nodes[0].URL() + "?cluster=true", Durability: oneReplica})
	at := func(node int) (account string) { // one that lives there
		for n := 0; ; n++ {
			account = fmt.Sprint("acc_", n)
			slot, _ := strconv.Atoi(nodes[0].MustDo("CLUSTER", "KEYSLOT", "dodogate:{"+account+"}:account"))
			if (slot >= 8192) == (node == 1) {
				return account
			}
		}
	}
	for range 2 {
		confirmed(t, func() error {
			_, err := s.Update(t.Context(), at(0), buys(at(0), "pay_1", 5))
			return err
		})
		if _, err := s.Update(t.Context(), at(1), buys(at(1), "pay_1", 5)); !errors.Is(err, store.ErrNotDurable) {
			t.Errorf("without a replica: %v", err)
		}
	}
	wantBalance(t, s, at(0), 5, 1)
	for _, node := range nodes {
		keys := slices.DeleteFunc(strings.Split(node.MustDo("KEYS", "*"), "\n"), func(key string) bool { return strings.Contains(key, "{acc_") || key == "" })
		if len(keys) > 0 {
			t.Errorf("keys are left: %q", keys)
		}
	}
}
