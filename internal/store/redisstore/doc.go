// Package redisstore keeps a store in Redis: one server, a Sentinel group or a
// Cluster.
//
// # Keys
//
// Under the prefix, with every name percent-encoded, so that no name can end a
// key early or move it to another slot:
//
//	{account}:account          hash: revision, stamp, number of the last entry, debt, open grants, standings, whose turn it is
//	{account}:closed           hash: the other grants
//	{account}:entries          list: entry n is the n-th element
//	{account}:holds            hash: the holds that have not ended
//	{account}:expiring         sorted set: their ids by when they run out
//	{account}:ended:id         string: a hold that has ended; expires
//	{account}:object:kind:id   hash: version, state
//	{account}:order:id         hash; expires 30 days after the order unless it is paid
//	{account}:unpaid           sorted set: ids of unpaid orders by expiry
//	{account}:paid             sorted set: ids of paid orders by creation
//	{account}:failed           sorted set: ids of the last failed orders by creation; expires
//	{account}:key:hash         hash: an idempotency key; expires
//	owner:kind:id              string: account; that of a session expires after 90 days
//	event:id                   hash: an event with its body
//	mark:name                  string: a time in milliseconds
//	note:name                  string: a text that stays, such as the site
//	parked:object              sorted set: ids of events by time of receipt
//	parked                     sorted set: time of receipt and id of all parked events, by name
//	confirmed                  string: written to find out whether replicas have all before it
//
// All keys of an account share its hash tag, so that a script may touch them
// together in a Cluster. [Store.Account] reads one key, which holds what counts
// and not what is past.
//
// # Scripts
//
// account.lua is the only script that writes an account, and it knows no rule about what is
// kept. [Store.decide] reads the account, or takes what it remembers of it, and lets package book
// decide. The script compares what the decision was made by (the revision, a random stamp, a
// window of time by the server's clock, and what was taken for likely) and writes the changes, or
// it reads everything anew, and the decision is made again. Decisions about one account that
// wait in one gateway are made together and written together ([lines]). Gateways that change one
// account at the same time take turns, which account.lua gives out.
//
// All scripts are written so that a client may send them again after a lost reply, which
// go-redis does by itself: a stamp that is there already says that the change was written.
//
// # Changes
//
// The script that changes an account publishes "rev account" on the channel
// prefix + "changes", the account in the form that it has in keys. [Store.Watch]
// listens on a connection of its own, and knows that it hears everything because
// once a second it publishes something itself, on the channel changes:id. Channels
// have no database: stores with one prefix in two databases of a server hear each
// other, which costs a read and changes nothing.
//
// # What a server must allow
//
// [commands] lists every command that scripts and Go code send, all keys begin with the
// prefix, and so do all channels. [Open] tries all of it on every master, see package redisconn,
// and refuses a server that lacks something. A command that is used for the first time is
// added to the list and to the ACL rule in docs/caddyfile.md; a test compares them.
//
// # What is lost when
//
// Redis answers before its append-only file is on disk, unless appendfsync is
// always, and before its replicas know. What is acknowledged goes through
// [redisconn.Conn.Writes], which waits for as many replicas as the operator wants; what is only
// read goes through [redisconn.Conn.Reads]. history.go notices that another server has taken over.
package redisstore
