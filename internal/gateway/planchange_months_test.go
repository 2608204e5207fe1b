package gateway_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/dodosim"
)

// TestYearlyPlanChangeTable does what the table of docs/events.md says about plans with
// credits every month, in both readings of what Dodo does to the billing dates. A cell has
// the months, the first of them as 1, from which on there is another number of credits.
func TestYearlyPlanChangeTable(t *testing.T) {
	page, err := os.ReadFile("../../docs/events.md")
	must(t, err)
	rows := regexp.MustCompile("(?m)^\\|`(\\w+)`, dates that (move|stay) \\|(.+)\\|$").FindAllStringSubmatch(string(page), -1)
	if len(rows) != 5 {
		t.Fatalf("the table has %d rows", len(rows))
	}
	large := config.Product{Name: "large", ID: "pdt_large", Plan: "large", Credits: 300, CreditsEvery: config.EveryMonth}
	for _, row := range rows {
		for i, cell := range strings.Split(row[3], "|") {
			change := [][2]string{{"yearly", "pdt_large"}, {"large", "pdt_year"}}[i]
			t.Run(fmt.Sprintf("%s/dates %s/%s", row[1], row[2], change[0]), func(t *testing.T) {
				s := tellOf(t, "bolt", settings{products: append([]config.Product{large}, storyProducts...), behavior: dodosim.Behavior{ProratedKeepsCycle: row[2] == "stay"}})
				first := s.now()
				attempt, err := s.sim.Pay(s.order("alice", change[0]).SessionID, goodCard)
				must(t, err)
				s.flush()
				s.set(first.AddDate(0, 4, 0).Add(time.Hour))
				s.changePlan(attempt.SubscriptionID, change[1], 1, row[1])
				s.flush()
				s.reconcile()
				var got []string
				last := int64(-1)
				for k := 4; k < 17; k++ {
					s.set(first.AddDate(0, k, 0).Add(2 * time.Hour))
					snap, err := s.Entitlement(t.Context(), "alice")
					must(t, err)
					if snap.Credits != last {
						got = append(got, fmt.Sprintf("%d: %d", k+1, snap.Credits))
					}
					if last = snap.Credits; last > 0 {
						s.spend(fmt.Sprint("h", k), last)
					}
				}
				if want := strings.TrimSpace(cell); strings.Join(got, ", ") != want {
					t.Errorf("alice has %s; the table says %s", strings.Join(got, ", "), want)
				}
			})
		}
	}
}
