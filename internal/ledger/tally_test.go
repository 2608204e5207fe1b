package ledger_test

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/dodogate/dodogate/internal/ledger"
)

// tally counts credits one by one, by what package ledger says that operations do.
type tally struct {
	now    time.Time
	grants map[string]*counted
	holds  map[string]*heldCredits
}

// counted are the credits of one grant, by what became of them.
type counted struct {
	amount                     int64 // by its last target
	left, waiting, lapsed      int64
	spent, paid                int64 // on captures, and on debt
	forgiven, owed             int64 // taken back after they were spent or held
	starts, expires, createdAt time.Time
}

// heldCredits are the grants of the credits that one hold holds, each credit by itself.
type heldCredits struct {
	from  []string
	until time.Time
}

func instant(t time.Time) time.Time { return t.Truncate(time.Millisecond) }

// reached reports whether an instant is now, or over.
func (y *tally) reached(at time.Time) bool { return !instant(at).After(instant(y.now)) }

func (y *tally) expired(c *counted) bool { return !c.expires.IsZero() && y.reached(c.expires) }

func (y *tally) held(grant string) (n int64) {
	for _, h := range y.holds {
		for _, from := range h.from {
			if from == grant {
				n++
			}
		}
	}
	return n
}

func (y *tally) debt() (n int64) {
	for _, c := range y.grants {
		n += c.owed - c.paid
	}
	return n
}

func (y *tally) available() (n int64) {
	for _, c := range y.grants {
		n += c.left
	}
	return n
}

// first is the grant that the next credit is taken from: of those with something left the
// one that expires first, then the oldest.
func (y *tally) first() (first string, found bool) {
	never := func(c *counted) bool { return c.expires.IsZero() }
	for _, id := range slices.Sorted(maps.Keys(y.grants)) {
		c := y.grants[id]
		if c.left == 0 {
			continue
		}
		if f := y.grants[first]; !found || never(f) && !never(c) || never(f) == never(c) && cmp.Or(
			instant(c.expires).Compare(instant(f.expires)), instant(c.createdAt).Compare(instant(f.createdAt))) < 0 {
			first, found = id, true
		}
	}
	return first, found
}

// elapse is what time does by itself.
func (y *tally) elapse() {
	for id, h := range y.holds {
		if y.reached(h.until) {
			delete(y.holds, id)
			y.giveBack(h.from)
		}
	}
	for _, c := range y.grants {
		if y.reached(c.starts) {
			c.left, c.waiting = c.left+c.waiting, 0
		}
	}
	y.payDebt()
	for _, c := range y.grants {
		if y.expired(c) {
			c.lapsed, c.left = c.lapsed+c.left, 0
		}
	}
}

func (y *tally) payDebt() {
	for y.debt() > 0 {
		id, found := y.first()
		if !found {
			return
		}
		y.grants[id].left--
		y.grants[id].paid++
	}
}

// giveBack takes what was forgiven before anything is left again.
func (y *tally) giveBack(from []string) {
	for _, id := range from {
		if c := y.grants[id]; c.forgiven > 0 {
			c.forgiven--
		} else {
			c.left++
		}
	}
}

func (y *tally) hold(id string, amount int64, until time.Time) ledger.HoldOutcome {
	y.elapse()
	if h := y.holds[id]; h != nil {
		if until.After(h.until) {
			h.until = until
		}
		return ledger.Held
	}
	if y.available() < amount {
		return ledger.Insufficient
	}
	h := &heldCredits{until: until}
	for range amount {
		from, _ := y.first()
		y.grants[from].left--
		h.from = append(h.from, from)
	}
	y.holds[id] = h
	return ledger.Held
}

func (y *tally) end(id string, captured int64) ledger.HoldOutcome {
	y.elapse()
	h := y.holds[id]
	if h == nil {
		return ledger.Gone
	}
	delete(y.holds, id)
	for _, from := range h.from[:captured] {
		y.grants[from].spent++
	}
	y.giveBack(h.from[captured:])
	y.elapse()
	return ledger.Ended
}

