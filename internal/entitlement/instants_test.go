package entitlement_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

// Boundaries in a subscription's life: what happens exactly when a period ends, just
// before it, or for the second time.

type subscriptionEdit = func(*entitlement.SubscriptionState)

// moved moves a period's start, and its end with it.
func moved(d time.Duration) subscriptionEdit {
	return func(s *entitlement.SubscriptionState) {
		s.PeriodStart, s.PeriodEnd = s.PeriodStart.Add(d), s.PeriodEnd.Add(d)
	}
}

func dated(d time.Duration) func(*entitlement.Payment) {
	return func(p *entitlement.Payment) { p.CreatedAt = p.CreatedAt.Add(d) }
}

func merged(order []entitlement.Subscription) (s entitlement.Subscription) {
	for _, f := range append(order, order[0]) {
		s = s.Merge(f)
	}
	return s
}

// TestPeriodsThatTouch: what an account sees around the instants at which periods, terms,
// trials and graces end. The facts come in every order.
func TestPeriodsThatTouch(t *testing.T) {
	type facts = []entitlement.Subscription
	const (
		active, pastDue = entitlement.SubscriptionActive, entitlement.SubscriptionPastDue
		ms              = time.Millisecond
		paid            = "500 pro active paid=true"
		gone            = "500 none expired paid=false"
	)
	first, second := body(active, "pdt_keep", 0), body(active, "pdt_keep", 30)
	graceUntil := func(days int) entitlement.Subscription {
		return entitlement.Subscription{GraceEndsAt: noon.Add(time.Duration(days) * day)}
	}
	trial := func(s *entitlement.SubscriptionState) { s.TrialDays, s.PeriodEnd = 7, s.PeriodStart.Add(7*day) }
	ends := func(days int) subscriptionEdit {
		return func(s *entitlement.SubscriptionState) { s.ExpiresAt = noon.Add(time.Duration(days) * day) }
	}
	for name, c := range map[string]struct {
		facts facts
		after time.Duration // noon, when somebody looks
		want  string
	}{
		"the last instant of a period": {facts{first}, month - 1, paid},
		"the end of a period":          {facts{first}, month, gone},
		"the start of the next one":    {facts{first, second}, month, "1000 pro active paid=true"},
		"the last instant of a trial":  {facts{body(active, "pdt_keep", 0, trial)}, 7*day - 1, "500 pro trialing paid=true"},
		"the end of a trial":           {facts{body(active, "pdt_keep", 0, trial)}, 7 * day, gone},
		"the last instant of a term":   {facts{body(active, "pdt_keep", 0, ends(9))}, 9*day - 1, paid},
		"the end of a term":            {facts{body(active, "pdt_keep", 0, ends(9))}, 9 * day, gone},

		"past due once, in the grace":       {facts{body(pastDue, "pdt_pro", 0, after(month))}, 33*day - 1, "0 pro past_due paid=true"},
		"past due once, after the grace":    {facts{body(pastDue, "pdt_pro", 0, after(month))}, 33 * day, "0 none expired paid=false"},
		"past due twice, in the grace":      {facts{body(pastDue, "pdt_keep", 0, after(month)), graceUntil(35), second, body(pastDue, "pdt_keep", 30, after(month))}, 63*day - 1, "500 pro past_due paid=true"},
		"past due twice, after the grace":   {facts{body(pastDue, "pdt_keep", 0, after(month)), graceUntil(35), second, body(pastDue, "pdt_keep", 30, after(month))}, 63 * day, gone},
		"past due twice, told both times":   {facts{body(pastDue, "pdt_keep", 0, after(month)), graceUntil(35), second, body(pastDue, "pdt_keep", 30, after(month)), graceUntil(70)}, 70*day - 1, "500 pro past_due paid=true"},
		"the old grace ends as this begins": {facts{second, body(pastDue, "pdt_keep", 30, after(month)), graceUntil(60)}, 63*day - 1, "500 pro past_due paid=true"},
		"a grace of one instant":            {facts{second, body(pastDue, "pdt_keep", 30, after(month)), {GraceEndsAt: noon.Add(60*day + 1)}}, 60*day + 1, gone},

		"dates that move to the end of the period":        {facts{first, charged("a", 0), body(active, "pdt_keep", 30)}, 31 * day, "1000 pro active paid=true"},
		"dates that move to less than two minutes before": {facts{first, charged("a", 0), body(active, "pdt_keep", 30, moved(-2*time.Minute+ms))}, 31 * day, "1000 pro active paid=true"},
		"dates that move to two minutes before":           {facts{first, charged("a", 0), body(active, "pdt_keep", 30, moved(-2*time.Minute))}, 31 * day, paid},
		"a change to more at the renewal, paid":           {facts{first, charged("a", 0), body(active, "pdt_hoard", 30), charged("b", 30)}, 31 * day, "1400 team active paid=true"},
		"a change to more a minute before the renewal":    {facts{first, charged("a", 0), body(active, "pdt_hoard", 30, moved(-time.Minute)), charged("b", 30)}, 31 * day, "1400 team active paid=true"},
		"a change to more a day before the renewal":       {facts{first, charged("a", 0), body(active, "pdt_hoard", 29), charged("b", 29, cents(1))}, 31 * day, "900 team active paid=true"},
		"paid again two minutes after it began":           {facts{first, charged("a", 0), body(active, "pdt_keep", 0, moved(2*time.Minute)), charged("b", 0, dated(2*time.Minute))}, day, paid},
		"paid again more than two minutes after":          {facts{first, charged("a", 0), body(active, "pdt_keep", 0, moved(2*time.Minute+ms)), charged("b", 0, dated(2*time.Minute+ms))}, day, "1000 pro active paid=true"},
		"paid again less than two minutes after it began": {facts{first, charged("a", 0), body(active, "pdt_keep", 0, moved(2*time.Minute-ms)), charged("b", 0, dated(2*time.Minute-ms))}, day, paid},

		"the first charge's renewal comes late":        {facts{first, charged("a", 0), entitlement.Renewed(body(active, "pdt_keep", 0, moved(time.Hour-ms), after(time.Hour)).State)}, day, paid},
		"a renewal an hour after the subscription":     {facts{first, charged("a", 0), entitlement.Renewed(body(active, "pdt_keep", 0, moved(time.Hour), after(time.Hour)).State)}, day, "1000 pro active paid=true"},
		"renewals less than two minutes apart":         {facts{first, renewal("pdt_keep", 30), renewal("pdt_keep", 30, moved(2*time.Minute-ms), after(2*time.Minute-ms))}, 31 * day, "1000 pro active paid=true"},
		"renewals two minutes apart":                   {facts{first, renewal("pdt_keep", 30), renewal("pdt_keep", 30, moved(2*time.Minute), after(2*time.Minute))}, 31 * day, "1500 pro active paid=true"},
		"a renewal whose body is of the period behind": {facts{entitlement.Renewed(body("on_hold", "pdt_keep", 30, after(-30*day)).State), charged("a", 0)}, day, "500 none on_hold paid=false"},

		"charged half an hour before the renewal, refunded": {facts{first, charged("a", 0), second, charged("b", 30, dated(-30*time.Minute), refunded(1000))}, 31 * day, gone},
		"charged an hour before the renewal, refunded":      {facts{first, charged("a", 0), second, charged("b", 30, dated(-time.Hour), refunded(1000))}, 31 * day, "1000 pro active paid=true"},
		"paid a minute before, and tried again in vain":     {facts{first, charged("a", 0), second, charged("b", 30, dated(-time.Minute)), charged("c", 30, failed)}, 31 * day, "1000 pro active paid=true"},
		"renewed a minute early, and refunded":              {facts{first, charged("a", 0), body(active, "pdt_keep", 30, moved(-time.Minute)), charged("b", 30, refunded(1000))}, month - time.Second, gone},
		"refunded, and past due by a moment":                {facts{first, charged("a", 0), second, charged("b", 30, refunded(1000)), body(pastDue, "pdt_keep", 30, moved(-time.Minute), after(day))}, 31 * day, gone},

		"tried in vain before the first charge": {facts{first, charged("a", 0, dated(-20*time.Minute), failed)}, day, paid},
		"tried in vain at the renewal":          {facts{first, charged("a", 0), second, charged("b", 30, failed)}, 31 * day, "500 pro active paid=true"},
		"tried in vain over an hour before":     {facts{first, charged("a", 0), second, charged("b", 30, dated(-time.Hour-ms), failed)}, 31 * day, "1000 pro active paid=true"},

		"no pieces":                                {facts{body(active, "pdt_credits", 0, timesQuantity(0))}, day, "0 none none paid=false"},
		"a period without an instant":              {facts{body(active, "pdt_keep", 0, func(s *entitlement.SubscriptionState) { s.PeriodEnd = s.PeriodStart })}, 0, "0 none expired paid=false"},
		"a period of one instant":                  {facts{body(active, "pdt_keep", 0, func(s *entitlement.SubscriptionState) { s.PeriodEnd = s.PeriodStart.Add(ms) })}, 0, paid},
		"of two quantities at one instant":         {facts{body(active, "pdt_keep", 0, timesQuantity(2)), body(active, "pdt_keep", 0)}, day, paid},
		"two pieces, told before the period began": {facts{body(active, "pdt_keep", 0, after(-day), timesQuantity(2)), body(active, "pdt_keep", 0)}, day, paid},
		"active and cancelled at the same instant": {facts{body(active, "pdt_pro", 0), body("cancelled", "pdt_pro", 0)}, day, "500 none cancelled paid=false"},
		"active and on hold at the same instant":   {facts{body(active, "pdt_pro", 0), body("on_hold", "pdt_pro", 0)}, day, "500 pro active paid=true"},
		"cancelled and expired at the same instant": {
			facts{body("cancelled", "pdt_pro", 0), body("expired", "pdt_pro", 0), body(active, "pdt_pro", 0)}, day, "500 none expired paid=false"},
	} {
		t.Run(name, func(t *testing.T) {
			permute(c.facts, func(order []entitlement.Subscription) {
				if got := see(t, merged(order), noon.Add(c.after)); got != c.want {
					t.Errorf("%s, want %s", got, c.want)
				}
			})
		})
	}
}

