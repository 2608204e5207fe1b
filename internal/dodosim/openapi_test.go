package dodosim_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// description is Dodo's published API description. It is OpenAPI 3.1, whose schemas are
// plain JSON Schema 2020-12, so a JSON Schema validator reads them as they are: type
// arrays, null, oneOf and all.
//
// It is made stricter in one way: fields that it does not name are refused, so that a
// misspelt optional field cannot pass for a missing one.
type description struct {
	document map[string]any
	mu       sync.Mutex
	compiler *jsonschema.Compiler
	answered map[string]bool // operations, such as "GET /payments", that have been seen to succeed
}

const descriptionURL = "https://description.test/openapi.json"

var loadDescription = sync.OnceValue(func() *description {
	file, err := os.Open("testdata/openapi.json")
	if err != nil {
		panic(err)
	}
	defer file.Close()
	document, err := jsonschema.UnmarshalJSON(file)
	if err != nil {
		panic(err)
	}
	d := &description{document: document.(map[string]any), compiler: jsonschema.NewCompiler(), answered: make(map[string]bool)}
	refuseUnnamedFields(d.document)
	amend(d.document)
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.compiler.AssertFormat()
	d.compiler.RegisterFormat(&jsonschema.Format{Name: "int32", Validate: integerUpTo(math.MaxInt32)})
	d.compiler.RegisterFormat(&jsonschema.Format{Name: "int64", Validate: integerUpTo(math.MaxInt64)})
	if err := d.compiler.AddResource(descriptionURL, document); err != nil {
		panic(err)
	}
	return d
})

// refuseUnnamedFields closes every component that lists its properties. Prices are left
// open, because they are combined by allOf with the field that tells them apart.
func refuseUnnamedFields(document map[string]any) {
	schemas := document["components"].(map[string]any)["schemas"].(map[string]any)
	for name, schema := range schemas {
		schema := schema.(map[string]any)
		if schema["properties"] != nil && schema["additionalProperties"] == nil && !strings.HasSuffix(name, "Price") {
			schema["additionalProperties"] = false
		}
	}
}

// amend adds what servers have learnt since: the grace period of subscriptions (FACTS 7).
// Tests of a simulator without one make sure that it does not show. And it mends a schema
// that no feature flag could fit.
func amend(document map[string]any) {
	schemas := document["components"].(map[string]any)["schemas"].(map[string]any)
	status := schemas["SubscriptionStatus"].(map[string]any)
	status["enum"] = append(status["enum"].([]any), "past_due")
	properties := schemas["SubscriptionResponse"].(map[string]any)["properties"].(map[string]any)
	properties["past_due_ends_at"] = map[string]any{"type": []any{"string", "null"}, "format": "date-time"}
	config := schemas["IntegrationConfigResponse"].(map[string]any)
	config["anyOf"] = config["oneOf"] // that of a licence key requires nothing, so every other one fits it too
	delete(config, "oneOf")
	webhooks := document["webhooks"].(map[string]any)
	encoded, err := json.Marshal(webhooks["subscription.on_hold"])
	if err != nil {
		panic(err)
	}
	encoded = bytes.ReplaceAll(encoded, []byte("subscription.on_hold"), []byte("subscription.past_due"))
	if webhooks["subscription.past_due"], err = jsonschema.UnmarshalJSON(bytes.NewReader(encoded)); err != nil {
		panic(err)
	}
}

func integerUpTo(highest int64) func(any) error {
	return func(value any) error {
		number, ok := value.(json.Number)
		if !ok {
			return nil // not a number at all: for "type" to judge
		}
		n, err := strconv.ParseInt(number.String(), 10, 64)
		if err != nil || n > highest || n < -highest-1 {
			return errors.New("out of range")
		}
		return nil
	}
}

