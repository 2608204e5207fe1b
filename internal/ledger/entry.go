package ledger

import "time"

// Kind says what an entry did.
type Kind string

// The kinds of entry.
const (
	KindGrant    Kind = "grant"    // credits given
	KindClawBack Kind = "clawback" // credits taken back by a refund or the like
	KindExpire   Kind = "expire"   // credits that ran out unspent
	KindCapture  Kind = "capture"  // credits spent
	KindTake     Kind = "take"     // credits that an operator took
	KindWaive    Kind = "waive"    // debt that an operator forgave
)

// Entry is one immutable line of an account's ledger.
type Entry struct {
	Seq     int64     `json:"seq"`     // 1, 2, 3… without a gap
	At      time.Time `json:"at"`      // when it was written, UTC, in milliseconds
	Kind    Kind      `json:"kind"`    //
	Grant   string    `json:"grant"`   // the grant it changed
	Amount  int64     `json:"amount"`  // change of the balance, in credits; negative when taken
	Balance int64     `json:"balance"` // the balance after it; negative while credits are owed
	Cause   string    `json:"cause"`   // what brought it: an event's id, a hold's, or the use case's name
}
