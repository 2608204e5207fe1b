package caddymodule_test

import (
	"encoding/json"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// TestChargeLeadsToRequest: a charge has one id in the response, the access log and its entry,
// which has the path, and an operator finds the account by it. The app cannot write it.
func TestChargeLeadsToRequest(t *testing.T) {
	for _, backend := range []string{"bolt", "redis"} {
		t.Run(backend, func(t *testing.T) {
			b := newBench(t)
			global := off(usualDodo)
			if backend == "redis" {
				global = off(onRedis("redis redis://" + redistest.Start(t).Addr))
			}
			b.mustLoad(caddyfile(global, "\tlog {\n\t\toutput file {{Dir}}/access.log\n\t}\n"+usualGateway+
				"\n\tdodo_charge /job/* 2\n\treverse_proxy {{Upstream}}"))
			for range 3 {
				b.credits("bob")
			}
			a := b.do("GET", "/job/%41?secret=1", "", "X-Test-User", "alice")
			id := a.header.Get("X-Charge-Id")
			if a.status != 200 || len(id) != 26 || len(a.header["X-Charge-Id"]) != 1 {
				t.Fatalf("the charge has the id %q: %d %v", id, a.status, a.header)
			}
			entries := adminJSON[adminEntries](b, "GET", "/dodo/accounts/alice/entries").Entries
			for len(entries) < 2 { // it is written behind the answer
				entries = adminJSON[adminEntries](b, "GET", "/dodo/accounts/alice/entries").Entries
			}
			if want := "charge:" + id + " /job/%41"; entries[0].Cause != want {
				t.Errorf("the entry's cause is %q, want %q", entries[0].Cause, want)
			}
			found := adminJSON[struct {
				Matches []struct{ What, ID, Account, About string }
			}](b, "GET", "/dodo/find?q="+url.QueryEscape(id)).Matches
			if len(found) != 1 || found[0].What != "charge" || found[0].Account != "alice" || !strings.Contains(found[0].About, "2 credits spent") || !strings.Contains(found[0].About, "/job/%41") {
				t.Errorf("found %+v", found)
			}
			if a := b.admin("GET", "/dodo/find?q=AAAAAAAAAAAAAAAAAAAAAAAAAA"); a.status != 404 {
				t.Errorf("a charge that never was: %d %s", a.status, a.body)
			}
			log, err := os.ReadFile(b.Dir + "/access.log")
			if err != nil {
				t.Fatal(err)
			}
			named := 0
			for line := range strings.Lines(string(log)) {
				var fields struct {
					ChargeID string `json:"charge_id"`
				}
				if json.Unmarshal([]byte(line), &fields) == nil && fields.ChargeID == id {
					named++
				}
			}
			if named != 1 {
				t.Errorf("%d lines of the access log name the charge", named)
			}
		})
	}
}
