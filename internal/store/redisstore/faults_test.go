package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// slack is what a busy machine may add to a timeout.
const slack = 2 * time.Second

// fault is a state of the server in which nothing can be written.
type fault struct {
	name  string
	args  []string // of the server
	begin func(t *testing.T, server *redistest.Server)
	end   func(t *testing.T, server *redistest.Server)
	want  string // in the error
	reads bool   // whether reading goes on
	maybe bool   // whether what was asked may be done later
	hangs bool   // whether the timeout alone tells of it
}

var faults = []fault{
	{name: "full memory", reads: true, want: "OOM",
		begin: command("CONFIG", "SET", "maxmemory", "1"), end: command("CONFIG", "SET", "maxmemory", "0")},
	{name: "a replica", reads: true, want: "READONLY",
		begin: command("REPLICAOF", "127.0.0.1", "1"), end: command("REPLICAOF", "NO", "ONE")},
	{name: "a disk that fails", reads: true, want: "MISCONF", begin: failSaving,
		end: func(t *testing.T, server *redistest.Server) {
			command("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")(t, server)
			command("CONFIG", "SET", "save", "")(t, server)
		}},
	{name: "a script that does not end", want: "BUSY", args: []string{"--busy-reply-threshold", "50"},
		begin: func(t *testing.T, server *redistest.Server) {
			go func() { _, _ = server.Do("EVAL", "while true do end", "0") }()
			until(t, server, "BUSY")
		},
		end: func(t *testing.T, server *redistest.Server) {
			command("SCRIPT", "KILL")(t, server)
			until(t, server, "PONG")
		}},
	{name: "loading", want: "LOADING", args: []string{"--enable-debug-command", "yes", "--loading-process-events-interval-bytes", "1024"},
		begin: func(t *testing.T, server *redistest.Server) {
			command("DEBUG", "POPULATE", "20000", "filler", "100")(t, server)
			command("CONFIG", "SET", "key-load-delay", "1000")(t, server)
			go func() { _, _ = server.Do("DEBUG", "RELOAD") }()
			until(t, server, "LOADING")
		},
		end: func(t *testing.T, server *redistest.Server) {
			command("CONFIG", "SET", "key-load-delay", "0")(t, server)
			until(t, server, "PONG")
		}},
	{name: "no answer", want: "no answer in time", maybe: true, hangs: true,
		begin: func(_ *testing.T, server *redistest.Server) { server.Freeze() },
		end:   func(_ *testing.T, server *redistest.Server) { server.Thaw() }},
	{name: "killed", want: "refused",
		begin: func(_ *testing.T, server *redistest.Server) { server.Kill() },
		end:   func(_ *testing.T, server *redistest.Server) { server.Restart() }},
}

func command(args ...string) func(*testing.T, *redistest.Server) {
	return func(t *testing.T, server *redistest.Server) {
		t.Helper()
		server.MustDo(args...)
	}
}

// until waits for an answer to PING.
func until(t *testing.T, server *redistest.Server, want string) {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < 20*time.Second; time.Sleep(5 * time.Millisecond) {
		if reply, _ := server.Do("PING"); strings.HasPrefix(reply, want) {
			return
		}
	}
	t.Fatalf("redis does not say %s", want)
}

