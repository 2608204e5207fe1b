package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

const orderID = "ord_BBBBBBBBBBBBBBBBBBBBBB"

var orderProducts = append([]config.Product{
	{Name: "day", ID: "pdt_day", Credits: 5, CreditsExpire: config.Duration(day)},
}, storyProducts...)

// promises makes alice's order, which promised so many credits for pack10.
func (s *story) promises(credits int64, changes ...func(*book.Order)) {
	s.t.Helper()
	s.ordered(map[string]entitlement.Terms{"pdt_pack10": {Credits: credits}}, changes...)
}

func (s *story) ordered(terms map[string]entitlement.Terms, changes ...func(*book.Order)) {
	s.t.Helper()
	o := book.Order{
		ID: orderID, Account: "alice", Product: "pack10", Quantity: 1, Terms: terms, Email: "alice@example.com",
		ReturnTo: "http://localhost:8080/", CreatedAt: s.now(), ExpiresAt: s.now().Add(day),
	}
	for _, change := range changes {
		change(&o)
	}
	_, _, err := s.store.CreateOrder(s.t.Context(), o, book.Key{})
	must(s.t, err)
	o.SessionID, o.CheckoutURL = "cks_1", "https://checkout.test/cks_1"
	must(s.t, s.store.OpenOrder(s.t.Context(), o, book.Key{}))
}

// bought is the payment of alice's order over 9.00 USD.
func (s *story) bought(product string, changes ...any) map[string]any {
	return s.payment(product, append([]any{
		"metadata", s.proof(orderID, "alice", product), "checkout_session_id", "cks_1",
		"customer", map[string]any{"customer_id": "cus_1", "email": "alice@example.com"},
	}, changes...)...)
}

func (s *story) pays(product string, changes ...any) {
	s.t.Helper()
	s.send("payment.succeeded", s.bought(product, changes...))
}

