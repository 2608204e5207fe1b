package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/boltstore"
	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// hands is a clock that only the test moves, and that all goroutines may read.
type hands struct{ at atomic.Pointer[time.Time] }

func newHands() *hands {
	h := new(hands)
	h.set(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC))
	return h
}

func (h *hands) now() time.Time       { return *h.at.Load() }
func (h *hands) set(at time.Time)     { h.at.Store(&at) }
func (h *hands) move(d time.Duration) { h.set(h.now().Add(d)) }

// silent is a world without webhooks, in which time passes by the test.
type silent struct {
	*world
	*hands
	with settings
	away atomic.Pointer[string] // the beginning of the paths for which Dodo is away
}

// withoutWebhooks runs a test on both stores.
func withoutWebhooks(t *testing.T, with settings, test func(*testing.T, *silent)) {
	t.Helper()
	for _, backend := range []string{"bolt", "redis"} {
		t.Run(backend, func(t *testing.T) { test(t, newSilent(t, backend, with)) })
	}
}

func newSilent(t *testing.T, backend string, with settings) *silent {
	t.Helper()
	u := &silent{hands: newHands()}
	with.clock, with.hold = u.now, true
	if with.products == nil {
		with.products = storyProducts
	}
	if with.between == nil {
		with.between = u.sometimesAway
	}
	u.with = with
	u.world = newWorld(t, u.open(t, backend), with)
	return u
}

func (u *silent) open(t *testing.T, backend string) (s interface {
	store.Store
	Close() error
},
) {
	t.Helper()
	var err error
	if backend == "bolt" {
		s, err = boltstore.Open(t.TempDir()+"/dodogate.db", boltstore.Options{Clock: u.now})
	} else {
		s, err = redisstore.Open(t.Context(), redisstore.Options{URL: "redis://" + redistest.Start(t).Addr, Clock: u.now, Timeout: 10 * time.Second})
	}
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (u *silent) sometimesAway(dodo http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away := u.away.Load(); away != nil && strings.HasPrefix(r.URL.Path, *away) {
			http.Error(w, "{}", http.StatusForbidden) // which is not tried again, so that the test need not wait
			return
		}
		dodo.ServeHTTP(w, r)
	})
}

// subscribed lets an account buy a subscription, and returns its id.
func (u *silent) subscribed(account, product string) string {
	u.t.Helper()
	order := u.order(account, product)
	attempt, err := u.sim.Pay(order.SessionID, goodCard)
	must(u.t, err)
	confirmed, err := u.Confirm(u.t.Context(), account, order.ID)
	must(u.t, err)
	if confirmed.State != book.OrderPaid {
		u.t.Fatalf("the order is %s", confirmed.State)
	}
	return attempt.SubscriptionID
}

// pass lets time pass, for Dodo too.
func (u *silent) pass(d time.Duration) {
	u.move(d)
	u.sim.Tick()
}

// sees wants what an account's requests see: "credits plan status".
func (u *silent) sees(account, want string) {
	u.t.Helper()
	seenAt(u.t, u.gate, account, want)
}

func seenAt(t *testing.T, g *gate, account, want string) {
	t.Helper()
	now, err := g.Entitlement(t.Context(), account)
	must(t, err)
	if got := fmt.Sprintf("%d %s %s", now.Credits, now.Plan, now.PlanStatus); got != want {
		t.Errorf("%s sees %q, want %q", account, got, want)
	}
}

// month is from the beginning of the worlds until the first renewal.
const month = 30 * day

// TestLateRenewal: whoever comes in the second in which the period ends has the next one
// already, plan and credits, at every gateway, and Dodo is asked once.
func TestLateRenewal(t *testing.T) {
	withoutWebhooks(t, settings{}, func(t *testing.T, u *silent) {
		u.subscribed("alice", "monthly")
		other := u.newGateway(u.with)
		seenAt(t, other, "alice", "500 pro active")
		must(t, u.spent("alice", 100))
		calls := u.sim.Calls("", "")
		u.pass(month)
		u.sees("alice", "500 pro active")
		if now, err := u.View(t.Context(), "alice"); err != nil || now.PlanExpiresAt.Before(u.now().Add(27*day)) {
			t.Errorf("the plan ends %v, %v", now.PlanExpiresAt, err)
		}
		seenAt(t, other, "alice", "500 pro active")
		for range 100 {
			u.sees("alice", "500 pro active")
		}
		if n := u.sim.Calls("", "") - calls; n != 3 {
			t.Errorf("Dodo was called %d times; the subscription, the list of its payments and the new one are 3", n)
		}
	})
}