// failSaving puts a directory where the server wants to save.
func failSaving(t *testing.T, server *redistest.Server) {
	t.Helper()
	dir := strings.Split(server.MustDo("CONFIG", "GET", "dir"), "\n")[1]
	if err := os.MkdirAll(filepath.Join(dir, "dump.rdb", "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	server.MustDo("CONFIG", "SET", "save", "3600 1000000")
	server.MustDo("BGSAVE")
	for begin := time.Now(); time.Since(begin) < 20*time.Second; time.Sleep(5 * time.Millisecond) {
		if strings.Contains(server.MustDo("INFO", "persistence"), "rdb_last_bgsave_status:err") {
			return
		}
	}
	t.Fatal("redis saves all the same")
}

// TestFaults: every fault is ErrUnavailable, in time, and leaves everything as it
// was. What the server or the system says of it is told before the timeout, however long
// that is; else it would be the timeout that is told.
func TestFaults(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			server := redistest.Start(t, f.args...)
			timeout := patient
			if f.hangs {
				timeout = 800 * time.Millisecond
			}
			s := open(t, redisstore.Options{URL: server.URL(), Timeout: timeout})
			if _, err := s.Commit(t.Context(), give("acc", "pay_1", 5)); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Commit(t.Context(), give("holder", "pay_1", 5)); err != nil {
				t.Fatal(err)
			}
			if held, err := s.Hold(t.Context(), faultHold("h")); err != nil || held.Outcome != book.HoldPlaced {
				t.Fatal(held, err)
			}
			creates("a", key, book.Created, "a")(t, s)
			records(1)(t, s)

			f.begin(t, server)
			for name, err := range writeAll(t, s, timeout) {
				if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), f.want) {
					t.Errorf("%s: %v, want %s", name, err, f.want)
				}
			}
			for name, read := range map[string]func() error{
				"read":                           func() error { _, err := s.Account(t.Context(), "acc"); return err },
				"sign up of who is here already": func() error { _, err := s.SignUp(t.Context(), give("acc", "new", 5)); return err },
			} {
				if err := read(); (err == nil) != f.reads || (err != nil && !errors.Is(err, store.ErrUnavailable)) {
					t.Errorf("%s: %v", name, err)
				}
			}
			f.end(t, server)

			if f.maybe {
				return
			}
			eventually(t, func() error { return s.Ping(t.Context()) })
			wantBalance(t, s, "acc", 5, 1)
			if owner, err := s.Owner(t.Context(), payment("pay_2")); err != nil || owner != "" {
				t.Errorf("owner: %q, %v", owner, err)
			}
			creates("b", key, book.Running, "")(t, s)
			records(2)(t, s)
			if _, err := s.Commit(t.Context(), give("acc", "pay_2", 5)); err != nil {
				t.Error(err)
			}
			wantBalance(t, s, "acc", 10, 2)
			if done, err := s.End(t.Context(), faultEnd); err != nil || !done.Found || done.Captured != 2 {
				t.Errorf("end of the hold: %+v, %v", done, err)
			}
			wantBalance(t, s, "holder", 3, 2)
		})
	}
}

// faultHold is one of two credits.
func faultHold(id string) book.Hold {
	return book.Hold{Account: "holder", ID: id, By: "me", Amount: 2, TTL: time.Hour}
}

// faultEnd spends what faultHold("h") holds.
var faultEnd = book.End{Account: "holder", ID: "h", By: "me", Captured: 2}

// writeAll tries every kind of write and returns what each says. Dropping an
// order is none of them: it frees memory, and so a full server does it.
func writeAll(t *testing.T, s *opened, timeout time.Duration) map[string]error {
	t.Helper()
	opened := order("a")
	opened.SessionID = "cks_1"
	ctx := t.Context()
	said := make(map[string]error)
	for name, write := range map[string]func() error{
		"commit":       func() error { _, err := s.Commit(ctx, give("acc", "pay_2", 5)); return err },
		"sign up":      func() error { _, err := s.SignUp(ctx, give("acc2", "pay_2", 5)); return err },
		"hold":         func() error { _, err := s.Hold(ctx, faultHold("i")); return err },
		"renew hold":   func() error { _, err := s.Hold(ctx, faultHold("h")); return err },
		"end hold":     func() error { _, err := s.End(ctx, faultEnd); return err },
		"claim":        func() error { _, err := s.Claim(ctx, payment("pay_2"), "acc"); return err },
		"create order": func() error { _, _, err := s.CreateOrder(ctx, order("c"), book.Key{}); return err },
		"open order":   func() error { return s.OpenOrder(ctx, opened, key) },
		"record":       func() error { _, err := s.Record(ctx, book.Event{ID: "msg_1", Body: []byte("two")}); return err },
		"receive": func() error {
			_, err := s.Receive(ctx, store.Delivery{Event: book.Event{ID: "msg_1", Body: []byte("two")}, Object: payment("pay_2"), Account: "acc"}, nil)
			return err
		},
		"park": func() error {
			return s.Settle(ctx, book.Event{ID: "msg_1", State: book.EventParked, Object: "o"}, book.Retention{})
		},
		"settle": func() error {
			return s.Settle(ctx, book.Event{ID: "msg_1", State: book.EventApplied}, book.Retention{})
		},
	} {
		begin := time.Now()
		said[name] = write()
		if took := time.Since(begin); took > timeout+slack {
			t.Errorf("%s took %v", name, took)
		}
	}
	return said
}

