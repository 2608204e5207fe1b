package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/dodosim/simtest"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// TestBadWeather is a shop whose machines die all the time, each at its own, while its
// customers go on buying, being refunded and spending. A part of the webhooks is lost,
// doubled, late, damaged or not answered; a part of the calls of Dodo fail. When the sky
// has cleared, each account has what Dodo says that it bought, less what it was charged.
//
// DODOGATE_WEATHER says how long it lasts; `make weather` makes that minutes.
func TestBadWeather(t *testing.T) {
	lasts := 4 * time.Second
	if said := os.Getenv("DODOGATE_WEATHER"); said != "" {
		var err error
		if lasts, err = time.ParseDuration(said); err != nil {
			t.Fatal(err)
		}
	}
	for _, backend := range []string{"bolt", "redis"} {
		t.Run(backend, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			w := newWeather(t, backend, seed)
			w.blow(lasts)
			w.clear()
			w.settled()
		})
	}
}

const (
	weatherAccounts  = 20
	weatherCustomers = 8 // at a time
	packCredits      = 10
)

// weather is the shop, and what happens to it.
type weather struct {
	t     *testing.T
	seed  uint64
	sim   *dodosim.Simulator
	redis *redistest.Server // nil: the gate has its own file
	gates []*gate
	died  int // how often a gate did, without a chance to end what it was at

	mu       sync.Mutex
	accounts map[string]*account
}

// account is what its customers know.
type account struct {
	bought, refunded int64 // packs
	charged, unsure  int64 // credits: told so, or not told anything
}

func newWeather(t *testing.T, backend string, seed uint64) *weather {
	w := &weather{t: t, seed: seed, accounts: make(map[string]*account)}
	var paths []*httputil.ReverseProxy
	webhooks := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		paths[rand.IntN(len(paths))].ServeHTTP(rw, r)
	}))
	t.Cleanup(webhooks.Close)
	var dodo string
	w.sim, dodo = simtest.Serve(t, dodosim.Options{
		APIKey: demoKey, WebhookURL: webhooks.URL + "/payments/webhook", WebhookSecret: demoSecret,
		Products: []dodosim.Product{{ID: "pdt_pack10", Name: "Ten credits", Price: 1000, Currency: "USD"}},
	})
	const charge = "dodo_charge /generate 1\n\trespond ok"
	if backend == "redis" {
		w.redis = redistest.Start(t, "--appendfsync", "always")
		for range 2 {
			w.gates = append(w.gates, newGateAt(t, dodo, "redis "+w.redis.URL(), 0, charge))
		}
	} else {
		w.gates = []*gate{newGateAt(t, dodo, "bolt {{Dir}}/dodogate.db", 0, charge)}
	}
	for _, g := range w.gates {
		way := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: g.site})
		way.ErrorHandler = func(rw http.ResponseWriter, _ *http.Request, _ error) { rw.WriteHeader(http.StatusBadGateway) }
		paths = append(paths, way)
	}
	for i := range weatherAccounts {
		w.accounts[fmt.Sprint("user", i)] = new(account)
	}
	return w
}

// blow lets customers come while gates and Redis die, each for a moment.
func (w *weather) blow(lasts time.Duration) {
	w.sim.SetMischief(dodosim.Mischief{
		Seed: w.seed, Drop: 0.03, Duplicate: 0.2, NewID: 0.1, Corrupt: 0.05, LoseReply: 0.1, EventTime: 0.2, MaxDelay: time.Second,
	})
	w.sim.SetFault(dodosim.Fault{Status: http.StatusBadGateway, Share: 0.05, Seed: w.seed}, 1<<30)
	over, cancel := context.WithTimeout(w.t.Context(), lasts)
	defer cancel()
	var customers sync.WaitGroup
	defer customers.Wait()
	for i := range weatherCustomers {
		customers.Go(func() {
			chance := rand.New(rand.NewPCG(w.seed, uint64(i)))
			for over.Err() == nil {
				w.visit(chance)
			}
		})
	}
	chance := rand.New(rand.NewPCG(w.seed, weatherCustomers))
	for over.Err() == nil {
		time.Sleep(time.Duration(chance.IntN(700)) * time.Millisecond)
		if w.redis != nil && chance.IntN(3) == 0 {
			w.redis.Restart()
			continue
		}
		g := w.gates[chance.IntN(len(w.gates))]
		if chance.IntN(3) == 0 {
			g.terminate()
			<-g.ended
		} else {
			g.kill()
			w.died++
		}
		time.Sleep(time.Duration(chance.IntN(300)) * time.Millisecond)
		g.start()
	}
}

