package gateway_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/boltstore"
)

var plansForSale = []config.Product{
	{Name: "pack10", ID: "pdt_pack10", Credits: 10},
	{Name: "pro", ID: "pdt_monthly", Plan: "pro", Credits: 100},
	{Name: "weekly", ID: "pdt_weekly", Plan: "pro"},
	{Name: "team", ID: "pdt_team", Plan: "team", Credits: 300},
	{Name: "extra", ID: "pdt_reports", Plan: "extra", AllowMultiple: true},
}

const changePath = "/change-plan"

// lossy is a Dodo whose answers to changes of plan get lost, after the change or instead
// of it.
type lossy struct {
	dodo http.Handler
	lose atomic.Int32 // how many answers
	deaf atomic.Bool  // the change is not made either
	sent atomic.Int32 // changes that were sent
}

func (l *lossy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, changePath) {
		l.dodo.ServeHTTP(w, r)
		return
	}
	l.sent.Add(1)
	if l.lose.Add(-1) < 0 {
		l.dodo.ServeHTTP(w, r)
		return
	}
	if !l.deaf.Load() {
		l.dodo.ServeHTTP(httptest.NewRecorder(), r)
	}
	panic(http.ErrAbortHandler)
}

func (w *world) subscription(account string) gateway.Held {
	w.t.Helper()
	held, err := w.Subscriptions(w.t.Context(), account)
	must(w.t, err)
	if len(held) != 1 {
		w.t.Fatalf("%s has %d subscriptions", account, len(held))
	}
	return held[0]
}

// paid is how many payments were charged.
func (w *world) paid() (n int) {
	for _, e := range w.sim.Events() {
		if e.Type == "payment.succeeded" {
			n++
		}
	}
	return n
}

// TestLostAnswerToChange: when Dodo's answer is lost, the subscription is read. What was
// made is said to be made; what nobody knows is not sent again for a while, and then
// only after another look. Nobody is charged twice.
func TestLostAnswerToChange(t *testing.T) {
	toTeam := gateway.PlanChange{Product: "team"}
	for name, made := range map[string]bool{"after the change": true, "instead of it": false} {
		t.Run(name, func(t *testing.T) {
			clock, l := newTimer(), new(lossy)
			w := newWorld(t, openBoltAt(t, clock.Now), settings{
				products: plansForSale, clock: clock.Now, sleep: clock.Sleep, hold: true,
				between: func(sim http.Handler) http.Handler { l.dodo = sim; return l },
			})
			w.buy("alice", "pro")
			w.deliverAll()
			paid := w.paid()
			l.lose.Store(1)
			l.deaf.Store(!made)
			c, err := w.ChangePlan(t.Context(), who("alice"), toTeam)
			want, sends := gateway.ChangeNone, int32(1)
			if made {
				if err != nil || c.State != gateway.ChangeMade {
					t.Fatalf("%+v, %v", c, err)
				}
			} else {
				want, sends = gateway.ChangeMade, 2
				if !errors.Is(err, gateway.ErrChangeLost) || !errors.Is(err, dodo.ErrUnavailable) {
					t.Fatalf("%+v, %v", c, err)
				}
				if _, err := w.ChangePlan(t.Context(), who("alice"), toTeam); !errors.Is(err, gateway.ErrChangeRunning) {
					t.Errorf("at once again: %v", err)
				}
				clock.Move(3 * time.Minute)
			}
			if c, err = w.ChangePlan(t.Context(), who("alice"), toTeam); err != nil || c.State != want {
				t.Fatalf("again: %+v, %v", c, err)
			}
			if n := l.sent.Load(); n != sends {
				t.Errorf("it was sent %d times, want %d", n, sends)
			}
			if n := w.paid() - paid; n != 1 {
				t.Errorf("%d charges for one change", n)
			}
			if got := w.subscription("alice").Product.Name; got != "team" {
				t.Errorf("it is for %s", got)
			}
		})
	}
}

