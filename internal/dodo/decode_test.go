package dodo_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// paymentEvent is a payment.succeeded whose data are the given fields, beside an
// id and a time.
func paymentEvent(fields string) string {
	return `{"type":"payment.succeeded","timestamp":"2026-01-02T03:04:05Z","data":{"payment_id":"pay_1",` +
		`"created_at":"2026-01-02T03:04:00Z"` + comma(fields) + `}}`
}

func refundEvent(kind, fields string) string {
	return `{"type":"` + kind + `","data":{"payment_id":"pay_1","refund_id":"ref_1"` + comma(fields) + `}}`
}

func comma(fields string) string {
	if fields == "" {
		return ""
	}
	return "," + fields
}

// What real payloads do to the schema (FACTS 3.9), and what they may do next.
func TestDecodeLenientPayment(t *testing.T) {
	type P = entitlement.Payment
	succeeded := func(change func(*P)) P {
		p := P{Status: entitlement.PaymentSucceeded, CreatedAt: moment("2026-01-02T03:04:00Z")}
		if change != nil {
			change(&p)
		}
		return p
	}
	for name, tc := range map[string]struct {
		fields string
		want   P
	}{
		"next to nothing":         {``, succeeded(nil)},
		"everything null":         {`"status":null,"total_amount":null,"currency":null,"product_cart":null,"subscription_id":null,"refunds":null,"refund_status":null,"metadata":null,"customer":null,"checkout_session_id":null,"payload_type":null`, succeeded(nil)},
		"everything empty":        {`"status":"","total_amount":"","currency":"","product_cart":[],"subscription_id":"","refunds":[],"refund_status":"","metadata":{},"customer":{}`, succeeded(nil)},
		"status wins over type":   {`"status":"failed"`, succeeded(func(p *P) { p.Status = entitlement.PaymentFailed })},
		"status in capitals":      {`"status":"Succeeded"`, succeeded(nil)},
		"status of tomorrow":      {`"status":"requires_a_miracle"`, succeeded(func(p *P) { p.Status = "requires_a_miracle" })},
		"amount as a string":      {`"total_amount":"400","currency":"usd"`, succeeded(func(p *P) { p.Total, p.Currency = 400, "USD" })},
		"amount beyond int32":     {`"total_amount":9007199254740993`, succeeded(func(p *P) { p.Total = 9007199254740993 })},
		"quantity as a string":    {`"product_cart":[{"product_id":"pdt_1","quantity":"3"}]`, succeeded(func(p *P) { p.Cart = []entitlement.Line{{ProductID: "pdt_1", Quantity: 3}} })},
		"id as a number":          {`"product_cart":[{"product_id":17,"quantity":1}]`, succeeded(func(p *P) { p.Cart = []entitlement.Line{{ProductID: "17", Quantity: 1}} })},
		"the same product twice":  {`"product_cart":[{"product_id":"a","quantity":1},{"product_id":"a","quantity":2}]`, succeeded(func(p *P) { p.Cart = []entitlement.Line{{ProductID: "a", Quantity: 1}, {ProductID: "a", Quantity: 2}} })},
		"unknown fields":          {`"tip":{"a":[{}]},"Tip":1,"tip":2`, succeeded(nil)},
		"payload type in lower":   {`"payload_type":"payment"`, succeeded(nil)},
		"with tax":                {`"total_amount":400,"tax":"80"`, succeeded(func(p *P) { p.Total, p.Tax = 400, 80 })},
		"tax of who knows what":   {`"tax":-80`, succeeded(nil)},
		"to change a card":        {`"is_update_payment_method":true,"total_amount":0`, succeeded(func(p *P) { p.MethodOnly = true })},
		"and to pay what is due":  {`"is_update_payment_method":true,"total_amount":900`, succeeded(func(p *P) { p.Total = 900 })},
		"to change what":          {`"is_update_payment_method":[1],"total_amount":0`, succeeded(nil)},
		"several subscriptions":   {`"subscription_id":null,"subscription_ids":["sub_1","sub_2"]`, succeeded(func(p *P) { p.Subscription = "sub_1" })},
		"one subscription, twice": {`"subscription_id":"sub_2","subscription_ids":["sub_1","sub_2"]`, succeeded(func(p *P) { p.Subscription = "sub_2" })},
		"refunded in full":        {`"refund_status":"FULL"`, succeeded(func(p *P) { p.RefundedFully = true })},
		"refunds": {`"refunds":[{"refund_id":"r1","status":"Succeeded","amount":null,"is_partial":false},{"refund_id":"r2","status":null,"amount":"7","currency":"eur","is_partial":"true"}]`, succeeded(func(p *P) {
			p.Refunds = map[string]entitlement.Refund{"r1": {Status: "succeeded", Full: true}, "r2": {Amount: 7, Currency: "EUR"}}
		})},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := dodo.Decode([]byte(paymentEvent(tc.fields)))
			if err != nil {
				t.Fatal(err)
			}
			if e.Fact.Ref != payment("pay_1") || !reflect.DeepEqual(e.Fact.Payment, tc.want) {
				t.Errorf("got\n%+v\nwant\n%+v", e.Fact.Payment, tc.want)
			}
		})
	}
}

