package dodosim_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dodopayments/dodopayments-go"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// ear hears webhooks without checking them.
type ear struct {
	url   string
	mu    sync.Mutex
	heard []http.Header
	types []string
	last  []byte
}

func newEar(t *testing.T) *ear {
	e := &ear{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var envelope struct{ Type string }
		decode(t, body, &envelope)
		e.mu.Lock()
		defer e.mu.Unlock()
		e.heard, e.types, e.last = append(e.heard, r.Header), append(e.types, envelope.Type), body
	}))
	t.Cleanup(server.Close)
	e.url = server.URL
	return e
}

func (e *ear) verifies(t *testing.T, secret string) bool {
	t.Helper()
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	return verifier.Verify(e.last, e.heard[len(e.heard)-1]) == nil
}

func TestOfficialSDKWebhookEndpoints(t *testing.T) {
	shop, ctx, other := open(t, nil), t.Context(), newEar(t)
	client := shop.client()
	made, err := client.Webhooks.New(ctx, dodopayments.WebhookNewParams{
		URL: dodopayments.F(other.url), Description: dodopayments.F("books"),
		FilterTypes: dodopayments.F([]dodopayments.WebhookEventType{"refund.succeeded", "payment.succeeded"}),
		Headers:     dodopayments.F(map[string]string{"x-shop": "one", "authorization": "Bearer mine"}),
		Metadata:    dodopayments.F(map[string]string{"a": "b"}), IdempotencyKey: dodopayments.F("once"),
	})
	if err != nil || made.URL != other.url || made.Metadata["a"] != "b" || len(made.FilterTypes) != 2 {
		t.Fatalf("%+v, %v", made, err)
	}
	if got, err := client.Webhooks.Get(ctx, made.ID); err != nil || got.Description != "books" {
		t.Errorf("%+v, %v", got, err)
	}
	if again := shop.ask("POST", "/webhooks", `{"url":"https://shop.example/other","idempotency_key":"once"}`); again["id"] != made.ID || again["url"] != other.url {
		t.Errorf("under the same key %v", again)
	}
	key, err := client.Webhooks.GetSecret(ctx, made.ID)
	if err != nil || !strings.HasPrefix(key.Secret, "whsec_") {
		t.Fatalf("%+v, %v", key, err)
	}

	// Both endpoints hear of a sale, each with its own signature and id.
	shop.pay(shop.checkout(onePack))
	shop.flush()
	if !slices.Equal(other.types, []string{"payment.succeeded"}) || len(shop.hooks.bodies()) != 1 {
		t.Fatalf("heard %v", other.types)
	}
	if !other.verifies(t, key.Secret) || other.verifies(t, secret) {
		t.Error("the webhook is not signed with the endpoint's own secret")
	}
	if h := other.heard[0]; h.Get("X-Shop") != "one" || h.Get("Authorization") != "Bearer mine" {
		t.Errorf("headers %v", h)
	}
	events := shop.sim.Events()
	if len(events) != 2 || events[0].ID == events[1].ID || events[1].EndpointID != made.ID || events[1].State != dodosim.EventDelivered {
		t.Errorf("events %+v", events)
	}

	// Both secrets sign for a day after one was rotated.
	renewed, err := shop.sim.RotateWebhookSecret(made.ID)
	if err != nil {
		t.Fatal(err)
	}
	shop.pay(shop.checkout(onePack))
	shop.flush()
	if !other.verifies(t, key.Secret) || !other.verifies(t, renewed) {
		t.Error("not signed with both secrets during the rotation")
	}

	// A filter lets nothing else through; a disabled and a deleted endpoint hear nothing.
	if _, err := shop.sim.Pay(shop.checkout(onePack), dodosim.CardDeclined); err != nil {
		t.Fatal(err)
	}
	if changed, err := client.Webhooks.Update(ctx, made.ID, dodopayments.WebhookUpdateParams{Disabled: dodopayments.F(true)}); err != nil || !changed.Disabled || changed.Description != "books" {
		t.Errorf("%+v, %v", changed, err)
	}
	shop.pay(shop.checkout(onePack))
	shop.ask("PATCH", "/webhooks/"+made.ID, `{"disabled":false,"filter_types":[]}`)
	if err := client.Webhooks.Headers.Update(ctx, made.ID, dodopayments.WebhookHeaderUpdateParams{Headers: dodopayments.F(map[string]string{"X-Shop": "two"})}); err != nil {
		t.Error(err)
	}
	if got, err := client.Webhooks.Headers.Get(ctx, made.ID); err != nil || got.Headers["X-Shop"] != "two" || !slices.Equal(got.Sensitive, []string{"Authorization"}) || len(got.Headers) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := shop.sim.Pay(shop.checkout(onePack), dodosim.CardDeclined); err != nil {
		t.Fatal(err)
	}
	shop.flush()
	if err := client.Webhooks.Delete(ctx, made.ID); err != nil {
		t.Error(err)
	}
	shop.pay(shop.checkout(onePack))
	shop.flush()
	if wanted := []string{"payment.succeeded", "payment.succeeded", "payment.failed"}; !slices.Equal(other.types, wanted) || other.heard[2].Get("X-Shop") != "two" {
		t.Errorf("heard %v, wanted %v", other.types, wanted)
	}
	shop.refuses(refusal{"GET", "/webhooks/" + made.ID, "", 404, "NOT_FOUND"})
}

