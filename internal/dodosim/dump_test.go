package dodosim_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// TestDump shows everything, and nothing that is secret.
func TestDump(t *testing.T) {
	shop := open(t, func(o *dodosim.Options) {
		o.WebhookURL = strings.Replace(o.WebhookURL, "://", "://user:hidden@", 1) + "/hook?token=hidden"
		o.ShortDisputes, o.SubscriptionQuantities = true, false
	})
	shop.call("POST", "/webhooks", `{"url":"http://other.example/hook","disabled":true,"headers":{"X-Test":"hidden"}}`)
	for _, eventType := range dodosim.EventTypes() {
		_, _ = shop.sim.Trigger(dodosim.Trigger{Type: eventType, Account: "ada"}) // whatever comes of it
	}
	shop.call("POST", "/events/ingest", `{"events":[{"event_id":"a","customer_id":"`+shop.customer()+`","event_name":"b"}]}`)
	raw, err := shop.sim.Dump()
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{key, secret[6:], "hidden"} {
		if strings.Contains(string(raw), secret) {
			t.Error("the dump has", secret)
		}
	}
	var dump map[string]any
	decode(t, raw, &dump)
	for name, value := range dump {
		if v := reflect.ValueOf(value); v.Kind() == reflect.Slice && v.Len() == 0 {
			t.Error("there are no", name)
		}
	}
	if endpoint := dump["webhook_endpoints"].([]any)[1].(map[string]any); endpoint["url"] != "http://other.example/hook" ||
		!reflect.DeepEqual(endpoint["headers"], []any{"X-Test"}) {
		t.Error(endpoint)
	}
	if options := dump["options"]; !reflect.DeepEqual(options, map[string]any{"short_disputes": true}) {
		t.Error(options)
	}
}

// customer is somebody who has bought something.
func (s *shop) customer() string {
	var list struct {
		Items []struct {
			ID string `json:"customer_id"`
		}
	}
	decode(s.t, s.get("/customers"), &list)
	return list.Items[0].ID
}

func TestDumpOfNothing(t *testing.T) {
	raw, err := open(t, nil).sim.Dump()
	if err != nil {
		t.Fatal(err)
	}
	var dump map[string]any
	decode(t, raw, &dump)
	for name, value := range dump {
		if value == nil {
			t.Error(name, "is null")
		}
	}
}
