package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// judge compares what there is with what was acknowledged, and, when Dodo has said everything,
// with what Dodo knows.
func (c *chaos) judge() {
	c.sim.SetFault(dodosim.Fault{}, 0)
	c.sim.HoldWebhooks(true)
	if c.t.Failed() {
		return
	}
	time.Sleep(200 * time.Millisecond) // deliveries that are under way
	lost := c.acknowledged()
	c.sayAll()
	if !c.durable {
		c.rebuild()
	}
	c.holdsEnded()
	c.balances()
	var parked struct{ Events []any }
	if c.inspect("/dodo/parked", &parked); len(parked.Events) > 0 {
		c.t.Errorf("events are parked: %v", parked.Events)
	}
	c.check()
	c.quiet()
	c.report(lost)
}

// acknowledged looks for what gates acknowledged, before Dodo says anything again: events in
// the journal, and the credits of payments. It returns how much is missing.
func (c *chaos) acknowledged() (lost int) {
	c.log.mu.Lock()
	webhooks, settled := maps.Clone(c.log.webhooks), maps.Clone(c.log.settled)
	c.log.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(webhooks)) {
		var e struct {
			State      string
			Deliveries int
		}
		status := c.inspect("/dodo/events/"+id, &e)
		final := e.State == "applied" || e.State == "ignored" ||
			e.State == "parked" || // a refund waits for its payment
			e.State == "received" && c.log.unanswered[id] // a later delivery of it was cut off
		if status == http.StatusOK && e.Deliveries >= webhooks[id] && final {
			continue
		}
		lost++
		if c.durable {
			c.t.Errorf("event %s was acknowledged %d times, and there is %d %+v", id, webhooks[id], status, e)
		}
	}
	given := c.given()
	for _, p := range c.log.purchases {
		if !p.plain || !settled[p.payment] || p.subscription != "" {
			continue
		}
		if got := given["payment:"+p.payment+"/0"]; got != p.gives {
			lost++
			if c.durable {
				c.t.Errorf("payment %s of %s was acknowledged and gave %d credits, not %d", p.payment, p.account, got, p.gives)
			}
		}
	}
	return lost
}

// given is what each grant gave, less what was taken back.
func (c *chaos) given() map[string]int64 {
	given := map[string]int64{}
	for _, name := range c.accounts() {
		for _, e := range c.gates[0].entries(name) {
			if e.Kind != "capture" {
				given[e.Grant] += e.Amount
			}
		}
	}
	return given
}

