package ledger

import (
	"cmp"
	"errors"
	"iter"
	"maps"
	"slices"
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
	// Held is set aside by holds that have not ended.
	Held int64
	// Waiting is what the grant gives from StartsAt on. Until then it counts for
	// nothing, and a claw-back takes it first.
	Waiting int64
	// Lapsed is what ran out unspent. A later claw-back takes it first after
	// Left, so that a customer never owes credits that expiry already took.
	Lapsed int64
	// Waived is what claw-backs under policy floor found spent and forgave. It
	// comes first off whatever comes back to the grant, by a release or by the
	// fact giving more again.
	Waived int64
	// StartsAt is when Waiting can be spent; zero when nothing waits.
	StartsAt time.Time
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

// Due reports whether something waits in the grant that can be spent at now. What
// changes the account then begins it, see [Account.Apply].
func (g Grant) Due(now time.Time) bool { return g.Waiting > 0 && !now.Before(g.StartsAt) }

// Open reports whether something of the grant is left, held or waiting. Stores keep
// the others apart, because only a fact about them can change anything.
func (g Grant) Open() bool { return g.Left > 0 || g.Held > 0 || g.Waiting > 0 }

// Compare is the burn order: soonest expiry, then oldest, then by id.
func (g Grant) Compare(h Grant) int {
	never := func(t time.Time) int {
		if t.IsZero() {
			return 1
		}
		return 0
	}
	return cmp.Or(
		cmp.Compare(never(g.ExpiresAt), never(h.ExpiresAt)),
		g.ExpiresAt.Compare(h.ExpiresAt),
		g.CreatedAt.Compare(h.CreatedAt),
		cmp.Compare(g.ID, h.ID),
	)
}

// Account is the ledger of one account.
type Account struct {
	Seq    int64 // number of the last entry; 0 before the first
	Debt   int64 // what claw-backs took beyond what was left
	Grants Grants
	Holds  map[string]Hold // the ones that have not ended
}

// Available is what can be spent at now: what is left in the grants that have begun
// and not expired, once the holds that have run out are released and debt is paid. Never
// below 0.
func (a Account) Available(now time.Time) int64 {
	available, _ := a.AvailableOrOwed(now)
	return available
}

// AvailableOrOwed is what can be spent at now or, if that is 0, how many of the credits
// that come next pay debt.
func (a Account) AvailableOrOwed(now time.Time) (available, owed int64) {
	unseen := func(g Grant) bool { return g.Due(now) && g.Expired(now) } // it paid debt before it ended
	if len(a.Holds) > 0 && hasExpired(maps.Values(a.Holds), now) || a.Debt > 0 && slices.ContainsFunc(a.Grants, unseen) {
		a = a.At(now)
	}
	sum := -a.Debt
	for _, g := range a.Grants {
		if g.Expired(now) {
			continue
		}
		sum += g.Left
		if g.Due(now) {
			sum += g.Waiting
		}
	}
	return max(0, sum), max(0, -sum)
}

// At is the account as the next change at now will find it: what is due by then has
// happened, except that no entry says so.
func (a Account) At(now time.Time) Account {
	b := a.Open(now)
	b.sweep()
	b.Seq = a.Seq
	return b.Account()
}

// Balance is what the entries so far add up to: what is left and held in all
// grants, counting those whose expiry no entry has noted yet and leaving out those
// whose beginning none has noted, less the debt. Below 0 while more is owed than
// there is.
func (a Account) Balance() int64 {
	sum := -a.Debt
	for _, g := range a.Grants {
		sum += g.Left + g.Held
	}
	return sum
}

// waiting is what has not begun in all grants.
func (a Account) waiting() int64 {
	var sum int64
	for _, g := range a.Grants {
		sum += g.Waiting
	}
	return sum
}

// hasExpired spares most the work: mostly time has done nothing.
func hasExpired[T interface{ Expired(now time.Time) bool }](all iter.Seq[T], now time.Time) bool {
	for one := range all {
		if one.Expired(now) {
			return true
		}
	}
	return false
}

// instant is t as stores keep it: UTC, in milliseconds.
func instant(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