// TestMoneyAtTheRenewal: to which cycle a charge around the renewal belongs. Pro costs 9.00
// and gives 500 credits that stay, team costs 18.00 and gives 900.
func TestMoneyAtTheRenewal(t *testing.T) {
	type facts = []entitlement.Subscription
	of := func(product string, cents int64, days int, change ...subscriptionEdit) entitlement.Subscription {
		return body(entitlement.SubscriptionActive, product, days, append([]subscriptionEdit{priced(cents, "USD")}, change...)...)
	}
	pay := func(id string, days int, amount int64, change ...func(*entitlement.Payment)) entitlement.Subscription {
		return charged(id, days, append([]func(*entitlement.Payment){cents(amount)}, change...)...)
	}
	discount := func(s *entitlement.SubscriptionState) { s.Discounted = true }
	trial := func(s *entitlement.SubscriptionState) { s.TrialDays, s.PeriodEnd = 7, s.PeriodStart.Add(7*day) }
	pro, bought, renewed := of("pdt_keep", 900, 0), pay("a", 0, 900), of("pdt_keep", 900, 30)
	for name, c := range map[string]struct {
		facts facts
		want  int64
	}{
		"a minute before and at the renewal":                 {facts{pro, bought, renewed, pay("b", 30, 900, dated(-time.Minute)), pay("c", 30, 900)}, 1500},
		"at the renewal and a minute later":                  {facts{pro, bought, of("pdt_keep", 900, 30, after(time.Hour)), pay("b", 30, 900), pay("c", 30, 900, dated(time.Minute))}, 1500},
		"a minute later, and no body since":                  {facts{pro, bought, renewed, pay("b", 30, 900), pay("c", 30, 900, dated(time.Minute))}, 1000},
		"half an hour before, and at the renewal":            {facts{pro, bought, of("pdt_hoard", 1800, 0, after(month-30*time.Minute)), pay("x", 30, 900, dated(-30*time.Minute)), of("pdt_hoard", 1800, 30), pay("b", 30, 1800)}, 1800},
		"a change that is discounted":                        {facts{pro, bought, of("pdt_hoard", 1800, 0, after(10*day), discount), pay("b", 10, 450)}, 900},
		"a change that is not":                               {facts{pro, bought, of("pdt_hoard", 1800, 0, after(10*day)), pay("b", 10, 450)}, 675},
		"a change that was given back in full":               {facts{pro, bought, of("pdt_hoard", 1800, 0, after(10*day)), pay("b", 10, 900, refunded(900))}, 500},
		"a body of the instant of the charge":                {facts{pro, bought, of("pdt_hoard", 1800, 0, after(10*day)), pay("b", 10, 900)}, 900},
		"a charge a millisecond behind all bodies":           {facts{pro, bought, of("pdt_hoard", 1800, 0, after(10*day)), pay("b", 10, 900, dated(time.Millisecond))}, 500},
		"of a trial, its charge lost, then a change":         {facts{of("pdt_keep", 900, 0, trial), pay("b", 3, 1800), of("pdt_hoard", 1800, 0, trial, after(3*day))}, 1350},
		"of a trial, charged an hour after it began":         {facts{of("pdt_keep", 900, 0, trial), pay("b", 0, 900, dated(time.Hour)), of("pdt_keep", 900, 0, trial, after(3*day))}, 500},
		"of a trial, charged later than that":                {facts{of("pdt_keep", 900, 0, trial), pay("b", 0, 900, dated(time.Hour+1)), of("pdt_keep", 900, 0, trial, after(3*day))}, 1000},
		"two plans within a minute, paid twice":              {facts{pro, bought, of("pdt_hoard", 1800, 0, after(time.Minute)), pay("b", 0, 900, dated(30*time.Second))}, 900},
		"two plans within a minute, paid once":               {facts{pro, of("pdt_hoard", 1800, 0, after(time.Minute)), pay("a", 0, 1800)}, 900},
		"a trial whose first body was lost":                  {facts{pay("a", 0, 0), pay("b", 3, 1800), of("pdt_hoard", 1800, 0, trial, after(4*day))}, 900},
		"a plan that came in after the charge":               {facts{pro, bought, pay("b", 10, 100), of("pdt_keep", 900, 0, after(15*day)), of("pdt_credits", 900, 0, after(20*day))}, 555},
		"charged on demand, without rates":                   {facts{of("pdt_keep", 900, 0, demanded), bought, pay("b", 10, 900), of("pdt_keep", 900, 0, demanded, after(11*day))}, 500},
		"a change moments before a renewal that nobody told": {facts{pro, bought, of("pdt_hoard", 1800, 0, after(month-time.Minute)), pay("b", 30, 900, dated(-2*time.Minute))}, 500},
		"a change just before that":                          {facts{pro, bought, of("pdt_hoard", 1800, 0, after(month-time.Minute)), pay("b", 30, 900, dated(-2*time.Minute-time.Millisecond))}, 900},
		"of a trial, charged with a change":                  {facts{of("pdt_keep", 900, 0, trial), pay("a", 0, 0), pay("b", 3, 1800), of("pdt_hoard", 1800, 3)}, 1400},
		"a change that is heard of an hour after":            {facts{pro, bought, pay("b", 10, 900), of("pdt_hoard", 1800, 0, after(10*day+time.Hour))}, 900},
		"dearer and cheaper at the instant of one":           {facts{pro, bought, of("pdt_hoard", 1800, 0, after(10*day)), of("pdt_credits", 90, 0, after(10*day)), pay("b", 10, 90)}, 545},
		"seen first when the cycle began":                    {facts{of("pdt_hoard", 1800, 0, after(2*time.Minute-1)), bought}, 900},
		"seen first two minutes after":                       {facts{of("pdt_hoard", 1800, 0, after(2*time.Minute)), bought}, 450},
		"seen with the charge two minutes after":             {facts{of("pdt_hoard", 1800, 0), pay("a", 0, 900, dated(2*time.Minute)), of("pdt_hoard", 1800, 0, after(time.Hour))}, 450},
		"seen with the charge within two minutes":            {facts{of("pdt_hoard", 1800, 0), pay("a", 0, 900, dated(2*time.Minute-1)), of("pdt_hoard", 1800, 0, after(time.Hour))}, 900},
		"of exactly the price, two minutes too late":         {facts{pro, bought, of("pdt_hoard", 1800, 10), pay("b", 10, 1800, dated(2*time.Minute)), of("pdt_hoard", 1800, 10, after(time.Hour))}, 1350},
	} {
		t.Run(name, func(t *testing.T) {
			permute(c.facts, func(order []entitlement.Subscription) {
				e, err := merged(order).Effect("sub_1", catalog, freeze)
				if err != nil {
					t.Fatal(err)
				}
				var got int64
				for _, g := range e.Grants {
					got += g.Amount
				}
				if got != c.want {
					t.Errorf("%d credits, want %d", got, c.want)
				}
			})
		})
	}
}

