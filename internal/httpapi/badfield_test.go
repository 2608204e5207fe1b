package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// victim is a webhook of a kind, one field of which is spoilt.
type victim struct {
	sample string
	before before
	whole  int64   // the credits that it leaves, unspoilt
	others []int64 // and those that it may leave when it is not understood in full
	// matter are the fields that what it gives follows from. All others may be
	// whatever they like.
	matter []string
}

var (
	paymentFields = []string{
		"type", "data", "data.payload_type", "data.payment_id", "data.status", "data.subscription_id", "data.product_cart", "data.created_at",
		"data.total_amount", "data.currency", "data.refund_status", "data.refunds", "data.disputes",
		"data.customer", "data.checkout_session_id",
	}
	refundFields  = []string{"type", "data", "data.payload_type", "data.payment_id", "data.refund_id", "data.status", "data.amount", "data.currency", "data.is_partial", "data.customer.customer_id"}
	disputeFields = []string{"type", "data", "data.payload_type", "data.payment_id", "data.dispute_id", "data.dispute_status", "data.customer.customer_id"}
	victims       = []victim{
		{"payment.succeeded.json", nothing, 10, []int64{0}, paymentFields},
		{"variants/payment.succeeded.late-delivery-after-partial-refund.json", nothing, 6, []int64{0, 10}, paymentFields},
		{"refund.succeeded.json", bought, 0, []int64{10}, refundFields},
		{"variants/refund.succeeded.partial.json", bought, 6, []int64{0, 10}, refundFields},
		{"dispute.lost.json", bought, 0, []int64{10}, disputeFields},
		{"subscription.renewed.json", nothing, 500, []int64{0}, []string{
			"type", "timestamp", "data", "data.payload_type", "data.subscription_id", "data.status", "data.product_id", "data.quantity", "data.created_at",
			"data.previous_billing_date", "data.next_billing_date", "data.expires_at", "data.cancel_at_next_billing_date", "data.trial_period_days",
			"data.past_due_ends_at", "data.customer",
		}},
	}
)

func (v victim) matters(path string) bool {
	return path == "business_id" || slices.ContainsFunc(v.matter, func(m string) bool { return path == m || strings.HasPrefix(path, m+".") })
}

// spoils are what a field becomes; nothing at all first.
var spoils = []string{
	``, `null`, `true`, `0`, `-1`, `1.5`, `1e308`, `9223372036854775807`, `9223372036854775808`,
	`""`, `"text"`, `"0000-06-01T00:00:00Z"`, `"9999-12-31T23:59:59.999Z"`, `{}`, `[null]`, `{"a":{"b":[1]}}`,
	`"` + strings.Repeat("long", 2000) + `"`,
}

// TestBadInputInEveryField spoils every field of a webhook about money in every
// way; fields that do not matter, in one way each. None is refused, for it is
// Dodo's and JSON; what does not matter holds nothing up; and nobody ever gets more
// than the webhook was good for. One store sees all,
// the other some.
func TestBadInputInEveryField(t *testing.T) {
	eachStore(t, func(t *testing.T, open opener) {
		step := thrift
		if strings.HasSuffix(t.Name(), "/bolt") {
			step *= 9 // which shares nothing with how many spoils there are
		}
		for _, v := range victims {
			t.Run(v.sample, func(t *testing.T) {
				original := parse(t, readSample(t, v.sample))
				s := newSampleSite(t, open, original.at().Add(time.Minute))
				n := 0
				for i, path := range slices.Sorted(slices.Values(paths("", original))) {
					for j, spoil := range spoils {
						if !v.matters(path) && j != i%len(spoils) {
							continue
						}
						if n++; n%step == 0 {
							s.spoil(v, n, path, spoil)
						}
					}
				}
				if n < 100 {
					t.Errorf("only %d spoilt webhooks", n)
				}
			})
		}
	})
}

func (s *site) spoil(v victim, n int, path, spoil string) {
	s.t.Helper()
	p, account := parse(s.t, readSample(s.t, v.sample)), fmt.Sprint("account", n)
	data := p.data()
	for _, id := range []string{"payment_id", "subscription_id"} {
		if data[id] != nil {
			data[id] = fmt.Sprint(id, n)
		}
	}
	customer := data["customer"].(map[string]any)
	customer["customer_id"] = fmt.Sprint("cus_", n)
	_, err := s.store.Claim(s.t.Context(), entitlement.Ref{Kind: entitlement.KindCustomer, ID: fmt.Sprint("cus_", n)}, account)
	must(s.t, err)
	if v.before == bought {
		payment := parse(s.t, readSample(s.t, "payment.succeeded.json"))
		payment.data()["payment_id"], payment.data()["customer"] = data["payment_id"], customer
		s.signed(fmt.Sprint("msg_before_", n), payment.String()).do().json(http.StatusOK)
	}
	set(p, strings.Split(path, "."), spoil)

	id := fmt.Sprint("msg_", n)
	if a := s.signed(id, p.String()).do(); a.Code != http.StatusOK {
		s.t.Errorf("%s as %.40s: %d %s", path, spoil, a.Code, a.Body)
		return
	}
	e, err := s.store.Event(s.t.Context(), id)
	must(s.t, err)
	a, err := s.store.Account(s.t.Context(), account)
	must(s.t, err)
	got := a.Ledger.Available(s.clock.Now())
	switch {
	case !v.matters(path) && (got != v.whole || e.State != book.EventApplied):
		s.t.Errorf("%s as %.40s: %d credits, %s %s, though it does not matter", path, spoil, got, e.State, e.Reason)
	case got != v.whole && !slices.Contains(v.others, got):
		s.t.Errorf("%s as %.40s: %d credits", path, spoil, got)
	case e.State == book.EventReceived:
		s.t.Errorf("%s as %.40s is not settled", path, spoil)
	}
}

// paths are the names of all fields and elements within a value.
func paths(prefix string, value any) []string {
	var all []string
	add := func(name string, v any) {
		name = strings.TrimPrefix(prefix+"."+name, ".")
		all = append(append(all, name), paths(name, v)...)
	}
	switch v := value.(type) {
	case payload:
		return paths(prefix, map[string]any(v))
	case map[string]any:
		for name, field := range v {
			add(name, field)
		}
	case []any:
		for i, element := range v {
			add(fmt.Sprint(i), element)
		}
	}
	return all
}

// set replaces what is at a path, or takes it away where it becomes "".
func set(in any, path []string, becomes string) {
	switch v := in.(type) {
	case payload:
		set(map[string]any(v), path, becomes)
	case map[string]any:
		switch {
		case len(path) > 1:
			set(v[path[0]], path[1:], becomes)
		case becomes == "":
			delete(v, path[0])
		default:
			v[path[0]] = json.RawMessage(becomes)
		}
	case []any:
		var i int
		_, _ = fmt.Sscan(path[0], &i)
		switch {
		case len(path) > 1:
			set(v[i], path[1:], becomes)
		case becomes == "":
			v[i] = json.RawMessage("null")
		default:
			v[i] = json.RawMessage(becomes)
		}
	}
}
