package redisstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/record"
)

var _ store.Mender = (*Store)(nil)

// readings is how often an account is read that changes meanwhile.
const readings = 5

// Records implements [store.Mender]. The objects are those that standings, grants and entries
// name, and those of paid orders.
func (s *Store) Records(ctx context.Context, account string) (r store.Records, err error) {
	for range readings {
		var before, after []any
		key := s.keysOf(account).account
		if before, err = s.revisionOf(ctx, key); err != nil {
			return r, err
		}
		reading := &reading{s: s, keys: s.keysOf(account), account: account}
		if err = reading.read(ctx); err != nil {
			return r, err
		}
		if after, err = s.revisionOf(ctx, key); err != nil {
			return r, err
		}
		if r = reading.Records; slices.Equal(before, after) {
			return r, nil
		}
	}
	return r, fmt.Errorf("read records: %w", store.ErrConflict)
}

func (s *Store) revisionOf(ctx context.Context, key string) (fields []any, err error) {
	err = s.do(ctx, "read records", func(ctx context.Context) error {
		fields, err = s.client.HMGet(ctx, key, "rev", "stamp").Result()
		return err
	})
	if errors.Is(err, store.ErrDamaged) { // of another type, and so it stays
		return nil, nil
	}
	return fields, err
}

// reading are the records of an account while they are read one by one.
type reading struct {
	store.Records
	s       *Store
	keys    accountKeys
	account string
}

// bad notes a record that cannot be read: a key, and the field if it is one of a hash.
func (r *reading) bad(key, field string, err error) {
	if field != "" {
		key += "\n" + field
	}
	what := strings.ReplaceAll(strings.TrimPrefix(key, r.keys.base), "\n", " ")
	r.Unreadable = append(r.Unreadable, store.Unreadable{Key: key, What: fmt.Sprintf("record %.80q: %v", what, err)})
}

// ask reads a key. One of another type is unreadable.
func (r *reading) ask(ctx context.Context, key string, read func(ctx context.Context) error) error {
	err := r.s.do(ctx, "read records", read)
	if errors.Is(err, store.ErrDamaged) {
		r.bad(key, "", err)
		return nil
	}
	return err
}

func (r *reading) hash(ctx context.Context, key string) (fields map[string]string, err error) {
	err = r.ask(ctx, key, func(ctx context.Context) (err error) {
		fields, err = r.s.client.HGetAll(ctx, key).Result()
		return err
	})
	return fields, err
}

func (r *reading) read(ctx context.Context) error {
	r.Standings, r.Objects = make(map[string]entitlement.Standing), make(map[entitlement.Ref]book.Object)
	fields, err := r.hash(ctx, r.keys.account)
	if err != nil {
		return err
	}
	r.readAccount(fields)
	if fields, err = r.hash(ctx, r.keys.closed); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(fields)) {
		r.readGrant(r.keys.closed, id, id, fields[id], false)
	}
	if fields, err = r.hash(ctx, r.keys.holds); err != nil {
		return err
	}
	r.Ledger.Holds = make(map[string]ledger.Hold)
	for _, id := range slices.Sorted(maps.Keys(fields)) {
		h, err := parseHold(id, fields[id])
		if err != nil {
			r.bad(r.keys.holds, id, err)
			continue
		}
		r.Ledger.Holds[id] = h.Hold
	}
	if err := r.readEntries(ctx); err != nil {
		return err
	}
	if err := r.readOrders(ctx); err != nil {
		return err
	}
	return r.readObjects(ctx)
}

func (r *reading) readAccount(fields map[string]string) {
	if r.There = len(fields) > 0; !r.There {
		return
	}
	r.Stamp = fields["stamp"]
	number := func(name string) int64 {
		text, there := fields[name]
		if !there {
			return 0
		}
		n, err := parseDigits(text)
		if err == nil && (n < 0 || n > ledger.Max) {
			err = book.Damaged("it is out of range")
		}
		if err != nil {
			r.bad(r.keys.account, name, err)
		}
		return n
	}
	r.Rev = number("rev")
	number("srev")
	bad := len(r.Unreadable)
	r.Ledger.Seq, r.Ledger.Debt = number("seq"), number("debt")
	r.Ledger.Head = len(r.Unreadable) == bad
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		kind, name, _ := strings.Cut(field, ":")
		switch kind {
		case "g":
			r.readGrant(r.keys.account, field, name, fields[field], true)
		case "s":
			st, err := record.ParseStanding(fields[field])
			if err != nil {
				r.bad(r.keys.account, field, err)
				continue
			}
			r.Standings[name] = st
		}
	}
}

func (r *reading) readGrant(key, field, id, text string, open bool) {
	g, err := record.ParseGrant(id, text)
	if err == nil && g.Open() != open {
		err = book.Damaged("it is among the wrong grants")
	}
	if err != nil {
		r.bad(key, field, err)
		r.Ledger.Lost = append(r.Ledger.Lost, id)
		return
	}
	r.Ledger.Grants = append(r.Ledger.Grants, g)
}