// TestInferredPeriods: the start and end of a period of which only a charge is known.
func TestInferredPeriods(t *testing.T) {
	type facts = []entitlement.Subscription
	const active, ms = entitlement.SubscriptionActive, time.Millisecond
	next := func(after time.Duration, change ...subscriptionEdit) entitlement.Subscription {
		return body(active, "pdt_pro", 0, append([]subscriptionEdit{monthly, moved(after), func(s *entitlement.SubscriptionState) { s.At = s.PeriodStart }}, change...)...)
	}
	paidFor := func(after time.Duration) entitlement.Subscription { return charged("z", 0, dated(after)) }
	trial := func(s *entitlement.SubscriptionState) { s.TrialDays = 14 }
	for name, c := range map[string]struct {
		facts facts
		want  string // from when to when credits last
	}{
		"until the next one":                       {facts{charged("a", 0), next(month), paidFor(month)}, "0s-720h, 720h-1440h"},
		"the next one a bit early":                 {facts{charged("a", 0), next(27 * day), paidFor(27 * day)}, "0s-648h, 648h-1368h"},
		"the next one earlier, by a change":        {facts{charged("a", 0), next(27*day - ms), paidFor(27*day - ms)}, "0s-720h, 647h59m59.999s-1367h59m59.999s"},
		"the next one earlier, for nothing":        {facts{charged("a", 0), next(25 * day)}, "0s-1320h"},
		"two thirds of a period before":            {facts{charged("a", 0), next(20 * day), paidFor(20 * day)}, "0s-720h, 480h-1200h"},
		"less than that before":                    {facts{charged("a", 0), next(20*day - ms), paidFor(20*day - ms)}, "479h59m59.999s-1199h59m59.999s"},
		"the next one half a period late":          {facts{charged("a", 0), next(45 * day), paidFor(45 * day)}, "0s-1080h, 1080h-1800h"},
		"the next one later than that":             {facts{charged("a", 0), next(45*day + ms), paidFor(45*day + ms)}, "0s-720h, 1080h0m0.001s-1800h0m0.001s"},
		"the next one much later":                  {facts{charged("a", 0), next(90 * day), paidFor(90 * day)}, "0s-720h, 2160h-2880h"},
		"a trial until the next one":               {facts{charged("a", 0, free), next(14*day, trial), paidFor(14 * day)}, "0s-336h, 336h-1056h"},
		"a trial, and the next one moments early":  {facts{charged("a", 0, free), next(14*day-time.Minute, trial), paidFor(14 * day)}, "0s-335h59m, 335h59m-1055h59m"},
		"within the trial":                         {facts{charged("a", 0, free), next(13*day, trial)}, "312h-1032h"},
		"seen on hold, charged an hour before":     {facts{charged("a", 0, dated(-time.Hour)), body("on_hold", "pdt_pro", 0, after(day))}, "0s-720h"},
		"seen on hold, charged earlier":            {facts{charged("a", 0, dated(-time.Hour-ms)), body("on_hold", "pdt_pro", 0, after(day))}, ""},
		"seen on hold, charged in its last moment": {facts{charged("a", 0, dated(month-ms)), body("on_hold", "pdt_pro", 0, after(day))}, "0s-720h"},
		"seen on hold, charged at its end":         {facts{charged("a", 0, dated(month)), body("on_hold", "pdt_pro", 0, after(day))}, ""},
		"seen expired, and charged":                {facts{charged("a", 0), body("expired", "pdt_pro", 0, after(day))}, "0s-720h"},
		"seen past due, and charged":               {facts{charged("a", 0), body("past_due", "pdt_pro", 0, after(day))}, "0s-720h"},
		"a product that was changed in the next":   {facts{charged("a", 0), body(active, "pdt_pro", 30, monthly), body(active, "pdt_brief", 30, monthly, after(5*day)), paidFor(month)}, "0s-720h, 720h-1440h"},
	} {
		t.Run(name, func(t *testing.T) {
			permute(c.facts, func(order []entitlement.Subscription) {
				e, err := merged(order).Effect("sub_1", catalog, freeze)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, g := range e.Grants {
					if g.Amount > 0 {
						got = append(got, fmt.Sprintf("%s-%s", short(g.CreatedAt.Sub(noon)), short(g.ExpiresAt.Sub(noon))))
					}
				}
				if text := strings.Join(got, ", "); text != c.want {
					t.Errorf("credits last %s, want %s", text, c.want)
				}
			})
		})
	}
}

