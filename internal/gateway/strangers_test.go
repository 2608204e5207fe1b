package gateway_test

import (
	"fmt"
	"testing"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/gateway"
)

// TestStrangersFailedPayments: a payment that failed, and that nothing leads to an account, does not
// wait for ever. One that succeeds does.
func TestStrangersFailedPayments(t *testing.T) {
	for _, backend := range []string{"bolt", "redis"} {
		t.Run(backend, func(t *testing.T) {
			s := tell(t, backend, "")
			stranger := func(id, status string) map[string]any {
				return s.payment("pdt_pack10", "payment_id", id, "status", status, "metadata", map[string]string{}, "customer", map[string]any{"customer_id": "cus_stranger", "email": "who@example.com", "name": "Who"}, "checkout_session_id", nil)
			}
			for i, status := range []string{"failed", "cancelled"} {
				s.wants(s.send("payment."+status, stranger(fmt.Sprint("pay_", i+1), status)), gateway.Ignored)
				e, err := s.Store.Event(t.Context(), fmt.Sprint("msg_", i+1))
				if err != nil || e.State != book.EventIgnored {
					t.Errorf("the event is %s, %v", e.State, err)
				}
			}
			s.wants(s.send("payment.succeeded", stranger("pay_1", "succeeded")), gateway.Parked)
			s.waits("msg_3", gateway.ReasonUnknownAccount)
		})
	}
}
