package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
)

// TestCheckoutCrashes kills the gateway's process after each change that it makes in its
// store and at Dodo for a checkout: for the visitor who is new, for the order, its session,
// its address, and what is stored of that. Who then asks again under the same key gets one order that
// can be paid, for what was asked, and has the sign-up credits once.
//
// It fails when, for example,
//   - a session is made for an order that is not the one that the key leads to,
//   - an order that got its session late expires as if it had got it in time,
//   - a key is finished before its order has a session.
func TestCheckoutCrashes(t *testing.T) {
	for name, places := range crashPlaces {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next := places(t)
			deaths := 0
			for writes := int64(1); ; writes++ {
				if checkoutAfter(t, next(), writes) {
					break // it was not killed
				}
				deaths++
			}
			if deaths < 5 {
				t.Errorf("it was killed at %d places, want 5 at the least", deaths)
			}
		})
	}
}

// checkoutAfter checks out at a process that is killed after so many writes, and at
// another one then, and reports whether the first answered.
func checkoutAfter(t *testing.T, at place, writes int64) (answered bool) {
	t.Helper()
	const wish = `{"product":"pack10","quantity":2,"return_to":"https://shop.example/app"}`
	s := newSite(t, func(set *setting) { forStories(openBolt)(set); set.signup = signupOfChildren })
	ask := func() call {
		return s.post("/payments/checkout", wish).by(alice).with(childAccount, alice).with("Idempotency-Key", "k")
	}
	child := process{Place: at, Now: s.clock.Now(), Writes: writes, Dodo: s.sells}.start(t)
	status, err := child.post(t.Context(), ask(), wish)
	if answered = err == nil; answered && status != http.StatusCreated {
		t.Fatalf("after %d writes: status %d", writes, status)
	}
	child.kill()
	made := s.sim.Calls("POST", "/checkouts")

	opened, err := at.open(t.Context(), s.clock.Now)
	must(t, err)
	defer opened.Close()
	s.over(setting{publicURL: public, products: storyProducts, signup: signupOfChildren}, opened)
	a := ask().do()
	if a.Code == http.StatusConflict {
		a.problem(http.StatusConflict, "idempotency_key_in_use")
		s.clock.pass(30 * time.Second)
		a = ask().do()
	}
	bought := a.json(http.StatusCreated)
	if again := ask().do().json(http.StatusCreated); fmt.Sprint(again) != fmt.Sprint(bought) {
		t.Errorf("after %d writes: two answers, %v and %v", writes, bought, again)
	}
	if n := s.sim.Calls("POST", "/checkouts"); answered && n != made || n > 2 {
		t.Errorf("after %d writes: %d sessions, and %d before", writes, n, made)
	}
	orders, err := s.store.Orders(t.Context(), alice, store.OpenOrders)
	if must(t, err); len(orders) != 1 || orders[0].ID != bought["order_id"] || orders[0].Quantity != 2 {
		t.Fatalf("after %d writes: open orders %+v", writes, orders)
	}
	if left := orders[0].ExpiresAt.Sub(s.clock.Now()); left != 24*time.Hour {
		t.Errorf("after %d writes: it expires in %v", writes, left)
	}
	s.pay(bought["session_id"].(string), "4242424242424242")
	now := s.get("/payments/status").by(alice).do().json(http.StatusOK)
	if now["credits"] != json.Number("23") || len(now["pending"].([]any)) != 0 {
		t.Errorf("after %d writes: it ends with %v", writes, now)
	}
	if o, err := s.store.Order(t.Context(), alice, orders[0].ID); err != nil || o.State != book.OrderPaid {
		t.Errorf("after %d writes: %+v, %v", writes, o, err)
	}
	entries, err := s.store.Entries(t.Context(), alice, store.Page{After: 0, Limit: 10})
	if must(t, err); len(entries) != 2 {
		t.Errorf("after %d writes: entries %+v", writes, entries)
	}
	return answered
}
