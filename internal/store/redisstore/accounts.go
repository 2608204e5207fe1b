package redisstore

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/record"
)

// maxLooks is how often an account is read for somebody who asks for more each time.
const maxLooks = 8

// View implements [store.Store].
func (s *Store) View(ctx context.Context, account string, look store.Decision) (entitlement.Account, error) {
	if err := book.CheckAccount(account); err != nil {
		return entitlement.Account{}, err
	}
	var a entitlement.Account
	var refused refusedLook
	err := s.ask(ctx, "read account", func() error {
		src := &source{account: account, keys: s.keysOf(account), whole: true}
		st, err := s.viewed(ctx, src, look)
		if errors.As(err, &refused) {
			return nil
		}
		if err != nil {
			return err
		}
		a = st.Account()
		if known := s.memory.get(account); known == nil || known.revision != st.revision {
			s.memory.set(account, &state{revision: st.revision, Kept: st.Kept}) // whoever looks may buy or spend next
		}
		if a.Ledger.Holds == nil {
			a.Ledger.Holds = make(map[string]ledger.Hold)
		}
		if a.Standings = st.standings; a.Standings == nil {
			a.Standings = make(map[string]entitlement.Standing)
		}
		return nil
	})
	if refused.error != nil {
		err = refused.error
	}
	if err != nil {
		return entitlement.Account{}, book.OfAccount(account, err)
	}
	return a, nil
}

// viewed reads an account with what look asks for. To find out what that is, look is called
// first with an account that has nothing.
func (s *Store) viewed(ctx context.Context, src *source, look store.Decision) (*state, error) {
	if look == nil {
		return s.look(ctx, src, nil, false)
	}
	_ = look(book.Open(src.account, &book.Kept{}, src, s.serverNow())) // what it says counts once all is read
	for range maxLooks {
		st, err := s.look(ctx, src, nil, false)
		if err != nil {
			return nil, err
		}
		src.begin()
		err = look(book.Open(src.account, &st.Kept, src, src.now))
		if src.certain() && !errors.Is(err, book.ErrUnread) {
			return st, lookError(err)
		}
	}
	return nil, errContention
}

// lookError marks what a look returned; nil is nil.
func lookError(err error) error {
	if err == nil {
		return nil
	}
	return refusedLook{err}
}

// refusedLook is an error that a look returned, which is no failure of the store.
type refusedLook struct{ error }

func parseObject(version, state string) (book.Object, error) {
	n, err := parseDigits(version)
	if err != nil {
		return book.Object{}, err
	}
	return book.Object{Version: n, State: []byte(state)}, nil
}

// Entries implements [store.Store].
func (s *Store) Entries(ctx context.Context, account string, p store.Page) (entries []ledger.Entry, err error) {
	if err := book.CheckAccount(account); err != nil {
		return nil, err
	}
	key, limit := s.keysOf(account).entries, int64(max(min(p.Limit, store.MaxEntries), 0))
	err = s.do(ctx, "read entries", func(ctx context.Context) error {
		first := max(p.After, 0)
		last := min(first, ledger.Max) + limit // entries are numbered from 1
		if p.Before != 0 {
			there, err := s.client.LLen(ctx, key).Result()
			if err != nil {
				return err
			}
			last = min(max(p.Before, 1)-1, there)
			first = max(last-limit, 0)
		}
		if first >= last {
			return nil
		}
		texts, err := s.client.LRange(ctx, key, first, last-1).Result()
		if err != nil {
			return err
		}
		entries, err = parseEntries(texts, first+1)
		return err
	})
	if err != nil {
		return nil, book.OfAccount(account, err)
	}
	if p.Before != 0 {
		slices.Reverse(entries)
	}
	return entries, nil
}

// parseEntries reads entries that follow each other from the number first on.
func parseEntries(texts []string, first int64) ([]ledger.Entry, error) {
	var entries []ledger.Entry
	for i, text := range texts {
		e, err := record.ParseEntry(text)
		if err != nil {
			return nil, err
		}
		if e.Seq != first+int64(i) {
			return nil, book.Damaged("entry %d has the number %d", first+int64(i), e.Seq)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// Claim implements [store.Store].
func (s *Store) Claim(ctx context.Context, ref entitlement.Ref, account string) (owner string, err error) {
	err = book.CheckRef(ref)
	if account != "" {
		err = errors.Join(err, book.CheckAccount(account))
	}
	if err != nil {
		return "", err
	}
	if account == "" {
		err = s.do(ctx, "read owner of "+ref.String(), func(ctx context.Context) error {
			owner, err = s.client.Get(ctx, s.ownerKey(ref)).Result()
			if errors.Is(err, redis.Nil) {
				err = nil
			}
			return err
		})
		return owner, err
	}
	err = s.ask(ctx, "claim "+ref.String(), func() error {
		var asked binding
		err := s.conn.Writes().Do(ctx, func(ctx context.Context, p redis.Pipeliner) {
			asked = addBinding(ctx, p, s.ownerKey(ref), account, ownerLife(ref))
		})
		if err == nil {
			owner, err = asked.owner()
		}
		return err
	})
	return owner, err
}

// binding is the commands that bind a thing to an account unless it is bound already. It does not
// matter how often they arrive: an owner never changes, and only an operator's act frees it
// (free.lua).
type binding struct {
	set *redis.BoolCmd
	get *redis.StringCmd
}

func addBinding(ctx context.Context, p redis.Pipeliner, key, account string, life time.Duration) binding {
	return binding{p.SetNX(ctx, key, account, life), p.Get(ctx, key)}
}

// ownerLife is how long it is kept whose a thing is; 0 is for ever. A checkout session is bound
// before it is paid, and most are not. Once it is paid, the payment itself is bound.
func ownerLife(ref entitlement.Ref) time.Duration {
	if ref.Kind == entitlement.KindSession {
		return 3 * retention
	}
	return 0
}

// owner is the account that the thing is bound to.
func (b binding) owner() (string, error) {
	owner, err := b.get.Result()
	if errors.Is(err, redis.Nil) { // it could not be bound
		return "", cmp.Or(b.set.Err(), err)
	}
	return owner, err
}
