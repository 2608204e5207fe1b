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
// A [Feature] and an [Import] depend on no other object. Dodo decides who has a feature; the
// operator decides about an import, and the last one counts.
//
// A further kind of object is one type with a Merge and an Effect.
package entitlement
