package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
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
	return s.readAccount(ctx, "read account", func() ([]string, error) {
		return s.run(ctx, accountScript, s.keysOf(account).ledger(), []string{s.now(), s.changes})
	})
}

// SignUp implements [store.Accounts].
func (s *Store) SignUp(ctx context.Context, c store.Commit) (entitlement.Account, error) {
	c.Version, c.Order, c.Settle = 0, nil, nil
	c, err := record.CheckCommit(c)
	if err != nil {
		return entitlement.Account{}, fmt.Errorf("sign up: %w", err)
	}
	standing, err := record.Standing(c.Effect.Standing)
	if err != nil {
		return entitlement.Account{}, fmt.Errorf("sign up: %w", err)
	}
	args := s.commitArgs(c, standing)
	args[2] = "" // the version, see commit.lua
	return s.readAccount(ctx, "sign up", func() ([]string, error) {
		reply, err := s.run(ctx, commitScript, s.commitKeys(c), args, blob{stateArg, c.State})
		if err == nil {
			reply, err = unpacked(reply, 1)
		}
		if err == nil && len(reply) == 2 && reply[0] == "range" { // an account is an odd number of strings
			err = fmt.Errorf("sign up: set grant %q: %w", reply[1], ledger.ErrRange)
		}
		return reply, err
	})
}

// readAccount reads the account that a script returns.
func (s *Store) readAccount(ctx context.Context, doing string, ask func() ([]string, error)) (entitlement.Account, error) {
	var a entitlement.Account
	err := s.ask(ctx, doing, func() error {
		reply, err := ask()
		if err != nil {
			return err
		}
		a, err = parseAccount(reply)
		return err
	})
	if err == nil && a.Standings == nil {
		a.Standings = make(map[string]entitlement.Standing)
	}
	return a, err
}

// parseAccount reads an account from a script's reply, see ledger.lua.
func parseAccount(reply []string) (entitlement.Account, error) {
	a := entitlement.Account{
		Ledger: ledger.Account{Holds: make(map[string]ledger.Hold)},
	}
	if len(reply)%2 == 0 {
		return a, fmt.Errorf("script returned an account of %d strings", len(reply))
	}
	var err error
	if a.HeldUntil, err = record.ParseMillis(reply[0]); err != nil {
		return a, err
	}
	for i := 1; i < len(reply); i += 2 {
		if err := parseField(&a, reply[i], reply[i+1]); err != nil {
			return a, err
		}
	}
	a.Ledger.Grants = ledger.NewGrants(a.Ledger.Grants)
	if a.Ledger.Debt == 0 && len(a.Ledger.Holds) == 0 {
		k := &known{due: a.HeldUntil, rev: a.Rev, srev: a.StandingsRev, seq: a.Ledger.Seq}
		k.grants = append(k.room[:0], a.Ledger.Grants...)
		a.Token = k
	}
	return a, nil
}

func parseField(a *entitlement.Account, field, value string) (err error) {
	kind, name, _ := strings.Cut(field, ":")
	switch kind {
	case "rev":
		a.Rev, err = strconv.ParseInt(value, 10, 64)
	case "srev":
		a.StandingsRev, err = strconv.ParseInt(value, 10, 64)
	case "seq":
		a.Ledger.Seq, err = strconv.ParseInt(value, 10, 64)
	case "debt":
		a.Ledger.Debt, err = strconv.ParseInt(value, 10, 64)
	case "g":
		var g ledger.Grant
		g, err = record.ParseGrant(name, value)
		a.Ledger.Grants = append(a.Ledger.Grants, g)
	case "h":
		a.Ledger.Holds[name], err = parseHold(name, value)
	case "s":
		if a.Standings == nil {
			a.Standings = make(map[string]entitlement.Standing)
		}
		a.Standings[name], err = record.ParseStanding(value)
	}
	return err
}

// Object implements [store.Accounts].
func (s *Store) Object(ctx context.Context, account string, ref entitlement.Ref) (store.Object, error) {
	if err := errors.Join(record.CheckAccount(account), record.CheckRef(ref)); err != nil {
		return store.Object{}, err
	}
	var o store.Object
	err := s.do(ctx, "read object", func(ctx context.Context) (err error) {
		o, err = readObject(s.client.HGetAll(ctx, s.keysOf(account).object(ref)))
		return err
	})
	return o, err
}

func readObject(said *redis.MapStringStringCmd) (store.Object, error) {
	fields, err := said.Result()
	if err != nil || len(fields) == 0 {
		return store.Object{}, err
	}
	return parseObject(fields["version"], fields["state"])
}

func parseObject(version, state string) (store.Object, error) {
	n, err := strconv.ParseInt(version, 10, 64)
	if err != nil {
		return store.Object{}, err
	}
	return store.Object{Version: n, State: []byte(state)}, nil
}

