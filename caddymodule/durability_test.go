package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

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