// operation finds the method and path that a request is for. Of the paths that fit, the
// one that spells out more of it wins: /discounts/code/{code}, not /discounts/{id}/….
func (d *description) operation(r *http.Request) (method, path string, described map[string]any) {
	method = strings.ToLower(r.Method)
	best := -1
	for candidate, operations := range d.document["paths"].(map[string]any) {
		operation, ok := operations.(map[string]any)[method].(map[string]any)
		if literal := literalSegments(candidate, r.URL.Path); ok && literal > best {
			best, path, described = literal, candidate, operation
		}
	}
	return method, path, described
}

// literalSegments counts the parts of a path that a pattern spells out; -1: it does not fit.
func literalSegments(pattern, path string) int {
	wanted, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(wanted) != len(got) {
		return -1
	}
	count := 0
	for i := range wanted {
		switch {
		case strings.HasPrefix(wanted[i], "{"):
		case wanted[i] != got[i]:
			return -1
		default:
			count++
		}
	}
	return count
}

// response validates the body of an API response. Error bodies have no schema there;
// they must be Dodo's two strings (FACTS 1.3), or nothing with a 429 (FACTS 1.4).
func (d *description) response(r *http.Request, status int, contentType string, body []byte) error {
	if status >= 300 {
		return refusalBody(status, contentType, body)
	}
	method, path, operation := d.operation(r)
	if operation == nil {
		return fmt.Errorf("%s %s is not in the description", r.Method, r.URL.Path)
	}
	code := strconv.Itoa(status)
	answer, ok := operation["responses"].(map[string]any)[code].(map[string]any)
	if !ok {
		return fmt.Errorf("%s %s has no status %s in the description", method, path, code)
	}
	d.mu.Lock()
	d.answered[strings.ToUpper(method)+" "+path] = true
	d.mu.Unlock()
	if answer["content"] == nil {
		if len(body) != 0 || contentType != "" {
			return fmt.Errorf("a body where none is described: %s", body)
		}
		return nil
	}
	if _, document := answer["content"].(map[string]any)["application/pdf"]; document {
		if contentType != "application/pdf" || !bytes.HasPrefix(body, []byte("%PDF-")) {
			return fmt.Errorf("no PDF but %q", contentType)
		}
		return nil
	}
	if contentType != "application/json" {
		return fmt.Errorf("content type %q", contentType)
	}
	return d.validate(body, "paths", path, method, "responses", code, "content", "application/json", "schema")
}

func refusalBody(status int, contentType string, body []byte) error {
	if status == http.StatusTooManyRequests && len(body) == 0 {
		return nil
	}
	if contentType != "application/json" {
		return fmt.Errorf("content type %q", contentType)
	}
	var refusal map[string]string
	if err := json.Unmarshal(body, &refusal); err != nil {
		return err
	}
	if len(refusal) != 2 || refusal["code"] == "" || refusal["message"] == "" {
		return fmt.Errorf("error body %s", body)
	}
	return nil
}

// payloadTypes are those of FACTS 3.2, by the first word of the event's type.
var payloadTypes = map[string]string{
	"payment": "Payment", "refund": "Refund", "subscription": "Subscription", "dispute": "Dispute", "credit": "CreditLedgerEntry",
	"license_key": "LicenseKey", "entitlement_grant": "EntitlementGrant", "payout": "Payout", "dunning": "DunningAttempt",
	"abandoned_checkout": "AbandonedCheckout",
}

// webhook validates the body of a webhook.
func (d *description) webhook(body []byte) error {
	var envelope map[string]any
	if err := json.Unmarshal(body, &envelope); err != nil {
		return err
	}
	eventType, _ := envelope["type"].(string)
	data, _ := envelope["data"].(map[string]any)
	wanted := payloadTypes[strings.Split(eventType, ".")[0]]
	if eventType == "payout.not_initiated" { // the older name (FACTS 3.3), which is not described
		eventType = "payout.created"
		envelope["type"] = eventType
	}
	if eventType == "credit.balance_low" {
		wanted = "CreditBalanceLow"
	}
	if data["payload_type"] != wanted {
		return fmt.Errorf("%s has payload_type %v", eventType, data["payload_type"])
	}
	delete(data, "payload_type") // documented apart from the object (FACTS 3.2)
	if _, long := data["customer"]; long && wanted == "Dispute" {
		if err := d.longDispute(data); err != nil {
			return err
		}
	}
	rest, err := json.Marshal(envelope)
	if err != nil {
		return err
	}
	return d.validate(rest, "webhooks", eventType, "post", "requestBody", "content", "application/json", "schema")
}

