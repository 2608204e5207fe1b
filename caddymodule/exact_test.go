package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dodogate/dodogate/caddymodule"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// redisShop is a bench on Redis, by way of address, with 100 credits for everybody,
// and site as what is behind dodo_gateway.
func redisShop(t *testing.T, address, site string) *bench {
	t.Helper()
	b := newBench(t)
	b.mustLoad(caddyfile(rich(onRedis("redis "+address)), usualGateway+"\n"+site))
	return b
}

func rich(dodo string) string {
	return strings.Replace(dodo, "signup_credits 3", "signup_credits 100", 1)
}

// line is an entry of a ledger.
type line struct {
	Seq, Amount, Balance int64
	Kind, Cause          string
}

// ledger reads the entries of an account, newest first.
func (b *bench) ledger(user string) []line {
	b.t.Helper()
	var all []line
	for before := ""; ; {
		a := b.do("GET", "/payments/history?limit=100"+before, "", "X-Test-User", user)
		var page struct {
			Entries []line
			Next    *string
		}
		if err := json.Unmarshal([]byte(a.body), &page); err != nil || a.status != http.StatusOK {
			b.t.Fatal(a.status, a.body)
		}
		all = append(all, page.Entries...)
		if page.Next == nil {
			return all
		}
		before = "&before=" + *page.Next
	}
}

// spends waits until so many holds of an account have spent so much, each of them
// once.
func (b *bench) spends(user string, n int, credits int64) {
	b.t.Helper()
	eventually(b.t, "what "+user+" was charged", func() string {
		causes, spent := map[string]int{}, int64(0)
		for _, e := range b.ledger(user) {
			if e.Kind == "capture" {
				causes[e.Cause]++
				spent -= e.Amount
			}
		}
		for cause, times := range causes {
			if times > 1 {
				b.t.Fatalf("%s spent %d times", cause, times)
			}
		}
		if len(causes) != n || spent != credits {
			return fmt.Sprintf("%d charges of %d credits, want %d of %d", len(causes), spent, n, credits)
		}
		return ""
	})
}

// calls counts the scripts that clients ran on Redis since the last time, and the
// connections that they made. Other commands than scripts they send only to listen.
func calls(t *testing.T, server *redistest.Server) (scripts, connections int) {
	t.Helper()
	for _, text := range strings.Fields(server.MustDo("INFO", "commandstats")) {
		name, rest, _ := strings.Cut(strings.TrimPrefix(text, "cmdstat_"), ":calls=")
		digits, _, _ := strings.Cut(rest, ",")
		n, _ := strconv.Atoi(digits)
		switch name {
		case "eval", "evalsha":
			scripts += n
		case "hello":
			connections += n
		}
	}
	server.MustDo("CONFIG", "RESETSTAT")
	return scripts, connections
}

