package caddymodule_test

import (
	"io"
	"net/http"
	"os"
	"regexp"
	"testing"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// task runs the Caddyfile of a page in docs, with an app that says which plan and how many
// credits its headers say.
func task(t *testing.T, page string) (*bench, *dodosim.Simulator) {
	t.Helper()
	text, err := os.ReadFile("../docs/" + page)
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```caddyfile\n(\\{\n.*?)```").FindAllSubmatch(text, -1)
	if len(blocks) != 1 {
		t.Fatalf("%s has %d whole Caddyfiles, want 1", page, len(blocks))
	}
	app := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Entitlement-Plan")+" "+r.Header.Get("X-Entitlement-Credits"))
	})
	return run(t, string(blocks[0][1]), "app:3000", app, "$2a$14$…", "$2a$06$InHQk5QijA8Xr/n10x1XrOomoXte1u8Z0amLkJU7MlCIO28YT3gXq",
		"pdt_pro_monthly", "pdt_your_pro", "pdt_pro_yearly", "pdt_your_basic")
}

// visit wants what the app says to alice, and what the answer says was charged.
func (b *bench) visit(path, want, receipt string) {
	b.t.Helper()
	if a := b.do("GET", path, "", as("alice")...); a.body != want || receipts(a.header) != receipt {
		b.t.Errorf("%s: %d %q with receipts %s, want %q with %s", path, a.status, a.body, receipts(a.header), want, receipt)
	}
}

func TestSellCredits(t *testing.T) {
	b, sim := task(t, "sell-credits.md")
	b.visit("/", "none 3", "/")
	for _, left := range []string{"2", "1", "0"} {
		b.visit("/api/generate", "none "+left, "1/"+left)
	}
	b.problem(b.do("GET", "/api/generate", "", as("alice")...), 402, "insufficient_credits")
	b.click(sim, "alice", b.do("GET", "/api/generate", "", append(as("alice"), "Accept", "text/html")...).body)
	b.visit("/api/generate", "none 9", "1/9")
}

func TestSellAPlan(t *testing.T) {
	b, sim := task(t, "sell-a-plan.md")
	b.problem(b.do("GET", "/reports/q1", "", as("alice")...), 402, "plan_required")
	b.click(sim, "alice", b.do("GET", "/reports/q1", "", append(as("alice"), "Accept", "text/html")...).body)
	b.visit("/reports/q1", "pro 100", "/")
	b.visit("/api/generate", "pro 99", "1/99")
	again := b.do("POST", "/payments/checkout", `{"product":"pro_yearly"}`, append(as("alice"), "Content-Type", "application/json")...)
	b.problem(again, 409, "already_subscribed")
}