func openBoltAt(t *testing.T, clock func() time.Time) store.Store {
	t.Helper()
	s, err := boltstore.Open(filepath.Join(t.TempDir(), "dodogate.db"), boltstore.Options{Clock: clock})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// deliverAll applies all that was held back.
func (w *world) deliverAll() {
	w.t.Helper()
	for _, e := range w.sim.Events() {
		w.deliver(e.ID)
	}
}

// TestChangesInParallel: of many requests at two gateways one changes and charges.
func TestChangesInParallel(t *testing.T) {
	each(t, settings{products: plansForSale, hold: true}, func(t *testing.T, w *world) {
		w.buy("alice", "pro")
		w.deliverAll()
		paid := w.paid()
		second := w.newGateway(settings{products: plansForSale})
		var (
			callers sync.WaitGroup
			changed atomic.Int32
		)
		for i := range 12 {
			g := w.gate
			if i%2 == 1 {
				g = second
			}
			callers.Go(func() {
				c, err := g.ChangePlan(t.Context(), who("alice"), gateway.PlanChange{Plan: "team"})
				switch {
				case errors.Is(err, gateway.ErrChangeRunning):
				case err != nil:
					t.Error(err)
				case c.State == gateway.ChangeMade:
					changed.Add(1)
				case c.State != gateway.ChangeNone:
					t.Errorf("state %s", c.State)
				}
			})
		}
		callers.Wait()
		if changed.Load() != 1 || w.paid()-paid != 1 {
			t.Errorf("%d changes and %d charges", changed.Load(), w.paid()-paid)
		}
	})
}

// TestChangeIsRefused: what Dodo says no to has a reason of its own, and the next try is
// not held up by it.
func TestChangeIsRefused(t *testing.T) {
	for code, want := range map[string]error{
		"PENDING_PLAN_CHANGE_EXISTS":                         gateway.ErrChangePending,
		"PREVIOUS_PAYMENT_PENDING":                           gateway.ErrChangePending,
		"SCHEDULED_PLAN_CHANGE_EXISTS":                       gateway.ErrChangeScheduled,
		"INACTIVE_SUBSCRIPTION_PLAN_CHANGE_NOT_SUPPORTED":    gateway.ErrInactive,
		"ON_DEMAND_PLAN_CHANGE_NOT_SUPPORTED":                gateway.ErrOnDemand,
		"PLAN_CHANGE_NOT_ALLOWED_FOR_SCHEDULED_CANCELLATION": gateway.ErrEnding,
		"SOMETHING_NEW":                                      dodo.ErrRejected,
	} {
		t.Run(code, func(t *testing.T) {
			w := newWorld(t, openBolt(t), settings{products: plansForSale, hold: true, change: func(o *gateway.Options) {
				o.Provider = refusing{o.Provider, &rejection{code}}
			}})
			w.buy("alice", "pro")
			w.deliverAll()
			for range 2 {
				if _, err := w.ChangePlan(t.Context(), who("alice"), gateway.PlanChange{Product: "team"}); !errors.Is(err, want) {
					t.Errorf("%v, want %v", err, want)
				}
			}
		})
	}
}

// TestReadFailsAfterCancel: Dodo has said yes, so the answer is yes, and the webhook brings
// the rest.
func TestReadFailsAfterCancel(t *testing.T) {
	clock := newTimer()
	w := newWorld(t, openBolt(t), settings{products: plansForSale, hold: true, clock: clock.Now, sleep: clock.Sleep,
		between: func(sim http.Handler) http.Handler {
			patched := false
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if patched && r.Method == http.MethodGet {
					http.Error(rw, "{}", http.StatusServiceUnavailable)
					return
				}
				patched = patched || r.Method == http.MethodPatch
				sim.ServeHTTP(rw, r)
			})
		}})
	w.buy("alice", "pro")
	w.deliverAll()
	held, err := w.Cancel(t.Context(), who("alice"), gateway.Which{}, false)
	if err != nil || !held.CancelAtEnd {
		t.Fatalf("%+v, %v", held, err)
	}
	w.deliverAll()
	if !w.subscription("alice").CancelAtEnd {
		t.Error("the webhook did not say so")
	}
}

