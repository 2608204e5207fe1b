package entitlement_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// kept is a subscription as stored by an earlier release, which counted each period with a new
// start as paid: `pro` changed three times to itself, and to `team` for free.
const kept = `{"subscription":{
	"state":{"at":"2026-11-22T12:00:00Z","status":"active","product_id":"pdt_team","quantity":1,"created_at":"2026-11-21T12:00:00Z",
		"period_start":"2026-11-21T12:09:00Z","period_end":"2026-12-21T12:09:00Z"},
	"periods":{
		"1795262400000":{"start":"2026-11-21T12:00:00Z","end":"2026-12-21T12:00:00Z","bought":{"pdt_pro":1}},
		"1795262580000":{"start":"2026-11-21T12:03:00Z","end":"2026-12-21T12:03:00Z","bought":{"pdt_pro":1}},
		"1795262940000":{"start":"2026-11-21T12:09:00Z","end":"2026-12-21T12:09:00Z","bought":{"pdt_pro":1,"pdt_team":1}}},
	"charges":{"pay_1":{"status":"succeeded","total":1000,"currency":"USD","subscription":"sub_1","created_at":"2026-11-21T12:00:00Z"}}},
	"terms":{
		"pdt_pro@1795262400000":{"credits":500,"plan":"pro"},"pdt_pro@1795262580000":{"credits":500,"plan":"pro"},
		"pdt_pro@1795262940000":{"credits":500,"plan":"pro"},"pdt_team@1795262940000":{"credits":800,"plan":"team"}}}`

// TestGrantedStays: grants of an earlier release are neither taken back nor given again,
// whatever is reported now; everything that is new follows the money.
func TestGrantedStays(t *testing.T) {
	start := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	state := func(product string, begin time.Duration, at time.Duration) entitlement.SubscriptionState {
		return entitlement.SubscriptionState{
			At: start.Add(at), Status: entitlement.SubscriptionActive, ProductID: product, Quantity: 1, CreatedAt: start,
			PeriodStart: start.Add(begin), PeriodEnd: start.Add(begin + month),
		}
	}
	ref := entitlement.Ref{Kind: entitlement.KindSubscription, ID: "sub_1"}
	for name, c := range map[string]struct {
		heard []entitlement.Subscription
		want  map[string]int64
	}{
		"nothing more": {nil, map[string]int64{"1795262400000": 500, "1795262580000": 500, "1795262940000": 800}},
		"the same again": {
			[]entitlement.Subscription{entitlement.Renewed(state("pdt_pro", 0, 0)), entitlement.Observed(state("pdt_team", 9*time.Minute, 2*day))},
			map[string]int64{"1795262400000": 500, "1795262580000": 500, "1795262940000": 800},
		},
		"changed again, for nothing": {
			[]entitlement.Subscription{entitlement.Observed(state("pdt_pro", 3*day, 3*day)), entitlement.Observed(state("pdt_hoard", 4*day, 4*day))},
			map[string]int64{"1795262400000": 500, "1795262580000": 500, "1795262940000": 800},
		},
		"renewed": {
			[]entitlement.Subscription{entitlement.Renewed(state("pdt_team", month+9*time.Minute, month+10*time.Minute))},
			map[string]int64{"1795262400000": 500, "1795262580000": 500, "1795262940000": 800, "1797854940000": 800},
		},
	} {
		t.Run(name, func(t *testing.T) {
			permute(c.heard, func(order []entitlement.Subscription) {
				var record, before entitlement.Record
				if err := json.Unmarshal([]byte(kept), &record); err != nil {
					t.Fatal(err)
				}
				before = record
				for _, s := range order {
					record = record.Fold(entitlement.Fact{Ref: ref, Subscription: s}, catalog)
				}
				state, err := json.Marshal(record)
				if err != nil {
					t.Fatal(err)
				}
				record = entitlement.Record{}
				if err := json.Unmarshal(state, &record); err != nil {
					t.Fatal(err)
				}
				e, err := record.Effect(ref, before, config.DisputeFreeze)
				if err != nil || len(e.Grants) != len(c.want) {
					t.Fatalf("%+v, %v", e.Grants, err)
				}
				for _, g := range e.Grants {
					if want := c.want[g.ID[len("subscription/sub_1/"):]]; g.Amount != want {
						t.Errorf("%s gives %d, want %d", g.ID, g.Amount, want)
					}
				}
			})
		})
	}
}

// TestGrantedThenChanged: a charge after a change is for the change, not for what an earlier
// release gave at the start of the period.
func TestGrantedThenChanged(t *testing.T) {
	start := fmt.Sprint(noon.UnixMilli())
	s := entitlement.Subscription{Granted: map[string]entitlement.Period{start: {Start: noon, End: noon.Add(month), Bought: map[string]int64{"pdt_keep": 1}}}}
	for _, f := range []entitlement.Subscription{charged("a", 0), charged("b", 10), body("active", "pdt_hoard", 0, after(10*day+time.Hour))} {
		s = s.Merge(f)
	}
	e, err := s.Effect("sub_1", catalog, freeze)
	if err != nil || len(e.Grants) != 1 || e.Grants[0].Amount != 900 {
		t.Errorf("it gives %+v, %v; want 900", e.Grants, err)
	}
}