// spent takes some of an account's credits.
func (u *silent) spent(account string, credits int64) error {
	c, err := u.Hold(u.t.Context(), gateway.HoldRequest{Account: account, Credits: credits, TTL: time.Minute})
	if err == nil {
		_, err = c.End(u.t.Context(), credits, nil)
	}
	return err
}

// TestLateRenewalOfCredits: also where no plan would end.
func TestLateRenewalOfCredits(t *testing.T) {
	only := []config.Product{{Name: "credits", ID: "pdt_monthly", Credits: 50}}
	withoutWebhooks(t, settings{products: only}, func(t *testing.T, u *silent) {
		u.subscribed("alice", "credits")
		u.sees("alice", "50 none none")
		u.pass(month)
		u.sees("alice", "50 none none")
		u.pass(month + 3*day)
		now, _, err := u.ConfirmAccount(t.Context(), "alice")
		must(t, err)
		if now.Credits != 50 {
			t.Errorf("there are %d credits", now.Credits)
		}
	})
}

// TestLateAnnouncements: whatever Dodo did with a subscription at its period's end is seen by
// the first request, and when all is known Dodo is not asked any more.
func TestLateAnnouncements(t *testing.T) {
	for name, c := range map[string]struct {
		before func(u *silent, subscription string)
		sees   string
		most   int // calls to Dodo
	}{
		"a card that failed":      {func(u *silent, id string) { u.failsLater(id) }, "0 none on_hold", 1},
		"cancelled at the end":    {func(u *silent, id string) { u.patch(id, `{"cancel_at_next_billing_date":true}`) }, "0 none cancelled", 1},
		"cancelled, and heard of": {func(u *silent, id string) { u.cancels("alice", id) }, "0 none cancelled", 1},
		"cancelled at once":       {func(u *silent, id string) { u.patch(id, `{"status":"cancelled"}`) }, "0 none cancelled", 1},
		"paused":                  {func(u *silent, id string) { u.patch(id, `{"status":"paused"}`) }, "0 none paused", 1},
		"another plan": {func(u *silent, id string) {
			u.call(http.MethodPost, "/subscriptions/"+id+"/change-plan", `{"product_id":"pdt_team","quantity":1,"proration_billing_mode":"do_not_bill"}`)
		}, "800 team active", 3},
	} {
		t.Run(name, func(t *testing.T) {
			withoutWebhooks(t, settings{}, func(t *testing.T, u *silent) {
				id := u.subscribed("alice", "monthly")
				u.pass(day)
				c.before(u, id)
				u.pass(month - day)
				calls := u.sim.Calls("", "")
				u.sees("alice", c.sees)
				for range 20 {
					u.pass(time.Minute)
					u.sees("alice", c.sees)
					_, _, err := u.ConfirmAccount(t.Context(), "alice")
					must(t, err)
				}
				if n := u.sim.Calls("", "") - calls; n > c.most {
					t.Errorf("Dodo was called %d times, want %d at most", n, c.most)
				}
			})
		})
	}
}

func (u *silent) failsLater(subscription string) {
	u.t.Helper()
	_, err := u.sim.ReplaceCard(subscription, dodosim.CardFailsLater)
	must(u.t, err)
}

func (u *silent) patch(subscription, body string) {
	u.t.Helper()
	u.call(http.MethodPatch, "/subscriptions/"+subscription, body)
}

// cancels lets a customer end the subscription with its period, which is heard of.
func (u *silent) cancels(account, subscription string) {
	u.t.Helper()
	u.patch(subscription, `{"cancel_at_next_billing_date":true}`)
	u.deliver(u.event("subscription.updated"))
	u.sees(account, "500 pro active")
}

