package redisstore_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// TestKeys: the names of all keys, and that nothing about money expires.
func TestKeys(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Options{URL: server.URL()})
	fillAll(t, s)
	const day = 24 * time.Hour
	want := map[string]time.Duration{ // how long each lives; 0 for ever
		"dodogate:{acc}:account":                       0,
		"dodogate:{acc}:closed":                        0,
		"dodogate:{acc}:entries":                       0,
		"dodogate:{acc}:object:payment:p_1":            0,
		"dodogate:{acc}:object:payment:p_2":            0,
		"dodogate:{acc}:object:payment:p_3":            0,
		"dodogate:{acc}:order:paid":                    0,
		"dodogate:{acc}:order:paid-first":              0,
		"dodogate:{acc}:order:open":                    30*day + time.Hour,
		"dodogate:{acc}:order:created":                 30*day + time.Hour,
		"dodogate:{acc}:order:failed":                  30*day + time.Hour,
		"dodogate:{acc}:paid":                          0,
		"dodogate:{acc}:failed":                        30*day + time.Hour,
		"dodogate:{acc}:object:payment:p_4":            0,
		"dodogate:{acc}:unpaid":                        30*day + time.Hour,
		"dodogate:{acc}:key:running":                   30 * day,
		"dodogate:{acc}:key:finished":                  2 * time.Hour,
		"dodogate:{%7Bx%7D+%3A%2A}:account":            0,
		"dodogate:{%7Bx%7D+%3A%2A}:entries":            0,
		"dodogate:{%7Bx%7D+%3A%2A}:object:payment:%7D": 0,
		"dodogate:owner:payment:p_1":                   0,
		"dodogate:owner:session:cks_open":              90 * day,
		"dodogate:owner:session:cks_paid":              90 * day,
		"dodogate:owner:session:cks_failed":            90 * day,
		"dodogate:event:msg_1":                         0,
		"dodogate:parked:payment%3Ap_1":                0,
		"dodogate:parked":                              0,
	}
	keys := strings.Split(server.MustDo("KEYS", "*"), "\n")
	for _, key := range keys {
		if _, ok := want[key]; !ok {
			t.Errorf("key %s is not known", key)
		}
	}
	for key, live := range want {
		ms, err := strconv.Atoi(server.MustDo("PTTL", key))
		got := time.Duration(ms) * time.Millisecond
		switch {
		case err != nil || ms == -2:
			t.Errorf("key %s is missing", key)
		case live == 0 && ms != -1:
			t.Errorf("key %s expires in %v", key, got)
		case live != 0 && (got > live || got < live-time.Minute):
			t.Errorf("key %s expires in %v, want %v", key, got, live)
		}
	}
}

// fillAll makes one of everything.
func fillAll(t *testing.T, s *opened) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	opened := func(id string, key book.Key) book.Order {
		creates(id, key, book.Created, id)(t, s)
		o := order(id)
		o.SessionID = "cks_" + id
		must(s.OpenOrder(t.Context(), o, key))
		return o
	}
	opened("paid", book.Key{})
	opened("open", book.Key{Hash: "finished", Fingerprint: "f", Lease: time.Minute, Keep: 2 * time.Hour})
	creates("created", book.Key{Hash: "running", Fingerprint: "f", Lease: time.Minute, Keep: time.Hour}, book.Created, "created")(t, s)
	c := give("acc", "p_1", 5)
	c.Effect.Standing = entitlement.Standing{Paid: true}
	c.Order = &book.OrderResult{ID: "paid", State: book.OrderPaid, PaymentID: "p_1"}
	_, err := s.Commit(t.Context(), c)
	must(err)
	c = give("acc", "p_2", 5)
	c.Effect.Grants[0].ExpiresAt = time.Now().Add(-time.Hour)
	_, err = s.Commit(t.Context(), c)
	must(err)
	creates("paid-first", book.Key{}, book.Created, "paid-first")(t, s)
	c = give("acc", "p_3", 5)
	c.Order = &book.OrderResult{ID: "paid-first", State: book.OrderPaid, PaymentID: "p_3"}
	_, err = s.Commit(t.Context(), c)
	must(err)
	o := order("paid-first")
	o.SessionID = "cks_paid"
	must(s.OpenOrder(t.Context(), o, book.Key{}))
	opened("failed", book.Key{})
	c = give("acc", "p_4", 0)
	c.Order = &book.OrderResult{ID: "failed", State: book.OrderFailed, PaymentID: "p_4"}
	_, err = s.Commit(t.Context(), c)
	must(err)
	_, err = s.Commit(t.Context(), give("{x} :*", "}", 1))
	must(err)
	_, err = s.Claim(t.Context(), payment("p_1"), "acc")
	must(err)
	records(1)(t, s)
	must(s.Settle(t.Context(), book.Event{ID: "msg_1", State: book.EventParked, Object: "payment:p_1"}, book.Retention{}))
}