func (r *reading) readEntries(ctx context.Context) error {
	for {
		first := int64(len(r.Ledger.Entries))
		var texts []string
		err := r.ask(ctx, r.keys.entries, func(ctx context.Context) (err error) {
			texts, err = r.s.client.LRange(ctx, r.keys.entries, first, first+store.MaxEntries-1).Result()
			return err
		})
		if err != nil || len(texts) == 0 {
			return err
		}
		for i, text := range texts {
			e, err := record.ParseEntry(text)
			if err != nil || e.Seq != first+int64(i)+1 {
				e = ledger.Entry{} // the ledger's check says so
			}
			r.Ledger.Entries = append(r.Ledger.Entries, e)
		}
	}
}

func (r *reading) readOrders(ctx context.Context) error {
	for _, list := range []string{r.keys.paid(), r.keys.unpaid()} {
		var ids []string
		err := r.ask(ctx, list, func(ctx context.Context) (err error) {
			ids, err = r.s.client.ZRange(ctx, list, 0, -1).Result()
			return err
		})
		if err != nil {
			return err
		}
		for _, id := range ids {
			key := r.keys.order(id)
			fields, err := r.hash(ctx, key)
			if err != nil {
				return err
			}
			if len(fields) == 0 {
				continue // one that nobody paid is forgotten before its place in the list
			}
			o, err := parseOrder(r.account, id, orderValues(fields))
			if err == nil && o == nil {
				err = book.Damaged("it is not whole")
			}
			if err != nil {
				r.bad(key, "", err)
				continue
			}
			r.Orders = append(r.Orders, *o)
		}
	}
	return nil
}

// named are the objects that other records name.
func (r *reading) named() map[entitlement.Ref]bool {
	refs := make(map[entitlement.Ref]bool)
	add := func(name string, standing bool) {
		object, _, _ := strings.Cut(name, "/")
		if ref, is := entitlement.ParseRef(object); is && ref.ID != "" {
			refs[ref] = refs[ref] || standing
		}
	}
	for _, g := range r.Ledger.Grants {
		add(g.ID, false)
	}
	for _, e := range r.Ledger.Entries {
		add(e.Grant, false)
	}
	for name := range r.Standings {
		add(name, true)
	}
	for _, o := range r.Orders {
		if o.State == book.OrderPaid && o.PaymentID != "" {
			refs[entitlement.Ref{Kind: entitlement.KindPayment, ID: o.PaymentID}] = true
		}
	}
	refs[entitlement.Ref{Kind: entitlement.KindSignup, ID: "credits"}] = false
	return refs
}

func (r *reading) readObjects(ctx context.Context) error {
	for ref, needed := range r.named() {
		key := r.keys.object(ref)
		fields, err := r.hash(ctx, key)
		if err != nil {
			return err
		}
		if len(fields) == 0 {
			if needed {
				r.bad(key, "", book.Damaged("it is missing"))
			}
			continue
		}
		o, err := parseObject(fields["version"], fields["state"])
		if err == nil && (o.Version < 1 || len(o.State) == 0) {
			err = book.Damaged("it is not whole")
		}
		if err != nil {
			r.bad(key, "", err)
			continue
		}
		r.Objects[ref] = o
	}
	return nil
}

// Replace implements [store.Mender].
func (s *Store) Replace(ctx context.Context, account string, r store.Records, with ledger.Account, entries []ledger.Entry) error {
	src := &source{account: account, keys: s.keysOf(account), now: s.serverNow()}
	known := revision{r.Rev, r.Stamp}
	mine := revision{r.Rev + 1, newStamp()}
	if !r.There || r.Rev == 0 {
		mine.rev = time.Now().UnixMicro() // above all before, which are not known
	}
	err := s.ask(ctx, "replace records", func() error {
		removed, err := s.removeWhole(ctx, &src.keys, r)
		if err != nil {
			return err
		}
		if removed {
			known = revision{}
		}
		const window = 24 * time.Hour
		c := s.newRun(src, known, src.now.Add(-window), src.now.Add(window), false)
		s.addLedger(c, src, mine, r, with, entries)
		reply, err := s.runAccount(ctx, src, c, nil, nil, nil)
		if err == nil && reply != nil {
			err = store.ErrConflict
		}
		return err
	})
	s.memory.forget(account)
	return err
}

// removeWhole removes keys that a script could not even look at. It reports whether the account's
// own is among them; what can be read of it is written anew.
func (s *Store) removeWhole(ctx context.Context, k *accountKeys, r store.Records) (account bool, err error) {
	var keys []string
	for _, bad := range r.Unreadable {
		key, field, isField := strings.Cut(bad.Key, "\n")
		if !isField || key == k.account && (field == "rev" || field == "stamp") {
			keys = append(keys, key)
			account = account || key == k.account
		}
	}
	for _, key := range keys {
		err := s.do(ctx, "replace records", func(ctx context.Context) error { return s.client.Del(ctx, key).Err() })
		if err != nil {
			return false, err
		}
	}
	return account, nil
}

