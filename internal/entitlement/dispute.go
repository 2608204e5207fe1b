package entitlement

import (
	"cmp"

	"github.com/dodogate/dodogate/config"
)

// DisputeStatus is the status of a dispute as Dodo writes it, in lower case and without the
// leading "dispute_" (FACTS 3.6). Dodo may add values.
type DisputeStatus string

// The dispute statuses.
const (
	DisputeOpened     DisputeStatus = "opened"
	DisputeChallenged DisputeStatus = "challenged"
	DisputeCancelled  DisputeStatus = "cancelled"
	DisputeWon        DisputeStatus = "won"
	DisputeExpired    DisputeStatus = "expired"
	DisputeAccepted   DisputeStatus = "accepted"
	DisputeLost       DisputeStatus = "lost"
)

// rank orders statuses by how final they are. A dispute has one outcome; if Dodo reports two,
// the one that takes the money wins.
func (s DisputeStatus) rank() int {
	switch s {
	case "":
		return 0
	case DisputeOpened:
		return 2
	case DisputeChallenged:
		return 3
	case DisputeCancelled:
		return 4
	case DisputeWon:
		return 5
	case DisputeExpired:
		return 6
	case DisputeAccepted:
		return 7
	case DisputeLost:
		return 8
	default:
		return 1
	}
}

func (s DisputeStatus) merge(t DisputeStatus) DisputeStatus {
	if cmp.Or(cmp.Compare(s.rank(), t.rank()), cmp.Compare(s, t)) < 0 {
		return t
	}
	return s
}

// takesMoney reports whether the dispute takes the money back: for good, or until it is
// decided under policy freeze.
func (s DisputeStatus) takesMoney(p config.DisputePolicy) bool {
	switch s {
	case DisputeOpened, DisputeChallenged:
		return p != config.DisputeIgnore
	case DisputeExpired, DisputeAccepted, DisputeLost:
		return true
	default:
		return false
	}
}
