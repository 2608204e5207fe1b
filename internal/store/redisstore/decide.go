package redisstore

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dodogate/dodogate/internal/book"
)

// newStamp returns a stamp that no other change has.
func newStamp() string { return strconv.FormatUint(rand.Uint64(), 36) } //nolint:gosec // nobody gains by guessing

// maxDecisions is how many decisions are made again because the account was changed
// meanwhile. Each time somebody else's was written.
const maxDecisions = 1000

// errApart: keys that belong together lie in different slots of a Cluster.
var errApart = errors.New("keys lie in different slots")

// errOthersTurn: another gateway has the turn to write the account.
var errOthersTurn = errors.New("another gateway is about to change it")

var errContention = errors.New("it is changed all the time")

// decide makes decisions about an account and writes what they changed, all or nothing: those
// that one leads, and those that come to wait meanwhile, which it leads then. Each says by its
// error how it went; err is why nothing was written.
func (s *Store) decide(ctx context.Context, account string, leader *decision) (*state, error) {
	src := &source{account: account, keys: s.keysOf(account)}
	src.items, src.holds = src.room[:0], src.roomHolds[:0]
	src.now = s.serverNow()
	known := s.memory.get(account)
	if known != nil && !known.Next.IsZero() && !src.now.Before(known.Next) {
		known = nil // a hold has run out
	}
	if known != nil && len(known.items) > 0 {
		src.items = slices.Clone(known.items)
	}
	contended := false
	for try := range maxDecisions {
		if known == nil {
			var err error
			known, err = s.look(ctx, src, leader.led, contended)
			if errors.Is(err, errOthersTurn) {
				standBack(ctx, try)
			}
			if errors.Is(err, errApart) || errors.Is(err, errOthersTurn) {
				continue
			}
			if err != nil {
				return nil, err
			}
		}
		led := s.lines.gather(account, leader.led)
		if leader.led = led; len(led) > 1 && ctx.Done() != nil {
			ctx = context.WithoutCancel(ctx) // others wait for it
		}
		if s.apart.Load() && !received(led) { // whose an object is cannot be compared
			known = nil
			continue
		}
		b, unread := s.decideAll(account, known, src, led)
		switch {
		case unread, !b.Changed() && (!src.certain() || !received(led)):
			known = nil
			continue
		case !b.Changed():
			s.memory.set(account, known)
			if err := s.claimAll(ctx, b); err != nil {
				return known, err
			}
			return known, s.freeAll(ctx, b)
		}
		if s.apart.Load() { // in a Cluster, what goes together may arrive in any order
			if err := s.claimAll(ctx, b); err != nil {
				return nil, err
			}
		}
		mine := revision{known.Rev, newStamp()}
		if b.AccountChanged() {
			mine.rev++
		}
		next, err := s.write(ctx, src, b, known, mine, led)
		if errors.Is(err, errApart) || errors.Is(err, errOthersTurn) {
			known, contended = nil, errors.Is(err, errOthersTurn)
			continue
		}
		if err != nil {
			s.memory.forget(account)
			return nil, err
		}
		if next == nil {
			after := &state{revision: mine, Kept: b.After(mine.rev), items: src.after()}
			s.memory.set(account, after)
			return after, s.freeAll(ctx, b)
		}
		known, contended = next, true // it has the turn to write now
	}
	return nil, errContention
}

