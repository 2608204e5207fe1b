// Package ledger holds the rules of credits: how grants are given, clawed back
// and lapse, how holds set credits aside and end, and which entries explain it; and
// what the answer to a request costs.
//
// It is pure: no clock, no I/O, no context. The embedded store calls it; the
// Redis store runs the same rules as scripts, and the conformance suite of
// internal/store/storetest holds the two to each other.
//
// # Where a credit is
//
// Every credit of a grant is in one place:
//
//	Amount = Left + Held + Waiting + Lapsed + spent - overdrawn
//
// Left can be spent. Held is set aside by holds. Waiting has not begun. Lapsed ran out
// unspent. What an operator took by hand counts as spent. What a claw-back takes beyond these was spent already: it becomes the account's debt
// (policy debt) or is forgiven and noted in Waived (policy floor).
//
// # Invariants
//
//   - Every amount is between 0 and [Max]; what would leave that range is an
//     error, and an error changes nothing.
//   - Debt is paid from whatever is left, at once: while there is debt, nothing is
//     left in any grant that has not expired.
//   - The balance is what is left in the grants that have begun and not expired, plus what is held, less the
//     debt. What can be spent is the balance less what is held, and never below 0.
//   - Credits burn soonest expiry first, then oldest grant first. A release gives
//     them back to the grants they came from.
//   - What lapsed is there again when the expiry of its grant moves behind now: a
//     paused or prolonged period may be heard of late.
//   - What waits counts for nothing before its time: not in the balance, not in what can be
//     spent, and no debt is paid from it. When it begins it is given as any other grant.
//   - A hold ends exactly once: captured, released, or expired, which releases it.
//   - Entries are immutable and numbered from 1 without a gap. Adding up their
//     amounts gives the balance as it was when the last of them was written.
//   - Applying the same targets twice changes nothing the second time, and so does
//     beginning or ending the same hold twice.
package ledger
