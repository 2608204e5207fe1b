package ledger_test

import (
	"fmt"
	"math/big"
	"strings"
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
		"no answer":                              {answer{End: ledger.Completed}, verdict{}},
		"no answer, client left":                 {answer{End: ledger.LeftByClient}, verdict{}},
		"a status that is free":                  {answer{Status: 404}, verdict{}},
		"a status that is not":                   {answer{Status: 200}, verdict{Price: 2}},
		"a redirect":                             {answer{Status: 302}, verdict{Price: 2}},
		"an upgrade":                             {answer{Status: 101}, verdict{Price: 2}},
		"hints":                                  {answer{Status: 103}, verdict{}},
		"named":                                  {answer{Status: 200, Price: []string{"7"}}, verdict{Price: 7}},
		"named and awaited":                      {answer{Status: 200, Price: []string{"7"}, Awaits: true}, verdict{Price: 7}},
		"named zero":                             {answer{Status: 200, Price: []string{"0"}}, verdict{}},
		"too much":                               {answer{Status: 200, Price: []string{"11"}}, verdict{Price: 10, Note: ledger.Capped}},
		"far too much":                           {answer{Status: 200, Price: []string{"99999999999999999999"}}, verdict{Price: 10, Note: ledger.Capped}},
		"nonsense":                               {answer{Status: 200, Price: []string{"None"}}, verdict{Price: 2, Note: ledger.Unreadable}},
		"empty":                                  {answer{Status: 200, Price: []string{""}}, verdict{Price: 2, Note: ledger.Unreadable}},
		"two":                                    {answer{Status: 200, Price: []string{"1", "1"}}, verdict{Price: 2, Note: ledger.Unreadable}},
		"awaited":                                {answer{Status: 200, Awaits: true}, verdict{Wait: true}},
		"awaited for what is free":               {answer{Status: 500, Awaits: true}, verdict{}},
		"it came":                                {answer{Status: 200, Awaits: true, Price: []string{"7"}, Body: true, End: ledger.Completed}, verdict{Price: 7}},
		"it did not come":                        {answer{Status: 200, Awaits: true, Body: true, End: ledger.Completed}, verdict{Price: 2}},
		"no body":                                {answer{Status: 200, Awaits: true, End: ledger.Completed}, verdict{Price: 2}},
		"client left":                            {answer{Status: 200, Awaits: true, Body: true, End: ledger.LeftByClient}, verdict{Price: 2}},
		"client left, no body":                   {answer{Status: 200, Awaits: true, End: ledger.LeftByClient}, verdict{Price: 2}},
		"broken off":                             {answer{Status: 200, Awaits: true, Body: true, End: ledger.BrokenOff}, verdict{Price: 2}},
		"broken off, no body":                    {answer{Status: 200, Awaits: true, End: ledger.BrokenOff}, verdict{}},
		"an error page instead of the app":       {answer{Status: 200, Origin: 500}, verdict{}},
		"a redirect instead of the app":          {answer{Status: 302, Origin: 404}, verdict{}},
		"a price of an app that failed":          {answer{Status: 200, Origin: 500, Price: []string{"7"}}, verdict{Note: ledger.Unused}},
		"a price with a status that is free":     {answer{Status: 500, Price: []string{"7"}}, verdict{Note: ledger.Unused}},
		"no price with a status that is free":    {answer{Status: 500, Price: []string{"0"}}, verdict{}},
		"nonsense with a status that is free":    {answer{Status: 500, Price: []string{"x"}}, verdict{}},
		"another handler instead of the app":     {answer{Status: 206, Origin: 200}, verdict{Price: 2}},
		"a call that began":                      {answer{Status: 200, RPC: true}, verdict{Wait: true}},
		"a call that began with a price":         {answer{Status: 200, RPC: true, Price: []string{"7"}}, verdict{Wait: true}},
		"a call to a proxy that failed":          {answer{Status: 502, RPC: true}, verdict{}},
		"a call that failed at once":             {answer{Status: 200, RPC: true, RPCStatus: 500}, verdict{}},
		"a call that succeeded at once":          {answer{Status: 200, RPC: true, RPCStatus: 200}, verdict{Price: 2}},
		"a call that succeeded":                  {answer{Status: 200, RPC: true, RPCStatus: 200, Body: true, End: ledger.Completed}, verdict{Price: 2}},
		"a call that succeeded with a price":     {answer{Status: 200, RPC: true, RPCStatus: 200, Price: []string{"7"}, Body: true, End: ledger.Completed}, verdict{Price: 7}},
		"a call that failed":                     {answer{Status: 200, RPC: true, RPCStatus: 404, End: ledger.Completed}, verdict{}},
		"a call that failed behind a part":       {answer{Status: 200, RPC: true, RPCStatus: 404, Body: true, End: ledger.Completed}, verdict{Price: 2}},
		"a call that failed with a price":        {answer{Status: 200, RPC: true, RPCStatus: 404, Price: []string{"7"}, End: ledger.Completed}, verdict{Note: ledger.Unused}},
		"a call without an end":                  {answer{Status: 200, RPC: true, End: ledger.Completed}, verdict{}},
		"a call without an end behind a part":    {answer{Status: 200, RPC: true, Body: true, End: ledger.Completed}, verdict{Price: 2}},
		"a call out of time":                     {answer{Status: 200, RPC: true, RPCStatus: 504, End: ledger.Completed}, verdict{}},
		"a call out of time behind a part":       {answer{Status: 200, RPC: true, RPCStatus: 504, Body: true, End: ledger.Completed}, verdict{Price: 2}},
		"a call out of time with a price":        {answer{Status: 200, RPC: true, RPCStatus: 504, Price: []string{"7"}, Body: true, End: ledger.Completed}, verdict{Price: 7}},
		"a cancelled call behind a part":         {answer{Status: 200, RPC: true, RPCStatus: 499, Body: true, End: ledger.Completed}, verdict{Price: 2}},
		"a call whose client left behind a part": {answer{Status: 200, RPC: true, Body: true, End: ledger.LeftByClient}, verdict{Price: 2}},
		"broken off with a price":                {answer{Status: 200, Awaits: true, Price: []string{"7"}, End: ledger.BrokenOff}, verdict{Price: 7}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tariff(t).Judge(tt.answer); got != tt.want {
				t.Errorf("%+v: %+v, want %+v", tt.answer, got, tt.want)
			}
		})
	}
}

