package storetest

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
)

// purchases are the ids that Purchases returns.
func (r *rig) purchases(account string) []string {
	r.Helper()
	orders, err := r.Orders(r.ctx(), account, store.Purchases)
	if err != nil {
		r.Fatalf("read purchases: %v", err)
	}
	for _, o := range orders {
		same(r, "purchase "+o.ID, o, r.order(account, o.ID))
	}
	return ids(orders)
}

func (r *rig) before(account string, before int64, limit int) []ledger.Entry {
	r.Helper()
	page, err := r.Entries(r.ctx(), account, store.Page{Before: before, Limit: limit})
	if err != nil {
		r.Fatalf("read entries before %d: %v", before, err)
	}
	return page
}

var entriesBeforeTests = []test{
	{"none", func(r *rig) {
		same(r, "entries", len(r.before("acc", math.MaxInt64, 10)), 0)
		r.createOpened("acc", "ord_1") // an account, and no ledger
		same(r, "entries", len(r.before("acc", math.MaxInt64, 10)), 0)
		r.give("acc", "nothing")
		same(r, "entries", len(r.before("acc", math.MaxInt64, 10)), 0)
	}},
	{"pages", func(r *rig) {
		r.createOpened("acc", "ord_1") // so that an account holds more than entries
		for i := range 25 {
			r.give("acc", fmt.Sprint("pay_", i), forever(fmt.Sprint("g", i), 1))
		}
		all := r.entries("acc")
		slices.Reverse(all)
		for _, c := range []struct {
			before       int64
			limit        int
			first, count int // the first one's number
		}{
			{math.MaxInt64, 10, 25, 10}, {ledger.Max, 10, 25, 10}, {1000, 10, 25, 10}, {26, 10, 25, 10}, {25, 10, 24, 10},
			{16, 10, 15, 10}, {6, 10, 5, 5}, {2, 10, 1, 1}, {1, 10, 0, 0}, {-1, 10, 0, 0}, {math.MinInt64, 10, 0, 0},
			{26, 1, 25, 1}, {26, 0, 0, 0}, {26, -1, 0, 0}, {26, math.MinInt, 0, 0}, {26, math.MaxInt, 25, 25}, {8, 7, 7, 7}, {8, 8, 7, 7},
		} {
			var want []ledger.Entry
			if c.count > 0 {
				want = all[25-c.first:][:c.count]
			}
			same(r, fmt.Sprintf("before %d, limit %d", c.before, c.limit), r.before("acc", c.before, c.limit), want)
		}
		same(r, "another account", len(r.before("acc2", math.MaxInt64, 10)), 0)
	}},
	{"no more than 1,000 at once", func(r *rig) {
		var many []ledger.Target
		for i := range 1203 {
			many = append(many, forever(fmt.Sprintf("g%04d", i), 2))
		}
		r.give("acc", "pay_1", many...)
		page := r.before("acc", math.MaxInt64, 5000)
		if len(page) != 1000 || page[0].Seq != 1203 || page[999].Seq != 204 {
			r.Fatalf("%d entries from %d", len(page), page[0].Seq)
		}
	}},
	{"pages neither overlap nor miss anything while entries are added", func(r *rig) {
		for i := range 20 {
			r.give("acc", fmt.Sprint("pay_", i), forever(fmt.Sprint("g", i), 1))
		}
		var seen []int64
		for next := int64(math.MaxInt64); ; next = seen[len(seen)-1] {
			page := r.before("acc", next, 3)
			if len(page) == 0 {
				break
			}
			for _, e := range page {
				seen = append(seen, e.Seq)
			}
			r.give("acc", fmt.Sprint("new_", len(seen)), forever(fmt.Sprint("n", len(seen)), 1))
		}
		var want []int64
		for n := int64(20); n > 0; n-- {
			want = append(want, n)
		}
		same(r, "entries", seen, want)
	}},
}

