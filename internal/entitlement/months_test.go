package entitlement_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

var monthlyTerms = map[string]entitlement.Terms{
	"pdt_year":    {Plan: "pro", Credits: 100, CreditsMonthly: true},
	"pdt_big":     {Plan: "team", Credits: 500, CreditsMonthly: true},
	"pdt_keep":    {Plan: "pro", Credits: 100, CreditsMonthly: true, CreditsStay: true},
	"pdt_much":    {Plan: "team", Credits: 500, CreditsMonthly: true, CreditsStay: true},
	"pdt_brief":   {Plan: "pro", Credits: 100, CreditsMonthly: true, CreditsExpire: 7 * day},
	"pdt_lump":    {Plan: "pro", Credits: 1000},
	"pdt_heap":    {Plan: "pro", Credits: 6000},
	"pdt_bigger":  {Plan: "pro", Credits: 300, CreditsMonthly: true, CreditsExpire: 7 * day},
	"pdt_short":   {Plan: "pro", Credits: 100, CreditsExpire: 7 * day},
	"pdt_shorter": {Plan: "pro", Credits: 200, CreditsExpire: 7 * day},
}

func monthlyCatalog(id string, _ time.Time) (entitlement.Terms, bool) {
	t, ok := monthlyTerms[id]
	return t, ok
}

func utc(text string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		panic(err)
	}
	return t
}

// running is a subscription that was seen active in a period, at its start.
func running(product string, start, end time.Time, change ...func(*entitlement.SubscriptionState)) entitlement.Subscription {
	s := entitlement.SubscriptionState{
		At: start, Status: entitlement.SubscriptionActive, ProductID: product, Quantity: 1,
		CreatedAt: start, PeriodStart: start, PeriodEnd: end,
	}
	for _, c := range change {
		c(&s)
	}
	return entitlement.Observed(s)
}

// yearly is a yearly one from 15 January 2026, as it was seen later.
func yearly(product, at string, change ...func(*entitlement.SubscriptionState)) entitlement.Subscription {
	start := utc("2026-01-15 10:00")
	return running(product, start, start.AddDate(1, 0, 0), append([]func(*entitlement.SubscriptionState){
		func(s *entitlement.SubscriptionState) { s.At, s.Cycle = utc(at), 365*day },
	}, change...)...)
}

func became(status entitlement.SubscriptionStatus, stopped string) func(*entitlement.SubscriptionState) {
	return func(s *entitlement.SubscriptionState) {
		if s.Status = status; stopped != "" {
			s.StoppedAt = utc(stopped)
		}
	}
}

func periodEnds(end string) func(*entitlement.SubscriptionState) {
	return func(s *entitlement.SubscriptionState) { s.PeriodEnd = utc(end) }
}

func paidYear(change ...func(*entitlement.Payment)) entitlement.Subscription {
	p := entitlement.Payment{Status: entitlement.PaymentSucceeded, Total: 1200, Currency: "USD", Subscription: "sub_1", CreatedAt: utc("2026-01-15 10:00")}
	for _, c := range change {
		c(&p)
	}
	return entitlement.Subscription{Charges: map[string]entitlement.Payment{"pay_1": p}}
}

func targetsOf(t *testing.T, s entitlement.Subscription) []ledger.Target {
	t.Helper()
	e, err := s.Effect("sub_1", monthlyCatalog, freeze)
	if err != nil {
		t.Fatal(err)
	}
	return e.Grants
}

// begins are the days on which something is given, in order.
func begins(targets []ledger.Target) string {
	var days []string
	for _, g := range targets {
		if g.Amount > 0 {
			days = append(days, g.CreatedAt.Format("2006-01-02"))
		}
	}
	slices.Sort(days)
	return strings.Join(days, " ")
}