// What programs write of a price in dollars is read exactly. What is no price, and what is
// missing, costs the usual.
func TestDecimalPrice(t *testing.T) {
	for _, tt := range []struct {
		unit int64
		text string
		want int64
		down bool
		note ledger.Note
	}{
		{unit: 100, text: "0.07", want: 7}, {unit: 100, text: "0.070000000000000000001", want: 8}, {unit: 100, text: "0.0701", want: 7, down: true},
		{unit: 1, text: "3", want: 3}, {unit: 10, text: "0.29", want: 3}, {unit: 100, text: "0.29", want: 29}, {unit: 100, text: "0.57", want: 57},
		{unit: 1000, text: "1.2e-05", want: 1}, {unit: 1000, text: "1.2e-05", want: 0, down: true}, {unit: 1_000_000, text: "1.2e-05", want: 12},
		{unit: 1_000_000, text: "1.2E-5", want: 12}, {unit: 9007199254740991, text: "1e-15", want: 10}, {unit: 9007199254740991, text: "1e-14", want: 91},
		{unit: 100, text: "1e-999", want: 1}, {unit: 100, text: "1e-999", want: 0, down: true},
		{unit: 100, text: "0", want: 0}, {unit: 100, text: "0.0", want: 0}, {unit: 100, text: "0.000", want: 0}, {unit: 100, text: "0e-05", want: 0}, {unit: 100, text: "000", want: 0},
		{unit: 100, text: " 0.07 ", want: 7}, {unit: 100, text: "00.07", want: 7},
		{unit: 100, text: "1.01", want: 100, note: ledger.Capped}, {unit: 100, text: "99999999999999999999999999", want: 100, note: ledger.Capped},
		{unit: 100, text: "1.000000000000000000001", want: 100, note: ledger.Capped},
	} {
		rates := tariff(t)
		rates.Max, rates.Unit, rates.RoundDown = 100, tt.unit, tt.down
		if got := rates.Judge(ledger.Answer{Status: 200, Price: []string{tt.text}}); got.Price != tt.want || got.Note != tt.note {
			t.Errorf("%s at %d: %+v, want %d", tt.text, tt.unit, got, tt.want)
		}
	}
	rates := tariff(t)
	rates.Unit = 100
	for _, text := range []string{
		"", "None", "null", "nan", "NaN", "inf", "Infinity", "-1", "-0.01", "+1", "1e1", "1e+1", "1e16", "1e", "1e-", "e-1", ".5", "5.", ".", "1.2.3", "1,2", "1,000.00",
		"0x1", "1_0", "$1", "1 USD", "1e-1000", "1e-0001", "1e-1.5", "1e--1", "٣", "1" + string(make([]byte, 3)), "0." + strings.Repeat("0", 63),
	} {
		want := ledger.Verdict{Price: 2, Note: ledger.Unreadable}
		if got := rates.Judge(ledger.Answer{Status: 200, Price: []string{text}}); got != want {
			t.Errorf("%q: %+v", text, got)
		}
	}
	if got := rates.Judge(ledger.Answer{Status: 200}); got != (ledger.Verdict{Price: 2}) {
		t.Errorf("missing: %+v", got)
	}
}