var purchaseTests = []test{
	{"none", func(r *rig) { same(r, "purchases", r.purchases("acc"), []string{}) }},
	{"newest first, in whatever order they are paid", func(r *rig) {
		for _, id := range []string{"b", "z", "a", "y"} {
			r.createOpened("acc", id)
			r.clock.Move(time.Second)
		}
		for _, id := range []string{"y", "b", "a"} {
			r.settle("acc", "of "+id, book.OrderResult{ID: id, State: book.OrderPaid, PaymentID: "pay_" + id})
			r.clock.Move(time.Second)
		}
		same(r, "purchases", r.purchases("acc"), []string{"y", "a", "z", "b"})
		same(r, "of another account", r.purchases("acc2"), []string{})
	}},
	{"open ones with a session, until they expire", func(r *rig) {
		r.create("acc", "without", book.Key{})
		r.createOpened("acc", "with")
		same(r, "purchases", r.purchases("acc"), []string{"with"})
		r.clock.Move(day - time.Millisecond)
		same(r, "purchases", r.purchases("acc"), []string{"with"})
		r.clock.Move(time.Millisecond)
		same(r, "purchases", r.purchases("acc"), []string{})
	}},
	{"paid ones for ever, with a session or without", func(r *rig) {
		for _, id := range []string{"with", "without"} {
			r.create("acc", id, book.Key{})
			r.settle("acc", id, book.OrderResult{ID: id, State: book.OrderPaid})
			r.clock.Move(time.Minute)
		}
		r.open(withSession(r.order("acc", "with"), "cks_1"), book.Key{})
		r.clock.Move(10 * 365 * day)
		r.create("acc", "another", book.Key{}) // forgets what is old
		r.drop(r.order("acc", "without"), book.Key{})
		same(r, "purchases", r.purchases("acc"), []string{"without", "with"})
	}},
	{"failed and cancelled ones beyond their expiry", func(r *rig) {
		for _, id := range []string{"failed", "cancelled", "again", "paid"} {
			r.createOpened("acc", id)
			r.clock.Move(time.Second)
		}
		r.settle("acc", "1", book.OrderResult{ID: "failed", State: book.OrderFailed, PaymentID: "pay_1"})
		r.settle("acc", "2", book.OrderResult{ID: "cancelled", State: book.OrderCancelled})
		r.settle("acc", "3", book.OrderResult{ID: "again", State: book.OrderFailed})
		r.settle("acc", "4", book.OrderResult{ID: "again", State: book.OrderOpen})
		r.settle("acc", "5", book.OrderResult{ID: "paid", State: book.OrderFailed})
		same(r, "purchases", r.purchases("acc"), []string{"paid", "again", "cancelled", "failed"})
		r.settle("acc", "6", book.OrderResult{ID: "paid", State: book.OrderPaid})
		same(r, "purchases", r.purchases("acc"), []string{"paid", "again", "cancelled", "failed"})
		r.clock.Move(29 * day)
		same(r, "purchases", r.purchases("acc"), []string{"paid", "cancelled", "failed"})
	}},
	{"a dropped one is gone", func(r *rig) {
		o := r.create("acc", "ord_1", book.Key{})
		r.settle("acc", "1", book.OrderResult{ID: "ord_1", State: book.OrderFailed})
		same(r, "purchases", r.purchases("acc"), []string{"ord_1"})
		r.drop(o, book.Key{})
		same(r, "purchases", r.purchases("acc"), []string{})
		r.createOpened("acc", "ord_1") // it has nothing of the one before
		same(r, "purchases", r.purchases("acc"), []string{"ord_1"})
		r.clock.Move(2 * day)
		same(r, "purchases", r.purchases("acc"), []string{})
	}},
	{"at most 100, and those that nobody tried to pay are not in the way", func(r *rig) {
		var want []string
		settle := func(i int, state book.OrderState) {
			id := fmt.Sprintf("%s_%03d", state, i)
			r.createOpened("acc", id)
			r.settle("acc", "of "+id, book.OrderResult{ID: id, State: state})
			want = append(want, id)
			r.clock.Move(time.Second)
		}
		for i := range book.MaxPurchases {
			settle(i, book.OrderPaid)
			if i%3 == 0 {
				settle(i, book.OrderFailed)
			}
			if i%30 == 29 { // so that those that failed are not too many
				r.clock.Move(day)
			}
		}
		r.clock.Move(day)
		for i := range 20 {
			r.createOpened("acc", fmt.Sprint("left_", i))
		}
		r.clock.Move(day)
		for i := range 20 {
			r.createOpened("acc", fmt.Sprintf("open_%03d", i))
			want = append(want, fmt.Sprintf("open_%03d", i))
			r.clock.Move(time.Second)
		}
		slices.Reverse(want)
		same(r, "purchases", r.purchases("acc"), want[:book.MaxPurchases])
	}},
}