func TestMonthsFollowTheirAnchor(t *testing.T) {
	for name, c := range map[string]struct{ start, end, want string }{
		"the 31st": {"2026-01-31 08:30", "2026-07-31 08:30",
			"2026-01-31 2026-02-28 2026-03-31 2026-04-30 2026-05-31 2026-06-30"},
		"the 30th":                {"2026-01-30 08:30", "2026-04-30 08:30", "2026-01-30 2026-02-28 2026-03-30"},
		"the 31st in a leap year": {"2028-01-31 08:30", "2028-04-30 08:30", "2028-01-31 2028-02-29 2028-03-31"},
		"29 February, a year": {"2028-02-29 00:00", "2029-02-28 00:00",
			"2028-02-29 2028-03-29 2028-04-29 2028-05-29 2028-06-29 2028-07-29 2028-08-29 2028-09-29 2028-10-29 2028-11-29 2028-12-29 2029-01-29"},
		"29 February, a year that ends on 1 March": {"2028-02-29 00:00", "2029-03-01 00:00",
			"2028-02-29 2028-03-29 2028-04-29 2028-05-29 2028-06-29 2028-07-29 2028-08-29 2028-09-29 2028-10-29 2028-11-29 2028-12-29 2029-01-29"},
		"over the end of a year":             {"2026-11-30 23:59", "2027-02-28 23:59", "2026-11-30 2026-12-30 2027-01-30"},
		"one month from 31 January":          {"2026-01-31 08:30", "2026-02-28 08:30", "2026-01-31"},
		"one month to 28 March":              {"2026-02-28 08:30", "2026-03-28 08:30", "2026-02-28"},
		"31 January to 3 March":              {"2026-01-31 08:30", "2026-03-03 08:30", "2026-01-31"},
		"thirty days over February":          {"2026-02-01 00:00", "2026-03-03 00:00", "2026-02-01"},
		"a year that ends a moment later":    {"2026-01-01 00:00", "2026-03-01 00:01", "2026-01-01 2026-02-01"},
		"three months that end a bit sooner": {"2026-01-01 00:00", "2026-03-31 23:59", "2026-01-01 2026-02-01 2026-03-01"},
		"360 days are twelve months": {"2026-01-01 00:00", "2026-12-27 00:00",
			"2026-01-01 2026-02-01 2026-03-01 2026-04-01 2026-05-01 2026-06-01 2026-07-01 2026-08-01 2026-09-01 2026-10-01 2026-11-01 2026-12-01"},
		"a week":                  {"2026-01-28 00:00", "2026-02-04 00:00", "2026-01-28"},
		"a month and a half":      {"2026-01-01 00:00", "2026-02-16 00:00", "2026-01-01 2026-02-01"},
		"a minute less than that": {"2026-01-01 00:00", "2026-02-15 23:59", "2026-01-01"},
	} {
		t.Run(name, func(t *testing.T) {
			targets := targetsOf(t, running("pdt_year", utc(c.start), utc(c.end)))
			if got := begins(targets); got != c.want {
				t.Errorf("begins on\n%s, want\n%s", got, c.want)
			}
			for i, g := range targets {
				next := utc(c.end)
				if i+1 < len(targets) {
					next = targets[i+1].StartsAt
				}
				if g.Amount != 100 || !g.ExpiresAt.Equal(next) || i > 0 && !g.StartsAt.Equal(g.CreatedAt) || i == 0 && !g.StartsAt.IsZero() {
					t.Errorf("month %d is %+v, want one that ends on %s", i, g, next)
				}
				if at := g.CreatedAt; at.Location() != time.UTC || at.Format("15:04") != c.start[11:] {
					t.Errorf("month %d begins at %s", i, at)
				}
			}
		})
	}
}

// A start in another zone is counted by the day in UTC.
func TestMonthsAreInUTC(t *testing.T) {
	east := time.FixedZone("east", 9*3600)
	start := time.Date(2026, 2, 1, 6, 0, 0, 0, east) // 31 January, 21:00 UTC
	got := begins(targetsOf(t, running("pdt_year", start, start.AddDate(0, 0, 89))))
	if want := "2026-01-31 2026-02-28 2026-03-31"; got != want {
		t.Errorf("begins on %s, want %s", got, want)
	}
}

func TestMonthlyPlanGivesOneMonthForEachPeriod(t *testing.T) {
	var s entitlement.Subscription
	days := []string{"2026-01-31 00:00", "2026-02-28 00:00", "2026-03-28 00:00", "2026-04-28 00:00", "2026-05-28 00:00"}
	for i := range len(days) - 1 {
		s = s.Merge(entitlement.Renewed(running("pdt_year", utc(days[i]), utc(days[i+1]), func(s *entitlement.SubscriptionState) {
			s.CreatedAt, s.Cycle = utc(days[0]), 30*day
		}).State))
	}
	if got, want := begins(targetsOf(t, s)), "2026-01-31 2026-02-28 2026-03-28 2026-04-28"; got != want {
		t.Errorf("begins on %s, want %s", got, want)
	}
}

