package caddymodule_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// A request that two dodo_charge stand before pays both, and its key counts for
// both.
func TestChargedTwice(t *testing.T) {
	var calls atomic.Int64
	b := newShop(t, "\tdodo_charge /app/* 3\n\tdodo_charge /app/x 5 {\n\t\tmax 7\n\t}", func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if r.URL.Query().Has("late") {
			w.Header().Set("Trailer", "X-Charge-Credits")
			_, _ = io.WriteString(w, "part")
			w.Header().Set("X-Charge-Credits", "4")
			return
		}
		w.Header().Set("X-Charge-Credits", "6")
	})
	if a := b.do("GET", "/app/x", "", "X-Test-User", "alice", "Idempotency-Key", "k"); receipts(a.header) != "9/91" {
		t.Errorf("%d, receipts %s", a.status, receipts(a.header))
	}
	b.leaves("alice", 91)
	again := b.do("GET", "/app/x", "", "X-Test-User", "alice", "Idempotency-Key", "k")
	b.problem(again, 409, "idempotency_key_finished")
	b.leaves("alice", 91)

	resp, err := b.client.Do(b.request("GET", "/app/x?late", "alice"))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadAll(resp.Body)
	resp.Body.Close()
	if receipts(resp.Trailer) != "7/84" {
		t.Errorf("receipts %s, then %s", receipts(resp.Header), receipts(resp.Trailer))
	}
	b.leaves("alice", 84)
	if n := calls.Load(); n != 2 {
		t.Errorf("the app was called %d times", n)
	}
}

// Who comes back at once is not refused for what the last request still holds.
func TestChargeComesBackAtOnce(t *testing.T) {
	b := newShop(t, "\tdodo_charge /fails 100\n\tdodo_charge /cheap 0 {\n\t\tmax 90\n\t}", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/fails" {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("X-Charge-Credits", "1")
	})
	for i := range 20 {
		if a := b.do("GET", "/fails", "", "X-Test-User", "alice", "Idempotency-Key", "k"); a.status != 500 {
			t.Fatalf("the %dth time: %d %s", i, a.status, a.body)
		}
	}
	for i := range 10 {
		if a := b.do("GET", "/cheap", "", "X-Test-User", "alice"); a.status != 200 {
			t.Fatalf("the %dth time: %d %s", i, a.status, a.body)
		}
	}
	b.leaves("alice", 90)
}

// An answer that breaks off is paid for and not repeated.
func TestReplayOfHalfAnAnswer(t *testing.T) {
	began := make(chan struct{}, 1)
	var calls atomic.Int64
	b := newShop(t, "\tdodo_charge 5 {\n\t\treplay\n\t}", func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		began <- struct{}{}
		if r.URL.Path == "/left" {
			<-r.Context().Done()
			return
		}
		panic(http.ErrAbortHandler)
	})
	for i, path := range []string{"/left", "/broken"} {
		req := b.request("POST", path, "alice")
		req.Header.Set("Idempotency-Key", path)
		resp, err := b.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		<-began
		if path == "/broken" {
			_, _ = io.ReadAll(resp.Body)
		}
		resp.Body.Close()
		eventually(t, path+" is over", func() string {
			again := b.do("POST", path, "", "X-Test-User", "alice", "Idempotency-Key", path)
			if !strings.Contains(again.body, "idempotency_key_finished") {
				return fmt.Sprint(again)
			}
			return ""
		})
		b.leaves("alice", 95-5*int64(i))
	}
	if n := calls.Load(); n != 2 {
		t.Errorf("the app was called %d times", n)
	}
}

func (b *bench) request(method, path, user string) *http.Request {
	b.t.Helper()
	req, err := http.NewRequest(method, "http://127.0.0.1:"+b.Port+path, http.NoBody)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("X-Test-User", user)
	return req
}

// What the settings say, from JSON.
func TestChargeSettings(t *testing.T) {
	b := newBench(t)
	for name, tt := range map[string]struct{ settings, want string }{
		"nothing":             {``, "a request that costs 0 credits needs max"},
		"negative":            {`"credits": -1`, "credits must be from 0 to"},
		"too many":            {`"credits": 9007199254740992`, "credits must be from 0 to"},
		"fraction":            {`"credits": 1.5`, "cannot unmarshal number 1.5"},
		"negative max":        {`"max": -1`, "max must be from 1 to"},
		"max too large":       {`"max": 9007199254740992`, "max must be from 1 to"},
		"max below credits":   {`"credits": 5, "max": 4`, "max is 4, which is less than the 5 credits"},
		"short hold_ttl":      {`"credits": 1, "hold_ttl": "999ms"`, "hold_ttl must be from 1s to 1d"},
		"long hold_ttl":       {`"credits": 1, "hold_ttl": "25h"`, "hold_ttl must be from 1s to 1d"},
		"charge_on":           {`"credits": 1, "charge_on": ["2xx", "600"]`, "charge_on: '600' is not a status"},
		"release_on":          {`"credits": 1, "release_on": ["20"]`, "release_on: '20' is not a status"},
		"class":               {`"credits": 1, "release_on": ["6xx"]`, "release_on: '6xx' is not a status"},
		"price_header":        {`"credits": 1, "price_header": "X Price"`, "is not the name of a header"},
		"price_header is out": {`"credits": 1, "price_header": "x-credits-charged"`, "is what the client is told by"},
		"negative unit":       {`"credits": 1, "max": 2, "price_unit": -1`, "price_unit must be from 1 to"},
		"unit of no price":    {`"credits": 1, "price_unit": 100`, "needs price_header"},
		"round":               {`"credits": 1, "max": 2, "price_unit": 100, "price_round": "nearest"`, "price_round must be up or down"},
		"round of no unit":    {`"credits": 1, "max": 2, "price_round": "up"`, "round (price_round) needs unit (price_unit)"},
		"on_store_error":      {`"credits": 1, "on_store_error": "maybe"`, "on_store_error must be closed or open"},
		"open":                {`"credits": 1, "on_store_error": "open"`, "on_store_error open needs max_stale"},
		"unknown":             {`"credits": 1, "prize": 2`, `unknown field "prize"`},
	} {
		t.Run(name, func(t *testing.T) {
			handler := strings.TrimSuffix(`{"handler": "dodo_charge", `+tt.settings, ", ") + "}"
			assertRefused(t, validateJSON(t, b.fill(jsonConfig(jsonApp, jsonGateway+", "+handler))), tt.want)
		})
	}
	assertRefused(t, validateJSON(t, b.fill(jsonConfig("", `{"handler": "dodo_charge", "credits": 1}`))), "the global option dodo { … } is missing")
	all := `{"handler": "dodo_charge", "credits": 1, "charge_on": ["2xx", "404"], "release_on": ["204"], "price_header": "X-Price", "price_unit": 100, "price_round": "down", "max": 9,
		"hold_ttl": "1d", "on_store_error": "open", "replay": true}`
	if err := validateJSON(t, b.fill(jsonConfig(appWith(t, "max_stale", "1h"), jsonGateway+", "+all))); err != nil {
		t.Error(err)
	}
}
