package redisstore_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/store/redistest"
)

// usualCommits are what an account was before it buys something. Where usual is not so,
// the commit is left to ledger.lua.
var usualCommits = []struct {
	name   string
	usual  bool
	before func(context.Context, store.Store) error
	change func(*store.Commit)
}{
	{name: "a first purchase", usual: true},
	{name: "of an account that has something", usual: true, before: func(ctx context.Context, s store.Store) error {
		return commits(ctx, s, give("acc", "pay_0", 5), give("acc", "pay_9", 7))
	}},
	{name: "while something is held", usual: true, before: func(ctx context.Context, s store.Store) error {
		if err := commits(ctx, s, give("acc", "pay_0", 5)); err != nil {
			return err
		}
		_, err := s.Hold(ctx, store.Hold{Account: "acc", ID: "h", Amount: 2, TTL: time.Hour})
		return err
	}},
	{name: "with an order", usual: true, before: func(ctx context.Context, s store.Store) error {
		return orders(ctx, s)
	}},
	{name: "with an order that failed before", before: func(ctx context.Context, s store.Store) error {
		if err := orders(ctx, s); err != nil {
			return err
		}
		c := give("acc", "pay_0", 0)
		c.Order = &store.OrderResult{ID: "ord_1", State: store.OrderFailed, PaymentID: "pay_0"}
		return commits(ctx, s, c)
	}},
	{name: "by a grant that expires", usual: true, change: func(c *store.Commit) {
		c.Effect.Grants[0].ExpiresAt, c.Effect.Grants[0].CreatedAt = noon.Add(time.Hour), noon.Add(-time.Hour)
	}},
	{name: "by a grant that has expired", change: func(c *store.Commit) { c.Effect.Grants[0].ExpiresAt = noon }},
	{name: "with a standing", usual: true, change: func(c *store.Commit) {
		c.Effect.Standing = entitlement.Standing{Paid: true, PaidAt: noon}
	}},
	{name: "of nothing", change: func(c *store.Commit) { c.Effect.Grants[0].Amount = 0 }},
	{name: "of more than can be counted", change: func(c *store.Commit) { c.Effect.Grants[0].Amount = ledger.Max }},
	{name: "of as much as can be counted", usual: true, before: func(ctx context.Context, s store.Store) error {
		return commits(ctx, s, give("acc", "pay_0", ledger.Max-10))
	}},
	{name: "of one more than that", before: func(ctx context.Context, s store.Store) error {
		return commits(ctx, s, give("acc", "pay_0", ledger.Max-9))
	}},
	{name: "of what was known already", before: func(ctx context.Context, s store.Store) error {
		return commits(ctx, s, give("acc", "pay_1", 10))
	}},
	{name: "of a version that was never there", change: func(c *store.Commit) { c.Version = 1 }},
	{name: "by a grant that is there", before: func(ctx context.Context, s store.Store) error {
		c := give("acc", "pay_0", 3)
		c.Effect.Grants[0].ID = "pay_1"
		return commits(ctx, s, c)
	}},
	{name: "by a grant that is spent", before: func(ctx context.Context, s store.Store) error {
		c := give("acc", "pay_0", 3)
		c.Effect.Grants[0].ID = "pay_1"
		if err := commits(ctx, s, c); err != nil {
			return err
		}
		return spends(ctx, s, 3)
	}},
	{name: "of an account that owes", before: owes},
	{name: "after a grant expired", before: func(ctx context.Context, s store.Store) error {
		c := give("acc", "pay_0", 5)
		c.Effect.Grants[0].ExpiresAt = noon
		return commits(ctx, s, c, give("acc", "pay_9", 1))
	}},
	{name: "after a grant was given that had expired", usual: true, before: func(ctx context.Context, s store.Store) error {
		c := give("acc", "pay_0", 5)
		c.Effect.Grants[0].ExpiresAt = noon.Add(-before)
		return commits(ctx, s, c, give("acc", "pay_9", 1))
	}},
	{name: "after a hold ran out", before: func(ctx context.Context, s store.Store) error {
		if err := commits(ctx, s, give("acc", "pay_0", 5)); err != nil {
			return err
		}
		_, err := s.Hold(ctx, store.Hold{Account: "acc", ID: "h", Amount: 2, TTL: before})
		return err
	}},
	{name: "of an event that was delivered since", usual: true, before: func(ctx context.Context, s store.Store) error {
		_, err := s.Record(ctx, store.Event{ID: "msg_1", Type: "t", Body: []byte("newer")})
		return err
	}},
	{name: "of an event that was parked", usual: true, before: func(ctx context.Context, s store.Store) error {
		return s.Settle(ctx, store.Event{ID: "msg_1", State: store.EventParked, Object: "payment:pay_1"}, store.Retention{})
	}},
	{name: "while others are parked for it", usual: true, before: func(ctx context.Context, s store.Store) error {
		if _, err := s.Record(ctx, store.Event{ID: "msg_2", Type: "t"}); err != nil {
			return err
		}
		return s.Settle(ctx, store.Event{ID: "msg_2", State: store.EventParked, Object: "payment:pay_1"}, store.Retention{})
	}},
	{name: "of an event that is missing", change: func(c *store.Commit) { c.Settle.Event.ID = "msg_3" }},
	{name: "alone", usual: true, change: func(c *store.Commit) { c.Settle = nil }},
}