// A pause makes a monthly period longer, and gives no second month in it.
func TestMonthsOfALongPeriod(t *testing.T) {
	s := running("pdt_year", utc("2026-01-15 00:00"), utc("2026-03-27 00:00"), func(s *entitlement.SubscriptionState) { s.Cycle = 30 * day })
	if got := targetsOf(t, s); begins(got) != "2026-01-15" || !got[0].ExpiresAt.Equal(utc("2026-03-27 00:00")) {
		t.Errorf("it gives %+v", got)
	}
}

func TestMonthsByStatus(t *testing.T) {
	const all = "01 02 03 04 05 06 07 08 09 10 11 12"
	active, paused, onHold, cancelled := entitlement.SubscriptionActive, entitlement.SubscriptionPaused, entitlement.SubscriptionOnHold, entitlement.SubscriptionCancelled
	first := yearly("pdt_year", "2026-01-15 10:00")
	type facts = []entitlement.Subscription
	for name, c := range map[string]struct {
		facts facts
		want  string // the months of 2026 in which something begins
	}{
		"active":    {facts{first}, all},
		"past due":  {facts{first, yearly("pdt_year", "2026-05-20 00:00", became(entitlement.SubscriptionPastDue, ""))}, all},
		"cancelled": {facts{first, yearly("pdt_year", "2026-05-20 00:00", became(cancelled, "2026-05-20 00:00"))}, "01 02 03 04 05"},
		"cancelled, and read again later": {facts{first, yearly("pdt_year", "2026-05-20 00:00", became(cancelled, "2026-05-20 00:00")),
			yearly("pdt_year", "2026-09-20 00:00", became(cancelled, "2026-05-20 00:00"))}, "01 02 03 04 05"},
		"cancelled, and nobody says when": {facts{first, yearly("pdt_year", "2026-05-20 00:00", became(cancelled, "")),
			yearly("pdt_year", "2026-09-20 00:00", became(cancelled, ""))}, "01 02 03 04 05"},
		"cancelled at the period's end": {facts{first, yearly("pdt_year", "2026-05-20 00:00", became(cancelled, "2026-05-20 00:00"),
			func(s *entitlement.SubscriptionState) { s.CancelAtEnd = true })}, all},
		"cancelled at the period's end, as of when that was scheduled": {facts{first,
			yearly("pdt_year", "2026-05-20 00:01", func(s *entitlement.SubscriptionState) { s.CancelAtEnd = true }),
			yearly("pdt_year", "2027-01-15 10:00", became(cancelled, "2026-05-20 00:00"))}, all},
		"cancelled as soon as that was scheduled, and ended at the period's end": {facts{first,
			yearly("pdt_year", "2026-05-20 00:00", became(cancelled, "2026-05-20 00:00"), func(s *entitlement.SubscriptionState) { s.CancelAtEnd = true }),
			yearly("pdt_year", "2027-01-15 10:00", became(cancelled, "2026-05-20 00:00"))}, all},
		"scheduled to end, and then cancelled at once": {facts{first,
			yearly("pdt_year", "2026-05-20 00:01", func(s *entitlement.SubscriptionState) { s.CancelAtEnd = true }),
			yearly("pdt_year", "2026-07-20 00:01", became(cancelled, "2026-07-20 00:00")), yearly("pdt_year", "2026-09-20 00:00", became(cancelled, "2026-07-20 00:00"))},
			"01 02 03 04 05 06 07"},
		"on hold, with the start of a pause that is over": {facts{first, yearly("pdt_year", "2026-03-20 00:00"),
			yearly("pdt_year", "2026-06-20 00:00", became(onHold, "2026-02-20 00:00")), yearly("pdt_year", "2026-08-20 00:00", became(onHold, "2026-02-20 00:00"))},
			"01 02 03 04 05 06"},
		"failed":      {facts{first, yearly("pdt_year", "2026-05-20 00:00", became(entitlement.SubscriptionFailed, ""))}, "01 02 03 04 05"},
		"expired":     {facts{first, yearly("pdt_year", "2026-05-20 00:00", became(entitlement.SubscriptionExpired, ""))}, "01 02 03 04 05"},
		"ends sooner": {facts{first, yearly("pdt_year", "2026-02-20 00:00", func(s *entitlement.SubscriptionState) { s.ExpiresAt = utc("2026-05-15 10:00") })}, "01 02 03 04"},
		"on hold":     {facts{first, yearly("pdt_year", "2026-05-20 00:00", became(onHold, "")), yearly("pdt_year", "2026-08-20 00:00", became(onHold, ""))}, "01 02 03 04 05"},
		"on hold, then cancelled": {facts{first, yearly("pdt_year", "2026-05-20 00:00", became(onHold, "")),
			yearly("pdt_year", "2026-08-20 00:00", became(cancelled, "2026-08-20 00:00"))}, "01 02 03 04 05"},
		"on hold, and recovered": {facts{first, yearly("pdt_year", "2026-05-20 00:00", became(onHold, "")), yearly("pdt_year", "2026-08-20 00:00")}, all},
		"on hold twice": {facts{first, yearly("pdt_year", "2026-02-20 00:00", became(onHold, "")), yearly("pdt_year", "2026-03-20 00:00"),
			yearly("pdt_year", "2026-06-20 00:00", became(onHold, ""))}, "01 02 03 04 05 06"},
		"paused":                    {facts{first, yearly("pdt_year", "2026-05-21 00:00", became(paused, "2026-05-20 00:00"))}, "01 02 03 04 05"},
		"paused, and heard of late": {facts{first, yearly("pdt_year", "2026-08-21 00:00", became(paused, "2026-05-20 00:00"))}, "01 02 03 04 05"},
		"paused, unpaused, and the period moved": {facts{first, yearly("pdt_year", "2026-05-20 00:00", became(paused, "2026-05-20 00:00")),
			yearly("pdt_year", "2026-08-20 00:00", became(active, ""), periodEnds("2027-04-17 10:00"))}, "01 02 03 04 05 09 10 11 12 01 02 03"},
		"paused from the start of one month to that of another": {facts{first, yearly("pdt_year", "2026-05-15 10:00", became(paused, "2026-05-15 10:00")),
			yearly("pdt_year", "2026-08-15 10:00", became(active, ""), periodEnds("2027-04-17 10:00"))}, "01 02 03 04 08 09 10 11 12 01 02 03"},
		"paused from moments after a month began to moments after another": {facts{first, yearly("pdt_year", "2026-05-15 10:01", became(paused, "2026-05-15 10:01")),
			yearly("pdt_year", "2026-08-15 10:01", became(active, ""), periodEnds("2027-04-17 10:00"))}, "01 02 03 04 05 09 10 11 12 01 02 03"},
		"paused, unpaused, and the pause is still named": {facts{first, yearly("pdt_year", "2026-05-20 00:00", became(paused, "2026-05-20 00:00")),
			yearly("pdt_year", "2026-08-20 00:00", became(active, "2026-05-20 00:00"), periodEnds("2027-04-17 10:00"))}, "01 02 03 04 05 09 10 11 12 01 02 03"},
		"paused from its start": {facts{yearly("pdt_year", "2026-01-15 10:00", became(paused, "2026-01-15 10:00")), paidYear(),
			yearly("pdt_year", "2026-04-17 10:00", became(active, ""), periodEnds("2027-04-17 10:00"))}, "01 05 06 07 08 09 10 11 12 01 02 03"},
		"stopped when a month begins": {facts{first, yearly("pdt_year", "2026-05-15 10:00", became(onHold, ""))}, "01 02 03 04"},
		"stopped just after":          {facts{first, yearly("pdt_year", "2026-05-15 10:01", became(onHold, ""))}, "01 02 03 04 05"},
		"its term ends when a month begins, and it was stopped later": {facts{first, yearly("pdt_year", "2026-07-20 00:00", became(onHold, ""),
			func(s *entitlement.SubscriptionState) { s.ExpiresAt = utc("2026-05-15 10:00") })}, "01 02 03 04"},
		"stopped before its term ends": {facts{first, yearly("pdt_year", "2026-03-20 00:00", became(onHold, ""),
			func(s *entitlement.SubscriptionState) { s.ExpiresAt = utc("2026-05-15 10:00") })}, "01 02 03"},
		"cancelled as of the instant at which it was seen with access": {facts{first, yearly("pdt_year", "2026-05-20 00:00"),
			yearly("pdt_year", "2026-08-20 00:00", became(cancelled, "2026-05-20 00:00"))}, "01 02 03 04 05 06 07 08"},
		"to be cancelled, and read after its end": {facts{first,
			yearly("pdt_year", "2027-03-20 00:00", became(cancelled, "2026-05-20 00:00"), func(s *entitlement.SubscriptionState) { s.CancelAtEnd = true }),
			yearly("pdt_year", "2027-03-10 00:00", became(entitlement.SubscriptionExpired, ""))}, all},
		"paused twice, and the period moved twice": {facts{first, yearly("pdt_year", "2026-02-20 00:00", became(paused, "2026-02-20 00:00")),
			yearly("pdt_year", "2026-03-20 00:00", periodEnds("2027-02-12 10:00")),
			yearly("pdt_year", "2026-05-20 00:00", became(paused, "2026-05-20 00:00"), periodEnds("2027-02-12 10:00")),
			yearly("pdt_year", "2026-06-20 00:00", periodEnds("2027-03-15 10:00"))}, "01 02 04 05 07 08 09 10 11 12 01 02"},
		"refunded in full":                   {facts{first, paidYear(refunded(1200))}, ""},
		"five months of twelve are paid for": {facts{first, paidYear(refunded(700))}, "01 02 03 04 05"},
		"half of the last month, too":        {facts{first, paidYear(refunded(650))}, "01 02 03 04 05 06"},
		"refunded in part, and cancelled": {facts{first, paidYear(refunded(700)),
			yearly("pdt_year", "2026-03-20 00:00", became(cancelled, "2026-03-20 00:00"))}, "01 02 03"},
	} {
		t.Run(name, func(t *testing.T) {
			var s entitlement.Subscription
			for _, f := range c.facts {
				s = s.Merge(f)
			}
			var got []string
			for day := range strings.FieldsSeq(begins(targetsOf(t, s))) {
				got = append(got, day[5:7])
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("begins in %s, want %s", got, c.want)
			}
			for _, other := range permutations(c.facts) {
				var again entitlement.Subscription
				for _, f := range other {
					again = f.Merge(again)
				}
				if !reflect.DeepEqual(targetsOf(t, again), targetsOf(t, s)) {
					t.Errorf("in another order it begins on %s", begins(targetsOf(t, again)))
				}
			}
		})
	}
}