// orderStories are what happened around the payment of an order.
var orderStories = map[string]func(*story){
	"a pack": func(s *story) {
		s.promises(10)
		s.pays("pdt_pack10")
		s.sees("10 none none true")
	},
	"three pieces": func(s *story) {
		s.promises(10)
		s.pays("pdt_pack10", "product_cart", []any{map[string]any{"product_id": "pdt_pack10", "quantity": 3}})
		s.sees("30 none none true")
	},
	"a plan with credits": func(s *story) {
		s.ordered(map[string]entitlement.Terms{"pdt_both": {Credits: 9, Plan: "pro", Lasts: 30 * day}})
		s.pays("pdt_both")
		s.sees("9 pro active true")
	},
	"for nothing": func(s *story) {
		s.promises(10)
		s.pays("pdt_pack10", "total_amount", 0)
		s.sees("10 none none true")
	},
	"in another currency, at another price": func(s *story) {
		s.promises(10)
		s.pays("pdt_pack10", "total_amount", 12345, "currency", "JPY")
		s.sees("10 none none true")
	},
	"to the nanosecond, in another zone": func(s *story) {
		s.promises(10)
		s.pays("pdt_pack10", "created_at", s.now().Add(-time.Hour+1234567).In(time.FixedZone("", 5400)))
		s.sees("10 none none true")
	},
	"by an event of another type": func(s *story) {
		s.promises(10)
		s.send("payment.processing", s.bought("pdt_pack10"))
		s.sees("10 none none true")
	},
	"refunded in part by then": func(s *story) {
		s.promises(10)
		s.pays("pdt_pack10", "refunds", []any{refundOf("pay_1", "amount", 300, "is_partial", true)})
		s.sees("6 none none true")
	},
	"refunded in full by then": func(s *story) {
		s.promises(10)
		s.pays("pdt_pack10", "refund_status", "full")
		s.sees("0 none none false")
	},
	"behind its refund": func(s *story) {
		s.promises(10)
		s.send("refund.succeeded", refundOf("pay_1", "amount", 300, "is_partial", true))
		s.pays("pdt_pack10")
		s.sees("6 none none true")
	},
	"behind its dispute": func(s *story) {
		s.promises(10)
		s.send("dispute.opened", disputeOf("pay_1", "opened"))
		s.pays("pdt_pack10")
		s.sees("0 none none false")
	},
	"behind what its event was parked for": func(s *story) {
		s.promises(10)
		s.deliverAs("msg_1", "refund.succeeded", refundOf("pay_1", "amount", 300, "is_partial", true))
		s.deliverAs("msg_1", "payment.succeeded", s.bought("pdt_pack10"))
		s.sees("10 none none true")
	},
	"behind its failure": func(s *story) {
		s.promises(10)
		s.send("payment.failed", s.bought("pdt_pack10", "status", "failed"))
		s.pays("pdt_pack10")
		s.sees("10 none none true")
	},
	"before its failure": func(s *story) {
		s.promises(10)
		s.pays("pdt_pack10")
		s.send("payment.failed", s.bought("pdt_pack10", "status", "failed"))
		s.sees("10 none none true")
	},
	"behind the failure of another": func(s *story) {
		s.promises(10)
		s.send("payment.failed", s.bought("pdt_pack10", "status", "failed", "payment_id", "pay_0"))
		s.pays("pdt_pack10")
		s.sees("10 none none true")
	},
	"twice": func(s *story) {
		s.promises(10)
		s.pays("pdt_pack10")
		s.pays("pdt_pack10", "payment_id", "pay_2")
		s.sees("20 none none true")
	},
	"promised less": func(s *story) {
		s.promises(7)
		s.pays("pdt_pack10")
		s.sees("7 none none true")
	},
	"promised something else": func(s *story) {
		s.promises(10)
		s.pays("pdt_pack9")
		s.sees("9 none none true")
	},
	"of two products": func(s *story) {
		s.promises(10)
		s.pays("pdt_pack10", "product_cart", []any{
			map[string]any{"product_id": "pdt_pack10", "quantity": 1}, map[string]any{"product_id": "pdt_pack9", "quantity": 1},
		})
		s.sees("19 none none true")
	},
	"without an order": func(s *story) {
		s.pays("pdt_pack10")
		s.sees("10 none none true")
	},
	"of somebody else's order": func(s *story) {
		s.promises(7, func(o *book.Order) { o.Account = "bob" })
		s.pays("pdt_pack10")
		s.sees("10 none none true")
	},
	"of an order that expired": func(s *story) {
		s.promises(10)
		s.set(s.now().Add(20 * day))
		s.pays("pdt_pack10")
		s.sees("10 none none true")
	},
	"of an order that was dropped": func(s *story) {
		o := book.Order{ID: orderID, Account: "alice", Terms: map[string]entitlement.Terms{"pdt_pack10": {Credits: 10}}, ExpiresAt: s.now()}
		_, _, err := s.store.CreateOrder(s.t.Context(), o, book.Key{})
		must(s.t, err)
		must(s.t, s.store.DropOrder(s.t.Context(), o, book.Key{}))
		s.pays("pdt_pack10")
		s.sees("10 none none true")
	},
	"that is bound to somebody else": func(s *story) {
		s.promises(10)
		_, err := s.store.Claim(s.t.Context(), entitlement.Ref{Kind: entitlement.KindPayment, ID: "pay_1"}, "bob")
		must(s.t, err)
		s.pays("pdt_pack10")
		s.sees("0 none none false")
	},
	"of credits that have expired": func(s *story) {
		s.ordered(map[string]entitlement.Terms{"pdt_day": {Credits: 5, CreditsExpire: day}})
		s.pays("pdt_day", "created_at", s.now().Add(-day))
		s.sees("0 none none true")
	},
	"of credits that expire": func(s *story) {
		s.ordered(map[string]entitlement.Terms{"pdt_day": {Credits: 5, CreditsExpire: day}})
		s.pays("pdt_day", "created_at", s.now().Add(-day+time.Second))
		s.sees("5 none none true")
		s.set(s.now().Add(time.Second))
		s.sees("0 none none true")
	},
	"by who owes": func(s *story) {
		s.send("payment.succeeded", s.payment("pdt_pack10", "payment_id", "pay_0"))
		s.spend("spent", 8)
		s.send("refund.succeeded", refundOf("pay_0"))
		s.owes(8)
		s.promises(10)
		s.pays("pdt_pack10")
		s.sees("2 none none true")
	},
	"by who holds what has run out": func(s *story) {
		s.send("payment.succeeded", s.payment("pdt_pack10", "payment_id", "pay_0"))
		_, err := s.store.Hold(s.t.Context(), book.Hold{Account: "alice", ID: "h", By: "a test", Amount: 4, TTL: time.Minute})
		must(s.t, err)
		s.set(s.now().Add(time.Hour))
		s.promises(10)
		s.pays("pdt_pack10")
		s.sees("20 none none true")
	},
	"of a subscription": func(s *story) {
		s.ordered(map[string]entitlement.Terms{"pdt_monthly": {Credits: 500, Plan: "pro"}})
		proof := s.proof(orderID, "alice", "monthly")
		s.pays("", "product_cart", nil, "subscription_id", "sub_1", "metadata", proof)
		s.send("subscription.active", s.subscription("metadata", proof))
		s.sees("500 pro active true")
	},
}

// TestBothStores: whatever happened, the end is the same in both stores, and so it is after
// whatever happens next.
func TestBothStores(t *testing.T) {
	for name, tell := range orderStories {
		t.Run(name, func(t *testing.T) {
			var left [2][]string
			for i, backend := range []string{"bolt", "redis"} {
				s := tellOf(t, backend, settings{products: orderProducts, events: config.KeepEvents{Redact: true}})
				tell(s)
				left[i] = append(left[i], s.everything())
				for _, next := range []func(*story){
					func(s *story) { s.move(time.Minute); s.pays("pdt_pack10") },
					func(s *story) {
						s.send("refund.succeeded", refundOf("pay_1", "refund_id", "ref_2", "amount", 100, "is_partial", true))
					},
					func(s *story) { s.send("dispute.opened", disputeOf("pay_1", "opened")) },
					func(s *story) { s.send("dispute.won", disputeOf("pay_1", "won")) },
					func(s *story) { s.send("refund.succeeded", refundOf("pay_1", "refund_id", "ref_3")) },
				} {
					next(s)
					left[i] = append(left[i], s.everything())
				}
			}
			for i, bolt := range left[0] {
				if bolt != left[1][i] {
					t.Fatalf("step %d, in the file:\n%s\nin Redis:\n%s", i, bolt, left[1][i])
				}
			}
		})
	}
}

