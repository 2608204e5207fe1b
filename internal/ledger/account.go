package ledger

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Max is the largest number of credits anything may hold: 2^53-1, the largest
// integer that a JSON number and a Lua number carry exactly.
const Max int64 = 1<<53 - 1

// ErrRange says that an amount or a balance would leave 0..[Max].
var ErrRange = errors.New("credits out of range")

// Grant is an amount of credits given for one reason.
type Grant struct {
	// ID names the reason, such as "payment:pay_1/0"; unique in its account.
	ID string
	// Amount is what the fact behind the grant gives now. A refund lowers it.
	Amount int64
	// Left is what can still be spent of it, until it expires.
	Left int64
	// Lapsed is what ran out unspent. A later claw-back takes it first after
	// Left, so that a customer never owes credits that expiry already took.
	Lapsed int64
	// ExpiresAt ends the grant at that instant; zero means never.
	ExpiresAt time.Time
	// CreatedAt is when the fact happened (not when it arrived). It orders
	// grants of equal expiry by age.
	CreatedAt time.Time
}

// Expired reports whether the grant gives nothing any more at now.
func (g Grant) Expired(now time.Time) bool {
	return !g.ExpiresAt.IsZero() && !now.Before(g.ExpiresAt)
}

// Target is what a grant should amount to according to a fact, whatever it
// amounted to before. Amount 0 takes it back. Times count in milliseconds.
type Target struct {
	ID        string
	Amount    int64
	ExpiresAt time.Time // zero: never
	CreatedAt time.Time
}

// Kind says what an entry did.
type Kind string

// The kinds of entry.
const (
	KindGrant    Kind = "grant"    // credits given
	KindClawBack Kind = "clawback" // credits taken back by a refund or the like
	KindExpire   Kind = "expire"   // credits that ran out unspent
)

// Entry is one immutable line of an account's ledger.
type Entry struct {
	Seq     int64     `json:"seq"`     // 1, 2, 3… without a gap
	At      time.Time `json:"at"`      // when it was written, UTC, in milliseconds
	Kind    Kind      `json:"kind"`    //
	Grant   string    `json:"grant"`   // the grant it changed
	Amount  int64     `json:"amount"`  // change of the balance, in credits; negative when taken
	Balance int64     `json:"balance"` // the balance after it
	Cause   string    `json:"cause"`   // what brought it: an event's id, or the use case's name
}

// Account is the ledger of one account.
type Account struct {
	Seq    int64 // number of the last entry; 0 before the first
	Grants map[string]Grant
}

// Balance is the sum of what is left in unexpired grants, in credits.
func (a Account) Balance(now time.Time) int64 {
	var sum int64
	for _, g := range a.Grants {
		if !g.Expired(now) {
			sum += g.Left
		}
	}
	return sum
}

// Apply brings each target's grant to its amount and returns the account after
// it with the entries that explain the change. What expired before now is
// entered first. The receiver is not changed.
//
// It returns [ErrRange] when an amount or the balance would leave 0..[Max].
func (a Account) Apply(targets []Target, cause string, now time.Time) (Account, []Entry, error) {
	b := book{Account: a.clone(), cause: cause, now: instant(now)}
	b.balance = b.total()
	b.lapse()
	for _, t := range targets {
		if err := b.set(t); err != nil {
			return a, nil, fmt.Errorf("set grant %q: %w", t.ID, err)
		}
	}
	b.lapse()
	return b.Account, b.entries, nil
}

// total is what is left in all grants, counting the ones whose expiry no entry
// has noted yet: the balance that the entries so far add up to.
func (a Account) total() int64 {
	var sum int64
	for _, g := range a.Grants {
		sum += g.Left
	}
	return sum
}

func (a Account) clone() Account {
	grants := make(map[string]Grant, len(a.Grants)+1)
	for id, g := range a.Grants {
		grants[id] = g
	}
	return Account{Seq: a.Seq, Grants: grants}
}

// book is an account while it is being written to.
type book struct {
	Account
	cause   string
	now     time.Time
	balance int64
	entries []Entry
}

func (b *book) enter(kind Kind, grant string, amount int64) {
	if amount == 0 {
		return
	}
	b.Seq++
	b.balance += amount
	b.entries = append(b.entries, Entry{
		Seq: b.Seq, At: b.now, Kind: kind, Grant: grant,
		Amount: amount, Balance: b.balance, Cause: b.cause,
	})
}

// lapse enters what is left in expired grants as expired, in order of id.
func (b *book) lapse() {
	for _, id := range b.ids() {
		g := b.Grants[id]
		if g.Left == 0 || !g.Expired(b.now) {
			continue
		}
		b.enter(KindExpire, id, -g.Left)
		g.Lapsed += g.Left
		g.Left = 0
		b.Grants[id] = g
	}
}

func (b *book) ids() []string {
	ids := make([]string, 0, len(b.Grants))
	for id := range b.Grants {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, strings.Compare)
	return ids
}

func (b *book) set(t Target) error {
	if t.Amount < 0 || t.Amount > Max {
		return ErrRange
	}
	g, known := b.Grants[t.ID]
	if !known {
		if t.Amount == 0 {
			return nil
		}
		g = Grant{ID: t.ID}
	}
	change := t.Amount - g.Amount
	if change > Max-b.balance {
		return ErrRange
	}
	g.Amount, g.ExpiresAt, g.CreatedAt = t.Amount, instant(t.ExpiresAt), instant(t.CreatedAt)
	if change >= 0 {
		g.Left += change
		b.enter(KindGrant, t.ID, change)
	} else {
		b.enter(KindClawBack, t.ID, -g.clawBack(-change))
	}
	b.Grants[t.ID] = g
	return nil
}

// instant is t as stores keep it: UTC, in milliseconds.
func instant(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// clawBack takes n from what is left, then from what has lapsed, and returns
// how much of it was still in the balance.
func (g *Grant) clawBack(n int64) int64 {
	taken := min(n, g.Left)
	g.Left -= taken
	g.Lapsed -= min(n-taken, g.Lapsed)
	return taken
}