// longDispute validates a dispute in the form that the examples have, and leaves of it
// the short one that the schema of the webhook has (FACTS 3.8).
func (d *description) longDispute(data map[string]any) error {
	encoded, err := json.Marshal(data)
	if err != nil {
		return err
	}
	for _, name := range []string{"customer", "brand_id", "payment_provider", "reason"} {
		delete(data, name)
	}
	return d.validate(encoded, "components", "schemas", "GetDisputeResponse")
}

func (d *description) validate(body []byte, at ...string) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	pointer := ""
	for _, token := range at {
		pointer += "/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(token)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	schema, err := d.compiler.Compile(descriptionURL + "#" + pointer)
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// described fails the test for every response of the API that the description does not
// allow. The hosted page is not part of it.
func described(t *testing.T, next http.Handler) http.Handler {
	d := loadDescription()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/session/") || strings.HasPrefix(r.URL.Path, "/portal/") {
			next.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		if err := d.response(r, answer.Code, answer.Header().Get("Content-Type"), answer.Body.Bytes()); err != nil {
			t.Errorf("%s %s: status %d: %v", r.Method, r.URL, answer.Code, err)
		}
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	})
}

// TestDescriptionRefuses shows that the validation on which the other tests rely can
// fail, by spoiling real objects one field at a time.
func TestDescriptionRefuses(t *testing.T) {
	shop := open(t, nil)
	attempt := shop.pay(shop.checkout(`{"product_cart":[{"product_id":"pdt_pack","quantity":1}]}`))
	shop.flush()
	request := httptest.NewRequest("GET", "/payments/"+attempt.PaymentID, nil)
	payment := shop.get("/payments/" + attempt.PaymentID)
	webhook := shop.hooks.bodies()[0]
	d := loadDescription()
	if err := d.response(request, 200, "application/json", payment); err != nil {
		t.Fatal("an unspoilt payment:", err)
	}
	if err := d.webhook(webhook); err != nil {
		t.Fatal("an unspoilt webhook:", err)
	}
	for name, spoil := range map[string]func(payment map[string]any){
		"missing":              func(p map[string]any) { delete(p, "settlement_currency") },
		"null":                 func(p map[string]any) { p["total_amount"] = nil },
		"wrong type":           func(p map[string]any) { p["created_at"] = 5 },
		"no time":              func(p map[string]any) { p["created_at"] = "yesterday" },
		"too large":            func(p map[string]any) { p["total_amount"] = 1 << 31 },
		"unknown value":        func(p map[string]any) { p["status"] = "done" },
		"unknown currency":     func(p map[string]any) { p["currency"] = "XXX" },
		"unnamed field":        func(p map[string]any) { p["payment_methd"] = "card" },
		"nested":               func(p map[string]any) { delete(p["customer"].(map[string]any), "email") },
		"null instead of list": func(p map[string]any) { p["refunds"] = nil },
		"null metadata value":  func(p map[string]any) { p["metadata"] = map[string]any{"a": nil} },
	} {
		t.Run(name, func(t *testing.T) {
			var object, envelope map[string]any
			decode(t, payment, &object)
			spoil(object)
			if d.response(request, 200, "application/json", encode(t, object)) == nil {
				t.Error("a spoilt payment passed")
			}
			decode(t, webhook, &envelope)
			spoil(envelope["data"].(map[string]any))
			if d.webhook(encode(t, envelope)) == nil {
				t.Error("a spoilt webhook passed")
			}
		})
	}
	if d.response(request, 404, "application/json", []byte(`{"error":"no"}`)) == nil {
		t.Error("an error body in another form passed")
	}
}

func decode(t *testing.T, body []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
}

func encode(t *testing.T, value any) []byte {
	t.Helper()
	body, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return body
}
