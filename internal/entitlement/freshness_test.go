package entitlement_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
)

// doubtful is an account with only the subscription.
func doubtful(t *testing.T, s entitlement.Subscription) entitlement.Account {
	t.Helper()
	e, err := s.Effect("sub_1", catalog, freeze)
	if err != nil {
		t.Fatal(err)
	}
	return entitlement.Account{
		Standings:       map[string]entitlement.Standing{"subscription:sub_1": e.Standing},
		UnansweredGrace: entitlement.UnansweredGrace,
	}
}

// doubts lists the subscriptions that should be checked with Dodo.
func doubts(a entitlement.Account, now time.Time) string {
	var words []string
	for _, d := range a.Doubts(now) {
		text := d.Subscription
		if d.Untold {
			text += " untold"
		}
		if d.Over {
			text += " over"
		}
		if d.Owed {
			text += " owed"
		}
		words = append(words, text)
	}
	return strings.Join(words, ", ")
}

// TestDoubts: from when and until when a subscription should be checked with Dodo, and how
// long its customer must not be told that she has not paid.
func TestDoubts(t *testing.T) {
	type facts = []entitlement.Subscription
	const active, ms = entitlement.SubscriptionActive, time.Millisecond
	first := body(active, "pdt_pro", 0).Merge(charged("a", 0))
	atEnd := func(s *entitlement.SubscriptionState) { s.CancelAtEnd = true }
	onDemand := func(s *entitlement.SubscriptionState) { s.OnDemand = true }
	ends := func(d time.Duration) subscriptionEdit {
		return func(s *entitlement.SubscriptionState) { s.ExpiresAt = noon.Add(d) }
	}
	for name, c := range map[string]struct {
		facts facts
		after time.Duration
		want  string
	}{
		"within its period":                 {facts{first}, month - 1, ""},
		"at the end of its period":          {facts{first}, month, "sub_1 over owed"},
		"in the last instant of an hour":    {facts{first}, month + time.Hour - 1, "sub_1 over owed"},
		"an hour after its period":          {facts{first}, month + time.Hour, "sub_1 over"},
		"read just before its period's end": {facts{first, body(active, "pdt_pro", 0, after(month-1))}, month, "sub_1 over owed"},
		"read at its period's end":          {facts{first, body(active, "pdt_pro", 0, after(month))}, month, "sub_1 over"},
		"over, and a charge is under way":   {facts{first, charged("b", 30, underway)}, month, "sub_1 owed"},
		"and is so for more than an hour":   {facts{first, charged("b", 30, underway)}, month + time.Hour, "sub_1"},
		"and is so for a week":              {facts{first, charged("b", 30, underway)}, 37 * day, "sub_1 over"},
		"it is to end":                      {facts{first, body(active, "pdt_pro", 0, after(day), atEnd)}, month, "sub_1 over"},
		"its term ends before its period":   {facts{first, body(active, "pdt_pro", 0, after(day), ends(9*day))}, 9 * day, "sub_1 over"},
		"its term ends with its period":     {facts{first, body(active, "pdt_pro", 0, after(day), ends(month))}, month, "sub_1 over"},
		"its term ends after its period":    {facts{first, body(active, "pdt_pro", 0, after(day), ends(month+1))}, month, "sub_1 over owed"},

		"past due, in its grace":        {facts{first, body("past_due", "pdt_pro", 0, after(month))}, 33*day - 1, ""},
		"past due, after its grace":     {facts{first, body("past_due", "pdt_pro", 0, after(month))}, 33 * day, "sub_1 over"},
		"past due again, old grace":     {facts{body("past_due", "pdt_pro", 30, after(month)), {GraceEndsAt: noon.Add(35 * day)}}, 62 * day, ""},
		"a term that ends in the grace": {facts{first, body("past_due", "pdt_pro", 0, after(month), ends(31*day))}, 31 * day, "sub_1 over"},

		"not paid, as far as is known":         {facts{body(active, "pdt_pro", 0)}, day, "sub_1"},
		"paid an hour before":                  {facts{body(active, "pdt_pro", 0), charged("a", 0, dated(-time.Hour))}, day, ""},
		"paid earlier than that":               {facts{body(active, "pdt_pro", 0), charged("a", 0, dated(-time.Hour-ms))}, day, "sub_1"},
		"paid at its end, for the next one":    {facts{body(active, "pdt_pro", 0), charged("a", 30)}, day, "sub_1"},
		"charged on demand, and not yet":       {facts{body(active, "pdt_pro", 0, onDemand)}, day, ""},
		"charged, and nothing else is known":   {facts{charged("a", 0)}, 0, "sub_1 untold over owed"},
		"charged twice, and nothing else":      {facts{charged("a", 0), charged("b", 0, dated(50*time.Minute))}, time.Hour, "sub_1 untold over"},
		"pending, and charged":                 {facts{body("pending", "pdt_pro", 0), charged("a", 0)}, time.Hour - 1, "sub_1 untold over owed"},
		"pending":                              {facts{body("pending", "pdt_pro", 0)}, day, ""},
		"a charge that failed, and no more":    {facts{charged("a", 0, failed)}, day, ""},
		"a charge under way, and no more":      {facts{charged("a", 0, underway)}, day, ""},
		"a new card, and nothing else":         {facts{charged("a", 0, methodOnly)}, day, ""},
		"on hold":                              {facts{first, body("on_hold", "pdt_pro", 0, after(month))}, 40 * day, ""},
		"on hold, then charged":                {facts{first, body("on_hold", "pdt_pro", 0, after(month)), charged("b", 32)}, 32 * day, "sub_1 over owed"},
		"on hold, charged up to a week before": {facts{first, body("on_hold", "pdt_pro", 0, after(month)), charged("b", 23, dated(ms))}, 31 * day, "sub_1 over"},
		"on hold, charged a week before":       {facts{first, body("on_hold", "pdt_pro", 0, after(month)), charged("b", 23)}, 31 * day, ""},
		"paused, and a charge is under way":    {facts{first, body("paused", "pdt_pro", 0, after(month)), charged("b", 30, underway)}, 31 * day, "sub_1 over"},
		"paused, and a charge that failed":     {facts{first, body("paused", "pdt_pro", 0, after(month)), charged("b", 31, failed)}, 31 * day, ""},
		"cancelled":                            {facts{first, body("cancelled", "pdt_pro", 0, after(month))}, 40 * day, ""},
		"cancelled at the instant of a charge": {facts{first, body("cancelled", "pdt_pro", 0, after(month)), charged("b", 30)}, 40 * day, ""},
		"cancelled, then charged":              {facts{first, body("cancelled", "pdt_pro", 0, after(month)), charged("b", 30, dated(ms))}, 40 * day, "sub_1 over"},
		"expired, charged days before":         {facts{first, body("expired", "pdt_pro", 0, after(month)), charged("b", 29)}, 40 * day, ""},
	} {
		t.Run(name, func(t *testing.T) {
			permute(c.facts, func(order []entitlement.Subscription) {
				if got := doubts(doubtful(t, merged(order)), noon.Add(c.after)); got != c.want {
					t.Errorf("%q, want %q", got, c.want)
				}
			})
		})
	}
}

