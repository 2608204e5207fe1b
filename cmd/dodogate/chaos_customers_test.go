package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// visit is what a customer does now.
func (c *chaos) visit(chance *rand.Rand) {
	name := user(chance.IntN(chaosAccounts))
	if chance.IntN(4) == 0 {
		name = user(0) // so that its slot is hot
	}
	switch dice := chance.IntN(100); {
	case dice < 60:
		if chance.IntN(4) == 0 {
			name = rich(chance.IntN(chaosRich))
		}
		path, key := "/paid/ok", ""
		switch chance.IntN(10) {
		case 0:
			path = "/paid/slow"
		case 1:
			path = "/paid/fail"
		case 2:
			path = "/paid/dear"
		}
		if chance.IntN(2) == 0 {
			key = fmt.Sprint("k", chance.Uint64())
		}
		c.charge(chance, c.any(chance), name, path, key)
	case dice < 80:
		c.look(chance, name)
	case dice < 83:
		c.buy(chance, rich(chance.IntN(chaosRich)), 2, false)
	case dice < 94:
		c.buy(chance, name, 1, chance.IntN(4) == 0)
	default:
		c.subscribe(chance, fmt.Sprint("sub", chance.Uint64()))
	}
}

func (c *chaos) any(chance *rand.Rand) *chaosGate { return c.gates[chance.IntN(len(c.gates))] }

// answer is what a customer got.
type answer struct {
	status int
	header http.Header
	body   string
	err    error
}

func (c *chaos) send(g *chaosGate, method, path, name, key, body string) (a answer) {
	req := g.request(context.Background(), path, name)
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
		return answer{err: err}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(text), err}
}

// charge makes a request that costs credits: with a key perhaps several times, at any gates.
// It returns the status of the last answer, or 0.
func (c *chaos) charge(chance *rand.Rand, g *chaosGate, name, path, key string) (status int) {
	price := map[string]int64{"/paid/dear": 3, "/paid/fail": 0}
	cost, special := price[path]
	if !special {
		cost = 1
	}
	done := charged{account: name, key: key, gate: g}
	times := 1
	if key != "" {
		times += chance.IntN(3)
	}
	for range times {
		a := c.send(g, http.MethodPost, path, name, key, "")
		status = a.status
		told, _ := strconv.ParseInt(a.header.Get("X-Credits-Charged"), 10, 64)
		switch {
		case a.err != nil:
			done.unsure = cost
		case told > 0:
			if told != cost {
				c.t.Errorf("%s cost %d: %d %s", path, told, a.status, a.body)
			}
			done.repeated = done.told > 0 || a.status == http.StatusConflict
			done.told, done.at, done.gate = told, time.Now(), g
		case a.status == http.StatusConflict:
			done.unsure = cost
		case a.status == http.StatusPaymentRequired:
			if strings.HasPrefix(name, "rich") {
				c.t.Errorf("%s has enough and was refused: %s", name, a.body)
			}
		case a.status == http.StatusOK || a.status == http.StatusInternalServerError && path != "/paid/fail":
			c.t.Errorf("%s by %s, key %q: %d %s", path, name, key, a.status, a.body)
		}
		g = c.any(chance)
	}
	if done.at.IsZero() {
		done.at = time.Now()
	}
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	c.log.charges = append(c.log.charges, done)
	return status
}

// look reads what the app is told about an account, which is possible at the least.
func (c *chaos) look(chance *rand.Rand, name string) {
	if chance.IntN(4) == 0 {
		name = rich(chance.IntN(chaosRich))
	}
	a := c.send(c.any(chance), http.MethodGet, "/read", name, "", "")
	c.log.mu.Lock()
	most := c.log.began[name]
	c.log.mu.Unlock()
	var seen http.Header
	if a.err != nil || a.status != http.StatusOK || json.Unmarshal([]byte(a.body), &seen) != nil {
		return
	}
	credits, err := strconv.ParseInt(seen.Get("X-Entitlement-Credits"), 10, 64)
	switch {
	case len(seen["X-Entitlement-Credits"]) != 1 || err != nil || seen.Get("X-Entitlement-User") != name:
		c.t.Errorf("%s is %v", name, seen)
	case credits < 0 || credits > most:
		c.t.Errorf("%s has %d credits, and paid for %d", name, credits, most)
	case strings.HasPrefix(name, "rich") && seen.Get("X-Entitlement-Has-Paid") != "true":
		c.t.Errorf("%s has paid, and is shown with %v", name, seen)
	}
}

