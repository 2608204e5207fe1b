package caddymodule_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	tokens "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"

	"github.com/dodogate/dodogate/internal/dodo"
)

func init() { caddy.RegisterModule(notepad{}) }

// notepad is a subscriber of events, as another plug-in would be.
type notepad struct{}

func (notepad) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.notepad", New: func() caddy.Module { return new(notepad) }}
}

func (*notepad) UnmarshalCaddyfile(d *tokens.Dispenser) error {
	d.Next()
	return nil
}

// notes are what all notepads have written, and hold lets them wait.
var notes struct {
	mu    sync.Mutex
	lines []string
	hold  chan struct{}
}

func (*notepad) Handle(ctx context.Context, e caddy.Event) error {
	notes.mu.Lock()
	hold := notes.hold
	notes.mu.Unlock()
	if hold != nil {
		<-hold
	}
	repl := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	notes.mu.Lock()
	defer notes.mu.Unlock()
	line := e.Name() + " from " + repl.ReplaceAll("{event.module}", "")
	for _, name := range []string{"account", "plan", "until", "credits", "object", "refund", "event", "type", "reason"} {
		if _, ok := e.Data[name]; ok {
			line += " " + name + "=" + repl.ReplaceAll("{event.data."+name+"}", "")
		}
	}
	notes.lines = append(notes.lines, line)
	return nil
}

func noted() []string {
	notes.mu.Lock()
	defer notes.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(notes.lines), func(line string) bool {
		return strings.Contains(line, "type=entitlement_grant.") // may overtake their payment
	})
}

func forget() {
	notes.mu.Lock()
	defer notes.mu.Unlock()
	notes.lines = nil
}

func holdNotepads(release chan struct{}) {
	notes.mu.Lock()
	defer notes.mu.Unlock()
	notes.hold = release
}

// Other modules hear of plans, credits, refunds and parked events, each once, also if an
// event is delivered twice.
func TestEventsForOtherModules(t *testing.T) {
	forget()
	b := newBench(t)
	sim := newSimulator(t, b, "")
	global := strings.Replace(off(usualDodo), "signup_credits 3", `signup_credits 3
		credits_low 5
		product day {
			id    pdt_gated
			plan  pro
			lasts 30d
		}`, 1) + `
	events {
		on dodo.plan_started notepad
		on dodo.plan_ended notepad
		on dodo.credits_low notepad
		on dodo.refunded notepad
		on dodo.parked notepad
	}`
	b.mustLoad(caddyfile(global, usualGateway+"\n\tdodo_charge /paid/* 1\n\treverse_proxy {{Upstream}}"))
	wants := func(what string, want ...string) {
		t.Helper()
		eventually(t, what, func() string {
			if got := noted(); !slices.Equal(got, want) {
				return fmt.Sprintf("%q", got)
			}
			return ""
		})
		forget()
	}
	paymentsOf := func(product string) (ids []string) {
		t.Helper()
		client, err := dodo.New(dodo.Options{APIKey: "test_api_key", BaseURL: b.Dodo})
		if err != nil {
			t.Fatal(err)
		}
		page, err := client.Payments(t.Context(), dodo.Window{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page.Items {
			fact, err := client.Payment(t.Context(), p.ID)
			if err != nil {
				t.Fatal(err)
			}
			if len(fact.Payment.Cart) == 1 && fact.Payment.Cart[0].ProductID == product {
				ids = append(ids, p.ID)
			}
		}
		return ids
	}

	b.pay(sim, "alice", "pdt_pack10")
	for range 6 {
		b.do("GET", "/paid/", "", "X-Test-User", "alice")
	}
	b.leaves("alice", 4)
	wants("credits are low, once", "dodo.credits_low from dodo account=alice credits=4")

	b.pay(sim, "alice", "pdt_other")
	other := paymentsOf("pdt_other")[0]
	parked := adminJSON[adminParked](b, "GET", "/dodo/parked").Events[0]
	if a := b.admin("POST", "/dodo/redrive"); a.status != 200 {
		t.Fatal(a.body)
	}
	if _, err := sim.Redeliver(t.Context(), parked.ID); err != nil {
		t.Fatal(err)
	}
	wants("an event is parked", "dodo.parked from dodo account=alice object=payment:"+other+" event="+parked.ID+" type=payment.succeeded reason=unknown_product")

	b.pay(sim, "bob", "pdt_gated")
	b.pay(sim, "bob", "pdt_gated") // the same plan, for longer
	eventually(t, "a plan begins", func() string {
		got := noted()
		if len(got) != 1 || !strings.HasPrefix(got[0], "dodo.plan_started from dodo account=bob plan=pro until=") || !strings.Contains(got[0], " object=payment:pay_") {
			return fmt.Sprintf("%q", got)
		}
		return ""
	})
	forget()
	refund := func(id string) string {
		t.Helper()
		refund, err := sim.Refund(id, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := sim.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		return "dodo.refunded from dodo account=bob object=payment:" + id + " refund=" + refund
	}
	both := paymentsOf("pdt_gated")
	first := refund(both[0])
	wants("one of two is refunded", first)
	second := refund(both[1])
	wants("the other one, too", "dodo.plan_ended from dodo account=bob plan=pro object=payment:"+both[1], second)
	if text := b.metrics(); !strings.Contains(text, `dodogate_caddy_events_total{event="plan_ended",result="emitted"}`) {
		t.Error("events are not counted")
	}
}

// A handler that never returns holds up neither payments nor reloads.
func TestSlowHandlersOfEvents(t *testing.T) {
	forget()
	b := newBench(t)
	sim := newSimulator(t, b, "")
	config := caddyfile(off(usualDodo)+"\n\tevents {\n\t\ton dodo.parked notepad\n\t}", usualGateway+"\n\treverse_proxy {{Upstream}}")
	b.mustLoad(config)
	release := make(chan struct{})
	holdNotepads(release)
	t.Cleanup(func() {
		holdNotepads(nil)
		close(release)
	})
	for i := range 3 {
		b.pay(sim, fmt.Sprint("user", i), "pdt_other")
	}
	if got := len(adminJSON[adminParked](b, "GET", "/dodo/parked").Events); got != 3 {
		t.Errorf("%d events are parked, want 3", got)
	}
	b.mustLoad(strings.Replace(config, "signup_credits 3", "signup_credits 4", 1))
}

var _ caddyevents.Handler = (*notepad)(nil)
