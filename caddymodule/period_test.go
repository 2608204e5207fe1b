package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/dodosim/simtest"
)

const dailyDodo = `
	dodo {
		api_key        test_api_key
		base_url       {{Dodo}}
		webhook_secret ` + webhookSecret + `
		store          bolt {{Dir}}/dodogate.db
		reconcile      off
		%s
		product daily {
			id      pdt_daily
			plan    pro
			credits 7
		}
	}`

// expired is a site of which alice has bought a daily plan, whose period has been over for
// a while; Dodo comes to that only when it is let. The webhooks of the first day came, and no
// others do.
func expired(t *testing.T, over time.Duration, option string) (*bench, *dodosim.Simulator) {
	t.Helper()
	b := newBench(t)
	const aDay = 24 * time.Hour
	var sim *dodosim.Simulator
	sim, _ = simtest.Serve(t, dodosim.Options{
		APIKey: "test_api_key", WebhookURL: "http://127.0.0.1:" + b.Port + "/payments/webhook", WebhookSecret: webhookSecret,
		Clock: func() time.Time { return time.Now().Add(-aDay - over) },
		Products: []dodosim.Product{
			{ID: "pdt_daily", Price: 100, Currency: "USD", Every: dodosim.Period{Count: 1, Interval: dodosim.Day}},
		},
	})
	sim.HoldWebhooks(true)
	b.Dodo = newServer(t, func(w http.ResponseWriter, r *http.Request) { sim.ServeHTTP(datedNow{w}, r) })
	b.mustLoad(caddyfile(fmt.Sprintf(dailyDodo, option), usualGateway+`
	dodo_require /pro/* plan pro
	dodo_charge /costs/* 1
	reverse_proxy {{Upstream}}`))
	b.payLost(sim, "alice", "daily")
	id, err := sim.LatestSubscription("alice")
	if err != nil {
		t.Fatal(err)
	}
	told := b.readDodo("/subscriptions/" + id)
	b.webhook("msg_1", fmt.Sprintf(`{"type":"subscription.active","timestamp":%q,"data":%s}`, sim.Now().Format(time.RFC3339Nano), told))
	return b, sim
}

// datedNow dates an answer of Dodo in real time, because its clock is right: the simulator is only
// late with what it has to do.
type datedNow struct{ http.ResponseWriter }

func (d datedNow) WriteHeader(status int) {
	d.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
	d.ResponseWriter.WriteHeader(status)
}

func (d datedNow) Write(body []byte) (int, error) {
	d.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
	return d.ResponseWriter.Write(body)
}

// readDodo reads an object at the simulated Dodo.
func (b *bench) readDodo(path string) string {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.Dodo+path, http.NoBody)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer test_api_key")
	client := http.Client{Timeout: 10 * time.Second}
	answer, err := client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		b.t.Fatalf("%d %s %v", answer.StatusCode, body, err)
	}
	return string(body)
}

// tellsPlan wants the app to read a plan and credits on a route without a gate. A machine that
// is busy may take longer for the answer of Dodo than a request waits; then the next one has it.
func (b *bench) tellsPlan(plan, credits string) {
	b.t.Helper()
	var got string
	for begin := time.Now(); time.Since(begin) < 20*time.Second; time.Sleep(10 * time.Millisecond) {
		header := b.seen(b.do("GET", "/free", "", "X-Test-User", "alice")).Header
		got = fmt.Sprint(header["X-Entitlement-Plan"], header["X-Entitlement-Credits"])
		if got == fmt.Sprintf("[%s] [%s]", plan, credits) {
			return
		}
	}
	b.t.Errorf("the plan and the credits are %s, want %s and %s", got, plan, credits)
}

// A renewal of which no webhook comes: the first request of the new period has its plan and
// its credits.
func TestRenewalWithoutWebhook(t *testing.T) {
	b, sim := expired(t, time.Minute, "")
	sim.Advance(24*time.Hour + 10*time.Second)
	before := sim.Calls("", "")
	b.tellsPlan("pro", "7")
	for range 5 {
		b.seen(b.do("GET", "/pro/x", "", "X-Test-User", "alice"))
		b.seen(b.do("GET", "/costs/x", "", "X-Test-User", "alice"))
	}
	if n := sim.Calls("", "") - before; n > 4 {
		t.Errorf("Dodo was called %d times", n)
	}
}

// Dodo has nothing new to say: the plan has ended, unless there is a grace.
func TestGraceAfterAnAnswer(t *testing.T) {
	for option, passes := range map[string]bool{"": false, "grace 1m": false, "grace 10m": true} {
		t.Run(option, func(t *testing.T) {
			b, sim := expired(t, 5*time.Minute, option)
			before := sim.Calls("", "")
			if passes {
				b.tellsPlan("pro", "0")
				b.seen(b.do("GET", "/pro/x", "", "X-Test-User", "alice"))
			} else {
				b.tellsPlan("none", "0")
				b.problem(b.do("GET", "/pro/x", "", "X-Test-User", "alice"), http.StatusPaymentRequired, "plan_required")
			}
			for range 10 {
				b.problem(b.do("GET", "/costs/x", "", "X-Test-User", "alice"), http.StatusPaymentRequired, "insufficient_credits")
			}
			// The order, which is still open here, is asked about by itself: session, payment and subscription.
			if n := sim.Calls("GET", "/subscriptions/{id}") - before; n > 2 {
				t.Errorf("the subscription was read %d times", n)
			}
		})
	}
}

