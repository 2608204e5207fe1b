package record_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store/record"
)

var someOrders = []book.Order{
	{},
	{
		Product: "pack10", Quantity: 1, ReturnTo: "http://127.0.0.1/", State: book.OrderOpen,
		Terms:     map[string]entitlement.Terms{"pdt_1": {Credits: 10}},
		CreatedAt: time.Date(2026, time.May, 4, 12, 0, 0, 1_000_000, time.UTC), ExpiresAt: time.Date(2026, time.May, 5, 12, 0, 0, 0, time.UTC),
	},
	{
		Product: "pro", Quantity: 3, Email: "ann@example.com", State: book.OrderPaid, ReturnTo: "/?a=1&b=<2>",
		Terms: map[string]entitlement.Terms{
			"pdt_1": {Credits: 1 << 53, CreditsExpire: time.Hour, CreditsStay: true, Plan: "pro", Lasts: 24 * time.Hour},
			"pdt_2": {}, "pdt_3": {Plan: "pro"}, "pdt_4": {CreditsStay: true}, "pdt_6": {CreditsMonthly: true}, "pdt_7": {Credits: 1, CreditsMonthly: true, Plan: "pro"}, "pdt_5": {Lasts: -1},
		},
		SessionID: "cks_1", CheckoutURL: "https://example.com/cks_1", PaymentID: "pay_1",
	},
	{Terms: map[string]entitlement.Terms{}, Product: "a\"b", Email: "ä@example.com", State: "\n"},
}

// TestOrderComesBack: an order is written as encoding/json writes it, as earlier releases
// did, and read as it was.
func TestOrderComesBack(t *testing.T) {
	for _, o := range someOrders {
		b, err := record.Order(o)
		if err != nil {
			t.Fatal(err)
		}
		if want, err := json.Marshal(o); err != nil || !bytes.Equal(b, want) {
			t.Errorf("%+v is written as %s; want %s, %v", o, b, want, err)
		}
		if back, err := record.ParseOrder(o.Account, o.ID, b); err != nil || !reflect.DeepEqual(back, o) {
			t.Errorf("%+v comes back as %+v, %v", o, back, err)
		}
	}
}

