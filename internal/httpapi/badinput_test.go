package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

// edit is a field that becomes something else; nothing at all when that is "".
type edit struct{ path, becomes string }

const (
	paymentSample      = "payment.succeeded.json"
	refundSample       = "refund.succeeded.json"
	disputeSample      = "dispute.opened.json"
	subscriptionSample = "subscription.active.json"

	whole   = "10 none none paid: applied"
	none    = "0 none none unpaid: applied"
	unclear = "0 none none unpaid: parked unclear"
	nobodys = "0 none none unpaid: parked unknown_account"
	keeps   = "10 none none paid: parked unclear" // of a purchase before
)

// badInputs are signed, and not as they should be; what becomes of Alice, whose
// they are, and of the event.
var badInputs = map[string]struct {
	sample string
	edits  []edit
	want   string
}{
	"as it should be": {paymentSample, nil, whole},

	"numbers for strings":                  {paymentSample, []edit{{"data.payment_id", `17`}, {"data.checkout_session_id", `1`}}, whole},
	"strings for numbers":                  {paymentSample, []edit{{"data.total_amount", `"400"`}, {"data.product_cart.0.quantity", `"1"`}}, whole},
	"status null":                          {paymentSample, []edit{{"data.status", `null`}}, whole},
	"status in capitals":                   {paymentSample, []edit{{"data.status", `"SUCCEEDED"`}}, whole},
	"status of tomorrow":                   {paymentSample, []edit{{"data.status", `"teleported"`}}, none},
	"status that belies the type":          {paymentSample, []edit{{"data.status", `"failed"`}}, none},
	"status a number":                      {paymentSample, []edit{{"data.status", `1`}}, none},
	"status true":                          {paymentSample, []edit{{"data.status", `true`}}, unclear},
	"data null":                            {paymentSample, []edit{{"data", `null`}}, unclear},
	"data missing":                         {paymentSample, []edit{{"data", ``}}, unclear},
	"data a list":                          {paymentSample, []edit{{"data", `[]`}}, unclear},
	"data a string":                        {paymentSample, []edit{{"data", `"{}"`}}, unclear},
	"another payload":                      {paymentSample, []edit{{"data.payload_type", `"Refund"`}}, unclear},
	"type null":                            {paymentSample, []edit{{"type", `null`}}, unclear},
	"type missing":                         {paymentSample, []edit{{"type", ``}}, unclear},
	"type a list":                          {paymentSample, []edit{{"type", `["payment.succeeded"]`}}, unclear},
	"type of tomorrow":                     {paymentSample, []edit{{"type", `"payday.succeeded"`}}, "0 none none unpaid: ignored"},
	"customer missing":                     {paymentSample, []edit{{"data.customer", ``}}, nobodys},
	"customer null":                        {paymentSample, []edit{{"data.customer", `null`}}, nobodys},
	"customer a string":                    {paymentSample, []edit{{"data.customer", `"alice"`}}, nobodys},
	"customer of somebody else":            {paymentSample, []edit{{"data.customer.customer_id", `"cus_else"`}}, nobodys},
	"payment id null":                      {paymentSample, []edit{{"data.payment_id", `null`}}, unclear},
	"payment id that means a key":          {paymentSample, []edit{{"data.payment_id", `"}:account"`}}, unclear},
	"amount 1e308":                         {paymentSample, []edit{{"data.total_amount", `1e308`}}, unclear},
	"amount 2^63":                          {paymentSample, []edit{{"data.total_amount", `9223372036854775808`}}, unclear},
	"amount 2^63-1":                        {paymentSample, []edit{{"data.total_amount", `9223372036854775807`}}, unclear},
	"amount negative":                      {paymentSample, []edit{{"data.total_amount", `-400`}}, unclear},
	"quantity 2^63":                        {paymentSample, []edit{{"data.product_cart.0.quantity", `9223372036854775808`}}, unclear},
	"quantity 1e308":                       {paymentSample, []edit{{"data.product_cart.0.quantity", `1e308`}}, unclear},
	"quantity 0":                           {paymentSample, []edit{{"data.product_cart.0.quantity", `0`}}, unclear},
	"quantity half":                        {paymentSample, []edit{{"data.product_cart.0.quantity", `0.5`}}, unclear},
	"quantity null":                        {paymentSample, []edit{{"data.product_cart.0.quantity", `null`}}, unclear},
	"more credits than can be counted":     {paymentSample, []edit{{"data.product_cart.0", `{"product_id":"pdt_max","quantity":1002}`}}, "0 none none unpaid: parked out_of_range"},
	"a product that is not in the catalog": {paymentSample, []edit{{"data.product_cart.0.product_id", `"pdt_else"`}}, "0 none none unpaid: parked unknown_product"},
	"cart null":                            {paymentSample, []edit{{"data.product_cart", `null`}}, unclear},
	"cart empty":                           {paymentSample, []edit{{"data.product_cart", `[]`}}, unclear},
	"cart missing, not paid":               {paymentSample, []edit{{"data.product_cart", ``}, {"data.status", `"failed"`}}, none},
	"cart of nulls":                        {paymentSample, []edit{{"data.product_cart", `[null]`}}, unclear},
	"credits in the cart":                  {paymentSample, []edit{{"data.product_cart.0", `{"product_id":"pdt_e9mUw084cWnu0tz","quantity":1,"credits":1000}`}}, whole},
	"credits everywhere":                   {paymentSample, []edit{{"credits", `1000`}, {"data.credits", `1000`}, {"data.metadata", `{"credits":1000,"dodogate_credits":"1000","quantity":"9"}`}}, whole},
	"created in the year 0":                {paymentSample, []edit{{"data.created_at", `"0000-06-01T00:00:00Z"`}}, unclear},
	"created in the year 9999":             {paymentSample, []edit{{"data.created_at", `"9999-12-31T23:59:59Z"`}}, whole},
	"created nobody knows when":            {paymentSample, []edit{{"data.created_at", `null`}, {"timestamp", `null`}}, unclear},
	"half a character in a name":           {paymentSample, []edit{{"data.customer.name", `"\ud800\u0000"`}}, whole},
	"nested as deep as allowed":            {paymentSample, []edit{{"data.metadata", deep(62)}}, whole},

	"a refund of another payment":                {refundSample, []edit{{"data.payment_id", `"pay_else"`}}, "10 none none paid: parked unknown_account"},
	"a refund of more than was paid":             {refundSample, []edit{{"data.amount", `1000000`}, {"data.is_partial", `true`}}, none},
	"a refund of 2^63":                           {refundSample, []edit{{"data.amount", `9223372036854775808`}, {"data.is_partial", `true`}}, keeps},
	"a refund of who knows how much":             {refundSample, []edit{{"data.amount", `null`}, {"data.is_partial", `true`}}, keeps},
	"a refund, partial or not":                   {refundSample, []edit{{"data.amount", `null`}, {"data.is_partial", `null`}}, keeps},
	"a part refunded in another currency":        {refundSample, []edit{{"data.currency", `"JPY"`}, {"data.is_partial", `true`}}, keeps},
	"refunded in full in another currency":       {refundSample, []edit{{"data.currency", `"JPY"`}}, none},
	"a refund with a status of tomorrow":         {refundSample, []edit{{"data.status", `"teleported"`}}, whole},
	"a refund without a customer":                {refundSample, []edit{{"data.customer", ``}}, none},
	"a refund without an id":                     {refundSample, []edit{{"data.refund_id", ``}}, keeps},
	"a dispute with a status of tomorrow":        {disputeSample, []edit{{"data.dispute_status", `"dispute_postponed"`}}, whole},
	"a dispute with a status in capitals":        {disputeSample, []edit{{"data.dispute_status", `"DISPUTE_LOST"`}}, none},
	"a dispute of an unknown kind":               {disputeSample, []edit{{"data.dispute_status", `null`}, {"type", `"dispute.postponed"`}}, "10 none none paid: ignored"},
	"a subscription that begins at no day":       {subscriptionSample, []edit{{"data.previous_billing_date", `null`}}, unclear},
	"a subscription that ends before it began":   {subscriptionSample, []edit{{"data.next_billing_date", `"2020-01-01T00:00:00Z"`}}, unclear},
	"a subscription without an event's time":     {subscriptionSample, []edit{{"timestamp", `null`}}, unclear},
	"a subscription in the year 9999":            {subscriptionSample, []edit{{"data.next_billing_date", `"9999-12-31T23:59:59Z"`}}, "500 pro active paid: applied"},
	"a grace in the year 9999":                   {subscriptionSample, []edit{{"data.status", `"past_due"`}, {"data.next_billing_date", `"9999-12-31T23:59:59Z"`}}, "0 pro past_due paid: applied"},
	"a trial in the year 9999":                   {subscriptionSample, []edit{{"data.created_at", `"9999-12-31T23:59:59Z"`}, {"data.trial_period_days", `10000`}}, "500 pro trialing paid: applied"},
	"a trial of a million years":                 {subscriptionSample, []edit{{"data.trial_period_days", `365000000`}}, unclear},
	"a subscription of 2^31 pieces":              {subscriptionSample, []edit{{"data.quantity", `2147483648`}}, unclear},
	"a subscription with a status of tomorrow":   {subscriptionSample, []edit{{"data.status", `"teleported"`}}, none},
	"a subscription with a status in capitals":   {subscriptionSample, []edit{{"data.status", `"ACTIVE"`}}, "500 pro active paid: applied"},
	"a subscription, active and cancelled":       {subscriptionSample, []edit{{"data.status", `"cancelled"`}}, "0 none cancelled unpaid: applied"},
	"a subscription whose metadata names a plan": {subscriptionSample, []edit{{"data.metadata", `{"plan":"team","credits":"1000000"}`}}, "500 pro active paid: applied"},
}

