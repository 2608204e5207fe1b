package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

const outageCustomers = 16

// withoutRedis lets customers come while Redis is away, in the ways that there are: nobody
// listens, and nobody answers. All of them get the configured answer; the gate does not grow;
// and when Redis is back, so is everything else.
func (c *chaos) withoutRedis() {
	c.prepare()
	for _, way := range []struct {
		name        string
		away, comes func()
	}{
		{"refused", c.redis.Kill, c.redis.Restart},
		{"silent", c.redis.Freeze, c.redis.Thaw},
	} {
		g := c.gates[0]
		way.away()
		c.come(c.lasts / 20) // until the gate knows
		goroutines, _ := g.goroutines()
		memory := g.memory()
		times := c.come(c.lasts / 2)
		slices.Sort(times)
		after, list := g.goroutines()
		c.t.Logf("%s for %v: %d answers of 503, half of them within %v, 99%% within %v, all within %v; %d goroutines, then %d; %d MiB, then %d",
			way.name, c.lasts/2, len(times), at(times, 0.5), at(times, 0.99), at(times, 1), goroutines, after, memory>>20, g.memory()>>20)
		if after > goroutines+4*outageCustomers {
			c.t.Errorf("there were %d goroutines, and there are %d:\n%s", goroutines, after, list)
		}
		way.comes()
		c.well(way.name)
		c.t.Logf("%s: all accounts are served again within %v", way.name, c.recovered[way.name].Round(time.Millisecond))
	}
	c.holdsEnded()
	c.balances()
	c.quiet()
}

// come lets customers come for a while, each a few times a second. It returns how long each
// answer took.
func (c *chaos) come(lasts time.Duration) (times []time.Duration) {
	var mu sync.Mutex
	var customers sync.WaitGroup
	end := time.Now().Add(lasts)
	for i := range outageCustomers {
		customers.Go(func() {
			chance := rand.New(rand.NewPCG(c.seed, uint64(i)))
			for time.Now().Before(end) {
				began := time.Now()
				name, path := rich(chance.IntN(chaosRich)), []string{"/read", "/paid/ok"}[chance.IntN(2)]
				a := c.send(c.gates[0], http.MethodPost, path, name, "", "")
				took := time.Since(began)
				if a.err != nil || a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "store_unavailable") {
					c.t.Errorf("%s without Redis: %d %s %v", path, a.status, a.body, a.err)
					return
				}
				mu.Lock()
				times = append(times, took)
				mu.Unlock()
				pause(chance, 400*time.Millisecond)
			}
		})
	}
	customers.Wait()
	return times
}

// at is the time that a share of sorted times does not exceed.
func at(times []time.Duration, share float64) time.Duration {
	if len(times) == 0 {
		return 0
	}
	return times[min(len(times)-1, int(share*float64(len(times))))].Round(time.Millisecond)
}

// memory is how many bytes the process has in memory.
func (g *chaosGate) memory() (bytes int64) {
	g.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.process.Process.Pid))
	if err != nil {
		return 0
	}
	for _, line := range strings.Split(string(status), "\n") {
		if _, err := fmt.Sscanf(line, "RssAnon: %d kB", &bytes); err == nil {
			return bytes << 10
		}
	}
	return 0
}
