package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// TestChaos is a shop in which everything fails: gateways, stores, disks, clocks, replies and
// Dodo, in an order that a seed decides. Customers keep buying, being refunded, subscribing,
// spending and reading, and note what they were told. Afterwards nothing that was acknowledged
// is lost, nothing is there twice, no credits are held, and no goroutine is left.
//
// `make chaos` runs it for longer; see [chaosOptions].
func TestChaos(t *testing.T) {
	o := readChaosOptions(t)
	for _, s := range []scenario{
		{name: "embedded", gates: 1, open: embedded, durable: true},
		{name: "redis", gates: 2, open: singleRedis, durable: true},
		{name: "sentinel", gates: 2, open: sentinel},
		{name: "replicas", gates: 2, open: replicated, durable: true, asked: true},
		{name: "cluster", gates: 3, open: cluster},
		{name: "deliveries", gates: 2, open: plainRedis, durable: true, run: (*chaos).deliverAll},
		{name: "outage", gates: 1, open: plainRedis, durable: true, run: (*chaos).withoutRedis},
	} {
		if asked := slices.Contains(o.only, s.name); !asked && (s.asked || len(o.only) > 0) {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			if !o.long {
				t.Parallel() // they mostly wait
			}
			t.Logf("SEED=%d", o.seed)
			c := newChaos(t, s, o)
			if s.run != nil {
				s.run(c)
				return
			}
			c.prepare()
			c.rage()
			c.judge()
		})
	}
}

// scenario is where the accounts are kept.
type scenario struct {
	name  string
	gates int
	// durable says that an acknowledged write survives every fault. Else a new master may lack
	// the last writes; Dodo has the purchases, and nobody has the charges.
	durable bool
	asked   bool // it runs only when only= names it
	// open starts the store and returns its line in the Caddyfile and what can happen to it.
	open func(c *chaos) (line string, faults []fault)
	// run takes the place of customers and faults, unless it is nil.
	run func(c *chaos)
}

// fault is something that goes wrong. do breaks it, waits, and mends it.
type fault struct {
	name string
	do   func(chance *rand.Rand)
}

// chaosOptions are the words of DODOGATE_CHAOS, which `make chaos` writes.
type chaosOptions struct {
	lasts  time.Duration // for=: how long each scenario lasts, unless times ends it
	seed   uint64        // seed=: decides which faults come, and what customers do
	only   []string      // only=: the scenarios, separated by commas; all if empty
	faults []string      // faults=: the faults, likewise
	times  int           // times=: how many faults, or deliveries, there are; 0 is as many as fit into for
	long   bool          // it is not the short run of every test
}

func readChaosOptions(t *testing.T) chaosOptions {
	t.Helper()
	o := chaosOptions{lasts: 3 * time.Second, seed: rand.Uint64() >> 32}
	for word := range strings.FieldsSeq(os.Getenv("DODOGATE_CHAOS")) {
		name, value, _ := strings.Cut(word, "=")
		var err error
		o.long = true
		switch name {
		case "for":
			o.lasts, err = time.ParseDuration(value)
		case "seed":
			o.seed, err = strconv.ParseUint(value, 10, 64)
		case "only":
			o.only = wordsOf(value)
		case "faults":
			o.faults = wordsOf(value)
		case "times":
			if value != "" {
				o.times, err = strconv.Atoi(value)
			}
		default:
			err = fmt.Errorf("unknown word %q", name)
		}
		if err != nil {
			t.Fatal("DODOGATE_CHAOS: ", err)
		}
	}
	return o
}

func wordsOf(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}

// rage lets customers come while things fail.
func (c *chaos) rage() {
	c.sim.SetMischief(dodosim.Mischief{
		Seed: c.seed, Drop: 0.03, Duplicate: 0.3, NewID: 0.1, Corrupt: 0.05, LoseReply: 0.1, EventTime: 0.2, MaxDelay: time.Minute,
	})
	over, stop := context.WithCancel(c.t.Context())
	defer stop()
	var customers, breakers sync.WaitGroup
	for i := range chaosCustomers {
		customers.Go(func() {
			chance := rand.New(rand.NewPCG(c.seed, uint64(i)))
			for over.Err() == nil {
				c.visit(chance)
			}
		})
	}
	end := time.Now().Add(c.lasts)
	more := func() bool {
		switch {
		case c.t.Failed():
			return false
		case c.times > 0:
			return int(c.happened.Add(1)) <= c.times
		}
		return time.Now().Before(end)
	}
	if len(c.decks[0])+len(c.decks[1]) == 0 {
		time.Sleep(c.lasts) // a quiet day, to compare with
	}
	for i, deck := range c.decks {
		breakers.Go(func() { c.breaks(deck, rand.New(rand.NewPCG(c.seed, chaosCustomers+uint64(i))), more) })
	}
	breakers.Wait()
	stop()
	customers.Wait()
}

// breaks lets faults happen one after the other, each once before any comes again.
func (c *chaos) breaks(deck []fault, chance *rand.Rand, more func() bool) {
	if len(deck) == 0 {
		return
	}
	deck = slices.Clone(deck)
	for {
		chance.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		for _, f := range deck {
			pause(chance, 400*time.Millisecond)
			if !more() {
				return
			}
			f.do(chance)
			c.count(f.name)
		}
	}
}

// pause waits for up to a time.
func pause(chance *rand.Rand, most time.Duration) {
	time.Sleep(time.Duration(chance.Int64N(int64(most))))
}