// take takes credits in burn order, as spending does. Those that are not there are spent of the
// act itself, and owed.
func (y *tally) take(name string, amount int64, owe bool) bool {
	y.elapse()
	if amount > y.available() && !owe {
		return false
	}
	act := &counted{}
	for range amount {
		if from, found := y.first(); found {
			y.grants[from].left--
			y.grants[from].spent++
		} else {
			act.spent++
			act.owed++
		}
	}
	y.grants[name] = act
	return true
}

// waive gives credits that pay debt.
func (y *tally) waive(name string, amount int64) bool {
	y.elapse()
	if amount > y.debt() {
		return false
	}
	y.grants[name] = &counted{amount: amount, paid: amount, createdAt: instant(y.now)}
	return true
}

func (y *tally) apply(targets []ledger.Target, policy ledger.Policy) {
	y.elapse()
	for _, t := range targets {
		if y.grants[t.ID] == nil {
			y.grants[t.ID] = &counted{}
		}
	}
	moves := y.moves(targets)
	for _, t := range targets {
		c := y.grants[t.ID]
		c.starts, c.expires, c.createdAt = t.StartsAt, t.ExpiresAt, t.CreatedAt
		if !y.expired(c) && c.lapsed > 0 { // it runs on after all
			c.left, c.lapsed = c.left+c.lapsed, 0
			y.payDebt()
		}
		for c.amount < t.Amount {
			c.amount++
			y.give(c, t.ID, moves)
		}
		for c.amount > t.Amount {
			c.amount--
			y.takeBack(c, t, moves, policy)
		}
		if heir := y.grants[t.Into]; heir != nil {
			moved := c.forgiven - min(c.forgiven, y.held(t.ID))
			c.forgiven, heir.forgiven = c.forgiven-moved, heir.forgiven+moved
			c.owed, heir.owed = c.owed+moved, heir.owed-moved // it was spent of the heir now
		}
	}
	y.elapse()
}

// moved is what the targets of one operation move between grants.
type moved struct {
	pool    int64            // given at once, and perhaps taken of other grants beside it
	renamed map[string]int64 // given by another name so far, by heir
}

func (y *tally) moves(targets []ledger.Target) *moved {
	m := &moved{renamed: make(map[string]int64)}
	forgiven := make(map[string]int64) // by heir, what comes with the credits
	for _, t := range targets {
		if c := y.grants[t.ID]; t.Into != "" {
			m.renamed[t.Into] += c.amount - t.Amount
			forgiven[t.Into] += c.forgiven - min(c.forgiven, y.held(t.ID))
		}
	}
	for _, t := range targets {
		c := y.grants[t.ID]
		if more := t.Amount - c.amount; more > 0 && y.reached(t.StartsAt) {
			others := max(0, more-m.renamed[t.ID])
			m.pool += more - min(others, c.forgiven+forgiven[t.ID])
		}
	}
	return m
}

// give gives one credit, or sets it off against one that was forgiven. Credits that another
// grant gave before come first, and are never set off.
func (y *tally) give(c *counted, id string, m *moved) {
	switch {
	case m.renamed[id] > 0:
		m.renamed[id]--
	case c.forgiven > 0:
		c.forgiven--
		return
	}
	if y.reached(c.starts) {
		c.left++
	} else {
		c.waiting++
	}
}

// takeBack takes one credit: of those that wait, that are left, that have lapsed. Else it was
// spent or is held, and is owed if it only moved or the policy says so.
func (y *tally) takeBack(c *counted, t ledger.Target, m *moved, policy ledger.Policy) {
	switch {
	case c.waiting > 0:
		c.waiting--
		return
	case t.Into != "" && m.pool > 0: // it moves, whatever became of it
		m.pool--
	}
	switch {
	case c.left > 0:
		c.left--
	case c.lapsed > 0:
		c.lapsed--
	case t.Into != "" || policy == ledger.PolicyDebt:
		c.owed++
	case m.pool > 0:
		m.pool--
		c.owed++
	default:
		c.forgiven++
	}
}
