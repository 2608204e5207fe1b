package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// sentinel is a master with two replicas, and a Sentinel that replaces the master.
func sentinel(c *chaos) (line string, faults []fault) {
	return sentinelWith(c, 2, "")
}

// replicated is a master with one replica, which has every write before it is acknowledged.
// With two, Sentinel may promote the other one.
func replicated(c *chaos) (line string, faults []fault) {
	return sentinelWith(c, 1, " {\n\t\t\tdurability replicas 1 1s\n\t\t}")
}

func sentinelWith(c *chaos, replicas int, options string) (line string, faults []fault) {
	master := redistest.Start(c.t)
	host, port, _ := net.SplitHostPort(master.Addr)
	servers := []*redistest.Server{master}
	for range replicas {
		servers = append(servers, redistest.Start(c.t, "--replicaof", host+" "+port))
	}
	for _, s := range servers[1:] {
		c.eventually("a replica", func() string { return linkOf(s) })
	}
	s := &sentinels{c: c, servers: servers, sentinel: redistest.StartSentinel(c.t, master, "shop")}
	c.eventually("a Sentinel that knows all", s.notWell)
	return "redis redis://" + s.sentinel.Addr + "?master_name=shop" + options, []fault{
		{"failover", s.failover}, {"master-kill", s.kill}, {"master-stop", s.stop}, {"clients-killed", s.hangUp},
	}
}

// linkOf says what is wrong with a replica's link to its master.
func linkOf(s *redistest.Server) string {
	info, err := s.Do("INFO", "replication")
	if err != nil || !strings.Contains(info, "master_link_status:up") {
		return info
	}
	return ""
}

type sentinels struct {
	c        *chaos
	servers  []*redistest.Server
	sentinel *redistest.Server
}

// master is the server that Sentinel says it is.
func (s *sentinels) master() (master *redistest.Server) {
	s.c.eventually("the Sentinel", func() string {
		reply, err := s.sentinel.Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "shop")
		for _, server := range s.servers {
			if err == nil && server.Addr == strings.Replace(reply, "\n", ":", 1) {
				master = server
				return ""
			}
		}
		return fmt.Sprint(reply, err)
	})
	return master
}

// notWell says what is missing: one master, and replicas of it that Sentinel knows.
func (s *sentinels) notWell() string {
	master := s.master()
	info, err := master.Do("INFO", "replication")
	if err != nil || !strings.Contains(info, "role:master") || !strings.Contains(info, fmt.Sprintf("connected_slaves:%d\r\n", len(s.servers)-1)) {
		return master.Addr + ": " + info
	}
	for _, server := range s.servers {
		if server != master {
			if wrong := linkOf(server); wrong != "" {
				return server.Addr + ": " + wrong
			}
		}
	}
	reply, err := s.sentinel.Do("SENTINEL", "MASTER", "shop")
	if err != nil || !strings.Contains(reply, fmt.Sprintf("num-slaves\n%d\n", len(s.servers)-1)) || !strings.Contains(reply, "\nflags\nmaster\n") {
		return reply
	}
	return ""
}

// another waits until another server is the master and takes writes.
func (s *sentinels) another(before *redistest.Server) {
	s.c.eventually("another master", func() string {
		now := s.master()
		if now == before {
			return "it is the same"
		}
		info, err := now.Do("INFO", "replication")
		if err != nil || !strings.Contains(info, "role:master") {
			return info
		}
		return ""
	})
}

// failover is planned.
func (s *sentinels) failover(*rand.Rand) {
	from, before := time.Now(), s.master()
	s.c.eventually("a planned fail-over", func() string {
		if reply, err := s.sentinel.Do("SENTINEL", "FAILOVER", "shop"); err != nil || reply != "OK" {
			return reply
		}
		return ""
	})
	s.over("failover", from, before)
}

// kill ends the master as a power cut would.
func (s *sentinels) kill(*rand.Rand) {
	from, before := time.Now(), s.master()
	before.Kill()
	s.another(before)
	if !s.c.durable { // else writes wait for a replica
		s.c.well("master-kill")
	}
	before.Restart()
	s.over("master-kill", from, before)
}

// stop stops the master for so long that it is replaced. When it goes on, it takes itself
// for the master until Sentinel tells it.
func (s *sentinels) stop(chance *rand.Rand) {
	from, before := time.Now(), s.master()
	before.Freeze()
	s.another(before)
	pause(chance, time.Second)
	before.Thaw()
	s.over("master-stop", from, before)
}

func (s *sentinels) over(name string, from time.Time, before *redistest.Server) {
	s.another(before)
	if !s.c.durable {
		s.c.well(name)
	}
	s.c.eventually("all replicas", s.notWell)
	if s.c.durable {
		s.c.well(name)
	}
	s.c.outage(from)
	if !s.c.durable {
		s.c.forgets(from)
	}
}

// hangUp ends all connections of clients in the middle of what they do.
func (s *sentinels) hangUp(*rand.Rand) {
	from := time.Now()
	_, _ = s.master().Do("CLIENT", "KILL", "TYPE", "normal")
	s.c.well("clients-killed")
	s.c.outage(from)
}
