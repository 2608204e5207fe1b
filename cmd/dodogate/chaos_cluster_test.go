package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/dodogate/dodogate/internal/testing/freeport"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

const (
	clusterMasters = 3
	clusterSlots   = 16384
)

// cluster is a Redis Cluster of three masters, with a replica of each.
func cluster(c *chaos) (line string, faults []fault) {
	cl := &clusterNodes{c: c}
	for i := range 2 * clusterMasters {
		bus := freeport.Get(c.t)
		node := redistest.Start(c.t, "--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "2000",
			"--enable-debug-command", "local")
		host, port, _ := net.SplitHostPort(node.Addr)
		for _, other := range cl.nodes {
			other.MustDo("CLUSTER", "MEET", host, port, bus)
		}
		if i < clusterMasters {
			node.MustDo("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(i*clusterSlots/clusterMasters), strconv.Itoa((i+1)*clusterSlots/clusterMasters-1))
		}
		cl.nodes = append(cl.nodes, node)
	}
	for i, node := range cl.nodes[clusterMasters:] {
		id := cl.nodes[i].MustDo("CLUSTER", "MYID")
		c.eventually("a replica", func() string {
			if reply, err := node.Do("CLUSTER", "REPLICATE", id); err != nil || reply != "OK" {
				return reply
			}
			return ""
		})
	}
	c.eventually("a Cluster", cl.notWell)
	return "redis redis://" + cl.nodes[0].Addr + "?cluster=true&addr=" + cl.nodes[1].Addr + "&addr=" + cl.nodes[2].Addr, []fault{
		{"slot-move", cl.move}, {"master-kill", cl.kill}, {"node-stop", cl.stop}, {"clients-killed", cl.hangUp},
	}
}

type clusterNodes struct {
	c     *chaos
	nodes []*redistest.Server
}

// masters are the nodes that have slots.
func (cl *clusterNodes) masters() (masters []*redistest.Server) {
	for _, node := range cl.nodes {
		if info, err := node.Do("INFO", "replication"); err == nil && strings.Contains(info, "role:master") {
			masters = append(masters, node)
		}
	}
	return masters
}

// notOK says which node that runs takes the Cluster for down.
func (cl *clusterNodes) notOK(but *redistest.Server) string {
	for _, node := range cl.nodes {
		if node == but {
			continue
		}
		if info, err := node.Do("CLUSTER", "INFO"); err != nil || !strings.Contains(info, "cluster_state:ok") {
			return node.Addr + ": " + info
		}
	}
	return ""
}

// notWell says what is missing: a Cluster that is up, with a replica of each master.
func (cl *clusterNodes) notWell() string {
	if wrong := cl.notOK(nil); wrong != "" {
		return wrong
	}
	masters := cl.masters()
	if len(masters) != clusterMasters {
		return fmt.Sprint(len(masters), " masters")
	}
	for _, node := range masters {
		if info, err := node.Do("INFO", "replication"); err != nil || !strings.Contains(info, "state=online") {
			return node.Addr + ": " + info
		}
	}
	return ""
}

// hot finds the slot of the account that most customers share, and its master.
func (cl *clusterNodes) hot() (slot string, at *redistest.Server) {
	for _, node := range cl.masters() {
		keys, err := node.Do("KEYS", "*{user0}*")
		if err != nil || keys == "" {
			continue
		}
		if slot, err = node.Do("CLUSTER", "KEYSLOT", strings.SplitN(keys, "\n", 2)[0]); err == nil {
			return slot, node
		}
	}
	return "", nil
}

// move moves the hot slot to another master, key by key.
func (cl *clusterNodes) move(chance *rand.Rand) {
	from := time.Now()
	slot, at := cl.hot()
	if at == nil {
		return
	}
	masters := cl.masters()
	to := masters[chance.IntN(len(masters))]
	for to == at {
		to = masters[chance.IntN(len(masters))]
	}
	host, port, _ := net.SplitHostPort(to.Addr)
	to.MustDo("CLUSTER", "SETSLOT", slot, "IMPORTING", at.MustDo("CLUSTER", "MYID"))
	at.MustDo("CLUSTER", "SETSLOT", slot, "MIGRATING", to.MustDo("CLUSTER", "MYID"))
	for {
		keys := at.MustDo("CLUSTER", "GETKEYSINSLOT", slot, "2")
		if keys == "" {
			break
		}
		at.MustDo(append([]string{"MIGRATE", host, port, "", "0", "5000", "KEYS"}, strings.Split(keys, "\n")...)...)
		pause(chance, 20*time.Millisecond)
	}
	id := to.MustDo("CLUSTER", "MYID")
	to.MustDo("CLUSTER", "SETSLOT", slot, "NODE", id)
	at.MustDo("CLUSTER", "SETSLOT", slot, "NODE", id)
	cl.c.well("slot-move")
	cl.c.outage(from)
}

// kill ends a master as a power cut would. Its replica takes its place.
func (cl *clusterNodes) kill(chance *rand.Rand) {
	from := time.Now()
	masters := cl.masters()
	dead := masters[chance.IntN(len(masters))]
	dead.Kill()
	cl.c.eventually("a Cluster with another master", func() string {
		if n := len(cl.masters()); n != clusterMasters {
			return fmt.Sprint(n, " masters")
		}
		return cl.notOK(dead)
	})
	cl.c.well("master-kill")
	dead.Restart()
	cl.c.eventually("a Cluster with all nodes", cl.notWell)
	cl.c.outage(from)
	cl.c.forgets(from)
}

// stop stops a node for less time than makes it fail.
func (cl *clusterNodes) stop(chance *rand.Rand) {
	from := time.Now()
	node := cl.nodes[chance.IntN(len(cl.nodes))]
	node.Freeze()
	pause(chance, 1200*time.Millisecond)
	node.Thaw()
	cl.c.well("node-stop")
	cl.c.outage(from)
}

// hangUp ends all connections of clients in the middle of what they do.
func (cl *clusterNodes) hangUp(chance *rand.Rand) {
	from := time.Now()
	masters := cl.masters()
	_, _ = masters[chance.IntN(len(masters))].Do("CLIENT", "KILL", "TYPE", "normal")
	cl.c.well("clients-killed")
	cl.c.outage(from)
}
