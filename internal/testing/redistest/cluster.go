package redistest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/testing/freeport"
)

const slots = 16384

// StartSentinel starts a Sentinel that watches a master under a name and puts a
// replica in its place half a second after it is gone.
func StartSentinel(t testing.TB, master *Server, name string) *Server {
	t.Helper()
	return start(t, nil, func(port, dir string) []string {
		host, masterPort, _ := net.SplitHostPort(master.Addr)
		config := fmt.Sprintf("bind 127.0.0.1\nport %[1]s\ndir %[2]s\nsentinel monitor %[3]s %[4]s %[5]s 1\n"+
			"sentinel down-after-milliseconds %[3]s 500\nsentinel failover-timeout %[3]s 2000\n",
			port, dir, name, host, masterPort)
		file := filepath.Join(dir, "sentinel.conf")
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		return []string{file, "--sentinel"}
	})
}

// StartCluster starts a Redis Cluster of n masters without replicas, and stops
// it when t ends. Each node is connected to each other one, so that no message between
// them is lost: what is published on one node goes through these connections.
func StartCluster(t testing.TB, n int) []*Server {
	t.Helper()
	nodes := make([]*Server, n)
	for i := range nodes {
		// The bus has a port of its own; the default is the port plus 10,000,
		// which may be beyond the last one.
		bus := freeport.Get(t)
		nodes[i] = Start(t, "--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "5000")
		nodes[i].MustDo("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(i*slots/n), strconv.Itoa((i+1)*slots/n-1))
		host, port, _ := net.SplitHostPort(nodes[i].Addr)
		for _, other := range nodes[:i] {
			other.MustDo("CLUSTER", "MEET", host, port, bus)
		}
	}
	for _, node := range nodes {
		node.waitFor(t, func() bool {
			info := node.MustDo("CLUSTER", "INFO")
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d", n)) &&
				strings.Contains(info, fmt.Sprintf("cluster_size:%d", n)) && connected(node.MustDo("CLUSTER", "NODES"))
		})
	}
	return nodes
}

// StartClusterReplica starts a replica of a master of a Cluster.
func StartClusterReplica(t testing.TB, master *Server) *Server {
	t.Helper()
	master.MustDo("CONFIG", "SET", "repl-diskless-sync-delay", "0")
	id := strings.TrimSpace(master.MustDo("CLUSTER", "MYID"))
	nodes := master.MustDo("CLUSTER", "NODES")
	bus := nodes[strings.Index(nodes, "@")+1:] // any node will do
	host, port, _ := net.SplitHostPort(nodes[strings.Index(nodes, " ")+1 : strings.Index(nodes, "@")])
	bus = bus[:strings.IndexAny(bus, ", ")]
	replica := Start(t, "--cluster-enabled", "yes", "--cluster-port", freeport.Get(t), "--cluster-node-timeout", "5000")
	replica.MustDo("CLUSTER", "MEET", host, port, bus)
	replica.waitFor(t, func() bool {
		reply, err := replica.Do("CLUSTER", "REPLICATE", id)
		return err == nil && reply == "OK"
	})
	master.waitFor(t, func() bool { return strings.Contains(master.MustDo("INFO", "replication"), "state=online") })
	return replica
}

// connected reports whether a node has met all others and is connected to them, by what it
// says of them.
func connected(nodes string) bool {
	return !strings.Contains(nodes, "handshake") && !strings.Contains(nodes, "disconnected") && !strings.Contains(nodes, "noaddr")
}

func (s *Server) waitFor(t testing.TB, done func() bool) {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(20 * time.Millisecond) {
		if done() {
			return
		}
	}
	t.Fatalf("%s does not come up: %s", s.Addr, s.MustDo("INFO"))
}
