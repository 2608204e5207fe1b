package dodo_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// disputeEvent is an event about the dispute dp_1 of pay_1, changed.
func disputeEvent(kind string, changes map[string]string) string {
	short := map[string]string{"dispute_id": `"dp_1"`, "payment_id": `"pay_1"`}
	return `{"type":"dispute.` + kind + `","data":` + object(short, changes) + `}`
}

func TestDecodeDispute(t *testing.T) {
	type D = entitlement.DisputeStatus
	for _, tc := range []struct {
		kind, status string // the type's second word, dispute_status in JSON
		want         D
	}{
		{"opened", `"dispute_opened"`, entitlement.DisputeOpened},
		{"opened", `"dispute_won"`, entitlement.DisputeWon},
		{"won", `"dispute_lost"`, entitlement.DisputeLost},
		{"lost", `"lost"`, entitlement.DisputeLost},
		{"lost", `"DISPUTE_Lost"`, entitlement.DisputeLost},
		{"challenged", `"dispute_accepted"`, entitlement.DisputeAccepted},
		{"opened", `"dispute_frozen"`, "frozen"},

		{"opened", ``, entitlement.DisputeOpened},
		{"challenged", `null`, entitlement.DisputeChallenged},
		{"cancelled", `""`, entitlement.DisputeCancelled},
		{"won", `"dispute_"`, entitlement.DisputeWon},
		{"expired", ``, entitlement.DisputeExpired},
		{"accepted", ``, entitlement.DisputeAccepted},
		{"lost", ``, entitlement.DisputeLost},
	} {
		e, err := dodo.Decode([]byte(disputeEvent(tc.kind, set("dispute_status", tc.status))))
		if err != nil {
			t.Errorf("%s with status %s: %v", tc.kind, tc.status, err)
			continue
		}
		want := dodo.Fact{Fact: entitlement.Fact{Ref: payment("pay_1"), Payment: entitlement.Payment{Disputes: map[string]D{"dp_1": tc.want}}}}
		if !reflect.DeepEqual(*e.Fact, want) || e.Fact.Describes() {
			t.Errorf("%s with status %s: %+v, want %+v", tc.kind, tc.status, *e.Fact, want)
		}
	}
}

// Only what follows from a dispute is read of it. It has no metadata of its own.
func TestDecodeLenientDispute(t *testing.T) {
	e, err := dodo.Decode([]byte(disputeEvent("lost", set("amount", `400`, "currency", `null`, "created_at", `"yesterday"`, "dispute_id", `17`,
		"is_resolved_by_rdr", `true`, "customer", `{"customer_id":"cus_1","email":"jane@example.com"}`, "metadata", `{"dodogate_order":"o"}`))))
	if err != nil {
		t.Fatal(err)
	}
	want := dodo.Fact{
		Fact: entitlement.Fact{Ref: payment("pay_1"), Payment: entitlement.Payment{
			Disputes: map[string]entitlement.DisputeStatus{"17": entitlement.DisputeLost},
		}},
		Clues: dodo.Clues{CustomerID: "cus_1", CustomerEmail: "jane@example.com"},
	}
	if !reflect.DeepEqual(*e.Fact, want) {
		t.Errorf("got\n%+v\nwant\n%+v", *e.Fact, want)
	}
}

func TestDecodePaymentDisputes(t *testing.T) {
	type M = map[string]entitlement.DisputeStatus
	for name, tc := range map[string]struct {
		disputes string
		want     M
	}{
		"none":            {`[]`, nil},
		"null":            {`null`, nil},
		"one":             {`[{"dispute_id":"dp_1","dispute_status":"dispute_opened","amount":"400","payment_id":"pay_1"}]`, M{"dp_1": entitlement.DisputeOpened}},
		"two":             {`[{"dispute_id":"dp_1","dispute_status":"Dispute_Won"},{"dispute_id":2,"dispute_status":"lost"}]`, M{"dp_1": entitlement.DisputeWon, "2": entitlement.DisputeLost}},
		"status not said": {`[{"dispute_id":"dp_1","dispute_status":null}]`, M{"dp_1": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := dodo.Decode([]byte(paymentEvent(`"disputes":` + tc.disputes)))
			if err != nil {
				t.Fatal(err)
			}
			if got := e.Fact.Payment.Disputes; !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestDecodeUnclearDispute(t *testing.T) {
	for name, body := range map[string]string{
		"no data":             `{"type":"dispute.opened"}`,
		"data null":           `{"type":"dispute.lost","data":null}`,
		"data a list":         `{"type":"dispute.lost","data":[]}`,
		"another payload":     disputeEvent("lost", set("payload_type", `"Payment"`)),
		"no payment":          disputeEvent("lost", set("payment_id", ``)),
		"payment null":        disputeEvent("lost", set("payment_id", `null`)),
		"payment odd":         disputeEvent("lost", set("payment_id", `"pay/1"`)),
		"no id":               disputeEvent("lost", set("dispute_id", ``)),
		"id null":             disputeEvent("lost", set("dispute_id", `null`)),
		"id an object":        disputeEvent("lost", set("dispute_id", `{}`)),
		"status a sentence":   disputeEvent("lost", set("dispute_status", `"dispute is lost"`)),
		"status true":         disputeEvent("lost", set("dispute_status", `true`)),
		"customer odd":        disputeEvent("lost", set("customer", `{"customer_id":"a:b"}`)),
		"list an object":      paymentEvent(`"disputes":{}`),
		"list of strings":     paymentEvent(`"disputes":["dp_1"]`),
		"list without id":     paymentEvent(`"disputes":[{"dispute_status":"dispute_lost"}]`),
		"list with one twice": paymentEvent(`"disputes":[{"dispute_id":"dp_1"},{"dispute_id":"dp_1"}]`),
		"list too long":       paymentEvent(`"disputes":[` + strings.Repeat(`{"dispute_id":"a"},`, 1000) + `{"dispute_id":"b"}]`),
	} {
		t.Run(name, func(t *testing.T) {
			e, err := dodo.Decode([]byte(body))
			if !errors.Is(err, dodo.ErrUnclear) || errors.Is(err, dodo.ErrMalformed) || e.Fact != nil {
				t.Errorf("%+v, %v; want %v", e.Fact, err, dodo.ErrUnclear)
			}
		})
	}
	for name, body := range map[string]string{
		"status twice":        disputeEvent("lost", set("dispute_status", `"dispute_won","dispute_status":"dispute_lost"`)),
		"in two cases":        disputeEvent("lost", set("Dispute_Status", `"dispute_won"`)),
		"payment twice":       disputeEvent("lost", set("payment_id", `"pay_1","payment_id":"pay_2"`)),
		"status twice inside": paymentEvent(`"disputes":[{"dispute_id":"a","dispute_status":"won","dispute_status":"lost"}]`),
	} {
		t.Run(name, func(t *testing.T) {
			e, err := dodo.Decode([]byte(body))
			if !errors.Is(err, dodo.ErrMalformed) || e.Fact != nil {
				t.Errorf("%+v, %v; want %v", e.Fact, err, dodo.ErrMalformed)
			}
		})
	}
	_, err := dodo.Decode([]byte(disputeEvent("lost", set("dispute_status", `"jane@example.org"`))))
	if err == nil || strings.Contains(err.Error(), "jane") {
		t.Errorf("error %v", err)
	}
}