func permutations[T any](list []T) [][]T {
	if len(list) < 2 {
		return [][]T{list}
	}
	var all [][]T
	for i := range list {
		rest := slices.Delete(slices.Clone(list), i, i+1)
		for _, p := range permutations(rest) {
			all = append(all, append([]T{list[i]}, p...))
		}
	}
	return all
}

// Over a pause, the credits of the month in which it began last until the next month that
// is given.
func TestMonthBeforeAPause(t *testing.T) {
	s := yearly("pdt_year", "2026-01-15 10:00").
		Merge(yearly("pdt_year", "2026-05-20 00:00", became(entitlement.SubscriptionPaused, "2026-05-20 00:00")))
	if got := targetsOf(t, s); len(got) != 5 || !got[4].ExpiresAt.Equal(utc("2026-06-15 10:00")) {
		t.Errorf("paused: %+v", got[len(got)-1])
	}
	s = s.Merge(yearly("pdt_year", "2026-08-20 00:00", periodEnds("2027-04-17 10:00")))
	if got := targetsOf(t, s); len(got) != 12 || !got[4].ExpiresAt.Equal(utc("2026-09-15 10:00")) {
		t.Errorf("unpaused: %+v", got[4])
	}
}

// A cycle that takes the place of another one ends its months, and its first month is its
// own.
func TestMonthsOfANewCycle(t *testing.T) {
	s := yearly("pdt_year", "2026-01-15 10:00").Merge(paidYear())
	next := running("pdt_year", utc("2026-05-20 00:00"), utc("2027-05-20 00:00"), func(s *entitlement.SubscriptionState) { s.CreatedAt = utc("2026-01-15 10:00") })
	s = s.Merge(entitlement.Renewed(next.State))
	want := "2026-01-15 2026-02-15 2026-03-15 2026-04-15 2026-05-15 " +
		"2026-05-20 2026-06-20 2026-07-20 2026-08-20 2026-09-20 2026-10-20 2026-11-20 2026-12-20 2027-01-20 2027-02-20 2027-03-20 2027-04-20"
	if got := begins(targetsOf(t, s)); got != want {
		t.Errorf("begins on\n%s, want\n%s", got, want)
	}
}

