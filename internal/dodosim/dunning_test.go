package dodosim_test

import (
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// lastBody is what the latest event of a type said.
func (s *shop) lastBody(eventType string) object {
	s.t.Helper()
	s.flush()
	var last object
	for _, body := range s.hooks.bodies() {
		var event struct {
			Type string
			Data object
		}
		decode(s.t, body, &event)
		if event.Type == eventType {
			last = event.Data
		}
	}
	if last == nil {
		s.t.Fatal("no webhook", eventType)
	}
	return last
}

func dunned(t *testing.T) *shop {
	return magazine(t, func(o *dodosim.Options) { o.Dunning = true })
}

func TestDunningOfAHold(t *testing.T) {
	shop := dunned(t)
	id := shop.subscribe("pdt_pro", dodosim.CardFailsLater)
	shop.news()
	shop.sim.Advance(31 * day)
	if got := shop.news(); got != "payment.failed subscription.on_hold subscription.updated dunning.started" {
		t.Error(got)
	}
	if d := shop.lastBody("dunning.started"); d["subscription_id"] != id || d["trigger_state"] != "on_hold" || d["status"] != "recovering" || d["payment_id"] != nil {
		t.Error(d)
	}
	paid := shop.replaceCard(id, dodosim.CardVisa).PaymentID
	if got := shop.news(); !strings.HasSuffix(got, "subscription.updated dunning.recovered") {
		t.Error(got)
	}
	if d := shop.lastBody("dunning.recovered"); d["status"] != "recovered" || d["payment_id"] != paid {
		t.Error(d)
	}
}

// A body that is sent late has the latest state: the attempt is over.
func TestDunningExhausted(t *testing.T) {
	shop := dunned(t)
	id := shop.subscribe("pdt_pro", dodosim.CardFailsLater)
	shop.sim.HoldWebhooks(true)
	shop.sim.Advance(31 * day)
	shop.patch(id, `{"status":"cancelled"}`)
	shop.sim.HoldWebhooks(false)
	if d := shop.lastBody("dunning.started"); d["status"] != "exhausted" {
		t.Error(d)
	}
}

func TestDunningOfACancellation(t *testing.T) {
	for name, test := range map[string]struct {
		patch  string
		starts bool
	}{
		"by the customer":            {`{"status":"cancelled","cancel_reason":"cancelled_by_customer"}`, true},
		"by the customer, later":     {`{"cancel_at_next_billing_date":true,"cancel_reason":"cancelled_by_customer"}`, true},
		"by the merchant":            {`{"status":"cancelled","cancel_reason":"cancelled_by_merchant"}`, false},
		"by the merchant, with mail": {`{"status":"cancelled","cancel_reason":"cancelled_by_merchant_send_dunning"}`, true},
		"for no reason":              {`{"status":"cancelled"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			shop := dunned(t)
			id := shop.subscribe("pdt_pro", dodosim.CardVisa)
			shop.patch(id, test.patch)
			if got := shop.news(); strings.HasSuffix(got, "dunning.started") != test.starts {
				t.Error(got)
			}
			if test.starts {
				if d := shop.lastBody("dunning.started"); d["trigger_state"] != "cancelled" {
					t.Error(d)
				}
			}
		})
	}
	shop := magazine(t, nil)
	id := shop.subscribe("pdt_pro", dodosim.CardVisa)
	shop.patch(id, `{"status":"cancelled","cancel_reason":"cancelled_by_customer"}`)
	if got := shop.news(); strings.Contains(got, "dunning") {
		t.Error("without the option:", got)
	}
}
