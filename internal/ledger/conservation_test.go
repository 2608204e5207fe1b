package ledger_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dodogate/dodogate/internal/ledger"
)

// TestEveryCreditIsAccountedFor plays random histories and counts each credit by itself, in
// the [tally], which knows nothing of an account but the operations on it. After each one,
// every grant must have what the tally has, and no credit may be lost or made:
//
//	amount = left + held + waiting + lapsed + spent - forgiven - owed
//
// The histories have grants that begin later, expire, are refunded, restored and renamed, acts of
// an operator, and holds that are captured, released and run out, often several of these at the same instant.
func TestEveryCreditIsAccountedFor(t *testing.T) {
	for _, policy := range []ledger.Policy{ledger.PolicyDebt, ledger.PolicyFloor} {
		t.Run(string(policy), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				h := history{policy: policy, tally: tally{now: noon, grants: map[string]*counted{}, holds: map[string]*heldCredits{}}}
				for range rapid.IntRange(20, 100).Draw(t, "steps") {
					h.now = h.now.Add(waits.Draw(t, "wait"))
					h.look(t)
					switch rapid.IntRange(0, 8).Draw(t, "operation") {
					case 0, 1:
						h.hold(t)
					case 2:
						h.end(t)
					case 3:
						h.rename(t)
					case 4:
						h.refund(t)
					case 5:
						h.take(t)
					case 6:
						h.waive(t)
					default:
						h.apply(t, rapid.SliceOfNDistinct(h.target(), 1, 3, func(t ledger.Target) string { return t.ID }).Draw(t, "targets"))
					}
					h.check(t)
				}
			})
		})
	}
}

// Everything happens around full half hours, so that ends and beginnings coincide often.
const halfHour = 30 * time.Minute

var (
	names   = rapid.SampledFrom([]string{"a", "b", "c"})
	amounts = rapid.SampledFrom([]int64{0, 1, 5, 9, 12})
	moments = rapid.SampledFrom([]time.Duration{0, 0, 0, 0, -time.Millisecond, time.Millisecond, 300 * time.Microsecond})
	waits   = rapid.Custom(func(t *rapid.T) time.Duration {
		return max(0, time.Duration(rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "half hours"))*halfHour+moments.Draw(t, "and"))
	})
)

// history is an account and the tally of everything that was done to it.
type history struct {
	tally
	account ledger.Account
	policy  ledger.Policy
	acts    int
	entered map[string]int64 // what the entries of each grant add up to
}

func (h *history) apply(t *rapid.T, targets []ledger.Target) {
	next, entries, err := h.account.Apply(targets, h.policy, "evt", h.now)
	h.tally.apply(targets, h.policy)
	h.accept(t, next, entries, err)
	if _, again, err := next.Apply(targets, h.policy, "evt", h.now); err != nil || len(again) != 0 {
		t.Fatalf("applied twice: %v, %v", again, err)
	}
}

// target is what a fact may say of a grant.
func (h *history) target() *rapid.Generator[ledger.Target] {
	near := func(t *rapid.T, label string, least, most int) time.Time {
		n := rapid.IntRange(least, most).Draw(t, label)
		return h.now.Truncate(halfHour).Add(time.Duration(n)*halfHour + moments.Draw(t, "and"))
	}
	return rapid.Custom(func(t *rapid.T) ledger.Target {
		tgt := ledger.Target{ID: names.Draw(t, "grant"), Amount: amounts.Draw(t, "amount"), CreatedAt: near(t, "created", -2, 0)}
		if rapid.IntRange(0, 2).Draw(t, "waits") == 0 {
			tgt.StartsAt = near(t, "starts", 0, 2)
		}
		if rapid.Bool().Draw(t, "ends") {
			tgt.ExpiresAt = near(t, "expires", -1, 4)
		}
		return tgt
	})
}

// refund changes nothing but the amount of a grant.
func (h *history) refund(t *rapid.T) {
	tgt := ledger.Target{ID: names.Draw(t, "grant"), Amount: amounts.Draw(t, "amount")}
	if c := h.grants[tgt.ID]; c != nil {
		tgt.StartsAt, tgt.ExpiresAt, tgt.CreatedAt = c.starts, c.expires, c.createdAt
	}
	h.apply(t, set(tgt))
}

// rename gives the credits of one grant by another name, and more or fewer of them.
func (h *history) rename(t *rapid.T) {
	heir := h.target().Draw(t, "heir")
	from := names.Filter(func(id string) bool { return id != heir.ID }).Draw(t, "from")
	if rapid.Bool().Draw(t, "as many") && h.grants[from] != nil {
		heir.Amount = h.grants[from].amount
	}
	targets := set(into(from, heir.ID), heir)
	if third := h.target().Draw(t, "third"); third.ID != from && third.ID != heir.ID {
		if rapid.Bool().Draw(t, "renamed, too") {
			third = into(third.ID, heir.ID)
		}
		targets = slices.Insert(targets, rapid.IntRange(0, 2).Draw(t, "place"), third)
	}
	h.apply(t, targets)
}

func (h *history) hold(t *rapid.T) {
	id := rapid.SampledFrom([]string{"h", "i", "j"}).Draw(t, "hold")
	amount := rapid.SampledFrom([]int64{0, 1, 4, h.available(), h.available() + 1}).Draw(t, "amount")
	until := h.now.Add(time.Duration(rapid.IntRange(0, 4).Draw(t, "half hours")) * halfHour).Add(moments.Draw(t, "and"))
	next, entries, outcome, err := h.account.Hold(id, amount, until, h.now)
	if want := h.tally.hold(id, amount, until); outcome != want {
		t.Fatalf("a hold of %d: %s, want %s\n%+v", amount, outcome, want, h.account)
	}
	h.accept(t, next, entries, err)
}

