package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store/record"
)

// maxEntries is the most that one call of Entries or EntriesBefore reads.
const maxEntries = 1000

var errRange = ledger.ErrRange

// errApart: an event and an account cannot be written by one script here.
var errApart = errors.New("keys lie in different slots")

// Account implements [store.Accounts].
func (s *Store) Account(ctx context.Context, account string) (entitlement.Account, error) {
	if err := record.CheckAccount(account); err != nil {
		return entitlement.Account{}, err
	}
	var a entitlement.Account
	err := s.ask(ctx, "read account", func() error {
		st, err := s.look(ctx, &source{account: account, keys: s.keysOf(account), whole: true})
		if err != nil {
			return err
		}
		a = st.Account()
		s.remember(account, &state{revision: st.revision, Kept: st.Kept}) // whoever looks may buy or spend next
		if a.Ledger.Holds == nil {
			a.Ledger.Holds = make(map[string]ledger.Hold)
		}
		if a.Standings = st.standings; a.Standings == nil {
			a.Standings = make(map[string]entitlement.Standing)
		}
		return nil
	})
	return a, err
}

// SignUp implements [store.Accounts].
func (s *Store) SignUp(ctx context.Context, c book.Commit) (entitlement.Account, error) {
	c.Version, c.Order, c.Settle = 0, nil, nil
	c, err := record.OwnCommit(c)
	if err != nil {
		return entitlement.Account{}, fmt.Errorf("sign up: %w", err)
	}
	a, err := s.Account(ctx, c.Account) // most are not new
	if err != nil || a.Ledger.Seq > 0 {
		return a, err
	}
	_, err = s.update(ctx, "sign up", c.Account, func(b *book.Book) error { return b.SignUp(c) })
	if err != nil {
		return entitlement.Account{}, err
	}
	return s.Account(ctx, c.Account) // somebody else may have been here meanwhile
}

// Object implements [store.Accounts].
func (s *Store) Object(ctx context.Context, account string, ref entitlement.Ref) (book.Object, error) {
	if err := errors.Join(record.CheckAccount(account), record.CheckRef(ref)); err != nil {
		return book.Object{}, err
	}
	var o book.Object
	err := s.do(ctx, "read object", func(ctx context.Context) (err error) {
		o, err = readObject(s.client.HGetAll(ctx, s.keysOf(account).object(ref)))
		return err
	})
	return o, err
}

func readObject(said *redis.MapStringStringCmd) (book.Object, error) {
	fields, err := said.Result()
	if err != nil || len(fields) == 0 {
		return book.Object{}, err
	}
	return parseObject(fields["version"], fields["state"])
}

func parseObject(version, state string) (book.Object, error) {
	n, err := strconv.ParseInt(version, 10, 64)
	if err != nil {
		return book.Object{}, err
	}
	return book.Object{Version: n, State: []byte(state)}, nil
}

// Entries implements [store.Accounts].
func (s *Store) Entries(ctx context.Context, account string, after int64, limit int) ([]ledger.Entry, error) {
	if err := record.CheckAccount(account); err != nil {
		return nil, err
	}
	after, limit = max(after, 0), min(limit, maxEntries)
	if limit <= 0 || after > ledger.Max {
		limit = 0 // nothing, but the server is asked all the same
		after = 1
	}
	var entries []ledger.Entry
	err := s.do(ctx, "read entries", func(ctx context.Context) error {
		texts, err := s.client.LRange(ctx, s.keysOf(account).entries, after, after+int64(limit)-1).Result()
		if err != nil {
			return err
		}
		entries, err = parseEntries(texts)
		return err
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// EntriesBefore implements [store.Accounts].
func (s *Store) EntriesBefore(ctx context.Context, account string, before int64, limit int) ([]ledger.Entry, error) {
	if err := record.CheckAccount(account); err != nil {
		return nil, err
	}
	before = min(max(before, 0), ledger.Max)
	limit = min(max(limit, 0), maxEntries)
	var entries []ledger.Entry
	err := s.do(ctx, "read entries", func(ctx context.Context) error {
		texts, err := s.run(ctx, entriesBeforeScript, []string{s.keysOf(account).entries},
			[]string{decimal(before), strconv.Itoa(limit)})
		if err != nil {
			return err
		}
		entries, err = parseEntries(texts)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.Reverse(entries)
	return entries, nil
}

func parseEntries(texts []string) ([]ledger.Entry, error) {
	var entries []ledger.Entry
	for _, text := range texts {
		e, err := record.ParseEntry(text)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// Claim implements [store.Owners].
func (s *Store) Claim(ctx context.Context, ref entitlement.Ref, account string) (string, error) {
	if err := errors.Join(record.CheckAccount(account), record.CheckRef(ref)); err != nil {
		return "", err
	}
	var owner string
	err := s.ask(ctx, "claim "+ref.String(), func() error {
		reply, err := s.run(ctx, claimScript, []string{s.ownerKey(ref)}, []string{account})
		if err == nil {
			owner = reply[0]
		}
		return err
	})
	return owner, err
}

// Owner implements [store.Owners].
func (s *Store) Owner(ctx context.Context, ref entitlement.Ref) (string, error) {
	if err := record.CheckRef(ref); err != nil {
		return "", err
	}
	var owner string
	err := s.do(ctx, "read owner of "+ref.String(), func(ctx context.Context) error {
		var err error
		if owner, err = s.client.Get(ctx, s.ownerKey(ref)).Result(); errors.Is(err, redis.Nil) {
			return nil
		}
		return err
	})
	return owner, err
}
