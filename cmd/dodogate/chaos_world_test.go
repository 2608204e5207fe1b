package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/dodosim/simtest"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

var monthly = dodosim.Period{Count: 1, Interval: dodosim.Month}

const (
	chaosCustomers = 8   // at a time
	chaosAccounts  = 100 // an account may check out 20 times a minute
	chaosRich      = 4   // further accounts, which always have enough
	richPacks      = 50
	packGives      = 100
	proGives       = 50
	teamGives      = 80
	// A change soon after the start belongs to the same period: both prices together buy a
	// whole team, and for the rest credits as dear as those of team.
	changeGives = teamGives + 2000*teamGives/4000 - proGives

	chaosHoldTTL = 5 * time.Second
	dodoHurry    = 50 // so much faster does Dodo try again
)

// chaos is the shop, what happens to it, and what everybody was told.
type chaos struct {
	scenario
	chaosOptions
	t     *testing.T
	sim   *dodosim.Simulator
	dodo  string // its address
	app   *httptest.Server
	redis *redistest.Server // of some scenarios
	take  http.HandlerFunc  // takes webhooks
	store string            // its line in the Caddyfile
	gates []*chaosGate
	decks [][]fault // which happen at the same time

	happened atomic.Int64 // faults
	skew     atomic.Int64 // how far the clock is ahead by which Dodo signs
	reloads  atomic.Int64

	lost      map[int64]int // how many charges of so many credits the gates logged as lost; nil until it is asked for
	mu        sync.Mutex
	log       chaosLog
	counts    map[string]int           // of faults, by name
	recovered map[string]time.Duration // the longest time until all is well again, by fault
}

func newChaos(t *testing.T, s scenario, o chaosOptions) *chaos {
	c := &chaos{scenario: s, chaosOptions: o, t: t, counts: map[string]int{}, recovered: map[string]time.Duration{}}
	c.log.init()
	c.take = c.takeWebhook
	webhooks := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.take(w, r) }))
	t.Cleanup(webhooks.Close)
	c.sim, c.dodo = simtest.Serve(t, dodosim.Options{
		APIKey: demoKey, WebhookURL: webhooks.URL + "/payments/webhook", WebhookSecret: demoSecret,
		Products: []dodosim.Product{
			{ID: "pdt_pack", Name: "Credits", Price: 1000, Currency: "USD"},
			{ID: "pdt_pro", Name: "Pro", Price: 2000, Currency: "USD", Every: monthly},
			{ID: "pdt_team", Name: "Team", Price: 4000, Currency: "USD", Every: monthly},
		},
		After: func(wait time.Duration) <-chan time.Time { return time.After(wait / dodoHurry) },
	})
	c.app = httptest.NewServer(http.HandlerFunc(serveChaos))
	t.Cleanup(c.app.Close)
	var faults []fault
	c.store, faults = s.open(c)
	for range s.gates {
		c.gates = append(c.gates, c.newGate())
	}
	c.decks = [][]fault{c.chosen(c.gateFaults()), c.chosen(faults)}
	return c
}

// chosen are the faults that were asked for.
func (c *chaos) chosen(faults []fault) (chosen []fault) {
	for _, f := range faults {
		if len(c.faults) == 0 || slices.Contains(c.faults, f.name) {
			chosen = append(chosen, f)
		}
	}
	return chosen
}

// prepare gives some accounts more than they will spend, and finds how many goroutines an
// idle gate has.
func (c *chaos) prepare() {
	c.t.Helper()
	chance := rand.New(rand.NewPCG(c.seed, 1<<32))
	for i := range chaosRich {
		c.buy(chance, rich(i), richPacks, false)
	}
	for i := range chaosAccounts / 10 {
		c.buy(chance, user(i), 1, false)
	}
	if err := c.sim.Flush(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	for _, g := range c.gates {
		for i := range chaosRich {
			g.leaves(rich(i), richPacks*packGives)
		}
	}
	for _, g := range c.gates {
		for i := range chaosRich {
			c.charge(chance, g, rich(i), "/paid/ok", "")
		}
	}
	crowd.CloseIdleConnections()
	time.Sleep(100 * time.Millisecond)
	for _, g := range c.gates {
		g.idle, _ = g.goroutines()
	}
}

func rich(i int) string { return fmt.Sprint("rich", i) }
func user(i int) string { return fmt.Sprint("user", i) }

// serveChaos is the app behind the gates.
func serveChaos(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/read":
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(r.Header)
		return
	case "/paid/slow":
		time.Sleep(time.Duration(rand.IntN(600)) * time.Millisecond)
	case "/paid/dear":
		w.Header().Set("X-Charge-Credits", "3")
	case "/paid/fail":
		w.WriteHeader(http.StatusInternalServerError)
	}
	_, _ = io.WriteString(w, "ok")
}

// takeWebhook hands Dodo's webhooks to any of the gates, and notes which ones are acknowledged.
func (c *chaos) takeWebhook(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	req := c.gates[rand.IntN(len(c.gates))].request(r.Context(), r.URL.Path, "")
	req.Method, req.Body, req.ContentLength = http.MethodPost, io.NopCloser(bytes.NewReader(body)), int64(len(body))
	req.Header = r.Header.Clone()
	skew := time.Duration(c.skew.Load())
	if skew != 0 {
		c.signAnew(req.Header, body, skew)
	}
	resp, err := crowd.Do(req)
	if err != nil {
		c.noteUnanswered(r.Header.Get("Webhook-Id"))
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		c.noteUnanswered(r.Header.Get("Webhook-Id"))
	} else {
		c.noteWebhook(r.Header.Get("Webhook-Id"), body)
		if skew.Abs() > 6*time.Minute {
			c.t.Errorf("a webhook was acknowledged that is %v old", -skew)
		}
	}
	w.WriteHeader(resp.StatusCode)
}

// signAnew signs a webhook as Dodo would whose clock differs from that of the gates, unless
// it is damaged.
func (c *chaos) signAnew(header http.Header, body []byte, ahead time.Duration) {
	signer, err := standardwebhooks.NewWebhook(demoSecret)
	if err != nil {
		c.t.Error(err)
		return
	}
	if signer.Verify(body, header) != nil {
		return
	}
	if err := sign(signer, header, body, time.Now().Add(ahead)); err != nil {
		c.t.Error(err)
	}
}

// sign signs a webhook whose id the header has.
func sign(signer *standardwebhooks.Webhook, header http.Header, body []byte, at time.Time) error {
	signature, err := signer.Sign(header.Get("Webhook-Id"), at, body)
	header.Set("Webhook-Timestamp", strconv.FormatInt(at.Unix(), 10))
	header.Set("Webhook-Signature", signature)
	return err
}

// count notes that a fault happened.
func (c *chaos) count(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[name]++
}