// order checks out, at times twice as customers who click twice do, and returns the session.
func (c *chaos) order(chance *rand.Rand, name, product string, quantity int64) (session string) {
	key := fmt.Sprint("k", chance.Uint64())
	for range 1 + chance.IntN(2) {
		a := c.send(c.any(chance), http.MethodPost, "/payments/checkout", name, key, fmt.Sprintf(`{"product":%q,"quantity":%d}`, product, quantity))
		var made struct {
			Session string `json:"session_id"`
		}
		if a.err == nil && json.Unmarshal([]byte(a.body), &made) == nil && made.Session != "" {
			if c.durable && session != "" && session != made.Session {
				c.t.Errorf("key %s of %s has the sessions %s and %s", key, name, session, made.Session)
			}
			session = made.Session
		}
	}
	return session
}

// pay pays an order. It notes the purchase before, so that nobody sees credits that nobody
// paid for.
func (c *chaos) pay(session string, p *purchase) bool {
	c.log.mu.Lock()
	c.log.began[p.account] += p.gives
	c.log.mu.Unlock()
	paid, err := c.sim.Pay(session, dodosim.CardVisa)
	if err != nil {
		c.t.Error(err)
		return false
	}
	p.payment, p.subscription = paid.PaymentID, paid.SubscriptionID
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	c.log.purchases = append(c.log.purchases, p)
	return true
}

// buy buys packs. Who regrets it gets money back, or disputes the charge.
func (c *chaos) buy(chance *rand.Rand, name string, packs int64, regrets bool) {
	session := c.order(chance, name, "pack", packs)
	p := &purchase{account: name, gives: packs * packGives, plain: !regrets}
	if session == "" || !c.pay(session, p) || !regrets {
		return
	}
	pause(chance, time.Second)
	var err error
	switch fate := chance.IntN(4); fate {
	case 0:
		p.gives = 0
		_, err = c.sim.Refund(p.payment, 0)
	case 1:
		p.gives = packGives * (1000 - 333) / 1000
		_, err = c.sim.Refund(p.payment, 333)
	default:
		var dispute string
		dispute, err = c.sim.OpenDispute(p.payment)
		outcome := dodosim.DisputeWon
		if fate == 2 {
			p.gives, outcome = 0, dodosim.DisputeLost
		}
		if err == nil {
			pause(chance, time.Second)
			err = c.sim.DecideDispute(dispute, outcome)
		}
	}
	if err != nil {
		c.t.Error(err)
	}
}

// subscribe begins a subscription. Some change it, end it, or get their money back.
func (c *chaos) subscribe(chance *rand.Rand, name string) {
	session := c.order(chance, name, "pro", 1)
	p := &purchase{account: name, gives: proGives, plain: true, plan: "pro"}
	if session == "" || !c.pay(session, p) {
		return
	}
	switch chance.IntN(4) {
	case 0:
		p.plain = false
		pause(chance, 500*time.Millisecond)
		p.gives, p.plan = 0, ""
		if _, err := c.sim.Refund(p.payment, 0); err != nil {
			c.t.Error(err)
		}
	case 1:
		c.send(c.any(chance), http.MethodPost, "/payments/subscription/cancel", name, "", `{}`)
	case 2:
		p.plain = false
		c.log.mu.Lock()
		c.log.began[name] += changeGives
		c.log.mu.Unlock()
		for range 3 {
			a := c.send(c.any(chance), http.MethodPost, "/payments/subscription/change", name, "", `{"product":"team","confirm":true}`)
			if a.status == http.StatusOK {
				break
			}
			pause(chance, 300*time.Millisecond)
		}
	}
}

// productOf is what Dodo says that a subscription is for.
func (c *chaos) productOf(subscription string) string {
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, c.dodo+"/subscriptions/"+subscription, http.NoBody)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+demoKey)
	resp, err := crowd.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	var s struct {
		Product string `json:"product_id"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		c.t.Fatal(err)
	}
	return s.Product
}
