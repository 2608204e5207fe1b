package ledger

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Remains are what can be read of an account's ledger.
type Remains struct {
	Head      bool // Seq and Debt could be read
	Seq, Debt int64
	Entries   []Entry         // by their place; one that cannot be read has the number 0
	Grants    []Grant         // those that can be read, open and closed
	Lost      []string        // the ids of those that cannot
	Holds     map[string]Hold // all, as far as they can be read
}

// mostWrong is how many things Check and Mend list.
const mostWrong = 20

// Check says what is wrong, entry by entry and grant by grant; nothing if all is well. It is more
// than [Account.Check], which looks at the last entry only.
func (r Remains) Check() (wrong []string) {
	say := func(format string, args ...any) {
		if len(wrong) < mostWrong {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	if r.Head && r.Seq != int64(len(r.Entries)) {
		say("there are %d entries instead of %d", len(r.Entries), r.Seq)
	}
	balance, sums := int64(0), make(map[string]int64)
	for i, e := range r.Entries {
		switch {
		case e.Seq != int64(i)+1:
			say("entry %d cannot be read", i+1)
		case balance+e.Amount != e.Balance:
			say("entry %d changes the balance by %d from %d to %d", i+1, e.Amount, balance, e.Balance)
		}
		balance = e.Balance
		sums[e.Grant] += e.Amount
	}
	seen := make(map[string]bool)
	for _, g := range r.Grants {
		if seen[g.ID] {
			say("grant %.60q is there twice", g.ID)
		}
		seen[g.ID] = true
		if err := g.check(); err != nil {
			say("%v", err)
		}
	}
	for _, id := range slices.Concat(r.Lost, slices.Sorted(maps.Keys(sums))) {
		if !seen[id] && id != "" {
			seen[id] = true
			say("grant %.60q cannot be read", id)
		}
	}
	if r.Head && len(r.Lost) == 0 && len(wrong) == 0 {
		if sum := (Account{Debt: r.Debt, Grants: r.Grants}).Balance(); sum != balance {
			say("grants and debt make a balance of %d, and the last entry says %d", sum, balance)
		}
	}
	r.checkHolds(say)
	return wrong
}

// checkHolds compares what grants say is held with the holds, where a store keeps them.
func (r Remains) checkHolds(say func(format string, args ...any)) {
	if r.Holds == nil {
		return
	}
	held := r.held()
	for _, g := range r.Grants {
		if held[g.ID] != g.Held {
			say("holds hold %d credits of grant %.60q, which says %d", held[g.ID], g.ID, g.Held)
		}
		delete(held, g.ID)
	}
	for _, id := range slices.Sorted(maps.Keys(held)) {
		say("a hold holds credits of grant %.60q, which is not there", id)
	}
}

func (r Remains) held() map[string]int64 {
	held := make(map[string]int64)
	for _, h := range r.Holds {
		for _, p := range h.Parts {
			held[p.Grant] += p.Amount
		}
	}
	return held
}

// Mend makes a ledger that is sound out of what can be read, with its entries: the entries and the
// grants explain each other. It says what it could not know, and did without. certain is false if
// the balance is only what is likely.
func (r Remains) Mend() (a Account, entries []Entry, notes []string, certain bool) {
	m := mending{Remains: r, certain: true}
	m.cutTail()
	m.mendEntries()
	m.mendGrants()
	a = Account{Seq: int64(len(m.Entries)), Debt: m.Debt, Grants: NewGrants(m.Grants), Holds: m.Holds}
	if len(m.notes) > mostWrong {
		m.notes = append(m.notes[:mostWrong:mostWrong], "and more")
	}
	return a, m.Entries, m.notes, m.certain
}

type mending struct {
	Remains
	notes   []string
	certain bool
	// unattributed are credits of which the entries do not say which grant they are of.
	unattributed int64
}

func (m *mending) note(format string, args ...any) {
	m.notes = append(m.notes, fmt.Sprintf(format, args...))
}

// sound reports whether grants and debt can all be read, so that they say what the balance is.
func (m *mending) sound() bool {
	return m.Head && len(m.Lost) == 0 && !slices.ContainsFunc(m.Grants, func(g Grant) bool { return g.check() != nil }) && len(m.Grants) > 0
}

// knowsAll reports whether every grant that entries name is there.
func (m *mending) knowsAll() bool {
	for _, e := range m.Entries {
		if e.Grant != "" && !slices.ContainsFunc(m.Grants, func(g Grant) bool { return g.ID == e.Grant }) {
			return false
		}
	}
	return true
}

func (m *mending) grantsBalance() int64 { return Account{Debt: m.Debt, Grants: m.Grants}.Balance() }

// mostLost is how many lost entries at the end are believed in.
const mostLost = 1000

// cutTail decides what becomes of entries that the end lacks.
func (m *mending) cutTail() {
	m.Entries = slices.Clone(m.Entries)
	missing := int64(0)
	if m.Head {
		missing = m.Seq - int64(len(m.Entries))
	}
	if n := len(m.Entries); missing > 0 && n > 0 && m.sound() && m.Entries[n-1].Seq == int64(n) && m.Entries[n-1].Balance == m.grantsBalance() {
		missing = 0 // the number is what is wrong
	}
	for missing > 0 && missing <= mostLost && m.sound() {
		m.Entries = append(m.Entries, Entry{})
		missing--
	}
	for !m.sound() && len(m.Entries) > 0 && m.Entries[len(m.Entries)-1].Seq == 0 {
		m.Entries = m.Entries[:len(m.Entries)-1]
		missing++
	}
	if missing > 0 {
		m.certain = false
		m.note("the last %d entries are lost, and nothing says what they changed", missing)
	}
}

// mendEntries replaces entries that cannot be read by what those before and after say.
func (m *mending) mendEntries() {
	balance := int64(0)
	for i := 0; i < len(m.Entries); i++ {
		e := &m.Entries[i]
		if e.Seq == int64(i)+1 && balance+e.Amount == e.Balance {
			balance = e.Balance
			continue
		}
		after, known := m.balanceAfter(i)
		switch {
		case e.Seq == int64(i)+1 && known && balance+e.Amount == after:
			m.note("entry %d said a wrong balance", i+1)
		case known:
			m.note("entry %d cannot be read: it changed the balance by %d, and nothing says why", i+1, after-balance)
			*e = m.stopgap(i, after-balance)
		default:
			m.note("entry %d cannot be read", i+1)
			*e = m.stopgap(i, 0)
		}
		balance += e.Amount
		e.Balance = balance
	}
}

// stopgap stands for an entry that cannot be read.
func (m *mending) stopgap(i int, amount int64) Entry {
	e := Entry{Seq: int64(i) + 1, Kind: KindGrant, Amount: amount, Cause: "rebuild"}
	if amount < 0 {
		e.Kind = KindCapture
	}
	if i > 0 {
		e.At = m.Entries[i-1].At
	}
	m.unattributed += amount
	return e
}

// balanceAfter is the balance after entry i, by the next one that can be read; the grants say the
// last one. Of several in a row that cannot be read, the last one takes all that they changed.
func (m *mending) balanceAfter(i int) (balance int64, known bool) {
	if i+1 == len(m.Entries) {
		if m.sound() {
			return m.grantsBalance(), true
		}
		return m.Entries[i].Balance, m.Entries[i].Seq != 0
	}
	next := m.Entries[i+1]
	return next.Balance - next.Amount, next.Seq == int64(i)+2
}

// mendGrants makes grants that add up to the balance of the last entry.
func (m *mending) mendGrants() {
	balance := int64(0)
	if n := len(m.Entries); n > 0 {
		balance = m.Entries[n-1].Balance
	}
	if m.sound() && m.grantsBalance() == balance && m.knowsAll() || m.Head && m.Debt == 0 && len(m.Entries)+len(m.Grants)+len(m.Lost) == 0 {
		m.fitHolds()
		return
	}
	if len(m.Entries) == 0 {
		m.certain = false
		m.note("no entry can be read: nothing says what was spent")
	}
	m.regrant()
	m.fitHolds()
	if short := balance - m.grantsBalance(); short != 0 {
		m.settle(short)
	}
}

// regrant makes grants anew from the entries. Of one that can be read, all but what is left of it
// stays.
func (m *mending) regrant() {
	byID := make(map[string]Grant)
	for _, g := range m.Grants {
		if g.check() == nil {
			g.Left, g.Held = 0, 0
			byID[g.ID] = g
		}
	}
	sums := make(map[string]int64)
	for _, e := range m.Entries {
		if e.Grant == "" {
			continue
		}
		sums[e.Grant] += e.Amount
		if _, read := byID[e.Grant]; !read && !slices.ContainsFunc(m.Lost, func(id string) bool { return id == e.Grant }) {
			m.Lost = append(m.Lost, e.Grant)
		}
	}
	for _, id := range m.Lost {
		if _, read := byID[id]; !read {
			byID[id] = m.fromEntries(id)
		}
	}
	m.Debt = 0
	m.Grants = m.Grants[:0:0]
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		g := byID[id]
		g.Left = max(0, sums[id])
		m.Debt += max(0, -sums[id])
		m.Grants = append(m.Grants, g)
	}
	m.Lost = nil
	m.payDebt()
}

// fromEntries is a grant of which only the entries tell. When it ends is not known.
func (m *mending) fromEntries(id string) Grant {
	g := Grant{ID: id}
	for _, e := range m.Entries {
		if e.Grant != id {
			continue
		}
		if g.CreatedAt.IsZero() {
			g.CreatedAt = e.At
		}
		switch e.Kind {
		case KindGrant, KindClawBack, KindWaive:
			g.Amount += e.Amount
		case KindExpire:
			g.Lapsed -= e.Amount
		}
	}
	g.Amount = min(max(g.Amount, 0), Max)
	m.note("grant %.60q is made anew from the entries", id)
	return g
}

func (m *mending) payDebt() {
	order := slices.Clone(m.Grants)
	slices.SortFunc(order, Grant.Compare)
	for _, g := range order {
		i := slices.IndexFunc(m.Grants, func(o Grant) bool { return o.ID == g.ID })
		paid := min(m.Debt, m.Grants[i].Left)
		m.Grants[i].Left -= paid
		m.Debt -= paid
	}
}

// fitHolds moves what is held from left to held, and drops holds of what is not there.
func (m *mending) fitHolds() {
	if m.Holds == nil {
		return
	}
	for i := range m.Grants {
		g := &m.Grants[i]
		g.Left, g.Held = g.Left+g.Held, 0
	}
	holds := make(map[string]Hold)
	for _, id := range slices.Sorted(maps.Keys(m.Holds)) {
		h := m.Holds[id]
		if !m.take(h) {
			m.note("a hold of %d credits does not fit, and is given back", h.Amount())
			continue
		}
		holds[id] = h
	}
	m.Holds = holds
}

func (m *mending) take(h Hold) bool {
	grants := slices.Clone(m.Grants)
	for _, p := range h.Parts {
		i := slices.IndexFunc(grants, func(g Grant) bool { return g.ID == p.Grant })
		if i < 0 || p.Amount < 0 || grants[i].Left < p.Amount {
			return false
		}
		grants[i].Left -= p.Amount
		grants[i].Held += p.Amount
	}
	m.Grants = grants
	return true
}

// settle brings the grants to the balance that the entries say, where they do not say of which
// grant all of it is.
func (m *mending) settle(short int64) {
	m.note("of %d credits nothing says which grant they are of", max(short, -short))
	order := slices.Clone(m.Grants)
	slices.SortFunc(order, func(a, b Grant) int { return cmp.Or(cmp.Compare(b.Left, a.Left), cmp.Compare(a.ID, b.ID)) })
	if short > 0 {
		paid := min(short, m.Debt)
		m.Debt -= paid
		short -= paid
	}
	for _, g := range order {
		i := slices.IndexFunc(m.Grants, func(o Grant) bool { return o.ID == g.ID })
		change := max(short, -m.Grants[i].Left)
		m.Grants[i].Left += change
		short -= change
	}
	switch {
	case short > 0:
		m.Grants = append(m.Grants, Grant{ID: "rebuild", Amount: short, Left: short, CreatedAt: time.UnixMilli(0).UTC()})
	case short < 0:
		m.Debt -= short
	}
}
