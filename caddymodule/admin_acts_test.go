package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// adminPost sends JSON to the admin API.
func (b *bench) adminPost(path, body string, header ...string) answer {
	b.t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://"+b.Admin+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Close = true
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return b.send(req)
}

type adminAct struct {
	ID, Kind, Account, Reason string
	Credits                   int
	Before, After             struct{ Credits, Held, Owed int }
	Repeated, New             bool
}

// does has an operator act, and wants it to be done.
func (b *bench) does(path, body string) (did adminAct) {
	b.t.Helper()
	a := b.adminPost(path, body)
	if err := json.Unmarshal([]byte(a.body), &did); err != nil || a.status != 200 {
		b.t.Fatalf("%s %s: %d %s", path, body, a.status, a.body)
	}
	return did
}

// TestAdminActs: what operators do by hand counts once, at once, and is kept.
func TestAdminActs(t *testing.T) {
	for _, backend := range []string{"bolt", "redis"} {
		t.Run(backend, func(t *testing.T) {
			b := newBench(t)
			global := off(usualDodo)
			if backend == "redis" {
				global = off(onRedis("redis redis://" + redistest.Start(t).Addr))
			}
			entered, leave := make(chan struct{}), make(chan struct{})
			app := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				entered <- struct{}{}
				<-leave
			}))
			defer app.Close()
			b.mustLoad(caddyfile(global, usualGateway+"\n\tdodo_charge /job 2\n\treverse_proxy /job "+app.URL+"\n\treverse_proxy {{Upstream}}"))
			if got := b.credits("alice"); got != "3" {
				t.Fatalf("alice has %s credits", got)
			}

			var all sync.WaitGroup
			for range 16 {
				all.Go(func() {
					if a := b.adminPost("/dodo/grant", `{"account":"alice","credits":5,"reason":"sorry","id":"t1"}`); a.status != 200 {
						t.Errorf("grant: %d %s", a.status, a.body)
					}
				})
			}
			all.Wait()
			if got := b.credits("alice"); got != "8" {
				t.Errorf("after one grant that came 16 times, alice has %s credits", got)
			}

			// A request hangs.
			all.Go(func() { b.do("GET", "/job", "", "X-Test-User", "alice") })
			<-entered
			holds := adminJSON[struct {
				Holds []struct {
					Hold    string
					Credits int
				}
			}](b, "GET", "/dodo/accounts/alice/holds").Holds
			if len(holds) != 1 || holds[0].Credits != 2 {
				t.Fatalf("holds: %+v", holds)
			}
			did := b.does("/dodo/release", fmt.Sprintf(`{"account":"alice","hold":%q,"reason":"it hangs"}`, holds[0].Hold))
			if did.Before.Held != 2 || did.After.Held != 0 || did.After.Credits != 8 || !strings.HasPrefix(did.ID, "act_") {
				t.Errorf("release: %+v", did)
			}
			close(leave)
			all.Wait()
			if got := b.credits("alice"); got != "8" {
				t.Errorf("after the release, alice has %s credits", got)
			}

			if did := b.does("/dodo/take", `{"account":"alice","credits":9,"owe":true,"reason":"a stolen card"}`); did.After.Owed != 1 || did.After.Credits != 0 {
				t.Errorf("take: %+v", did)
			}
			if did := b.does("/dodo/waive", `{"account":"alice","reason":"it was not"}`); did.Credits != 1 || did.After.Owed != 0 {
				t.Errorf("waive: %+v", did)
			}
			// What is given to a new account comes on top of what it gets anyway.
			if did := b.does("/dodo/grant", `{"account":"bob","credits":1,"reason":"hello"}`); !did.New || did.Before.Credits != 3 || did.After.Credits != 4 {
				t.Errorf("grant to a new account: %+v", did)
			}
			acts := adminJSON[struct{ Acts []adminAct }](b, "GET", "/dodo/accounts/alice/acts").Acts
			if len(acts) != 4 || acts[3].ID != "t1" || acts[3].Reason != "sorry" || acts[0].Kind != "waive" {
				t.Errorf("acts: %+v", acts)
			}
			entries := adminJSON[adminEntries](b, "GET", "/dodo/accounts/alice/entries").Entries
			if n := len(entries); n != 6 || entries[0].Kind != "waive" || entries[n-2].Cause != "act:t1" || entries[n-2].Grant != "act:t1" {
				t.Errorf("entries: %+v", entries)
			}
		})
	}
}

