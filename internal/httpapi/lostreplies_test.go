package httpapi_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// TestLostReplies: Redis does what it is asked and every so often its reply is
// lost, so that the client library asks again by itself. What is answered with 503
// is sent again, as Dodo and a careful front end do: everything is there once.
func TestLostReplies(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server)
	story := tell(t, openBolt, everything)
	want := story.end(alice)
	for _, every := range []int{5, 8} {
		t.Run(fmt.Sprint("one of ", every), func(t *testing.T) {
			prefix := fmt.Sprint("lost", every, ":")
			direct := story.again(t, openRedis(t, server.URL(), prefix, story.clock), alice)
			s := story.beside(t, openRedis(t, proxy.URL(), prefix, story.clock))
			proxy.LoseReplies(func(reply int) bool { return reply%every == 0 })
			defer proxy.LoseReplies(nil)
			for _, e := range story.events {
				s.until(http.StatusOK, func() call { return s.signed(e.id, e.body) })
			}
			if got := direct.end(alice); got != want {
				t.Errorf("it ends in\n%s\nnot in\n%s", got, want)
			}
			answers := make(map[string]bool)
			for range 3 {
				for key := range 5 {
					answers[s.until(http.StatusCreated, func() call {
						return s.post("/payments/checkout", `{"product":"pack10"}`).by(bob).with("Idempotency-Key", fmt.Sprint("key-", key))
					})] = true
				}
			}
			orders, err := direct.store.Orders(t.Context(), bob, store.OpenOrders)
			if must(t, err); len(orders) != 5 || len(answers) != 5 {
				t.Errorf("five checkouts, three times each, are %d orders and have %d answers", len(orders), len(answers))
			}
		})
	}
}

// until makes a request until it is answered with the status, and not with 503.
func (s *site) until(status int, request func() call) (body string) {
	s.t.Helper()
	for range 50 {
		a := request().do()
		if a.Code == status {
			return a.Body.String()
		}
		a.problem(http.StatusServiceUnavailable, "store_unavailable")
	}
	s.t.Fatal("fifty times in vain")
	return ""
}
