package storetest

import (
	"errors"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

// settle commits what became of an order, as the next version of an object.
func (r *rig) settle(account, object string, result book.OrderResult) {
	r.Helper()
	ref := payment(object)
	r.commit(book.Commit{
		Account: account, Object: ref, Version: r.object(account, ref).Version, Order: &result,
		Effect: entitlement.Effect{Grants: targets(forever(object, 1))},
	})
}

// resultTests say what a commit does to an order.
var resultTests = []test{
	{"states", func(r *rig) {
		type result struct {
			state   book.OrderState
			payment string
		}
		for _, c := range []struct {
			name    string
			results []result
			want    result
		}{
			{"paid", []result{{book.OrderPaid, "pay_1"}}, result{book.OrderPaid, "pay_1"}},
			{"failed", []result{{book.OrderFailed, "pay_1"}}, result{book.OrderFailed, "pay_1"}},
			{"failed, then paid", []result{{book.OrderFailed, "pay_1"}, {book.OrderPaid, "pay_2"}}, result{book.OrderPaid, "pay_2"}},
			{"cancelled, then paid", []result{{book.OrderCancelled, "pay_1"}, {book.OrderPaid, "pay_1"}}, result{book.OrderPaid, "pay_1"}},
			{"failed, then open", []result{{book.OrderFailed, "pay_1"}, {book.OrderOpen, "pay_2"}}, result{book.OrderOpen, "pay_2"}},
			{"paid stays paid when failed", []result{{book.OrderPaid, "pay_1"}, {book.OrderFailed, "pay_2"}}, result{book.OrderPaid, "pay_1"}},
			{"paid stays paid when open", []result{{book.OrderPaid, "pay_1"}, {book.OrderOpen, ""}}, result{book.OrderPaid, "pay_1"}},
			{"paid keeps its payment", []result{{book.OrderPaid, "pay_1"}, {book.OrderPaid, "pay_2"}}, result{book.OrderPaid, "pay_1"}},
			{"without a payment's id the last stays", []result{{book.OrderFailed, "pay_1"}, {book.OrderCancelled, ""}}, result{book.OrderCancelled, "pay_1"}},
		} {
			r.Run(c.name, func(r *rig) {
				before := r.createOpened("acc", c.name)
				for _, x := range c.results {
					r.settle("acc", c.name, book.OrderResult{ID: c.name, State: x.state, PaymentID: x.payment})
				}
				want := before
				want.State, want.PaymentID = c.want.state, c.want.payment
				same(r, "order", r.order("acc", c.name), want)
			})
		}
	}},
	{"an unknown order is passed over", func(r *rig) {
		r.settle("acc", "pay_1", book.OrderResult{ID: "ord_none", State: book.OrderPaid, PaymentID: "pay_1"})
		same(r, "left", left(r.account("acc")), map[string]int64{"pay_1": 1})
		if _, err := r.Order(r.ctx(), "acc", "ord_none"); !errors.Is(err, store.ErrNotFound) {
			r.Fatalf("order: %v", err)
		}
	}},
	{"an order of another account is passed over", func(r *rig) {
		r.createOpened("other", "ord_1")
		r.settle("acc", "pay_1", book.OrderResult{ID: "ord_1", State: book.OrderPaid, PaymentID: "pay_1"})
		same(r, "state", r.order("other", "ord_1").State, book.OrderOpen)
	}},
	{"an order without a session can be paid", func(r *rig) {
		r.create("acc", "ord_1", book.Key{})
		r.settle("acc", "pay_1", book.OrderResult{ID: "ord_1", State: book.OrderPaid, PaymentID: "pay_1"})
		same(r, "state", r.order("acc", "ord_1").State, book.OrderPaid)
	}},
	{"the session of a paid order is stored, and it stays paid", func(r *rig) {
		o := r.create("acc", "ord_1", book.Key{})
		r.settle("acc", "pay_1", book.OrderResult{ID: "ord_1", State: book.OrderPaid, PaymentID: "pay_1"})
		o.SessionID, o.CheckoutURL = "cks_1", "https://checkout.test/1"
		r.open(o, book.Key{})
		got := r.order("acc", "ord_1")
		same(r, "state", got.State, book.OrderPaid)
		same(r, "session", got.SessionID, "cks_1")
		same(r, "open orders", r.openOrders("acc"), []string{})
	}},
	{"a paid order is never forgotten", func(r *rig) {
		r.createOpened("acc", "ord_1")
		r.settle("acc", "pay_1", book.OrderResult{ID: "ord_1", State: book.OrderPaid, PaymentID: "pay_1"})
		r.clock.Move(10 * 365 * 24 * time.Hour)
		r.create("acc", "ord_2", book.Key{})
		same(r, "state", r.order("acc", "ord_1").State, book.OrderPaid)
		if err := r.DropOrder(r.ctx(), r.order("acc", "ord_1"), book.Key{}); err != nil {
			r.Fatal(err)
		}
		same(r, "state", r.order("acc", "ord_1").State, book.OrderPaid)
	}},
}
