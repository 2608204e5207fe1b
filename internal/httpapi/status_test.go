package httpapi_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// sitesOnEachStore runs a test on both stores. elsewhere is the store as another
// gateway has it.
func sitesOnEachStore(t *testing.T, test func(t *testing.T, s *site, elsewhere store.Store)) {
	t.Helper()
	t.Run("bolt", func(t *testing.T) {
		s := newSite(t, func(set *setting) { set.signup = 3 })
		test(t, s, s.store)
	})
	t.Run("redis", func(t *testing.T) {
		server := redistest.Start(t)
		open := func(t *testing.T, clock *clock) opened { return openRedis(t, server.URL(), "", clock) }
		s := newSite(t, func(set *setting) { set.signup, set.store = 3, open })
		test(t, s, open(t, s.clock))
	})
}

// enterIn grants one credit behind the site's back.
func enterIn(t *testing.T, s store.Store, account, grant string) {
	t.Helper()
	_, err := store.Client{Store: s}.Commit(t.Context(), book.Commit{
		Account: account, Object: entitlement.Ref{Kind: entitlement.KindPayment, ID: grant}, State: []byte(`{}`), Cause: "test",
		Effect: entitlement.Effect{Grants: []ledger.Target{{ID: grant, Amount: 1}}},
	})
	must(t, err)
}

// status is an answer of GET /status.
func (s *site) status(query, known string) answer {
	c := s.get("/payments/status" + query).by(alice)
	if known != "" {
		c = c.with("If-None-Match", known)
	}
	return c.do()
}

// tag checks that the answer shows so many credits, and returns its ETag.
func (a answer) tag(credits string) string {
	a.t.Helper()
	m := a.json(http.StatusOK)
	if got := m["credits"]; got == nil || got.(interface{ String() string }).String() != credits {
		a.t.Fatalf("credits are %v, want %s", got, credits)
	}
	return a.Header().Get("ETag")
}

// unchanged checks a 304.
func (a answer) unchanged(tag string) {
	a.t.Helper()
	if a.Code != http.StatusNotModified || a.Body.Len() > 0 || a.Header().Get("ETag") != tag || a.Header().Get("Cache-Control") != "no-store" {
		a.t.Fatalf("%d %q %v, want 304 with %s", a.Code, a.Body, a.Header(), tag)
	}
}

func TestStatusTag(t *testing.T) {
	s := newSite(t, func(set *setting) { set.signup = 3 })
	tag := s.status("", "").tag("3")
	for _, known := range []string{tag, tag[2:], `"a", ` + tag, "*"} {
		s.status("", known).unchanged(tag)
	}
	for _, known := range []string{`"a"`, tag[:8], "a,b", `W/""`} {
		s.status("", known).tag("3")
	}
	order, _ := s.order(alice, `{"product":"pack10"}`)
	pending := s.status("", tag)
	if next := pending.tag("3"); next == tag {
		t.Errorf("order %s does not change the tag", order)
	}
	s.enter(alice, "pay_1")
	s.status("", pending.Header().Get("ETag")).tag("4")
	if other := s.get("/payments/status").by(bob).do().Header().Get("ETag"); other == tag {
		t.Error("two accounts have one tag")
	}
}

func TestStatusWaitRefuses(t *testing.T) {
	s := newSite(t, nil)
	for _, query := range []string{"?wait=", "?wait=5", "?wait=-1s", "?wait=1s&wait=1s", "?wait=soon"} {
		s.status(query, "").problem(http.StatusBadRequest, "invalid_request")
	}
	s.get("/payments/status?wait=1s").do().problem(http.StatusUnauthorized, "unauthenticated")
}

// TestStatusWait: what happened since the tag is answered at once, what happens
// then at that moment, and nothing when the time is up.
func TestStatusWait(t *testing.T) {
	sitesOnEachStore(t, func(t *testing.T, s *site, elsewhere store.Store) {
		first := s.status("?wait=0s", "").tag("3")
		s.status("?wait=1ms", first).unchanged(first)
		s.status("?wait=1ms", "").tag("3")
		enterIn(t, elsewhere, alice, "pay_1")
		second := s.status("?wait=1m", first).tag("4")

		answers := make(chan answer)
		go func() { answers <- s.status("?wait=1m", second) }()
		enterIn(t, elsewhere, bob, "pay_1")
		enterIn(t, elsewhere, alice, "pay_2")
		third := (<-answers).tag("5")

		// By a webhook, at the same gateway.
		_, session := s.order(alice, `{"product":"pack10"}`)
		ordered := s.status("", third).tag("5")
		go func() { answers <- s.status("?wait=1h", ordered) }()
		s.pay(session, "4242424242424242")
		(<-answers).tag("15")

		// Without a tag: from now on, whenever now is.
		go func() { answers <- s.status("?wait=1m", "") }()
		for {
			select {
			case a := <-answers:
				if m := a.json(http.StatusOK); m["credits"] == json.Number("15") {
					t.Error("it did not wait")
				}
				return
			case <-time.After(10 * time.Millisecond):
				enterIn(t, elsewhere, alice, time.Now().String())
			}
		}
	})
}

// TestStatusWaitEnds: with its client, and with the server. There is a limit to
// how many wait.
func TestStatusWaitEnds(t *testing.T) {
	s := newSite(t, func(set *setting) { set.signup = 3 })
	tag := s.status("", "").tag("3")
	c := s.get("/payments/status?wait=1m").by(alice).with("If-None-Match", tag)
	ctx, leave := context.WithCancel(c.Context())
	left := make(chan answer)
	go func() {
		for {
			c.Request = c.WithContext(ctx)
			if a := c.do(); a.Code != http.StatusServiceUnavailable { // else somebody took the place, as below
				left <- a
				return
			}
		}
	}()

	var waiting sync.WaitGroup
	for range 19 {
		waiting.Go(func() {
			a := s.status("?wait=1m", tag)
			for a.Code == http.StatusServiceUnavailable { // somebody who looked whether it is full took the place
				a = s.status("?wait=1m", tag)
			}
			if a.Code != http.StatusNotModified {
				t.Errorf("%d %s", a.Code, a.Body)
			}
		})
	}
	full := func() bool { return s.status("?wait=1ms", tag).Code == http.StatusServiceUnavailable }
	for end := time.Now().Add(20 * time.Second); !full(); {
		if time.Now().After(end) {
			t.Fatal("there is always room for one more")
		}
	}
	refused := s.status("?wait=1ms", tag)
	refused.problem(http.StatusServiceUnavailable, "too_many_waiting")
	if refused.Header().Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	if strings.Contains(s.log.String(), "level=ERROR") {
		t.Errorf("a client can fill the log: %s", s.log)
	}
	s.status("", "").tag("3") // who does not wait is served
	if a := s.get("/payments/status?wait=1ms").by(bob).do(); a.Code != http.StatusOK {
		t.Errorf("another account: %d", a.Code)
	}
	leave()
	<-left
	s.status("?wait=1ms", tag).unchanged(tag)
	s.gate.EndWaiting()
	waiting.Wait()
	s.status("?wait=1m", tag).unchanged(tag)
	s.status("?wait=1m", "").tag("3")
}
