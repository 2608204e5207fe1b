// Package record is how both stores write things down: one written form of a
// grant, an entry, a standing and an order.
//
// Amounts are decimal digits, because Lua and JSON would round them; times are
// UTC milliseconds, "-" for none. Names are kept byte for byte, valid UTF-8 or
// not: a name that changed while it was stored would be another account.
package record