// chunk is how many records one command writes.
const chunk = 400

// addLedger writes a ledger anew, with the standings that can be read, and removes the fields that
// cannot.
func (s *Store) addLedger(c *scriptRun, src *source, mine revision, r store.Records, with ledger.Account, entries []ledger.Entry) {
	k := &src.keys
	at := c.list()
	for _, word := range []string{
		"rev", decimal(mine.rev), "srev", decimal(mine.rev), "stamp", mine.stamp, "seq", decimal(with.Seq), "debt", decimal(with.Debt),
	} {
		c.add(word)
	}
	c.end(at)
	c.end(c.list()) // no hold is added
	at = c.list()
	for _, id := range slices.Sorted(maps.Keys(r.Ledger.Holds)) {
		if _, kept := with.Holds[id]; !kept {
			c.add(id)
		}
	}
	c.end(at)
	c.end(c.list()) // all entries are written behind each other below
	at = c.list()
	texts := make([]string, len(entries))
	for i, e := range entries {
		texts[i] = record.Entry(e)
	}
	c.run("DEL", k.entries)
	for part := range slices.Chunk(texts, chunk) {
		c.run("RPUSH", k.entries, part...)
	}
	var gone, open, closed []string
	for _, bad := range r.Unreadable {
		key, field, isField := strings.Cut(bad.Key, "\n")
		if isField && key == k.account && field != "rev" && field != "stamp" && field != "seq" && field != "debt" && field != "srev" {
			gone = append(gone, field)
		}
		if isField && key == k.holds {
			c.run("HDEL", k.holds, field)
			c.run("ZREM", k.expiring, field)
		}
	}
	for _, g := range r.Ledger.Grants {
		gone = append(gone, "g:"+g.ID)
	}
	for _, g := range with.Grants {
		if g.Open() {
			open = append(open, "g:"+g.ID, record.Grant(g))
		} else {
			closed = append(closed, g.ID, record.Grant(g))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Standings)) {
		if text, err := record.Standing(r.Standings[name]); err == nil && text != "" {
			open = append(open, "s:"+name, text)
		}
	}
	c.run("DEL", k.closed)
	for part := range slices.Chunk(gone, chunk) {
		c.run("HDEL", k.account, part...)
	}
	for part := range slices.Chunk(open, chunk) {
		c.run("HSET", k.account, part...)
	}
	for part := range slices.Chunk(closed, chunk) {
		c.run("HSET", k.closed, part...)
	}
	for _, id := range slices.Sorted(maps.Keys(with.Holds)) {
		c.run("ZADD", k.expiring, decimal(with.Holds[id].ExpiresAt.UnixMilli()), id)
	}
	c.end(at)
	c.add(s.changes)
	c.text = append(strconv.AppendInt(c.text, mine.rev, 10), ' ')
	c.add(escape(src.account))
}

// Bindings implements [store.Mender] like AccountIDs, and then lists the accounts that have entries,
// because they may have lost the key by which AccountIDs finds them.
func (s *Store) Bindings(ctx context.Context, after string, limit int) (page []store.Binding, next string, err error) {
	const second = "entries "
	if rest, is := strings.CutPrefix(after, second); is {
		ids, next, err := s.accountsWith(ctx, rest, "entries", limit)
		for _, id := range ids {
			page = append(page, store.Binding{Account: id})
		}
		if next != "" {
			next = second + next
		}
		return page, next, err
	}
	keys, next, err := s.scan(ctx, after, "owner:*", limit)
	if err == nil && len(keys) > 0 {
		page, err = s.ownersOf(ctx, keys)
	}
	if next == "" {
		next = second
	}
	return page, next, err
}

func (s *Store) ownersOf(ctx context.Context, keys []string) (page []store.Binding, err error) {
	owners := make([]*redis.StringCmd, len(keys))
	err = s.do(ctx, "list bindings", func(ctx context.Context) error {
		_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, key := range keys {
				owners[i] = p.Get(ctx, key)
			}
			return nil
		})
		if errors.Is(err, redis.Nil) {
			err = nil
		}
		return err
	})
	for i, key := range keys {
		kind, id, _ := strings.Cut(strings.TrimPrefix(key, s.prefix+"owner:"), ":")
		kind, err1 := url.QueryUnescape(kind)
		id, err2 := url.QueryUnescape(id)
		if err1 == nil && err2 == nil {
			page = append(page, store.Binding{Ref: entitlement.Ref{Kind: entitlement.Kind(kind), ID: id}, Account: owners[i].Val()})
		}
	}
	return page, err
}
