package gateway

import (
	"slices"
	"sync"
	"time"

	"github.com/dodogate/dodogate/internal/book"
)

// orderTurns remembers when Dodo was asked about an order before a refusal, so that every open
// order of an account gets its turn: the one that is paid may be any of them.
type orderTurns struct {
	mu    sync.Mutex
	asked map[string]time.Time // by order id
	// sweepAt is how many turns there are when those that count no more are forgotten.
	sweepAt int
}

const (
	// turnsRemembered is for how long a turn counts. The budget bounds how many there are.
	turnsRemembered = 15 * time.Minute
	// mostTurns bounds the memory all the same.
	mostTurns = 100_000
)

// next are the orders that are asked about now: those whose turn is longest ago, and of these
// the newest. all are the account's open orders, the newest first.
func (t *orderTurns) next(all []book.Order, now time.Time) []book.Order {
	t.mu.Lock()
	defer t.mu.Unlock()
	orders := slices.Clone(all)
	slices.SortStableFunc(orders, func(a, b book.Order) int { return t.asked[a.ID].Compare(t.asked[b.ID]) })
	orders = orders[:min(len(orders), ordersAsked)]
	if len(t.asked)+len(orders) > mostTurns {
		clear(t.asked)
	}
	if len(t.asked) >= max(t.sweepAt, cooldownsSwept) {
		for id, at := range t.asked {
			if now.Sub(at) >= turnsRemembered {
				delete(t.asked, id)
			}
		}
		t.sweepAt = 2 * len(t.asked)
	}
	for _, o := range orders {
		t.asked[o.ID] = now
	}
	return orders
}

// again gives an order that was not asked about its turn back.
func (t *orderTurns) again(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.asked, id)
}