// standBack waits while another gateway has the turn to write. More decisions come to wait
// meanwhile, which then are written together.
func standBack(ctx context.Context, try int) {
	const shortest, longest = 200 * time.Microsecond, 2 * time.Millisecond
	timer := time.NewTimer(rand.N(min(shortest<<min(try, 8), longest))) //nolint:gosec // nobody gains by guessing
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// decideAll makes decisions, one after the other, over the same account. One that fails may have
// changed the book before; then the others are made once more, without it. What it took for likely
// is compared all the same, because it may have failed by that.
func (s *Store) decideAll(account string, known *state, src *source, decisions []*decision) (b *book.Book, unread bool) {
	src.begin()
	for failed := []*decision(nil); ; {
		b, unread = book.Open(account, &known.Kept, src, src.now), false
		var refused *decision
		for _, d := range decisions {
			if slices.Contains(failed, d) {
				continue
			}
			s.decideOne(b, src, d)
			if errors.Is(d.err, book.ErrUnread) {
				unread = true
			} else if d.err != nil && b.Touched() {
				refused = d
				break
			}
		}
		if refused == nil {
			return b, unread
		}
		if !src.compared() { // it may fail because of a wrong guess, which nobody would compare
			return b, true
		}
		failed = append(failed, refused)
	}
}

func (s *Store) decideOne(b *book.Book, src *source, d *decision) {
	if d.receipt != nil && s.ownerOf(src, d.receipt) != b.Account {
		d.err = errElsewhere
		if d.receipt.owner == "" { // it may have been read before it was bound
			d.err = book.ErrUnread
		}
		return
	}
	changes := b.Changes()
	settled, commits := len(changes.Settled), len(changes.Commits)
	d.err = d.decide(b)
	d.beside = beside{settled: changes.Settled[settled:], commits: changes.Commits[commits:], receipt: d.receipt}
}

// look reads an account, and what decisions about it have asked for so far. If turn, it takes the
// turn to write the account.
func (s *Store) look(ctx context.Context, src *source, decisions []*decision, turn bool) (*state, error) {
	for again := false; ; again = true {
		st, bereft, err := s.lookOnce(ctx, src, decisions, turn)
		if err != nil || !bereft {
			return st, err
		}
		if again { // while a slot moves, a server may answer the two questions in the other order
			return nil, book.Damaged("there are other records, but no account record")
		}
	}
}

// lookOnce also reports whether the account has no record of its own, but others.
func (s *Store) lookOnce(ctx context.Context, src *source, decisions []*decision, turn bool) (st *state, bereft bool, err error) {
	c := s.newRun(src, revision{}, time.Time{}, time.Time{}, turn)
	var others *redis.IntCmd
	k := &src.keys
	reply, err := s.runAccount(ctx, src, c, decisions, func(ctx context.Context, p redis.Pipeliner) {
		// Before the account: whoever writes one of them writes the account with it.
		others = p.Exists(ctx, k.entries, k.closed, k.holds, k.paid())
	}, nil)
	if err != nil {
		return nil, false, err
	}
	st, err = src.parse(reply)
	return st, err == nil && st.revision == (revision{}) && others.Val() > 0, err
}

// span is for how long a decision may be on its way: longer than an operation waits for its turn in
// all but the worst rush, where it would be decided anew in vain each time, if the server told the
// time that it was made at. A guess at that may be wrong.
func (src *source) span() time.Duration {
	const guessed = time.Second
	if src.read {
		return book.Recently / 2
	}
	return guessed
}

// write writes what a book changed, as the revision mine, and binds what goes with it. It returns
// nil, or what was read because the account was changed meanwhile.
func (s *Store) write(ctx context.Context, src *source, b *book.Book, known *state, mine revision, led []*decision) (*state, error) {
	from, till := b.Window(src.span())
	c := s.newRun(src, known.revision, from, till, true)
	s.addChanges(c, src, b, known, mine)
	claims := newClaims(s, b, led)
	reply, err := s.runAccount(ctx, src, c, led, claims.add, func(ctx context.Context, p redis.Pipeliner) {
		for _, d := range led {
			if d.err == nil {
				s.addBeside(ctx, p, &d.beside, src.keys.account, mine.stamp)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	if reply != nil {
		if next, err := src.parse(reply); err != nil || next.revision != mine {
			return next, err
		}
	} // else, or if the reply to the first try was lost, it is written
	if !claims.made() {
		return nil, s.claimAll(ctx, b)
	}
	return nil, nil
}

// claims are what decisions bind to the account, ahead of what they change and in the same round
// trip. Where it is not known yet whether the decisions are to be made at all, they are made
// behind it.
type claims struct {
	*Store
	of    *book.Book
	ahead bool
	asked []*redis.BoolCmd

	counted []*redis.IntCmd
}

func newClaims(s *Store, b *book.Book, led []*decision) *claims {
	return &claims{Store: s, of: b, ahead: received(led) && !s.apart.Load()}
}

func (c *claims) add(ctx context.Context, p redis.Pipeliner) {
	c.counted = c.counted[:0]
	if !c.apart.Load() { // also if it is decided again: the same payment is counted the same
		c.counted = c.addCounts(ctx, p, c.of, c.counted)
	}
	if c.asked = c.asked[:0]; !c.ahead {
		return
	}
	for _, ref := range c.of.Changes().Claims {
		c.asked = append(c.asked, p.SetNX(ctx, c.ownerKey(ref), c.of.Account, ownerLife(ref)))
	}
}

// made reports whether nothing is left to be bound.
func (c *claims) made() bool {
	for _, asked := range c.asked {
		if asked.Err() != nil {
			return false
		}
	}
	for _, counted := range c.counted {
		if counted.Err() != nil {
			return false
		}
	}
	changes := c.of.Changes()
	return len(c.asked) == len(changes.Claims) && len(c.counted) == len(changes.Counts) || c.apart.Load()
}

// claimAll binds what is to be bound to the account.
func (s *Store) claimAll(ctx context.Context, b *book.Book) error {
	for _, ref := range b.Changes().Claims {
		if _, err := s.Claim(ctx, ref, b.Account); err != nil {
			return err
		}
	}
	if counts := b.Changes().Counts; len(counts) > 0 {
		return s.count(ctx, b)
	}
	return nil
}

// freeAll frees what is to be freed. It comes after what the decision writes, also in a Cluster:
// what is free can be bound to another account, so this one must not have its credits any more.
func (s *Store) freeAll(ctx context.Context, b *book.Book) error {
	for _, ref := range b.Changes().Freed {
		if err := s.ask(ctx, "free "+ref.String(), func() error {
			_, err := s.conn.Writes().Run(ctx, freeScript, []string{s.ownerKey(ref)}, []string{b.Account})
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// adds adds commands to those that go to the server together.
type adds func(context.Context, redis.Pipeliner)

// runAccount returns what the script read, nil if it wrote. What ahead and behind add goes in the
// same round trip, and so do the events that are received with decisions.
func (s *Store) runAccount(ctx context.Context, src *source, c *scriptRun, led []*decision, ahead, behind adds) ([]string, error) {
	asked := c.command(ctx, accountScript)
	batch := s.conn.Writes()
	if src.whole { // it is only shown
		batch = s.conn.Reads()
	}
	err := batch.Do(ctx, func(ctx context.Context, p redis.Pipeliner) {
		for _, d := range led {
			s.addReceipt(ctx, p, d.receipt)
		}
		if ahead != nil {
			ahead(ctx, p)
		}
		_ = p.Process(ctx, asked) // it is only noted
		if behind != nil {
			behind(ctx, p)
		}
	})
	if err != nil {
		return nil, err // it may still be about to be sent
	}
	for _, d := range led {
		if err := s.readReceipt(ctx, d.receipt); err != nil {
			return nil, err
		}
	}
	if now, done := asked.Val().(int64); done {
		c.release()
		src.heard(s, now)
		return nil, nil
	}
	if asked.Err() != nil && redis.HasErrorPrefix(asked.Err(), "CROSSSLOT") {
		s.apart.Store(true)
		src.forgetOthers()
		return nil, errApart
	}
	if asked.Err() != nil {
		for _, d := range led { // who looked whether events are parked did so before anything was bound
			d.beside.parked = nil
		}
	}
	reply, err := batch.RunAfter(ctx, asked, accountScript, c.words[:len(c.keys)], c.words[len(c.keys):])
	if err != nil {
		return nil, err // likewise
	}
	c.release()
	return s.answered(src, reply)
}

// answered notes the time that account.lua tells, and returns what it read.
func (s *Store) answered(src *source, reply []string) ([]string, error) {
	now := reply[0]
	wrote := len(now) <= timeSize
	if !wrote {
		var err error
		if reply, err = unpacked(reply, 2); err != nil {
			return nil, err
		}
		now = reply[0]
	}
	ms, err := strconv.ParseInt(now, 10, 64)
	if err != nil {
		return nil, errReply(reply)
	}
	src.heard(s, ms)
	switch {
	case wrote:
		return nil, nil
	case len(reply) == 2:
		return nil, errOthersTurn
	}
	return reply, nil
}

// heard notes the time of the server, in milliseconds.
func (src *source) heard(s *Store, ms int64) {
	src.now = time.UnixMilli(ms).UTC()
	s.server.set(src.now)
}

// timeSize is how many digits a time in milliseconds has at most.
const timeSize = 16

// newRun begins with what is compared and read. Without a window nothing is written.
func (s *Store) newRun(src *source, known revision, from, till time.Time, turn bool) *scriptRun {
	k, c := &src.keys, newScriptRun()
	c.keys = append(c.keys, k.account, k.holds, k.expiring, k.entries)
	c.add(s.now())
	if from.IsZero() {
		c.add(readOnly(src.whole))
		c.add()
		c.add("0")
		c.add("0")
	} else {
		c.int(known.rev)
		c.add(known.stamp)
		c.time(from)
		c.time(till)
	}
	if turn {
		c.add(s.name)
	} else {
		c.add()
	}
	holds := c.list()
	for i := range src.holds {
		c.add(src.holds[i].id)
		c.add(src.holds[i].likely)
	}
	c.end(holds)
	reads := c.list()
	for i := range src.items {
		it := &src.items[i]
		c.run(it.name, it.key, it.words...)
		c.add(it.want)
	}
	c.end(reads)
	return c
}

// readOnly is the revision of no account, which makes account.lua read: the standings, too, if whole.
func readOnly(whole bool) string {
	if whole {
		return "whole"
	}
	return "none"
}