// TestDodoHasNothingNew: then a plan ends with its period, or with the grace, and Dodo is
// asked less than once a minute.
func TestDodoHasNothingNew(t *testing.T) {
	for grace, passes := range map[time.Duration]time.Duration{0: 0, 10 * time.Minute: 10 * time.Minute, 3 * time.Hour: 3 * time.Hour} {
		t.Run(grace.String(), func(t *testing.T) {
			withoutWebhooks(t, settings{grace: grace}, func(t *testing.T, u *silent) {
				u.subscribed("alice", "monthly")
				u.move(month) // Dodo has not come to it yet
				if grace > 0 {
					u.sees("alice", "0 pro active")
					u.move(passes - time.Second)
					u.sees("alice", "0 pro active")
					u.move(time.Second)
				}
				u.sees("alice", "0 none expired")
				u.move(3 * time.Minute)
				calls := u.sim.Calls("", "")
				for range 60 * 20 {
					u.move(3 * time.Second)
					u.sees("alice", "0 none expired")
					if now, _, err := u.ConfirmAccount(t.Context(), "alice"); err != nil || now.Owed() {
						t.Fatalf("after an answer: %+v, %v", now, err)
					}
				}
				if n := u.sim.Calls("", "") - calls; n > 60 {
					t.Errorf("in an hour Dodo was called %d times", n)
				}
				u.sim.Tick()
				u.pass(3 * time.Minute)
				u.sees("alice", "500 pro active")
			})
		})
	}
}

// TestDodoCannotBeAsked: then a plan that renews outlives its period by an hour, or by the
// grace if that is longer, and nobody is refused.
func TestDodoCannotBeAsked(t *testing.T) {
	for grace, lasts := range map[time.Duration]time.Duration{0: time.Hour, 10 * time.Minute: time.Hour, 3 * time.Hour: 3 * time.Hour} {
		t.Run(grace.String(), func(t *testing.T) {
			withoutWebhooks(t, settings{grace: grace}, func(t *testing.T, u *silent) {
				u.subscribed("alice", "monthly")
				bob := u.subscribed("bob", "monthly")
				u.cancels("bob", bob)
				u.away.Store(new("/"))
				u.pass(month)
				u.sees("alice", "0 pro active")
				if now, _, err := u.ConfirmAccount(t.Context(), "alice"); err != nil || !now.Owed() {
					t.Errorf("the credits of the new period may be paid: %+v, %v", now, err)
				}
				u.sees("bob", "0 none expired")
				if now, _, err := u.ConfirmAccount(t.Context(), "bob"); err != nil || now.Owed() {
					t.Errorf("somebody who has cancelled: %+v, %v", now, err)
				}
				u.move(lasts - time.Second)
				u.sees("alice", "0 pro active")
				u.move(time.Second)
				u.sees("alice", "0 none expired")
				if now, _, err := u.ConfirmAccount(t.Context(), "alice"); err != nil || now.Owed() {
					t.Errorf("after the grace: %+v, %v", now, err)
				}
				u.away.Store(nil)
				u.pass(3 * time.Minute)
				u.sees("alice", "500 pro active")
			})
		})
	}
}

// TestDodoHangs: a request sees the plan in its grace soon, and those that come later do not
// wait at all. What Dodo says in the end counts.
func TestDodoHangs(t *testing.T) {
	hangs := make(chan struct{})
	var slow atomic.Bool
	u := newSilent(t, "bolt", settings{glance: 50 * time.Millisecond, between: func(dodo http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if slow.Load() {
				<-hangs
			}
			dodo.ServeHTTP(w, r)
		})
	}})
	waits := 0
	ctx := context.WithValue(t.Context(), gateway.WaitedFor, func(time.Duration) { waits++ })
	view := func() {
		if _, err := u.View(ctx, "alice"); err != nil {
			t.Error(err)
		}
	}
	u.subscribed("alice", "monthly")
	if view(); waits != 0 {
		t.Error("a view that waits for nobody says that it has")
	}
	u.pass(month)
	slow.Store(true)
	for range 50 {
		u.sees("alice", "0 pro active")
	}
	if view(); waits != 1 {
		t.Errorf("a view that waits for Dodo has said so %d times", waits)
	}
	if _, _, err := u.ConfirmAccount(t.Context(), "alice"); err != nil {
		t.Error(err)
	}
	close(hangs)
	u.comesTo("alice", "500 pro active")
}

