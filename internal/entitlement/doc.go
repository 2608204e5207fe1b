// Package entitlement turns facts into what an account may do. It is pure: no clock, no I/O.
//
// A fact is what one event or one API read says about one object at Dodo. Facts about an
// object are merged. The merge is commutative, associative and idempotent, so neither the
// order nor the repetition of facts matters:
//
//	fact ─┐
//	fact ─┼─ Merge ─→ merged object ─ Effect(terms) ─→ grants + standing ─→ Snapshot(now)
//	fact ─┘
//
// A refund or a dispute is a fact about its payment: a [Payment] with only that field set. A
// payment of a subscription is in turn a fact about the subscription. A [Feature] and an
// [Import] depend on no other object. Dodo decides about a feature. The operator decides about
// an import, and the last import wins.
//
// A new kind of object is one type with a Merge and an Effect.
package entitlement
