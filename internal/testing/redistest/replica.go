package redistest

import (
	"net"
	"strings"
	"testing"
)

// StartReplica starts a replica of a server, and returns when it has the server's data.
func StartReplica(t testing.TB, master *Server, args ...string) *Server {
	t.Helper()
	master.MustDo("CONFIG", "SET", "repl-diskless-sync-delay", "0")
	host, port, _ := net.SplitHostPort(master.Addr)
	replica := Start(t, append([]string{"--replicaof", host + " " + port}, args...)...)
	replica.waitFor(t, func() bool { return strings.Contains(replica.MustDo("INFO", "replication"), "master_link_status:up") })
	return replica
}

// Forsake freezes a replica and ends its connection to the server: it has all that was written
// before, and gets nothing that is written from now on.
func (s *Server) Forsake(replica *Server) {
	s.t.Helper()
	replica.Freeze()
	s.MustDo("CLIENT", "KILL", "TYPE", "replica")
}

// KnowsReplicas waits until a Sentinel knows of so many replicas of its master.
func (s *Server) KnowsReplicas(replicas string) {
	s.t.Helper()
	s.waitFor(s.t, func() bool {
		info := s.MustDo("INFO", "sentinel")
		return strings.Contains(info, "status=ok") && strings.Contains(info, "slaves="+replicas+",")
	})
}
