package dodo_test

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// object writes a JSON object of the given fields, each a JSON value, with some of
// them changed; an empty value leaves its field out.
func object(fields, changes map[string]string) string {
	all := maps.Clone(fields)
	maps.Copy(all, changes)
	var members []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if all[name] != "" {
			members = append(members, `"`+name+`":`+all[name])
		}
	}
	return "{" + strings.Join(members, ",") + "}"
}

// set is one changed field or more: name, value, name, value.
func set(pairs ...string) map[string]string {
	changes := make(map[string]string)
	for i := 0; i < len(pairs); i += 2 {
		changes[pairs[i]] = pairs[i+1]
	}
	return changes
}

// monthly is an active subscription with everything that matters about it.
var monthly = map[string]string{
	"subscription_id": `"sub_1"`, "status": `"active"`, "product_id": `"pdt_1"`, "quantity": `2`,
	"created_at": `"2026-01-01T00:00:00Z"`, "previous_billing_date": `"2026-02-01T00:00:00Z"`, "next_billing_date": `"2026-03-01T00:00:00Z"`,
}

// subscriptionEvent is an event about [monthly], changed.
func subscriptionEvent(kind string, changes map[string]string) string {
	return `{"type":"subscription.` + kind + `","timestamp":"2026-02-03T04:05:06Z","data":` + object(monthly, changes) + `}`
}

// monthlyState is what [monthly] says.
func monthlyState(change func(*entitlement.SubscriptionState)) entitlement.SubscriptionState {
	s := entitlement.SubscriptionState{
		At: moment("2026-02-03T04:05:06Z"), Status: entitlement.SubscriptionActive, ProductID: "pdt_1", Quantity: 2,
		CreatedAt: moment("2026-01-01T00:00:00Z"), PeriodStart: moment("2026-02-01T00:00:00Z"), PeriodEnd: moment("2026-03-01T00:00:00Z"),
	}
	if change != nil {
		change(&s)
	}
	return s
}

func TestDecodeSubscription(t *testing.T) {
	e, err := dodo.Decode([]byte(subscriptionEvent("renewed", set(
		"expires_at", `"2027-01-01T01:00:00+01:00"`, "trial_period_days", `14`, "cancel_at_next_billing_date", `true`,
		"past_due_ends_at", `"2026-03-04T00:00:00Z"`, "metadata", `{"dodogate_order":"o1","n":7}`,
		"customer", `{"customer_id":"cus_1","email":"jane@example.com"}`, "checkout_session_id", `"cks_1"`,
	))))
	if err != nil {
		t.Fatal(err)
	}
	start, end, told := moment("2026-02-01T00:00:00Z"), moment("2026-03-01T00:00:00Z"), moment("2026-02-03T04:05:06Z")
	want := dodo.Fact{
		Fact: entitlement.Fact{Ref: subscription("sub_1"), Subscription: entitlement.Subscription{
			State: monthlyState(func(s *entitlement.SubscriptionState) {
				s.ExpiresAt, s.TrialDays, s.CancelAtEnd = moment("2027-01-01T00:00:00Z"), 14, true
			}),
			Periods: map[string]entitlement.Period{"1769904000000": {
				Start: start, End: end, Bought: map[string]int64{"pdt_1": 2},
				Choices: map[string]entitlement.Choice{"pdt_1/2": {ProductID: "pdt_1", Quantity: 2, First: told, Last: told}},
			}},
			Renewals:    map[string]time.Time{"1769904000000": start},
			GraceEndsAt: moment("2026-03-04T00:00:00Z"),
			Access:      entitlement.Access{Last: told},
		}},
		Clues: dodo.Clues{
			Metadata:   map[string]string{"dodogate_order": "o1", "n": "7"},
			CustomerID: "cus_1", CustomerEmail: "jane@example.com", SubscriptionID: "sub_1",
		},
	}
	if !reflect.DeepEqual(*e.Fact, want) {
		t.Errorf("got\n%+v\nwant\n%+v", *e.Fact, want)
	}
}

