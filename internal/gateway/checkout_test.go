package gateway_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
)

// signed is a delivery as Dodo would make it, signed by hand (Standard Webhooks).
func signed(t *testing.T, id, body string) (http.Header, []byte) {
	t.Helper()
	return signedAt(t, id, body, time.Now())
}

func signedAt(t *testing.T, id, body string, now time.Time) (http.Header, []byte) {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	must(t, err)
	at := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + at + "." + body))
	return http.Header{
		"Webhook-Id":        {id},
		"Webhook-Timestamp": {at},
		"Webhook-Signature": {"v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))},
	}, []byte(body)
}

// TestCheckoutRefusals: a refused wish reaches neither Dodo nor the store.
func TestCheckoutRefusals(t *testing.T) {
	w := newWorld(t, openBolt(t), settings{})
	for name, c := range map[string]struct {
		who    gateway.Identity
		change func(*gateway.CheckoutRequest)
		want   error
	}{
		"anonymous":              {gateway.Identity{}, func(*gateway.CheckoutRequest) {}, gateway.ErrAnonymous},
		"an id too long":         {who(strings.Repeat("a", 257)), func(*gateway.CheckoutRequest) {}, gateway.ErrAccount},
		"an unknown product":     {who("alice"), func(r *gateway.CheckoutRequest) { r.Product = "nothing" }, gateway.ErrUnknownProduct},
		"a Dodo id":              {who("alice"), func(r *gateway.CheckoutRequest) { r.Product = "pdt_pack10" }, gateway.ErrUnknownProduct},
		"nothing named":          {who("alice"), func(r *gateway.CheckoutRequest) { r.Product = "" }, gateway.ErrChoice},
		"two named":              {who("alice"), func(r *gateway.CheckoutRequest) { r.Credits = 10 }, gateway.ErrChoice},
		"credits nobody sells":   {who("alice"), func(r *gateway.CheckoutRequest) { r.Product, r.Credits = "", 11 }, gateway.ErrUnknownProduct},
		"negative credits":       {who("alice"), func(r *gateway.CheckoutRequest) { r.Product, r.Credits = "", -10 }, gateway.ErrUnknownProduct},
		"a plan nobody sells":    {who("alice"), func(r *gateway.CheckoutRequest) { r.Product, r.Plan = "", "gold" }, gateway.ErrUnknownProduct},
		"quantity 0":             {who("alice"), func(r *gateway.CheckoutRequest) { r.Quantity = 0 }, gateway.ErrQuantity},
		"a negative quantity":    {who("alice"), func(r *gateway.CheckoutRequest) { r.Quantity = -1 }, gateway.ErrQuantity},
		"a huge quantity":        {who("alice"), func(r *gateway.CheckoutRequest) { r.Quantity = config.MaxQuantity + 1 }, gateway.ErrQuantity},
		"another site":           {who("alice"), func(r *gateway.CheckoutRequest) { r.ReturnTo = "https://evil.example/" }, config.ErrReturnTo},
		"a host that is not us":  {who("alice"), func(r *gateway.CheckoutRequest) { r.Host = "evil.example" }, gateway.ErrNoPublicURL},
		"a discount code no one": {who("alice"), func(r *gateway.CheckoutRequest) { r.DiscountCode = "a b" }, gateway.ErrDiscountCode},
	} {
		t.Run(name, func(t *testing.T) {
			req := wish("pack10")
			c.change(&req)
			if _, err := w.Checkout(t.Context(), c.who, req); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
	if n := w.sim.Calls("", ""); n != 0 {
		t.Errorf("Dodo was called %d times", n)
	}
	if pending, err := w.Pending(t.Context(), "alice"); err != nil || len(pending) != 0 {
		t.Errorf("stored: %+v, %v", pending, err)
	}
}

func TestCheckoutByWhatIsWanted(t *testing.T) {
	w := newWorld(t, openBolt(t), settings{})
	for product, change := range map[string]func(*gateway.CheckoutRequest){
		"pack9": func(r *gateway.CheckoutRequest) { r.Product, r.Credits = "", 9 },
		"pro30": func(r *gateway.CheckoutRequest) { r.Product, r.Plan = "", "pro" },
	} {
		req := wish("")
		change(&req)
		order, err := w.Checkout(t.Context(), who("alice"), req)
		if err != nil || order.Product != product {
			t.Errorf("%s: %+v, %v", product, order, err)
		}
	}
}

func TestIdempotencyKey(t *testing.T) {
	each(t, settings{}, func(t *testing.T, w *world) {
		req := wish("pack10")
		req.IdempotencyKey = "once"
		first, err := w.Checkout(t.Context(), who("alice"), req)
		must(t, err)
		again, err := w.Checkout(t.Context(), who("alice"), req)
		if err != nil || again.ID != first.ID || again.CheckoutURL != first.CheckoutURL {
			t.Errorf("the repeat gave %+v, %v", again, err)
		}
		if n := w.sim.Calls("POST", "/checkouts"); n != 1 {
			t.Errorf("Dodo was called %d times", n)
		}
		for what, change := range map[string]func(*gateway.CheckoutRequest){
			"product":       func(r *gateway.CheckoutRequest) { r.Product = "pack9" },
			"quantity":      func(r *gateway.CheckoutRequest) { r.Quantity = 2 },
			"landing place": func(r *gateway.CheckoutRequest) { r.ReturnTo = "http://localhost:8080/there" },
			"discount code": func(r *gateway.CheckoutRequest) { r.DiscountCode = "ALLFREE" },
		} {
			other := req
			change(&other)
			if _, err := w.Checkout(t.Context(), who("alice"), other); !errors.Is(err, gateway.ErrKeyMismatch) {
				t.Errorf("another %s under the key: %v", what, err)
			}
		}
		if bobs, err := w.Checkout(t.Context(), who("bob"), req); err != nil || bobs.ID == first.ID {
			t.Errorf("somebody else's key: %+v, %v", bobs, err)
		}
	})
}

// TestIdempotencyKeyInParallel: of many at once, one makes the order.
func TestIdempotencyKeyInParallel(t *testing.T) {
	each(t, settings{}, func(t *testing.T, w *world) {
		req := wish("pack10")
		req.IdempotencyKey = "once"
		var (
			callers sync.WaitGroup
			mu      sync.Mutex
			ids     = make(map[string]bool)
		)
		for range 20 {
			callers.Go(func() {
				order, err := w.Checkout(t.Context(), who("alice"), req)
				if err != nil && !errors.Is(err, gateway.ErrKeyRunning) {
					t.Error(err)
				}
				if err == nil {
					mu.Lock()
					defer mu.Unlock()
					ids[order.ID] = true
				}
			})
		}
		callers.Wait()
		if len(ids) != 1 || w.sim.Calls("POST", "/checkouts") != 1 {
			t.Errorf("%d orders, %d sessions", len(ids), w.sim.Calls("POST", "/checkouts"))
		}
	})
}

// TestDodoDown: a checkout that Dodo did not make leaves nothing behind, not
// even a used key.
func TestDodoDown(t *testing.T) {
	each(t, settings{}, func(t *testing.T, w *world) {
		req := wish("pack10")
		req.IdempotencyKey = "once"
		w.sim.SetFault(dodosim.Fault{Status: http.StatusUnprocessableEntity, Body: "<html>", Header: http.Header{"Content-Type": {"text/html"}}}, 1)
		if _, err := w.Checkout(t.Context(), who("alice"), req); err == nil {
			t.Fatal("a refusal went unnoticed")
		}
		if pending, err := w.Pending(t.Context(), "alice"); err != nil || len(pending) != 0 {
			t.Errorf("left behind: %+v, %v", pending, err)
		}
		if _, err := w.Checkout(t.Context(), who("alice"), req); err != nil {
			t.Errorf("the key is used up: %v", err)
		}
	})
}

func TestDiscountCodes(t *testing.T) {
	w := newWorld(t, openBolt(t), settings{})
	req := wish("pack10")
	req.DiscountCode = "NO_SUCH_CODE"
	if _, err := w.Checkout(t.Context(), who("alice"), req); !errors.Is(err, gateway.ErrDiscountCode) {
		t.Errorf("an unknown code: %v", err)
	}
	req.DiscountCode = "ALLFREE"
	order, err := w.Checkout(t.Context(), who("alice"), req)
	must(t, err)
	_, err = w.sim.Pay(order.SessionID, goodCard)
	must(t, err)
	w.flush()
	w.has("alice", 10, true)
}

func TestTooManyOpenOrders(t *testing.T) {
	w := newWorld(t, openBolt(t), settings{})
	for range book.MaxOpenOrders {
		w.order("alice", "pack10")
	}
	if _, err := w.Checkout(t.Context(), who("alice"), wish("pack10")); !errors.Is(err, store.ErrTooManyOrders) {
		t.Errorf("one order more: %v", err)
	}
	w.order("bob", "pack10")
}

// TestCustomerOfAnotherAccount: the e-mail typed at a checkout binds nobody; the
// one that the login vouches for does.
func TestCustomerOfAnotherAccount(t *testing.T) {
	each(t, settings{}, func(t *testing.T, w *world) {
		const email = "alice@example.com"
		link := func() { // a payment link of the merchant's, without metadata
			session, err := w.Provider.CreateCheckout(t.Context(), &dodo.Checkout{
				ProductID: "pdt_pack10", Quantity: 1, ReturnURL: "http://localhost:8080/", Customer: dodo.Customer{Email: email},
			})
			must(t, err)
			_, err = w.sim.Pay(session.ID, goodCard)
			must(t, err)
			w.flush()
		}
		buy := func(id gateway.Identity) {
			order, err := w.Checkout(t.Context(), id, wish("pack10"))
			must(t, err)
			_, err = w.sim.Pay(order.SessionID, goodCard)
			must(t, err)
			w.flush()
		}
		buy(gateway.Identity{Account: "mallory", Email: email})
		link()
		w.has("mallory", 10, true)
		buy(gateway.Identity{Account: "alice", Email: email, EmailVerified: true})
		link()
		w.has("alice", 20, true)
		w.has("mallory", 10, true)
	})
}

// TestRefundWaitsForItsPayment: a refund names a customer, and that customer may
// have bought under another login; only the payment itself says whose it is.
func TestRefundWaitsForItsPayment(t *testing.T) {
	each(t, settings{hold: true}, func(t *testing.T, w *world) {
		const email = "shared@example.com"
		pay := func(id gateway.Identity) string {
			order, err := w.Checkout(t.Context(), id, wish("pack10"))
			must(t, err)
			attempt, err := w.sim.Pay(order.SessionID, goodCard)
			must(t, err)
			return attempt.PaymentID
		}
		pay(gateway.Identity{Account: "alice", Email: email, EmailVerified: true})
		w.deliver(w.event("payment.succeeded"))
		_, err := w.sim.Refund(pay(gateway.Identity{Account: "bob", Email: email}), 100)
		must(t, err)
		w.deliver(w.event("refund.succeeded"))
		w.deliver(w.event("payment.succeeded"))
		w.has("alice", 10, true)
		w.has("bob", 8, true)
	})
}

// TestAnotherAddressAtTheCheckout: the login vouches for its own address, not for
// the one that was typed at the checkout, whose customer stays nobody's.
func TestAnotherAddressAtTheCheckout(t *testing.T) {
	s := tell(t, "bolt", "")
	order, err := s.Checkout(t.Context(), gateway.Identity{Account: "alice", Email: "alice@example.com", EmailVerified: true}, wish("pack10"))
	must(t, err)
	typed := map[string]any{"customer_id": "cus_1", "email": "bob@example.com"}
	s.send("payment.succeeded", s.payment("pdt_pack10", "customer", typed, "metadata", s.proof(order.ID, "alice", "pack10")))
	s.sees("10 none none true")
	s.wants(s.send("payment.succeeded", s.payment("pdt_pack10", "payment_id", "pay_2", "customer", typed, "metadata", nil)), gateway.Parked)
	s.sees("10 none none true")
}
