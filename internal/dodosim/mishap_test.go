package dodosim_test

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// TestCorrupted: one byte of the first attempt is another one than was signed, which the
// receiver finds out, and the second is whole.
func TestCorrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		verifier, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		shop := bubble(t, func(r *http.Request) (int, error) {
			body, _ := io.ReadAll(r.Body)
			status := http.StatusOK
			if verifier.Verify(body, r.Header) != nil {
				status = http.StatusUnauthorized
			}
			return status, nil
		})
		shop.sim.SetMischief(dodosim.Mischief{Seed: 3, Corrupt: 1})
		for range 20 {
			shop.pay(shop.checkoutDirectly(onePack))
		}
		synctest.Wait()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		sent := map[string][]dodosim.Delivery{}
		for _, d := range shop.sim.Deliveries() {
			sent[d.EventID] = append(sent[d.EventID], d)
		}
		for _, event := range shop.sim.Events() {
			tries := sent[event.ID]
			if len(tries) != 2 || tries[0].Status != 401 || tries[1].Status != 200 || differences(tries[0].Body, tries[1].Body) != 1 {
				t.Errorf("%s was sent %d times: %v", event.ID, len(tries), tries)
			}
		}
	})
}

func differences(a, b []byte) (count int) {
	if len(a) != len(b) {
		return math.MaxInt
	}
	for i := range a {
		if a[i] != b[i] {
			count++
		}
	}
	return count
}

// TestLostAcknowledgement: the receiver has it, and gets it again.
func TestLostAcknowledgement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		received := 0
		shop := bubble(t, func(*http.Request) (int, error) { received++; return 200, nil })
		shop.sim.SetMischief(dodosim.Mischief{LoseReply: 1})
		shop.pay(shop.checkoutDirectly(onePack))
		synctest.Wait()
		if d := shop.sim.Deliveries(); received != 1 || len(d) != 1 || d[0].Err == nil || shop.sim.Events()[0].State != dodosim.EventPending {
			t.Errorf("received %d: %+v %+v", received, d, shop.sim.Events())
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if received != 2 || shop.sim.Events()[0].State != dodosim.EventDelivered {
			t.Errorf("received %d: %+v", received, shop.sim.Events())
		}
	})
}

// TestSlowWebhook: the body takes its time, and too much of it is a failure.
func TestSlowWebhook(t *testing.T) {
	for name, test := range map[string]struct {
		slow time.Duration
		ok   bool
	}{"in time": {10 * time.Second, true}, "too slow": {20 * time.Second, false}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				var took time.Duration
				var read []byte
				shop := bubble(t, func(r *http.Request) (int, error) {
					var err error
					read, err = io.ReadAll(r.Body)
					took = time.Since(began)
					return 200, err
				})
				shop.sim.SetMischief(dodosim.Mischief{Slow: 1, SlowFor: test.slow})
				shop.pay(shop.checkoutDirectly(onePack))
				shop.flush()
				d := shop.sim.Deliveries()[0]
				if d.Acknowledged() != test.ok || took < 10*time.Second || took > 15*time.Second {
					t.Errorf("%d %v after %s", d.Status, d.Err, took)
				}
				if test.ok && !bytes.Equal(read, d.Body) {
					t.Errorf("got %s", read)
				}
			})
		})
	}
}

// TestEventTimeBodies: an event that is held shows what was then or what is now.
func TestEventTimeBodies(t *testing.T) {
	for want, share := range map[string]float64{"full": 0, "": 1} {
		shop := open(t, nil)
		shop.sim.SetMischief(dodosim.Mischief{EventTime: share})
		shop.sim.HoldWebhooks(true)
		paid := shop.pay(shop.checkout(onePack))
		if _, err := shop.sim.Refund(paid.PaymentID, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := shop.sim.Redeliver(t.Context(), shop.sim.Events()[0].ID); err != nil {
			t.Fatal(err)
		}
		var event struct {
			Type string
			Data struct {
				RefundStatus string `json:"refund_status"`
			}
		}
		if err := json.Unmarshal(shop.hooks.bodies()[0], &event); err != nil || event.Type != "payment.succeeded" || event.Data.RefundStatus != want {
			t.Errorf("with a share of %v: %+v %v", share, event, err)
		}
	}
}

func TestMischiefCheck(t *testing.T) {
	for name, m := range map[string]dodosim.Mischief{
		"over one":      {Drop: 1.1},
		"negative":      {NewID: -0.1},
		"no number":     {Corrupt: math.NaN()},
		"negative wait": {MaxDelay: -1},
		"slow, and how": {Slow: 0.5},
	} {
		if m.Check() == nil {
			t.Error(name, "is accepted")
		}
	}
	if err := (dodosim.Mischief{Drop: 1, Duplicate: 0.5, Slow: 1, SlowFor: time.Second}).Check(); err != nil {
		t.Error(err)
	}
}

// TestFaultHitsWhatItNames: one route, and of its calls a share that repeats.
func TestFaultHitsWhatItNames(t *testing.T) {
	pattern := func(seed uint64) (got string) {
		shop := faulty(t)
		shop.sim.SetFault(dodosim.Fault{Status: 500, Method: "POST", Path: "/checkouts", Share: 0.5, Seed: seed}, 10)
		for range 20 {
			shop.get("/payments")
			answer, err := shop.raw("POST", "/checkouts", onePack)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			got += map[bool]string{true: "x", false: "."}[answer.StatusCode == 500]
		}
		if fault, left := shop.sim.Fault(); fault.Status != 500 || left != 10-bytes.Count([]byte(got), []byte("x")) {
			t.Error(fault, left)
		}
		return got
	}
	one := pattern(1)
	if one != pattern(1) || one == pattern(2) || bytes.Count([]byte(one), []byte("x")) < 3 {
		t.Error(one)
	}
}

// TestFaultTrickles: an answer that is complete, and late.
func TestFaultTrickles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := &shop{t: t, sim: start(t, options())}
		shop.sim.SetFault(dodosim.Fault{SlowBody: time.Minute}, 1)
		began := time.Now()
		shop.checkoutDirectly(onePack)
		if took := time.Since(began); took < time.Minute-time.Second || took > time.Minute {
			t.Error("took", took)
		}
	})
	shop := faulty(t)
	shop.sim.SetFault(dodosim.Fault{SlowBody: 10 * time.Millisecond}, 1)
	shop.checkout(onePack)
}