func TestDecodeFallsBackToType(t *testing.T) {
	for kind, want := range map[string]entitlement.PaymentStatus{
		"payment.succeeded":  entitlement.PaymentSucceeded,
		"payment.failed":     entitlement.PaymentFailed,
		"payment.cancelled":  entitlement.PaymentCancelled,
		"payment.processing": entitlement.PaymentProcessing,
	} {
		body := `{"type":"` + kind + `","timestamp":"2026-01-02T05:04:05+02:00","data":{"payment_id":"pay_1","status":null}}`
		e, err := dodo.Decode([]byte(body))
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if e.Fact.Payment.Status != want {
			t.Errorf("%s: status %q, want %q", kind, e.Fact.Payment.Status, want)
		}
		if at := moment("2026-01-02T03:04:05Z"); e.Timestamp != at || e.Fact.Payment.CreatedAt != at {
			t.Errorf("%s: event at %v, payment created at %v, want both %v", kind, e.Timestamp, e.Fact.Payment.CreatedAt, at)
		}
	}
}

// An odd envelope does not hold up a clear payment.
func TestDecodeOddEnvelope(t *testing.T) {
	body := `{"type":"payment.succeeded","business_id":"b b","timestamp":17,"data":{"payment_id":"pay_1","created_at":"2026-01-02T03:04:00Z"}}`
	e, err := dodo.Decode([]byte(body))
	if err != nil || e.Fact == nil || e.BusinessID != "" || !e.Timestamp.IsZero() {
		t.Errorf("Decode = %+v, %v", e, err)
	}
}

