package gateway

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"regexp"
	"strings"

	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
)

// A charge has an id that the response, the access log and its entries have: random text, and a
// tag by which an operator finds the account without an index: of all accounts, only those with
// the tag are looked into.

const (
	chargePrefix = "charge:"
	chargeRandom = 18 // characters of 5 bits
	tagBytes     = 5
	tagSize      = 8 // characters
	maxRoute     = 64
)

// newChargeID makes the id of a hold for a request: its name, and its path for whoever reads the
// ledger.
func newChargeID(kind, account, route string) string {
	id := chargePrefix + kind + rand.Text()[:chargeRandom] + tagOf(account)
	if route == "" {
		return id
	}
	return id + " " + route[:min(len(route), maxRoute)]
}

// tagOf is the same for every charge of an account, and for one account in 2^40.
func tagOf(account string) string {
	var text [len(chargePrefix) + MaxAccount]byte
	sum := sha256.Sum256(append(append(text[:0], chargePrefix...), account...))
	return base32.StdEncoding.EncodeToString(sum[:tagBytes])
}

// ID names the charge in the response, the access log and its entries.
func (c *Charge) ID() string {
	id, _, _ := strings.Cut(strings.TrimPrefix(c.hold.ID, chargePrefix), " ")
	return id
}

var chargeID = regexp.MustCompile(`^(late:)?[A-Z2-7]{26}$`)

// What bounds the search for a charge.
const (
	searchedPage     = 1000
	maxSearchedPages = 2000
)

// charge finds the entries of a charge by the id that the response and the access log have.
func (f *finding) charge() error {
	id := strings.TrimPrefix(f.text, chargePrefix)
	if !chargeID.MatchString(id) {
		return nil
	}
	tag, after := id[len(id)-tagSize:], ""
	for range maxSearchedPages {
		accounts, next, err := f.store.AccountIDs(f.ctx, after, searchedPage)
		if err != nil {
			return fmt.Errorf("look for the account of a charge: %w", err)
		}
		for _, account := range accounts {
			if tagOf(account) != tag {
				continue
			}
			if err := f.chargeOf(account, chargePrefix+id); err != nil {
				return err
			}
		}
		if after = next; next == "" {
			break
		}
	}
	return nil
}

// chargeOf looks for a charge among the newest entries of an account.
func (f *finding) chargeOf(account, cause string) error {
	spent, last := int64(0), ledger.Entry{}
	for before, looked := MaxEntry, 0; before > 0 && looked < maxJudged && last.Seq == 0; {
		entries, next, err := f.Entries(f.ctx, account, before, store.MaxEntries)
		if err != nil {
			return fmt.Errorf("look for a charge: %w", err)
		}
		for _, e := range entries {
			if id, _, _ := strings.Cut(e.Cause, " "); id == cause && e.Kind == ledger.KindCapture {
				spent, last = spent-e.Amount, e
			}
		}
		before, looked = next, looked+len(entries)
	}
	about := "it has no entry among the newest: it was not charged, or is held now"
	if last.Seq > 0 {
		_, route, _ := strings.Cut(last.Cause, " ")
		about = fmt.Sprintf("%s spent at %s by %s, entry %d", credits(spent), last.At.UTC().Format("2006-01-02T15:04:05Z"), route, last.Seq)
	}
	f.add(Match{What: "charge", ID: strings.TrimPrefix(cause, chargePrefix), Account: account, About: about})
	return nil
}