// A cycle that was given back leaves the months of the one before as they were.
func TestMonthsOfANewCycleGivenBack(t *testing.T) {
	next := running("pdt_year", utc("2026-05-20 00:00"), utc("2027-05-20 00:00"), func(s *entitlement.SubscriptionState) { s.CreatedAt = utc("2026-01-15 10:00") })
	s := yearly("pdt_year", "2026-01-15 10:00").Merge(paidYear()).Merge(entitlement.Renewed(next.State))
	charge := extra(600, "2026-05-20 00:00")
	if got := len(strings.Fields(begins(targetsOf(t, s.Merge(charge))))); got != 17 {
		t.Errorf("%d months, want 5 and 12", got)
	}
	p := charge.Charges["pay_2"]
	refunded(600)(&p)
	s = s.Merge(entitlement.Subscription{Charges: map[string]entitlement.Payment{"pay_2": p}})
	if got, want := begins(targetsOf(t, s)), begins(targetsOf(t, yearly("pdt_year", "2026-01-15 10:00"))); got != want {
		t.Errorf("begins on\n%s, want\n%s", got, want)
	}
}

// A cycle that was paid for in part, and seen only later, leaves the months of the one
// before as they are.
func TestMonthsOfACyclePaidInPart(t *testing.T) {
	next := running("pdt_big", utc("2026-05-20 00:00"), utc("2027-05-20 00:00"), costs(6000), func(s *entitlement.SubscriptionState) {
		s.At, s.CreatedAt = utc("2026-05-20 01:00"), utc("2026-01-15 10:00")
	})
	s := yearly("pdt_year", "2026-01-15 10:00", costs(1200)).Merge(paidYear()).Merge(entitlement.Renewed(next.State)).Merge(extra(600, "2026-05-20 00:00"))
	var sum int64
	targets := targetsOf(t, s)
	for _, g := range targets {
		sum += g.Amount
	}
	if got := begins(targets); !strings.Contains(got, "2026-12-15") || sum != 1200+600 {
		t.Errorf("%d credits, which begin on %s", sum, got)
	}
}