func TestDecodeRefund(t *testing.T) {
	for name, tc := range map[string]struct {
		body string
		want entitlement.Refund
	}{
		"status from the type":   {refundEvent("refund.succeeded", `"amount":7`), entitlement.Refund{Status: entitlement.RefundSucceeded, Amount: 7}},
		"failed from the type":   {refundEvent("refund.failed", `"status":null`), entitlement.Refund{Status: entitlement.RefundFailed}},
		"status wins over type":  {refundEvent("refund.failed", `"status":"SUCCEEDED","amount":"7"`), entitlement.Refund{Status: entitlement.RefundSucceeded, Amount: 7}},
		"status of tomorrow":     {refundEvent("refund.failed", `"status":"pending"`), entitlement.Refund{Status: entitlement.RefundPending}},
		"full without an amount": {refundEvent("refund.succeeded", `"is_partial":false`), entitlement.Refund{Status: entitlement.RefundSucceeded, Full: true}},
		"full and failed":        {refundEvent("refund.failed", `"is_partial":false`), entitlement.Refund{Status: entitlement.RefundFailed, Full: true}},
		"partial":                {refundEvent("refund.succeeded", `"is_partial":true,"amount":150,"currency":"USD"`), entitlement.Refund{Status: entitlement.RefundSucceeded, Amount: 150, Currency: "USD"}},
		"its time":               {refundEvent("refund.succeeded", `"amount":7,"created_at":"2026-01-02T03:04:05Z"`), entitlement.Refund{Status: entitlement.RefundSucceeded, Amount: 7, CreatedAt: moment("2026-01-02T03:04:05Z")}},
		"a time that is none":    {refundEvent("refund.succeeded", `"amount":7,"created_at":"soon"`), entitlement.Refund{Status: entitlement.RefundSucceeded, Amount: 7}},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := dodo.Decode([]byte(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			want := entitlement.Payment{Refunds: map[string]entitlement.Refund{"ref_1": tc.want}}
			if e.Fact.Ref != payment("pay_1") || !reflect.DeepEqual(e.Fact.Payment, want) {
				t.Errorf("got %+v %+v, want %+v", e.Fact.Ref, e.Fact.Payment, want)
			}
		})
	}
	e, err := dodo.Decode([]byte(refundEvent("refund.succeeded", `"amount":7,"metadata":{"dodogate_order":"o"}`)))
	if err != nil || e.Fact.Clues.Metadata != nil {
		t.Errorf("a refund's own metadata became a clue: %+v, %v", e.Fact, err)
	}
}

// What is meant by "never" leaves room for a term that is added to it.
func TestDecodeFarTimes(t *testing.T) {
	e, err := dodo.Decode([]byte(`{"type":"payment.succeeded","data":{"payment_id":"pay_1","created_at":"9999-12-31T23:59:59Z"}}`))
	if err != nil || !e.Fact.Payment.CreatedAt.Equal(moment("9000-01-01T00:00:00Z")) {
		t.Errorf("%v, %v", e.Fact, err)
	}
}

func TestDecodeClues(t *testing.T) {
	many := make([]string, 0, 60)
	for i := range 59 {
		many = append(many, fmt.Sprintf(`"k%d":"v"`, i))
	}
	many = append(many, `"dodogate_proof":"p"`)
	long := strings.Repeat("ü", 500)
	for name, tc := range map[string]struct {
		fields string
		check  func(dodo.Clues) bool
	}{
		"numbers and booleans": {`"metadata":{"n":10,"f":1.50,"t":true,"x":false,"s":"s"}`, func(c dodo.Clues) bool {
			return reflect.DeepEqual(c.Metadata, map[string]string{"n": "10", "f": "1.50", "t": "true", "x": "false", "s": "s"})
		}},
		"no other values":        {`"metadata":{"a":null,"b":[1],"c":{"d":1}}`, func(c dodo.Clues) bool { return c.Metadata == nil }},
		"not an object":          {`"metadata":["a"]`, func(c dodo.Clues) bool { return c.Metadata == nil }},
		"keys in two cases":      {`"metadata":{"a":"1","A":"2"}`, func(c dodo.Clues) bool { return c.Metadata["a"] == "1" && c.Metadata["A"] == "2" }},
		"50 pairs and the proof": {`"metadata":{` + strings.Join(many, ",") + `}`, func(c dodo.Clues) bool { return len(c.Metadata) == 51 && c.Metadata["dodogate_proof"] == "p" }},
		"500 characters":         {`"metadata":{"a":"` + long + `"}`, func(c dodo.Clues) bool { return c.Metadata["a"] == long }},
		"501 characters":         {`"metadata":{"a":"` + long + `x"}`, func(c dodo.Clues) bool { return c.Metadata == nil }},
		"a key of 41":            {`"metadata":{"` + strings.Repeat("k", 41) + `":"v"}`, func(c dodo.Clues) bool { return c.Metadata == nil }},
		"no customer":            {`"customer":null`, func(c dodo.Clues) bool { return c.CustomerID == "" && c.CustomerEmail == "" }},
		"customer is an id":      {`"customer":"cus_1"`, func(c dodo.Clues) bool { return c.CustomerID == "" }},
		"customer without mail":  {`"customer":{"customer_id":"cus_1","email":null}`, func(c dodo.Clues) bool { return c.CustomerID == "cus_1" && c.CustomerEmail == "" }},
		"mail untouched":         {`"customer":{"email":"A+b@Ex.org"}`, func(c dodo.Clues) bool { return c.CustomerEmail == "A+b@Ex.org" }},
		"mail too long":          {`"customer":{"email":"` + strings.Repeat("a", 321) + `"}`, func(c dodo.Clues) bool { return c.CustomerEmail == "" }},
		"session":                {`"checkout_session_id":"cks_1"`, func(c dodo.Clues) bool { return c.SessionID == "cks_1" }},
		"subscription":           {`"subscription_id":"sub_1"`, func(c dodo.Clues) bool { return c.SubscriptionID == "sub_1" }},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := dodo.Decode([]byte(paymentEvent(tc.fields)))
			if err != nil {
				t.Fatal(err)
			}
			if !tc.check(e.Fact.Clues) {
				t.Errorf("clues %+v", e.Fact.Clues)
			}
		})
	}
}