func FuzzPrice(f *testing.F) {
	for _, text := range []string{"0.07", "1.2e-05", "None", "1e1", "7"} {
		f.Add(text, int64(100), true)
	}
	f.Fuzz(func(t *testing.T, text string, unit int64, down bool) {
		rates := tariff(t)
		rates.Unit, rates.RoundDown = unit, down
		v := rates.Judge(ledger.Answer{Status: 200, Price: []string{text}})
		if v.Price < 0 || v.Price > rates.Max {
			t.Errorf("%q at %d costs %d", text, unit, v.Price)
		}
		exact, ok := new(big.Rat).SetString(strings.TrimSpace(text))
		if v.Note != ledger.NoNote || unit <= 0 {
			return
		}
		if !ok {
			t.Fatalf("%q is no number", text)
		}
		off := new(big.Rat).Sub(big.NewRat(v.Price, 1), exact.Mul(exact, big.NewRat(unit, 1)))
		if down {
			off.Neg(off)
		}
		if off.Sign() < 0 || off.Cmp(big.NewRat(1, 1)) >= 0 {
			t.Errorf("%q at %d costs %d", text, unit, v.Price)
		}
	})
}

func TestRPCStatus(t *testing.T) {
	for text, want := range map[string]int{"0": 200, "1": 499, "4": 504, "5": 404, "8": 429, "16": 401, "17": 500, "-1": 500, "": 500, "OK": 500, "0 ": 500, "999": 500} {
		if got := ledger.RPCStatus([]string{text}); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
	if ledger.RPCStatus(nil) != 0 || ledger.RPCStatus([]string{"0", "0"}) != 500 {
		t.Error("none, or two")
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

// TestClassesOfStatuses: each class is its hundred statuses, and no more.
func TestClassesOfStatuses(t *testing.T) {
	for class := 1; class <= 5; class++ {
		s, err := ledger.NewStatuses([]string{fmt.Sprint(class, "xx")}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for status := range 1001 {
			if got := s.Has(status); got != (status/100 == class) {
				t.Errorf("%dxx has %d: %t", class, status, got)
			}
		}
	}
	s, err := ledger.NewStatuses(nil, []string{"304"})
	if err != nil {
		t.Fatal(err)
	}
	for status, want := range map[int]bool{100: false, 101: true, 102: false, 199: false, 200: true, 303: true, 304: false, 399: true, 400: false} {
		if s.Has(status) != want {
			t.Errorf("without charge_on, %d is charged: %t", status, !want)
		}
	}
}

// TestPriceAtTheMaximum: the most that an app may name is no more than that.
func TestPriceAtTheMaximum(t *testing.T) {
	for _, c := range []struct {
		unit int64
		text string
		want ledger.Verdict
	}{
		{0, "10", ledger.Verdict{Price: 10}},
		{0, "11", ledger.Verdict{Price: 10, Note: ledger.Capped}},
		{100, "0.10", ledger.Verdict{Price: 10}},
		{100, "0.1000000001", ledger.Verdict{Price: 10, Note: ledger.Capped}},
		{100, "0.11", ledger.Verdict{Price: 10, Note: ledger.Capped}},
	} {
		rates := tariff(t)
		rates.Unit = c.unit
		if got := rates.Judge(ledger.Answer{Status: 200, Price: []string{c.text}}); got != c.want {
			t.Errorf("%s at %d: %+v, want %+v", c.text, c.unit, got, c.want)
		}
	}
	failed := ledger.Answer{Status: 200, RPC: true, RPCStatus: 404, Body: true, Awaits: true}
	if got := tariff(t).Judge(failed); got != (ledger.Verdict{Price: 2}) {
		t.Errorf("a call that failed behind a part is not over: %+v", got)
	}
}