func deep(levels int) string {
	return strings.Repeat(`{"a":`, levels) + `1` + strings.Repeat(`}`, levels)
}

func TestBadInput(t *testing.T) {
	eachStore(t, func(t *testing.T, open opener) {
		for name, c := range badInputs {
			t.Run(name, func(t *testing.T) {
				p := parse(t, readSample(t, c.sample))
				s := newBadSite(t, open)
				if c.sample == refundSample || c.sample == disputeSample {
					payment := parse(t, readSample(t, paymentSample))
					payment.data()["payment_id"] = p.data()["payment_id"]
					s.signed("msg_before", payment.String()).do().json(http.StatusOK)
				}
				for _, e := range c.edits {
					set(p, strings.Split(e.path, "."), e.becomes)
				}
				for range 2 { // Dodo may send it again
					s.signed("msg", p.String()).do().json(http.StatusOK)
					if got := s.seen(alice, "msg"); got != c.want {
						t.Errorf("%s, want %s", got, c.want)
					}
				}
			})
		}
	})
}

// newBadSite is a site that knows the samples' customers as Alice, an hour after
// most of the samples.
func newBadSite(t *testing.T, open opener) *site {
	t.Helper()
	s := newSite(t, func(set *setting) {
		set.products = append([]config.Product{{Name: "max", ID: "pdt_max", Credits: ledger.Max / config.MaxQuantity}}, sampleProducts...)
		set.businesses = sampleBusinesses
		set.store, set.now = open, time.Date(2025, 8, 4, 6, 45, 0, 0, time.UTC)
	})
	for _, customer := range []string{"cus_8VbC6JDZzPEqfB", "cus_8VbC6JDZzPEqfBPUdpj0K"} {
		_, err := s.store.Claim(t.Context(), entitlement.Ref{Kind: entitlement.KindCustomer, ID: customer}, alice)
		must(t, err)
	}
	return s
}

