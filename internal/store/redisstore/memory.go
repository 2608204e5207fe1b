package redisstore

import (
	"encoding/binary"
	"strconv"

	"github.com/maypok86/otter/v2"

	"github.com/dodogate/dodogate/internal/bytecache"
	"github.com/dodogate/dodogate/internal/ledger"
)

// memory is the accounts as they were last read or written, so that decisions about them need not
// read. What it says is compared before anything is written, so it may be outdated.
//
// Nearly all are kept as bytes, which cost the garbage collector nothing. An account that has an
// order or a key which the next decision will ask for, holds that have run out, or many grants, is
// kept as it is. There are few of them, and decoding a long list of grants would cost more than it
// saves.
type memory struct {
	plain  *bytecache.Cache
	others *otter.Cache[string, *state]
}

const (
	// maxRemembered is how many accounts of accountSize are remembered unless [Store.Remember] says
	// otherwise.
	maxRemembered = 1_000_000
	// accountSize is how many bytes are reserved for an account: enough for one with one grant.
	accountSize = 130
	// maxOthers is how many accounts are remembered as they are.
	maxOthers = 10_000
	// maxPlainGrants is how many grants are decoded for each decision.
	maxPlainGrants = 16
)

func newMemory(accounts int) memory {
	return memory{
		plain:  bytecache.New(accounts * accountSize),
		others: otter.Must(&otter.Options[string, *state]{MaximumSize: maxOthers}),
	}
}

// Remember bounds the bytes of what the store remembers to those of so many accounts. What it
// remembers already, it keeps.
func (s *Store) Remember(accounts int) { s.memory.plain.Resize(accounts * accountSize) }

func (m *memory) close() {
	m.plain.Close()
	m.others.InvalidateAll()
}

// get is an account; nil if it is not remembered.
func (m *memory) get(account string) *state {
	var room [512]byte
	record, found := m.plain.Get(account, room[:])
	if !found {
		return nil
	}
	if record[0] == isOther {
		st, _ := m.others.GetIfPresent(account)
		return st
	}
	return readState(string(record))
}

func (m *memory) set(account string, st *state) {
	if !isPlain(st) {
		m.others.Set(account, st) // first, because whoever reads the other finds it
		m.plain.Set(account, []byte{isOther})
		return
	}
	m.plain.Set(account, writeState(st))
}

func (m *memory) forget(account string) { m.plain.Delete(account) }

func isPlain(st *state) bool {
	return len(st.items)+len(st.standings)+len(st.Ledger.Holds) == 0 && len(st.Ledger.Grants) <= maxPlainGrants
}

// What a record begins with.
const (
	isOther    = iota + 1 // it is among the others
	withNumber            // its stamp is a number in base 36, as newStamp makes them
	withText
)

// writeState writes a plain state as
//
//	kind rev stamp standings-rev seq debt next #grants grants
//
// with a grant as "id amount left held waiting lapsed waived starts expires created".
func writeState(st *state) []byte {
	r := bytecache.Record{Bytes: make([]byte, 0, 128)} // as much as most take
	var digits [16]byte
	if n, err := strconv.ParseUint(st.stamp, 36, 64); err == nil && string(strconv.AppendUint(digits[:0], n, 36)) == st.stamp {
		r.Uint(withNumber)
		r.Bytes = binary.LittleEndian.AppendUint64(r.Bytes, n)
	} else {
		r.Uint(withText)
		r.Text(st.stamp, nil)
	}
	r.Int(st.rev)
	r.Int(st.Rev)
	r.Int(st.StandingsRev)
	r.Int(st.Ledger.Seq)
	r.Int(st.Ledger.Debt)
	r.Time(st.Next)
	r.Uint(uint64(len(st.Ledger.Grants)))
	for i := range st.Ledger.Grants {
		g := &st.Ledger.Grants[i]
		r.Text(g.ID, nil)
		for _, n := range [...]int64{g.Amount, g.Left, g.Held, g.Waiting, g.Lapsed, g.Waived} {
			r.Int(n)
		}
		r.Time(g.StartsAt)
		r.Time(g.ExpiresAt)
		r.Time(g.CreatedAt)
	}
	return r.Padded()
}

// stateRoom is a state with room for what most accounts have.
type stateRoom struct {
	state
	grants [1]ledger.Grant
}

// readState reads what writeState wrote; nil if it is something else.
func readState(record string) *state {
	r := bytecache.Reader{Left: record}
	room := new(stateRoom)
	st := &room.state
	if r.Uint() == withNumber {
		if stamp := r.Raw(8); !r.Bad {
			st.stamp = strconv.FormatUint(binary.LittleEndian.Uint64([]byte(stamp)), 36)
		}
	} else {
		st.stamp = r.Text(nil)
	}
	st.rev, st.Rev, st.StandingsRev = r.Int(), r.Int(), r.Int()
	st.Ledger.Seq, st.Ledger.Debt = r.Int(), r.Int()
	st.Next = r.Time()
	switch n := r.Count(); {
	case n == 0:
	case n <= len(room.grants):
		st.Ledger.Grants = room.grants[:n:n]
	default:
		st.Ledger.Grants = make(ledger.Grants, n)
	}
	for i := range st.Ledger.Grants {
		g := &st.Ledger.Grants[i]
		g.ID = r.Text(nil)
		for _, n := range [...]*int64{&g.Amount, &g.Left, &g.Held, &g.Waiting, &g.Lapsed, &g.Waived} {
			*n = r.Int()
		}
		g.StartsAt, g.ExpiresAt, g.CreatedAt = r.Time(), r.Time(), r.Time()
	}
	if r.Bad {
		return nil
	}
	return st
}
