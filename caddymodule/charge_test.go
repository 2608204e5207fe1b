package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// leaves waits until the account has so many, with nothing held: a charge ends
// behind the answer.
func (b *bench) leaves(user string, want int64, login ...string) {
	b.t.Helper()
	var status struct{ Credits int64 }
	deadline := time.Now().Add(10 * time.Second)
	for {
		a := b.do("GET", "/payments/status", "", append(login, "X-Test-User", user)...)
		if err := json.Unmarshal([]byte(a.body), &status); err != nil {
			b.t.Fatal(a.status, a.body)
		}
		if a.status == http.StatusOK && status.Credits == want {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("%s has %d credits, want %d", user, status.Credits, want)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// receipts are what the client was told of a charge.
func receipts(h http.Header) string {
	return strings.Join(h["X-Credits-Charged"], ",") + "/" + strings.Join(h["X-Credits-Remaining"], ",")
}

// newShop is a bench whose app is app, with 100 credits for everybody, and charge as
// the site's directives between dodo_gateway and reverse_proxy.
func newShop(t *testing.T, charge string, app http.HandlerFunc) *bench {
	b := newBench(t)
	b.Upstream = strings.TrimPrefix(newServer(t, app), "http://")
	b.mustLoad(caddyfile(strings.Replace(usualDodo, "signup_credits 3", "signup_credits 100", 1), usualGateway+"\n"+charge+"\n\treverse_proxy {{Upstream}}"))
	return b
}

func TestChargeByStatus(t *testing.T) {
	b := newShop(t, "\tdodo_charge /usual/* 3\n\tdodo_charge /only/* 3 {\n\t\tcharge_on 201 4xx\n\t\trelease_on 404\n\t}", func(w http.ResponseWriter, r *http.Request) {
		var status int
		_, _ = fmt.Sscan(r.URL.Query().Get("status"), &status)
		w.Header().Set("X-Credits-Charged", "999") // an app that lies
		w.WriteHeader(status)
	})
	left := int64(100)
	for _, tt := range []struct {
		path    string
		status  int
		charged int64
	}{
		{"/usual/", 200, 3}, {"/usual/", 204, 3}, {"/usual/", 299, 3}, {"/usual/", 301, 3}, {"/usual/", 304, 3}, {"/usual/", 399, 3},
		{"/usual/", 400, 0}, {"/usual/", 404, 0}, {"/usual/", 499, 0}, {"/usual/", 500, 0}, {"/usual/", 503, 0},
		{"/only/", 200, 0}, {"/only/", 201, 3}, {"/only/", 302, 0}, {"/only/", 400, 3}, {"/only/", 404, 0}, {"/only/", 500, 0},
	} {
		a := b.do("GET", fmt.Sprintf("%s?status=%d", tt.path, tt.status), "", "X-Test-User", "alice")
		left -= tt.charged
		if want := fmt.Sprintf("%d/%d", tt.charged, left); a.status != tt.status || receipts(a.header) != want {
			t.Errorf("%s %d: %d, receipts %s, want %s", tt.path, tt.status, a.status, receipts(a.header), want)
		}
		b.leaves("alice", left)
	}
	if a := b.do("GET", "/free?status=200", "", "X-Test-User", "alice"); receipts(a.header) != "999/" {
		t.Errorf("a free request: %v", a.header)
	}
}

// What the app sees is what can be spent beside what it is about to be paid.
func TestChargedRequestIsTold(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(usualDodo, usualGateway+`
	dodo_charge 2
	header >X-Left {http.dodo.credits}
	reverse_proxy {{Upstream}}`))
	a := b.do("GET", "/", "", "X-Test-User", "alice", "X-Entitlement-Credits", "99")
	want := newcomer("alice")
	want["Credits"] = "1"
	assertEntitlement(t, b.seen(a), want)
	if a.header.Get("X-Left") != "1" || receipts(a.header) != "2/1" {
		t.Errorf("%v", a.header)
	}
	m := b.problem(b.do("GET", "/", "", "X-Test-User", "alice"), 402, "insufficient_credits")
	if m["required"] != 2.0 || m["available"] != 1.0 {
		t.Errorf("%v", m)
	}
	b.problem(b.do("GET", "/", ""), 401, "unauthenticated")
}

func TestChargePrice(t *testing.T) {
	b := newShop(t, `
	dodo_charge /app/* 2 {
		max 10
	}
	dodo_charge /free/* 0 {
		max 10
		price_header x-price
	}
	dodo_charge /cost/* 3 {
		max 10
		price_header x-litellm-response-cost {
			unit 100
		}
	}
	dodo_charge /fixed/* 2`, func(w http.ResponseWriter, r *http.Request) {
		for _, price := range r.URL.Query()["price"] {
			w.Header().Add("X-Charge-Credits", price)
			w.Header().Add("X-Price", price)
			w.Header().Add("X-Litellm-Response-Cost", price)
		}
		if r.URL.Query().Get("status") != "" {
			w.WriteHeader(http.StatusTeapot)
		}
	})
	left := int64(100)
	for _, tt := range []struct {
		target  string
		charged int64
	}{
		{"/app/", 2}, {"/app/?price=7", 7}, {"/app/?price=0", 0}, {"/app/?price=10", 10}, {"/app/?price=11", 10},
		{"/app/?price=99999999999999999999", 10},
		{"/app/?price=-1", 2}, {"/app/?price=x", 2}, {"/app/?price=1e1", 2}, {"/app/?price=", 2}, {"/app/?price=1&price=1", 2}, {"/app/?price=0x1", 2},
		{"/app/?price=7&status=1", 0},
		{"/free/", 0}, {"/free/?price=4", 4}, {"/fixed/?price=1", 2},
		{"/cost/?price=0.0312", 4}, {"/cost/?price=1.2e-05", 1}, {"/cost/?price=0.0", 0}, {"/cost/?price=7", 10}, {"/cost/", 3},
		{"/cost/?price=None", 3}, {"/cost/?price=-1", 3}, {"/cost/?price=1e1", 3}, {"/cost/?price=", 3},
	} {
		a := b.do("GET", tt.target, "", "X-Test-User", "alice")
		left -= tt.charged
		if want := fmt.Sprintf("%d/%d", tt.charged, left); receipts(a.header) != want {
			t.Errorf("%s: receipts %s, want %s", tt.target, receipts(a.header), want)
		}
		name := map[string]string{"/app/": "X-Charge-Credits", "/free": "X-Price", "/cost": "X-Litellm-Response-Cost"}[tt.target[:5]]
		if name != "" && a.header[name] != nil {
			t.Errorf("%s: the price reached the client: %v", tt.target, a.header)
		}
		b.leaves("alice", left)
	}
}

// A price that is known only at the end comes as a trailer, and so do the receipts.
func TestChargePriceAsTrailer(t *testing.T) {
	b := newShop(t, "\tdodo_charge 2 {\n\t\tmax 10\n\t}", func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		if query.Has("declared") {
			w.Header().Set("Trailer", "X-Other, X-Charge-Credits")
		}
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, "part")
		_ = http.NewResponseController(w).Flush()
		if query.Has("abort") {
			panic(http.ErrAbortHandler)
		}
		if price := query.Get("price"); price != "" {
			w.Header().Set(http.TrailerPrefix+"X-Charge-Credits", price)
		}
		w.Header().Set(http.TrailerPrefix+"X-Other", "kept")
	})
	left := int64(100)
	for _, tt := range []struct {
		target  string
		charged int64
		atEnd   bool
	}{
		{"/?declared&price=7", 7, true}, {"/?declared", 2, true}, {"/?declared&price=x", 2, true}, {"/?declared&price=99", 10, true},
		{"/?price=7", 2, false}, {"/?declared&abort", 2, true}, {"/?abort", 2, false},
	} {
		req, _ := http.NewRequest("GET", "http://127.0.0.1:"+b.Port+tt.target, nil)
		req.Header.Set("X-Test-User", "alice")
		resp, err := b.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, readErr := io.ReadAll(resp.Body)
		resp.Body.Close()
		left -= tt.charged
		want := fmt.Sprintf("%d/%d", tt.charged, left)
		if aborted := strings.Contains(tt.target, "abort"); aborted != (readErr != nil) {
			t.Errorf("%s: %v", tt.target, readErr)
		} else if got := receipts(resp.Trailer); !aborted && tt.atEnd && got != want {
			t.Errorf("%s: receipts %s, want %s", tt.target, got, want)
		}
		if got := receipts(resp.Header); !tt.atEnd && got != want {
			t.Errorf("%s: receipts %s, want %s", tt.target, got, want)
		}
		if resp.Trailer["X-Charge-Credits"] != nil || resp.Header["X-Charge-Credits"] != nil || readErr == nil && resp.Trailer.Get("X-Other") != "kept" {
			t.Errorf("%s: %v, trailer %v", tt.target, resp.Header, resp.Trailer)
		}
		b.leaves("alice", left)
	}
}