// TestManagingIsCounted: an account that keeps changing its subscription is refused before
// Dodo is asked, and others are not.
func TestManagingIsCounted(t *testing.T) {
	clock := newTimer()
	w := newWorld(t, openBolt(t), settings{products: plansForSale, hold: true, clock: clock.Now, sleep: clock.Sleep, perMinute: gateway.DefaultBudget})
	w.buy("alice", "pro")
	w.buy("bob", "pro")
	w.deliverAll()
	var refused error
	for i := 0; i < 40 && refused == nil; i++ {
		_, refused = w.Cancel(t.Context(), who("alice"), gateway.Which{}, i%2 == 1)
	}
	if !errors.Is(refused, gateway.ErrTooManyRequests) {
		t.Errorf("after 40 changes: %v", refused)
	}
	calls := w.sim.Calls("", "")
	_, cancelled := w.Cancel(t.Context(), who("alice"), gateway.Which{}, false)
	_, changed := w.ChangePlan(t.Context(), who("alice"), gateway.PlanChange{Product: "team"})
	if !errors.Is(cancelled, gateway.ErrTooManyRequests) || !errors.Is(changed, gateway.ErrTooManyRequests) || w.sim.Calls("", "") != calls {
		t.Errorf("%v, %v, %d calls", cancelled, changed, w.sim.Calls("", "")-calls)
	}
	if _, err := w.Cancel(t.Context(), who("bob"), gateway.Which{}, false); err != nil {
		t.Errorf("bob: %v", err)
	}
}

// TestSecondSubscriptionAtAnotherGateway: what one gateway sold is known at the other,
// before any webhook.
func TestSecondSubscriptionAtAnotherGateway(t *testing.T) {
	each(t, settings{products: plansForSale, hold: true}, func(t *testing.T, w *world) {
		second := w.newGateway(settings{products: plansForSale})
		w.buy("alice", "pro") // its webhooks are held back
		for _, g := range []*gate{second, w.gate} {
			for _, product := range []string{"pro", "weekly"} {
				if o, err := g.Checkout(t.Context(), who("alice"), wish(product)); !errors.Is(err, gateway.ErrSubscribed) {
					t.Errorf("%s: %+v, %v", product, o, err)
				}
			}
		}
		for _, product := range []string{"team", "extra", "pack10"} {
			w.order("alice", product)
		}
		w.order("bob", "pro")
	})
}

// outage is a Dodo that can be switched to refuse every read of a subscription.
type outage struct {
	dodo http.Handler
	on   atomic.Bool
}

func (o *outage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if o.on.Load() && r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/subscriptions") {
		http.Error(w, "{}", http.StatusServiceUnavailable)
		return
	}
	o.dodo.ServeHTTP(w, r)
}

// TestSecondSubscriptionWhileDodoIsSilent: a paid period is proof enough for a refusal. Once
// it is over, nobody is told that they have a subscription, and nothing is sold either.
func TestSecondSubscriptionWhileDodoIsSilent(t *testing.T) {
	clock, o := newTimer(), new(outage)
	w := newWorld(t, openBoltAt(t, clock.Now), settings{
		products: plansForSale, clock: clock.Now, sleep: clock.Sleep, hold: true, glance: time.Millisecond,
		between: func(sim http.Handler) http.Handler { o.dodo = sim; return o },
	})
	w.buy("alice", "pro")
	w.deliverAll()
	o.on.Store(true)
	again := func() error {
		_, err := w.Checkout(t.Context(), who("alice"), wish("pro"))
		return err
	}
	if err := again(); !errors.Is(err, gateway.ErrSubscribed) {
		t.Errorf("within the period: %v", err)
	}
	w.order("alice", "team")
	clock.Move(40 * 24 * time.Hour)
	if err := again(); !errors.Is(err, dodo.ErrUnavailable) {
		t.Errorf("when the period is over: %v", err)
	}
	w.order("alice", "team")
	o.on.Store(false)
	w.sim.Tick()
	if err := again(); !errors.Is(err, gateway.ErrSubscribed) { // it was renewed, and no webhook came
		t.Errorf("when Dodo can be asked: %v", err)
	}
}