// short leaves out the minutes and seconds of whole hours.
func short(d time.Duration) string {
	return strings.TrimSuffix(strings.TrimSuffix(d.String(), "0s"), "0m") + zero(d)
}

func zero(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	return ""
}

// TestAccessTakenBackIsNoLonger: after a change that was paid in full and refunded, access
// lasts until the period before it ends, and never longer than Dodo says.
func TestAccessTakenBackIsNoLonger(t *testing.T) {
	year := func(s *entitlement.SubscriptionState) { s.PeriodEnd = s.PeriodStart.Add(365 * day) }
	change := charged("b", 10, refunded(1000))
	for name, c := range map[string]struct {
		s    entitlement.Subscription
		want time.Duration
	}{
		"a shorter one before": {body("active", "pdt_pro", 0, priced(1000, "USD")).Merge(charged("a", 0)).Merge(body("active", "pdt_team", 10, priced(1000, "USD"), year)).Merge(change), month},
		"a longer one before":  {body("active", "pdt_pro", 0, priced(1000, "USD"), year).Merge(charged("a", 0)).Merge(body("active", "pdt_team", 10, priced(1000, "USD"))).Merge(change), 40 * day},
	} {
		e, err := c.s.Effect("sub_1", catalog, freeze)
		if err != nil || e.Standing.Renewal == nil || !e.Standing.Renewal.Until.Equal(noon.Add(c.want)) || !e.Standing.Renewal.Access {
			t.Errorf("%s: %+v, %v; want access for %v", name, e.Standing.Renewal, err, c.want)
		}
	}
}