// comesTo waits until an account's requests see something.
func (u *silent) comesTo(account, want string) {
	u.t.Helper()
	ctx, cancel := context.WithTimeout(u.t.Context(), 20*time.Second)
	defer cancel()
	waiting, err := u.Await(account)
	must(u.t, err)
	defer waiting.Stop()
	for {
		now, err := u.Entitlement(ctx, account)
		must(u.t, err)
		if fmt.Sprintf("%d %s %s", now.Credits, now.Plan, now.PlanStatus) == want {
			return
		}
		if !waiting.Next(ctx) {
			u.t.Fatalf("%s does not come to see %q", account, want)
		}
	}
}

// TestWrongAnswersOfDodo are no answers: whoever has paid keeps what they have.
func TestWrongAnswersOfDodo(t *testing.T) {
	for name, fault := range map[string]dodosim.Fault{
		"a web page":   {Status: http.StatusOK, Body: "<html>"},
		"nothing":      {Status: http.StatusOK, Body: "{}"},
		"unknown":      {Status: http.StatusNotFound, Body: "{}"},
		"unauthorized": {Status: http.StatusUnauthorized, Body: "{}"},
		"too many":     {Status: http.StatusTooManyRequests, Body: ""},
		"broken":       {Status: http.StatusInternalServerError, Body: "{}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newSilent(t, "bolt", settings{sleep: func(context.Context, time.Duration) error { return nil }})
			u.subscribed("alice", "monthly")
			u.pass(month)
			u.sim.SetFault(fault, 100)
			u.sees("alice", "0 pro active")
			if now, _, err := u.ConfirmAccount(t.Context(), "alice"); err != nil || !now.Owed() {
				t.Errorf("%+v, %v", now, err)
			}
			u.sim.SetFault(fault, 0)
			u.move(10 * time.Minute)
			u.sees("alice", "500 pro active")
		})
	}
}

// TestSlowRenewalEndToEnd: the plan goes on for the two days that the charge takes, and the
// credits come when it has succeeded, in both readings of when the dates move.
func TestSlowRenewalEndToEnd(t *testing.T) {
	for _, first := range []bool{false, true} {
		for _, fails := range []bool{false, true} {
			t.Run(fmt.Sprintf("dates move first %v, fails %v", first, fails), func(t *testing.T) {
				withoutWebhooks(t, settings{behavior: dodosim.Behavior{DatesMoveFirst: first}}, func(t *testing.T, u *silent) {
					id := u.subscribed("alice", "monthly")
					must(t, u.sim.SlowCard(id, fails))
					u.pass(month)
					for range 47 {
						u.sees("alice", "0 pro active")
						if now, _, err := u.ConfirmAccount(t.Context(), "alice"); err != nil || now.Plan != "pro" || now.Credits != 0 {
							t.Fatalf("%+v, %v", now, err)
						}
						u.pass(time.Hour)
					}
					u.pass(time.Hour + time.Minute)
					now, _, err := u.ConfirmAccount(t.Context(), "alice")
					must(t, err)
					want := "500 pro active"
					if fails {
						want = "0 none on_hold"
					}
					if got := fmt.Sprintf("%d %s %s", now.Credits, now.Plan, now.PlanStatus); got != want {
						t.Errorf("in the end: %q, want %q", got, want)
					}
					u.sees("alice", want)
				})
			})
		}
	}
}

// TestPaymentEventsOnly: the endpoint gets payment.* only.
func TestPaymentEventsOnly(t *testing.T) {
	withoutWebhooks(t, settings{}, func(t *testing.T, u *silent) {
		u.buy("alice", "monthly")
		u.deliver(u.event("payment.succeeded"))
		u.sees("alice", "500 pro active")
		bob := u.order("bob", "monthly")
		_, err := u.sim.Pay(bob.SessionID, goodCard)
		must(t, err)
		u.deliver(u.event("payment.succeeded"))
		order, err := u.Confirm(t.Context(), "bob", bob.ID)
		if err != nil || order.State != book.OrderPaid {
			t.Errorf("%+v, %v", order, err)
		}
		u.sees("bob", "500 pro active")
		for range 3 { // renewals by payment events alone
			u.pass(31 * day)
			u.deliver(u.event("payment.succeeded"))
			u.sees("alice", "500 pro active")
		}
	})
}

