package httpapi_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

// enter makes an entry of an account by a commit that no event brought.
func (s *site) enter(account, grant string) {
	s.t.Helper()
	_, err := s.store.Commit(s.t.Context(), book.Commit{
		Account: account, Object: entitlement.Ref{Kind: entitlement.KindPayment, ID: grant}, State: []byte(`{}`), Cause: "evt_" + grant,
		Effect: entitlement.Effect{Grants: []ledger.Target{{ID: grant, Amount: 1}}},
	})
	must(s.t, err)
}

// enterMany makes entries first_1, first_2, …
func (s *site) enterMany(account, first string, n int) {
	s.t.Helper()
	for i := range n {
		s.enter(account, fmt.Sprint(first, "_", i+1))
	}
}

// historyPage is an answer of GET /history.
type historyPage struct {
	purchases, entries []any
	next               string // "" at the end
}

func (s *site) history(account, query string) historyPage {
	s.t.Helper()
	m := s.get("/payments/history" + query).by(account).do().json(200)
	p := historyPage{purchases: m["purchases"].([]any), entries: m["entries"].([]any)}
	p.next, _ = m["next"].(string)
	if m["next"] != nil && p.next == "" {
		s.t.Errorf("next is %v", m["next"])
	}
	return p
}

// seqs are the numbers of the page's entries.
func (p historyPage) seqs() []int {
	var seqs []int
	for _, e := range p.entries {
		n, _ := strconv.Atoi(string(e.(map[string]any)["seq"].(json.Number)))
		seqs = append(seqs, n)
	}
	return seqs
}

// TestHistoryOfDebt: what was spent before it was taken back is owed. The ledger
// says so; what can be spent is never below 0.
func TestHistoryOfDebt(t *testing.T) {
	s := newSite(t, nil)
	s.enter(alice, "a")
	held := book.Hold{Account: alice, ID: "hold_1", By: "a test", Amount: 1, TTL: time.Hour}
	_, err := s.store.Hold(t.Context(), held)
	must(t, err)
	_, err = s.store.End(t.Context(), book.End{Account: alice, ID: held.ID, By: held.By, Captured: 1})
	must(t, err)
	_, err = s.store.Commit(t.Context(), book.Commit{
		Account: alice, Object: entitlement.Ref{Kind: entitlement.KindPayment, ID: "a"}, Version: 1, State: []byte(`{}`), Cause: "evt_b",
		Effect: entitlement.Effect{Grants: []ledger.Target{{ID: "a"}}},
	})
	must(t, err)

	at := s.clock.Now().Format(time.RFC3339)
	line := func(seq, kind, amount, balance, cause string) any {
		return map[string]any{
			"seq": json.Number(seq), "at": at, "kind": kind, "amount": json.Number(amount), "balance": json.Number(balance), "grant": "a", "cause": cause,
		}
	}
	want := []any{line("3", "clawback", "-1", "-1", "evt_b"), line("2", "capture", "-1", "0", "hold_1"), line("1", "grant", "1", "1", "evt_a")}
	if got := s.history(alice, "").entries; !reflect.DeepEqual(got, want) {
		t.Errorf("entries %v, want %v", got, want)
	}
	if got := s.get("/payments/status").by(alice).do().json(200)["credits"]; got != json.Number("0") {
		t.Errorf("%v credits", got)
	}
}