// TestOngoing: whether a subscription continues, by its status and at the instant of its end.
func TestOngoing(t *testing.T) {
	for status, want := range map[entitlement.SubscriptionStatus]bool{
		"pending": false, "active": true, "past_due": true, "on_hold": true, "paused": true, "cancelled": false, "failed": false, "expired": false, "novel": false,
	} {
		if got := body(status, "pdt_pro", 0).State.Ongoing(noon); got != want {
			t.Errorf("%s: %t", status, got)
		}
	}
	scheduled := body("cancelled", "pdt_pro", 0, func(s *entitlement.SubscriptionState) { s.CancelAtEnd = true }).State
	if !scheduled.Ongoing(noon.Add(month-1)) || scheduled.Ongoing(noon.Add(month)) {
		t.Error("one that is to end goes on until its period ends, and not at that instant")
	}
}

// TestPaymentDate: it is that of the newest period in force.
func TestPaymentDate(t *testing.T) {
	first, second := body("active", "pdt_keep", 0).Merge(charged("a", 0)), body("active", "pdt_keep", 30)
	for name, c := range map[string]struct {
		s    entitlement.Subscription
		days int
	}{
		"one":                  {first, 0},
		"two":                  {first.Merge(second).Merge(charged("b", 30)), 30},
		"two, one refunded":    {first.Merge(second).Merge(charged("b", 30, refunded(1000))), 0},
		"two, the first of it": {first.Merge(charged("a", 0, refunded(1000))).Merge(second).Merge(charged("b", 30)), 30},
	} {
		e, err := c.s.Effect("sub_1", catalog, freeze)
		if want := noon.Add(time.Duration(c.days) * day); err != nil || !e.Standing.PaidAt.Equal(want) {
			t.Errorf("%s: paid at %v, %v; want %v", name, e.Standing.PaidAt, err, want)
		}
	}
}