// The body says what the status is, whatever the type; without one the type does
// where it can.
func TestDecodeSubscriptionStatus(t *testing.T) {
	type S = entitlement.SubscriptionStatus
	for _, tc := range []struct {
		kind, status string // the type's second word, the status in JSON
		want         S      // empty: unclear
	}{
		{"active", `"cancelled"`, entitlement.SubscriptionCancelled},
		{"cancelled", `"active"`, entitlement.SubscriptionActive},
		{"renewed", `"PAST_DUE"`, entitlement.SubscriptionPastDue},
		{"updated", `"On_Hold"`, entitlement.SubscriptionOnHold},
		{"updated", `"pending"`, entitlement.SubscriptionPending},
		{"update_payment_method", `"active"`, entitlement.SubscriptionActive},
		{"updated", `"paused"`, entitlement.SubscriptionPaused},
		{"updated", `"frozen"`, "frozen"},
		{"active", `17`, "17"}, // a word, and one that gives nothing

		{"active", ``, entitlement.SubscriptionActive},
		{"renewed", `null`, entitlement.SubscriptionActive},
		{"past_due", `""`, entitlement.SubscriptionPastDue},
		{"on_hold", `null`, entitlement.SubscriptionOnHold},
		{"paused", ``, entitlement.SubscriptionPaused},
		{"cancelled", ``, entitlement.SubscriptionCancelled},
		{"failed", ``, entitlement.SubscriptionFailed},
		{"expired", ``, entitlement.SubscriptionExpired},

		{"updated", ``, ""},
		{"plan_changed", `null`, ""},
		{"update_payment_method", ``, ""},
		{"unpaused", ``, ""},
	} {
		e, err := dodo.Decode([]byte(subscriptionEvent(tc.kind, set("status", tc.status))))
		if tc.want == "" {
			if !errors.Is(err, dodo.ErrUnclear) || e.Fact != nil {
				t.Errorf("%s with status %s: %+v, %v", tc.kind, tc.status, e.Fact, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s with status %s: %v", tc.kind, tc.status, err)
			continue
		}
		state := monthlyState(func(s *entitlement.SubscriptionState) { s.Status = tc.want })
		want := entitlement.Observed(state)
		if tc.kind == "renewed" {
			want = entitlement.Renewed(state)
		}
		if !reflect.DeepEqual(e.Fact.Subscription, want) {
			t.Errorf("%s with status %s:\n%+v\nwant\n%+v", tc.kind, tc.status, e.Fact.Subscription, want)
		}
	}
}

// What else can be understood, and what must be there for which status.
func TestDecodeLenientSubscription(t *testing.T) {
	type S = entitlement.SubscriptionState
	for name, tc := range map[string]struct {
		changes map[string]string
		want    func(*S)
	}{
		"optional fields null":  {set("expires_at", `null`, "past_due_ends_at", `null`, "trial_period_days", `null`, "cancel_at_next_billing_date", `null`, "metadata", `null`, "customer", `null`, "created_at", `null`), func(s *S) { s.CreatedAt = moment("0001-01-01T00:00:00Z") }},
		"optional fields empty": {set("expires_at", `""`, "trial_period_days", `""`, "metadata", `""`, "customer", `[]`), nil},
		"strings for numbers":   {set("quantity", `"2"`, "trial_period_days", `"0"`), nil},
		"numbers for strings":   {set("product_id", `17`), func(s *S) { s.ProductID = "17" }},
		"flag as a string":      {set("cancel_at_next_billing_date", `"true"`), func(s *S) { s.CancelAtEnd = true }},
		"most pieces":           {set("quantity", `2147483647`), func(s *S) { s.Quantity = 1<<31 - 1 }},
		"longest trial":         {set("trial_period_days", `10000`), func(s *S) { s.TrialDays = 10000 }},
		"no period":             {set("next_billing_date", `"2026-02-01T00:00:00Z"`), func(s *S) { s.PeriodEnd = s.PeriodStart }},
		"unknown fields":        {set("tip", `1`, "addons", `null`, "currency", `{}`, "credit_entitlement_cart", `[7]`), nil},
		"add-ons": {set("addons", `[{"addon_id":"adn_b","quantity":1},{"addon_id":"adn_a","quantity":"3","name":"x"},{"addon_id":"adn_c","quantity":0}]`),
			func(s *S) { s.Addons = "adn_a=3,adn_b=1" }},
		"an add-on in two parts": {set("addons", `[{"addon_id":"adn_a","quantity":1},{"addon_id":"adn_a","quantity":2}]`), func(s *S) { s.Addons = "adn_a=3" }},
		"odd add-ons, on hold":   {set("status", `"on_hold"`, "addons", `[7,{"addon_id":"adn_a"}]`), func(s *S) { s.Status = "on_hold" }},
		"past due, no dates": {set("status", `"past_due"`, "previous_billing_date", ``, "next_billing_date", `null`, "past_due_ends_at", `"2026-03-04T00:00:00Z"`), func(s *S) {
			*s = S{At: s.At, Status: "past_due", ProductID: s.ProductID, Quantity: 2, CreatedAt: s.CreatedAt}
		}},
		"cancelled, nothing else":  {set("status", `"cancelled"`, "product_id", ``, "quantity", ``, "created_at", ``, "previous_billing_date", `null`, "next_billing_date", `null`), func(s *S) { *s = S{At: s.At, Status: "cancelled"} }},
		"failed, nothing else":     {set("status", `"failed"`, "product_id", `null`, "quantity", `null`, "created_at", `null`, "previous_billing_date", ``, "next_billing_date", ``), func(s *S) { *s = S{At: s.At, Status: "failed"} }},
		"on hold, periods crossed": {set("status", `"on_hold"`, "next_billing_date", `"2026-01-01T00:00:00Z"`), func(s *S) { s.Status, s.PeriodEnd = "on_hold", moment("2026-01-01T00:00:00Z") }},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := dodo.Decode([]byte(subscriptionEvent("updated", tc.changes)))
			if err != nil {
				t.Fatal(err)
			}
			got := e.Fact.Subscription.State
			if want := monthlyState(tc.want); got != want {
				t.Errorf("got\n%+v\nwant\n%+v", got, want)
			}
			if paid := len(e.Fact.Subscription.Periods) > 0; paid != (got.Status == "active" && name != "no period") {
				t.Errorf("periods %+v", e.Fact.Subscription.Periods)
			}
		})
	}
}

