package dodosim_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// challenged is a session that has been tried with a card that the bank wants to have
// confirmed, and the id of the payment that waits.
func (s *shop) challenged(request, card string) (session, payment string) {
	s.t.Helper()
	session = s.checkout(request)
	form := ada("card", card)
	form.Set("challenge", "yes")
	if answer := s.page("POST", session, form); answer.Code != http.StatusSeeOther || answer.Header().Get("Location") != session {
		s.t.Fatal(answer.Code, answer.Header())
	}
	status := s.ask("GET", "/checkouts/"+session, "")
	if status["payment_status"] != "requires_customer_action" {
		s.t.Fatal("session", status)
	}
	return session, status["payment_id"].(string)
}

func TestChallenge(t *testing.T) {
	for name, test := range map[string]struct {
		card, answer, status, code, news string
	}{
		"confirmed":              {dodosim.CardVisa, "confirm", "succeeded", "", "payment.succeeded"},
		"refused":                {dodosim.CardVisa, "refuse", "failed", "AUTHENTICATION_FAILURE", "payment.failed"},
		"confirmed and declined": {dodosim.CardInsufficientFunds, "confirm", "failed", "INSUFFICIENT_FUNDS", "payment.failed"},
	} {
		t.Run(name, func(t *testing.T) {
			shop := open(t, nil)
			session, id := shop.challenged(with(bothURLs), test.card)
			waiting := shop.payment(id)
			if waiting["status"] != "requires_customer_action" || waiting["error_code"] != nil || waiting["invoice_id"] != nil || shop.news() != "" {
				t.Error("while the bank waits:", waiting)
			}
			page := shop.page("GET", session, nil).Body.String()
			if !strings.Contains(page, "Confirm your payment") || !strings.Contains(page, "ending in "+test.card[12:]) || backLink(page) != "" {
				t.Error(page)
			}
			// A form from before the challenge pays nothing.
			if answer := shop.page("POST", session, ada("card", dodosim.CardVisa)); answer.Header().Get("Location") != session || shop.news() != "" {
				t.Error(answer.Code, answer.Header())
			}
			answer := shop.page("POST", session, url.Values{"action": {test.answer}})
			if got := answer.Header().Get("Location"); got != session && !strings.Contains(got, "payment_id="+id+"&status=succeeded") {
				t.Error("went to", got)
			}
			ended := shop.payment(id)
			if ended["status"] != test.status || valueOrEmpty(ended["error_code"]) != test.code || ended["checkout_session_id"] != session || ended["product_cart"] == nil {
				t.Error(ended)
			}
			if got := shop.news(); got != test.news {
				t.Error("events", got)
			}
			if again := shop.page("POST", session, url.Values{"action": {"confirm"}}); again.Code < 400 || shop.news() != "" {
				t.Error("confirmed twice:", again.Code)
			}
			if got := len(shop.items("/payments", "payment_id")); got != 1 {
				t.Error(got, "payments")
			}
			if test.status == "failed" { // the session goes on, with another payment
				if next := shop.pay(session); next.PaymentID == id {
					t.Error("the declined payment was used again")
				}
			}
			shop.flush()
		})
	}
}

// A bank that is answered too late is not answered.
func TestChallengeExpires(t *testing.T) {
	shop := open(t, nil)
	session, id := shop.challenged(with(bothURLs), dodosim.CardVisa)
	shop.sim.Advance(24 * time.Hour)
	if page := shop.page("GET", session, nil); page.Code != http.StatusGone || backLink(page.Body.String()) == "" {
		t.Error(page.Code, page.Body)
	}
	for _, answer := range []string{"confirm", "refuse"} {
		if page := shop.page("POST", session, url.Values{"action": {answer}}); page.Code != http.StatusGone {
			t.Error(answer, page.Code)
		}
	}
	if got := shop.payment(id)["status"]; got != "cancelled" || shop.news() != "payment.cancelled" {
		t.Error(got)
	}
}

// The merchant can insist on a challenge, and a subscription begins when it is over.
func TestForced3DS(t *testing.T) {
	shop := magazine(t, nil)
	request := strings.TrimSuffix(cartOf("pdt_pro"), "}") + `,"force_3ds":true}`
	session := shop.checkout(request)
	if page := shop.page("GET", session, nil).Body.String(); strings.Contains(page, `name="challenge"`) {
		t.Error("there is a choice")
	}
	shop.page("POST", session, ada("card", dodosim.CardVisa))
	if got := len(shop.items("/subscriptions", "subscription_id")); got != 0 || shop.news() != "" {
		t.Error(got, "subscriptions before the bank has an answer")
	}
	answer := shop.page("POST", session, url.Values{"action": {"confirm"}})
	if got := answer.Header().Get("Location"); !strings.Contains(got, "subscription_id=sub_") || !strings.Contains(got, "status=active") {
		t.Error("went to", got)
	}
	if got, wanted := shop.news(), "subscription.active payment.succeeded subscription.renewed subscription.updated"; got != wanted {
		t.Errorf("events %s", got)
	}
	shop.pay(shop.checkout(request)) // the back door confirms
}

// The challenge of a new card is one of the payment that the merchant knows.
func TestChallengeOfANewCard(t *testing.T) {
	shop := magazine(t, nil)
	id := shop.onHold()
	made := shop.ask("POST", "/subscriptions/"+id+"/update-payment-method", `{"type":"new"}`)["payment_id"].(string)
	page := shop.page("GET", made, nil).Body.String()
	if !strings.Contains(page, "Payment method") || !strings.Contains(page, "Pay USD 20.00") {
		t.Error(page)
	}
	form := ada("card", dodosim.CardVisa)
	form.Set("challenge", "yes")
	shop.page("POST", made, form)
	if got := shop.payment(made); got["status"] != "requires_customer_action" || got["is_update_payment_method"] != true {
		t.Error(got)
	}
	shop.page("POST", made, url.Values{"action": {"confirm"}})
	if got := shop.payment(made); got["status"] != "succeeded" || got["subscription_id"] != id || got["checkout_session_id"] != nil {
		t.Error(got)
	}
	if got := shop.subscription(id).Status; got != "active" {
		t.Error(got)
	}
}

// valueOrEmpty is a field that may be null.
func valueOrEmpty(value any) string {
	s, _ := value.(string)
	return s
}
