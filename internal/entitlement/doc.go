// Package entitlement turns facts into what an account may do. It is pure: no
// clock, no I/O.
//
// A fact is what one event or one API read says about one object at Dodo. Facts
// about an object are merged, and the merge is commutative, associative and
// idempotent, so neither order nor repetition of facts matters:
//
//	fact ─┐
//	fact ─┼─ Merge ─→ merged object ─ Effect(terms) ─→ grants + standing ─→ Snapshot(now)
//	fact ─┘
//
// A refund or a dispute is a fact about its payment: a [Payment] that says nothing
// but that. A payment of a subscription is in turn a fact about the subscription.
// A [Feature] stands alone: Dodo itself decides who has it. An [Import] does too: it is the
// operator's word, of which the last one counts.
//
// A further kind of object is one type with a Merge and an Effect.
package entitlement
