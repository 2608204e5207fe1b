package boltstore

import (
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/ledger"
)

// cut is what is known beside the file at the instant at which a reader begins to
// look into it.
type cut struct {
	holds []liveHold // that have not ended, or whose end is not in the file yet
	rev   int64      // the account's, at the least
	// writing: a revision above before is on its way into the file, or just there.
	writing bool
	before  int64
}

// cut is called with mu held since before the reader began.
func (h *holds) cut(account string) cut {
	c := cut{rev: h.tidied}
	c.before, c.writing = h.writing[account]
	if held := h.accounts[account]; held != nil {
		c.rev = held.rev
		for _, hold := range held.ending {
			c.holds = append(c.holds, *hold)
		}
		for _, hold := range held.live {
			c.holds = append(c.holds, *hold)
		}
	}
	return c
}

// show lays what is held over what a reader has read. Of the account, the reader has every
// change up to the revision that this makes. It returns the holds that have not ended.
func (c cut) show(k *book.Kept, now time.Time) (live []liveHold) {
	k.Ledger.Holds = make(map[string]ledger.Hold)
	defer back(k.Ledger.Grants).release(k)
	read := k.Rev
	for _, hold := range c.holds {
		if hold.endedAt != 0 && hold.endedAt <= read {
			continue
		}
		live = append(live, hold)
		over := ledger.Hold{ID: hold.ID, ExpiresAt: hold.ExpiresAt}
		for _, p := range hold.Parts {
			// Less is there only while a grant that it took from is on its way
			// into the file.
			if n := take(k.Ledger.Grants, p.Grant, p.Amount); n > 0 {
				over.Parts = append(over.Parts, ledger.Part{Grant: p.Grant, Amount: n})
			}
		}
		if hold.Expired(now) {
			k.Ledger.Holds[hold.ID] = over
		} else {
			k.Next = book.Sooner(k.Next, hold.ExpiresAt)
		}
	}
	if c.writing && read <= c.before {
		k.Rev = c.before
	} else {
		k.Rev = max(read, c.rev)
	}
	return live
}