// TestLongestGrace: an unanswered period is followed by the longer of the two graces, an
// answered one only by the operator's.
func TestLongestGrace(t *testing.T) {
	first := body("active", "pdt_pro", 0).Merge(charged("a", 0))
	answered := first.Merge(body("active", "pdt_pro", 0, after(month)))
	for _, c := range []struct {
		what  string
		s     entitlement.Subscription
		grace time.Duration
		lasts time.Duration // of the plan, beyond its period
		owed  time.Duration
	}{
		{"unanswered, no grace", first, 0, time.Hour, time.Hour},
		{"unanswered, a shorter grace", first, time.Minute, time.Hour, time.Hour},
		{"unanswered, a longer grace", first, 2 * time.Hour, 2 * time.Hour, 2 * time.Hour},
		{"answered, no grace", answered, 0, 0, 0},
		{"answered, a shorter grace", answered, time.Minute, time.Minute, 0},
		{"answered, a longer grace", answered, 2 * time.Hour, 2 * time.Hour, 0},
	} {
		a := doubtful(t, c.s)
		a.Grace = c.grace
		for _, after := range []time.Duration{-1, 0, time.Minute - 1, time.Minute, time.Hour - 1, time.Hour, 2*time.Hour - 1, 2 * time.Hour} {
			now := noon.Add(month + after)
			has := a.Snapshot(now, ranking).Plan == "pro"
			owed := strings.HasSuffix(doubts(a, now), " owed")
			if has != (after < c.lasts) || owed != (after >= 0 && after < c.owed) {
				t.Errorf("%s, %v after the period: has the plan %t, owed %t", c.what, after, has, owed)
			}
			wants := noon.Add(month) // when its period ended, once the plan is gone
			if has && after >= 0 {
				wants = wants.Add(c.lasts)
			}
			if got := a.Snapshot(now, ranking).PlanExpiresAt; !got.Equal(wants) {
				t.Errorf("%s, %v after the period: the plan ends at %v, want %v", c.what, after, got, wants)
			}
		}
	}
}

// TestDoubtsOfAPeriod: a doubt has the start of the newest period that Dodo reported, if any.
func TestDoubtsOfAPeriod(t *testing.T) {
	first, second := body("active", "pdt_pro", 0), body("active", "pdt_pro", 30)
	for name, c := range map[string]struct {
		s    entitlement.Subscription
		want time.Time
	}{
		"one period":            {first, noon},
		"two periods":           {first.Merge(second), noon.Add(month)},
		"on hold, then charged": {body("on_hold", "pdt_pro", 30).Merge(charged("a", 31)), noon.Add(month)},
		"nothing but a charge":  {charged("a", 0), time.Time{}},
	} {
		all := doubtful(t, c.s).Doubts(noon.Add(100 * day))
		if len(all) != 1 || !all[0].Since.Equal(c.want) {
			t.Errorf("%s: %+v, want since %v", name, all, c.want)
		}
	}
}

// TestDoubtsByName: doubts are only about subscriptions, in the order of their ids. For
// standings of an earlier release, only an active plan that is over is in doubt.
func TestDoubtsByName(t *testing.T) {
	a := entitlement.Account{Standings: map[string]entitlement.Standing{"payment:pay_1": pass("pro", -2*day, day)}}
	for i, status := range []entitlement.PlanStatus{"active", "past_due", "on_hold", "paused", "cancelled", "expired"} {
		a.Standings[fmt.Sprint("subscription:sub_", 9-i)] = renewing("pro", status, day)
	}
	a.Standings["subscription:sub_0"] = entitlement.Standing{Paid: true}
	if got := doubts(a, noon.Add(day-1)); got != "" {
		t.Errorf("within their periods: %q", got)
	}
	if got, want := doubts(a, noon.Add(day)), "sub_8 over, sub_9 over"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