func TestDecodeUnclearSubscription(t *testing.T) {
	const timeless = `{"type":"subscription.active","data":{"subscription_id":"sub_1"}}`
	envelope := func(timestamp string) string {
		return `{"type":"subscription.active"` + timestamp + `,"data":` + object(monthly, nil) + `}`
	}
	bodies := map[string]string{
		"no data":             `{"type":"subscription.active","timestamp":"2026-02-03T04:05:06Z"}`,
		"data null":           `{"type":"subscription.active","timestamp":"2026-02-03T04:05:06Z","data":null}`,
		"data a list":         `{"type":"subscription.active","timestamp":"2026-02-03T04:05:06Z","data":[1,{"status":1,"status":2}]}`,
		"no timestamp":        envelope(``),
		"timestamp null":      envelope(`,"timestamp":null`),
		"timestamp a number":  envelope(`,"timestamp":1795288583`),
		"timestamp odd":       envelope(`,"timestamp":"whenever"`),
		"timestamp too late":  envelope(`,"timestamp":"9999-12-31T23:00:00-02:00"`),
		"no timestamp, short": timeless,
	}
	for name, changes := range map[string]map[string]string{
		"another payload":          set("payload_type", `"Payment"`),
		"no id":                    set("subscription_id", ``),
		"id null":                  set("subscription_id", `null`),
		"id odd":                   set("subscription_id", `"sub/1"`),
		"id an object":             set("subscription_id", `{}`),
		"id null, cancelled":       set("subscription_id", `null`, "status", `"cancelled"`),
		"status an object":         set("status", `{"is":"active"}`),
		"status a sentence":        set("status", `"is active"`),
		"status true":              set("status", `true`),
		"no product":               set("product_id", ``),
		"product odd":              set("product_id", `"pdt 1"`),
		"product odd, expired":     set("product_id", `"pdt 1"`, "status", `"expired"`),
		"no quantity":              set("quantity", ``),
		"quantity null":            set("quantity", `null`),
		"quantity 0":               set("quantity", `0`),
		"quantity negative":        set("quantity", `-1`),
		"quantity 1.5":             set("quantity", `1.5`),
		"quantity 2^31":            set("quantity", `2147483648`),
		"quantity 2^63":            set("quantity", `9223372036854775808`),
		"quantity 1e308":           set("quantity", `1e308`),
		"quantity a list":          set("quantity", `[1]`),
		"quantity 0, paused":       set("quantity", `0`, "status", `"paused"`),
		"trial negative":           set("trial_period_days", `-1`),
		"trial too long":           set("trial_period_days", `10001`),
		"trial 2^63":               set("trial_period_days", `9223372036854775808`),
		"trial 1e308":              set("trial_period_days", `1e308`),
		"trial from when on":       set("trial_period_days", `7`, "created_at", `null`),
		"no start":                 set("previous_billing_date", ``),
		"start null":               set("previous_billing_date", `null`),
		"start a number":           set("previous_billing_date", `1795288583`),
		"no end":                   set("next_billing_date", ``),
		"end null":                 set("next_billing_date", `null`),
		"end odd":                  set("next_billing_date", `"tomorrow"`),
		"ends before it starts":    set("next_billing_date", `"2026-01-31T23:59:59Z"`),
		"created odd":              set("created_at", `"yesterday"`),
		"expires odd":              set("expires_at", `{}`),
		"grace odd":                set("past_due_ends_at", `"soon"`),
		"cancel maybe":             set("cancel_at_next_billing_date", `"maybe"`),
		"cancel 1":                 set("cancel_at_next_billing_date", `1`),
		"customer id odd":          set("customer", `{"customer_id":"a:b"}`),
		"past due, till when":      set("status", `"past_due"`, "next_billing_date", `null`),
		"past due, of what":        set("status", `"past_due"`, "product_id", `null`),
		"cancelled, till when":     set("status", `"cancelled"`, "cancel_at_next_billing_date", `true`, "next_billing_date", ``),
		"add-ons an object":        set("addons", `{"addon_id":"adn_a","quantity":1}`),
		"an add-on without an id":  set("addons", `[{"quantity":1}]`),
		"an add-on, odd id":        set("addons", `[{"addon_id":"adn=a","quantity":1}]`),
		"an add-on, how many":      set("addons", `[{"addon_id":"adn_a"}]`),
		"add-ons below 0":          set("addons", `[{"addon_id":"adn_a","quantity":-1}]`),
		"add-ons 2^31":             set("addons", `[{"addon_id":"adn_a","quantity":2147483648}]`),
		"add-ons without end":      set("addons", `[`+strings.Repeat(`{"addon_id":"adn_a","quantity":1},`, entitlement.MaxAddons)+`{"addon_id":"adn_a","quantity":1}]`),
		"cancelled at end of what": set("status", `"cancelled"`, "cancel_at_next_billing_date", `true`, "product_id", ``),
	} {
		bodies[name] = subscriptionEvent("active", changes)
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			e, err := dodo.Decode([]byte(body))
			if !errors.Is(err, dodo.ErrUnclear) || errors.Is(err, dodo.ErrMalformed) {
				t.Fatalf("error %v, want %v", err, dodo.ErrUnclear)
			}
			if e.Fact != nil || e.Type != "subscription.active" {
				t.Errorf("event %+v comes with the error", e)
			}
		})
	}
	_, err := dodo.Decode([]byte(timeless))
	if want := "cannot be understood: timestamp is missing or no timestamp"; err == nil || err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

