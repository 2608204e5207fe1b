package boltstore

import (
	"slices"
	"sync"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/ledger"
)

// Holds are kept in memory: there is one process, and when it ends, so do the
// requests that they were for. Placing or releasing one costs no fsync.

// holds are the holds of all accounts. The goroutine that writes decides by them
// and alone changes them; mu is for those who read meanwhile.
type holds struct {
	mu       sync.Mutex
	accounts map[string]*heldAccount
	tidied   int64 // above the rev of every account that is not in accounts
	// writing are the revisions of accounts before what is on its way into the
	// file. Who reads meanwhile has no later one, whatever else is known.
	writing map[string]int64
	recent  map[holdName]*book.EndedHold
	queue   []holdName // of recent, the oldest first
}

type holdName struct{ account, id string }

// heldAccount are the holds of one account.
type heldAccount struct {
	live  map[string]*liveHold
	sums  map[string]int64 // of live, by grant
	until time.Time        // none of live runs out before
	rev   int64            // the account's, as of the last change here
	// ending are the ones whose end is not in the file yet.
	ending []*liveHold
}

type liveHold struct {
	*book.PlacedHold
	endedAt int64 // the account's revision that its end is written under
}

func newHolds() *holds {
	return &holds{accounts: make(map[string]*heldAccount), writing: make(map[string]int64), recent: make(map[holdName]*book.EndedHold)}
}

// of returns an account's holds; nil when there are none.
func (h *holds) of(account string) *heldAccount { return h.accounts[account] }

// layOver moves what is held from left to held, and adds the holds that have run out. k is what
// the file has of the account.
func (h *heldAccount) layOver(k *book.Kept, now time.Time) {
	saved := back(k.Ledger.Grants)
	if h != nil {
		h.hold(k, now)
	}
	saved.release(k)
}

// lost are the credits that holds of an earlier process hold, by grant, as far as the file says.
// Now nobody holds them.
type lost []ledger.Part

// back takes what is held, as the file says, back to what is left.
func back(grants ledger.Grants) (held lost) {
	for i := range grants {
		if g := &grants[i]; g.Held > 0 {
			held = append(held, ledger.Part{Grant: g.ID, Amount: g.Held})
			g.Left, g.Held = g.Left+g.Held, 0
		}
	}
	return held
}

// lostHold is the id of the hold of all that is lost; no other one is empty.
const lostHold = ""

// release makes what nobody holds by now a hold that has run out, so that it is released as it
// would have been.
func (held lost) release(k *book.Kept) {
	var parts []ledger.Part
	for _, p := range held {
		if n := take(k.Ledger.Grants, p.Grant, p.Amount-k.Ledger.Grants.At(p.Grant).Held); n > 0 {
			parts = append(parts, ledger.Part{Grant: p.Grant, Amount: n})
		}
	}
	if parts == nil {
		return
	}
	if k.Ledger.Holds == nil {
		k.Ledger.Holds = make(map[string]ledger.Hold)
	}
	k.Ledger.Holds[lostHold] = ledger.Hold{ID: lostHold, Parts: parts}
}

func (h *heldAccount) hold(k *book.Kept, now time.Time) {
	k.Rev = max(k.Rev, h.rev)
	for grant, n := range h.sums {
		take(k.Ledger.Grants, grant, n)
	}
	if now.Before(h.until) {
		k.Next = h.until
		return
	}
	h.until = time.Time{}
	for id, hold := range h.live {
		h.until = book.Sooner(h.until, hold.ExpiresAt)
		if !hold.Expired(now) {
			k.Next = book.Sooner(k.Next, hold.ExpiresAt)
			continue
		}
		if k.Ledger.Holds == nil {
			k.Ledger.Holds = make(map[string]ledger.Hold)
		}
		k.Ledger.Holds[id] = hold.Hold
	}
}

// take moves up to n of a grant from left to held, and returns how much.
func take(grants ledger.Grants, grant string, n int64) int64 {
	g := grants.Of(grant)
	if g == nil {
		return 0
	}
	n = max(min(n, g.Left), 0)
	g.Left -= n
	g.Held += n
	return n
}

// follow does what a book decided about the holds of its account, whose revision was before and
// is rev now. The next decision no longer finds a hold that ended. Readers find it until they
// read revision rev in the file, if its end is written.
func (h *holds) follow(b *book.Book, before, rev int64, written bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, known := h.writing[b.Account]; written && !known {
		h.writing[b.Account] = before
	}
	changes := b.Changes()
	for _, row := range changes.Ends {
		h.remember(holdName{b.Account, row.Key}, row.Value, b.Now)
	}
	held := h.accounts[b.Account]
	if held != nil {
		b.Over(func(id string) {
			if id != lostHold {
				held.end(id, rev, written)
			}
		})
	}
	for _, row := range changes.Holds {
		switch {
		case row.Value == nil:
			held.end(row.Key, rev, written)
			continue
		case held == nil:
			held = &heldAccount{live: make(map[string]*liveHold), sums: make(map[string]int64)}
			h.accounts[b.Account] = held
		}
		held.place(row.Value)
	}
	if held != nil && rev > before {
		held.rev = rev
		h.tidy(b.Account)
	}
}

// isWriting reports whether something of an account is on its way into the file.
// Only the goroutine that writes may call it.
func (h *holds) isWriting(account string) bool {
	_, writing := h.writing[account]
	return writing
}

// forget takes away what ended at rev or before, which is in the file by now.
func (h *holds) forget(account string, rev int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.writing, account)
	if held := h.accounts[account]; held != nil {
		held.ending = slices.DeleteFunc(held.ending, func(hold *liveHold) bool { return hold.endedAt <= rev })
		h.tidy(account)
	}
}

func (h *holds) tidy(account string) {
	if held := h.accounts[account]; len(held.live) == 0 && len(held.ending) == 0 {
		h.tidied = max(h.tidied, held.rev)
		delete(h.accounts, account)
	}
}

// place adds a hold, or lets it run on.
func (h *heldAccount) place(hold *book.PlacedHold) {
	h.until = book.Sooner(h.until, hold.ExpiresAt)
	if known := h.live[hold.ID]; known != nil {
		known.PlacedHold = hold
		return
	}
	h.live[hold.ID] = &liveHold{PlacedHold: hold}
	for _, p := range hold.Parts {
		h.sums[p.Grant] += p.Amount
	}
}

// end takes a hold away. One whose end is written is kept as ending.
func (h *heldAccount) end(id string, rev int64, written bool) {
	hold := h.live[id]
	delete(h.live, id)
	for _, p := range hold.Parts {
		if h.sums[p.Grant] -= p.Amount; h.sums[p.Grant] == 0 {
			delete(h.sums, p.Grant)
		}
	}
	if len(h.live) == 0 {
		h.until = time.Time{}
	}
	if written {
		hold.endedAt = rev
		h.ending = append(h.ending, hold)
	}
}