// TestBrokenJSON: what is no JSON, or what two parsers could read differently where
// it matters, is refused, and nothing of it is kept.
func TestBrokenJSON(t *testing.T) {
	body := readSample(t, paymentSample)
	replace := func(old, by string) string {
		t.Helper()
		if strings.Count(body, old) != 1 {
			t.Fatalf("%q is there %d times", old, strings.Count(body, old))
		}
		return strings.Replace(body, old, by, 1)
	}
	const quantity = `"quantity": 1`
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"cut off":                         {body[:len(body)/2], 400},
		"something behind it":             {body + `{}`, 400},
		"something before it":             {"\xef\xbb\xbf" + body, 400},
		"not a number":                    {replace(quantity, `"quantity": NaN`), 400},
		"a number with a zero":            {replace(quantity, `"quantity": 01`), 400},
		"not UTF-8":                       {replace("Test user", "Test \xff"), 400},
		"a key twice":                     {replace(quantity, quantity+`,"quantity":100`), 400},
		"a key in another case":           {replace(quantity, quantity+`,"Quantity":100`), 400},
		"a key twice, escaped":            {replace(quantity, quantity+`,"\u0071uantity":100`), 400},
		"the type twice":                  {replace(`"type": "payment.succeeded"`, `"type":"payment.failed","type":"payment.succeeded"`), 400},
		"the data twice":                  {replace(`"timestamp"`, `"data":{},"timestamp"`), 400},
		"the proof twice":                 {replace("\"metadata\": {},\n    \"payload_type\"", `"metadata":{"dodogate_proof":"a","dodogate_proof":"b"},"payload_type"`), 400},
		"nested too deep":                 {replace("\"metadata\": {},\n    \"payload_type\"", `"metadata":`+deep(100)+`,"payload_type"`), 400},
		"nested ten thousand deep":        {replace("\"metadata\": {},\n    \"payload_type\"", `"metadata":`+deep(10000)+`,"payload_type"`), 400},
		"brackets without end":            {strings.Repeat(`{"a":`, 100_000), 400},
		"a byte more than a MiB":          {body + strings.Repeat(" ", 1<<20+1-len(body)), 413},
		"a MiB":                           {body + strings.Repeat(" ", 1<<20-len(body)), 200},
		"a key twice, where nobody looks": {replace(`"country": "US"`, `"country":"US","country":"GB"`), 200},
	} {
		t.Run(name, func(t *testing.T) {
			s := newBadSite(t, openBolt)
			a := s.signed("msg", c.body).do()
			if a.Code != c.status {
				t.Fatalf("status %d, want %d: %s", a.Code, c.status, a.Body)
			}
			if c.status == http.StatusOK {
				if got := s.seen(alice, "msg"); got != whole {
					t.Error(got)
				}
				return
			}
			if _, err := s.store.Event(t.Context(), "msg"); err == nil {
				t.Error("it was kept")
			}
			if m := s.get("/payments/status").by(alice).do().json(200); m["credits"] != json.Number("0") {
				t.Error(m)
			}
		})
	}
}

