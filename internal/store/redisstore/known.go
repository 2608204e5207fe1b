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
	due            string // when the next hold runs out, in milliseconds; "-": none does
	rev, srev, seq int64
	grants         []knownGrant // of which something is left or held
}

type knownGrant struct {
	field string // of the account
	text  string // its value
	ledger.Grant
}

// parseKnown reads what usual.lua answers: "next rev srev seq", and of each grant " #field
// #value fieldvalue".
func parseKnown(text string) (*known, error) {
	damaged := func() (*known, error) { return nil, fmt.Errorf("account is damaged: %.40q", text) }
	k := new(known)
	var ok1, ok2, ok3 bool
	due, rest, _ := strings.Cut(text, " ")
	k.due = due
	k.rev, rest, ok1 = cutNumber(rest)
	k.srev, rest, ok2 = cutNumber(rest)
	k.seq, rest, ok3 = cutLast(rest)
	if !ok1 || !ok2 || !ok3 {
		return damaged()
	}
	for rest != "" {
		size, after, ok1 := cutNumber(rest)
		length, after, ok2 := cutNumber(after)
		if !ok1 || !ok2 || size > int64(len(after)) || length > int64(len(after))-size {
			return damaged()
		}
		g := knownGrant{field: after[:size], text: after[size : size+length]}
		id, isGrant := strings.CutPrefix(g.field, "g:")
		if !isGrant {
			return damaged()
		}
		var err error
		if g.Grant, err = record.ParseGrant(id, g.text); err != nil {
			return nil, err
		}
		k.grants = append(k.grants, g)
		rest = strings.TrimPrefix(after[size+length:], " ")
	}
	return k, nil
}

// account is the account, whose token this is from then on.
func (k *known) account() (entitlement.Account, error) {
	a := entitlement.Account{Rev: k.rev, StandingsRev: k.srev, Token: k}
	var err error
	if a.HeldUntil, err = record.ParseMillis(k.due); err != nil {
		return a, err
	}
	a.Ledger = ledger.Account{Seq: k.seq, Grants: make(map[string]ledger.Grant, len(k.grants))}
	for _, g := range k.grants {
		a.Ledger.Grants[g.ID] = g.Grant
	}
	return a, nil
}

// after is the account to change one grant of.
func (k *known) after() *known {
	next := *k
	next.grants = slices.Clone(k.grants)
	return &next
}

// until is when a grant expires, at the earliest; zero is never.
func (k *known) until() (at time.Time) {
	for _, g := range k.grants {
		if at.IsZero() || !g.ExpiresAt.IsZero() && g.ExpiresAt.Before(at) {
			at = g.ExpiresAt
		}
	}
	return at
}

// change writes one grant anew, and returns the arguments that say so.
func (k *known) change(g *knownGrant, until time.Time, left, held int64) []string {
	before := g.text
	g.Left, g.Held = left, held
	g.text = record.Grant(g.Grant)
	k.rev++
	return []string{decimal(k.rev - 1), record.Millis(until), g.field, before, g.text, decimal(k.rev)}
}

// placed is a hold that took from one grant: what is known of it until its end.
type placed struct {
	ledger.Part
	text    string // as it is stored
	expires time.Time
}

// knownHold is the account as a hold leaves it, the arguments for known_hold.lua, and the
// hold but for its time. There are none unless it takes from one grant, for a caller
// without a name.
func knownHold(h store.Hold) (after *known, args []string, p *placed) {
	k, ok := h.Token.(*known)
	if !ok || h.By != "" || h.Renew || h.Amount <= 0 {
		return nil, nil, nil
	}
	first := -1
	for i, g := range k.grants {
		if g.Left > 0 && (first < 0 || g.Compare(k.grants[first].Grant) < 0) {
			first = i
		}
	}
	if first < 0 || k.grants[first].Left < h.Amount {
		return nil, nil, nil
	}
	after = k.after()
	g := &after.grants[first]
	p = &placed{Part: ledger.Part{Grant: g.ID, Amount: h.Amount}}
	p.text = " 0 " + strconv.Itoa(len(h.Fingerprint)) + " " + h.Fingerprint +
		strconv.Itoa(len(g.ID)) + " " + decimal(h.Amount) + " " + g.ID
	args = after.change(g, k.until(), g.Left-h.Amount, g.Held+h.Amount)
	return after, append(args, p.text), p
}

// endAt completes the hold with when it runs out, as the script says.
func (p *placed) endAt(ends string) (err error) {
	p.text = ends + p.text
	p.expires, err = record.ParseMillis(ends)
	return err
}

// knownEnd is the account as the end of a hold leaves it, and the arguments for
// known_end.lua. There are none unless the hold took from one grant, of which something
// stays.
func knownEnd(e store.End) (after *known, args []string) {
	k, ok1 := e.Token.(*known)
	p, ok2 := e.Note.(*placed)
	if !ok1 || !ok2 || e.By != "" || p.Amount < e.Captured {
		return nil, nil
	}
	i := slices.IndexFunc(k.grants, func(g knownGrant) bool { return g.ID == p.Grant })
	if i < 0 {
		return nil, nil
	}
	after = k.after()
	g, back := &after.grants[i], p.Amount-e.Captured
	if g.Waived > 0 || g.Held < p.Amount || g.Left+g.Held == e.Captured {
		return nil, nil
	}
	until := k.until()
	if until.IsZero() || p.expires.Before(until) {
		until = p.expires
	}
	entry := ""
	if e.Captured > 0 {
		balance := -e.Captured
		for _, g := range k.grants {
			balance += g.Left + g.Held
		}
		entry = " " + string(ledger.KindCapture) + " " + decimal(-e.Captured) + " " + decimal(balance) + " " +
			strconv.Itoa(len(g.ID)) + " " + g.ID + e.ID
		after.seq++
	}
	args = after.change(g, until, g.Left+back, g.Held-p.Amount)
	return after, append(args, p.text, decimal(k.seq), decimal(after.seq), entry, flag(back > 0))
}