// TestRoundTrips counts what requests ask of Redis, by Redis's own numbers: two
// scripts when they are charged, nothing otherwise, also when they are refused.
func TestRoundTrips(t *testing.T) {
	server := redistest.Start(t)
	b := redisShop(t, server.URL(), "\tdodo_charge /paid 1\n\tdodo_charge /dear 1000\n\trespond ok")
	const accounts, rounds = 60, 5
	wants := func(status int, path string) {
		t.Helper()
		for i := range accounts {
			if a := b.do("GET", path, "", "X-Test-User", fmt.Sprint("user", i)); a.status != status {
				t.Fatal(a.status, a.body)
			}
		}
	}
	ask := func(path string) { t.Helper(); wants(http.StatusOK, path) }
	ask("/free")
	ask("/paid")
	b.spends("user59", 1, 1)
	calls(t, server)
	for range rounds {
		ask("/free")
	}
	if n, _ := calls(t, server); n != 0 {
		t.Errorf("%d scripts for %d free requests, want none", n, rounds*accounts)
	}
	wants(http.StatusPaymentRequired, "/dear") // whether an order waits is looked up once
	calls(t, server)
	counted := b.refusals()
	for range rounds {
		wants(http.StatusPaymentRequired, "/dear")
	}
	if n, _ := calls(t, server); n != 0 {
		t.Errorf("%d scripts for %d refused requests, want none", n, rounds*accounts)
	}
	if n := b.refusals() - counted; n != rounds*accounts {
		t.Errorf("%v refusals are counted, want %d", n, rounds*accounts)
	}
	for range rounds {
		ask("/paid")
	}
	if n, _ := calls(t, server); n > 2*rounds*accounts {
		t.Errorf("%d scripts for %d charged requests, want two for each", n, rounds*accounts)
	}

	// Many at once of one account: the news of a change may be faster than the
	// answer to it, and whoever comes in between reads the account.
	rush := func() {
		var crowd sync.WaitGroup
		for range 30 {
			crowd.Go(func() {
				for range 20 {
					if _, err := b.try("GET", "/paid", "rich"); err != nil {
						t.Error(err)
					}
				}
			})
		}
		crowd.Wait()
	}
	b.mustLoad(caddyfile(strings.Replace(onRedis("redis "+server.URL()), "signup_credits 3", "signup_credits 10000", 1), usualGateway+"\n\tdodo_charge /paid 1\n\trespond ok"))
	rush()
	b.spends("rich", 600, 600)
	calls(t, server)
	rush()
	n, connections := calls(t, server)
	if n > 600*5/2 {
		t.Errorf("%d scripts for 600 charged requests at once", n)
	}
	if connections > 64 {
		t.Errorf("%d connections were made for 600 requests", connections)
	}
	t.Logf("600 charged requests at once: %d scripts, %d connections", n, connections)
}

// TestLongRequest: a request that takes three times as long as its hold may run.
// The hold is kept alive, and spent once, at the price that comes last.
func TestLongRequest(t *testing.T) {
	b := newBench(t)
	end := make(chan struct{})
	finish := sync.OnceFunc(func() { close(end) })
	defer finish()
	b.Upstream = strings.TrimPrefix(newServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Charge-Credits")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-end
		w.Header().Set("X-Charge-Credits", "7")
	}), "http://")
	b.mustLoad(caddyfile(rich(onRedis("redis "+redistest.Start(t).URL())), usualGateway+"\n\tdodo_charge 1 {\n\t\tmax 10\n\t\thold_ttl 1s\n\t}\n\treverse_proxy {{Upstream}}"))
	done := make(chan *http.Response, 1)
	go func() {
		defer close(done)
		req, _ := http.NewRequest("GET", "http://127.0.0.1:"+b.Port+"/", nil)
		req.Header.Set("X-Test-User", "alice")
		resp, err := b.client.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Error(err)
		}
		done <- resp
	}()
	b.leaves("alice", 90)
	for began := time.Now(); time.Since(began) < 3*time.Second; time.Sleep(50 * time.Millisecond) {
		b.leaves("alice", 90)
	}
	finish()
	if resp := <-done; resp == nil || receipts(resp.Trailer) != "7/93" {
		t.Errorf("%+v", resp)
	}
	b.leaves("alice", 93)
	b.spends("alice", 1, 7)
}

// TestRenewalIsTriedAgain: a hold that could not be renewed is renewed before it
// runs out.
func TestRenewalIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ttl = time.Minute
		began, n := time.Now(), 0
		var at []time.Duration
		stop := caddymodule.StartRenewal(ttl/2, func() bool {
			at = append(at, time.Since(began))
			n++
			return n != 2
		})
		time.Sleep(2 * ttl)
		stop()
		time.Sleep(ttl)
		for i := 1; i < len(at); i++ {
			if gap := at[i] - at[i-1]; gap > ttl/2 || i == 2 && gap > ttl/4 {
				t.Errorf("tried after %v", at)
			}
		}
		if len(at) < 4 || at[len(at)-1] > 2*ttl {
			t.Errorf("tried after %v", at)
		}
	})
}

