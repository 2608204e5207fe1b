package entitlement

import (
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dodogate/dodogate/internal/ledger"
)

// Addons are the add-ons of a subscription with their quantities, written as text: Dodo's ids
// in order, such as "adn_a=2,adn_b=1". The same add-ons always give the same text, so that it
// can be compared and used in keys. The zero value means no add-ons.
type Addons string

// MaxAddons is the largest number of different add-ons in one subscription, far more than Dodo
// sells at once.
const MaxAddons = 100

// MaxPieces is the largest quantity of a product or an add-on: the limit of Dodo's int32.
const MaxPieces = 1<<31 - 1

// NewAddons writes quantities by Dodo's id. It drops quantities below 1 and ids that contain
// "=" or ",", lowers larger quantities to [MaxPieces], and keeps the first [MaxAddons] ids.
func NewAddons(quantities map[string]int64) Addons {
	if len(quantities) == 0 {
		return ""
	}
	var text strings.Builder
	written := 0
	for _, id := range slices.Sorted(maps.Keys(quantities)) {
		n := min(quantities[id], MaxPieces)
		if n <= 0 || id == "" || strings.ContainsAny(id, "=,") || written == MaxAddons {
			continue
		}
		if written++; written > 1 {
			text.WriteByte(',')
		}
		text.WriteString(id + "=" + strconv.FormatInt(n, 10))
	}
	return Addons(text.String())
}

// All yields the id and quantity of each add-on, in the order of the ids.
func (a Addons) All() iter.Seq2[string, int64] {
	return func(yield func(string, int64) bool) {
		for part := range strings.SplitSeq(string(a), ",") {
			id, quantity, _ := strings.Cut(part, "=")
			n, err := strconv.ParseInt(quantity, 10, 64)
			if err != nil || n <= 0 || n > MaxPieces {
				continue
			}
			if !yield(id, n) {
				return
			}
		}
	}
}

// creditsOf returns the credits that the add-ons give for a whole cycle, on the terms of the
// period that begins at since. Its error is [ledger.ErrRange].
func (a Addons) creditsOf(termsOf TermsOf, since time.Time) (int64, error) {
	var sum int64
	for id, quantity := range a.All() {
		t, _ := termsOf(id, since)
		if t.Credits > ledger.Max/quantity || sum > ledger.Max-t.Credits*quantity {
			return 0, ledger.ErrRange
		}
		sum += t.Credits * quantity
	}
	return sum, nil
}