// oddities are what somebody else than Order may write in place of a part of usualOrder.
var oddities = []struct{ part, in string }{
	{`:3`, `:03`}, {`:3`, `:-3`}, {`:3`, `:-0`}, {`:3`, `:0`}, {`:3`, `:3.0`}, {`:3`, `:3e2`}, {`:3`, `:9223372036854775808`},
	{`:3`, `:`}, {`:3`, `:null`}, {`:3`, `:"3"`}, {`:3`, `: 3`}, {`:3`, `:+3`},
	{`pack`, "pa\tck"}, {`pack`, "pa\x00ck"}, {`pack`, "pa\x7fck"}, {`pack`, `pa\u0063k`}, {`pack`, `pa\"ck`}, {`pack`, `pa\`},
	{`pack`, `pa\ud800ck`}, {`pack`, "pa\xffck"}, {`pack`, "pa\u2028ck"}, {`pack`, `pa<>&ck`}, {`pack`, "päck"}, {`pack`, ``}, {`"pack"`, `null`},
	{`{"pdt_1":{"credits":10,"plan":"pro"}}`, `null`}, {`{"pdt_1":{"credits":10,"plan":"pro"}}`, `{}`},
	{`{"pdt_1":{"credits":10,"plan":"pro"}}`, `{"pdt_1":{"credits":10},}`}, {`{"pdt_1":{"credits":10,"plan":"pro"}}`, `[]`},
	{`{"pdt_1":{"credits":10,"plan":"pro"}}`, `{"pdt_1":{"credits":10},"pdt_1":{"plan":"pro"}}`},
	{`{"pdt_1":{"credits":10,"plan":"pro"}}`, `{"pdt_1":{"credits":10},"pdt_2":null}`},
	{`{"credits":10,`, `{,"credits":10,`}, {`{"credits":10,`, `{"credits":10`}, {`{"credits":10,`, `{"credits":010,`}, {`{"credits":10,`, `{`},
	{`{"credits":10,`, `{"credits":10,"credits":11,`}, {`{"credits":10,`, `{"credits":10,"more":1,`}, {`{"credits":10,`, `{"credits":10,"credits_stay":false,`},
	{`{"credits":10,`, `{"credits_stay":true,"credits":10,`}, {`{"credits":10,`, `{"credits":10,"credits_stay":true,`}, {`{"credits":10,`, `{"CREDITS":10,`},
	{`"plan":"pro"}`, `"plan":"pro",}`}, {`"plan":"pro"}`, `"plan":"pro","lasts":-5}`}, {`"plan":"pro"}`, `"plan":"pro","lasts":5}`},
	{`2026-05-04T12:00:00Z`, `2026-05-04T12:00:00.123456789+05:30`}, {`2026-05-04T12:00:00Z`, `2026-05-04T12:00:00+24:00`},
	{`2026-05-04T12:00:00Z`, `2026-05-04t12:00:00z`}, {`2026-05-04T12:00:00Z`, `2026-05-04T12:00:00,5Z`}, {`2026-05-04T12:00:00Z`, `2026-05-04T24:00:00Z`},
	{`2026-05-04T12:00:00Z`, `12026-05-04T12:00:00Z`}, {`2026-05-04T12:00:00Z`, `0000-05-04T12:00:00Z`}, {`2026-05-04T12:00:00Z`, `2026-05-04T1:00:00Z`},
	{`2026-05-04T12:00:00Z`, ``}, {`"2026-05-04T12:00:00Z"`, `null`}, {`"2026-05-04T12:00:00Z"`, `0`},
	{`,"session_id"`, `,"session_id":"a","session_id"`}, {`,"session_id":"cks_1"`, ``}, {`,"session_id":"cks_1"`, `,"session_id":""`},
	{`,"session_id":"cks_1"`, `,"from_tomorrow":{"a":[1]},"session_id":"cks_1"`}, {`"session_id"`, `"Session_ID"`},
	{`"email"`, `"payment_id":"p","email"`}, {`pay_1"}`, `pay_1"} `}, {`pay_1"}`, `pay_1"}x`}, {`pay_1"}`, `pay_1"`}, {`pay_1"}`, `pay_1","more":1}`},
	{`{"id"`, ` {"id"`}, {`"id":"",`, ``},
}

const usualOrder = `{"id":"","account":"","product":"pack","quantity":3,"terms":{"pdt_1":{"credits":10,"plan":"pro"}},"return_to":"/",` +
	`"email":"a@b.test","state":"open","created_at":"2026-05-04T12:00:00Z","expires_at":"2026-05-05T12:00:00Z",` +
	`"session_id":"cks_1","checkout_url":"https://a.test/","payment_id":"pay_1"}`

// FuzzParseOrder: orders are read as encoding/json reads them, whoever wrote them.
func FuzzParseOrder(f *testing.F) {
	for _, o := range someOrders {
		b, err := record.Order(o)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, odd := range oddities {
		text := strings.Replace(usualOrder, odd.part, odd.in, 1)
		if text == usualOrder {
			f.Fatalf("%q is not odd", odd.in)
		}
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var want book.Order
		wantErr := json.Unmarshal(b, &want)
		got, err := record.ParseOrder(want.Account, want.ID, b)
		if (err == nil) != (wantErr == nil) || err == nil && !reflect.DeepEqual(got, want) {
			t.Fatalf("%q is read as %+v, %v; want %+v, %v", b, got, err, want, wantErr)
		}
	})
}

func BenchmarkParseOrder(b *testing.B) {
	text, err := record.Order(someOrders[1])
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := record.ParseOrder("ann", "ord_1", text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOrder(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := record.Order(someOrders[1]); err != nil {
			b.Fatal(err)
		}
	}
}