// TestPaidWhileOnHold: a charge that succeeds after the subscription was put on hold says that
// it may go on, so Dodo is asked, also if nobody tells that it does.
func TestPaidWhileOnHold(t *testing.T) {
	withoutWebhooks(t, settings{}, func(t *testing.T, u *silent) {
		id := u.subscribed("alice", "monthly")
		u.failsLater(id)
		u.pass(month)
		u.sees("alice", "0 none on_hold")
		u.pass(9 * day)
		_, err := u.sim.ReplaceCard(id, goodCard)
		must(t, err)
		u.sees("alice", "0 none on_hold") // nothing was told
		u.deliver(u.event("payment.succeeded"))
		u.sees("alice", "500 pro active")
	})
}

// TestSubscriptionEventsOnly: the endpoint gets subscription.* only.
func TestSubscriptionEventsOnly(t *testing.T) {
	withoutWebhooks(t, settings{}, func(t *testing.T, u *silent) {
		attempt, err := u.sim.Pay(u.order("alice", "monthly").SessionID, goodCard)
		must(t, err)
		u.deliver(u.event("subscription.active"))
		u.sees("alice", "500 pro active")
		u.call(http.MethodPost, "/subscriptions/"+attempt.SubscriptionID+"/change-plan",
			`{"product_id":"pdt_team","quantity":1,"proration_billing_mode":"difference_immediately"}`)
		u.deliver(u.event("subscription.plan_changed"))
		if now, _, err := u.ConfirmAccount(t.Context(), "alice"); err != nil || now.Credits != 800 || now.Plan != "team" {
			t.Errorf("%+v, %v", now, err)
		}
	})
}

// TestPaidIsThere: an order counts as paid when what it bought is there, and until then it
// cannot be paid again.
func TestPaidIsThere(t *testing.T) {
	withoutWebhooks(t, settings{}, func(t *testing.T, u *silent) {
		order := u.order("alice", "monthly")
		_, err := u.sim.Pay(order.SessionID, goodCard)
		must(t, err)
		u.away.Store(new("/subscriptions"))
		for range 3 {
			got, _ := u.Confirm(t.Context(), "alice", order.ID)
			if got.State != book.OrderOpen {
				t.Fatalf("without the plan the order is %s", got.State)
			}
			u.move(5 * time.Second)
		}
		if got, _ := u.Confirm(t.Context(), "alice", order.ID); got.CheckoutURL != "" {
			t.Error("it can be paid again")
		}
		u.sees("alice", "0 none none")
		if now, waiting, err := u.ConfirmAccount(t.Context(), "alice"); err != nil || !now.Owed() || len(waiting) != 0 {
			t.Errorf("it would be refused: %+v, %v, %v", now, waiting, err)
		}
		awaited, err := u.Unfulfilled(t.Context(), "alice")
		if err != nil || len(awaited) != 1 || awaited[0].ID != order.ID || awaited[0].State != book.OrderOpen || awaited[0].CheckoutURL != "" {
			t.Errorf("awaited are %+v, %v", awaited, err)
		}
		u.away.Store(nil)
		u.move(5 * time.Second)
		got, err := u.Confirm(t.Context(), "alice", order.ID)
		if err != nil || got.State != book.OrderPaid {
			t.Errorf("%+v, %v", got, err)
		}
		u.sees("alice", "500 pro active")
		if awaited, err := u.Unfulfilled(t.Context(), "alice"); err != nil || len(awaited) != 0 {
			t.Errorf("awaited are %+v, %v", awaited, err)
		}
	})
}

// TestInquiryAsksOnce: a hundred requests in one moment are one read.
func TestInquiryAsksOnce(t *testing.T) {
	withoutWebhooks(t, settings{}, func(t *testing.T, u *silent) {
		u.subscribed("alice", "monthly")
		before := u.sim.Calls("GET", "/subscriptions/{id}")
		u.pass(month)
		seen := make(chan string, 100)
		for range cap(seen) {
			go func() {
				now, err := u.View(t.Context(), "alice")
				if err != nil {
					seen <- err.Error()
					return
				}
				seen <- fmt.Sprint(now.Credits, now.Plan)
			}()
		}
		var all []string
		for range cap(seen) {
			all = append(all, <-seen)
		}
		slices.Sort(all)
		if all = slices.Compact(all); !slices.Equal(all, []string{"500 pro"}) && !slices.Equal(all, []string{"500pro"}) {
			t.Errorf("requests see %q", all)
		}
		if n := u.sim.Calls("GET", "/subscriptions/{id}") - before; n != 1 {
			t.Errorf("the subscription was read %d times", n)
		}
	})
}