// noon is when the commit is made, and what was before it was that long before.
var noon = time.Date(2026, time.May, 4, 12, 0, 0, 0, time.UTC)

const before = time.Minute

func orders(ctx context.Context, s store.Store) error {
	o := order("ord_1")
	o.ExpiresAt = noon.Add(time.Hour)
	_, _, err := s.CreateOrder(ctx, o, store.Key{})
	return err
}

func commits(ctx context.Context, s store.Store, all ...store.Commit) error {
	for _, c := range all {
		if _, err := s.Commit(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func spends(ctx context.Context, s store.Store, amount int64) error {
	if _, err := s.Hold(ctx, store.Hold{Account: "acc", ID: "spent", Amount: amount, TTL: time.Hour}); err != nil {
		return err
	}
	_, err := s.End(ctx, store.End{Account: "acc", ID: "spent", Captured: amount})
	return err
}

// TestUsualCommit: the short way leaves every key as the long way does, and says the
// same. The long way is taken for an object that also gives nothing of a second grant.
func TestUsualCommit(t *testing.T) {
	server := redistest.Start(t)
	for _, c := range usualCommits {
		t.Run(c.name, func(t *testing.T) {
			var said [2]string
			for i := range said {
				server.MustDo("FLUSHALL")
				now := noon.Add(-before)
				s := open(t, redisstore.Options{URL: server.URL(), Clock: func() time.Time { return now }})
				records(1)(t, s)
				if c.before != nil {
					if err := c.before(t.Context(), s); err != nil {
						t.Fatal(err)
					}
				}
				commit := give("acc", "pay_1", 10)
				commit.Order = &store.OrderResult{ID: "ord_1", State: store.OrderPaid, PaymentID: "pay_1"}
				commit.Settle = &store.Settlement{
					Event: store.Event{
						ID: "msg_1", Type: "t", Body: []byte("body"), State: store.EventApplied,
						Object: "payment:pay_1", Account: "acc", Deliveries: 1,
					},
					Retention: store.Retention{Keep: time.Hour, Body: []byte("less")},
				}
				if c.change != nil {
					c.change(&commit)
				}
				if i == 1 {
					commit.Effect.Grants = append(commit.Effect.Grants, ledger.Target{ID: "nothing"})
				}
				now = noon
				server.MustDo("CONFIG", "RESETSTAT")
				done, err := s.Commit(t.Context(), commit)
				usual := !strings.Contains(server.MustDo("INFO", "commandstats"), "cmdstat_zrange:") // for the holds that run out
				if usual != (c.usual && i == 0) {
					t.Errorf("the short way was taken: %v", usual)
				}
				said[i] = fmt.Sprintf("%+v %v\n%s", done, err, everything(server))
			}
			if said[0] != said[1] {
				t.Errorf("the short way:\n%s\nthe long way:\n%s", said[0], said[1])
			}
		})
	}
}

// everything is what a server has, but for what is drawn by lot.
func everything(server *redistest.Server) string {
	var all []string
	for _, key := range strings.Split(server.MustDo("KEYS", "*"), "\n") {
		value := ""
		switch kind := server.MustDo("TYPE", key); kind {
		case "hash":
			fields := strings.Split(server.MustDo("HKEYS", key), "\n")
			slices.Sort(fields)
			for _, field := range fields {
				if field != "seen" {
					value += fmt.Sprintf("%s=%s ", field, server.MustDo("HGET", key, field))
				}
			}
		case "zset":
			value = server.MustDo("ZRANGE", key, "0", "-1", "WITHSCORES")
		case "list":
			value = server.MustDo("LRANGE", key, "0", "-1")
		case "string":
			value = server.MustDo("GET", key)
		}
		all = append(all, fmt.Sprintf("%s: %s, for ever %v", key, value, server.MustDo("PTTL", key) == "-1"))
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// TestGuess: one script takes an event and commits what was guessed, also when its reply
// is lost. Where that is not usual it leaves it.
func TestGuess(t *testing.T) {
	server := redistest.Start(t)
	p := redistest.NewProxy(t, server)
	warm(t, server)
	for name, c := range map[string]struct {
		lose   bool
		before func(context.Context, store.Store) error
		want   bool
	}{
		"usual":           {want: true},
		"with grants":     {want: true, before: func(ctx context.Context, s store.Store) error { return commits(ctx, s, give("acc", "pay_0", 5)) }},
		"reply lost":      {lose: true},
		"of what is owed": {before: owes},
	} {
		t.Run(name, func(t *testing.T) {
			server.MustDo("FLUSHALL")
			s := open(t, redisstore.Options{URL: p.URL(), Clock: func() time.Time { return noon }})
			o := order("ord_1")
			o.ExpiresAt, o.Terms = noon.Add(time.Hour), map[string]entitlement.Terms{"pdt_1": {Credits: 10}}
			if _, _, err := s.CreateOrder(t.Context(), o, store.Key{}); err != nil {
				t.Fatal(err)
			}
			if c.before != nil {
				if err := c.before(t.Context(), s); err != nil {
					t.Fatal(err)
				}
			}
			guess := func() (store.Bound, error) {
				e := store.Event{ID: "msg_1", Type: "t", Body: []byte("body")}
				settled := e
				settled.State, settled.Object, settled.Account, settled.Deliveries = store.EventApplied, "payment:pay_1", "acc", 1
				commit := give("acc", "pay_1", 10)
				commit.Order = &store.OrderResult{ID: "ord_1", State: store.OrderPaid, PaymentID: "pay_1"}
				commit.Settle = &store.Settlement{Event: settled}
				_, bound, err := s.Receive(t.Context(), e, store.Binding{
					Object: payment("pay_1"), Account: "acc", Order: "ord_1",
					Guess: func() *store.Guess { return &store.Guess{Commit: commit, Terms: o.Terms} },
				})
				return bound, err
			}
			if c.lose {
				losesGuess(t, p, guess)
				return
			}
			server.MustDo("CONFIG", "RESETSTAT")
			bound, err := guess()
			if err != nil || (bound.Committed != nil) != c.want {
				t.Fatalf("%+v, %v", bound, err)
			}
			if c.want && strings.Contains(server.MustDo("INFO", "commandstats"), "cmdstat_zrange:") {
				t.Error("the long way was taken")
			}
		})
	}
}

// losesGuess guesses while the script's reply is lost: asked again by itself, the client
// finds the object as it is by then.
func losesGuess(t *testing.T, p *redistest.Proxy, guess func() (store.Bound, error)) {
	t.Helper()
	lost := p.LoseReplyWith(string(store.EventReceived)) // what the event was before
	for range 2 {
		if bound, err := guess(); err != nil || !lost() || bound.Committed != nil || bound.Object.Version != 1 {
			t.Fatalf("lost %v, %+v, %v", lost(), bound, err)
		}
	}
}

// owes makes an account owe credits.
func owes(ctx context.Context, s store.Store) error {
	if err := commits(ctx, s, give("acc", "pay_0", 5)); err != nil {
		return err
	}
	if err := spends(ctx, s, 5); err != nil {
		return err
	}
	back := give("acc", "pay_0", 0)
	back.Version = 1
	return commits(ctx, s, back)
}