// TestBeyondCounting: sums of credits, add-ons and months are refused exactly when they exceed
// the largest number.
func TestBeyondCounting(t *testing.T) {
	terms := func(credits, addon int64, monthly bool) entitlement.TermsOf {
		return func(id string, _ time.Time) (entitlement.Terms, bool) {
			if id == "adn" {
				return entitlement.Terms{Credits: addon}, true
			}
			return entitlement.Terms{Credits: credits, CreditsMonthly: monthly}, true
		}
	}
	year := func(s *entitlement.SubscriptionState) {
		s.PeriodEnd, s.Cycle = s.PeriodStart.AddDate(1, 0, 0), 365*day
	}
	for name, c := range map[string]struct {
		terms  entitlement.TermsOf
		fits   bool
		addons int64
	}{
		"all there is":                      {terms(ledger.Max, 0, false), true, 2},
		"all there is in add-ons":           {terms(0, ledger.Max/2, false), true, 2},
		"more than that in add-ons":         {terms(0, ledger.Max/2+1, false), false, 2},
		"far more in add-ons":               {terms(0, ledger.Max, false), false, 2},
		"more than 64 bits in add-ons":      {terms(0, ledger.Max, false), false, 2048},
		"one more by an add-on":             {terms(ledger.Max-1, 1, false), false, 2},
		"all there is in twelve months":     {terms(ledger.Max/12, 0, true), true, 2},
		"more than that in twelve months":   {terms(ledger.Max/12+1, 0, true), false, 2},
		"more than that, but all at once":   {terms(ledger.Max/12+1, 0, false), true, 2},
		"more than that by monthly add-ons": {terms(ledger.Max/12, 1, true), false, 2},
	} {
		has := func(s *entitlement.SubscriptionState) {
			s.Addons = entitlement.NewAddons(map[string]int64{"adn": c.addons})
		}
		_, err := body("active", "pdt", 0, year, has).Effect("sub_1", c.terms, freeze)
		if (err == nil) != c.fits || err != nil && !errors.Is(err, ledger.ErrRange) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestHowLongCreditsLast: until the end of their period, unless the product says otherwise.
func TestHowLongCreditsLast(t *testing.T) {
	for name, c := range map[string]struct {
		terms entitlement.Terms
		want  time.Time
	}{
		"with the period":             {entitlement.Terms{Credits: 5}, noon.Add(month)},
		"for a week":                  {entitlement.Terms{Credits: 5, CreditsExpire: 7 * day}, noon.Add(7 * day)},
		"longer than the period":      {entitlement.Terms{Credits: 5, CreditsExpire: 90 * day}, noon.Add(90 * day)},
		"for ever":                    {entitlement.Terms{Credits: 5, CreditsStay: true}, time.Time{}},
		"for ever, and for a week":    {entitlement.Terms{Credits: 5, CreditsStay: true, CreditsExpire: 7 * day}, time.Time{}},
		"every month, for ever":       {entitlement.Terms{Credits: 5, CreditsMonthly: true, CreditsStay: true}, time.Time{}},
		"every month, with the month": {entitlement.Terms{Credits: 5, CreditsMonthly: true}, noon.Add(month)},
	} {
		e, err := body("active", "pdt", 0).Effect("sub_1", func(string, time.Time) (entitlement.Terms, bool) { return c.terms, true }, freeze)
		if err != nil || len(e.Grants) != 1 || !e.Grants[0].ExpiresAt.Equal(c.want) {
			t.Errorf("%s: %+v, %v; want until %v", name, e.Grants, err, c.want)
		}
	}
}

// TestUnknownNow: the current product must be known only if the subscription is active.
func TestUnknownNow(t *testing.T) {
	known := body("active", "pdt_pro", 0)
	for status, wants := range map[entitlement.SubscriptionStatus]bool{"active": true, "on_hold": false, "cancelled": false} {
		_, err := known.Merge(body(status, "pdt_new", 0, after(day), timesQuantity(0))).Effect("sub_1", catalog, config.DisputeFreeze)
		if errors.Is(err, entitlement.ErrUnknownProduct) != wants {
			t.Errorf("%s: %v", status, err)
		}
	}
}