// everything is all that can be read of alice, her order, her payments and the events.
func (s *story) everything() string {
	s.t.Helper()
	ctx := s.t.Context()
	var all []string
	note := func(what string, value any, err error) {
		s.t.Helper()
		if err != nil {
			all = append(all, what+": "+err.Error())
			return
		}
		text, err := json.Marshal(value)
		must(s.t, err)
		all = append(all, what+": "+string(text))
	}
	a, err := s.store.Account(ctx, "alice")
	a.Rev, a.StandingsRev = 0, 0 // they go by the time of day
	note("account", a, err)
	entries, err := s.store.Entries(ctx, "alice", store.Page{After: 0, Limit: 1000})
	note("entries", entries, err)
	orders, err := s.store.Orders(ctx, "alice", store.Purchases)
	note("orders", orders, err)
	open, err := s.store.Orders(ctx, "alice", store.OpenOrders)
	note("open orders", open, err)
	for _, ref := range []entitlement.Ref{
		{Kind: entitlement.KindPayment, ID: "pay_0"}, {Kind: entitlement.KindPayment, ID: "pay_1"},
		{Kind: entitlement.KindPayment, ID: "pay_2"}, {Kind: entitlement.KindSubscription, ID: "sub_1"},
	} {
		object, err := s.store.Object(ctx, "alice", ref)
		note(fmt.Sprintf("%s, version %d", ref, object.Version), string(object.State), err)
	}
	for _, ref := range []entitlement.Ref{{Kind: entitlement.KindPayment, ID: "pay_1"}, {Kind: entitlement.KindCustomer, ID: "cus_1"}} {
		owner, err := s.store.Owner(ctx, ref)
		note("owner of "+ref.String(), owner, err)
	}
	for n := range s.n {
		for _, id := range []string{fmt.Sprintf("msg_%d", n+1), fmt.Sprintf("msg_%d_again", n+1)} {
			e, err := s.store.Event(ctx, id)
			note(id, e, err)
		}
	}
	events, _, err := s.store.Parked(ctx, "", "", 100)
	note("parked", len(events), err)
	h, err := s.History(ctx, "alice", 0, 100)
	note("history", h, err)
	return strings.Join(all, "\n")
}

// deaf is a store whose messages are never heard, and whose replies are lost.
type deaf struct {
	store.Store
	losesReceipt, losesCommit bool // and they are asked for again
	failsCommit               bool // and it is not
}

func (s *deaf) Watch(w store.Watcher) (stop func()) {
	w.Live()
	return func() {}
}

func (s *deaf) Receive(ctx context.Context, d store.Delivery, decide store.Decision) (store.Received, error) {
	if s.losesReceipt {
		s.losesReceipt = false
		if done, err := s.Store.Receive(ctx, d, decide); err != nil {
			return done, err
		}
	}
	done, err := s.Store.Receive(ctx, d, decide)
	if s.failsCommit {
		return store.Received{}, store.ErrUnavailable
	}
	return done, err
}

func (s *deaf) Update(ctx context.Context, account string, decide store.Decision) (store.Updated, error) {
	if kind, _ := kindOf(account, decide); kind != commits {
		return s.Store.Update(ctx, account, decide)
	}
	if s.losesCommit {
		s.losesCommit = false
		if done, err := s.Store.Update(ctx, account, decide); err != nil {
			return done, err
		}
	}
	done, err := s.Store.Update(ctx, account, decide)
	if s.failsCommit {
		return store.Updated{}, store.ErrUnavailable
	}
	return done, err
}

// TestCommittedIsSeen: what this gateway committed is in every view from then on, before
// any message of it comes, and whatever else went wrong.
func TestCommittedIsSeen(t *testing.T) {
	for name, c := range map[string]struct {
		store deaf
	}{
		"committed":         {deaf{}},
		"the reply is lost": {deaf{losesCommit: true}},
		"the receipt is":    {deaf{losesReceipt: true}},
		"no reply comes":    {deaf{failsCommit: true}},
	} {
		for _, backend := range []string{"bolt", "redis"} {
			t.Run(name+"/"+backend, func(t *testing.T) {
				s := tell(t, backend, "")
				as := c.store
				as.Store, s.store = s.store, store.Client{Store: &as}
				s.gate = s.newGateway(settings{products: storyProducts, clock: s.Clock})
				s.promises(9)
				s.sees("0 none none false")
				body, err := json.Marshal(map[string]any{"type": "payment.succeeded", "timestamp": s.now(), "data": s.bought("pdt_pack10")})
				must(t, err)
				header, raw := signedAt(t, "msg_1", string(body), s.now())
				if _, err := s.HandleEvent(t.Context(), header, raw); (err != nil) != as.failsCommit {
					t.Fatal(err)
				}
				s.sees("9 none none true")
			})
		}
	}
}
