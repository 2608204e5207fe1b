package gateway_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/dodosim"
)

// changePlan changes a subscription at the simulated Dodo.
func (w *world) changePlan(subscription, product string, pieces int, mode string) {
	w.t.Helper()
	w.call(http.MethodPost, "/subscriptions/"+subscription+"/change-plan",
		fmt.Sprintf(`{"product_id":%q,"quantity":%d,"proration_billing_mode":%q}`, product, pieces, mode))
}

// TestPlanChangeTable does what the table in docs/events.md says, in both readings of what
// Dodo does to the billing dates. "813 or 786" is for dates that move, and for dates that
// stay.
func TestPlanChangeTable(t *testing.T) {
	page, err := os.ReadFile("../../docs/events.md")
	must(t, err)
	rows := regexp.MustCompile("(?m)^\\|`(\\w+)` \\|(.+)\\|$").FindAllStringSubmatch(string(page), -1)
	if len(rows) != 4 {
		t.Fatalf("the table has %d modes", len(rows))
	}
	changes := []struct {
		from, to string // names, and they are ids, too
		pieces   int
	}{{"monthly", "team", 1}, {"team", "monthly", 1}, {"monthly", "monthly", 1}, {"monthly", "monthly", 2}}
	for _, row := range rows {
		for i, cell := range strings.Split(row[2], "|") {
			for _, keeps := range []bool{false, true} {
				mode, change, want := row[1], changes[i], strings.TrimSpace(cell)
				t.Run(fmt.Sprintf("%s/%s to %d %s/keeps the dates %v", mode, change.from, change.pieces, change.to, keeps), func(t *testing.T) {
					s := tellOf(t, "bolt", settings{products: storyProducts, behavior: dodosim.Behavior{ProratedKeepsCycle: keeps, SubscriptionQuantities: true}})
					attempt, err := s.sim.Pay(s.order("alice", change.from).SessionID, goodCard)
					must(t, err)
					s.flush()
					s.set(s.now().Add(day))
					s.changePlan(attempt.SubscriptionID, "pdt_"+change.to, change.pieces, mode)
					s.flush()
					s.reconcile()
					snap, err := s.Entitlement(t.Context(), "alice")
					must(t, err)
					if credits, plan, _ := strings.Cut(want, ", "); strings.Contains(credits, " or ") {
						moved, kept, _ := strings.Cut(credits, " or ")
						if want = moved + ", " + plan; keeps {
							want = kept + ", " + plan
						}
					}
					if got := fmt.Sprintf("%d, %s", snap.Credits, snap.Plan); got != want {
						t.Errorf("alice has %s; the table says %s", got, want)
					}
				})
			}
		}
	}
}

// TestPlanPingPong: a plan that is changed to and fro, minutes apart, gives what was paid
// for. Each second change is charged; it buys credits at the rate of the dearer plan.
func TestPlanPingPong(t *testing.T) {
	basic, pro := config.Product{Name: "monthly", ID: "pdt_monthly", Plan: "basic", Credits: 100}, config.Product{Name: "team", ID: "pdt_team", Plan: "pro", Credits: 500}
	for _, keeps := range []bool{false, true} {
		s := tellOf(t, "bolt", settings{products: []config.Product{basic, pro}, behavior: dodosim.Behavior{ProratedKeepsCycle: keeps}})
		attempt, err := s.sim.Pay(s.order("alice", "monthly").SessionID, goodCard)
		must(t, err)
		s.flush()
		s.has("alice", 100, true)
		for i, want := range []int64{500, 500, 600, 600} { // 900 cents; 1800; 1800; 2700; 2700
			s.set(s.now().Add(3 * time.Minute))
			s.changePlan(attempt.SubscriptionID, []string{"pdt_team", "pdt_monthly"}[i%2], 1, "difference_immediately")
			s.flush()
			s.has("alice", want, true)
		}
	}
}

// TestChangeToTheSame: a change to the product that is subscribed to, of which nothing is
// paid, gives nothing.
func TestChangeToTheSame(t *testing.T) {
	s := tell(t, "bolt", "")
	attempt, err := s.sim.Pay(s.order("alice", "monthly").SessionID, goodCard)
	must(t, err)
	s.flush()
	for range 3 {
		s.set(s.now().Add(3 * time.Minute))
		s.changePlan(attempt.SubscriptionID, "pdt_monthly", 1, "difference_immediately")
		s.flush()
		s.has("alice", 500, true)
	}
}