func TestHistory(t *testing.T) {
	s := newSite(t, func(set *setting) { set.signup = 3 })
	started := s.clock.Now().Format(time.RFC3339)

	// The first that is seen of an account may be this.
	a := s.get("/payments/history").by(alice).do()
	signup := map[string]any{
		"seq": json.Number("1"), "at": started, "kind": "grant", "amount": json.Number("3"), "balance": json.Number("3"),
		"grant": "signup", "cause": "signup",
	}
	want := map[string]any{"purchases": []any{}, "entries": []any{signup}, "next": nil}
	if got := a.json(200); !reflect.DeepEqual(got, want) {
		t.Errorf("history %v, want %v", got, want)
	}
	if got := a.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q", got)
	}

	paid, session := s.order(alice, `{"product":"pack10","quantity":2}`)
	s.clock.pass(time.Minute)
	payment := s.pay(session, dodosim.CardVisa).PaymentID
	at := s.clock.Now().Format(time.RFC3339)
	failed, session := s.order(alice, `{"product":"pack10"}`)
	declined := s.pay(session, dodosim.CardDeclined).PaymentID
	s.clock.pass(time.Minute)
	opened, _ := s.order(alice, `{"product":"secret"}`)
	last := s.clock.Now().Format(time.RFC3339)

	a = s.get("/payments/history").by(alice).do()
	got := a.json(200)
	order := func(id, product, quantity, state string, payment any, created string) map[string]any {
		return map[string]any{
			"order_id": id, "product": product, "quantity": json.Number(quantity), "state": state, "payment_id": payment, "created_at": created,
		}
	}
	wantOrders := []any{
		order(opened, "secret", "1", "open", nil, last),
		order(failed, "pack10", "1", "failed", declined, at),
		order(paid, "pack10", "2", "paid", payment, started),
	}
	if !reflect.DeepEqual(got["purchases"], wantOrders) {
		t.Errorf("purchases %v, want %v", got["purchases"], wantOrders)
	}
	entries := got["entries"].([]any)
	if len(entries) != 2 || !reflect.DeepEqual(entries[1], signup) {
		t.Fatalf("entries %v", entries)
	}
	bought := entries[0].(map[string]any)
	if grant, _ := bought["grant"].(string); !strings.Contains(grant, payment) || bought["cause"] == "" {
		t.Errorf("entry %v", bought)
	}
	delete(bought, "grant")
	delete(bought, "cause")
	if want := map[string]any{
		"seq": json.Number("2"), "at": at, "kind": "grant", "amount": json.Number("20"), "balance": json.Number("23"),
	}; !reflect.DeepEqual(bought, want) {
		t.Errorf("entry %v, want %v", bought, want)
	}
	for _, hidden := range []string{"checkout", session, "return_to", "email", "pdt_", secret, apiKey} {
		if strings.Contains(a.Body.String(), hidden) {
			t.Errorf("%q is told: %s", hidden, a.Body)
		}
	}

	// A checkout that nobody tried to pay is no purchase when it is over.
	s.clock.pass(25 * time.Hour)
	if got := s.history(alice, "").purchases; len(got) != 2 {
		t.Errorf("purchases %v", got)
	}
}

// Each page has the limit's entries, and they follow on each other whatever is
// added in between.
func TestHistoryPages(t *testing.T) {
	for _, test := range []struct {
		limit string
		pages []int
	}{
		{"", []int{50, 50, 20}},
		{"limit=100", []int{100, 20}},
		{"limit=60", []int{60, 60}}, // and no empty page behind it
		{"limit=7", []int{7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 1}},
	} {
		t.Run(test.limit, func(t *testing.T) {
			s := newSite(t, nil)
			s.enterMany(alice, "old", 120)
			s.enterMany(bob, "his", 5)
			query := "?" + test.limit
			var pages, seen []int
			for {
				p := s.history(alice, query)
				pages, seen = append(pages, len(p.entries)), append(seen, p.seqs()...)
				if p.next == "" || len(pages) > 120 {
					break
				}
				s.enterMany(alice, fmt.Sprint("new_", len(pages)), 1+rand.IntN(3))
				query = "?" + test.limit + "&before=" + url.QueryEscape(p.next)
			}
			if !reflect.DeepEqual(pages, test.pages) {
				t.Errorf("pages of %v entries, want %v", pages, test.pages)
			}
			for i, seq := range seen {
				if seq != 120-i {
					t.Fatalf("entry %d has number %d, want %d", i, seq, 120-i)
				}
			}
		})
	}
}

// Whatever a page is asked for, it is the visitor's own.
func TestHistoryOfOthers(t *testing.T) {
	s := newSite(t, nil)
	s.enterMany(alice, "hers", 30)
	s.enterMany(bob, "his", 3)
	_, session := s.order(alice, `{"product":"pack10"}`)
	s.pay(session, dodosim.CardVisa)
	hers := s.history(alice, "?limit=10")
	if len(hers.purchases) != 1 || hers.next == "" {
		t.Fatalf("her history %+v", hers)
	}
	for _, query := range []string{"", "?before=" + hers.next, "?before=31", "?before=9007199254740991"} {
		a := s.get("/payments/history" + query).by(bob).do()
		if body := a.Body.String(); a.Code != 200 || strings.Contains(body, "hers") || strings.Contains(body, "pay_") {
			t.Errorf("%s: %d %s", query, a.Code, body)
		}
		if p := s.history(bob, query); len(p.purchases) != 0 || len(p.entries) != 3 || p.next != "" {
			t.Errorf("%s: %+v", query, p)
		}
	}
	// A cursor at the very beginning, and somebody whom nobody has seen.
	for account, query := range map[string]string{alice: "?before=1", "carol": "?before=" + hers.next} {
		if p := s.history(account, query); len(p.entries) != 0 || p.next != "" {
			t.Errorf("%s %s: %+v", account, query, p)
		}
	}
}