// TestStoreAwayAtTheEnd: Redis cannot be reached when a request is to be charged.
// The client has its answer, and is charged once when Redis is back, also when
// Redis had charged and only the reply was lost.
func TestStoreAwayAtTheEnd(t *testing.T) {
	for name, lose := range map[string]func(p *redistest.Proxy){
		"no request arrives": func(p *redistest.Proxy) { p.CutAfter(0) },
		"no reply arrives":   func(p *redistest.Proxy) { p.LoseReplies(func(int) bool { return true }) },
	} {
		t.Run(name, func(t *testing.T) {
			proxy := redistest.NewProxy(t, redistest.Start(t))
			b := newBench(t)
			asked, goOn := make(chan struct{}, 1), make(chan struct{})
			finish := sync.OnceFunc(func() { close(goOn) })
			defer finish()
			b.Upstream = strings.TrimPrefix(newServer(t, func(w http.ResponseWriter, r *http.Request) {
				asked <- struct{}{}
				<-goOn
			}), "http://")
			b.mustLoad(caddyfile(rich(onRedis("redis "+proxy.URL())), usualGateway+"\n\tdodo_charge 3\n\treverse_proxy {{Upstream}}"))
			b.leaves("alice", 100)
			done := make(chan answer, 1)
			go func() {
				a, err := b.try("GET", "/", "alice")
				if err != nil {
					t.Error(err)
				}
				done <- a
			}()
			<-asked
			lose(proxy)
			finish()
			if a := <-done; a.status != http.StatusOK || receipts(a.header) != "3/97" {
				t.Errorf("%d, receipts %s", a.status, receipts(a.header))
			}
			eventually(t, "the store is away", func() string {
				if a := b.do("GET", "/payments/status", "", "X-Test-User", "alice"); a.status != http.StatusServiceUnavailable {
					return a.body
				}
				return ""
			})
			time.Sleep(time.Second) // for some attempts
			proxy.Mend()
			proxy.LoseReplies(nil)
			b.leavesAgain("alice", 97)
			b.spends("alice", 1, 3)
			b.leavesAgain("alice", 97)
		})
	}
}

// leavesAgain is leaves for a store that may not be back yet.
func (b *bench) leavesAgain(user string, want int64) {
	b.t.Helper()
	eventually(b.t, "the store is back", func() string {
		if a := b.do("GET", "/payments/status", "", "X-Test-User", user); a.status != http.StatusOK {
			return a.body
		}
		return ""
	})
	b.leaves(user, want)
}

// TestHoldWithoutReply: Redis sets credits aside, and the gateway does not hear of
// it. The request is told to come again, the app never sees it, nothing is charged,
// and the credits come back.
func TestHoldWithoutReply(t *testing.T) {
	proxy := redistest.NewProxy(t, redistest.Start(t))
	b := newBench(t)
	reached := make(chan struct{}, 100)
	b.Upstream = strings.TrimPrefix(newServer(t, func(http.ResponseWriter, *http.Request) { reached <- struct{}{} }), "http://")
	// Alice is remembered, so that it is the hold that fails.
	dodo := strings.Replace(onRedis("redis "+proxy.URL()+" {\n\t\t\ttimeout 300ms\n\t\t}"), "signup_credits 3", "signup_credits 100\n\t\tmax_stale 1h", 1)
	b.mustLoad(caddyfile(dodo, usualGateway+"\n\tdodo_charge 3 {\n\t\thold_ttl 5s\n\t}\n\treverse_proxy {{Upstream}}"))
	if a := b.do("GET", "/", "", "X-Test-User", "alice"); a.status != http.StatusOK {
		t.Fatal(a.status, a.body)
	}
	<-reached
	b.leaves("alice", 97)
	proxy.LoseReplies(func(int) bool { return true })
	for range 3 {
		b.unavailable(b.do("GET", "/", "", "X-Test-User", "alice"))
	}
	proxy.LoseReplies(nil)
	b.leavesAgain("alice", 97)
	b.spends("alice", 1, 3)
	if len(reached) > 0 {
		t.Error("the app saw a request that was told to come again")
	}

	// With some replies lost the store's client asks again, and the request passes, or
	// it does not.
	for lost := range 10 {
		proxy.LoseReplies(func(reply int) bool { return reply <= lost })
		if a := b.do("GET", "/", "", "X-Test-User", "bob"); a.status != http.StatusOK {
			b.unavailable(a)
		}
	}
	proxy.LoseReplies(nil)
	n := len(reached)
	b.leavesAgain("bob", 100-3*int64(n))
	b.spends("bob", n, 3*int64(n))
}

