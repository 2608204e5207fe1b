// Package storetest holds every store to the contract of package store. A
// backend's test is one call of [Run].
package storetest

import (
	"context"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
)

// Run holds a store to the contract. open returns an empty store whose time is
// told by clock, and closes it when t ends; it is called many times.
//
// Part of it is a random check against package ledger: pgregory.net/rapid prints
// the seed of a failure, and repeats it by -rapid.seed.
func Run(t *testing.T, open func(t *testing.T, clock func() time.Time) store.Store) {
	for _, group := range []struct {
		name  string
		tests []test
	}{
		{"Commit", commitTests},
		{"SignUp", signUpTests},
		{"Range", rangeTests},
		{"Entries", entriesTests},
		{"EntriesBefore", entriesBeforeTests},
		{"Holds", holdTests},
		{"Acts", actTests},
		{"Begins", beginTests},
		{"Standings", standingTests},
		{"OrderResults", resultTests},
		{"Owners", ownerTests},
		{"CreateOrder", createTests},
		{"Keys", keyTests},
		{"OpenOrders", openTests},
		{"Purchases", purchaseTests},
		{"Journal", journalTests},
		{"Receive", receiveTests},
		{"Settles", settlesTests},
		{"Waiting", waitingTests},
		{"Retention", retentionTests},
		{"Marks", markTests},
		{"Notes", noteTests},
		{"Days", dailyTests},
		{"Directory", directoryTests},
		{"Changes", changeTests},
		{"Names", nameTests},
		{"Concurrency", concurrencyTests},
		{"Contexts", contextTests},
		{"Model", modelTests},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, c := range group.tests {
				t.Run(c.name, func(t *testing.T) {
					clock := NewClock()
					c.run(&rig{T: t, Client: store.Client{Store: open(t, clock.Now)}, clock: clock})
				})
			}
		})
	}
}

// test is one named case.
type test struct {
	name string
	run  func(*rig)
}

// Clock is a clock that stands still until it is moved.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock at some instant that is not a whole millisecond.
func NewClock() *Clock {
	return &Clock{now: time.Date(2026, time.March, 1, 12, 0, 0, 123_456_789, time.UTC)}
}

// Now is the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Move moves the clock, back when d is negative.
func (c *Clock) Move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// rig is what a case works with: a test, an empty store and its clock.
type rig struct {
	*testing.T
	store.Client
	clock *Clock
}

// Run is [testing.T.Run] with the rig's store.
func (r *rig) Run(name string, run func(*rig)) {
	r.Helper()
	r.T.Run(name, func(t *testing.T) { run(&rig{T: t, Client: r.Client, clock: r.clock}) })
}

// now is the time that the store should write.
func (r *rig) now() time.Time { return r.clock.Now().Truncate(time.Millisecond) }

func (r *rig) ctx() context.Context { return r.Context() }

// commit commits and stops the test when that fails.
func (r *rig) commit(c book.Commit) []ledger.Entry {
	r.Helper()
	done, err := r.Commit(r.ctx(), c)
	if err != nil {
		r.Fatalf("commit of %s at version %d: %v", c.Object, c.Version, err)
	}
	return done.Entries
}

// give commits the targets as a new object of the account.
func (r *rig) give(account, object string, targets ...ledger.Target) []ledger.Entry {
	r.Helper()
	return r.commit(book.Commit{
		Account: account, Object: payment(object), State: []byte(`{}`),
		Effect: entitlement.Effect{Grants: targets}, Cause: "evt_" + object,
	})
}

func (r *rig) account(account string) entitlement.Account {
	r.Helper()
	a, err := r.Account(r.ctx(), account)
	if err != nil {
		r.Fatalf("read account: %v", err)
	}
	return a
}

func (r *rig) object(account string, ref entitlement.Ref) book.Object {
	r.Helper()
	o, err := r.Object(r.ctx(), account, ref)
	if err != nil {
		r.Fatalf("read object: %v", err)
	}
	return o
}

// entries reads the whole ledger in pages of 1,000.
func (r *rig) entries(account string) []ledger.Entry {
	r.Helper()
	var all []ledger.Entry
	for {
		page, err := r.Entries(r.ctx(), account, store.Page{After: int64(len(all)), Limit: store.MaxEntries})
		if err != nil {
			r.Fatalf("read entries: %v", err)
		}
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
	}
}

// audit checks what holds for every account at every time: entries without a
// gap, that add up to what the grants hold.
func (r *rig) audit(account string) {
	r.Helper()
	a, entries := r.account(account), r.entries(account)
	var balance int64
	for i, e := range entries {
		balance += e.Amount
		if e.Seq != int64(i+1) || e.Balance != balance || e.Amount == 0 || balance < -ledger.Max || balance > ledger.Max {
			r.Fatalf("entry %d of %q is %+v, and the amounts so far add up to %d", i+1, account, e, balance)
		}
	}
	for i, g := range a.Ledger.Grants {
		if g.ID == "" || i > 0 && g.ID <= a.Ledger.Grants[i-1].ID || g.Left < 0 || g.Held < 0 || !g.Open() || g.Waiting < 0 || g.Lapsed < 0 || g.Waived < 0 {
			r.Fatalf("grant %d of %q is %+v", i, account, g)
		}
	}
	if a.Ledger.Seq != int64(len(entries)) || a.Ledger.Balance() != balance || a.Ledger.Debt < 0 {
		r.Fatalf("account %q has seq %d and a balance of %d with a debt of %d, its %d entries add up to %d",
			account, a.Ledger.Seq, a.Ledger.Balance(), a.Ledger.Debt, len(entries), balance)
	}
}

func (r *rig) order(account, id string) book.Order {
	r.Helper()
	o, err := r.Order(r.ctx(), account, id)
	if err != nil {
		r.Fatalf("read order %q: %v", id, err)
	}
	return o
}

// same reports the difference between what the store says and what it should.
func same[T any](r *rig, what string, got, want T) {
	r.Helper()
	if !reflect.DeepEqual(got, want) {
		r.Fatalf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func payment(id string) entitlement.Ref {
	return entitlement.Ref{Kind: entitlement.KindPayment, ID: id}
}

// line is what an entry says but for its number, time and cause.
type line struct {
	kind            ledger.Kind
	grant           string
	amount, balance int64
}

func lines(entries []ledger.Entry) []line {
	var ls []line
	for _, e := range entries {
		ls = append(ls, line{e.Kind, e.Grant, e.Amount, e.Balance})
	}
	return ls
}

// left is what is left in each grant that counts.
func left(a entitlement.Account) map[string]int64 {
	m := make(map[string]int64)
	for _, g := range a.Ledger.Grants {
		m[g.ID] = g.Left
	}
	return m
}

func ids(orders []book.Order) []string {
	names := []string{}
	for _, o := range orders {
		names = append(names, o.ID)
	}
	return names
}

func eventIDs(events []book.Event) []string {
	names := []string{}
	for _, e := range events {
		names = append(names, e.ID)
	}
	return slices.Clip(names)
}
