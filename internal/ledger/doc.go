// Package ledger holds the rules of credits: what a grant is, how it is
// raised, clawed back and lapses, and which entries explain it.
//
// It is pure: no clock, no I/O, no context. The embedded store calls it; the
// Redis store runs the same rules as a script, and the conformance suite of
// internal/store/storetest holds the two to each other.
//
// # Invariants
//
//   - Every amount is between 0 and [Max]; what would leave that range is an
//     error, and an error changes nothing.
//   - A grant's Left and Lapsed never exceed its Amount.
//   - The balance is the sum of what is left in grants that have not expired.
//   - Entries are immutable and numbered from 1 without a gap. Adding up their
//     amounts gives the balance as it was when the last of them was written.
//   - Applying the same targets twice changes nothing the second time, so the
//     state depends on the facts alone and not on how often they arrived.
package ledger