// Authentic, but not to be understood: kept for a human.
func TestDecodeUnclear(t *testing.T) {
	cart := func(quantity string) string {
		return paymentEvent(`"product_cart":[{"product_id":"pdt_1","quantity":` + quantity + `}]`)
	}
	for name, body := range map[string]string{
		"no event":                  `{"hello":"world"}`,
		"type null":                 `{"type":null,"data":{}}`,
		"type an object":            `{"type":{},"data":{}}`,
		"type with a space":         `{"type":"payment succeeded"}`,
		"type very long":            `{"type":"payment.` + strings.Repeat("x", 64) + `"}`,
		"no data":                   `{"type":"payment.succeeded"}`,
		"data null":                 `{"type":"payment.succeeded","data":null}`,
		"data a list":               `{"type":"payment.succeeded","data":[]}`,
		"data a string":             `{"type":"refund.succeeded","data":"x"}`,
		"another payload":           paymentEvent(`"payload_type":"Refund"`),
		"no payment id":             `{"type":"payment.succeeded","timestamp":"2026-01-02T03:04:05Z","data":{}}`,
		"payment id null":           `{"type":"payment.succeeded","timestamp":"2026-01-02T03:04:05Z","data":{"payment_id":null}}`,
		"payment id odd":            `{"type":"refund.succeeded","data":{"payment_id":"pay/1","refund_id":"r"}}`,
		"payment id long":           `{"type":"refund.succeeded","data":{"payment_id":"` + strings.Repeat("p", 129) + `","refund_id":"r"}}`,
		"no refund id":              `{"type":"refund.succeeded","data":{"payment_id":"pay_1"}}`,
		"no time at all":            `{"type":"payment.succeeded","data":{"payment_id":"pay_1"}}`,
		"time odd":                  `{"type":"payment.succeeded","data":{"payment_id":"pay_1","created_at":"yesterday"}}`,
		"time a number":             `{"type":"payment.succeeded","data":{"payment_id":"pay_1","created_at":1795288583}}`,
		"time beyond year 9999":     `{"type":"payment.succeeded","data":{"payment_id":"pay_1","created_at":"9999-12-31T23:59:59-00:01"}}`,
		"time before year 0":        `{"type":"payment.succeeded","data":{"payment_id":"pay_1","created_at":"0000-01-01T00:00:00+00:01"}}`,
		"time before 1970":          `{"type":"payment.succeeded","data":{"payment_id":"pay_1","created_at":"1969-12-31T23:59:59Z"}}`,
		"amount 1e308":              paymentEvent(`"total_amount":1e308`),
		"amount 4e2":                paymentEvent(`"total_amount":4e2`),
		"amount 2^63":               paymentEvent(`"total_amount":9223372036854775808`),
		"amount beyond 10^16":       paymentEvent(`"total_amount":10000000000000001`),
		"amount fractional":         paymentEvent(`"total_amount":4.5`),
		"amount 400.0":              paymentEvent(`"total_amount":"400.0"`),
		"amount negative":           paymentEvent(`"total_amount":-1`),
		"amount a list":             paymentEvent(`"total_amount":[400]`),
		"amount true":               paymentEvent(`"total_amount":true`),
		"refund amount negative":    refundEvent("refund.succeeded", `"amount":-150`),
		"refund amount 1e308":       refundEvent("refund.succeeded", `"amount":1e308`),
		"refund of how much":        refundEvent("refund.succeeded", ``),
		"partial, of how much":      refundEvent("refund.succeeded", `"is_partial":true,"amount":null`),
		"partial or not":            refundEvent("refund.succeeded", `"is_partial":"maybe"`),
		"partial 0":                 refundEvent("refund.succeeded", `"is_partial":0`),
		"status an object":          paymentEvent(`"status":{"is":"succeeded"}`),
		"status true":               paymentEvent(`"status":true`),
		"status a sentence":         paymentEvent(`"status":"it succeeded"`),
		"currency a sentence":       paymentEvent(`"currency":"US dollars"`),
		"cart an object":            paymentEvent(`"product_cart":{}`),
		"cart of strings":           paymentEvent(`"product_cart":["pdt_1"]`),
		"cart of nulls":             paymentEvent(`"product_cart":[null]`),
		"cart too long":             paymentEvent(`"product_cart":[` + strings.Repeat(`{"product_id":"a","quantity":1},`, 1000) + `{"product_id":"a","quantity":1}]`),
		"line without a product":    paymentEvent(`"product_cart":[{"quantity":1}]`),
		"quantity missing":          paymentEvent(`"product_cart":[{"product_id":"pdt_1"}]`),
		"quantity 0":                cart(`0`),
		"quantity negative":         cart(`-3`),
		"quantity 1.5":              cart(`1.5`),
		"quantity 2^31":             cart(`2147483648`),
		"quantity 1e18":             cart(`1000000000000000000`),
		"subscription odd":          paymentEvent(`"subscription_id":"sub 1"`),
		"subscriptions odd":         paymentEvent(`"subscription_ids":[{}]`),
		"session odd":               paymentEvent(`"checkout_session_id":"../x"`),
		"customer id odd":           paymentEvent(`"customer":{"customer_id":"a:b"}`),
		"refunds an object":         paymentEvent(`"refunds":{}`),
		"refund without id":         paymentEvent(`"refunds":[{"status":"succeeded"}]`),
		"refund there twice":        paymentEvent(`"refunds":[{"refund_id":"r"},{"refund_id":"r"}]`),
		"lone surrogate in an id":   paymentEvent(`"subscription_id":"sub_\ud800"`),
		"NUL in an id":              paymentEvent(`"subscription_id":"sub_\u0000"`),
		"two faults, first is told": paymentEvent(`"total_amount":-1,"currency":"x y"`),
	} {
		t.Run(name, func(t *testing.T) {
			e, err := dodo.Decode([]byte(body))
			if !errors.Is(err, dodo.ErrUnclear) || errors.Is(err, dodo.ErrMalformed) {
				t.Fatalf("error %v, want %v", err, dodo.ErrUnclear)
			}
			if e.Fact != nil {
				t.Errorf("a fact %+v comes with the error", e.Fact)
			}
		})
	}
	e, err := dodo.Decode([]byte(`{"type":"payment.failed","business_id":"bus_1","timestamp":"2026-01-02T03:04:05Z","data":null}`))
	want := dodo.Event{Type: "payment.failed", BusinessID: "bus_1", Timestamp: moment("2026-01-02T03:04:05Z")}
	if err == nil || e != want {
		t.Errorf("of an unclear event %+v is told, want %+v", e, want)
	}
	if want := "cannot be understood: data is missing"; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

// JSON that two parsers could read differently, or none.
func TestDecodeMalformed(t *testing.T) {
	deep := func(n int) string {
		return `{"type":"x.y","data":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + `}`
	}
	if _, err := dodo.Decode([]byte(deep(64))); err != nil {
		t.Errorf("64 levels: %v", err)
	}
	for name, body := range map[string]string{
		"empty":                       ``,
		"array":                       `[]`,
		"null":                        `null`,
		"leading space":               ` {"type":"x"}`,
		"byte order mark":             "\ufeff{}",
		"trailing object":             `{"type":"x.y"}{}`,
		"trailing brace":              `{"type":"x.y"}}`,
		"NUL after":                   "{\"type\":\"x.y\"}\x00",
		"cut short":                   `{"type":"x.y","data":{`,
		"trailing comma":              `{"type":"x.y",}`,
		"comment":                     `{"type":"x.y"/**/}`,
		"NaN":                         `{"type":"x.y","data":NaN}`,
		"single quotes":               `{'type':'x.y'}`,
		"invalid UTF-8":               "{\"type\":\"x.y\",\"data\":\"\xff\"}",
		"overlong UTF-8":              "{\"type\":\"x.y\",\"data\":\"\xc0\xaf\"}",
		"65 levels":                   deep(65),
		"100,000 levels":              strings.Repeat(`{"a":`, 100_000),
		"type twice":                  `{"type":"x.y","type":"payment.succeeded"}`,
		"type in two cases":           `{"type":"x.y","TYPE":"payment.succeeded"}`,
		"Type alone":                  `{"Type":"payment.succeeded"}`,
		"type by escape":              `{"type":"x.y","\u0074ype":"payment.succeeded"}`,
		"long s":                      `{"type":"x.y","bu\u017fine\u017f\u017f_id":"b"}`,
		"long s first":                paymentEvent(`"\u017ftatus":"failed"`),
		"data twice":                  `{"type":"payment.succeeded","data":{},"data":{}}`,
		"status twice":                paymentEvent(`"status":"failed","status":"succeeded"`),
		"status and null":             paymentEvent(`"status":"failed","status":null`),
		"Status":                      paymentEvent(`"Status":"succeeded"`),
		"payment id twice":            paymentEvent(`"payment_id":"pay_1"`),
		"amount in two cases":         paymentEvent(`"total_amount":1,"Total_Amount":100`),
		"quantity twice":              paymentEvent(`"product_cart":[{"product_id":"a","quantity":1,"quantity":100}]`),
		"refund id twice":             paymentEvent(`"refunds":[{"refund_id":"a","refund_id":"b"}]`),
		"customer id twice":           paymentEvent(`"customer":{"customer_id":"a","customer_id":"b"}`),
		"metadata key twice":          paymentEvent(`"metadata":{"dodogate_order":"a","dodogate_order":"b"}`),
		"metadata key twice, once {}": paymentEvent(`"metadata":{"dodogate_order":{},"dodogate_order":"b"}`),
		"is_partial twice":            refundEvent("refund.succeeded", `"is_partial":true,"is_partial":false`),
		"ambiguous and unclear":       paymentEvent(`"total_amount":-1,"status":"failed","status":"succeeded"`),
	} {
		t.Run(name, func(t *testing.T) {
			e, err := dodo.Decode([]byte(body))
			if !errors.Is(err, dodo.ErrMalformed) || errors.Is(err, dodo.ErrUnclear) {
				t.Fatalf("error %v, want %v", err, dodo.ErrMalformed)
			}
			if e.Fact != nil {
				t.Errorf("a fact %+v comes with the error", e.Fact)
			}
		})
	}
}

// Events without an effect are believed whatever is in them.
func TestDecodeWithoutEffect(t *testing.T) {
	for _, body := range []string{
		`{"type":"widget.frobbed"}`,
		`{"type":"license_key.created","data":null}`,
		`{"type":"dunning.started","data":[1,{"status":1,"status":2}]}`,
		`{"type":"disputes.opened","data":{"payment_id":"pay_1","dispute_id":"dp_1","dispute_status":"dispute_lost"}}`,
		`{"type":"Subscription.active","data":{"subscription_id":"sub_1","status":"active"}}`,
		`{"type":"credit.added","timestamp":"whenever","business_id":{},"data":{"amount":-1.5e300}}`,
		`{"type":"paymentx","data":7}` + "\n",
		`{"type":"x.y","data":"\"` + strings.Repeat("[", 100) + `"}`,
	} {
		e, err := dodo.Decode([]byte(body))
		if err != nil || e.Fact != nil || e.Type == "" {
			t.Errorf("Decode(%s) = %+v, %v", body, e, err)
		}
	}
}

// Errors go into logs and into the journal, so they name fields and quote
// nothing.
func TestDecodeErrorsQuoteNothing(t *testing.T) {
	const marker = "jane@example.org"
	for _, body := range []string{
		paymentEvent(`"status":"` + marker + `"`),
		paymentEvent(`"total_amount":"` + marker + `"`),
		paymentEvent(`"subscription_id":"` + marker + `"`),
		paymentEvent(`"metadata":{"` + marker + `":"1","` + marker + `":"2"}`),
		`{"type":"` + marker + `"}`,
		`{"type":"x.y" ` + marker,
	} {
		_, err := dodo.Decode([]byte(body))
		if err == nil || strings.Contains(err.Error(), marker) {
			t.Errorf("Decode(%s): %v", body, err)
		}
	}
}

// Errors say where a field is, also in a list.
func TestDecodeErrorsSayWhere(t *testing.T) {
	for body, want := range map[string]string{
		`{"data":{}}`:                    "cannot be understood: type is missing or no event type",
		`{"type":"payment.succeeded"}`:   "cannot be understood: data is missing",
		paymentEvent(`"product_cart":7`): "cannot be understood: data.product_cart is not a list",
		paymentEvent(`"refunds":[{"refund_id":"a"},{"amount":1},{}]`):      "cannot be understood: data.refunds.1.refund_id is missing",
		paymentEvent(`"disputes":[{"dispute_id":"a"},7]`):                  "cannot be understood: data.disputes.1 is not an object",
		paymentEvent(`"metadata":{"a":1,"a":2},"customer":{"email":true}`): "malformed: data.metadata names a key twice",
		paymentEvent(`"customer":{"customer_id":"a","Customer_Id":"b"}`):   "malformed: data.customer.customer_id appears twice or in another case",
	} {
		if _, err := dodo.Decode([]byte(body)); err == nil || err.Error() != want {
			t.Errorf("%s: error %q, want %q", body, err, want)
		}
	}
}

// Only known types act, whatever the body says.
func TestDecodeUnknownType(t *testing.T) {
	for _, kind := range []string{"payment.invented", "Payment.succeeded", "payment.succeeded.v2", "payment", "refund.x", "dispute.postponed",
		"subscription.renewed_twice", "entitlement_grant.shared"} {
		for _, body := range []string{
			paymentEvent(`"status":"succeeded","total_amount":500`), refundEvent("refund.succeeded", `"amount":7`), `{"type":"payment.succeeded"}`,
		} {
			_, rest, _ := strings.Cut(body, `"type":"`)
			_, rest, _ = strings.Cut(rest, `"`)
			e, err := dodo.Decode([]byte(`{"type":"` + kind + `"` + rest))
			if err != nil || e.Type != kind || e.Fact != nil {
				t.Errorf("%s%s: %+v, %v", kind, rest, e, err)
			}
		}
	}
}

func TestKnownType(t *testing.T) {
	kinds := map[string]bool{}
	for _, s := range samples {
		if dodo.KnownType(s.kind) {
			kinds[s.kind] = true
		}
	}
	if len(kinds) != 48 {
		t.Errorf("%d known types among the samples, want the 48 of FACTS 3.3", len(kinds))
	}
	for _, unknown := range []string{"", "payment", "payment.success", "Payment.Succeeded", "subscription.created"} {
		if dodo.KnownType(unknown) {
			t.Errorf("%q is known", unknown)
		}
	}
}