var (
	shopHistories = flag.Int("histories", 40, "histories of plan changes that TestPlanChangeHistories tries")
	shopSeed      = flag.Uint64("seed", 1, "where it begins")
)

// TestPlanChangeHistories: over random histories of changes against the simulated Dodo, in
// both of its readings and with lost and repeated webhooks, the credits are never more than
// what was paid for, and after a pass a customer has those of each renewed period.
func TestPlanChangeHistories(t *testing.T) {
	t.Logf("seed %d", *shopSeed)
	credits := map[string]int64{"pdt_monthly": 90, "pdt_team": 180, "pdt_keep": 100}
	sold := []config.Product{
		{Name: "monthly", ID: "pdt_monthly", Plan: "pro", Credits: 90, CreditsStay: true},
		{Name: "team", ID: "pdt_team", Plan: "team", Credits: 180, CreditsStay: true},
		{Name: "keep", ID: "pdt_keep", Plan: "pro", Credits: 100, CreditsStay: true},
	}
	ids := []string{"pdt_monthly", "pdt_team", "pdt_keep"}
	modes := []string{"prorated_immediately", "difference_immediately", "full_immediately", "do_not_bill"}
	for n := range uint64(*shopHistories) {
		r := rand.New(rand.NewPCG(*shopSeed, n))
		s := tellOf(t, "bolt", settings{products: sold, behavior: dodosim.Behavior{ProratedKeepsCycle: r.IntN(2) == 0, SubscriptionQuantities: true}})
		s.sim.SetMischief(dodosim.Mischief{Seed: n + 1, Drop: 0.3, Duplicate: 0.2, NewID: 0.1})
		product, pieces := "pdt_monthly", int64(1)
		attempt, err := s.sim.Pay(s.order("alice", "monthly").SessionID, goodCard)
		must(t, err)
		s.flush()
		s.reconcile()
		charges := func() int { return s.succeeded(attempt.SubscriptionID) }
		most, least, paid := credits[product], credits[product], charges()
		told := fmt.Sprintf("seed %d, history %d:", *shopSeed, n)
		check := func(what string) {
			told += " " + what
			snap, err := s.Entitlement(t.Context(), "alice")
			must(t, err)
			if snap.Credits > most || snap.Credits < least {
				t.Fatalf("%s\nalice has %d credits, of %d to %d", told, snap.Credits, least, most)
			}
		}
		for range 2 + r.IntN(5) {
			s.set(s.now().Add([]time.Duration{time.Hour, 5 * day, 20 * day, 29 * day}[r.IntN(4)]))
			s.sim.Tick()
			s.flush()
			s.reconcile()
			renewed := int64(charges() - paid)
			most, least, paid = most+renewed*credits[product]*pieces, least+renewed*credits[product]*pieces, charges()
			check(fmt.Sprintf("renewed %d times by %s", renewed, s.now()))
			mode := modes[r.IntN(len(modes))]
			product, pieces = ids[r.IntN(len(ids))], int64(1+r.IntN(2))
			s.changePlan(attempt.SubscriptionID, product, int(pieces), mode)
			s.flush()
			s.reconcile()
			if charged := charges(); charged > paid {
				most, paid = most+credits[product]*pieces, charged
			}
			check(fmt.Sprintf("changed to %d %s by %s;", pieces, product, mode))
		}
	}
}

// succeeded is how many charges of a subscription succeeded.
func (w *world) succeeded(subscription string) int {
	w.t.Helper()
	request := httptest.NewRequest(http.MethodGet, "/payments?page_size=100&subscription_id="+subscription, http.NoBody)
	request.Header.Set("Authorization", "Bearer "+apiKey)
	answer := httptest.NewRecorder()
	w.sim.ServeHTTP(answer, request)
	if answer.Code != http.StatusOK {
		w.t.Fatalf("payments: %d %s", answer.Code, answer.Body)
	}
	return strings.Count(answer.Body.String(), `"status":"succeeded"`)
}