// TestChangeToWhatIsThere: a change to the plan of another subscription is refused as its
// checkout is, because the customer would pay for it twice.
func TestChangeToWhatIsThere(t *testing.T) {
	w := newWorld(t, openBolt(t), settings{products: plansForSale, hold: true})
	w.buy("alice", "pro")
	w.buy("alice", "team")
	w.deliverAll()
	paid := w.paid()
	for _, to := range []string{"team", "extra"} {
		_, err := w.ChangePlan(t.Context(), who("alice"), gateway.PlanChange{From: gateway.Which{Plan: "pro"}, Product: to})
		if refused := errors.Is(err, gateway.ErrSubscribed); refused != (to == "team") {
			t.Errorf("to %s: %v", to, err)
		}
	}
	if n := w.paid() - paid; n != 0 { // extra costs less
		t.Errorf("%d charges", n)
	}
}

// TestPaidOrderCounts: a subscription whose payment is known is not sold again, although
// Dodo has not told of the subscription.
func TestPaidOrderCounts(t *testing.T) {
	o := new(outage)
	w := newWorld(t, openBolt(t), settings{
		products: plansForSale, hold: true, glance: time.Millisecond,
		between: func(sim http.Handler) http.Handler { o.dodo = sim; return o },
	})
	bought := w.buyOrder("alice", "pro")
	o.on.Store(true)
	w.deliver(w.event("payment.succeeded"))
	_, err := w.Checkout(t.Context(), who("alice"), wish("pro"))
	if refused, ok := errors.AsType[*gateway.SubscriptionsError](err); !ok || refused.Unfulfilled != bought {
		t.Errorf("%v, want a refusal for the order %s", err, bought)
	}
	w.order("alice", "team")
	w.order("alice", "pack10")
	o.on.Store(false)
	w.deliverAll()
	if _, err := w.Checkout(t.Context(), who("alice"), wish("pro")); !errors.Is(err, gateway.ErrSubscribed) {
		t.Errorf("when all is known: %v", err)
	}
}

// buyOrder is buy, and returns the order.
func (w *world) buyOrder(account, product string) string {
	w.t.Helper()
	o := w.order(account, product)
	_, err := w.sim.Pay(o.SessionID, dodosim.CardVisa)
	must(w.t, err)
	return o.ID
}

// TestOnePieceUnlessAllowed: several pieces of a subscription are refused before Dodo makes
// a session, also when no prices were read yet.
func TestOnePieceUnlessAllowed(t *testing.T) {
	w := newWorld(t, openBolt(t), settings{products: plansForSale, hold: true})
	req := wish("pro")
	req.Quantity = 2
	if _, err := w.Checkout(t.Context(), who("alice"), req); !errors.Is(err, gateway.ErrOnePiece) {
		t.Errorf("two of pro: %v", err)
	}
	if n := w.sim.Calls("POST", "/checkouts"); n != 0 {
		t.Errorf("%d sessions were asked for", n)
	}
	req.Product = "pack10"
	_, err := w.Checkout(t.Context(), who("alice"), req)
	must(t, err)
}

// refusing is a Dodo that refuses to change plans.
type refusing struct {
	gateway.Provider
	*rejection
}

func (r refusing) ChangePlan(ctx context.Context, id string, change dodo.PlanChange) error {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = w.Write([]byte(`{"code":"` + r.code + `","message":"no"}`))
	}))
	defer api.Close()
	client, err := dodo.New(dodo.Options{APIKey: apiKey, BaseURL: api.URL})
	if err != nil {
		return err
	}
	defer client.Close()
	return client.ChangePlan(ctx, id, change)
}

type rejection struct{ code string }