// unavailable checks an answer that tells to come again.
func (b *bench) unavailable(a answer) {
	b.t.Helper()
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || !strings.Contains(a.body, `"store_unavailable"`) || receipts(a.header) != "/" {
		b.t.Errorf("without the store: %d %v %s", a.status, a.header, a.body)
	}
}

// TestChargeWithoutStore: who could pay and who could not are told to come again,
// and never to pay; nothing is charged.
func TestChargeWithoutStore(t *testing.T) {
	server := redistest.Start(t, "--appendfsync", "always")
	b := newBench(t)
	app := make(chan string, 100)
	b.Upstream = strings.TrimPrefix(newServer(t, func(_ http.ResponseWriter, r *http.Request) { app <- r.URL.Path }), "http://")
	for _, stale := range []string{"", "\n\t\tmax_stale 1h"} {
		b.mustLoad(caddyfile(strings.Replace(onRedis("redis "+server.URL()), "signup_credits 3", "signup_credits 3"+stale, 1),
			usualGateway+"\n\tdodo_charge 3\n\treverse_proxy {{Upstream}}"))
		poor, able := "poor"+fmt.Sprint(len(stale)), "able"+fmt.Sprint(len(stale))
		b.leaves(able, 3)
		if a := b.do("GET", "/", "", "X-Test-User", poor); a.status != http.StatusOK {
			t.Fatal(a.status, a.body)
		}
		<-app
		b.leaves(poor, 0)
		b.spends(poor, 1, 3)
		b.problem(b.do("GET", "/", "", "X-Test-User", poor), 402, "insufficient_credits")
		server.Kill()
		eventually(t, "the store is missed", func() string {
			if text := b.metrics(); strings.Contains(text, "\ndodogate_changes_heard 1\n") {
				return text
			}
			return ""
		})
		for _, user := range []string{poor, able, "stranger"} {
			for range 3 {
				b.unavailable(b.do("GET", "/", "", "X-Test-User", user))
			}
		}
		server.Restart()
		b.leavesAgain(able, 3)
		b.leavesAgain(poor, 0)
		b.spends(able, 0, 0)
		b.spends(poor, 1, 3)
		if len(app) > 0 {
			t.Errorf("the app was asked for %s", <-app)
		}
	}
}

// TestChargeOnBrokenFile is the same on the embedded store.
func TestChargeOnBrokenFile(t *testing.T) {
	b := newShop(t, "\tdodo_charge 3", func(http.ResponseWriter, *http.Request) { t.Error("the app was asked") })
	b.leaves("alice", 100)
	caddymodule.BreakStores()
	b.unavailable(b.do("GET", "/", "", "X-Test-User", "alice"))
	b.unavailable(b.do("GET", "/", "", "X-Test-User", "bob"))
}