// visit is what a customer does now.
func (w *weather) visit(chance *rand.Rand) {
	name := fmt.Sprint("user", chance.IntN(weatherAccounts))
	if chance.IntN(8) == 0 {
		bought, refunded := w.buy(chance, name)
		w.note(name, account{bought: bought, refunded: refunded})
		return
	}
	charged, unsure := w.spend(chance, name)
	w.note(name, account{charged: charged, unsure: unsure})
}

func (w *weather) note(name string, seen account) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.accounts[name]
	a.bought += seen.bought
	a.refunded += seen.refunded
	a.charged += seen.charged
	a.unsure += seen.unsure
}

// buy checks out, at times twice as who clicks twice, mostly pays, and at times gets the
// money back.
func (w *weather) buy(chance *rand.Rand, name string) (bought, refunded int64) {
	key := fmt.Sprint("k", chance.Uint64())
	var session string
	for range 1 + chance.IntN(2) {
		_, _, body, err := w.ask(chance, http.MethodPost, "/payments/checkout", name, key, `{"product":"pack10"}`)
		var made struct {
			Session string `json:"session_id"`
		}
		if err == nil && json.Unmarshal([]byte(body), &made) == nil && made.Session != "" {
			if session != "" && session != made.Session {
				w.t.Errorf("key %s of %s has the sessions %s and %s", key, name, session, made.Session)
			}
			session = made.Session
		}
	}
	if session == "" || chance.IntN(4) == 0 {
		return 0, 0
	}
	paid, err := w.sim.Pay(session, "4242424242424242")
	if err != nil {
		w.t.Error(err)
		return 0, 0
	}
	if chance.IntN(6) > 0 {
		return 1, 0
	}
	time.Sleep(time.Duration(chance.IntN(1000)) * time.Millisecond)
	if _, err := w.sim.Refund(paid.PaymentID, 0); err != nil {
		w.t.Error(err)
		return 1, 0
	}
	return 1, 1
}

// spend makes a request that costs a credit, at times with a key, and then again and again.
func (w *weather) spend(chance *rand.Rand, name string) (charged, unsure int64) {
	var key string
	times := 1
	if chance.IntN(3) == 0 {
		key, times = fmt.Sprint("k", chance.Uint64()), 1+chance.IntN(3)
	}
	for range times {
		status, header, _, err := w.ask(chance, http.MethodPost, "/generate", name, key, "")
		switch {
		case err == nil && header.Get("X-Credits-Charged") == "1": // now, or under this key before
			charged = 1
		case err != nil || status == http.StatusConflict:
			unsure = 1
		}
	}
	return charged, unsure - min(unsure, charged)
}

// ask asks any of the gates.
func (w *weather) ask(chance *rand.Rand, method, path, name, key, body string) (status int, header http.Header, said string, err error) {
	req := w.gates[chance.IntN(len(w.gates))].request(context.Background(), path, name)
	req.Method = method
	if body != "" {
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := crowd.Do(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(text), err
}

// clear lets everything work again, and sends once more what did not arrive.
func (w *weather) clear() {
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	w.sim.SetMischief(dodosim.Mischief{})
	w.sim.SetFault(dodosim.Fault{}, 0)
	if err := w.sim.Flush(ctx); err != nil {
		w.t.Fatal(err)
	}
	for _, filter := range []dodosim.ReplayFilter{{Missing: true}, {States: []dodosim.EventState{dodosim.EventPending, dodosim.EventFailed}}} {
		sent, err := w.sim.Replay(ctx, filter)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, d := range sent {
			if d.Status != http.StatusOK {
				w.t.Errorf("%s was answered with %d: %v", d.WebhookID, d.Status, d.Err)
			}
		}
	}
}

// settled compares what the accounts have.
func (w *weather) settled() {
	var bought, charged, lost int64
	for name, a := range w.accounts {
		g := w.gates[0]
		g.eventually("what "+name+" has", func() string {
			var given int64
			entries := g.entries(name)
			for _, e := range entries {
				if e.Kind != "capture" {
					given += e.Amount
				}
			}
			if want := packCredits * (a.bought - a.refunded); given != want {
				return fmt.Sprintf("%d credits were given, want %d", given, want)
			}
			if _, spent := captures(w.t, entries); spent > a.charged+a.unsure {
				return fmt.Sprintf("%d credits were spent; customers know of %d, and may not know of %d", spent, a.charged, a.unsure)
			}
			return ""
		})
		_, spent := captures(w.t, g.entries(name))
		bought, charged, lost = bought+a.bought, charged+a.charged, lost+max(0, a.charged-spent)
	}
	w.t.Logf("%d packs bought, %d credits charged, %d of them lost with gates that died %d times", bought, charged, lost, w.died)
	if bought == 0 || charged == 0 {
		w.t.Error("nobody came")
	}
	// Who dies behind an answer and before it is charged gives it away.
	if lost > int64(w.died*weatherCustomers) {
		w.t.Errorf("%d credits were never charged, though gates died only %d times", lost, w.died)
	}
}
