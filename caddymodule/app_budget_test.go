package caddymodule_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// guess checks out with a discount code that there is not.
func (b *bench) guess(i int, account string, header ...string) answer {
	b.t.Helper()
	header = append([]string{"Content-Type", "application/json", "X-Test-User", account}, header...)
	return b.do("POST", "/payments/checkout", fmt.Sprintf(`{"product":"pack10","discount_code":"GUESS%d"}`, i), header...)
}

// checksOut wants a checkout to succeed.
func (b *bench) checksOut(account string, header ...string) {
	b.t.Helper()
	header = append([]string{"Content-Type", "application/json", "X-Test-User", account}, header...)
	if a := b.do("POST", "/payments/checkout", `{"product":"pack10"}`, header...); a.status != http.StatusCreated {
		b.t.Errorf("%s cannot buy: %d %s", account, a.status, a.body)
	}
}

// wantsLater wants a 429 that says when to come again.
func (a answer) wantsLater(t *testing.T) {
	t.Helper()
	after, err := strconv.Atoi(a.header.Get("Retry-After"))
	if a.status != http.StatusTooManyRequests || err != nil || after < 1 || !strings.Contains(a.body, `"code":"too_many_requests"`) {
		t.Errorf("%d, Retry-After %q: %s", a.status, a.header.Get("Retry-After"), a.body)
	}
}

const behindProxy = "\n\tservers {\n\t\ttrusted_proxies static 127.0.0.1/32\n\t}"

// TestCodesGuessed: of 200 guesses Dodo hears few, whether one account makes them or
// one address. A client cannot invent its address; a trusted proxy says it.
func TestCodesGuessed(t *testing.T) {
	someone := func(i int) string { return fmt.Sprint("user", i) }
	mallory := func(int) string { return "mallory" }
	for name, c := range map[string]struct {
		globals string
		account func(int) string
		address func(int) string
	}{
		"one account":                    {"", mallory, nil},
		"one account, many addresses":    {behindProxy, mallory, func(i int) string { return fmt.Sprint("203.0.113.", i) }},
		"many accounts":                  {"", someone, nil},
		"many accounts, false addresses": {"", someone, func(i int) string { return fmt.Sprint("203.0.113.", i) }},
		"many accounts, one network":     {behindProxy, someone, func(i int) string { return fmt.Sprintf("2001:db8::%x", i) }},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			sim := newSimulator(t, b, "")
			b.mustLoad(caddyfile(usualDodo+c.globals+"\n\tmetrics", usualProxy))
			refused := 0
			for i := range 200 {
				var header []string
				if c.address != nil {
					header = []string{"X-Forwarded-For", c.address(i)}
				}
				switch a := b.guess(i, c.account(i), header...); a.status {
				case http.StatusTooManyRequests:
					refused++
					a.wantsLater(t)
				case http.StatusUnprocessableEntity:
				default:
					t.Fatalf("%d %s", a.status, a.body)
				}
			}
			if n := sim.Calls("POST", "/checkouts"); n > 30 || refused < 170 {
				t.Errorf("Dodo was asked %d times, %d guesses were refused", n, refused)
			}
			b.checksOut("bob", "X-Forwarded-For", "198.51.100.9")
			b.checksOut(c.account(0))
			if want := `dodogate_checkouts_total{result="too_many_requests"}`; !strings.Contains(b.metrics(), want) {
				t.Error("there is no", want)
			}
		})
	}
}

// TestAddressesOfAProxy: customers behind one trusted proxy are not taken for one.
func TestAddressesOfAProxy(t *testing.T) {
	b := newBench(t)
	newSimulator(t, b, "")
	b.mustLoad(caddyfile(usualDodo+behindProxy, usualProxy))
	for i := range 40 {
		if a := b.guess(i, fmt.Sprint("user", i), "X-Forwarded-For", fmt.Sprint("203.0.113.", i)); a.status != http.StatusUnprocessableEntity {
			t.Fatalf("user %d: %d %s", i, a.status, a.body)
		}
	}
}

// TestBudgetOutlivesReloads: no minute begins anew with a config, unless that sets
// another number.
func TestBudgetOutlivesReloads(t *testing.T) {
	b := newBench(t)
	newSimulator(t, b, "")
	with := func(budget int, more string) string {
		dodo := strings.Replace(usualDodo, "signup_credits 3", fmt.Sprintf("budget %d\n\t\treconcile off\n\t\tsignup_credits 3", budget), 1)
		return caddyfile(dodo, more+usualProxy)
	}
	buy := func() answer {
		return b.do("POST", "/payments/checkout", `{"product":"pack10"}`, "Content-Type", "application/json", "X-Test-User", "alice")
	}
	b.mustLoad(with(10, ""))
	b.checksOut("alice") // of 10 calls a minute it has one at a time
	buy().wantsLater(t)
	b.mustLoad(with(10, "\theader X-Reloaded yes\n"))
	buy().wantsLater(t)
	b.mustLoad(with(20, ""))
	b.checksOut("alice")
}

// TestCallsInAMinute: many customers at once get what the budget has, and no more
// reaches Dodo. The other requests get 429 with Retry-After.
func TestCallsInAMinute(t *testing.T) {
	b := newBench(t)
	sim := newSimulator(t, b, "")
	dodo := strings.Replace(usualDodo, "signup_credits 3", "budget 20\n\t\treconcile off\n\t\tsignup_credits 3", 1)
	b.mustLoad(caddyfile(dodo+behindProxy, usualProxy))
	made := 0
	for i := range 40 {
		a := b.do("POST", "/payments/checkout", `{"product":"pack10"}`, "Content-Type", "application/json",
			"X-Test-User", fmt.Sprint("user", i), "X-Forwarded-For", fmt.Sprint("203.0.113.", i))
		if a.status == http.StatusCreated {
			made++
			continue
		}
		a.wantsLater(t)
	}
	// 5 kept for checkouts, and 4 that nobody has a right to.
	if n := sim.Calls("POST", "/checkouts"); made != n || n < 9 || n > 20 {
		t.Errorf("%d checkouts, %d calls", made, n)
	}
}
