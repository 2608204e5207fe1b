package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"sync"
	"time"
)

// chaosLog is what customers and Dodo know: what they did, and what they were told.
type chaosLog struct {
	mu         sync.Mutex
	charges    []charged
	purchases  []*purchase
	began      map[string]int64 // credits that an account paid for, or is about to
	webhooks   map[string]int   // acknowledged deliveries, by webhook-id
	unanswered map[string]bool  // ids with deliveries that were not acknowledged
	settled    map[string]bool  // payments of which an acknowledged webhook says that they succeeded
	outages    []span           // of the store, or of a gate that was stopped
	deaths     []death          // of gates
	amnesia    []span           // when the store may have forgotten what it acknowledged, or its clock stepped
}

func (l *chaosLog) init() {
	l.began, l.webhooks, l.settled, l.unanswered = map[string]int64{}, map[string]int{}, map[string]bool{}, map[string]bool{}
}

// charged is a request that costs credits, with its repeats.
type charged struct {
	account, key string
	at           time.Time // of the answer
	gate         *chaosGate
	told         int64 // credits that the customer was told of
	unsure       int64 // credits that it may have cost if told is 0
	repeated     bool  // a later answer said that it was charged before: so it is in the store
}

// cause is that of the entry of a charge with a key.
func (c charged) cause() string {
	sum := sha256.Sum256([]byte(c.key))
	return "charge:key:" + hex.EncodeToString(sum[:16])
}

// purchase is a payment that Dodo knows to have succeeded.
type purchase struct {
	account, payment, subscription string
	gives                          int64  // credits, in the end
	plain                          bool   // it was never refunded, disputed or changed
	plan                           string // that it gives in the end, if that is sure
}

type span struct{ from, to time.Time }

type death struct {
	gate *chaosGate
	at   time.Time
}

// outage notes that the store, or a gate, did not answer.
func (c *chaos) outage(from time.Time) {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	c.log.outages = append(c.log.outages, span{from, time.Now()})
}

// forgets notes that the store may lack what it acknowledged since a while before.
func (c *chaos) forgets(from time.Time) {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	c.log.amnesia = append(c.log.amnesia, span{from, time.Now()})
}

func (c *chaos) dies(g *chaosGate) {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	c.log.deaths = append(c.log.deaths, death{g, time.Now()})
}

// writeTime is how long after its answer a charge may be written while nothing fails, on a
// busy machine, with the longest pause between two attempts.
const writeTime = 4 * time.Second

// atRisk reports whether a charge may be lost though its customer was told of it: its gate
// died before it was written, its hold ran out first, or the store has forgotten it.
func (l *chaosLog) atRisk(c charged) bool {
	from, to := c.at.Add(-time.Second), c.at.Add(writeTime)
	for again := true; again; {
		again = false
		for _, o := range l.outages {
			if o.from.Before(to) && o.to.After(from) && o.to.Add(writeTime).After(to) {
				to, again = o.to.Add(writeTime), true
			}
		}
	}
	for _, s := range l.amnesia {
		if s.from.Before(to) && s.to.After(from) {
			return true
		}
	}
	if c.repeated {
		return false
	}
	for _, d := range l.deaths {
		if d.gate == c.gate && d.at.After(from) && d.at.Before(to) {
			return true
		}
	}
	return to.Sub(c.at) > writeTime+chaosHoldTTL/2
}

// noteWebhook notes that a delivery was acknowledged.
func (c *chaos) noteWebhook(id string, body []byte) {
	var e struct {
		Type string
		Data struct {
			Payment string `json:"payment_id"`
			Status  string
		}
	}
	if json.Unmarshal(body, &e) != nil {
		c.t.Errorf("a damaged webhook was acknowledged: %s", body)
	}
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	c.log.webhooks[id]++
	if e.Type == "payment.succeeded" && e.Data.Status == "succeeded" {
		c.log.settled[e.Data.Payment] = true
	}
}

// noteUnanswered notes that a delivery may have been stored, and was not acknowledged.
func (c *chaos) noteUnanswered(id string) {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	c.log.unanswered[id] = true
}