func (h *history) end(t *rapid.T) {
	id := rapid.SampledFrom([]string{"h", "i", "j"}).Draw(t, "hold")
	held := h.account.Holds[id].Amount()
	captured := rapid.SampledFrom([]int64{0, held / 2, held, held}).Draw(t, "captured")
	next, entries, outcome, err := h.account.End(id, captured, h.now)
	if want := h.tally.end(id, captured); outcome != want {
		t.Fatalf("the end of %s: %s, want %s", id, outcome, want)
	}
	h.accept(t, next, entries, err)
}

// take takes credits by hand, more than there are at times.
func (h *history) take(t *rapid.T) {
	amount := rapid.SampledFrom([]int64{0, 1, 4, h.available(), h.available() + 3}).Draw(t, "amount")
	owe := rapid.Bool().Draw(t, "owe")
	h.act(t, "take", ledger.ErrTooFew, func(b *ledger.Book, name string) (bool, error) {
		return h.tally.take(name, amount, owe), b.Take(name, amount, owe)
	})
}

// waive forgives debt by hand.
func (h *history) waive(t *rapid.T) {
	amount := rapid.SampledFrom([]int64{0, 1, h.debt(), h.debt() + 1}).Draw(t, "amount")
	h.act(t, "waive", ledger.ErrNotOwed, func(b *ledger.Book, name string) (bool, error) {
		return h.tally.waive(name, amount), b.Waive(name, amount)
	})
}

// act does something by hand, under a name of its own. If it is refused, only time passes.
func (h *history) act(t *rapid.T, kind string, refused error, do func(*ledger.Book, string) (bool, error)) {
	h.acts++
	b := h.account.Open(h.now)
	done, err := do(b, fmt.Sprint(kind, h.acts))
	if done {
		h.accept(t, b.Account(), b.Entries, err)
		return
	}
	if !errors.Is(err, refused) || len(b.Entries) > 0 {
		t.Fatalf("%s: %v, %+v", kind, err, b.Entries)
	}
	next, entries, err := h.account.Apply(nil, h.policy, "", h.now)
	h.accept(t, next, entries, err)
}

// accept checks that the entries of an operation follow from each other, and goes on with
// the account after it.
func (h *history) accept(t *rapid.T, next ledger.Account, entries []ledger.Entry, err error) {
	if err != nil {
		t.Fatal(err)
	}
	if h.entered == nil {
		h.entered = make(map[string]int64)
	}
	balance := h.account.Balance()
	for i, e := range entries {
		balance += e.Amount
		h.entered[e.Grant] += e.Amount
		if e.Seq != h.account.Seq+int64(i)+1 || e.Balance != balance || e.Amount == 0 || !e.At.Equal(instant(h.now)) {
			t.Fatalf("entry %d is %+v", i, e)
		}
	}
	if next.Seq != h.account.Seq+int64(len(entries)) {
		t.Fatalf("%d entries from %d to %d", len(entries), h.account.Seq, next.Seq)
	}
	h.account = next
}

// look compares what can be seen of the account, in which time has changed something since
// the last operation, and checks that looking changes nothing.
func (h *history) look(t *rapid.T) {
	before := fmt.Sprintf("%+v", h.account)
	available, owed := h.account.AvailableOrOwed(h.now)
	at := h.account.At(h.now)
	if after := fmt.Sprintf("%+v", h.account); after != before || at.Seq != h.account.Seq {
		t.Fatalf("by looking,\n%s\nbecame\n%s", before, after)
	}
	h.elapse()
	if available != h.available() || owed != h.debt() {
		t.Fatalf("%d available and %d owed, want %d and %d: %s", available, owed, h.available(), h.debt(), before)
	}
	h.compare(t, at)
}

func (h *history) check(t *rapid.T) {
	h.compare(t, h.account)
	for id, c := range h.grants {
		if sum := c.left + h.held(id) + c.paid - c.owed; h.entered[id] != sum {
			t.Fatalf("the entries of %s add up to %d, want %d: %+v", id, h.entered[id], sum, *c)
		}
	}
}

// compare holds each grant of an account to the tally.
func (h *history) compare(t *rapid.T, a ledger.Account) {
	if got := slices.Sorted(maps.Keys(a.Holds)); !slices.Equal(got, slices.Sorted(maps.Keys(h.holds))) {
		t.Fatalf("the account holds %v, the tally %v", got, h.holds)
	}
	balance := -h.debt()
	for id, c := range h.grants {
		g, held := a.Grants.At(id), h.held(id)
		balance += c.left + held
		got := fmt.Sprintf("%d = %d left + %d held + %d waiting + %d lapsed, %d forgiven", g.Amount, g.Left, g.Held, g.Waiting, g.Lapsed, g.Waived)
		want := fmt.Sprintf("%d = %d left + %d held + %d waiting + %d lapsed, %d forgiven", c.amount, c.left, held, c.waiting, c.lapsed, c.forgiven)
		if got != want {
			t.Fatalf("grant %s is %s;\nwant      %s", id, got, want)
		}
		if g.Amount != g.Left+g.Held+g.Waiting+g.Lapsed+c.spent+c.paid-g.Waived-c.owed {
			t.Fatalf("credits are lost or made: %+v, of which the tally says %+v", g, *c)
		}
		if g.Open() != (c.left+held+c.waiting > 0) || c.waiting == 0 && !g.StartsAt.IsZero() {
			t.Fatalf("open %t, starts %v: %+v", g.Open(), g.StartsAt, g)
		}
	}
	if a.Debt != h.debt() || a.Balance() != balance {
		t.Fatalf("the debt is %d and the balance %d, want %d and %d", a.Debt, a.Balance(), h.debt(), balance)
	}
}
