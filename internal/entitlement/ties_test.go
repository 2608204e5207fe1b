package entitlement_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
)

// TestEveryFieldBreaksTies: of two bodies of the same instant that differ in only one field,
// the same one wins in both orders.
func TestEveryFieldBreaksTies(t *testing.T) {
	state := body("active", "pdt_pro", 0).State
	checkTies(t, state, func(v entitlement.SubscriptionState) entitlement.SubscriptionState {
		return entitlement.Subscription{State: v}.Merge(entitlement.Subscription{}).State
	}, func(a, b entitlement.SubscriptionState) entitlement.SubscriptionState {
		return entitlement.Subscription{State: a}.Merge(entitlement.Subscription{State: b}).State
	})
	checkTies(t, paid(line("pdt_pack", 1)), func(v entitlement.Payment) entitlement.Payment {
		return v.Merge(entitlement.Payment{})
	}, entitlement.Payment.Merge)
	checkTies(t, entitlement.Feature{At: noon, Status: "delivered", Name: "reports"}, func(v entitlement.Feature) entitlement.Feature {
		return v.Merge(entitlement.Feature{})
	}, entitlement.Feature.Merge)
	refunded := func(r entitlement.Refund) entitlement.Payment {
		return entitlement.Payment{Refunds: map[string]entitlement.Refund{"r": r}}
	}
	checkTies(t, entitlement.Refund{Status: "succeeded", Amount: 5, Currency: "USD"}, func(v entitlement.Refund) entitlement.Refund { return v },
		func(a, b entitlement.Refund) entitlement.Refund { return refunded(a).Merge(refunded(b)).Refunds["r"] })
}

// checkTies changes each field of a value, and merges both in either order.
func checkTies[T any](t *testing.T, value T, alone func(T) T, merge func(T, T) T) {
	t.Helper()
	for i := range reflect.TypeOf(value).NumField() {
		other := value
		field := reflect.ValueOf(&other).Elem().Field(i)
		name := reflect.TypeOf(value).Name() + "." + reflect.TypeOf(value).Field(i).Name
		switch v := field.Interface().(type) {
		case time.Time:
			field.Set(reflect.ValueOf(v.Add(time.Millisecond)))
		case []entitlement.Line:
			field.Set(reflect.ValueOf([]entitlement.Line{{ProductID: v[0].ProductID, Quantity: v[0].Quantity + 1}}))
		default:
			switch field.Kind() {
			case reflect.String:
				field.SetString(field.String() + "x")
			case reflect.Int64:
				field.SetInt(field.Int() + 1)
			case reflect.Bool:
				field.SetBool(!field.Bool())
			case reflect.Map: // is united, and has no order
				continue
			default:
				t.Fatalf("%s has a kind that this test does not know", name)
			}
		}
		ab, ba := merge(value, other), merge(other, value)
		if !reflect.DeepEqual(ab, ba) {
			t.Errorf("%s: %+v in one order, %+v in the other", name, ab, ba)
		}
		if !reflect.DeepEqual(ab, alone(value)) && !reflect.DeepEqual(ab, alone(other)) {
			t.Errorf("%s: the merge is neither of the two: %+v", name, ab)
		}
	}
}
