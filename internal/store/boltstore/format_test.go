package boltstore_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store/boltstore"
	"github.com/dodogate/dodogate/internal/store/storetest"
)

// formatFile has what the previous release of this store wrote for the steps of liveOn: a
// line for each key, with its bucket, the key and its value.
const formatFile = "testdata/format1.txt"

// TestFormat: the steps write what they wrote in the previous release, but for the seals.
func TestFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dodogate.db")
	s, err := dial(path, boltstore.Options{Clock: storetest.NewClock().Now})
	if err != nil {
		t.Fatal(err)
	}
	liveOn(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(formatFile)
	if err != nil {
		t.Fatal(err)
	}
	got := dump(t, path)
	text := strings.Replace(string(want), `meta "format" "1"`, `meta "format" "2"`, 1) // values of accounts are sealed since then
	was := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for _, line := range got {
		if !slices.ContainsFunc(was, func(w string) bool { return withoutRevs(w) == withoutRevs(line) }) {
			t.Errorf("is written now:  %s", line)
		}
	}
	for _, w := range was {
		if !slices.ContainsFunc(got, func(line string) bool { return withoutRevs(w) == withoutRevs(line) }) {
			t.Errorf("was written before: %s", w)
		}
	}
}

// TestPreviousRelease: a file that the previous release wrote is read as it was meant.
func TestPreviousRelease(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dodogate.db")
	loadFormat(t, path)
	clock := storetest.NewClock()
	s := open(t, path, boltstore.Options{Clock: clock.Now})
	ctx := t.Context()

	a, err := s.Account(ctx, "acc")
	if err != nil {
		t.Fatal(err)
	}
	if n := a.Ledger.Available(clock.Now()); n != 93 || a.Ledger.Debt != 0 || len(a.Standings) != 2 || !a.Standings["payment:pay_1"].Paid {
		t.Errorf("%d available in %+v", n, a)
	}
	owing, err := s.Account(ctx, "owing")
	if err != nil || owing.Ledger.Debt != 4 {
		t.Errorf("an account that owes 4 is %+v, %v", owing, err)
	}
	if n := len(entries(t, s, "acc")); n != 4 {
		t.Errorf("%d entries", n)
	}
	held := mustHold(t, s, "acc", "spent", 10)
	if held.Outcome != book.HoldFinished || held.Captured != 7 || string(held.Receipt) != "receipt" {
		t.Errorf("a hold that has spent: %+v", held)
	}
	if held := mustHold(t, s, "acc", "all", 93); held.Outcome != book.HoldPlaced || held.Account.Rev <= a.Rev {
		t.Errorf("a hold of all: %+v", held)
	}
	for _, c := range []struct {
		key   string
		start book.Start
		order string
		state book.OrderState
	}{
		{"paid", book.Replayed, "ord_paid", book.OrderPaid},
		{"opened", book.Replayed, "ord_opened", book.OrderFailed},
		{"running", book.Running, "", ""},
	} {
		o, start, err := s.CreateOrder(ctx, formatOrder("ord_new"), formatKey(c.key))
		if err != nil || start != c.start || o.ID != c.order || o.State != c.state {
			t.Errorf("key %s: %q with %+v, %v", c.key, start, o, err)
		}
	}
	clock.Move(time.Minute)
	if o, start, err := s.CreateOrder(ctx, formatOrder("ord_new"), formatKey("running")); err != nil || start != book.Resumed || o.ID != "ord_running" {
		t.Errorf("after the lease: %q with %+v, %v", start, o, err)
	}
	// Three of five credits were spent and forgiven, so six give three.
	done, err := s.Commit(ctx, formatCommit("forgiven", "pay_5", 2, 6))
	if err != nil || len(done.Entries) != 1 || done.Entries[0].Amount != 3 {
		t.Errorf("commit of a grant that was taken back: %+v, %v", done, err)
	}
	if owner, err := s.Owner(ctx, entitlement.Ref{Kind: entitlement.KindSession, ID: "cks_paid"}); err != nil || owner != "acc" {
		t.Errorf("owner %q, %v", owner, err)
	}
	if events, _, err := s.Parked(ctx, "payment:pay_9", "", 100); err != nil || len(events) != 1 || string(events[0].Body) != "body" {
		t.Errorf("parked: %+v, %v", events, err)
	}
}

func formatCommit(account, object string, version, amount int64) book.Commit {
	return book.Commit{
		Account: account, Object: entitlement.Ref{Kind: entitlement.KindPayment, ID: object}, Version: version,
		State: []byte(`{}`), Policy: ledger.PolicyDebt, Cause: "evt_" + object,
		Effect: entitlement.Effect{
			Grants:   []ledger.Target{{ID: object, Amount: amount, CreatedAt: storetest.NewClock().Now()}},
			Standing: entitlement.Standing{Paid: amount > 0},
		},
	}
}

func formatOrder(id string) book.Order {
	return book.Order{
		ID: id, Account: "acc", Product: "pack", Quantity: 1, ReturnTo: "/", ExpiresAt: storetest.NewClock().Now().Add(time.Hour),
		Terms: map[string]entitlement.Terms{"pdt_1": {}},
	}
}

func formatKey(name string) book.Key {
	keep := day
	if name == "running" {
		keep = time.Minute // less than the order
	}
	return book.Key{Hash: name, Fingerprint: "f", Lease: time.Minute, Keep: keep}
}

