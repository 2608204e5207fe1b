package redisstore

import (
	"slices"
	"strconv"
	"strings"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store/record"
)

// revision says which state of an account a decision was made by. The stamp is random, so
// that a server that failed over or was restored cannot come to the same one by another way.
type revision struct {
	rev   int64
	stamp string
}

// state is an account as it was read or written. It is never changed.
type state struct {
	revision
	book.Kept
	standings map[string]entitlement.Standing // only where they were read
	items     []item                          // what else was read of the account with it
}

// parse reads what account.lua read.
func (src *source) parse(reply []string) (*state, error) {
	damaged := errReply(reply)
	if len(reply) < 5 {
		return nil, damaged
	}
	st := &state{}
	var err error
	if st.Next, err = record.ParseMillis(reply[1]); err != nil {
		return nil, err
	}
	pairs := func(rest []string) (list, after []string, ok bool) {
		if len(rest) == 0 {
			return nil, nil, false
		}
		n, err := strconv.Atoi(rest[0])
		if err != nil || n < 0 || n > (len(rest)-1)/2 {
			return nil, nil, false
		}
		return rest[1 : 1+2*n], rest[1+2*n:], true
	}
	fields, rest, ok := pairs(reply[4:])
	if !ok {
		return nil, damaged
	}
	for i := 0; i < len(fields); i += 2 {
		if err := st.parse(fields[i], fields[i+1]); err != nil {
			return nil, err
		}
	}
	st.Ledger.Grants = ledger.NewGrants(st.Ledger.Grants)
	over, rest, ok := pairs(rest)
	if !ok {
		return nil, damaged
	}
	for i := 0; i < len(over); i += 2 {
		h, err := parseHold(over[i], over[i+1])
		if err != nil {
			return nil, err
		}
		if st.Ledger.Holds == nil {
			st.Ledger.Holds = make(map[string]ledger.Hold)
		}
		st.Ledger.Holds[h.ID] = h.Hold
	}
	if err := st.check(reply[2], reply[3]); err != nil {
		return nil, err
	}
	if len(rest) < len(src.holds) {
		return nil, damaged
	}
	for i := range src.holds {
		src.holds[i].text, src.holds[i].loaded = rest[i], true
	}
	rest = rest[len(src.holds):]
	for i := range src.items {
		if len(rest) == 0 {
			return nil, damaged
		}
		n, err := strconv.Atoi(rest[0])
		if err != nil || n < 0 || n > len(rest)-1 {
			return nil, damaged
		}
		it := &src.items[i]
		it.loaded, it.reply, it.order, rest = true, rest[1:1+n], nil, rest[1+n:]
	}
	src.read = true
	return st, nil
}

// check looks at what was read as a whole: how many entries there are, and the last one.
func (st *state) check(entries, last string) error {
	var e ledger.Entry
	var err error
	if last != "" {
		if e, err = record.ParseEntry(last); err != nil {
			return err
		}
	}
	switch {
	case entries != strconv.FormatInt(st.Ledger.Seq, 10):
		return book.Damaged("there are %.20s entries instead of %d", entries, st.Ledger.Seq)
	case st.Next.IsZero() && len(st.Ledger.Holds) == 0 && slices.ContainsFunc(st.Ledger.Grants, func(g ledger.Grant) bool { return g.Held > 0 }):
		return book.Damaged("credits are held, but no hold is there")
	}
	return st.Check(e)
}

// parse reads a field of the account's hash, standings among them. Fields of a kind that it does
// not know are passed over.
func (st *state) parse(field, value string) (err error) {
	kind, name, _ := strings.Cut(field, ":")
	switch kind {
	case "rev":
		st.rev, err = parseDigits(value)
		st.Rev = st.rev
	case "stamp":
		st.stamp = value
	case "srev":
		st.StandingsRev, err = parseDigits(value)
	case "seq":
		st.Ledger.Seq, err = parseDigits(value)
	case "debt":
		st.Ledger.Debt, err = parseDigits(value)
	case "g":
		var g ledger.Grant
		g, err = record.ParseGrant(name, value)
		st.Ledger.Grants = append(st.Ledger.Grants, g)
	case "s":
		if st.standings == nil {
			st.standings = make(map[string]entitlement.Standing)
		}
		st.standings[name], err = record.ParseStanding(value)
	}
	return err
}
