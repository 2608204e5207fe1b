package entitlement

import (
	"time"

	"github.com/dodogate/dodogate/internal/ledger"
)

// Act is what an operator did by hand, with everything that an audit asks for. It is an object
// of the account; its id is the one that the operator gave, or that was made for it.
type Act struct {
	Kind ActKind   `json:"kind"`
	At   time.Time `json:"at"`
	// By is the identity that the admin API has verified; empty if it verifies none.
	By     string `json:"by,omitempty"`
	Reason string `json:"reason"`
	// Credits that are given, taken or waived.
	Credits int64 `json:"credits,omitempty"`
	// ExpiresAt is when the credits and the plan of a grant end, and Expires is what the operator
	// wrote for it, which may be a period; zero and empty: never.
	Expires   string    `json:"expires,omitempty"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	Plan      string    `json:"plan,omitempty"`
	// Owe lets credits that are to be taken, and are not left, be owed.
	Owe bool `json:"owe,omitempty"`
	// Object is what the act is about besides the account: a hold, an event, an object at Dodo
	// or the act that is undone.
	Object string `json:"object,omitempty"`
	Before Worth  `json:"before"`
	After  Worth  `json:"after"`
	// Undone is the id of the act that undid this one.
	Undone string `json:"undone,omitempty"`
}

// Worth is what an account has at one instant, in credits.
type Worth struct {
	Credits int64 `json:"credits"` // that can be spent
	Held    int64 `json:"held"`
	Owed    int64 `json:"owed"`
}

// ActKind is what an operator can do.
type ActKind string

// The kinds of act.
const (
	ActGrant    ActKind = "grant"
	ActTake     ActKind = "take"
	ActWaive    ActKind = "waive"   // forgive debt
	ActUndo     ActKind = "undo"    // take back a grant, a take or a waiver
	ActRelease  ActKind = "release" // end a hold
	ActAssign   ActKind = "assign"
	ActUnassign ActKind = "unassign"
	ActDismiss  ActKind = "dismiss"
	ActClose    ActKind = "close" // remove personal data
)

// IsZero reports whether nothing was done.
func (a *Act) IsZero() bool { return a.Kind == "" }

// SameAs reports whether both ask for the same. Why, when and by whom is not compared, and
// neither are credits that b leaves to the account to say.
func (a Act) SameAs(b Act) bool {
	return a.Kind == b.Kind && (a.Credits == b.Credits || (a.Kind == ActWaive || a.Kind == ActUndo) && b.Credits == 0) &&
		a.Expires == b.Expires && a.Plan == b.Plan && a.Owe == b.Owe && a.Object == b.Object
}

// Effect is what an act gives: a grant with its credits, which is named like the act, and the
// plan. What was undone gives nothing. What an act takes is no effect: only entries have it.
func (a Act) Effect(ref Ref) Effect {
	var e Effect
	switch a.Kind {
	case ActGrant, ActWaive, ActUndo:
	default:
		return e
	}
	t := ledger.Target{ID: ref.String(), Amount: a.Credits, ExpiresAt: a.ExpiresAt, CreatedAt: a.At}
	if a.Undone != "" {
		t.Amount = 0
	}
	if a.Credits > 0 {
		e.Grants = []ledger.Target{t}
	}
	if a.Plan != "" && a.Undone == "" {
		p := Pass{Plan: a.Plan, PaidAt: a.At}
		if !a.ExpiresAt.IsZero() {
			p.Lasts = a.ExpiresAt.Sub(a.At)
		}
		e.Standing.Passes = []Pass{p}
	}
	return e
}
