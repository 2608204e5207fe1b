package entitlement_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
)

type patch = func(*entitlement.SubscriptionState)

func costs(price int64) patch {
	return func(s *entitlement.SubscriptionState) { s.Price, s.Currency = price, "USD" }
}

// starts is a year from a date, which Dodo moved to it.
func starts(at string) patch {
	return func(s *entitlement.SubscriptionState) {
		s.CreatedAt = utc("2026-01-15 10:00")
		s.PeriodStart, s.PeriodEnd = utc(at), utc(at).AddDate(1, 0, 0)
	}
}

func extra(cents int64, at string) entitlement.Subscription {
	return entitlement.Subscription{Charges: map[string]entitlement.Payment{"pay_2": {
		Status: entitlement.PaymentSucceeded, Total: cents, Currency: "USD", Subscription: "sub_1", CreatedAt: utc(at),
	}}}
}

func TestMonthsOfAChange(t *testing.T) {
	const change = "2026-05-20 00:00" // in the fifth month
	first := func(product string, price int64) entitlement.Subscription {
		return yearly(product, "2026-01-15 10:00", costs(price)).Merge(paidYear())
	}
	small := first("pdt_year", 1200)
	for name, c := range map[string]struct {
		facts entitlement.Subscription
		want  string
	}{
		"nobody paid":                       {small.Merge(yearly("pdt_big", change, costs(6000))), "[100 100 100 100 100 100 100 100 100 100 100 100]"},
		"a smaller one":                     {first("pdt_big", 1200).Merge(yearly("pdt_year", change, costs(200))), "[500 500 500 500 500 500 500 500 500 500 500 500]"},
		"paid for the time that is left":    {small.Merge(extra(3200, change)).Merge(yearly("pdt_big", change, costs(6000))), "[100 100 100 100 500 500 500 500 500 500 500 500]"},
		"paid for less than that":           {small.Merge(extra(2400, change)).Merge(yearly("pdt_big", change, costs(6000))), "[100 100 100 100 500 500 500 500 500 500 100 100]"},
		"paid for the whole year":           {small.Merge(extra(4800, change)).Merge(yearly("pdt_big", change, costs(6000))), "[100 100 100 100 700 700 700 700 700 700 700 700]"},
		"paid for a year from then":         {small.Merge(extra(5200, change)).Merge(yearly("pdt_big", change, costs(6000), starts(change))), "[100 100 100 100 500 500 500 500 500 500 500 500 500 500 500 500]"},
		"paid as a month begins":            {small.Merge(extra(3200, "2026-05-15 10:00")).Merge(yearly("pdt_big", "2026-05-15 10:00", costs(6000))), "[100 100 100 100 500 500 500 500 500 500 500 500]"},
		"the same, of credits that stay":    {first("pdt_keep", 1200).Merge(extra(3200, "2026-05-15 10:00")).Merge(yearly("pdt_much", "2026-05-15 10:00", costs(6000))), "[100 100 100 100 500 500 500 500 500 500 500 500]"},
		"paid just before a month begins":   {small.Merge(extra(3600, "2026-05-15 09:59")).Merge(yearly("pdt_big", "2026-05-15 09:59", costs(6000))), "[100 100 100 500 500 500 500 500 500 500 500 500]"},
		"paid for what seven cannot divide": {small.Merge(extra(4800, "2026-06-20 00:00")).Merge(yearly("pdt_big", "2026-06-20 00:00", costs(6000))), "[100 100 100 100 100 785 786 786 785 786 786 786]"},
		"without prices":                    {yearly("pdt_year", "2026-01-15 10:00").Merge(paidYear()).Merge(extra(900, change)).Merge(yearly("pdt_big", change)), "[100 100 100 100 500 500 500 500 500 500 500 500]"},
		"to credits at once":                {small.Merge(extra(1000, change)).Merge(yearly("pdt_lump", change, costs(2200))), "[100 100 100 100 100 100 100 100 100 100 100 100]"},
		"to more credits at once":           {small.Merge(extra(4800, change)).Merge(yearly("pdt_heap", change, costs(6000))), "[100 100 100 100 4900 100 100 100 100 100 100 100]"},
		"from credits at once":              {first("pdt_lump", 1200).Merge(extra(4800, change)).Merge(yearly("pdt_big", change, costs(6000))), "[1000 0 0 0 625 625 625 625 625 625 625 625]"},
		"from some at once, without prices": {yearly("pdt_lump", "2026-01-15 10:00").Merge(paidYear()).Merge(extra(900, change)).Merge(yearly("pdt_year", change)), "[1000 0 0 0 100 100 0 0 0 0 0 0]"},
	} {
		got := make([]int64, 12)
		for _, g := range targetsOf(t, c.facts) {
			for n := monthOf(g.CreatedAt); ; got = append(got, 0) {
				if n < len(got) {
					got[n] += g.Amount
					break
				}
			}
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%s: %d, want %s", name, got, c.want)
		}
	}
}