// A cycle that is paid for in addition to the one before leaves its months as they are.
func TestMonthsOfACycleInAddition(t *testing.T) {
	priced := func(s *entitlement.SubscriptionState) { s.Price, s.Currency = 1200, "USD" }
	s := yearly("pdt_year", "2026-01-15 10:00", priced).Merge(paidYear())
	s = s.Merge(running("pdt_year", utc("2026-05-20 00:00"), utc("2027-05-20 00:00"), priced, func(s *entitlement.SubscriptionState) { s.CreatedAt = utc("2026-01-15 10:00") }))
	s = s.Merge(entitlement.Subscription{Charges: map[string]entitlement.Payment{"pay_2": {
		Status: entitlement.PaymentSucceeded, Total: 1200, Currency: "USD", Subscription: "sub_1", CreatedAt: utc("2026-05-20 00:00"),
	}}})
	if got := len(strings.Fields(begins(targetsOf(t, s)))); got != 24 {
		t.Errorf("%d months of two years that were paid", got)
	}
}

// A plan of another length, from a renewal on, leaves the months of the year before.
func TestMonthsBeforeAShorterPlan(t *testing.T) {
	s := yearly("pdt_year", "2026-01-15 10:00", func(s *entitlement.SubscriptionState) { s.Cycle = 365 * day })
	before := len(targetsOf(t, s))
	s = s.Merge(entitlement.Renewed(running("pdt_big", utc("2027-01-15 10:00"), utc("2027-02-15 10:00"), func(s *entitlement.SubscriptionState) {
		s.CreatedAt, s.Cycle = utc("2026-01-15 10:00"), 30*day
	}).State))
	if got := len(targetsOf(t, s)); before != 12 || got != 13 {
		t.Errorf("%d months, then %d; want 12, then 13", before, got)
	}
}

