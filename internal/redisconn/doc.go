// Package redisconn is a connection to Redis: one server, a Sentinel group or a Cluster.
// It knows no keys and no credits. internal/store/redisstore keeps the store through it.
//
//	options.go, url.go   what an operator may say about the connection, and go-redis' options
//	credentials.go       user and password of new connections; they may change while it is open
//	conn.go              [Conn], time limits, errors without passwords
//	batch.go             commands of many callers in one round trip
//	durability.go        how many replicas must have what is acknowledged, and waiting for them
//	replication.go       whether a server has replicas, and whether it is still the same one
//	limiter.go           the number of operations that run at once
//	script.go            running scripts, also on a server that does not have them yet
//	check.go, trial.go   whether a server allows what the caller needs; verdict.go reads its replies
//	command.go           the commands that callers and this package need
//	settings.go          the settings of a server that could lose data
//
// Everything that is sent may be sent twice: go-redis repeats a command when its reply is lost.
// Callers must send only what can be repeated without harm.
package redisconn