// TestForgedProofs: a payment goes to whom our proof names, or to whom its customer
// is, and gives what its cart says; nothing else in its metadata counts.
func TestForgedProofs(t *testing.T) {
	prover, err := dodo.NewProver([][]byte{dodo.DeriveKey(apiKey)})
	must(t, err)
	other, err := dodo.NewProver([][]byte{dodo.DeriveKey("somebody else's key")})
	must(t, err)
	const order, product = "ord_AAAAAAAAAAAAAAAAAAAAAA", "pack10"
	proof := func(change map[string]string) map[string]string {
		m := prover.Metadata(dodo.Claim{Site: "site_test", Order: order, Account: bob, Product: product})
		for k, v := range change {
			if m[k] = v; v == "" {
				delete(m, k)
			}
		}
		return m
	}
	type owners struct{ alice, bob, mallory int64 }
	for name, c := range map[string]struct {
		metadata map[string]string
		want     owners
	}{
		"Bob's proof":                  {proof(nil), owners{bob: 10}},
		"of another account":           {proof(map[string]string{"dodogate_account": "mallory"}), owners{alice: 10}},
		"of another order":             {proof(map[string]string{"dodogate_order": "ord_BAAAAAAAAAAAAAAAAAAAAA"}), owners{alice: 10}},
		"of another product":           {proof(map[string]string{"dodogate_product": "max"}), owners{alice: 10}},
		"without an account":           {proof(map[string]string{"dodogate_account": ""}), owners{alice: 10}},
		"without a proof":              {proof(map[string]string{"dodogate_proof": ""}), owners{alice: 10}},
		"in capitals":                  {proof(map[string]string{"dodogate_proof": strings.ToUpper(proof(nil)["dodogate_proof"])}), owners{alice: 10}},
		"cut":                          {proof(map[string]string{"dodogate_proof": proof(nil)["dodogate_proof"][:20]}), owners{alice: 10}},
		"by another key":               {other.Metadata(dodo.Claim{Site: "site_test", Order: order, Account: "mallory", Product: product}), owners{alice: 10}},
		"an account in base64":         {proof(map[string]string{"dodogate_account": "~Ym9i"}), owners{alice: 10}}, // bob, written in another way
		"for a dearer product":         {prover.Metadata(dodo.Claim{Site: "site_test", Order: order, Account: bob, Product: "max"}), owners{bob: 10}},
		"credits and account in words": {map[string]string{"account": "mallory", "user_id": "mallory", "credits": "1000000", "product": "max"}, owners{alice: 10}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newBadSite(t, openBolt)
			p := parse(t, readSample(t, paymentSample))
			p.data()["metadata"] = c.metadata
			s.signed("msg", p.String()).do().json(http.StatusOK)
			// Now that it is somebody's, nobody else's proof moves it.
			p.data()["metadata"] = prover.Metadata(dodo.Claim{Site: "site_test", Order: order, Account: "mallory", Product: product})
			s.signed("msg", p.String()).do().json(http.StatusOK)
			s.signed("msg_2", p.String()).do().json(http.StatusOK)
			if got := (owners{s.credits(alice), s.credits(bob), s.credits("mallory")}); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

func (s *site) credits(account string) int64 {
	s.t.Helper()
	a, err := s.store.Account(s.t.Context(), account)
	must(s.t, err)
	return a.Ledger.Available(s.clock.Now())
}

// TestParkedThenIgnored: an event that is understood in the end does not keep the
// reason why it was parked.
func TestParkedThenIgnored(t *testing.T) {
	s := newBadSite(t, openBolt)
	s.signed("msg", `{"type":null}`).do().json(http.StatusOK)
	if got := s.seen(alice, "msg"); got != unclear {
		t.Error(got)
	}
	s.signed("msg", someEvent).do().json(http.StatusOK)
	e, err := s.store.Event(t.Context(), "msg")
	if err != nil || e.State != book.EventIgnored || e.Reason != "" {
		t.Error(fmt.Sprintf("%+v", e), err)
	}
}
