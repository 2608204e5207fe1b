package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/record"
)

// Hold implements [store.Holds].
func (s *Store) Hold(ctx context.Context, h store.Hold) (store.Held, error) {
	if err := record.CheckHold(h); err != nil {
		return store.Held{}, fmt.Errorf("hold: %w", err)
	}
	w := s.holdKeys(newWords(), h.Account, h.ID, h.By)
	keys := w.len()
	w = w.add(s.now(), s.changes, h.ID, h.By, h.Fingerprint).int(h.Amount).int(milliseconds(h.TTL)).add(flag(h.Renew))
	after, placed, w := knownHold(h, w)
	texts := w.texts()
	var held store.Held
	err := s.ask(ctx, "hold", func() error {
		reply, err := s.run(ctx, holdScript, texts[:keys], texts[keys:])
		if err != nil {
			return err
		}
		if len(reply) == 1 {
			outcome, rest, _ := strings.Cut(reply[0], " ")
			if outcome == "known" {
				ends, next, _ := strings.Cut(rest, " ")
				if err = errors.Join(placed.endAt(ends), after.dueAt(next)); err != nil {
					return err
				}
				held.Outcome, held.Note, held.Account = store.HoldPlaced, placed, after.account()
				return nil
			}
			held.Outcome = store.HoldOutcome(outcome)
			_, held.Account, err = parseUsual(rest)
			return err
		}
		if len(reply) < 4 {
			return errReply(reply)
		}
		held.Outcome = store.HoldOutcome(reply[0])
		if held.Captured, err = strconv.ParseInt(reply[1], 10, 64); err != nil {
			return err
		}
		if reply[2] != "" {
			held.Receipt = []byte(reply[2])
		}
		held.Account, err = parseAccount(reply[3:])
		return err
	})
	if err != nil {
		return store.Held{}, err
	}
	return held, nil
}

// End implements [store.Holds].
func (s *Store) End(ctx context.Context, e store.End) (store.Ended, error) {
	if err := record.CheckEnd(e); err != nil {
		return store.Ended{}, fmt.Errorf("end hold: %w", err)
	}
	keep := store.Recently
	if e.Captured > 0 {
		keep = max(keep, e.Keep)
	}
	w := s.holdKeys(newWords(), e.Account, e.ID, e.By)
	keys := w.len()
	w = w.add(s.now(), s.changes, e.ID, e.By).int(e.Captured).add(string(e.Receipt)).int(milliseconds(keep)).int(milliseconds(s.slack()))
	after, w := knownEnd(e, w)
	texts := w.texts()
	var done store.Ended
	err := s.ask(ctx, "end hold", func() error {
		reply, err := s.run(ctx, endScript, texts[:keys], texts[keys:])
		switch {
		case err != nil:
			return err
		case len(reply) == 1 && reply[0] == "range":
			return fmt.Errorf("end hold %q: %w", e.ID, ledger.ErrRange)
		case len(reply) == 1:
			done.Found = true
			outcome, rest, _ := strings.Cut(reply[0], " ")
			if outcome == "known" {
				if err = after.dueAt(rest); err == nil {
					done.Captured, done.Account = e.Captured, after.account()
				}
				return err
			}
			done.Captured, done.Account, err = parseUsual(rest)
			return err
		case len(reply) < 4:
			return errReply(reply)
		}
		done.Found = reply[0] == "ended"
		if done.Captured, err = strconv.ParseInt(reply[1], 10, 64); err != nil {
			return err
		}
		done.Account, err = parseAccount(reply[3:])
		return err
	})
	if err != nil {
		return store.Ended{}, err
	}
	return done, nil
}

// parseUsual reads what usual.lua answers behind the outcome.
func parseUsual(text string) (captured int64, a entitlement.Account, err error) {
	captured, rest, ok := cutNumber(text)
	if !ok {
		return 0, a, fmt.Errorf("script returned %.40q", text)
	}
	k, err := parseKnown(rest)
	if err != nil {
		return 0, a, err
	}
	return captured, k.account(), nil
}

func errReply(reply []string) error { return fmt.Errorf("script returned %d strings", len(reply)) }

// slack is how much longer things are stored than they count: a test's clock
// stands still while the server's goes on.
func (s *Store) slack() time.Duration {
	if s.clock == nil {
		return 0
	}
	return time.Hour
}

// holdKeys adds the keys of a hold. Nothing is remembered of one whose caller has no name.
func (s *Store) holdKeys(w words, account, id, by string) words {
	k := s.keysOf(account)
	for _, name := range ledgerKeys {
		w = w.joined(string(k), name)
	}
	if by != "" {
		w = w.add(k.ended(id))
	}
	return w
}

// parseHold reads what ledger.lua writes of a hold.
func parseHold(id, text string) (ledger.Hold, error) {
	h := ledger.Hold{ID: id}
	damaged := fmt.Errorf("stored hold is damaged: %.40q", text)
	expires, rest, _ := strings.Cut(text, " ")
	var err error
	if h.ExpiresAt, err = record.ParseMillis(expires); err != nil {
		return h, damaged
	}
	by, rest, ok1 := cutNumber(rest)
	fingerprint, rest, ok2 := cutNumber(rest)
	if !ok1 || !ok2 || by > int64(len(rest)) || fingerprint > int64(len(rest))-by {
		return h, damaged
	}
	for rest = rest[by+fingerprint:]; rest != ""; {
		size, after, ok1 := cutNumber(rest)
		amount, after, ok2 := cutNumber(after)
		if !ok1 || !ok2 || size > int64(len(after)) {
			return h, damaged
		}
		h.Parts = append(h.Parts, ledger.Part{Grant: after[:size], Amount: amount})
		rest = after[size:]
	}
	return h, nil
}

// cutNumber reads digits and the space after them.
func cutNumber(text string) (n int64, rest string, ok bool) {
	n, rest, ok = cutLast(text)
	return n, rest, ok && strings.Contains(text, " ")
}

// cutLast is cutNumber where nothing need come after.
func cutLast(text string) (n int64, rest string, ok bool) {
	digits, rest, _ := strings.Cut(text, " ")
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, rest, err == nil && n >= 0
}
