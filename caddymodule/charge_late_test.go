package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// lateCharges are what late charges took from an account.
func (b *bench) lateCharges(user string) (amounts []int64) {
	b.t.Helper()
	var history struct {
		Entries []struct {
			Cause  string
			Amount int64
		}
	}
	a := b.do("GET", "/payments/history", "", "X-Test-User", user)
	if err := json.Unmarshal([]byte(a.body), &history); err != nil {
		b.t.Fatal(a.status, a.body)
	}
	for _, e := range history.Entries {
		if strings.HasPrefix(e.Cause, "charge:late:") {
			amounts = append(amounts, e.Amount)
		}
	}
	return amounts
}

// Redis goes: where on_store_error says so, who is known to have enough passes, for
// no more than that, and is charged when Redis is back, over a reload too.
func TestOnStoreError(t *testing.T) {
	b := newBench(t)
	b.Upstream = strings.TrimPrefix(newServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Seen", r.Header.Get("X-Entitlement-Credits")+" "+r.Header.Get("X-Entitlement-Stale"))
		if r.URL.Path == "/open/fails" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}), "http://")
	server := redistest.Start(t, "--appendfsync", "always")
	config := caddyfile(strings.Replace(onRedis("redis "+server.URL()), "signup_credits 3", "signup_credits 6\n\t\tmax_stale 1h", 1), usualGateway+`
	dodo_charge /open/* 1 {
		on_store_error open
	}
	dodo_charge /open/twice 1 {
		on_store_error open
	}
	dodo_charge /closed/* 1
	dodo_charge /said/* 1 {
		on_store_error closed
	}
	reverse_proxy {{Upstream}}`)
	b.mustLoad(config)
	ask := func(path string, header ...string) answer {
		return b.do("GET", path, "", append(header, "X-Test-User", "alice")...)
	}
	if a := ask("/open/"); a.status != 200 || receipts(a.header) != "1/5" || a.header.Get("X-Seen") != "5 false" {
		t.Fatalf("%+v", a)
	}
	eventually(t, "the first one is charged", func() string {
		if a := b.do("GET", "/payments/history", "", "X-Test-User", "alice"); !strings.Contains(a.body, `"balance":5`) {
			return a.body
		}
		return ""
	})

	server.Kill()
	for _, path := range []string{"/closed/", "/said/"} {
		a := ask(path)
		b.problem(a, 503, "store_unavailable")
		if a.header.Get("Retry-After") == "" {
			t.Errorf("%s: %v", path, a.header)
		}
	}
	for _, want := range []struct{ path, receipts, seen string }{
		{"/open/", "1/4", "4 true"}, {"/open/fails", "0/4", "3 true"}, {"/open/twice", "2/2", "2 true"}, {"/open/", "1/1", "1 true"},
	} {
		a := ask(want.path)
		if receipts(a.header) != want.receipts || a.header.Get("X-Seen") != want.seen {
			t.Errorf("%s: %d, receipts %s, the app saw %s", want.path, a.status, receipts(a.header), a.header.Get("X-Seen"))
		}
	}
	b.problem(ask("/open/", "Idempotency-Key", "k"), 503, "store_unavailable")
	if a := ask("/open/"); receipts(a.header) != "1/0" {
		t.Errorf("the last credit: %+v", a)
	}
	b.problem(ask("/open/"), 503, "store_unavailable")
	if a := b.do("GET", "/open/", "", "X-Test-User", "bob"); a.status != 503 {
		t.Errorf("somebody who is not known: %d", a.status)
	}

	b.mustLoad(strings.Replace(config, "max_stale 1h", "max_stale 2h", 1))
	server.Restart()
	b.leaves("alice", 0)
	eventually(t, "five late charges", func() string {
		if got := b.lateCharges("alice"); len(got) != 5 {
			return fmt.Sprint(got)
		}
		return ""
	})
	b.problem(ask("/open/"), 402, "insufficient_credits")
	if text := b.metrics(); !strings.Contains(text, `dodogate_charges_total{result="late"}`) {
		t.Error("late charges are not counted")
	}
}
