package dodosim_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/dodopayments/dodopayments-go"
	"github.com/dodopayments/dodopayments-go/option"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// field is what the SDK's decoder notes of each field: apijson.Field.
type field interface {
	IsNull() bool // or missing
	IsMissing() bool
	IsInvalid() bool
}

// lacking lists what the SDK's own decoder misses in what it has decoded: fields that it
// marks as required and that are not there, those whose value it could not use, and those
// that it does not know.
func lacking(decoded any) []string { return lackingIn(reflect.ValueOf(decoded), "") }

func lackingIn(v reflect.Value, path string) []string {
	var missed []string
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return lackingIn(v.Elem(), path)
		}
	case reflect.Slice:
		for i := range v.Len() {
			missed = append(missed, lackingIn(v.Index(i), fmt.Sprintf("%s[%d]", path, i))...)
		}
	case reflect.Struct:
		notes := v.FieldByName("JSON")
		if !notes.IsValid() || notes.Kind() != reflect.Struct {
			return nil
		}
		for i := range v.NumField() {
			missed = append(missed, lackingField(v.Type().Field(i), v.Field(i), notes, path)...)
		}
		for _, name := range notes.FieldByName("ExtraFields").MapKeys() {
			missed = append(missed, path+"."+name.String()+" is not known")
		}
	}
	return missed
}

func lackingField(of reflect.StructField, value, notes reflect.Value, path string) []string {
	name, _, _ := strings.Cut(of.Tag.Get("json"), ",")
	note := notes.FieldByName(of.Name)
	if !of.IsExported() || name == "" || name == "-" || !note.IsValid() {
		return nil
	}
	path += "." + name
	switch decoded := note.Interface().(field); {
	case decoded.IsInvalid():
		return []string{path + " cannot be used"}
	case decoded.IsNull() && of.Tag.Get("api") == "required":
		return []string{path + " is missing"}
	case decoded.IsNull():
		return nil
	}
	return lackingIn(value, path)
}

// TestLacking shows that what the other tests rely on can fail.
func TestLacking(t *testing.T) {
	for name, test := range map[string]struct{ body, want string }{
		"whole":    {`{"customer_id":"c","business_id":"b","created_at":"2030-01-01T00:00:00Z","email":"e","name":"n","metadata":{},"phone_number":null}`, "[]"},
		"missing":  {`{"customer_id":"c","business_id":"b","created_at":"2030-01-01T00:00:00Z","email":"e"}`, "[.name is missing]"},
		"null":     {`{"customer_id":null,"business_id":"b","created_at":"2030-01-01T00:00:00Z","email":"e","name":"n"}`, "[.customer_id is missing]"},
		"no time":  {`{"customer_id":"c","business_id":"b","created_at":"today","email":"e","name":"n"}`, "[.created_at cannot be used]"},
		"no field": {`{"customer_id":"c","business_id":"b","created_at":"2030-01-01T00:00:00Z","email":"e","name":"n","age":4}`, "[.age is not known]"},
	} {
		t.Run(name, func(t *testing.T) {
			var c dodopayments.Customer
			if err := c.UnmarshalJSON([]byte(test.body)); err != nil && name != "no time" {
				t.Fatal(err)
			}
			if got := fmt.Sprint(lacking(c)); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// beside is what this SDK has no fields for, by the beginning of the event's type.
var beside = map[string][]string{
	"":              {".data.payload_type"},                                                         // documented apart from the object (FACTS 3.2)
	"subscription.": {".data.past_due_ends_at"},                                                     // newer (FACTS 7)
	"dispute.":      {".data.brand_id", ".data.customer", ".data.payment_provider", ".data.reason"}, // the long form (FACTS 3.8)
}

func isBeside(eventType, missed string) bool {
	path, unknown := strings.CutSuffix(missed, " is not known")
	for begins, paths := range beside {
		if unknown && strings.HasPrefix(eventType, begins) && slices.Contains(paths, path) {
			return true
		}
	}
	return false
}

// unwraps lets the SDK verify and decode a webhook.
func (s *shop) unwraps(d dodosim.Delivery) {
	s.t.Helper()
	event, err := s.client().Webhooks.Unwrap(d.Body, d.Header, option.WithWebhookKey(secret))
	if err != nil {
		s.t.Errorf("%s: %v", d.Type, err)
		return
	}
	if d.Type == "subscription.past_due" { // the SDK takes it for another type (FACTS 1.7)
		return
	}
	as := event.AsUnion()
	if got, want := reflect.TypeOf(as).Name(), goName(d.Type)+"WebhookEvent"; got != want {
		s.t.Errorf("%s is decoded as %s, not %s", d.Type, got, want)
	}
	for _, missed := range lacking(as) {
		if !isBeside(d.Type, missed) {
			s.t.Errorf("%s: %s", d.Type, missed)
		}
	}
}

// goName is payment.succeeded as PaymentSucceeded.
func goName(eventType string) string {
	var name strings.Builder
	for _, word := range strings.FieldsFunc(eventType, func(c rune) bool { return c == '.' || c == '_' }) {
		name.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return name.String()
}
