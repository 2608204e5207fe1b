package gateway_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
)

var lostVisits = flag.Int("visits", 1, "how many visits a day each customer makes in TestLostRenewals, besides those right after a period's end")

// meter counts the calls to Dodo by what they are about, with their times.
type meter struct {
	now   func() time.Time // of the simulated Dodo
	mu    sync.Mutex
	calls map[string][]time.Time // by subscription
}

func (m *meter) between(dodo http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		dodo.ServeHTTP(answer, r)
		about := r.URL.Query().Get("subscription_id")
		if id, ok := strings.CutPrefix(r.URL.Path, "/subscriptions/"); ok && r.Method == http.MethodGet {
			about = id
		} else if strings.HasPrefix(r.URL.Path, "/payments/") {
			var p struct {
				SubscriptionID string `json:"subscription_id"`
			}
			_ = json.NewDecoder(bytes.NewReader(answer.Body.Bytes())).Decode(&p)
			about = p.SubscriptionID
		}
		m.mu.Lock()
		m.calls[about] = append(m.calls[about], m.now())
		m.mu.Unlock()
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	})
}

// busiest is how many calls about a subscription there were in the worst stretch of time.
func (m *meter) busiest(subscription string, stretch time.Duration) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	most, first := 0, 0
	calls := m.calls[subscription]
	for i, at := range calls {
		for at.Sub(calls[first]) >= stretch {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// subscriber is a customer of whose renewals no webhook comes.
type subscriber struct {
	name, subscription, plan string
	slow                     bool      // each charge is processing for two days
	ends                     time.Time // of the period, or of the plan, as last seen; zero: it has ended
	cancelled                bool
	next                     time.Time // when they come
	burst                    int       // how often they come again at once
	charged                  int       // how often the credits of a slow charge were there when they were needed
}

// TestLostRenewals: no webhook ever comes, and fifty customers who pay by the week or month
// visit two gateways on one store at random times over sixty days, and in the seconds after
// each of their periods has ended. None sees their plan missing, or is refused what they
// paid for; those who have cancelled are refused in the second in which the plan ends; and Dodo
// is asked less than once a minute about each of them.
func TestLostRenewals(t *testing.T) {
	t.Logf("seed %d, %d visits a day", *shopSeed, *lostVisits)
	const customers, days = 50, 60
	random := rand.New(rand.NewPCG(*shopSeed, 12))
	counted := &meter{calls: make(map[string][]time.Time)}
	u := newSilent(t, "bolt", settings{between: counted.between, products: []config.Product{
		{Name: "monthly", ID: "pdt_monthly", Plan: "pro", Credits: 500},
		{Name: "weekly", ID: "pdt_weekly", Plan: "pro", Credits: 100},
		{Name: "team", ID: "pdt_team", Plan: "team", Credits: 800},
	}})
	counted.now = u.sim.Now
	gateways := []*gate{u.gate, u.newGateway(u.with)}
	begin := u.now()
	var town []*subscriber
	for i := range customers {
		product := []string{"monthly", "weekly", "weekly", "team"}[random.IntN(4)]
		c := &subscriber{name: fmt.Sprintf("customer%d", i), plan: "pro", slow: i%7 == 3, cancelled: i%10 == 9}
		if product == "team" {
			c.plan = "team"
		}
		u.pass(time.Duration(random.IntN(3600)) * time.Second)
		c.subscription = u.subscribed(c.name, product)
		if c.slow {
			must(t, u.sim.SlowCard(c.subscription, false))
		}
		if c.cancelled {
			u.patch(c.subscription, `{"cancel_at_next_billing_date":true}`)
			u.deliver(u.event("subscription.updated"))
		}
		now, err := u.View(t.Context(), c.name)
		must(t, err)
		c.ends, c.next = now.PlanExpiresAt, u.now()
		town = append(town, c)
	}
	visits := 0
	for {
		c := slices.MinFunc(town, func(a, b *subscriber) int { return cmp.Or(a.next.Compare(b.next), cmp.Compare(a.name, b.name)) })
		if c.next.Sub(begin) > days*day {
			break
		}
		u.pass(c.next.Sub(u.now()))
		visits++
		u.visited(gateways[random.IntN(2)], c)
		c.plans(u.now(), random)
	}
	most, all := 0, 0
	for _, c := range town {
		all += len(counted.calls[c.subscription])
		if c.slow && !c.cancelled && c.charged == 0 {
			t.Errorf("%s never got the credits of a slow charge", c.name)
		}
		n := counted.busiest(c.subscription, time.Hour)
		if most = max(most, n); n >= 60 {
			t.Errorf("%s: Dodo was asked %d times in an hour", c.name, n)
		}
	}
	t.Logf("%d visits, %d calls to Dodo, at most %d in an hour about one customer", visits, all, most)
	if visits < customers*days {
		t.Errorf("there were %d visits only", visits)
	}
}

// plans decides when the customer comes next.
func (c *subscriber) plans(now time.Time, random *rand.Rand) {
	c.next = now.Add(time.Duration(random.Int64N(int64(2 * day / time.Duration(*lostVisits)))))
	if c.burst > 0 {
		c.burst--
		c.next = now.Add(time.Duration(random.IntN(40)) * time.Second)
	}
	if now.Before(c.ends) && c.next.After(c.ends) { // in the first seconds after its end
		c.next = c.ends.Add(time.Duration(random.IntN(4)) * time.Second)
		c.burst = random.IntN(12)
	}
}

// visited lets a customer look at what they have, pass a gate that asks for the plan, and
// spend a credit.
func (u *silent) visited(g *gate, c *subscriber) {
	u.t.Helper()
	now, err := g.View(u.t.Context(), c.name)
	must(u.t, err)
	over := c.cancelled && !u.now().Before(c.ends)
	if has := now.Plan == c.plan; has == over {
		u.t.Fatalf("%s, %s after the end of the period, cancelled %v, slow %v: the plan is %s, %s",
			c.name, u.now().Sub(c.ends), c.cancelled, c.slow, now.Plan, now.PlanStatus)
	}
	needs := entitlement.Requirement{Plans: []string{c.plan}}
	if !needs.MetBy(now.Snapshot) {
		settled, _, err := g.ConfirmAccount(u.t.Context(), c.name)
		must(u.t, err)
		if needs.MetBy(settled.Snapshot) == over || settled.Owed() {
			u.t.Fatalf("%s, %s after the end of the period: after asking Dodo it is %+v", c.name, u.now().Sub(c.ends), settled)
		}
		return
	}
	if !c.cancelled {
		c.ends = now.PlanExpiresAt
	}
	one := gateway.HoldRequest{Account: c.name, Credits: 1, TTL: time.Minute}
	charge, err := g.Hold(u.t.Context(), one)
	if errors.Is(err, gateway.ErrInsufficient) && c.slow {
		settled, _, settling := g.ConfirmAccount(u.t.Context(), c.name)
		must(u.t, settling)
		if settled.Credits == 0 {
			return // the money is not there yet
		}
		c.charged++
		charge, err = g.Hold(u.t.Context(), one)
	}
	must(u.t, err)
	_, err = charge.End(u.t.Context(), 1, nil)
	must(u.t, err)
}
