package redisstore

import (
	"strconv"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store/record"
)

// addChanges adds what a book changed, as the revision mine.
func (s *Store) addChanges(c *scriptRun, src *source, b *book.Book, known *state, mine revision) {
	addAccount(c, b, known, mine)
	addHolds(c, b)
	entries := c.list()
	for _, e := range b.Entries() {
		c.text = record.AppendEntry(c.text, e)
		c.word()
	}
	c.end(entries)
	others := c.list()
	s.addOthers(c, src, b)
	c.end(others)
	if !b.Spendable() {
		c.add()
		return
	}
	c.add(s.changes)
	c.text = append(strconv.AppendInt(c.text, mine.rev, 10), ' ')
	c.add(escape(b.Account))
}

// most is how many words a command has at most, for Lua can pass on no more than a few thousand.
const most = 1000

// addAccount sets what changes in the account's hash, as much as one command can.
func addAccount(c *scriptRun, b *book.Book, known *state, mine revision) {
	seq, debt := b.Ledger()
	at := c.list()
	c.add("rev")
	c.int(mine.rev)
	c.add("stamp")
	c.add(mine.stamp)
	if seq != known.Ledger.Seq {
		c.add("seq")
		c.int(seq)
	}
	if debt != known.Ledger.Debt {
		c.add("debt")
		c.int(debt)
	}
	if b.Committed() {
		c.add("srev")
		c.int(mine.rev)
	}
	n := 0
	b.Grants(func(_, after *ledger.Grant) {
		if n++; after.Open() && n <= most {
			c.add("g:", after.ID)
			c.grant(*after)
		}
	})
	c.end(at)
}

func addHolds(c *scriptRun, b *book.Book) {
	changes := b.Changes()
	at := c.list()
	for _, row := range changes.Holds {
		if row.Value != nil {
			c.add(row.Key)
			c.text = appendHold(c.text, row.Value)
			c.word()
			c.time(row.Value.ExpiresAt)
		}
	}
	c.end(at)
	at = c.list()
	for _, row := range changes.Holds {
		if row.Value == nil {
			c.add(row.Key)
		}
	}
	b.Over(func(id string) {
		if _, again := changes.Holds.Get(id); !again {
			c.add(id)
		}
	})
	c.end(at)
}

// addOthers adds the commands for what is changed less often.
func (s *Store) addOthers(c *scriptRun, src *source, b *book.Book) {
	k, n := &src.keys, 0
	b.Grants(func(before, after *ledger.Grant) {
		n++
		switch {
		case !after.Open():
			c.run("HSET", k.closed, after.ID, record.Grant(*after))
			if before.Open() {
				c.run("HDEL", k.account, "g:"+after.ID)
			}
			return
		case before.ID != "" && !before.Open():
			c.run("HDEL", k.closed, after.ID)
		}
		if n > most {
			c.run("HSET", k.account, "g:"+after.ID, record.Grant(*after))
		}
	})
	changes := b.Changes()
	for _, row := range changes.Standings {
		if row.Value == nil {
			c.run("HDEL", k.account, "s:"+row.Key.String())
			continue
		}
		text, _ := record.Standing(*row.Value) // it was tried before it was decided on
		c.run("HSET", k.account, "s:"+row.Key.String(), text)
	}
	for _, row := range changes.Objects {
		c.run("HSET", k.object(row.Key), "version", decimal(row.Value.Version), "state", string(row.Value.State))
	}
	for _, row := range changes.Ends {
		if row.Value.By != "" { // the entries say what others spent
			keep := row.Value.Until.Sub(b.Now) + s.slack()
			c.run("SET", k.ended(row.Key), writeEnded(row.Value), "PX", millis(keep))
		}
	}
	s.addOrders(c, src, b)
}

// addOrders adds the commands for orders and keys, and notes them in src as they will be read.
func (s *Store) addOrders(c *scriptRun, src *source, b *book.Book) {
	src.written = src.written[:0]
	changes, k := b.Changes(), &src.keys
	for _, row := range changes.Orders {
		key := k.order(row.Key)
		if row.Value == nil {
			src.note(key, orderFields[:], nil)
			c.run("DEL", key)
			for _, index := range []string{k.unpaid(), k.failed()} {
				c.run("ZREM", index, row.Key)
			}
			continue
		}
		values := writeOrder(row.Value, src.made(key))
		src.note(key, orderFields[:], values).order = row.Value
		c.run("HSET", key, pairs(orderFields[:], values)...)
		s.addOrderLists(c, k, b.Now, row.Value)
	}
	for _, row := range changes.Keys {
		key := k.key(row.Key)
		if row.Value == nil {
			src.note(key, keyFields[:], nil)
			c.run("DEL", key)
			continue
		}
		values := writeKey(row.Value)
		src.note(key, keyFields[:], values)
		c.run("HSET", key, pairs(keyFields[:], values)...)
		keep := retention // a key that is not finished lives as long as its order does at the least
		if row.Value.Done {
			keep = row.Value.Until.Sub(b.Now)
		}
		c.run("PEXPIRE", key, millis(keep+s.slack()))
	}
}

// addOrderLists adds what puts an order into the lists that it belongs to, and ends it with them.
func (s *Store) addOrderLists(c *scriptRun, k *accountKeys, now time.Time, o *book.Order) {
	key, created := k.order(o.ID), decimal(o.CreatedAt.UnixMilli())
	live := millis(max(o.ExpiresAt.Sub(now), 0) + retention + s.slack())
	if o.SessionID != "" && o.State == book.OrderOpen { // watchers learn that it can be paid
		c.tell(s.changes, "0 "+escape(o.Account))
	}
	switch o.State {
	case book.OrderPaid:
		c.run("PERSIST", key)
		c.run("ZREM", k.unpaid(), o.ID)
		c.run("ZREM", k.failed(), o.ID)
		c.run("ZADD", k.paid(), created, o.ID)
		return
	case book.OrderOpen:
		c.run("ZREM", k.failed(), o.ID)
	default:
		c.run("ZADD", k.failed(), created, o.ID)
		c.run("ZREMRANGEBYRANK", k.failed(), "0", decimal(-book.MaxPurchases-1))
		c.run("PEXPIRE", k.failed(), live)
	}
	c.run("PEXPIRE", key, live)
	c.run("ZADD", k.unpaid(), decimal(o.ExpiresAt.UnixMilli()), o.ID)
	c.run("ZREMRANGEBYSCORE", k.unpaid(), "-inf", decimal(now.Add(-retention).UnixMilli()))
	c.run("PEXPIRE", k.unpaid(), live)
}

// writeOrder is the values of orderFields. made is the first, if it is known.
func writeOrder(o *book.Order, made string) []string {
	if made == "" {
		first := *o
		first.State, first.SessionID, first.CheckoutURL, first.PaymentID = book.OrderOpen, "", "", ""
		text, _ := record.Order(first) // it was tried before it was decided on
		made = string(text)
	}
	return []string{
		made, string(o.State), decimal(o.CreatedAt.UnixMilli()), decimal(o.ExpiresAt.UnixMilli()),
		o.SessionID, o.CheckoutURL, o.PaymentID,
	}
}

// writeKey is the values of keyFields.
func writeKey(k *book.UsedKey) []string {
	return []string{k.Order, k.By, k.Fingerprint, flag(k.Done), decimal(k.Until.UnixMilli())}
}

// pairs are fields with their values.
func pairs(fields, values []string) []string {
	all := make([]string, 0, 2*len(fields))
	for i := range fields {
		all = append(all, fields[i], values[i])
	}
	return all
}
