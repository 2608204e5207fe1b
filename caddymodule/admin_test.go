package caddymodule_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/caddymodule"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/boltstore"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// admin asks the admin API.
func (b *bench) admin(method, path string) answer {
	b.t.Helper()
	req, err := http.NewRequest(method, "http://"+b.Admin+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Close = true // a reload closes connections
	return b.send(req)
}

// adminJSON asks the admin API and reads its answer.
func adminJSON[T any](b *bench, method, path string) (got T) {
	b.t.Helper()
	a := b.admin(method, path)
	if a.status >= 300 || a.header.Get("Content-Type") != "application/json" {
		b.t.Fatalf("%s %s: %d %v %s", method, path, a.status, a.header, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		b.t.Fatalf("%s %s: %v in %s", method, path, err, a.body)
	}
	return got
}

// off is usual without passes that come by themselves.
func off(dodo string) string { return strings.Replace(dodo, "dodo {", "dodo {\n\t\treconcile off", 1) }

// pay has an account buy a Dodo product, past the checkout of ours.
func (b *bench) pay(sim *dodosim.Simulator, account, productID string) {
	b.t.Helper()
	client, err := dodo.New(dodo.Options{APIKey: "test_api_key", BaseURL: b.Dodo})
	if err != nil {
		b.t.Fatal(err)
	}
	prover, err := dodo.NewProver([][]byte{dodo.DeriveKey("test_api_key")})
	if err != nil {
		b.t.Fatal(err)
	}
	session, err := client.CreateCheckout(b.t.Context(), &dodo.Checkout{
		ProductID: productID, Quantity: 1, ReturnURL: "http://localhost:8080/",
		Metadata: prover.Metadata(dodo.Claim{Site: "site_test", Order: "ord_AAAAAAAAAAAAAAAAAAAAAA", Account: account, Product: "what"}),
	})
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := sim.Pay(session.ID, "4242424242424242"); err != nil {
		b.t.Fatal(err)
	}
	if err := sim.Flush(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

type adminEvent struct {
	ID, Type, State, Reason, Object, Account string
	Deliveries                               int
}

type adminParked struct {
	Events []adminEvent
	Next   string
}

// TestAdminParked: what is parked is listed, and applied on request once the
// catalog has the product.
func TestAdminParked(t *testing.T) {
	for _, backend := range []string{"bolt", "redis"} {
		t.Run(backend, func(t *testing.T) {
			b := newBench(t)
			sim := newSimulator(t, b, "")
			global := off(usualDodo) + "\n\tmetrics"
			if backend == "redis" {
				global = off(onRedis("redis redis://"+redistest.Start(t).Addr)) + "\n\tmetrics"
			}
			without := caddyfile(strings.ReplaceAll(global, "pack10", "pack9"), usualProxy)
			b.mustLoad(without)
			if a := b.admin("GET", "/dodo/parked"); a.body != "{\"events\":[]}\n" {
				t.Errorf("nothing is parked: %s", a.body)
			}
			for _, account := range []string{"alice", "bob", "carol"} {
				b.pay(sim, account, "pdt_pack10")
			}

			// Page by page, each once.
			var accounts []string
			var first adminEvent
			for path := "/dodo/parked?limit=1"; ; {
				page := adminJSON[adminParked](b, "GET", path)
				for _, e := range page.Events {
					if e.State != "parked" || e.Reason != "unknown_product" || e.Type != "payment.succeeded" || e.Deliveries != 1 || e.ID == "" ||
						!strings.HasPrefix(e.Object, "payment:") {
						t.Errorf("parked: %+v", e)
					}
					if accounts = append(accounts, e.Account); len(accounts) == 1 {
						first = e
					}
				}
				if page.Next == "" {
					break
				}
				path = "/dodo/parked?limit=1&after=" + url.QueryEscape(page.Next)
			}
			if !slices.Equal(accounts, []string{"alice", "bob", "carol"}) {
				t.Errorf("parked are events of %v", accounts)
			}
			if all := adminJSON[adminParked](b, "GET", "/dodo/parked"); len(all.Events) != 3 || all.Next != "" {
				t.Errorf("parked are %+v", all)
			}

			// Nothing but what is meant to be shown.
			a := b.admin("GET", "/dodo/events/"+first.ID)
			var fields map[string]any
			if err := json.Unmarshal([]byte(a.body), &fields); err != nil || len(fields) != 8 || fields["received_at"] == nil || strings.Contains(a.body, "@") {
				t.Errorf("event: %s, %v", a.body, err)
			}
			if e := adminJSON[adminEvent](b, "GET", "/dodo/events/"+first.ID); e != first {
				t.Errorf("event %+v, want %+v", e, first)
			}

			type redriven struct {
				Tried, Applied int
				Parked         map[string]int
			}
			if did := adminJSON[redriven](b, "POST", "/dodo/redrive"); did.Tried != 3 || did.Applied != 0 || did.Parked["unknown_product"] != 3 {
				t.Errorf("without the product: %+v", did)
			}
			if text := b.metrics(); !strings.Contains(text, "dodogate_parked_events{reason=\"unknown_product\"} 3\n") {
				t.Error("the metrics do not say that 3 are parked")
			}
			type one struct {
				Outcome string
				Event   adminEvent
			}
			if did := adminJSON[one](b, "POST", "/dodo/redrive/"+first.ID); did.Outcome != "parked" || did.Event.Reason != "unknown_product" {
				t.Errorf("one without the product: %+v", did)
			}
			b.mustLoad(caddyfile(global, usualProxy))
			if did := adminJSON[one](b, "POST", "/dodo/redrive/"+first.ID); did.Outcome != "applied" || did.Event.State != "applied" || did.Event.Reason != "" {
				t.Errorf("one with the product: %+v", did)
			}
			if did := adminJSON[redriven](b, "POST", "/dodo/redrive"); did.Tried != 2 || did.Applied != 2 || len(did.Parked) != 0 || did.Parked == nil {
				t.Errorf("with the product: %+v", did)
			}
			if did := adminJSON[one](b, "POST", "/dodo/redrive/"+first.ID); did.Outcome != "duplicate" {
				t.Errorf("again: %+v", did)
			}
			for _, account := range []string{"alice", "bob", "carol"} {
				if got := b.credits(account); got != "10" {
					t.Errorf("%s has %s credits", account, got)
				}
			}
		})
	}
}

// credits are what the app is told of an account.
func (b *bench) credits(account string) string {
	b.t.Helper()
	return b.seen(b.do("GET", "/app", "", "X-Test-User", account)).Header["X-Entitlement-Credits"][0]
}

type adminAccount struct {
	Account    string
	Credits    int
	HasPaid    bool   `json:"has_paid"`
	Plan       string `json:"plan"`
	PlanStatus string `json:"plan_status"`
	LastEntry  int    `json:"last_entry"`
	Grants     []struct {
		Grant        string
		Amount, Left int
	}
	Standings []struct {
		Object string
		Paid   bool
	}
	Pending, Purchases []struct{ Order, Product, State, Payment string }
	Parked             []adminEvent
}

type adminEntries struct {
	Entries []struct {
		Seq, Amount, Balance int
		Kind, Grant, Cause   string
	}
	Next int
}

// TestAdminAccount: everything about an account is shown, and looking gives
// nobody anything.
func TestAdminAccount(t *testing.T) {
	b := newBench(t)
	sim := newSimulator(t, b, "")
	b.mustLoad(caddyfile(off(usualDodo), usualProxy))
	if got := adminJSON[adminAccount](b, "GET", "/dodo/accounts/alice"); got.Account != "alice" || got.Credits != 0 || got.LastEntry != 0 || got.Plan != "none" {
		t.Errorf("before the first request: %+v", got)
	}
	if a := b.admin("GET", "/dodo/accounts/alice/entries"); a.body != "{\"entries\":[]}\n" {
		t.Errorf("entries before the first request: %s", a.body)
	}
	b.credits("alice")
	b.pay(sim, "alice", "pdt_pack10")
	b.pay(sim, "alice", "pdt_other")
	a := b.do("POST", "/payments/checkout", `{"product":"pack10"}`, "Content-Type", "application/json", "X-Test-User", "alice")
	if a.status != http.StatusCreated {
		t.Fatalf("checkout: %d %s", a.status, a.body)
	}
	got := adminJSON[adminAccount](b, "GET", "/dodo/accounts/alice")
	if got.Credits != 13 || !got.HasPaid || got.LastEntry != 2 || len(got.Grants) != 2 || got.Grants[1].Left+got.Grants[0].Left != 13 ||
		len(got.Standings) != 1 || !got.Standings[0].Paid || len(got.Pending) != 1 || got.Pending[0].Product != "pack10" || len(got.Purchases) != 1 ||
		len(got.Parked) != 1 || got.Parked[0].Reason != "unknown_product" {
		t.Errorf("account: %+v", got)
	}
	if text := b.admin("GET", "/dodo/accounts/alice").body; strings.Contains(text, "session") || strings.Contains(text, "http") || strings.Contains(text, "@") {
		t.Errorf("too much is shown: %s", text)
	}
	page := adminJSON[adminEntries](b, "GET", "/dodo/accounts/alice/entries?limit=1")
	if len(page.Entries) != 1 || page.Entries[0].Balance != 13 || page.Entries[0].Kind != "grant" || page.Next != 2 {
		t.Errorf("newest entry: %+v", page)
	}
	page = adminJSON[adminEntries](b, "GET", fmt.Sprint("/dodo/accounts/alice/entries?before=", page.Next))
	if len(page.Entries) != 1 || page.Entries[0].Cause != "signup" || page.Next != 0 {
		t.Errorf("oldest entry: %+v", page)
	}

	// Ids are opaque.
	for _, id := range []string{"a/b", "//", "entries", "..", ".", "a b", "x?limit=1#", "%2F", "übel", "{account}", strings.Repeat("x", 256)} {
		b.credits(id)
		path := "/dodo/accounts/" + strings.ReplaceAll(url.PathEscape(id), ".", "%2E")
		if got := adminJSON[adminAccount](b, "GET", path); got.Account != id || got.Credits != 3 {
			t.Errorf("account %q: %+v", id, got)
		}
		if page := adminJSON[adminEntries](b, "GET", path+"/entries"); len(page.Entries) != 1 {
			t.Errorf("entries of %q: %+v", id, page)
		}
	}
}

// TestAdminRefuses: what is wrong is told in the admin API's way, and changes
// nothing.
func TestAdminRefuses(t *testing.T) {
	b := newBench(t)
	refused := func(method, path string, status int) answer {
		t.Helper()
		a := b.admin(method, path)
		var got struct{ Error string }
		if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != status || got.Error == "" {
			t.Errorf("%s %s: %d %s, want %d", method, path, a.status, a.body, status)
		}
		return a
	}
	b.mustLoad(caddyfile("", "respond ok"))
	refused("GET", "/dodo/parked", 404)
	refused("POST", "/dodo/rebuild", 404)
	b.mustLoad(caddyfile(off(usualDodo), usualProxy))
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/dodo/x", 404},
		{"GET", "/dodo/nothing", 404},
		{"GET", "/dodo/parked/", 404},
		{"POST", "/dodo/accounts", 405},
		{"GET", "/dodo/accounts?after=!", 400},
		{"GET", "/dodo/accounts/", 404},
		{"GET", "/dodo/accounts/alice/", 404},
		{"GET", "/dodo/accounts/a/b", 404},
		{"GET", "/dodo/events/", 404},
		{"GET", "/dodo/events/msg_unknown", 404},
		{"GET", "/dodo/events/a%2Fb", 404},
		{"POST", "/dodo/redrive/msg_unknown", 404},
		{"POST", "/dodo/redrive/", 404},
		{"POST", "/dodo/parked", 405},
		{"PUT", "/dodo/reconcile", 405},
		{"GET", "/dodo/redrive", 405},
		{"GET", "/dodo/redrive/msg_unknown", 405},
		{"GET", "/dodo/rebuild", 405},
		{"DELETE", "/dodo/accounts/alice", 405},
		{"GET", "/dodo/import", 405},
		{"POST", "/dodo/import", 400},
		{"GET", "/dodo/assign", 405},
		{"POST", "/dodo/assign", 400},
		{"GET", "/dodo/dismiss/msg_unknown", 405},
		{"POST", "/dodo/dismiss/msg_unknown", 404},
		{"POST", "/dodo/accounts/alice/entries", 405},
		{"GET", "/dodo/parked?limit=0", 400},
		{"GET", "/dodo/parked?limit=101", 400},
		{"GET", "/dodo/parked?limit=x", 400},
		{"GET", "/dodo/parked?after=!", 400},
		{"GET", "/dodo/parked?before=1", 400},
		{"GET", "/dodo/parked?limit=1&limit=2", 400},
		{"GET", "/dodo/parked?%zz", 400},
		{"GET", "/dodo/accounts/alice/entries?before=0", 400},
		{"GET", "/dodo/accounts/alice/entries?before=-1", 400},
		{"GET", "/dodo/accounts/alice/entries?before=9007199254740992", 400},
		{"GET", "/dodo/accounts/alice/entries?after=1", 400},
		{"GET", "/dodo/accounts/" + strings.Repeat("x", 257), 400},
		{"GET", "/dodo/accounts/" + strings.Repeat("x", 257) + "/entries", 400},
	} {
		a := refused(tt.method, tt.path, tt.status)
		if strings.Contains(tt.path, "/msg_unknown") && tt.status == 404 && !strings.Contains(a.body, "not in the journal") {
			t.Errorf("%s %s does not say what is not found: %s", tt.method, tt.path, a.body)
		}
		if allow := a.header.Get("Allow"); (allow != "") != (tt.status == 405) {
			t.Errorf("%s %s: Allow %q", tt.method, tt.path, allow)
		}
	}
	b.credits("alice")
	caddymodule.BreakStores()
	for _, path := range []string{"/dodo/parked", "/dodo/events/msg_1", "/dodo/accounts/alice", "/dodo/accounts/alice/entries"} {
		refused("GET", path, 503)
	}
	refused("POST", "/dodo/redrive", 503)
	refused("POST", "/dodo/redrive/msg_1", 503)
}

type adminPass struct {
	Pass                           int
	Kind, State, Error             string
	Seen, Read, Applied, Unapplied int
	BeganAt, EndedAt               string
}

// passes lists them, newest first.
func (b *bench) passes() []adminPass {
	b.t.Helper()
	return adminJSON[struct{ Passes []adminPass }](b, "GET", "/dodo/reconcile").Passes
}

// runs asks for a pass and waits until it is over.
func (b *bench) runs(path string) (p adminPass) {
	b.t.Helper()
	if a := b.admin("POST", path); a.status != http.StatusAccepted {
		b.t.Fatalf("%s: %d %s", path, a.status, a.body)
	} else if err := json.Unmarshal([]byte(a.body), &p); err != nil || p.State != "waiting" {
		b.t.Fatalf("%s: %s", path, a.body)
	}
	eventually(b.t, "it is over", func() string {
		for _, now := range b.passes() {
			if now.Pass == p.Pass && (now.State == "done" || now.State == "failed") {
				p = now
				return ""
			}
		}
		return fmt.Sprint(b.passes())
	})
	return p
}

// TestAdminPasses: a pass is run on request, also where none comes by itself.
func TestAdminPasses(t *testing.T) {
	b := newBench(t)
	sim := newSimulator(t, b, "")
	sim.HoldWebhooks(true)
	// Only a rebuild looks at what is older than this.
	db, err := boltstore.Open(b.file(), boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(store.Client{Store: db}.SetMark(t.Context(), "reconcile", time.Now().Add(1000*time.Hour)), db.Close()); err != nil {
		t.Fatal(err)
	}
	b.mustLoad(caddyfile(off(usualDodo), usualProxy))
	if got := b.passes(); len(got) != 0 {
		t.Errorf("passes before any: %v", got)
	}
	b.pay(sim, "alice", "pdt_pack10")
	if got := b.runs("/dodo/rebuild"); got.Pass != 1 || got.Kind != "rebuild" || got.State != "done" || got.Seen != 1 || got.Read != 1 || got.Applied != 1 {
		t.Errorf("rebuild: %+v", got)
	}
	if got := b.credits("alice"); got != "10" {
		t.Errorf("alice has %s credits", got)
	}
	b.pay(sim, "alice", "pdt_pack10")
	if got := b.runs("/dodo/reconcile"); got.Pass != 2 || got.Kind != "reconcile" || got.State != "done" || got.Seen != 2 || got.Read != 1 || got.Applied != 1 {
		t.Errorf("reconcile: %+v", got)
	}
	if got := b.credits("alice"); got != "20" {
		t.Errorf("alice has %s credits", got)
	}
	sim.SetFault(dodosim.Fault{Status: http.StatusForbidden, Body: "{}"}, 1)
	if got := b.runs("/dodo/rebuild"); got.State != "failed" || got.Error == "" || strings.Contains(got.Error, "test_api_key") {
		t.Errorf("failing rebuild: %+v", got)
	}
	if got := b.passes(); len(got) != 3 || got[0].Pass != 3 || got[2].Pass != 1 {
		t.Errorf("passes: %+v", got)
	}
}

// TestAdminPassesOverReloads: what was asked for is run by the next config when
// this one is replaced in the middle of it; and those who ask while a pass runs
// get the same one.
func TestAdminPassesOverReloads(t *testing.T) {
	b := newBench(t)
	sim := newSimulator(t, b, "")
	sim.HoldWebhooks(true)
	slow := strings.Replace(usualDodo, "dodo {", "dodo {\n\t\treconcile {\n\t\t\tinterval 1d\n\t\t\tbudget 1\n\t\t}", 1)
	b.mustLoad(caddyfile(off(usualDodo), usualProxy))
	b.pay(sim, "alice", "pdt_pack10")
	runs := func(n int) {
		t.Helper()
		b.mustLoad(caddyfile(slow, usualProxy))
		eventually(t, "a pass runs", func() string {
			if got := b.passes(); len(got) != n || got[0].State != "running" {
				return fmt.Sprint(got)
			}
			return ""
		})
	}
	runs(1)
	b.mustLoad(caddyfile(off(usualDodo), usualProxy))
	if got := b.passes(); len(got) != 1 || got[0].State != "interrupted" {
		t.Errorf("what nobody asked for is done over: %+v", got)
	}
	runs(2)
	for i, tt := range []struct{ path, kind string }{
		{"/dodo/reconcile", "reconcile"}, {"/dodo/rebuild", "rebuild"}, {"/dodo/reconcile", "rebuild"},
	} {
		if got := adminJSON[adminPass](b, "POST", tt.path); got.Pass != 3 || got.Kind != tt.kind || got.State != "waiting" {
			t.Errorf("request %d while one runs: %+v", i, got)
		}
	}
	if got := b.passes(); len(got) != 3 || got[0].State != "waiting" || got[1].State != "running" {
		t.Errorf("passes: %+v", got)
	}
	b.mustLoad(caddyfile(slow+"\n\tgrace_period 1s", usualProxy)) // its rebuild gets no further
	eventually(t, "the rebuild runs", func() string {
		if got := b.passes(); len(got) != 3 || got[0].State != "running" || got[0].Kind != "rebuild" || got[1].State != "interrupted" {
			return fmt.Sprint(got)
		}
		return ""
	})
	b.mustLoad(caddyfile(off(usualDodo), usualProxy))
	eventually(t, "the rebuild is done", func() string {
		if got := b.passes(); len(got) != 4 || got[0].State != "done" || got[0].Kind != "rebuild" || got[0].Applied != 1 || got[1].State != "interrupted" {
			return fmt.Sprint(got)
		}
		return ""
	})
	if got := b.credits("alice"); got != "10" {
		t.Errorf("alice has %s credits", got)
	}
}

// TestAdminShowsWhatIsHeldAndOwed: no credits, and why, and what comes later.
func TestAdminShowsWhatIsHeldAndOwed(t *testing.T) {
	text, err := caddymodule.AccountJSON("alice", gateway.Inspection{Account: entitlement.Account{Ledger: ledger.Account{
		Debt: 4, Grants: ledger.Grants{{ID: "a", Amount: 10, Held: 3}, {ID: "b", Amount: 2, Held: 2},
			{ID: "c", Amount: 7, Waiting: 7, StartsAt: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)}, {ID: "d", Amount: 9},
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"credits":0`, `"held":5`, `"owed":4`, `"grant":"a","amount":10,"left":0,"held":3`, `"left":0,"held":0,"waiting":7,"starts_at":"2026-12-01T00:00:00Z"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("there is no %s in %s", want, text)
		}
	}
	if strings.Contains(string(text), `"grant":"d"`) {
		t.Errorf("a grant of which nothing is left is in %s", text)
	}
}