// TestServersClock: without a clock of a test, Redis tells the time.
func TestServersClock(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Options{URL: server.URL()})
	before := time.Now().Truncate(time.Millisecond)
	c := give("acc", "pay_1", 5)
	c.Effect.Grants[0].ExpiresAt = before.Add(time.Hour)
	done, err := s.Commit(t.Context(), c)
	entries, after := done.Entries, time.Now()
	if err != nil || len(entries) != 1 || entries[0].At.Before(before) || entries[0].At.After(after) {
		t.Fatalf("%v to %v: %+v, %v", before, after, entries, err)
	}
	c = give("acc", "pay_2", 5)
	c.Effect.Grants[0].ExpiresAt = before.Add(-time.Millisecond)
	if done, err = s.Commit(t.Context(), c); err != nil || len(done.Entries) != 2 {
		t.Fatalf("an expired grant: %+v, %v", done.Entries, err)
	}
	e, err := s.Record(t.Context(), book.Event{ID: "msg_1"})
	if err != nil || e.ReceivedAt.Before(before) || e.ReceivedAt.After(time.Now()) {
		t.Fatal(e, err)
	}
	short := book.Key{Hash: "h", Fingerprint: "f", Lease: 300 * time.Millisecond, Keep: time.Hour}
	creates("a", short, book.Created, "a")(t, s)
	creates("b", short, book.Running, "")(t, s)
	eventually(t, func() error {
		if _, how, err := s.CreateOrder(t.Context(), order("b"), short); err != nil || how != book.Resumed {
			return fmt.Errorf("%s, %w", how, err)
		}
		return nil
	})
	o := order("a")
	o.SessionID, o.ExpiresAt = "cks_1", time.Now().Add(200*time.Millisecond)
	if err := s.OpenOrder(t.Context(), o, short); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if open, err := s.Orders(t.Context(), "acc", store.OpenOrders); err != nil || len(open) != 0 {
			return fmt.Errorf("%d open, %w", len(open), err)
		}
		return nil
	})
}

// TestKeyOutlivesOrder: a key that leads to an order which the server has
// forgotten is free.
func TestKeyOutlivesOrder(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Options{URL: server.URL()})
	creates("a", key, book.Created, "a")(t, s)
	o := order("a")
	o.SessionID = "cks_1"
	if err := s.OpenOrder(t.Context(), o, key); err != nil {
		t.Fatal(err)
	}
	server.MustDo("DEL", "dodogate:{acc}:order:a")
	creates("b", key, book.Created, "b")(t, s)
	creates("c", key, book.Running, "")(t, s)
}

var (
	calls = regexp.MustCompile(`(?:redis\.)?\bcall\('([A-Z]+)'(?:, ([^,)]+))?`)
	// whatever else may talk to Redis
	otherCalls = regexp.MustCompile(`\bcall\(|\bredis\b`)
	keyNames   = regexp.MustCompile(`(?m)^local ([A-Z, ]+) = (KEYS\[(?:\d+|#KEYS)\](?:, KEYS\[\d+\])*)$`)
)

// TestScriptsTouchTheirKEYS reads the scripts: every key that they touch is one
// that they are given, or a Cluster would not run them everywhere. A channel is
// none.
func TestScriptsTouchTheirKEYS(t *testing.T) {
	files, err := filepath.Glob("*.lua")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		names := []string{"KEYS[1]"}
		for _, m := range keyNames.FindAllStringSubmatch(string(text), -1) {
			names = append(names, strings.Split(m[1], ", ")...)
		}
		for _, m := range calls.FindAllStringSubmatch(string(text), -1) {
			if m[1] != "TIME" && m[1] != "PUBLISH" && !slices.Contains(names, m[2]) {
				t.Errorf("%s: %s touches %s, which is not one of its keys %v", file, m[1], m[2], names)
			}
		}
		text = []byte(strings.ReplaceAll(string(text), "call(unpack(", "(")) // commands with their keys, see scriptRun.run
		rest := strings.Replace(calls.ReplaceAllString(string(text), ""), "call = KEYS, ARGV, redis.call", "", 1)
		if otherCalls.MatchString(rest) {
			t.Errorf("%s calls redis in a way that this test does not read", file)
		}
		for _, bad := range []string{"cjson", "pcall", "tostring"} {
			if strings.Contains(strings.ReplaceAll(string(text), "tostring would", ""), bad) {
				t.Errorf("%s uses %s", file, bad)
			}
		}
	}
}