// TestAdminActsRefuse: what is not well described, or comes from another site, changes nothing.
func TestAdminActsRefuse(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(off(usualDodo), usualProxy))
	long := strings.Repeat("x", 501)
	for _, tt := range []struct {
		path, body string
		status     int
	}{
		{"/dodo/grant", `{"account":"alice","credits":5}`, 400},
		{"/dodo/grant", `{"account":"alice","credits":5,"reason":"` + long + `"}`, 400},
		{"/dodo/grant", `{"account":"alice","credits":5,"reason":"two\nlines"}`, 400},
		{"/dodo/grant", `{"account":"alice","credits":5,"reason":"why","id":"a b"}`, 400},
		{"/dodo/grant", `{"account":"alice","credits":5,"reason":"why","more":1}`, 400},
		{"/dodo/grant", `{"account":"alice","credits":5,"reason":"why","hold":"h"}`, 400},
		{"/dodo/grant", `{"account":"alice","credits":5,"reason":"why"}{}`, 400},
		{"/dodo/grant", `{"account":"","credits":5,"reason":"why"}`, 400},
		{"/dodo/grant", `{"account":"` + strings.Repeat("x", 257) + `","credits":5,"reason":"why"}`, 400},
		{"/dodo/grant", `{"account":"alice","credits":-5,"reason":"why"}`, 400},
		{"/dodo/grant", `{"account":"alice","credits":9007199254740992,"reason":"why"}`, 400},
		{"/dodo/grant", `{"account":"alice","credits":1.5,"reason":"why"}`, 400},
		{"/dodo/grant", `{"account":"alice","credits":5,"expires":"2001-01-01T00:00:00Z","reason":"why"}`, 400},
		{"/dodo/take", `{"account":"alice","credits":5,"reason":"why"}`, 409},
		{"/dodo/take", `{"account":"alice","credits":5,"plan":"pro","reason":"why"}`, 400},
		{"/dodo/waive", `{"account":"alice","reason":"why"}`, 409},
		{"/dodo/undo", `{"account":"alice","act":"none","reason":"why"}`, 404},
		{"/dodo/undo", `{"account":"alice","reason":"why"}`, 400},
		{"/dodo/release", `{"account":"alice","hold":"none","reason":"why"}`, 404},
	} {
		if a := b.adminPost(tt.path, tt.body); a.status != tt.status {
			t.Errorf("%s %.100s: %d %s, want %d", tt.path, tt.body, a.status, a.body, tt.status)
		}
	}
	fine := `{"account":"alice","credits":5,"reason":"why"}`
	for _, header := range [][]string{
		{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}, {"Host", "evil.example"},
	} {
		req, err := http.NewRequest(http.MethodPost, "http://"+b.Admin+"/dodo/grant", strings.NewReader(fine))
		if err != nil {
			t.Fatal(err)
		}
		req.Close = true
		req.Header.Set(header[0], header[1])
		if header[0] == "Host" {
			req.Host = header[1]
		}
		if a := b.send(req); a.status != http.StatusForbidden {
			t.Errorf("%v: %d %s", header, a.status, a.body)
		}
	}
	if got := adminJSON[adminAccount](b, "GET", "/dodo/accounts/alice"); got.LastEntry != 0 {
		t.Errorf("something was done: %+v", got)
	}
}
