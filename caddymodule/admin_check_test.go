package caddymodule_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/testing/redistest"
)

type adminCheck struct {
	Accounts []struct {
		Account string   `json:"account"`
		Wrong   []string `json:"wrong"`
	} `json:"accounts"`
	Looked int    `json:"looked"`
	Next   string `json:"next"`
}

// check looks through all records.
func (b *bench) check() (damaged []string) {
	b.t.Helper()
	for after := ""; ; {
		page := adminJSON[adminCheck](b, "GET", "/dodo/check?after="+after)
		for _, a := range page.Accounts {
			if len(a.Wrong) == 0 {
				b.t.Errorf("nothing is wrong with %s", a.Account)
			}
			damaged = append(damaged, a.Account)
		}
		if after = page.Next; after == "" {
			slices.Sort(damaged)
			return slices.Compact(damaged) // pages may overlap
		}
	}
}

// TestDamagedAccount: a damaged account is refused by a problem of its own, shown by metrics and
// health, found by check, and mended by rebuild. Everybody else is served.
func TestDamagedAccount(t *testing.T) {
	server := redistest.Start(t)
	b := newBench(t)
	sim := newSimulator(t, b, "")
	config := func(url string) string {
		return caddyfile("\n\tlog {\n\t\toutput file {{Dir}}/caddy.log\n\t}"+off(onRedis("redis "+url)), usualProxy)
	}
	b.mustLoad(config(server.URL()))
	b.buys(sim, "alice", "pack10")
	b.do("GET", "/app", "", "X-Test-User", "bob")
	if found := b.check(); len(found) > 0 {
		t.Fatalf("found %v", found)
	}
	server.MustDo("RPOP", "dodogate:{alice}:entries")
	b.mustLoad(config(server.URL() + "/0")) // another store, which remembers nothing
	for range 3 {
		if a := b.do("GET", "/app", "", "X-Test-User", "alice"); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, `"account_damaged"`) {
			t.Fatalf("alice: %d %s", a.status, a.body)
		}
		if a := b.do("GET", "/app", "", "X-Test-User", "bob"); a.status != http.StatusOK {
			t.Fatalf("bob: %d %s", a.status, a.body)
		}
	}
	if n := b.metric("dodogate_damaged_accounts"); n != 1 {
		t.Errorf("%v damaged accounts", n)
	}
	if a := b.admin("GET", "/dodo/health"); a.status != http.StatusOK || !strings.Contains(a.body, `"damaged_accounts":1`) {
		t.Errorf("health: %d %s", a.status, a.body)
	}
	if lines := b.logged("the records of an account are damaged: until they are mended, it gets 503; `dodogate dodo rebuild <account>` mends them"); len(lines) != 1 {
		t.Errorf("logged %d times", len(lines))
	}
	if found := b.check(); fmt.Sprint(found) != "[alice]" {
		t.Errorf("found %v", found)
	}
	page := adminJSON[struct{ Damaged []string }](b, "GET", "/dodo/accounts")
	if fmt.Sprint(page.Damaged) != "[alice]" {
		t.Errorf("the export passes over %v", page.Damaged)
	}
	done := adminJSON[struct{ Wrong, Left, Notes []string }](b, "POST", "/dodo/rebuild/alice")
	if len(done.Wrong) == 0 || len(done.Left) > 0 {
		t.Errorf("rebuild: %+v", done)
	}
	if got := b.credits("alice"); got != "13" {
		t.Errorf("alice has %s credits", got)
	}
	if n := b.metric("dodogate_damaged_accounts"); n != 0 {
		t.Errorf("%v damaged accounts", n)
	}
	if a := b.admin("GET", "/dodo/check/nobody"); a.status != http.StatusNotFound {
		t.Errorf("nobody: %d %s", a.status, a.body)
	}
}

// TestFileIsChecked: damage in the embedded file is found behind the start, before its customer
// comes.
func TestFileIsChecked(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(off(usualDodo), usualProxy))
	b.do("GET", "/app", "", "X-Test-User", "alice")
	b.mustLoad("{\n\tadmin {{Admin}}\n}\n") // which closes the file
	var text []byte
	eventually(t, "the file is let go of", func() string {
		var err error
		if text, err = os.ReadFile(b.file()); err != nil || !bytes.Contains(text, []byte("3 3 0 0 0 - ")) {
			return "no grant in it"
		}
		return ""
	})
	text = bytes.ReplaceAll(text, []byte("3 3 0 0 0 - "), []byte("3 9 0 0 0 - "))
	if err := os.WriteFile(b.file(), text, 0o600); err != nil {
		t.Fatal(err)
	}
	b.mustLoad(caddyfile(off(usualDodo), usualProxy))
	eventually(t, "the check is over", func() string {
		if b.metric("dodogate_store_check_timestamp_seconds") == 0 {
			return "it is not"
		}
		return ""
	})
	if n := b.metric("dodogate_damaged_accounts"); n != 1 {
		t.Errorf("%v damaged accounts", n)
	}
	if a := b.do("GET", "/app", "", "X-Test-User", "alice"); a.status != http.StatusServiceUnavailable {
		t.Errorf("%d %s", a.status, a.body)
	}
}