// Dodo cannot be asked: the plan goes on for an hour, or for the grace if that is longer, and
// what the new period may have brought is not refused but asked to wait for.
func TestGraceWithoutAnAnswer(t *testing.T) {
	for _, tt := range []struct {
		over   time.Duration
		option string
		passes bool
	}{
		{time.Minute, "", true},
		{59 * time.Minute, "", true},
		{61 * time.Minute, "", false},
		{61 * time.Minute, "grace 2h", true},
		{59 * time.Minute, "grace 1m", true},
		{121 * time.Minute, "grace 2h", false},
	} {
		t.Run(fmt.Sprint(tt.over, tt.option), func(t *testing.T) {
			b, sim := expired(t, tt.over, tt.option)
			sim.SetFault(dodosim.Fault{Status: http.StatusForbidden, Body: "{}"}, 1000)
			if !tt.passes {
				b.tellsPlan("none", "0")
				b.problem(b.do("GET", "/pro/x", "", "X-Test-User", "alice"), http.StatusPaymentRequired, "plan_required")
				return
			}
			b.tellsPlan("pro", "0")
			b.seen(b.do("GET", "/pro/x", "", "X-Test-User", "alice"))
			a := b.do("GET", "/costs/x", "", "X-Test-User", "alice")
			b.problem(a, http.StatusServiceUnavailable, "payment_unconfirmed")
			if a.header.Get("Retry-After") == "" {
				t.Error("it is not said when to come again")
			}
		})
	}
}

// An endpoint that is sent payment.* only: the plan is there at the first request.
func TestPaymentEventsOnly(t *testing.T) {
	b := newBench(t)
	var sim *dodosim.Simulator
	sim, b.Dodo = simtest.Serve(t, dodosim.Options{
		APIKey: "test_api_key", WebhookURL: "http://127.0.0.1:" + b.Port + "/payments/webhook", WebhookSecret: webhookSecret,
		Products: []dodosim.Product{
			{ID: "pdt_daily", Price: 100, Currency: "USD", Every: dodosim.Period{Count: 1, Interval: dodosim.Day}},
		},
	})
	sim.HoldWebhooks(true)
	b.Dodo = newServer(t, func(w http.ResponseWriter, r *http.Request) { sim.ServeHTTP(datedNow{w}, r) })
	b.mustLoad(caddyfile(fmt.Sprintf(dailyDodo, ""), usualGateway+`
	dodo_require /pro/* plan pro
	reverse_proxy {{Upstream}}`))
	b.payLost(sim, "alice", "daily")
	for _, e := range sim.Events() {
		if e.Type != "payment.succeeded" {
			continue
		}
		if d, err := sim.Redeliver(t.Context(), e.ID); err != nil || !d.Acknowledged() {
			t.Fatalf("%+v, %v", d, err)
		}
	}
	// While Dodo cannot be asked, no customer is refused as unpaid, and no order is shown as paid.
	sim.SetFault(dodosim.Fault{Status: http.StatusForbidden, Body: "{}"}, 1)
	b.problem(b.do("GET", "/pro/x", "", "X-Test-User", "alice"), http.StatusServiceUnavailable, "payment_unconfirmed")
	var status struct {
		Plan    string
		Pending []struct {
			OrderID     string `json:"order_id"`
			State       string
			CheckoutURL string `json:"checkout_url"`
		}
	}
	a := b.do("GET", "/payments/status", "", "X-Test-User", "alice")
	if err := json.Unmarshal([]byte(a.body), &status); err != nil || len(status.Pending) != 1 {
		t.Fatalf("%s %v", a.body, err)
	}
	order := status.Pending[0]
	if status.Plan != "none" || order.State != "open" || order.CheckoutURL != "" {
		t.Errorf("%s", a.body)
	}
	a = b.do("POST", "/payments/confirm", fmt.Sprintf(`{"order_id":%q}`, order.OrderID), "Content-Type", "application/json", "X-Test-User", "alice")
	var confirmed struct{ Status string }
	if err := json.Unmarshal([]byte(a.body), &confirmed); err != nil || confirmed.Status != "paid" {
		t.Errorf("%d %s", a.status, a.body)
	}
	b.tellsPlan("pro", "7")
	b.seen(b.do("GET", "/pro/x", "", "X-Test-User", "alice"))
	bob := b.do("GET", "/pro/x", "", "X-Test-User", "bob")
	b.problem(bob, http.StatusPaymentRequired, "plan_required")
}
