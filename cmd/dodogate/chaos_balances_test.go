package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// balances compares each account with what Dodo was paid and what customers were told.
func (c *chaos) balances() {
	gives, plans := map[string]int64{}, map[string]string{}
	for _, p := range c.log.purchases {
		if p.subscription != "" && p.plan != "" && c.productOf(p.subscription) == "pdt_team" {
			p.gives, p.plan = p.gives+changeGives, "team"
		}
		gives[p.account] += p.gives
		if p.plan != "" {
			plans[p.account] = p.plan
		}
	}
	charges := map[string][]charged{}
	for _, done := range c.log.charges {
		charges[done.account] = append(charges[done.account], done)
	}
	patience := time.Now().Add(time.Minute) // of all
	for _, name := range c.accounts() {
		var entries []line
		if wrong := within(time.Until(patience), func() string {
			entries = c.gates[0].entries(name)
			var given int64
			for _, e := range entries {
				if e.Kind != "capture" {
					given += e.Amount
				}
			}
			if given != gives[name] {
				return fmt.Sprintf("%d credits were given, want %d: %+v", given, gives[name], entries)
			}
			return ""
		}); wrong != "" {
			c.t.Errorf("%s: %s", name, wrong)
			patience = time.Now().Add(time.Second)
		}
		c.spent(name, entries, charges[name])
		now := c.account(name)
		var balance int64
		if len(entries) > 0 {
			balance = entries[0].Balance
		}
		if now.Credits-now.Owed != balance || now.Held != 0 {
			c.t.Errorf("%s has %+v, and a balance of %d", name, now, balance)
		}
		if plan := plans[name]; plan != "" && now.Plan != plan {
			c.t.Errorf("%s has %+v, not the plan %s", name, now, plan)
		}
	}
}

// spent compares the charges of an account with what its customers were told.
func (c *chaos) spent(name string, entries []line, charges []charged) {
	spent := map[string]int64{} // by cause: a charge takes from several grants, with an entry for each
	for _, e := range entries {
		if e.Kind == "capture" {
			spent[e.Cause] -= e.Amount
		}
	}
	c.mu.Lock()
	c.counts["charges"] += len(spent)
	c.mu.Unlock()
	var least, most int64 // of those without a key
	for _, done := range charges {
		risk := done.told > 0 && c.log.atRisk(done)
		if done.key == "" {
			most += max(done.told, done.unsure)
			if !risk {
				least += done.told
			}
			continue
		}
		got, told := spent[done.cause()], done.told
		delete(spent, done.cause())
		switch {
		case told > 0 && got == 0 && risk:
			c.count("charges given away")
		case told > 0 && got == 0 && c.gaveUp(told):
			c.count("charges logged as lost")
		case told > 0 && got != told, told == 0 && got != 0 && got != done.unsure:
			c.t.Errorf("%s was told of %d credits for %s at %v, unsure %d, and %d were spent", name, told, done.cause(), done.at, done.unsure, got)
		}
	}
	var rest int64
	for cause, credits := range spent {
		if credits != 1 && credits != 3 {
			c.t.Errorf("%s paid %d credits for %s", name, credits, cause)
		}
		rest += credits
	}
	for rest < least && (c.gaveUp(1) || c.gaveUp(3)) {
		c.count("charges logged as lost")
		least--
	}
	if rest < least || rest > most {
		c.t.Errorf("%s spent %d credits without a key; customers were told of %d that are sure, and know of %d", name, rest, least, most)
	}
}

// gaveUp takes one of the charges of so many credits that gates logged as lost.
func (c *chaos) gaveUp(credits int64) bool {
	if c.lost == nil {
		c.lost = map[int64]int{}
		for _, g := range c.gates {
			logs, err := filepath.Glob(filepath.Join(g.dir, "log*"))
			if err != nil {
				c.t.Fatal(err)
			}
			for _, name := range logs {
				said, err := os.ReadFile(name)
				if err != nil {
					c.t.Fatal(err)
				}
				for line := range strings.Lines(string(said)) {
					var l struct{ Credits int64 }
					if strings.Contains(line, "a request could not be charged") && json.Unmarshal([]byte(line), &l) == nil {
						c.lost[l.Credits]++
					}
				}
			}
		}
	}
	c.lost[credits]--
	return c.lost[credits] >= 0
}