func TestHistoryLimits(t *testing.T) {
	s := newSite(t, nil)
	s.enterMany(alice, "g", 120)
	for query, want := range map[string]int{"": 50, "?": 50, "?limit=1": 1, "?limit=100": 100, "?limit=2&before=2": 1, "?before=2&limit=2": 1} {
		if p := s.history(alice, query); len(p.entries) != want {
			t.Errorf("%s: %d entries, want %d", query, len(p.entries), want)
		}
	}
}

func TestHistoryRefusals(t *testing.T) {
	s := newSite(t, func(set *setting) { set.signup = 3 })
	for _, test := range []struct {
		query, account string
		status         int
		code, detail   string
	}{
		{"", "", 401, "unauthenticated", "Sign in"},
		{"limit=0", "", 401, "unauthenticated", "Sign in"}, // nobody learns more before
		{"", strings.Repeat("x", 257), 500, "account_invalid", ""},
		{"limit=0", alice, 400, "invalid_request", "limit must be a whole number from 1 to 100"},
		{"limit=101", alice, 400, "invalid_request", "limit must"},
		{"limit=-1", alice, 400, "invalid_request", "limit must"},
		{"limit=", alice, 400, "invalid_request", "limit must"},
		{"limit", alice, 400, "invalid_request", "limit must"},
		{"limit=ten", alice, 400, "invalid_request", "limit must"},
		{"limit=1e1", alice, 400, "invalid_request", "limit must"},
		{"limit=0x10", alice, 400, "invalid_request", "limit must"},
		{"limit=%2B10", alice, 400, "invalid_request", "limit must"},
		{"limit=010", alice, 400, "invalid_request", "limit must"},
		{"limit=10.0", alice, 400, "invalid_request", "limit must"},
		{"limit=%2010", alice, 400, "invalid_request", "limit must"},
		{"limit=18446744073709551617", alice, 400, "invalid_request", "limit must"},
		{"limit=10&limit=10", alice, 400, "invalid_request", "limit is given more than once"},
		{"before=", alice, 400, "invalid_request", "before must be the next"},
		{"before=0", alice, 400, "invalid_request", "before must"},
		{"before=-5", alice, 400, "invalid_request", "before must"},
		{"before=05", alice, 400, "invalid_request", "before must"},
		{"before=null", alice, 400, "invalid_request", "before must"},
		{"before=5%00", alice, 400, "invalid_request", "before must"},
		{"before=%D9%A5", alice, 400, "invalid_request", "before must"}, // a five, in Arabic
		{"before=9007199254740992", alice, 400, "invalid_request", "before must"},
		{"before=99999999999999999999", alice, 400, "invalid_request", "before must"},
		{"before=" + strings.Repeat("9", 5000), alice, 400, "invalid_request", "before must"},
		{"before=5&before=6", alice, 400, "invalid_request", "before is given more than once"},
		{"after=5", alice, 400, "invalid_request", `"after" is not a parameter`},
		{"account=bob", alice, 400, "invalid_request", `"account" is not a parameter`},
		{"Limit=5", alice, 400, "invalid_request", `"Limit" is not a parameter`},
		{"=5", alice, 400, "invalid_request", `"" is not a parameter`},
		{"limit=5;before=5", alice, 400, "invalid_request", "query cannot be read"},
		{"limit=%zz", alice, 400, "invalid_request", "query cannot be read"},
	} {
		t.Run(fmt.Sprintf("%.40s", test.query), func(t *testing.T) {
			s := s.in(t)
			s.untouched(func() {
				m := s.get("/payments/history?"+test.query).by(test.account).do().problem(test.status, test.code)
				if detail, _ := m["detail"].(string); !strings.Contains(detail, test.detail) || len(detail) > 200 {
					t.Errorf("detail %q, want something about %q", detail, test.detail)
				}
			})
		})
	}
}

func TestHistoryWithoutStore(t *testing.T) {
	s := newSite(t, nil)
	must(t, s.store.Close())
	s.get("/payments/history").by(alice).do().problem(503, "store_unavailable")
}
