package redisstore

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/record"
)

// known is an account as the store told of it, in the state that most are in: nothing is
// owed, and no hold has run out. It is the account's Token.
//
// A hold of an account that is known is decided here, and so is the end of the hold:
// what is to be written goes along, with what it was decided by. If the account is still
// so, the script has only to write (known_hold.lua, known_end.lua), which takes Redis half
// of the time; if it is not, it decides itself, within the same call. So a token may be as
// old as it likes. It never changes.
type known struct {
	due            time.Time // when the next hold runs out; zero: none does
	rev, srev, seq int64
	grants         ledger.Grants   // of which something is left, held or waiting
	room           [1]ledger.Grant // for grants, which mostly are one
}

// parseKnown reads what usual.lua answers: "next rev srev seq", and of each grant " #field
// #value fieldvalue".
func parseKnown(text string) (*known, error) {
	damaged := func() (*known, error) { return nil, fmt.Errorf("account is damaged: %.40q", text) }
	k := new(known)
	var ok1, ok2, ok3 bool
	due, rest, _ := strings.Cut(text, " ")
	k.rev, rest, ok1 = cutNumber(rest)
	k.srev, rest, ok2 = cutNumber(rest)
	k.seq, rest, ok3 = cutLast(rest)
	if !ok1 || !ok2 || !ok3 {
		return damaged()
	}
	var err error
	if k.due, err = record.ParseMillis(due); err != nil {
		return nil, err
	}
	k.grants = k.room[:0]
	for rest != "" {
		size, after, ok1 := cutNumber(rest)
		length, after, ok2 := cutNumber(after)
		if !ok1 || !ok2 || size > int64(len(after)) || length > int64(len(after))-size {
			return damaged()
		}
		id, isGrant := strings.CutPrefix(after[:size], "g:")
		if !isGrant {
			return damaged()
		}
		g, err := record.ParseGrant(strings.Clone(id), after[size:size+length]) // not the whole text is remembered
		if err != nil {
			return nil, err
		}
		k.grants = append(k.grants, g)
		rest = strings.TrimPrefix(after[size+length:], " ")
	}
	k.grants = ledger.NewGrants(k.grants)
	return k, nil
}

// account is the account, whose token this is from then on. Its grants are the token's,
// and nobody's to change.
func (k *known) account() entitlement.Account {
	a := entitlement.Account{Rev: k.rev, StandingsRev: k.srev, HeldUntil: k.due, Token: k}
	a.Ledger = ledger.Account{Seq: k.seq, Grants: k.grants[:len(k.grants):len(k.grants)]}
	return a
}

// after is the account to change one grant of.
func (k *known) after() *known {
	next := &known{due: k.due, rev: k.rev, srev: k.srev, seq: k.seq}
	next.grants = append(next.room[:0], k.grants...)
	return next
}

// until is when a grant begins or expires, at the earliest; zero is never.
func (k *known) until() (at time.Time) {
	for _, g := range k.grants {
		for _, t := range [...]time.Time{g.StartsAt, g.ExpiresAt} {
			if at.IsZero() || !t.IsZero() && t.Before(at) {
				at = t
			}
		}
	}
	return at
}

// change changes one grant, and adds the arguments that say so.
func (k *known) change(g *ledger.Grant, until time.Time, left, held int64, w words) words {
	w = w.int(k.rev).time(until).joined("g:", g.ID).grant(*g)
	g.Left, g.Held = left, held
	k.rev++
	return w.grant(*g).int(k.rev)
}

// tell adds what tells who watches that the account is changed, as the scripts do.
func (k *known) tell(account string, w words) words {
	return w.joined(decimal(k.rev), " ", escape(account))
}

// placed is a hold that took from one grant: what is known of it until its end.
type placed struct {
	ledger.Part
	text    string // as it is stored
	expires time.Time
}

// knownHold is the account as a hold leaves it, and the hold but for its time. It adds
// the arguments for known_hold.lua. There is none unless it takes from one grant, for a
// caller without a name.
func knownHold(h store.Hold, w words) (*known, *placed, words) {
	k, ok := h.Token.(*known)
	if !ok || h.By != "" || h.Renew || h.Amount <= 0 {
		return nil, nil, w
	}
	first := -1
	for i, g := range k.grants {
		if g.Left > 0 && (first < 0 || g.Compare(k.grants[first]) < 0) {
			first = i
		}
	}
	if first < 0 || k.grants[first].Left < h.Amount {
		return nil, nil, w
	}
	after := k.after()
	g := &after.grants[first]
	p := &placed{Part: ledger.Part{Grant: g.ID, Amount: h.Amount}}
	p.text = " 0 " + strconv.Itoa(len(h.Fingerprint)) + " " + h.Fingerprint +
		strconv.Itoa(len(g.ID)) + " " + decimal(h.Amount) + " " + g.ID
	w = after.change(g, k.until(), g.Left-h.Amount, g.Held+h.Amount, w)
	return after, p, after.tell(h.Account, w.add(p.text))
}

// dueAt notes when the next hold runs out, as the script says.
func (k *known) dueAt(at string) (err error) {
	k.due, err = record.ParseMillis(at)
	return err
}

// endAt completes the hold with when it runs out, as the script says.
func (p *placed) endAt(ends string) (err error) {
	p.text = ends + p.text
	p.expires, err = record.ParseMillis(ends)
	return err
}

// knownEnd is the account as the end of a hold leaves it. It adds the arguments for
// known_end.lua. There is none unless the hold took from one grant, of which something
// stays.
func knownEnd(e store.End, w words) (*known, words) {
	k, ok1 := e.Token.(*known)
	p, ok2 := e.Note.(*placed)
	if !ok1 || !ok2 || e.By != "" || p.Amount < e.Captured {
		return nil, w
	}
	i := slices.IndexFunc(k.grants, func(g ledger.Grant) bool { return g.ID == p.Grant })
	if i < 0 {
		return nil, w
	}
	after := k.after()
	g, back := &after.grants[i], p.Amount-e.Captured
	if g.Waived > 0 || g.Held < p.Amount || g.Left+g.Held == e.Captured {
		return nil, w
	}
	until := k.until()
	if until.IsZero() || p.expires.Before(until) {
		until = p.expires
	}
	w = after.change(g, until, g.Left+back, g.Held-p.Amount, w).add(p.text).int(k.seq)
	if e.Captured == 0 {
		w = w.int(k.seq).add("")
	} else {
		balance := -e.Captured
		for _, g := range k.grants {
			balance += g.Left + g.Held
		}
		after.seq++
		w = w.int(after.seq).joined(" ", string(ledger.KindCapture), " ", decimal(-e.Captured), " ", decimal(balance), " ",
			strconv.Itoa(len(g.ID)), " ", g.ID, e.ID)
	}
	if back == 0 { // nothing that can be spent has changed
		return after, w.add("")
	}
	return after, after.tell(e.Account, w)
}
