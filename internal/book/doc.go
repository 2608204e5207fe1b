// Package book decides what becomes of an account: of its credits, holds, objects, orders
// and idempotency keys. Every rule about what is kept is here and in package ledger, once;
// a store reads what a decision asks for, and writes what it changed if nothing has changed
// meanwhile.
//
// It is pure: no database, no context, and no clock but the time that a [Book] is opened at.
// A decision may be made again, over what was read anew, as often as a store needs to.
package book