func TestChargeOnce(t *testing.T) {
	var calls atomic.Int64
	began, free := make(chan struct{}), make(chan struct{})
	b := newShop(t, "\tdodo_charge 5", func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		switch r.URL.Path {
		case "/slow":
			began <- struct{}{}
			<-free
		case "/fails":
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	send := func(method, path, key string) answer {
		return b.do(method, path, "", "X-Test-User", "alice", "Idempotency-Key", key)
	}
	done := make(chan answer)
	go func() { done <- send("POST", "/slow", "one") }()
	<-began
	b.problem(send("POST", "/slow", `"one"`), 409, "idempotency_key_in_use")
	b.problem(send("POST", "/other", "one"), 422, "idempotency_key_reused")
	close(free)
	if a := <-done; a.status != 200 || receipts(a.header) != "5/95" {
		t.Fatalf("%+v", a)
	}
	b.leaves("alice", 95)
	if m := b.problem(send("POST", "/slow", "one"), 409, "idempotency_key_finished"); m["charged"] != 5.0 {
		t.Errorf("%v", m)
	}
	b.problem(send("GET", "/slow", "one"), 422, "idempotency_key_reused")
	b.problem(send("GET", "/x", "with space"), 400, "invalid_idempotency_key")
	if n := calls.Load(); n != 1 {
		t.Errorf("the app was called %d times", n)
	}
	for range 3 { // what was not charged may be repeated
		if a := send("POST", "/fails", "two"); a.status != 500 {
			t.Errorf("%+v", a)
		}
		b.leaves("alice", 95)
	}
	if n := calls.Load(); n != 4 {
		t.Errorf("the app was called %d times", n)
	}
	if a := b.do("POST", "/quick", "", "X-Test-User", "bob", "Idempotency-Key", "one"); a.status != 200 {
		t.Errorf("a key of another account counts: %+v", a)
	}
}

func TestChargeReplay(t *testing.T) {
	var calls atomic.Int64
	b := newShop(t, "\tdodo_charge 5 {\n\t\treplay\n\t}", func(w http.ResponseWriter, r *http.Request) {
		n := calls.Add(1)
		w.Header().Set("Content-Type", "text/special")
		w.Header().Add("X-Many", "a")
		w.Header().Add("X-Many", "b")
		size := 10
		if r.URL.Path == "/large" {
			size = 40_000
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, strings.Repeat(fmt.Sprint(n), size))
	})
	for i := range 3 {
		a := b.do("POST", "/small", "", "X-Test-User", "alice", "Idempotency-Key", "k")
		if a.status != 201 || a.body != strings.Repeat("1", 10) || a.header.Get("Content-Type") != "text/special" ||
			len(a.header["X-Many"]) != 2 || a.header.Get("X-Credits-Charged") != "5" || (a.header.Get("Idempotent-Replayed") == "true") != (i > 0) {
			t.Errorf("%+v", a)
		}
		b.leaves("alice", 95)
	}
	if a := b.do("POST", "/large", "", "X-Test-User", "alice", "Idempotency-Key", "l"); len(a.body) != 40_000 {
		t.Errorf("%d %v", a.status, a.header)
	}
	b.leaves("alice", 90)
	again := b.do("POST", "/large", "", "X-Test-User", "alice", "Idempotency-Key", "l")
	for strings.Contains(again.body, "in_use") {
		again = b.do("POST", "/large", "", "X-Test-User", "alice", "Idempotency-Key", "l")
	}
	b.problem(again, 409, "idempotency_key_finished")
	if n := calls.Load(); n != 2 {
		t.Errorf("the app was called %d times", n)
	}
}

// A crowd gets what there is and no more.
func TestChargeCrowd(t *testing.T) {
	b := newShop(t, "\tdodo_charge 1", func(http.ResponseWriter, *http.Request) {})
	var passed, refused atomic.Int64
	var crowd sync.WaitGroup
	for range 8 {
		crowd.Go(func() {
			for range 50 {
				a, err := b.try("GET", "/", "alice")
				switch {
				case err != nil:
					t.Error(err)
				case a.status == 200:
					passed.Add(1)
				case a.status == 402:
					refused.Add(1)
				}
			}
		})
	}
	crowd.Wait()
	if passed.Load() != 100 || refused.Load() != 300 {
		t.Errorf("%d passed, %d were refused", passed.Load(), refused.Load())
	}
	b.leaves("alice", 0)
}