func TestDecodeMalformedSubscription(t *testing.T) {
	for name, changes := range map[string]map[string]string{
		"status twice":           set("status", `"cancelled","status":"active"`),
		"Status":                 set("Status", `"active"`),
		"id twice":               set("subscription_id", `"sub_1","subscription_id":"sub_2"`),
		"product in two cases":   set("Product_id", `"pdt_2"`),
		"end twice":              set("next_billing_date", `null,"next_billing_date":"2026-03-01T00:00:00Z"`),
		"flag twice":             set("cancel_at_next_billing_date", `true,"cancel_at_next_billing_date":false`),
		"metadata key twice":     set("metadata", `{"dodogate_order":"a","dodogate_order":"b"}`),
		"twice, and unclear too": set("quantity", `-1`, "status", `"active","status":"active"`),
	} {
		t.Run(name, func(t *testing.T) {
			e, err := dodo.Decode([]byte(subscriptionEvent("active", changes)))
			if !errors.Is(err, dodo.ErrMalformed) || errors.Is(err, dodo.ErrUnclear) || e.Fact != nil {
				t.Errorf("%+v, %v; want %v", e.Fact, err, dodo.ErrMalformed)
			}
		})
	}
}

func TestDecodeSubscriptionErrorsQuoteNothing(t *testing.T) {
	const marker = "jane@example.org"
	for _, field := range []string{
		"subscription_id", "status", "product_id", "quantity", "trial_period_days", "created_at", "previous_billing_date",
		"next_billing_date", "expires_at", "past_due_ends_at", "cancel_at_next_billing_date", "payload_type",
	} {
		_, err := dodo.Decode([]byte(subscriptionEvent("active", set(field, `"`+marker+`"`))))
		if !errors.Is(err, dodo.ErrUnclear) || strings.Contains(err.Error(), marker) || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// TestDecodeCycle: how long a period is, and whether there are any, is of use only
// when others were missed. So nothing about it holds an event up.
func TestDecodeCycle(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		count, interval, onDemand string // JSON
		cycle                     time.Duration
		free                      bool
	}{
		{`1`, `"Month"`, `false`, 30 * day, false},
		{`"2"`, `"week"`, `null`, 14 * day, false},
		{`90`, `"DAY"`, `"true"`, 90 * day, true},
		{`1`, `"Year"`, `true`, 365 * day, true},
		{`1000`, `"Year"`, `0`, 36500 * day, false},
		{`36501`, `"Day"`, ``, 36500 * day, false},
		{`1e308`, `"Month"`, `[]`, 0, false},
		{`9223372036854775808`, `"Month"`, `{}`, 0, false},
		{`-1`, `"Month"`, `"yes"`, 0, false},
		{`null`, `"Month"`, ``, 0, false},
		{`1`, `"Fortnight"`, ``, 0, false},
		{`1`, `{"a":1}`, ``, 0, false},
	} {
		e, err := dodo.Decode([]byte(subscriptionEvent("renewed", set(
			"payment_frequency_count", tt.count, "payment_frequency_interval", tt.interval, "on_demand", tt.onDemand))))
		if err != nil {
			t.Errorf("%+v: %v", tt, err)
			continue
		}
		if state := e.Fact.Subscription.State; state.Cycle != tt.cycle || state.OnDemand != tt.free {
			t.Errorf("%+v: %v, %v", tt, state.Cycle, state.OnDemand)
		}
	}
}
