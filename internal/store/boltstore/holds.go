package boltstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/record"
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

// endedHold is what is remembered of a hold that has ended.
type endedHold struct {
	By          []byte `json:"by"`
	Fingerprint []byte `json:"fingerprint"`
	Captured    int64  `json:"captured"`
	Receipt     []byte `json:"receipt,omitempty"`
	Until       int64  `json:"until"` // milliseconds
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

// show lays over what is held at a revision of the file, for a reader. It says
// which revision that makes, and when the next hold runs out. Of the account, the
// reader has every change up to that revision.
func (c cut) show(rev int64, a *ledger.Account, now time.Time) (shown int64, until time.Time) {
	for _, hold := range c.holds {
		if hold.endedAt != 0 && hold.endedAt <= rev {
			continue
		}
		over := ledger.Hold{ID: hold.ID, ExpiresAt: hold.ExpiresAt}
		for _, p := range hold.Parts {
			// Less is there only while a grant that it took from is on its way
			// into the file.
			if n := take(a, p.Grant, p.Amount); n > 0 {
				over.Parts = append(over.Parts, ledger.Part{Grant: p.Grant, Amount: n})
			}
		}
		if hold.Expired(now) {
			a.Holds[hold.ID] = over
		} else {
			until = sooner(until, hold.ExpiresAt)
		}
	}
	if c.writing && rev <= c.before {
		return c.before, until
	}
	return max(rev, c.rev), until
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

// remember keeps the end of a hold for a short while, and forgets what was
// remembered long enough.
func (h *holds) remember(name holdName, e endedHold, now time.Time) {
	for len(h.queue) > 0 {
		oldest := h.queue[0]
		if known, ok := h.recent[oldest]; ok && known.Until > now.UnixMilli() {
			break
		}
		delete(h.recent, oldest)
		h.queue = h.queue[1:]
	}
	e.Until = now.Add(store.Recently).UnixMilli()
	if _, ok := h.recent[name]; !ok {
		h.queue = append(h.queue, name)
	}
	h.recent[name] = e
}

// Hold implements [store.Holds].
func (s *Store) Hold(ctx context.Context, h store.Hold) (store.Held, error) {
	if err := record.CheckHold(h); err != nil {
		return store.Held{}, fmt.Errorf("hold: %w", err)
	}
	var held store.Held
	err := s.update(ctx, len(h.ID), func(tx *bolt.Tx) (err error) {
		held, err = s.hold(tx, h)
		return s.after(h.Account, err)
	})
	if err != nil {
		return store.Held{}, err
	}
	return held, nil
}

func (s *Store) hold(tx *bolt.Tx, h store.Hold) (store.Held, error) {
	now := s.now()
	b := accountOf(tx, h.Account)
	k, err := s.readBook(b, h.Account, now, nil, h.ID)
	if err != nil {
		return store.Held{}, err
	}
	held, err := s.decide(b, k, h, now)
	if err != nil {
		return store.Held{}, err
	}
	if held.Outcome != store.HoldPlaced {
		held.Account = k.shown()
		return held, errUnwritten
	}
	if err = s.conclude(tx, k, nil); err != nil && !errors.Is(err, errUnwritten) {
		return store.Held{}, err
	}
	s.holds.place(k, h)
	if err != nil {
		s.tell(tx, k)
	}
	held.Account = k.shown()
	return held, err
}

// decide says how a hold goes, and changes the book if it is placed.
func (s *Store) decide(b bucket, k *book, h store.Hold, now time.Time) (store.Held, error) {
	if hold := k.held.find(h.ID); hold != nil && !hold.Expired(now) {
		switch {
		case hold.fingerprint != h.Fingerprint:
			return store.Held{Outcome: store.HoldMismatched}, nil
		case hold.by != h.By:
			return store.Held{Outcome: store.HoldRunning}, nil
		}
	} else if h.Renew {
		return store.Held{Outcome: store.HoldGone}, nil
	} else if end, known, err := s.ended(b, holdName{h.Account, h.ID}, now); err != nil {
		return store.Held{}, err
	} else if known && (end.Captured > 0 || string(end.By) == h.By) {
		if string(end.Fingerprint) != h.Fingerprint {
			return store.Held{Outcome: store.HoldMismatched}, nil
		}
		return store.Held{Outcome: store.HoldFinished, Captured: end.Captured, Receipt: end.Receipt}, nil
	}
	after, entries, outcome, err := k.before.Hold(h.ID, h.Amount, now.Add(h.TTL), now)
	if err != nil {
		return store.Held{}, err
	}
	if outcome != ledger.Held {
		return store.Held{Outcome: store.HoldRefused}, nil
	}
	k.after, k.entries = after, entries
	return store.Held{Outcome: store.HoldPlaced}, nil
}

// End implements [store.Holds].
func (s *Store) End(ctx context.Context, e store.End) (store.Ended, error) {
	if err := record.CheckEnd(e); err != nil {
		return store.Ended{}, fmt.Errorf("end hold: %w", err)
	}
	e.Receipt = bytes.Clone(e.Receipt)
	var done store.Ended
	err := s.update(ctx, len(e.Receipt), func(tx *bolt.Tx) (err error) {
		done, err = s.end(tx, e)
		return s.after(e.Account, err)
	})
	if err != nil {
		return store.Ended{}, err
	}
	return done, nil
}

func (s *Store) end(tx *bolt.Tx, e store.End) (store.Ended, error) {
	now := s.now()
	b := accountOf(tx, e.Account)
	k, err := s.readBook(b, e.Account, now, nil, e.ID)
	if err != nil {
		return store.Ended{}, err
	}
	name := holdName{e.Account, e.ID}
	hold := k.held.find(e.ID)
	if hold == nil || hold.Expired(now) || hold.by != e.By {
		end, known, err := s.ended(b, name, now)
		if err != nil {
			return store.Ended{}, err
		}
		known = known && string(end.By) == e.By
		if !known {
			end.Captured = 0
		}
		return store.Ended{Found: known, Captured: end.Captured, Account: k.shown()}, errUnwritten
	}
	if k.after, k.entries, _, err = k.before.End(e.ID, e.Captured, now); err != nil {
		return store.Ended{}, err
	}
	end := endedHold{By: []byte(e.By), Fingerprint: []byte(hold.fingerprint), Captured: e.Captured}
	if e.Captured > 0 {
		end.Receipt = e.Receipt
	}
	err = s.conclude(tx, k, func(b bucket) error {
		if e.Captured == 0 || e.Keep <= store.Recently {
			return forgetEnded(b, now)
		}
		end.Until = now.Add(e.Keep).UnixMilli()
		return errors.Join(saveEnded(b, e.ID, end), forgetEnded(b, now))
	})
	if err != nil && !errors.Is(err, errUnwritten) {
		return store.Ended{}, err
	}
	s.holds.remember(name, end, now)
	if err != nil {
		s.tell(tx, k)
	}
	return store.Ended{Found: true, Captured: e.Captured, Account: k.shown()}, err
}

// ended finds what is remembered of a hold.
func (s *Store) ended(b bucket, name holdName, now time.Time) (endedHold, bool, error) {
	if e, ok := s.holds.recent[name]; ok && e.Until > now.UnixMilli() {
		return e, true, nil
	}
	value := b.get(kindEnded, name.id)
	if value == nil {
		return endedHold{}, false, nil
	}
	var e endedHold
	if err := json.Unmarshal(value, &e); err != nil {
		return e, false, damaged(fmt.Errorf("stored end of a hold is damaged: %w", err))
	}
	return e, e.Until > now.UnixMilli(), nil
}

// saveEnded notes the end of a hold, and when it may be forgotten. There was none
// under its id, or it was forgotten.
func saveEnded(b bucket, id string, e endedHold) error {
	value, err := json.Marshal(e)
	if err != nil {
		return writeError{err}
	}
	return errors.Join(
		b.put(kindEnded, id, value),
		b.put(kindEndedUntil, string(number(e.Until))+id, nil),
	)
}

// forgetEnded removes the ends that were remembered long enough.
func forgetEnded(b bucket, now time.Time) error {
	var over [][]byte
	err := b.scan(kindEndedUntil, func(name, _ []byte) error {
		if len(over) == maxForgotten || parseNumber(name) > now.UnixMilli() {
			return errEnough
		}
		over = append(over, bytes.Clone(name))
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	var errs []error
	for _, name := range over {
		errs = append(errs, b.remove(kindEndedUntil, string(name)))
		if id := string(name[8:]); stillOver(b, id, now) {
			errs = append(errs, b.remove(kindEnded, id))
		}
	}
	return errors.Join(errs...)
}

// stillOver guards against an id that was used again since.
func stillOver(b bucket, id string, now time.Time) bool {
	var e endedHold
	err := json.Unmarshal(b.get(kindEnded, id), &e)
	return err == nil && e.Until <= now.UnixMilli()
}

// maxForgotten is how many ends are removed in one operation.
const maxForgotten = 16
