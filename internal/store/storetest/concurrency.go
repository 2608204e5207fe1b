package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

const crowd = 100

// together runs f so many times at once.
func together(n int, f func(i int)) {
	var all sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-begin
			f(i)
		})
	}
	close(begin)
	all.Wait()
}

var concurrencyTests = []test{
	{"decisions that fail when they have committed", func(r *rig) {
		failed := errors.New("on second thoughts")
		var all sync.WaitGroup
		for i := range 64 {
			all.Go(func() {
				_, err := r.Update(r.ctx(), "acc", func(b *book.Book) error {
					known, err := b.Object(payment(fmt.Sprint("pay_", i)))
					if err != nil {
						return err
					}
					_, err = b.Commit(book.Commit{
						Account: "acc", Object: payment(fmt.Sprint("pay_", i)), Version: known.Version, State: []byte("{}"), Cause: "test",
						Effect: entitlement.Effect{Grants: targets(forever(fmt.Sprint("g", i), 1))},
					})
					if err == nil && i%2 == 0 {
						err = failed
					}
					return err
				})
				if want := i%2 == 0; errors.Is(err, failed) != want || !want && err != nil {
					r.Errorf("decision %d: %v", i, err)
				}
			})
		}
		all.Wait()
		a := r.account("acc")
		same(r, "balance", a.Ledger.Balance(), 32)
		for i := range 64 {
			same(r, "version", r.object("acc", payment(fmt.Sprint("pay_", i))).Version, int64(i%2))
		}
		r.audit("acc")
	}},
	{"one object: one commit wins at each version", func(r *rig) {
		for version := range int64(5) {
			var won atomic.Int64
			winner := make(chan string, crowd)
			together(crowd, func(i int) {
				state := fmt.Sprint("state of ", i)
				_, err := r.Commit(r.ctx(), book.Commit{
					Account: "acc", Object: payment("pay_1"), Version: version, State: []byte(state),
					Effect: entitlement.Effect{Grants: targets(forever(fmt.Sprint("g", version), int64(i+1)))},
				})
				switch {
				case err == nil:
					won.Add(1)
					winner <- state
				case !errors.Is(err, store.ErrConflict):
					r.Error(err)
				}
			})
			same(r, "winners", won.Load(), 1)
			same(r, "state", string(r.object("acc", payment("pay_1")).State), <-winner)
			same(r, "version", r.object("acc", payment("pay_1")).Version, version+1)
			same(r, "entries", int64(len(r.entries("acc"))), version+1)
		}
		r.audit("acc")
	}},
	{"different objects of one account: all land", func(r *rig) {
		together(crowd, func(i int) {
			id := fmt.Sprint("pay_", i)
			if _, err := r.Commit(r.ctx(), book.Commit{
				Account: "acc", Object: payment(id), Cause: id,
				Effect: entitlement.Effect{
					Grants:   targets(forever(id, int64(i+1)), forever("shared", int64(i+1))),
					Standing: entitlement.Standing{Paid: true},
				},
			}); err != nil {
				r.Error(err)
			}
		})
		a := r.account("acc")
		shared := a.Ledger.Grants.At("shared").Left
		same(r, "balance", a.Ledger.Available(r.now())-shared, crowd*(crowd+1)/2)
		same(r, "standings", len(a.Standings), crowd)
		r.audit("acc")
	}},
	{"different accounts", func(r *rig) {
		together(crowd, func(i int) {
			account := fmt.Sprint("acc_", i)
			for n := range int64(5) {
				if _, err := r.Commit(r.ctx(), book.Commit{
					Account: account, Object: payment("pay_1"), Version: n,
					Effect: entitlement.Effect{Grants: targets(forever("a", n+1))},
				}); err != nil {
					r.Error(err)
				}
			}
		})
		for i := range crowd {
			same(r, "left", left(r.account(fmt.Sprint("acc_", i))), map[string]int64{"a": 5})
			r.audit(fmt.Sprint("acc_", i))
		}
	}},
	{"read while written: never half of a commit", func(r *rig) {
		stop := make(chan struct{})
		var reader sync.WaitGroup
		reader.Go(func() {
			for {
				a, err := r.Account(r.ctx(), "acc")
				if err != nil {
					r.Error(err)
				}
				g := a.Ledger.Grants
				if g.At("a").Left != g.At("b").Left || a.Ledger.Seq != 2*g.At("a").Left || a.Standings["payment:pay_1"].Paid != (g.At("a").Left > 0) {
					r.Errorf("half a commit: %+v", a)
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
		for n := range int64(50) {
			r.commit(book.Commit{
				Account: "acc", Object: payment("pay_1"), Version: n, Effect: entitlement.Effect{
					Grants: targets(forever("a", n+1), forever("b", n+1)), Standing: entitlement.Standing{Paid: true}},
			})
		}
		close(stop)
		reader.Wait()
	}},
	{"one key: one order is created", func(r *rig) {
		var created, running atomic.Int64
		together(crowd, func(i int) {
			_, how, err := r.CreateOrder(r.ctx(), r.newOrder("acc", fmt.Sprint("ord_", i)), anyKey)
			switch {
			case err != nil:
				r.Error(err)
			case how == book.Created:
				created.Add(1)
			case how == book.Running:
				running.Add(1)
			}
		})
		same(r, "created", created.Load(), 1)
		same(r, "running", running.Load(), crowd-1)
	}},
	{"no keys: as many orders as are allowed", func(r *rig) {
		var created, refused atomic.Int64
		together(crowd, func(i int) {
			_, _, err := r.CreateOrder(r.ctx(), r.newOrder("acc", fmt.Sprint("ord_", i)), book.Key{})
			switch {
			case err == nil:
				created.Add(1)
			case errors.Is(err, store.ErrTooManyOrders):
				refused.Add(1)
			default:
				r.Error(err)
			}
		})
		same(r, "created", created.Load(), book.MaxOpenOrders)
		same(r, "refused", refused.Load(), crowd-book.MaxOpenOrders)
	}},
	{"one order: one session", func(r *rig) {
		o := r.create("acc", "ord_1", anyKey)
		var first atomic.Pointer[string]
		together(20, func(i int) {
			session := fmt.Sprint("cks_", i)
			err := r.OpenOrder(r.ctx(), withSession(o, session), anyKey)
			if err == nil && !first.CompareAndSwap(nil, &session) || err != nil && !errors.Is(err, store.ErrConflict) {
				r.Error(session, err)
			}
		})
		got := r.order("acc", "ord_1")
		same(r, "session", got.SessionID, *first.Load())
		same(r, "checkout", got.CheckoutURL, "https://checkout.test/"+got.SessionID)
	}},
	{"one event: every delivery counts", func(r *rig) {
		together(crowd, func(i int) {
			if _, err := r.Record(r.ctx(), book.Event{ID: "msg_1", Type: "t", Body: []byte("body")}); err != nil {
				r.Error(err)
			}
		})
		same(r, "deliveries", r.event("msg_1").Deliveries, crowd)
	}},
	{"parked and un-parked at once: the index follows the state", func(r *rig) {
		for round := range 20 {
			id := fmt.Sprint("msg_", round)
			r.record(id, "body")
			together(8, func(i int) {
				e := book.Event{ID: id, State: book.EventParked, Object: "payment:a"}
				if i%2 == 0 {
					e.State = book.EventApplied
				}
				if err := r.Settle(r.ctx(), e, book.Retention{}); err != nil {
					r.Error(err)
				}
			})
			parked := len(r.parked("payment:a"))
			same(r, "parked", parked == 1, r.event(id).State == book.EventParked)
			same(r, "all parked", r.allParked(100), r.parked("payment:a"))
			r.settleEvent(id, book.EventApplied, "payment:a")
			same(r, "parked", r.parked("payment:a"), []string{})
		}
	}},
}
