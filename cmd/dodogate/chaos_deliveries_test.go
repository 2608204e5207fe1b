package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/dodogate/dodogate/internal/testing/redistest"
)

const (
	deliveriesOfEach = 20 // of an event, a tenth of them under an id of their own
	atATime          = 64
)

// plainRedis is a Redis to which nothing happens by itself.
func plainRedis(c *chaos) (line string, faults []fault) {
	c.redis = redistest.Start(c.t, "--appendfsync", "always")
	return "redis " + c.redis.URL(), nil
}

// webhook is what Dodo sends.
type webhook struct {
	id   string
	body []byte
}

// deliverAll sends every event many times, shuffled, 64 at a time, to two gates, which have
// heard of none before. Each fact counts once.
func (c *chaos) deliverAll() {
	total := c.times
	if total == 0 {
		total = 1000
	}
	events := c.collect(total / deliveriesOfEach)
	chance := rand.New(rand.NewPCG(c.seed, 0))
	order := make([]webhook, 0, len(events)*deliveriesOfEach)
	for _, e := range events {
		for n := range deliveriesOfEach {
			if n < deliveriesOfEach/10 {
				e.id = fmt.Sprintf("msg_%d_%d", chance.Uint64(), n)
			}
			order = append(order, e)
		}
	}
	chance.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	var work sync.WaitGroup
	var next, refused atomic.Int64
	began := time.Now()
	for range atATime {
		work.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(order); i = next.Add(1) - 1 {
				for status := c.post(order[i], int(i)); status != http.StatusOK; status = c.post(order[i], int(i)) {
					if refused.Add(1) > int64(total) {
						c.t.Errorf("%s is answered with %d", order[i].id, status)
						return
					}
				}
			}
		})
	}
	work.Wait()
	c.t.Logf("%d deliveries of %d events in %v; %d more were refused, and sent again",
		len(order), len(events), time.Since(began).Round(time.Second), refused.Load())
	c.balances()
	c.check()
	if total := len(c.given()); total < len(c.log.purchases)/2 {
		c.t.Errorf("there are %d grants", total)
	}
}

// collect makes so many events, which nobody delivers.
func (c *chaos) collect(n int) (events []webhook) {
	var mu sync.Mutex
	c.take = func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		events = append(events, webhook{r.Header.Get("Webhook-Id"), body})
	}
	enough := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(events) >= n || c.t.Failed()
	}
	var next atomic.Int64
	var customers sync.WaitGroup
	for w := range 16 {
		customers.Go(func() {
			chance := rand.New(rand.NewPCG(c.seed, uint64(w)))
			for !enough() {
				i := int(next.Add(1))
				if i%16 == 0 {
					c.subscribe(chance, fmt.Sprint("sub", i))
				} else {
					c.buy(chance, user(i/8), 1, i%3 == 0) // no account may check out much more often
				}
			}
		})
	}
	customers.Wait()
	if err := c.sim.Flush(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	return slices.Clone(events)
}

// post delivers a webhook, signed now.
func (c *chaos) post(e webhook, n int) (status int) {
	req := c.gates[n%len(c.gates)].request(c.t.Context(), "/payments/webhook", "")
	req.Method, req.Body, req.ContentLength = http.MethodPost, io.NopCloser(bytes.NewReader(e.body)), int64(len(e.body))
	req.Header = http.Header{"Content-Type": {"application/json"}, "Webhook-Id": {e.id}}
	signer, err := standardwebhooks.NewWebhook(demoSecret)
	if err == nil {
		err = sign(signer, req.Header, e.body, time.Now())
	}
	if err != nil {
		c.t.Error(err)
		return 0
	}
	resp, err := crowd.Do(req)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}