// liveOn does something of every kind.
func liveOn(t *testing.T, s *opened) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	commit := func(c book.Commit) {
		t.Helper()
		_, err := s.Commit(ctx, c)
		must(err)
	}
	order := func(name string, opened bool) {
		t.Helper()
		o, _, err := s.CreateOrder(ctx, formatOrder("ord_"+name), formatKey(name))
		must(err)
		if opened {
			o.SessionID, o.CheckoutURL = "cks_"+name, "https://checkout"
			must(s.OpenOrder(ctx, o, formatKey(name)))
		}
	}
	spend := func(account, id string, amount, captured int64, keep time.Duration) {
		t.Helper()
		mustHold(t, s, account, id, amount)
		_, err := s.End(ctx, book.End{Account: account, ID: id, By: "me", Captured: captured, Keep: keep, Receipt: []byte("receipt")})
		must(err)
	}
	order("paid", true)
	order("opened", true)
	order("running", false)
	order("dropped", false)
	must(s.DropOrder(ctx, formatOrder("ord_dropped"), formatKey("dropped")))

	paid := formatCommit("acc", "pay_1", 0, 100)
	paid.Order = &book.OrderResult{ID: "ord_paid", State: book.OrderPaid, PaymentID: "pay_1"}
	commit(paid)
	failed := formatCommit("acc", "pay_0", 0, 0)
	failed.Order = &book.OrderResult{ID: "ord_opened", State: book.OrderFailed, PaymentID: "pay_0"}
	failed.Effect.Standing = entitlement.Standing{Seats: 2}
	commit(failed)
	commit(formatCommit("acc", "pay_2", 0, 5))
	commit(formatCommit("acc", "pay_2", 1, 0))
	spend("acc", "spent", 10, 7, time.Hour)
	spend("acc", "soon forgotten", 10, 0, time.Hour)
	mustHold(t, s, "acc", "open", 20)

	commit(formatCommit("owing", "pay_3", 0, 4))
	spend("owing", "all", 4, 4, 0)
	commit(formatCommit("owing", "pay_3", 1, 0))
	commit(formatCommit("forgiven", "pay_5", 0, 5))
	spend("forgiven", "three", 3, 3, 0)
	back := formatCommit("forgiven", "pay_5", 1, 0)
	back.Policy = ledger.PolicyFloor
	commit(back)
	later := formatCommit("later", "pay_4", 0, 8)
	later.Effect.Grants[0].StartsAt = storetest.NewClock().Now().Add(day)
	later.Effect.Grants[0].ExpiresAt = storetest.NewClock().Now().Add(2 * day)
	commit(later)

	for id, state := range map[string]book.EventState{"msg_1": book.EventParked, "msg_2": book.EventApplied} {
		e, err := s.Record(ctx, book.Event{ID: id, Type: "payment.succeeded", Body: []byte("body")})
		must(err)
		e.State, e.Object = state, "payment:pay_9"
		must(s.Settle(ctx, e, book.Retention{Keep: 90 * day}))
	}
	must(s.SetMark(ctx, "mark", storetest.NewClock().Now()))
	_, err := s.Note(ctx, "note", "", "text")
	must(err)
}

// dump is a line for every key of a file: its bucket, the key, its value.
func dump(t *testing.T, path string) []string {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var all []string
	var walk func(path string, b *bolt.Bucket) error
	walk = func(path string, b *bolt.Bucket) error {
		return b.ForEach(func(k, v []byte) error {
			if v == nil {
				return walk(path+"/"+string(k), b.Bucket(k))
			}
			if strings.HasPrefix(path, "accounts/") {
				if len(v) < 5 || v[0] != 0xc5 {
					t.Errorf("%s %q is not sealed: %q", path, k, v)
				} else {
					v = v[5:]
				}
			}
			all = append(all, path+" "+strconv.QuoteToASCII(string(k))+" "+strconv.QuoteToASCII(string(v)))
			return nil
		})
	}
	err = db.View(func(tx *bolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bolt.Bucket) error { return walk(string(name), b) })
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// loadFormat makes a file of what formatFile has.
func loadFormat(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(formatFile)
	if err != nil {
		t.Fatal(err)
	}
	s, err := dial(path, boltstore.Options{}) // for the buckets that have nothing
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bolt.Tx) error {
		for line := range strings.Lines(string(text)) {
			buckets, quoted, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			name, account, within := strings.Cut(buckets, "/")
			key, _ := strconv.QuotedPrefix(quoted)
			value := strings.TrimPrefix(quoted[len(key):], " ")
			b := tx.Bucket([]byte(name))
			if within {
				if b, err = b.CreateBucketIfNotExists([]byte(account)); err != nil {
					return err
				}
			}
			k, err1 := strconv.Unquote(key)
			v, err2 := strconv.Unquote(value)
			if err1 != nil || err2 != nil {
				t.Fatal(line, err1, err2)
			}
			if err := b.Put([]byte(k), []byte(v)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// withoutRevs is a line without the revisions of an account's head, which follow the
// machine's clock.
func withoutRevs(line string) string {
	where, head, isHead := strings.Cut(line, ` "s" `)
	if !isHead {
		return line
	}
	value, err := strconv.Unquote(head)
	if err != nil || len(value) != 32 {
		return line
	}
	return where + strconv.QuoteToASCII(value[16:])
}