func TestMonthsExpireAsTheProductSays(t *testing.T) {
	for _, c := range []struct{ product, want string }{
		{"pdt_year", "2026-03-15 10:00"}, {"pdt_brief", "2026-02-22 10:00"}, {"pdt_keep", "0001-01-01 00:00"},
	} {
		if got := targetsOf(t, yearly(c.product, "2026-01-15 10:00"))[1].ExpiresAt.Format("2006-01-02 15:04"); got != c.want {
			t.Errorf("the second month of %s ends at %s, want %s", c.product, got, c.want)
		}
	}
}

// A start that turns out to be earlier by a moment names all months anew, and none is
// given twice.
func TestMonthsUnderANewName(t *testing.T) {
	before := entitlement.Record{}.Fold(entitlement.Fact{Subscription: yearly("pdt_year", "2026-01-15 10:00")}, monthlyCatalog)
	sooner := running("pdt_year", utc("2026-01-15 09:59"), utc("2027-01-15 09:59"))
	after := before.Fold(entitlement.Fact{Subscription: sooner}, monthlyCatalog)
	ref := entitlement.Ref{Kind: entitlement.KindSubscription, ID: "sub_1"}
	now := utc("2026-03-01 00:00")
	var account ledger.Account
	for _, step := range []struct{ next, prior entitlement.Record }{{before, entitlement.Record{}}, {after, before}, {after, after}} {
		e, err := step.next.Effect(ref, step.prior, freeze)
		if err != nil {
			t.Fatal(err)
		}
		if account, _, err = account.Apply(e.Grants, ledger.PolicyDebt, "", now); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		at   string
		want int64
	}{{"2026-03-01 00:00", 100}, {"2026-03-15 09:58", 100}, {"2026-03-15 09:59", 100}, {"2027-01-15 09:59", 100}, {"2027-01-15 10:00", 0}} {
		if got := account.Available(utc(c.at)); got != c.want || account.Debt != 0 {
			t.Errorf("at %s there are %d, want %d", c.at, got, c.want)
		}
	}
}

func TestMonthsOfAPass(t *testing.T) {
	at := utc("2026-01-31 12:00")
	bought := func(quantity int64, refund int64) entitlement.Payment {
		p := entitlement.Payment{Status: entitlement.PaymentSucceeded, Total: 1200, Currency: "USD", CreatedAt: at,
			Cart: []entitlement.Line{{ProductID: "pdt", Quantity: quantity}}}
		refunded(refund)(&p)
		return p
	}
	for name, c := range map[string]struct {
		terms    entitlement.Terms
		quantity int64
		refund   int64
		months   int
		sum      int64
		last     string
	}{
		"a year":                  {entitlement.Terms{Plan: "pro", Lasts: 365 * day}, 1, 0, 12, 1200, "2026-12-31 12:00"},
		"two of a year":           {entitlement.Terms{Plan: "pro", Lasts: 365 * day}, 2, 0, 24, 2400, "2027-12-31 12:00"},
		"thirty days":             {entitlement.Terms{Plan: "pro", Lasts: 30 * day}, 1, 0, 1, 100, "2026-01-31 12:00"},
		"a month and a half":      {entitlement.Terms{Lasts: 43 * day}, 1, 0, 2, 200, "2026-02-28 12:00"},
		"a day less than that":    {entitlement.Terms{Lasts: 42 * day}, 1, 0, 1, 100, "2026-01-31 12:00"},
		"ninety days":             {entitlement.Terms{Plan: "pro", Lasts: 90 * day}, 1, 0, 3, 300, "2026-03-31 12:00"},
		"twelve of thirty days":   {entitlement.Terms{Plan: "pro", Lasts: 30 * day}, 12, 0, 12, 1200, "2026-12-31 12:00"},
		"credits alone":           {entitlement.Terms{Lasts: 365 * day}, 1, 0, 12, 1200, "2026-12-31 12:00"},
		"without end":             {entitlement.Terms{Plan: "pro"}, 3, 0, 1, 300, "2026-01-31 12:00"},
		"more than can be listed": {entitlement.Terms{Lasts: 365 * day}, 30, 0, 240, 36000, "2045-12-31 12:00"},
		"five months of twelve":   {entitlement.Terms{Lasts: 365 * day}, 1, 700, 12, 500, "2026-05-31 12:00"},
		"all of it is given back": {entitlement.Terms{Lasts: 365 * day}, 1, 1200, 12, 0, ""},
		"a hundred years":         {entitlement.Terms{Lasts: 100 * 366 * day}, 1, 0, 240, 120000, "2045-12-31 12:00"},
	} {
		t.Run(name, func(t *testing.T) {
			c.terms.Credits, c.terms.CreditsMonthly = 100, true
			e, err := bought(c.quantity, c.refund).Effect("pay_1", map[string]entitlement.Terms{"pdt": c.terms}, freeze)
			if err != nil {
				t.Fatal(err)
			}
			var sum int64
			last, ids := "", make(map[string]bool)
			for _, g := range e.Grants {
				if sum += g.Amount; g.Amount > 0 {
					last = g.CreatedAt.Format("2006-01-02 15:04")
				}
				ids[g.ID] = true
			}
			if len(e.Grants) != c.months || len(ids) != c.months || sum != c.sum || last != c.last {
				t.Errorf("%d months of %d names give %d, the last one on %s; want %d, %d, %s", len(e.Grants), len(ids), sum, last, c.months, c.sum, c.last)
			}
		})
	}
}

