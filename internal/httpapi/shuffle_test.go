package httpapi_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"testing"
)

// shuffles is how often each story is told anew on each store.
const shuffles = 30

// TestShuffles: in whatever order the webhooks of a story come, some of them
// again, under the same id or another, with the body of their time or with the
// latest, it ends as it did in order.
//
// It fails when, for example,
//   - a payment of a subscription grants credits beside the renewal,
//   - a refund that finds no payment is forgotten,
//   - the last event that comes is taken for the newest,
//   - a webhook id that is not known is taken for something new.
func TestShuffles(t *testing.T) {
	seed := rand.Uint64()
	if s := os.Getenv("DODOGATE_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		must(t, err)
	}
	eachStore(t, func(t *testing.T, open opener) {
		for name, story := range stories {
			t.Run(name, func(t *testing.T) {
				chance := rand.New(rand.NewPCG(seed, 0))
				inOrder := tell(t, open, story.tell)
				if got := inOrder.has(alice); got != story.ends {
					t.Errorf("it ends with %q, not %q", got, story.ends)
				}
				want := inOrder.end(alice)
				for n := range shuffles / thrift {
					if !t.Run(fmt.Sprint(n), func(t *testing.T) {
						s := inOrder.again(t, open(t, inOrder.clock), alice)
						var order []string
						for _, d := range shuffled(inOrder.events, chance) {
							order = append(order, d.id+" "+d.body)
							s.signed(d.id, d.body).do().json(http.StatusOK)
						}
						if got := s.end(alice); got != want {
							t.Errorf("a shuffle of DODOGATE_SEED=%d ends in\n%s\nnot in\n%s\nafter\n%q", seed, got, want, order)
						}
					}) {
						break
					}
				}
			})
		}
	})
}

type delivery struct{ id, body string }

// shuffled are deliveries of every event, some of them repeated, in any order.
func shuffled(events []told, chance *rand.Rand) []delivery {
	var all []delivery
	for i, e := range events {
		all = append(all, delivery{e.id, e.body})
		for n := range chance.IntN(3) {
			d := delivery{e.id, e.body}
			if chance.IntN(2) == 0 {
				d.id = fmt.Sprintf("msg_copy_%d_%d", i, n)
			}
			if chance.IntN(2) == 0 {
				d.body = e.latest
			}
			all = append(all, d)
		}
	}
	chance.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}
