package importfile

import (
	"fmt"
	"hash/maphash"
	"math"
	"slices"

	"github.com/dodogate/dodogate/internal/gateway"
)

// Seen remembers the ids of all files of one import. The gateway applies rows in any order, so
// two rows must not set the same value of one account, and one id of Dodo must not belong to
// two accounts. It keeps about 20 bytes for each id, and no text.
type Seen struct {
	seed  maphash.Seed
	files []string
	at    map[uint64]occurrence // by digest of a kind and an id
}

// occurrence is the last place of an id.
type occurrence struct {
	line    uint32
	account uint32 // digest
	file    uint16
	facets  facets
}

// facets are the values of an account that a row sets.
type facets uint8

const (
	facetCredits facets = 1 << iota
	facetPaid
	facetPlan
)

func facetsOf(row gateway.ImportRow) (s facets) {
	if row.Credits != nil {
		s |= facetCredits
	}
	if row.Paid != nil {
		s |= facetPaid
	}
	if row.Plan != nil {
		s |= facetPlan
	}
	return s
}

// NewSeen starts an import.
func NewSeen() *Seen {
	return &Seen{seed: maphash.MakeSeed(), at: make(map[uint64]occurrence)}
}

// addFile registers a file and returns its number.
func (s *Seen) addFile(file string) uint16 {
	s.files = append(s.files, file)
	return uint16(min(len(s.files)-1, math.MaxUint16))
}

func (s *Seen) digest(kind, id string) uint64 {
	return maphash.String(s.seed, kind+"\x00"+id)
}

// lineOf says on which line an id occurred, in an error about a line of file.
func (s *Seen) lineOf(before occurrence, file uint16) string {
	if before.file == file {
		return fmt.Sprintf("on line %d", before.line)
	}
	return fmt.Sprintf("on line %d of %s", before.line, s.files[before.file])
}

// add records a row. It returns why the row contradicts an earlier one; empty if it does not.
// repeats says that the file may have several rows for an account: the first row that sets a
// value counts.
func (s *Seen) add(row *gateway.ImportRow, file uint16, repeats bool) string {
	account := s.digest("account", row.Account)
	now := occurrence{line: uint32(min(row.Line, math.MaxUint32)), account: uint32(account), file: file, facets: facetsOf(*row)}
	first := now // of the account
	before, known := s.at[account]
	switch {
	case known && repeats:
		if before.facets&now.facets&facetPaid != 0 {
			row.Paid = nil
		}
		first = before
		first.facets |= now.facets
	case known && (before.file == file || before.facets&now.facets != 0):
		return "the account is " + s.lineOf(before, file) + " already"
	default:
		first.facets |= before.facets
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
				return fmt.Sprintf("the %s is %s already, for another account", kind.name, s.lineOf(before, file))
			case known && before.file == file && kind.name == "payment":
				return fmt.Sprintf("the payment is %s already", s.lineOf(before, file))
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
