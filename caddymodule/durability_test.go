package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// failOver is a Redis with a replica and a Sentinel, and a gateway on it.
type failOver struct {
	*bench
	sim             *dodosim.Simulator
	master, replica *redistest.Server
}

func newFailOver(t *testing.T, durability string) *failOver {
	t.Helper()
	f := &failOver{bench: newBench(t), master: redistest.Start(t)}
	f.replica = redistest.StartReplica(t, f.master)
	sentinel := redistest.StartSentinel(t, f.master, "money")
	sentinel.KnowsReplicas("1")
	f.sim = newSimulator(t, f.bench, "")
	f.mustLoad(caddyfile(onRedis("redis "+sentinel.URL()+`?master_name=money {
			durability `+durability+`
		}`), usualProxy))
	return f
}

// order checks out, and returns the session.
func (f *failOver) order(user string) string {
	f.t.Helper()
	var order struct {
		SessionID string `json:"session_id"`
	}
	eventually(f.t, "a checkout", func() string {
		a := f.do("POST", "/payments/checkout", `{"product":"pack10"}`, "Content-Type", "application/json", "X-Test-User", user)
		if err := json.Unmarshal([]byte(a.body), &order); err != nil || a.status != http.StatusCreated {
			return fmt.Sprint(a.status, a.body)
		}
		return ""
	})
	return order.SessionID
}

func (f *failOver) credits(user string) string {
	f.t.Helper()
	a := f.do("GET", "/app", "", "X-Test-User", user)
	if a.status != http.StatusOK {
		return fmt.Sprint("status ", a.status)
	}
	return f.seen(a).Header["X-Entitlement-Credits"][0]
}

func (f *failOver) wantCredits(user, want string) {
	f.t.Helper()
	eventually(f.t, "credits of "+user, func() string {
		if got := f.credits(user); got != want {
			return fmt.Sprintf("%s, want %s", got, want)
		}
		return ""
	})
}

// TestFailOverHeals: purchases that only the master knew, and that were acknowledged, are gone with
// it. The gateway sees that another server has taken over, and reads them from Dodo.
func TestFailOverHeals(t *testing.T) {
	f := newFailOver(t, "local")
	const customers = 4
	user := func(n int) string { return fmt.Sprint("customer_", n) }
	var sessions []string
	for n := range customers {
		f.wantCredits(user(n), "3")
		sessions = append(sessions, f.order(user(n)))
	}
	eventually(t, "replicated", func() string {
		if n := f.replica.MustDo("ZCARD", "dodogate:{"+user(customers-1)+"}:unpaid"); n != "1" {
			return n + " orders"
		}
		return ""
	})
	eventually(t, "the first pass", func() string { // which comes by itself
		if got := f.passes(); len(got) != 1 || got[0].State != "done" {
			return fmt.Sprint(got)
		}
		return ""
	})
	f.master.Forsake(f.replica)
	for n, session := range sessions {
		if _, err := f.sim.Pay(session, "4242424242424242"); err != nil {
			t.Fatal(err)
		}
		f.wantCredits(user(n), "13") // Dodo has its 200, and sends nothing more
	}
	if err := f.sim.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.sim.HoldWebhooks(true)
	f.master.Kill()
	f.replica.Thaw()
	for n := range customers {
		if entries := f.replica.MustDo("LLEN", "dodogate:{"+user(n)+"}:entries"); entries != "1" {
			t.Fatalf("%s has %s entries at the replica, so nothing is lost", user(n), entries)
		}
	}
	awaitMaster(t, f.replica)
	began := time.Now()
	for n := range customers {
		for f.credits(user(n)) != "13" {
			if time.Since(began) > time.Minute {
				t.Fatalf("%s has %s credits", user(n), f.credits(user(n)))
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	t.Logf("healed %v after the new master", time.Since(began).Round(10*time.Millisecond))
}

// TestDurabilityOfWebhooks: with a level, a webhook is acknowledged only when a replica has what it
// did. Dodo sends it again, and it counts once.
func TestDurabilityOfWebhooks(t *testing.T) {
	f := newFailOver(t, "replicas 1 500ms")
	f.wantCredits("alice", "3")
	session := f.order("alice")
	f.sim.HoldWebhooks(true)
	attempt, err := f.sim.Pay(session, "4242424242424242")
	if err != nil {
		t.Fatal(err)
	}
	event := ""
	for _, e := range f.sim.Events() {
		if e.Type == "payment.succeeded" {
			event = e.ID
		}
	}
	f.replica.Freeze()
	for range 2 {
		if d, err := f.sim.Redeliver(t.Context(), event); err != nil || d.Status != http.StatusServiceUnavailable {
			t.Fatalf("without a replica: %+v, %v", d, err)
		}
	}
	if got := f.credits("alice"); got != "13" && got != "3" { // it may be there already
		t.Errorf("alice has %s", got)
	}
	f.replica.Thaw()
	eventually(t, "acknowledged", func() string {
		if d, err := f.sim.Redeliver(t.Context(), event); err != nil || !d.Acknowledged() {
			return fmt.Sprint(d.Status, err)
		}
		return ""
	})
	if got := f.replica.MustDo("HGET", "dodogate:{alice}:object:payment:"+attempt.PaymentID, "version"); got != "1" {
		t.Errorf("acknowledged, and the replica has version %q", got)
	}
	f.master.Kill()
	redistest.StartReplica(t, awaitMaster(t, f.replica))
	f.wantCredits("alice", "13")
}

// TestDurabilityOfRefunds: a refund is acknowledged only when a replica has it, and is there when
// the master is gone.
func TestDurabilityOfRefunds(t *testing.T) {
	f := newFailOver(t, "replicas 1 500ms")
	attempt, err := f.sim.Pay(f.order("alice"), "4242424242424242")
	if err != nil {
		t.Fatal(err)
	}
	f.wantCredits("alice", "13")
	f.sim.HoldWebhooks(true)
	if _, err := f.sim.Refund(attempt.PaymentID, 0); err != nil {
		t.Fatal(err)
	}
	event := ""
	for _, e := range f.sim.Events() {
		if e.Type == "refund.succeeded" {
			event = e.ID
		}
	}
	f.replica.Freeze()
	for range 2 {
		if d, err := f.sim.Redeliver(t.Context(), event); err != nil || d.Status != http.StatusServiceUnavailable {
			t.Fatalf("without a replica: %+v, %v", d, err)
		}
	}
	f.replica.Thaw()
	eventually(t, "acknowledged", func() string {
		if d, err := f.sim.Redeliver(t.Context(), event); err != nil || !d.Acknowledged() {
			return fmt.Sprint(d.Status, err)
		}
		return ""
	})
	f.master.Kill()
	redistest.StartReplica(t, awaitMaster(t, f.replica))
	f.wantCredits("alice", "3")
}

func awaitMaster(t *testing.T, server *redistest.Server) *redistest.Server {
	t.Helper()
	eventually(t, "another master", func() string {
		if info := server.MustDo("INFO", "replication"); !strings.Contains(info, "role:master") {
			return info
		}
		return ""
	})
	return server
}
