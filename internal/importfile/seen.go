package importfile

import (
	"fmt"
	"hash/maphash"
	"math"
	"slices"

	"github.com/dodogate/dodogate/internal/gateway"
)

// Seen remembers the ids of all files of one import. The gateway applies rows in any
// order, so two rows must not say the same of one account, and an id of Dodo must not be
// at two accounts. It keeps about 20 bytes for each id, and no text.
type Seen struct {
	seed  maphash.Seed
	files []string
	at    map[uint64]sight // by digest of a kind and an id
}

// sight is where an id was last.
type sight struct {
	line    uint32
	account uint32 // digest
	file    uint16
	says    says
}

// says are the parts of an account that a row is about.
type says uint8

const (
	saysCredits says = 1 << iota
	saysPaid
	saysPlan
)

func saysOf(row gateway.ImportRow) (s says) {
	if row.Credits != nil {
		s |= saysCredits
	}
	if row.Paid != nil {
		s |= saysPaid
	}
	if row.Plan != nil {
		s |= saysPlan
	}
	return s
}

// NewSeen begins an import.
func NewSeen() *Seen {
	return &Seen{seed: maphash.MakeSeed(), at: make(map[uint64]sight)}
}

// open notes that a file begins.
func (s *Seen) open(file string) uint16 {
	s.files = append(s.files, file)
	return uint16(min(len(s.files)-1, math.MaxUint16))
}

func (s *Seen) digest(kind, id string) uint64 {
	return maphash.String(s.seed, kind+"\x00"+id)
}

// where says on which line an id was, for a reader of another line.
func (s *Seen) where(before sight, file uint16) string {
	if before.file == file {
		return fmt.Sprintf("on line %d", before.line)
	}
	return fmt.Sprintf("on line %d of %s", before.line, s.files[before.file])
}

// add notes a row. It returns why the row contradicts an earlier one; empty if it does
// not. repeats says that the file may have several rows of an account: the first one that
// says something of the account itself counts.
func (s *Seen) add(row *gateway.ImportRow, file uint16, repeats bool) string {
	account := s.digest("account", row.Account)
	now := sight{line: uint32(min(row.Line, math.MaxUint32)), account: uint32(account), file: file, says: saysOf(*row)}
	first := now // of the account
	before, known := s.at[account]
	switch {
	case known && repeats:
		if before.says&now.says&saysPaid != 0 {
			row.Paid = nil
		}
		first = before
		first.says |= now.says
	case known && (before.file == file || before.says&now.says != 0):
		return "the account is " + s.where(before, file) + " already"
	default:
		first.says |= before.says
	}
	ids := make([]uint64, 0, 8)
	for _, kind := range []struct {
		name string
		ids  []string
	}{{"customer", row.Customers}, {"subscription", row.Subscriptions}, {"payment", paymentIDs(row.Payments)}} {
		for _, id := range slices.Compact(slices.Sorted(slices.Values(kind.ids))) {
			digest := s.digest(kind.name, id)
			before, known := s.at[digest]
			switch {
			case known && before.account != now.account:
				return fmt.Sprintf("the %s is %s already, for another account", kind.name, s.where(before, file))
			case known && before.file == file && kind.name == "payment":
				return fmt.Sprintf("the payment is %s already", s.where(before, file))
			}
			ids = append(ids, digest)
		}
	}
	s.at[account] = first
	for _, digest := range ids {
		s.at[digest] = now
	}
	return ""
}

func paymentIDs(payments []gateway.ImportedPayment) (ids []string) {
	for _, p := range payments {
		ids = append(ids, p.ID)
	}
	return ids
}
