// Package boltstore keeps a store in one file of this machine, by bbolt.
//
// # Layout
//
//	meta      "format" → "2", "mark " name → a time in milliseconds, "note "
//	          name → a text that stays, "events adopted" → see adopt
//	accounts  account id → a bucket of that account, its keys by their first byte:
//	            s            revision, that of the last commit, number of the last
//	                         entry and debt, 8 bytes each
//	            g grant      grants of which something is left or held
//	            t object     standings
//	            c grant      grants of which nothing is left
//	            e seq        entries, the number in 8 bytes, big endian
//	            h hold       ends of holds that somebody may ask for again, JSON
//	            i until hold when they may be forgotten, milliseconds in 8 bytes
//	            o object     version in 8 bytes and merged state
//	            r order      orders, JSON
//	            u order      unpaid orders: expiry in milliseconds
//	            k hash       idempotency keys, JSON
//	owners    object → account id
//	events    event id → all of an event but its body, JSON
//	bodies    event id → body, apart so that settling does not write it again
//	parked    object, time of receipt, event id → nothing
//	          0xffff, time of receipt, event id → nothing
//	days      kind, a blank and the day → a bucket of name → value, since statistics by day
//	ends      time of its end, event id → nothing
//
// All values of an account are sealed with a checksum ([seal]); those that format 1 wrote are
// sealed when they are written anew.
//
// Grants, entries, standings and orders are in the form of package record. The
// keys of an account are flat so that bbolt keeps a small account within a page
// that it shares with others; s, g and t are all that [Store.Account] reads.
//
// # Holds
//
// What is held is in memory, and in the file it counts as left: when the process
// ends, so do the requests that the credits were held for. So placing and
// releasing a hold waits for no fsync; spending from it does.
//
// # Writing
//
// One goroutine makes all changes. It takes the operations that are waiting,
// runs them in one transaction and answers them when that is on disk, so that
// the cost of an fsync is shared. Package book decides; an operation reads and
// decides before its first write, so what it refuses concerns it alone.
//
// An error of the disk is final for the handle: after a failed fsync, a later
// one may succeed without the data being there. From then on every change is
// refused, [Store.Ping] says why, and only opening the file anew helps. Reading
// goes on.
//
// A caller whose context ends while its operation waits gets the context's
// error; the operation may still happen.
package boltstore
