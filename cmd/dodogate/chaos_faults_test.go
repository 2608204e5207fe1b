package main

import (
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// gateFaults are what happens to gates, to their configs, and to Dodo.
func (c *chaos) gateFaults() []fault {
	return []fault{
		{"gate-kill", c.withGate((*chaosGate).dieAndRevive)},
		{"gate-stop", c.withGate((*chaosGate).freeze)},
		{"gate-end", c.withGate((*chaosGate).endAndRevive)},
		{"gate-reload", c.withGate((*chaosGate).reload)},
		{"dodo-fails", func(chance *rand.Rand) {
			c.sim.SetFault(dodosim.Fault{Status: http.StatusBadGateway, Share: 0.5, Seed: chance.Uint64()}, 1<<30)
			pause(chance, time.Second)
			c.sim.SetFault(dodosim.Fault{}, 0)
		}},
		// By the clock of the gates, webhooks come from the future or the past. Beyond five
		// minutes none is accepted, and all come again.
		{"clocks-differ", func(chance *rand.Rand) {
			c.skew.Store(int64(time.Duration(chance.IntN(800)-400) * time.Second))
			pause(chance, time.Second)
			c.skew.Store(0)
		}},
	}
}

// withGate lets something happen to one gate, to which nothing else happens meanwhile.
func (c *chaos) withGate(do func(*chaosGate, *rand.Rand)) func(*rand.Rand) {
	return func(chance *rand.Rand) {
		g := c.any(chance)
		g.mu.Lock()
		defer g.mu.Unlock()
		do(g, chance)
	}
}

// dieAndRevive ends the gate as a power cut would.
func (g *chaosGate) dieAndRevive(chance *rand.Rand) {
	g.kill()
	g.c.dies(g)
	pause(chance, 200*time.Millisecond)
	g.revive()
}

// endAndRevive ends the gate as a service manager does.
func (g *chaosGate) endAndRevive(*rand.Rand) {
	if g.process.Process.Signal(syscall.SIGTERM) == nil {
		select {
		case <-g.ended:
		case <-time.After(time.Minute):
			g.t.Errorf("the gate does not end; it said:\n%s", g.said())
			g.kill()
			g.c.dies(g)
		}
	}
	g.revive()
}

// freeze stops the process in the middle of what it does.
func (g *chaosGate) freeze(chance *rand.Rand) {
	from := time.Now()
	if g.process.Process.Signal(syscall.SIGSTOP) == nil {
		pause(chance, 1500*time.Millisecond)
		_ = g.process.Process.Signal(syscall.SIGCONT)
	}
	g.c.outage(from)
}

// reload loads another config, at times first one that must be refused.
func (g *chaosGate) reload(chance *rand.Rand) {
	config := g.caddyfile()
	if chance.IntN(3) == 0 {
		wrong := strings.Replace(string(config), "pdt_pack", "", 1)
		if status, said, err := g.ask(http.MethodPost, "/load", "text/caddyfile", []byte(wrong)); err == nil && status == http.StatusOK {
			g.t.Errorf("a wrong config was loaded: %s", said)
		}
	}
	if err := os.WriteFile(g.config(), config, 0o600); err != nil {
		g.t.Error(err)
	}
	if status, said, err := g.ask(http.MethodPost, "/load", "text/caddyfile", config); err != nil || status != http.StatusOK {
		g.t.Errorf("reload: %d %s %v; the gate said:\n%s", status, said, err, g.said())
	}
}

// embedded is a file. Its disk fails by strace, if there is one: the gate is told that it is
// full or broken, and is then started again.
func embedded(c *chaos) (line string, faults []fault) {
	const line1 = "bolt {{Dir}}/dodogate.db"
	if _, err := exec.LookPath("strace"); err != nil {
		c.t.Log("without strace the disk never fails")
		return line1, nil
	}
	return line1, []fault{
		{"disk-full", c.withGate(func(g *chaosGate, chance *rand.Rand) {
			g.failing("pwrite64,ftruncate,fallocate:error=ENOSPC", chance)
		})},
		{"fsync-fails", c.withGate(func(g *chaosGate, chance *rand.Rand) {
			g.failing("fsync,fdatasync:error=EIO", chance)
		})},
	}
}

// failing lets system calls fail, and kills the process then.
func (g *chaosGate) failing(calls string, chance *rand.Rand) {
	from := time.Now()
	trace := exec.Command("strace", "-f", "-qq", "-o", os.DevNull,
		"-p", strconv.Itoa(g.process.Process.Pid), "-e", "trace="+strings.SplitN(calls, ":", 2)[0], "-e", "inject="+calls)
	if err := trace.Start(); err != nil {
		g.t.Error(err)
		return
	}
	time.Sleep(200 * time.Millisecond)
	pause(chance, time.Second)
	_ = trace.Process.Signal(syscall.SIGTERM) // so that it lets go
	_ = trace.Wait()
	pause(chance, 300*time.Millisecond)
	if said := g.said(); strings.Contains(said, syscall.EIO.Error()) || strings.Contains(said, syscall.ENOSPC.Error()) {
		g.c.count("disk errors logged")
	}
	g.c.outage(from)
	g.dieAndRevive(chance)
}