// monthOf numbers the months from 15 January 2026.
func monthOf(at time.Time) int {
	return (at.Year()-2026)*12 + int(at.Month()) - 1
}

// What is paid in the middle of a cycle is never lost: it comes after the credits that are
// over by then, with an expiry of its own, and does not bring those back.
func TestMonthsOfALateChange(t *testing.T) {
	for name, c := range map[string]struct {
		product, other string
		at             string
		want           string
	}{
		"credits of the month are over":      {"pdt_brief", "pdt_bigger", "2026-05-25 00:00", "2026-06-15 10:00 +200 until 2026-06-22 10:00"},
		"credits of the last month are over": {"pdt_brief", "pdt_bigger", "2026-12-30 00:00", "2026-12-30 00:00 +200 until 2027-01-06 00:00"},
		"the new ones would not be over":     {"pdt_brief", "pdt_big", "2026-12-30 00:00", "2026-12-30 00:00 +400 until 2027-01-15 10:00"},
		"at once":                            {"pdt_short", "pdt_shorter", "2026-05-25 00:00", "2026-05-25 00:00 +100 until 2026-06-01 00:00"},
		"at once, just before they are over": {"pdt_short", "pdt_shorter", "2026-01-22 09:59", "2026-01-15 10:00 +100 until 2026-01-22 10:00"},
		"at once, as they are over":          {"pdt_short", "pdt_shorter", "2026-01-22 10:00", "2026-01-22 10:00 +100 until 2026-01-29 10:00"},
		"at once, in the last month":         {"pdt_brief", "pdt_heap", "2026-12-30 00:00", "2026-12-30 00:00 +4800 until 2027-01-15 10:00"},
	} {
		before := targetsOf(t, yearly(c.product, "2026-01-15 10:00").Merge(paidYear()))
		s := yearly(c.product, "2026-01-15 10:00").Merge(paidYear()).Merge(extra(900, c.at)).Merge(yearly(c.other, c.at))
		var more []string
		for i, g := range targetsOf(t, s) {
			if i < len(before) && g == before[i] {
				continue
			}
			if i < len(before) {
				g.Amount -= before[i].Amount
			}
			more = append(more, fmt.Sprintf("%s +%d until %s", g.CreatedAt.Format("2006-01-02 15:04"), g.Amount, g.ExpiresAt.Format("2006-01-02 15:04")))
		}
		if len(more) == 0 || more[0] != c.want {
			t.Errorf("%s: gives %s first, want %s", name, strings.Join(more, ", "), c.want)
		}
	}
}

// Of two changes after the last month, neither gives to what is over.
func TestMonthsOfTwoLateChanges(t *testing.T) {
	s := yearly("pdt_brief", "2026-01-15 10:00").Merge(paidYear()).
		Merge(extra(900, "2026-12-24 00:00")).Merge(yearly("pdt_bigger", "2026-12-24 00:00"))
	third := extra(900, "2027-01-05 00:00").Charges["pay_2"]
	s = s.Merge(entitlement.Subscription{Charges: map[string]entitlement.Payment{"pay_3": third}}).Merge(yearly("pdt_big", "2027-01-05 00:00"))
	var got []string
	for _, g := range targetsOf(t, s)[12:] {
		got = append(got, fmt.Sprintf("%s +%d until %s", g.CreatedAt.Format(time.DateOnly), g.Amount, g.ExpiresAt.Format(time.DateOnly)))
	}
	if want := "2026-12-24 +200 until 2026-12-31, 2027-01-05 +200 until 2027-01-15"; strings.Join(got, ", ") != want {
		t.Errorf("gives %s, want %s", strings.Join(got, ", "), want)
	}
}

// A trial gives the months that it lasts for, and the year after it begins with its own.
func TestMonthsOfATrial(t *testing.T) {
	trial := func(s *entitlement.SubscriptionState) {
		s.TrialDays, s.PeriodEnd = 14, s.PeriodStart.Add(14*day)
	}
	free := paidYear(func(p *entitlement.Payment) { p.Total = 0 })
	s := yearly("pdt_year", "2026-01-15 10:00", costs(1200), trial).Merge(free)
	if got := begins(targetsOf(t, s)); got != "2026-01-15" {
		t.Errorf("the trial begins months on %s", got)
	}
	s = s.Merge(entitlement.Renewed(yearly("pdt_year", "2026-01-29 10:00", costs(1200), starts("2026-01-29 10:00")).State))
	s = s.Merge(extra(1200, "2026-01-29 10:00"))
	want := "2026-01-15 2026-01-29 2026-02-28 2026-03-29 2026-04-29 2026-05-29 2026-06-29 2026-07-29 2026-08-29 2026-09-29 2026-10-29 2026-11-29 2026-12-29"
	if got := begins(targetsOf(t, s)); got != want {
		t.Errorf("begins on\n%s, want\n%s", got, want)
	}
}