// What pieces give when they are bought: of credits by the month that last, those of the
// first piece's first month.
func TestAtOnce(t *testing.T) {
	for _, c := range []struct {
		terms entitlement.Terms
		want  int64
	}{
		{entitlement.Terms{Credits: 10}, 30},
		{entitlement.Terms{Credits: 10, Lasts: 90 * day}, 30},
		{entitlement.Terms{Credits: 10, CreditsMonthly: true}, 30},
		{entitlement.Terms{Credits: 10, CreditsMonthly: true, Lasts: 90 * day}, 10},
	} {
		p := entitlement.Payment{Status: entitlement.PaymentSucceeded, Total: 1200, Currency: "USD", CreatedAt: noon, Cart: []entitlement.Line{line("pdt", 3)}}
		e, err := p.Effect("pay_1", map[string]entitlement.Terms{"pdt": c.terms}, freeze)
		if err != nil || c.terms.AtOnce(3) != c.want || e.Grants[0].Amount != c.want {
			t.Errorf("%+v: %d at once, want %d; it gives %+v, %v", c.terms, c.terms.AtOnce(3), c.want, e.Grants, err)
		}
	}
}

// At every time, what a year has given is the months that began times the credits, however
// long the account was left alone.
func TestMonthsInTheLedger(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := utc("2026-01-01 00:00").Add(time.Duration(rapid.Int64Range(0, int64(4*365*day)).Draw(t, "start")))
		credits := rapid.Int64Range(1, 1000).Draw(t, "credits")
		years := rapid.IntRange(1, 3).Draw(t, "years")
		end := start.AddDate(years, 0, 0)
		s := running("pdt", start, end)
		e, err := s.Effect("sub_1", func(string, time.Time) (entitlement.Terms, bool) {
			return entitlement.Terms{Credits: credits, CreditsMonthly: true, CreditsStay: true}, true
		}, freeze)
		if err != nil || len(e.Grants) != 12*years {
			t.Fatalf("%d months in %d years from %s, %v", len(e.Grants), years, start, err)
		}
		a, _, err := ledger.Account{}.Apply(e.Grants, ledger.PolicyDebt, "evt", start)
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			at := start.Add(time.Duration(rapid.Int64Range(0, int64(end.Sub(start))).Draw(t, "after")))
			begun := int64(0)
			for k := range 12 * years {
				first := time.Date(start.Year(), start.Month()+time.Month(k), 1, start.Hour(), start.Minute(), start.Second(), start.Nanosecond(), time.UTC)
				on := first.AddDate(0, 0, start.Day()-1)
				if on.Month() != first.Month() {
					on = first.AddDate(0, 1, -1)
				}
				if !at.Truncate(time.Millisecond).Before(on.Truncate(time.Millisecond)) {
					begun++
				}
			}
			if got := a.Available(at); got != begun*credits {
				t.Fatalf("from %s to %s: %d, want %d × %d", start, at, got, begun, credits)
			}
		}
	})
}
