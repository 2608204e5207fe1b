package cache

import (
	"slices"
	"strconv"

	"github.com/dodogate/dodogate/internal/entitlement"
)

// View is what a request sees of an account. It is read only.
type View struct {
	entitlement.Snapshot
	// Stale: the store cannot be reached, and this is what was remembered.
	Stale bool
	// Doubts are what Dodo should be asked about before the account is refused something.
	Doubts []entitlement.Doubt

	words   []string
	credits string // in decimal digits; empty: it was not made yet

	// The entry that it was taken from, if there is one; see [View.Settle].
	cache   *Cache
	account string
	number  uint64
	step    uint64 // of the entry; never 0
	settled bool
}

// NewView makes a view of a snapshot that is not remembered. say makes its words.
func NewView(s entitlement.Snapshot, stale bool, account string, say func(account string, s entitlement.Snapshot) []string) *View {
	v := &View{Snapshot: s, Stale: stale, credits: strconv.FormatInt(s.Credits, 10)}
	if say != nil {
		v.words = say(account, s)
	}
	return v
}

// Words are what [Options.Words] made of the snapshot. They are read only.
func (v *View) Words() []string { return v.words }

// CreditsText are the credits in decimal digits.
func (v *View) CreditsText() string {
	if v.credits == "" {
		return strconv.FormatInt(v.Credits, 10)
	}
	return v.credits
}

// Over reports whether a period is over and Dodo has not said how it goes on.
func (v *View) Over() bool {
	return slices.ContainsFunc(v.Doubts, func(d entitlement.Doubt) bool { return d.Over })
}

// Owed reports whether the account must not be refused anything by this view, because it may
// have paid for it.
func (v *View) Owed() bool {
	return slices.ContainsFunc(v.Doubts, func(d entitlement.Doubt) bool { return d.Owed })
}

// Untold reports whether there is a payment for a subscription of which nothing else is known.
func (v *View) Untold() bool {
	return slices.ContainsFunc(v.Doubts, func(d entitlement.Doubt) bool { return d.Untold })
}

// Settled reports whether no order of the account waits to be paid, as far as
// somebody has looked between the reading of the account and this view.
func (v *View) Settled() bool { return v.settled && !v.Stale }

// Settle remembers that no order of the account waits to be paid. The caller has looked
// after it got the view. Once an order can be paid the entry is replaced by one with another
// number, so that nothing is noted in it.
func (v *View) Settle() {
	if v.cache != nil && !v.Stale {
		v.cache.settle(v)
	}
}