// TestOddAccounts: what a login calls somebody is a name and nothing else. Each
// is an account of its own, charged for what it asked, in one slot of a Cluster.
func TestOddAccounts(t *testing.T) {
	t.Setenv("DODOGATE_TEST_ODD", "expanded")
	ids := []string{
		"alice", "Alice", "alice ", " alice", "alice\n", "alice\r\nX-Entitlement-Credits: 9", "alice\x00", "ali\tce", "alicе" /* Cyrillic е */, "alice\u200b",
		"zo\u00eb", "zoe\u0308", "ｅ", "e", "\xff", "\xfe", "*", "?", "[a]", "a*", "{", "}", "{}", "{}a", "{a}", "{a}b", "}{", "a}:b", "a:b", "a", ":", "{a}:account",
		"a}:holds", "%7Ba%7D", "%", "+", " ", "a+b", "a b", "a%20b", "a/b", "../a", "a\\b", "{env.DODOGATE_TEST_ODD}", "{$DODOGATE_TEST_ODD}", "expanded",
		"{file./etc/hostname}", "{{env \"HOME\"}}", "\\{env.DODOGATE_TEST_ODD}", strings.Repeat("x", 255), strings.Repeat("x", 256), strings.Repeat("\n", 256),
		strings.Repeat("{", 256), strings.Repeat("\xff", 256),
	}
	for _, backend := range []string{"bolt", "redis"} {
		t.Run(backend, func(t *testing.T) {
			b := newBench(t)
			dodo, server := usualDodo, (*redistest.Server)(nil)
			if backend == "redis" {
				server = redistest.Start(t)
				dodo = onRedis("redis " + server.URL())
			}
			b.mustLoad(caddyfile(rich(dodo), `
	dodo_gateway {
		account {http.request.uri.query.user}
	}
	dodo_charge /app 1
	header >X-Account {http.dodo.account}
	reverse_proxy {{Upstream}}`))
			get := func(path, id string) answer {
				return b.do("GET", path+"?user="+url.QueryEscape(id), "", "X-Entitlement-User", "alice")
			}
			// A header that nobody filled in names nobody.
			if a := get("/app", "{http.auth.user.id}"); a.status != http.StatusUnauthorized {
				t.Errorf("the name of a placeholder: %d %s", a.status, a.body)
			}
			for i, id := range ids {
				for n := range 1 + i%3 {
					a := get("/app", id)
					if got, err := url.PathUnescape(b.seen(a).Header.Get("X-Entitlement-User")); got != id || err != nil {
						t.Errorf("%q is %q to the app", id, got)
					}
					if got, err := url.PathUnescape(a.header.Get("X-Account")); got != id || err != nil {
						t.Errorf("%q is %q to Caddy", id, got)
					}
					if want := fmt.Sprintf("1/%d", 99-n); receipts(a.header) != want {
						t.Errorf("%q: receipts %s, want %s", id, receipts(a.header), want)
					}
				}
			}
			for i, id := range ids {
				eventually(t, "status", func() string {
					var status struct{ Credits int64 }
					a := get("/payments/status", id)
					if err := json.Unmarshal([]byte(a.body), &status); err != nil {
						return a.body
					}
					if status.Credits != 99-int64(i%3) {
						return fmt.Sprintf("%q: %s", id, a.body)
					}
					return ""
				})
			}
			if server == nil {
				return
			}
			tags := map[string]bool{}
			for _, key := range strings.Split(server.MustDo("KEYS", "*"), "\n") {
				_, tail, ok := strings.Cut(key, "{")
				tag, rest, closed := strings.Cut(tail, "}")
				if !ok {
					continue
				}
				if !closed || tag == "" || strings.ContainsAny(rest, "{}\n") {
					t.Errorf("key %q", key)
				}
				tags[tag] = true
			}
			for _, id := range ids {
				tag := url.QueryEscape(id)
				if !tags[tag] {
					t.Errorf("no key of %q", id)
				}
				delete(tags, tag)
			}
			if len(tags) > 0 {
				t.Errorf("keys of nobody: %v", tags)
			}
		})
	}
}
