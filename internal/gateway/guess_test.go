package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

// guesses is a store that counts the guesses that were done, or lets none be made.
type guesses struct {
	store.Store
	none bool
	done int
}

func (s *guesses) Receive(ctx context.Context, e store.Event, b store.Binding) (store.Event, store.Bound, error) {
	if s.none {
		b.Guess = nil
	}
	e, bound, err := s.Store.Receive(ctx, e, b)
	if bound.Committed != nil {
		s.done++
	}
	return e, bound, err
}

const orderID = "ord_BBBBBBBBBBBBBBBBBBBBBB"

var guessProducts = append([]config.Product{
	{Name: "day", ID: "pdt_day", Credits: 5, CreditsExpire: config.Duration(day)},
}, storyProducts...)

// promises makes alice's order, which promised so many credits for pack10.
func (s *story) promises(credits int64, changes ...func(*store.Order)) {
	s.t.Helper()
	s.ordered(map[string]entitlement.Terms{"pdt_pack10": {Credits: credits}}, changes...)
}

func (s *story) ordered(terms map[string]entitlement.Terms, changes ...func(*store.Order)) {
	s.t.Helper()
	o := store.Order{
		ID: orderID, Account: "alice", Product: "pack10", Quantity: 1, Terms: terms, Email: "alice@example.com",
		ReturnTo: "http://localhost:8080/", CreatedAt: s.now(), ExpiresAt: s.now().Add(day),
	}
	for _, change := range changes {
		change(&o)
	}
	_, _, err := s.store.CreateOrder(s.t.Context(), o, store.Key{})
	must(s.t, err)
	o.SessionID, o.CheckoutURL = "cks_1", "https://checkout.test/cks_1"
	must(s.t, s.store.OpenOrder(s.t.Context(), o, store.Key{}))
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

// guessStories are what happened around the payment of an order.
var guessStories = map[string]struct {
	guessed bool // by both stores
	tell    func(*story)
}{
	"a pack": {true, func(s *story) {
		s.promises(10)
		s.pays("pdt_pack10")
		s.sees("10 none none true")
	}},
	"three pieces": {true, func(s *story) {
		s.promises(10)
		s.pays("pdt_pack10", "product_cart", []any{map[string]any{"product_id": "pdt_pack10", "quantity": 3}})
		s.sees("30 none none true")
	}},
	"a plan with credits": {true, func(s *story) {
		s.ordered(map[string]entitlement.Terms{"pdt_both": {Credits: 9, Plan: "pro", Lasts: 30 * day}})
		s.pays("pdt_both")
		s.sees("9 pro active true")
	}},
	"for nothing": {true, func(s *story) {
		s.promises(10)
		s.pays("pdt_pack10", "total_amount", 0)
		s.sees("10 none none true")
	}},
	"in another currency, at another price": {true, func(s *story) {
		s.promises(10)
		s.pays("pdt_pack10", "total_amount", 12345, "currency", "JPY")
		s.sees("10 none none true")
	}},
	"to the nanosecond, in another zone": {true, func(s *story) {
		s.promises(10)
		s.pays("pdt_pack10", "created_at", s.now().Add(-time.Hour+1234567).In(time.FixedZone("", 5400)))
		s.sees("10 none none true")
	}},
	"by an event of another type": {true, func(s *story) {
		s.promises(10)
		s.send("payment.processing", s.bought("pdt_pack10"))
		s.sees("10 none none true")
	}},
	"refunded in part by then": {true, func(s *story) {
		s.promises(10)
		s.pays("pdt_pack10", "refunds", []any{refundOf("pay_1", "amount", 300, "is_partial", true)})
		s.sees("6 none none true")
	}},
	"refunded in full by then": {false, func(s *story) {
		s.promises(10)
		s.pays("pdt_pack10", "refund_status", "full")
		s.sees("0 none none false")
	}},
	"behind its refund": {true, func(s *story) {
		s.promises(10)
		s.send("refund.succeeded", refundOf("pay_1", "amount", 300, "is_partial", true))
		s.pays("pdt_pack10")
		s.sees("6 none none true")
	}},
	"behind its dispute": {true, func(s *story) {
		s.promises(10)
		s.send("dispute.opened", disputeOf("pay_1", "opened"))
		s.pays("pdt_pack10")
		s.sees("0 none none false")
	}},
	"behind what its event was parked for": {false, func(s *story) {
		s.promises(10)
		s.deliverAs("msg_1", "refund.succeeded", refundOf("pay_1", "amount", 300, "is_partial", true))
		s.deliverAs("msg_1", "payment.succeeded", s.bought("pdt_pack10"))
		s.sees("10 none none true")
	}},
	"behind its failure": {false, func(s *story) {
		s.promises(10)
		s.send("payment.failed", s.bought("pdt_pack10", "status", "failed"))
		s.pays("pdt_pack10")
		s.sees("10 none none true")
	}},
	"before its failure": {true, func(s *story) {
		s.promises(10)
		s.pays("pdt_pack10")
		s.send("payment.failed", s.bought("pdt_pack10", "status", "failed"))
		s.sees("10 none none true")
	}},
	"behind the failure of another": {false, func(s *story) {
		s.promises(10)
		s.send("payment.failed", s.bought("pdt_pack10", "status", "failed", "payment_id", "pay_0"))
		s.pays("pdt_pack10")
		s.sees("10 none none true")
	}},
	"twice": {true, func(s *story) {
		s.promises(10)
		s.pays("pdt_pack10")
		s.pays("pdt_pack10", "payment_id", "pay_2")
		s.sees("20 none none true")
	}},
	"promised less": {false, func(s *story) {
		s.promises(7)
		s.pays("pdt_pack10")
		s.sees("7 none none true")
	}},
	"promised something else": {false, func(s *story) {
		s.promises(10)
		s.pays("pdt_pack9")
		s.sees("9 none none true")
	}},
	"of two products": {false, func(s *story) {
		s.promises(10)
		s.pays("pdt_pack10", "product_cart", []any{
			map[string]any{"product_id": "pdt_pack10", "quantity": 1}, map[string]any{"product_id": "pdt_pack9", "quantity": 1},
		})
		s.sees("19 none none true")
	}},
	"without an order": {false, func(s *story) {
		s.pays("pdt_pack10")
		s.sees("10 none none true")
	}},
	"of somebody else's order": {false, func(s *story) {
		s.promises(7, func(o *store.Order) { o.Account = "bob" })
		s.pays("pdt_pack10")
		s.sees("10 none none true")
	}},
	"of an order that expired": {true, func(s *story) {
		s.promises(10)
		s.set(s.now().Add(20 * day))
		s.pays("pdt_pack10")
		s.sees("10 none none true")
	}},
	"of an order that was dropped": {false, func(s *story) {
		o := store.Order{ID: orderID, Account: "alice", Terms: map[string]entitlement.Terms{"pdt_pack10": {Credits: 10}}, ExpiresAt: s.now()}
		_, _, err := s.store.CreateOrder(s.t.Context(), o, store.Key{})
		must(s.t, err)
		must(s.t, s.store.DropOrder(s.t.Context(), o, store.Key{}))
		s.pays("pdt_pack10")
		s.sees("10 none none true")
	}},
	"that is bound to somebody else": {false, func(s *story) {
		s.promises(10)
		_, err := s.store.Claim(s.t.Context(), entitlement.Ref{Kind: entitlement.KindPayment, ID: "pay_1"}, "bob")
		must(s.t, err)
		s.pays("pdt_pack10")
		s.sees("0 none none false")
	}},
	"of credits that have expired": {false, func(s *story) {
		s.ordered(map[string]entitlement.Terms{"pdt_day": {Credits: 5, CreditsExpire: day}})
		s.pays("pdt_day", "created_at", s.now().Add(-day))
		s.sees("0 none none true")
	}},
	"of credits that expire": {true, func(s *story) {
		s.ordered(map[string]entitlement.Terms{"pdt_day": {Credits: 5, CreditsExpire: day}})
		s.pays("pdt_day", "created_at", s.now().Add(-day+time.Second))
		s.sees("5 none none true")
		s.set(s.now().Add(time.Second))
		s.sees("0 none none true")
	}},
	"by who owes": {false, func(s *story) {
		s.send("payment.succeeded", s.payment("pdt_pack10", "payment_id", "pay_0"))
		s.spend("spent", 8)
		s.send("refund.succeeded", refundOf("pay_0"))
		s.owes(8)
		s.promises(10)
		s.pays("pdt_pack10")
		s.sees("2 none none true")
	}},
	"by who holds what has run out": {false, func(s *story) {
		s.send("payment.succeeded", s.payment("pdt_pack10", "payment_id", "pay_0"))
		_, err := s.store.Hold(s.t.Context(), store.Hold{Account: "alice", ID: "h", By: "a test", Amount: 4, TTL: time.Minute})
		must(s.t, err)
		s.set(s.now().Add(time.Hour))
		s.promises(10)
		s.pays("pdt_pack10")
		s.sees("20 none none true")
	}},
	"of a subscription": {false, func(s *story) {
		s.ordered(map[string]entitlement.Terms{"pdt_monthly": {Credits: 500, Plan: "pro"}})
		proof := s.proof(orderID, "alice", "monthly")
		s.pays("", "product_cart", nil, "subscription_id", "sub_1", "metadata", proof)
		s.send("subscription.active", s.subscription("metadata", proof))
		s.sees("500 pro active true")
	}},
}

// TestGuesses: whatever happened, the end is the same whether it was guessed or not, and
// so it is after whatever happens next.
func TestGuesses(t *testing.T) {
	for name, c := range guessStories {
		for _, backend := range []string{"bolt", "redis"} {
			t.Run(name+"/"+backend, func(t *testing.T) {
				var left [2][]string
				for i := range left {
					s := tellOf(t, backend, settings{products: guessProducts, events: config.KeepEvents{Redact: true}})
					counted := &guesses{Store: s.store, none: i == 1}
					s.store = counted
					s.Gateway = s.newGateway(settings{products: guessProducts, clock: s.Clock, events: s.KeepEvents})
					c.tell(s)
					left[i] = append(left[i], s.everything())
					if i == 0 && c.guessed != (counted.done > 0) && (c.guessed || backend == "redis") {
						t.Errorf("guessed %d times", counted.done)
					}
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
				for i, guessed := range left[0] {
					if guessed != left[1][i] {
						t.Fatalf("step %d, guessed:\n%s\nnot guessed:\n%s", i, guessed, left[1][i])
					}
				}
			})
		}
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
	a.Rev, a.StandingsRev, a.Token = 0, 0, nil // they go by the time of day
	note("account", a, err)
	entries, err := s.store.Entries(ctx, "alice", 0, 1000)
	note("entries", entries, err)
	orders, err := s.store.Purchases(ctx, "alice")
	note("orders", orders, err)
	open, err := s.store.OpenOrders(ctx, "alice")
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
	events, _, err := s.store.ParkedEvents(ctx, "", 100)
	note("parked", len(events), err)
	h, err := s.History(ctx, "alice", 0, 100)
	note("history", h, err)
	return strings.Join(all, "\n")
}

// deaf is a store whose messages are never heard, and whose replies are lost.
type deaf struct {
	store.Store
	losesReceipt, losesCommit bool // and they are asked for again
	failsReceipt, failsCommit bool // and they are not
	failsClaim                bool
}

func (s *deaf) Watch(w store.Watcher) (stop func()) {
	w.Live()
	return func() {}
}

func (s *deaf) Receive(ctx context.Context, e store.Event, b store.Binding) (store.Event, store.Bound, error) {
	if s.losesReceipt {
		s.losesReceipt = false
		if _, _, err := s.Store.Receive(ctx, e, b); err != nil {
			return e, store.Bound{}, err
		}
	}
	e, bound, err := s.Store.Receive(ctx, e, b)
	if s.failsReceipt {
		return e, store.Bound{}, store.ErrUnavailable
	}
	return e, bound, err
}

func (s *deaf) Commit(ctx context.Context, c store.Commit) (store.Committed, error) {
	if s.losesCommit {
		s.losesCommit = false
		if done, err := s.Store.Commit(ctx, c); err != nil {
			return done, err
		}
	}
	done, err := s.Store.Commit(ctx, c)
	if s.failsCommit {
		return store.Committed{}, store.ErrUnavailable
	}
	return done, err
}

func (s *deaf) Claim(ctx context.Context, ref entitlement.Ref, account string) (string, error) {
	if s.failsClaim && ref.Kind == entitlement.KindCustomer {
		return "", store.ErrUnavailable
	}
	return s.Store.Claim(ctx, ref, account)
}

// TestCommittedIsSeen: what this gateway committed is in every view from then on, before
// any message of it comes, and whatever else went wrong.
func TestCommittedIsSeen(t *testing.T) {
	for name, c := range map[string]struct {
		store    deaf
		promised int64 // 10 are guessed
	}{
		"guessed":                        {deaf{}, 10},
		"not guessed":                    {deaf{}, 9},
		"guessed, the reply is lost":     {deaf{losesReceipt: true}, 10},
		"not guessed, the reply is lost": {deaf{losesCommit: true}, 9},
		"guessed, no reply comes":        {deaf{failsReceipt: true}, 10},
		"not guessed, no reply comes":    {deaf{failsCommit: true}, 9},
		"guessed, and then it fails":     {deaf{failsClaim: true}, 10},
	} {
		for _, backend := range []string{"bolt", "redis"} {
			t.Run(name+"/"+backend, func(t *testing.T) {
				s := tell(t, backend, "")
				as := c.store
				as.Store, s.store = s.store, &as
				s.Gateway = s.newGateway(settings{products: storyProducts, clock: s.Clock})
				s.promises(c.promised)
				s.sees("0 none none false")
				body, err := json.Marshal(map[string]any{"type": "payment.succeeded", "timestamp": s.now(), "data": s.bought("pdt_pack10")})
				must(t, err)
				header, raw := signedAt(t, "msg_1", string(body), s.now())
				if _, err := s.HandleEvent(t.Context(), header, raw); (err != nil) != (as.failsClaim || as.failsReceipt || as.failsCommit) {
					t.Fatal(err)
				}
				s.sees(fmt.Sprint(c.promised, " none none true"))
			})
		}
	}
}