// The secret before the last one stops to sign a day after the rotation, by the clock
// that signatures carry.
func TestRotationEnds(t *testing.T) {
	base := time.Now()
	now := base
	shop := open(t, func(o *dodosim.Options) { o.Clock = func() time.Time { return now } })
	shop.sim.HoldWebhooks(true)
	configured := shop.ask("GET", "/webhooks", "")["data"].([]any)[0].(object)
	if got := shop.ask("GET", "/webhooks/"+configured["id"].(string)+"/secret", "")["secret"]; got != secret {
		t.Errorf("secret of the configured endpoint %v", got)
	}
	if _, err := shop.sim.RotateWebhookSecret(configured["id"].(string)); err != nil {
		t.Fatal(err)
	}
	if _, err := shop.sim.RotateWebhookSecret("whk_no"); err == nil {
		t.Error("rotated the secret of no endpoint")
	}
	quiet := newEar(t)
	shop.ask("PATCH", "/webhooks/"+configured["id"].(string), `{"url":"`+quiet.url+`"}`)
	shop.pay(shop.checkout(onePack))
	for after, wanted := range map[time.Duration]int{0: 2, 24*time.Hour - time.Second: 2, 24 * time.Hour: 1} {
		now = base.Add(after)
		sent, err := shop.sim.Redeliver(t.Context(), shop.sim.Events()[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(strings.Fields(sent.Header.Get("webhook-signature"))); got != wanted {
			t.Errorf("%s after the rotation %d signatures, wanted %d", after, got, wanted)
		}
	}
}

func TestSharedWebhookIDs(t *testing.T) {
	shop, other := open(t, func(o *dodosim.Options) { o.SharedWebhookIDs = true }), newEar(t)
	shop.ask("POST", "/webhooks", `{"url":"`+other.url+`"}`)
	shop.pay(shop.checkout(onePack))
	if events := shop.sim.Events(); len(events) != 2 || events[0].ID != events[1].ID {
		t.Errorf("%+v", events)
	}
	shop.flush()
}

// Without a configured endpoint, one that the API makes is told.
func TestOnlyMadeEndpoint(t *testing.T) {
	shop, only := open(t, func(o *dodosim.Options) { o.WebhookURL, o.WebhookSecret = "", "" }), newEar(t)
	shop.pay(shop.checkout(onePack))
	if _, err := shop.sim.Redeliver(t.Context(), shop.sim.Events()[0].ID); err == nil {
		t.Error("delivered to nowhere")
	}
	shop.ask("POST", "/webhooks", `{"url":"`+only.url+`"}`)
	shop.pay(shop.checkout(onePack))
	shop.flush()
	if !slices.Equal(only.types, []string{"payment.succeeded"}) {
		t.Errorf("heard %v", only.types)
	}
}

func TestWebhookPages(t *testing.T) {
	shop := open(t, nil)
	for range 4 {
		shop.ask("POST", "/webhooks", `{"url":"https://shop.example/hook","disabled":true}`)
	}
	var ids []string
	path := "/webhooks?limit=2"
	for page := range 3 {
		got := shop.ask("GET", path, "")
		for _, h := range got["data"].([]any) {
			ids = append(ids, h.(object)["id"].(string))
		}
		if got["done"] != (page == 2) {
			t.Fatalf("page %d: %v", page, got)
		}
		if page < 2 {
			path = "/webhooks?limit=2&iterator=" + got["iterator"].(string)
		}
	}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != 5 {
		t.Errorf("ids %v", ids)
	}
	id := ids[0]
	shop.refuses(
		refusal{"POST", "/webhooks", `{}`, 422, "INVALID_REQUEST_BODY"},
		refusal{"POST", "/webhooks", `{"url":"ftp://x"}`, 422, "INVALID_REQUEST_PARAMETERS"},
		refusal{"POST", "/webhooks", `{"url":"https://shop.example","filter_types":["subscription.created"]}`, 422, "INVALID_REQUEST_BODY"},
		refusal{"POST", "/webhooks", `{"url":"https://shop.example","headers":{"webhook-id":"x"}}`, 422, "INVALID_REQUEST_PARAMETERS"},
		refusal{"POST", "/webhooks", `{"url":"https://shop.example","headers":{"x":"a\nb"}}`, 422, "INVALID_REQUEST_PARAMETERS"},
		refusal{"POST", "/webhooks", `{"url":"https://shop.example","rate_limit":-1}`, 422, "INVALID_REQUEST_PARAMETERS"},
		refusal{"PATCH", "/webhooks/" + id, `{"url":"x"}`, 422, "INVALID_REQUEST_PARAMETERS"},
		refusal{"PATCH", "/webhooks/whk_no", `{}`, 404, "NOT_FOUND"},
		refusal{"DELETE", "/webhooks/whk_no", "", 404, "NOT_FOUND"},
		refusal{"GET", "/webhooks/whk_no/secret", "", 404, "NOT_FOUND"},
		refusal{"GET", "/webhooks/whk_no/headers", "", 404, "NOT_FOUND"},
		refusal{"PATCH", "/webhooks/whk_no/headers", `{"headers":{}}`, 404, "NOT_FOUND"},
		refusal{"PATCH", "/webhooks/" + id + "/headers", `{}`, 422, "INVALID_REQUEST_BODY"},
		refusal{"GET", "/webhooks?limit=0", "", 422, "INVALID_QUERY_PARAMS"},
		refusal{"GET", "/webhooks?iterator=x", "", 422, "INVALID_QUERY_PARAMS"},
	)
}