// Commit implements [store.Accounts]. When the reply to a commit is lost and
// go-redis sends it again, the caller is told of a conflict, as after any
// repeat.
func (s *Store) Commit(ctx context.Context, c store.Commit) (store.Committed, error) {
	c, err := record.CheckCommit(c)
	if err != nil {
		return store.Committed{}, fmt.Errorf("commit %s: %w", c.Object, err)
	}
	standing, err := record.Standing(c.Effect.Standing)
	if err != nil {
		return store.Committed{}, fmt.Errorf("commit %s: %w", c.Object, err)
	}
	if c.Settle == nil {
		done, _, err := s.commit(ctx, c, standing)
		return done, err
	}
	settle := *c.Settle
	if !s.apart.Load() {
		done, under, err := s.commit(ctx, c, standing)
		if err == nil && under != nil {
			err = s.unpark(ctx, settle.Event.ID, *under)
		}
		if !errors.Is(err, errApart) {
			return done, err
		}
		s.apart.Store(true)
	}
	c.Settle = nil
	done, _, err := s.commit(ctx, c, standing)
	if err == nil {
		err = s.Settle(ctx, settle.Event, settle.Retention)
	}
	return done, err
}

// commit is one run of commit.lua. It returns where the event that it settled was
// parked before, and errApart when the server wants all keys of a script in one slot.
// Events that are parked under the object lie where the one that is settled does.
func (s *Store) commit(ctx context.Context, c store.Commit, standing string) (done store.Committed, under *place, err error) {
	err = s.ask(ctx, "commit "+c.Object.String(), func() error {
		keys, args, state := s.commitKeys(c), s.commitArgs(c, standing), blob{stateArg, c.State}
		var asked *redis.Cmd
		var parked *redis.IntCmd
		err := s.batch.do(ctx, func(ctx context.Context, p redis.Pipeliner) {
			asked = evalSha(ctx, p, commitScript, keys, args, state)
			if c.Settle == nil {
				parked = p.Exists(ctx, s.parkedKey(c.Object.String()))
			}
		})
		if err != nil {
			return err
		}
		reply, err := s.runAfter(ctx, asked, commitScript, keys, args, state)
		if err != nil && redis.HasErrorPrefix(err, "CROSSSLOT") {
			return errApart
		}
		if err == nil {
			reply, err = unpacked(reply, 1)
		}
		if err != nil {
			return err
		}
		if done, under, err = committed(c, reply); err == nil && parked != nil {
			n, unknown := parked.Result()
			done.Waiting = n > 0 || unknown != nil
		}
		return err
	})
	if err != nil {
		return store.Committed{}, nil, err
	}
	return done, under, nil
}

// committed reads what commit.lua says.
func committed(c store.Commit, reply []string) (done store.Committed, under *place, err error) {
	switch {
	case reply[0] == "conflict":
		return done, nil, fmt.Errorf("commit %s: %w", c.Object, store.ErrConflict)
	case reply[0] == "missing":
		return done, nil, fmt.Errorf("commit %s: event: %w", c.Object, store.ErrNotFound)
	case reply[0] == "range" && len(reply) > 1:
		return done, nil, fmt.Errorf("commit %s: set grant %q: %w", c.Object, reply[1], ledger.ErrRange)
	case len(reply) < 4:
		return done, nil, errReply(reply)
	}
	if under, err = parsePlace(reply[1], reply[2]); err != nil {
		return done, nil, err
	}
	done.Waiting = reply[3] == "1"
	done.Entries, err = parseEntries(reply[4:])
	return done, under, err
}

func (s *Store) commitKeys(c store.Commit) []string {
	order := ""
	if c.Order != nil {
		order = c.Order.ID
	}
	k := s.keysOf(c.Account)
	const most = 12
	keys := append(make([]string, 0, most), k.ledger()...)
	keys = append(keys, k.object(c.Object), k.order(order), k.unpaid(), k.paid(), k.failed())
	if c.Settle != nil {
		keys = append(keys, s.parkedKey(c.Object.String()), s.eventKey(c.Settle.Event.ID))
	}
	return keys
}

// stateArg is the argument that commitArgs leaves out.
const stateArg = 4

var maxPurchases = decimal(store.MaxPurchases)

// commitFields is how many arguments a commit of one grant has.
const commitFields = 13 + 6 + 8

func (s *Store) commitArgs(c store.Commit, standing string) []string {
	return s.appendCommit(make([]string, 0, commitFields), c, standing)
}

func (s *Store) appendCommit(args []string, c store.Commit, standing string) []string {
	var order store.OrderResult
	if c.Order != nil {
		order = *c.Order
	}
	args = append(args,
		s.now(), s.changes, decimal(c.Version), decimal(c.Version+1), "",
		c.Object.String(), standing, c.Cause, string(c.Policy), order.ID, string(order.State), order.PaymentID,
		maxPurchases,
	)
	for _, t := range c.Effect.Grants {
		args = append(args, t.ID, decimal(t.Amount), record.Millis(t.ExpiresAt), record.Millis(t.CreatedAt), t.Into, record.Millis(t.StartsAt))
	}
	if c.Settle != nil {
		args = appendSettle(args, c.Settle.Event, c.Settle.Retention)
	}
	return args
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
		texts, err := s.client.LRange(ctx, s.keysOf(account).entries(), after, after+int64(limit)-1).Result()
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
		texts, err := s.run(ctx, entriesBeforeScript, []string{s.keysOf(account).entries()},
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