// accounts are the names of all that ever came.
func (c *chaos) accounts() []string {
	names := map[string]bool{}
	for _, p := range c.log.purchases {
		names[p.account] = true
	}
	for _, done := range c.log.charges {
		names[done.account] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// sayAll lets Dodo send everything that did not arrive.
func (c *chaos) sayAll() {
	ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Minute)
	defer cancel()
	c.sim.SetMischief(dodosim.Mischief{})
	c.sim.HoldWebhooks(false)
	if err := c.sim.Flush(ctx); err != nil {
		c.t.Fatal(err)
	}
	for _, filter := range []dodosim.ReplayFilter{{Missing: true}, {States: []dodosim.EventState{dodosim.EventPending, dodosim.EventFailed}}} {
		sent, err := c.sim.Replay(ctx, filter)
		if err != nil {
			c.t.Fatal(err)
		}
		for _, d := range sent {
			c.eventually(d.Type, func() string {
				if d.Status == http.StatusOK {
					return ""
				}
				if d, err = c.sim.DeliverAs(ctx, d.EventID, d.WebhookID); err != nil {
					return err.Error()
				}
				return fmt.Sprint(d.Status, d.Err)
			})
		}
	}
}

// rebuild reads everything from Dodo, as an operator does who knows that a store has lost
// something.
func (c *chaos) rebuild() {
	g := c.gates[0]
	if status, said, err := g.ask(http.MethodPost, "/dodo/rebuild", "", nil); err != nil || status != http.StatusAccepted {
		c.t.Fatalf("rebuild: %d %s %v", status, said, err)
	}
	c.eventually("a rebuild", func() string {
		var list struct {
			Passes []struct{ State, Error string }
		}
		status, said, err := g.ask(http.MethodGet, "/dodo/reconcile", "", nil)
		if err != nil || status != http.StatusOK || json.Unmarshal([]byte(said), &list) != nil || len(list.Passes) == 0 {
			return fmt.Sprint(status, said, err)
		}
		if p := list.Passes[0]; p.State != "done" {
			return said
		}
		return ""
	})
}

// holdsEnded waits until no account has anything set aside.
func (c *chaos) holdsEnded() {
	for _, name := range c.accounts() {
		c.eventually("holds of "+name, func() string {
			if now := c.account(name); now.Held != 0 {
				return fmt.Sprint(now.Held, " credits are held")
			}
			return ""
		})
	}
}

// inspected is an account as operators see it.
type inspected struct {
	Credits, Held, Owed int64
	Plan                string
}

func (c *chaos) account(name string) (now inspected) {
	if status := c.inspect("/dodo/accounts/"+name, &now); status != http.StatusOK {
		c.t.Fatalf("account %s: %d", name, status)
	}
	return now
}

// inspect reads an answer of the admin API, or returns that there is nothing. On a busy machine
// the store may not answer in time at first.
func (c *chaos) inspect(path string, into any) (status int) {
	c.t.Helper()
	c.eventually(path, func() string {
		var said string
		var err error
		status, said, err = c.gates[0].ask(http.MethodGet, path, "", nil)
		if err != nil || status != http.StatusNotFound && (status != http.StatusOK || json.Unmarshal([]byte(said), into) != nil) {
			return fmt.Sprint(status, said, err)
		}
		return ""
	})
	return status
}

// check lets the gateway look for damage by itself.
func (c *chaos) check() {
	cmd := exec.CommandContext(c.t.Context(), os.Args[0], "dodo", "check", "--address", c.gates[0].admin)
	cmd.Env = append(os.Environ(), "DODOGATE_TEST_RUN_MAIN=1")
	said, err := cmd.CombinedOutput()
	if err != nil && !strings.Contains(string(said), "unknown") {
		c.t.Errorf("dodo check: %v\n%s", err, said)
	}
}

// quiet waits until no gate has more goroutines than when nothing had happened.
func (c *chaos) quiet() {
	crowd.CloseIdleConnections()
	for _, g := range c.gates {
		c.eventually("goroutines that end", func() string {
			if n, list := g.goroutines(); n > g.idle+5 {
				return fmt.Sprintf("there are %d, and there were %d:\n%s", n, g.idle, list)
			}
			return ""
		})
	}
}

// eventually waits until wrong has nothing to say.
func (c *chaos) eventually(what string, wrong func() string) {
	c.t.Helper()
	if problem := within(3*time.Minute, wrong); problem != "" {
		c.t.Fatalf("%s: %s; a gate said:\n%s", what, problem, c.gates[0].said())
	}
}

// within returns what is still wrong when so much time is over.
func within(most time.Duration, wrong func() string) (problem string) {
	for end := time.Now().Add(most); ; time.Sleep(50 * time.Millisecond) {
		if problem = wrong(); problem == "" || time.Now().After(end) {
			return problem
		}
	}
}

// report prints what happened, as docs/reliability.md has it.
func (c *chaos) report(lost int) {
	var payments int
	for range c.log.purchases {
		payments++
	}
	c.t.Logf("%d payments, %d webhooks acknowledged, %d charges; %d acknowledged things were missing until Dodo was asked",
		payments, len(c.log.webhooks), c.counts["charges"], lost)
	for _, name := range slices.Sorted(maps.Keys(c.counts)) {
		c.t.Logf("%-20s %5d  %s", name, c.counts[name], well(c.recovered[name]))
	}
	if payments == 0 || c.counts["charges"] == 0 || len(c.log.webhooks) == 0 {
		c.t.Error("nobody came")
	}
}

func well(longest time.Duration) string {
	if longest == 0 {
		return ""
	}
	return "well again after at most " + longest.Round(time.Millisecond).String()
}
