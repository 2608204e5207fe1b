package boltstore

import (
	"slices"
	"sync"
	"time"

	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
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
	recent  map[holdName]endedHold
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
	ledger.Hold
	by, fingerprint string
	endedAt         int64 // the account's revision that its end is written under
}

func newHolds() *holds {
	return &holds{accounts: make(map[string]*heldAccount), writing: make(map[string]int64), recent: make(map[holdName]endedHold)}
}

// of returns an account's holds; nil when there are none.
func (h *holds) of(account string) *heldAccount { return h.accounts[account] }

// layOver moves what is held from left to held, and names the holds that have
// run out and the ones that are asked for. It says which revision that makes of
// one of the file.
func (h *heldAccount) layOver(a *ledger.Account, rev int64, now time.Time, asked []string) int64 {
	if h == nil {
		return rev
	}
	rev = max(rev, h.rev)
	for grant, n := range h.sums {
		take(a, grant, n)
	}
	for _, id := range asked {
		if hold, ok := h.live[id]; ok {
			a.Holds[id] = hold.Hold
		}
	}
	if now.Before(h.until) {
		return rev
	}
	h.until = time.Time{}
	for id, hold := range h.live {
		h.until = sooner(h.until, hold.ExpiresAt)
		if hold.Expired(now) {
			a.Holds[id] = hold.Hold
		}
	}
	return rev
}

// next is when the next hold runs out, or a little sooner; zero when none does.
func (h *heldAccount) next(now time.Time) (next time.Time) {
	if h == nil {
		return next
	}
	if now.Before(h.until) {
		return h.until
	}
	for _, hold := range h.live {
		if !hold.Expired(now) {
			next = sooner(next, hold.ExpiresAt)
		}
	}
	return next
}

// take moves up to n of a grant from left to held, and returns how much.
func take(a *ledger.Account, grant string, n int64) int64 {
	g := a.Grants.At(grant)
	n = min(n, g.Left)
	if n == 0 {
		return 0
	}
	g.Left -= n
	g.Held += n
	a.Grants.Put(g)
	return n
}

// sooner is the earlier of two instants, of which the zero one is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// find returns a hold that has not ended; nil when there is none.
func (h *heldAccount) find(id string) *liveHold {
	if h == nil {
		return nil
	}
	return h.live[id]
}

// place adds the hold that a book has placed, or lets it run on.
func (h *holds) place(k *book, of store.Hold) {
	h.mu.Lock()
	defer h.mu.Unlock()
	hold := k.after.Holds[of.ID]
	held := h.accounts[k.account]
	if held == nil {
		held = &heldAccount{live: make(map[string]*liveHold), sums: make(map[string]int64)}
		h.accounts[k.account] = held
	}
	k.held, held.rev = held, k.rev
	held.until = sooner(held.until, hold.ExpiresAt)
	if known := held.live[of.ID]; known != nil {
		known.ExpiresAt = hold.ExpiresAt
		return
	}
	held.live[of.ID] = &liveHold{Hold: hold, by: of.By, fingerprint: of.Fingerprint}
	for _, p := range hold.Parts {
		held.sums[p.Grant] += p.Amount
	}
}

// write notes that something of an account is on its way into the file, above
// revision before.
func (h *holds) write(account string, before int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, known := h.writing[account]; !known {
		h.writing[account] = before
	}
}

// isWriting reports whether something of an account is on its way into the file.
// Only the goroutine that writes may call it.
func (h *holds) isWriting(account string) bool {
	_, writing := h.writing[account]
	return writing
}

// end takes holds away from who decides; from readers too, unless their end is
// written, and then from those who read revision rev or a later one.
func (h *holds) end(account string, ids []string, rev int64, written bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	held := h.accounts[account]
	held.rev = rev
	for _, hold := range held.take(ids) {
		if written {
			hold.endedAt = rev
			held.ending = append(held.ending, hold)
		}
	}
	h.tidy(account)
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

func (h *heldAccount) take(ids []string) []*liveHold {
	var taken []*liveHold
	for _, id := range ids {
		hold := h.live[id]
		delete(h.live, id)
		for _, p := range hold.Parts {
			if h.sums[p.Grant] -= p.Amount; h.sums[p.Grant] == 0 {
				delete(h.sums, p.Grant)
			}
		}
		taken = append(taken, hold)
	}
	if len(h.live) == 0 {
		h.until = time.Time{}
	}
	return taken
}