// eventually waits until a function succeeds, as it must once a fault is over.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	var err error
	for begin := time.Now(); time.Since(begin) < 20*time.Second; time.Sleep(10 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	t.Fatal(err)
}

// TestRestart: what was acknowledged is there after the server was killed.
func TestRestart(t *testing.T) {
	server := redistest.Start(t, "--appendfsync", "always")
	s := open(t, redisstore.Options{URL: server.URL(), Timeout: 2 * time.Second})
	for i := range 50 {
		if _, err := s.Commit(t.Context(), give("acc", fmt.Sprint("pay_", i), 2)); err != nil {
			t.Fatal(err)
		}
	}
	creates("a", key, book.Created, "a")(t, s)
	records(1)(t, s)
	settles(book.EventParked)(t, s)
	server.Restart()
	eventually(t, func() error { return s.Ping(t.Context()) })
	wantBalance(t, s, "acc", 100, 50)
	creates("b", key, book.Running, "")(t, s)
	parks(true)(t, s)
}

// TestCallersDeadline: the caller's own deadline counts when it is the shorter.
func TestCallersDeadline(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Options{URL: server.URL(), Timeout: 10 * time.Second})
	server.Freeze()
	for range 50 { // each time it is a race between the socket's deadline and the context's
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		begin := time.Now()
		_, err := s.Commit(ctx, give("acc", "pay_1", 1))
		cancel()
		if took := time.Since(begin); took > slack {
			t.Errorf("took %v", took)
		}
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("error is %v", err)
		}
	}
}

// TestOwnTimeout is not taken for the caller's.
func TestOwnTimeout(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Options{URL: server.URL(), Timeout: 100 * time.Millisecond})
	server.Freeze()
	_, err := s.Account(t.Context(), "acc")
	if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v", err)
	}
}

func TestClosed(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Options{URL: server.URL()})
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Ping(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("ping: %v", err)
	}
	if _, err := s.Commit(t.Context(), give("acc", "pay_1", 1)); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("commit: %v", err)
	}
}

// TestDamaged: a commit does not build on an account of which something is
// missing or is not what was written.
func TestDamaged(t *testing.T) {
	server := redistest.Start(t)
	for name, damage := range map[string][]string{
		"entries are missing":       {"DEL", "{acc}:entries"},
		"an entry is missing":       {"RPOP", "{acc}:entries"},
		"a grant is not a number":   {"HSET", "{acc}:account", "g:pay_1", "0x10 5 0 - -"},
		"a grant is too large":      {"HSET", "{acc}:account", "g:pay_1", "9007199254740992 9007199254740992 0 - -"},
		"a grant is larger than 64": {"HSET", "{acc}:account", "g:pay_1", "99999999999999999999 5 0 - -"},
		"a grant has no expiry":     {"HSET", "{acc}:account", "g:pay_1", "5 5 0"},
		"an expiry is not a time":   {"HSET", "{acc}:account", "g:pay_1", "5 5 0 1e3 -"},
		"a key of another kind":     {"SET", "{acc}:account", "x"},
	} {
		t.Run(name, func(t *testing.T) {
			prefix := fmt.Sprint("test", prefixes.Add(1), ":")
			s := open(t, redisstore.Options{URL: server.URL(), KeyPrefix: prefix})
			if _, err := s.Commit(t.Context(), give("acc", "pay_1", 5)); err != nil {
				t.Fatal(err)
			}
			damage[1] = prefix + damage[1]
			server.MustDo(damage...)
			s = open(t, redisstore.Options{URL: server.URL(), KeyPrefix: prefix}) // which has not read it yet
			if _, err := s.Commit(t.Context(), give("acc", "pay_2", 5)); !errors.Is(err, store.ErrDamaged) || errors.Is(err, store.ErrUnavailable) {
				t.Fatalf("commit: %v", err)
			}
			if written := server.MustDo("EXISTS", prefix+"{acc}:object:payment:pay_2"); written != "0" {
				t.Fatal("the object is written")
			}
		})
	}
}
