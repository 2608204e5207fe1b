package ledger_test

import (
	"testing"

	"github.com/dodogate/dodogate/internal/ledger"
)

func tariff(t *testing.T, chargeOn ...string) ledger.Tariff {
	t.Helper()
	statuses, err := ledger.NewStatuses(chargeOn, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ledger.Tariff{Credits: 2, Max: 10, Statuses: statuses}
}

func TestJudge(t *testing.T) {
	type answer = ledger.Answer
	type verdict = ledger.Verdict
	for name, tt := range map[string]struct {
		answer answer
		want   verdict
	}{
		"no answer":                {answer{End: ledger.Completed}, verdict{}},
		"no answer, client left":   {answer{End: ledger.LeftByClient}, verdict{}},
		"a status that is free":    {answer{Status: 404}, verdict{}},
		"a status that is not":     {answer{Status: 200}, verdict{Price: 2}},
		"a redirect":               {answer{Status: 302}, verdict{Price: 2}},
		"an upgrade":               {answer{Status: 101}, verdict{Price: 2}},
		"hints":                    {answer{Status: 103}, verdict{}},
		"named":                    {answer{Status: 200, Price: []string{"7"}}, verdict{Price: 7}},
		"named and awaited":        {answer{Status: 200, Price: []string{"7"}, Awaits: true}, verdict{Price: 7}},
		"named zero":               {answer{Status: 200, Price: []string{"0"}}, verdict{}},
		"too much":                 {answer{Status: 200, Price: []string{"11"}}, verdict{Price: 10, Note: ledger.Capped}},
		"far too much":             {answer{Status: 200, Price: []string{"99999999999999999999"}}, verdict{Price: 10, Note: ledger.Capped}},
		"nonsense":                 {answer{Status: 200, Price: []string{"None"}}, verdict{Price: 2, Note: ledger.Unreadable}},
		"empty":                    {answer{Status: 200, Price: []string{""}}, verdict{Price: 2, Note: ledger.Unreadable}},
		"two":                      {answer{Status: 200, Price: []string{"1", "1"}}, verdict{Price: 2, Note: ledger.Unreadable}},
		"awaited":                  {answer{Status: 200, Awaits: true}, verdict{Wait: true}},
		"awaited for what is free": {answer{Status: 500, Awaits: true}, verdict{}},
		"it came":                  {answer{Status: 200, Awaits: true, Price: []string{"7"}, Body: true, End: ledger.Completed}, verdict{Price: 7}},
		"it did not come":          {answer{Status: 200, Awaits: true, Body: true, End: ledger.Completed}, verdict{Price: 2}},
		"no body":                  {answer{Status: 200, Awaits: true, End: ledger.Completed}, verdict{Price: 2}},
		"client left":              {answer{Status: 200, Awaits: true, Body: true, End: ledger.LeftByClient}, verdict{Price: 2}},
		"client left, no body":     {answer{Status: 200, Awaits: true, End: ledger.LeftByClient}, verdict{Price: 2}},
		"broken off":               {answer{Status: 200, Awaits: true, Body: true, End: ledger.BrokenOff}, verdict{Price: 2}},
		"broken off, no body":      {answer{Status: 200, Awaits: true, End: ledger.BrokenOff}, verdict{}},
		"broken off with a price":  {answer{Status: 200, Awaits: true, Price: []string{"7"}, End: ledger.BrokenOff}, verdict{Price: 7}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tariff(t).Judge(tt.answer); got != tt.want {
				t.Errorf("%+v: %+v, want %+v", tt.answer, got, tt.want)
			}
		})
	}
}

func TestStatuses(t *testing.T) {
	s, err := ledger.NewStatuses([]string{"2XX", "404"}, []string{"204"})
	if err != nil {
		t.Fatal(err)
	}
	for status, want := range map[int]bool{200: true, 204: false, 299: true, 302: false, 404: true, 500: false, 0: false, -1: false, 1000: false} {
		if s.Has(status) != want {
			t.Errorf("%d is charged: %v", status, !want)
		}
	}
	for _, word := range []string{"", "6xx", "0xx", "20", "600", "99", "x", "xx", "+20", "2x"} {
		if _, err := ledger.NewStatuses([]string{word}, nil); err == nil {
			t.Errorf("charge_on %q is taken", word)
		}
		if _, err := ledger.NewStatuses(nil, []string{word}); err == nil {
			t.Errorf("release_on %q is taken", word)
		}
	}
}
