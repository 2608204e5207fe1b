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
// A refund is a fact about its payment: a [Payment] that says nothing but its
// refund. A later kind of fact is one type with a Merge and an Effect.
package entitlement
