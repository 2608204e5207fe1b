package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/record"
)

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
