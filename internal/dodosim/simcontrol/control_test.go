package simcontrol_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestPurchase goes through a subscription's life by the control API alone.
func TestPurchase(t *testing.T) {
	b := newBench(t)
	r := request("POST", "/checkouts", `{"product_cart":[{"product_id":"pdt_pro","quantity":1}],"metadata":{"user_id":"ada"},"return_url":"http://shop.example/"}`)
	r.Header.Set("Authorization", "Bearer "+key)
	status, body := b.answer(r)
	_, rest, _ := strings.Cut(string(body), `"session_id":"`)
	session, _, _ := strings.Cut(rest, `"`)
	if status != http.StatusOK || !strings.HasPrefix(session, "cks_") {
		t.Fatalf("%d %s", status, body)
	}
	if status, body := b.answer(request("POST", "/__sim/pay", `{"session":"`+session+`","card":"1"}`)); status != http.StatusUnprocessableEntity {
		t.Errorf("paid by what is no test card: %d %s", status, body)
	}
	declined := b.do("POST", "/__sim/pay", `{"session":"`+session+`","card":"4000 0000 0000 0002"}`)
	paid := b.do("POST", "/__sim/pay", `{"session":"`+session+`"}`)
	if declined["status"] != "failed" || paid["status"] != "succeeded" || !strings.HasPrefix(paid["redirect_url"].(string), "http://shop.example/?") {
		t.Error(declined, paid)
	}
	renewed := b.do("POST", "/__sim/advance", `{"by":"31d"}`)
	if got := types(renewed); got != "payment.succeeded subscription.renewed subscription.updated" || renewed["happened"] != 1.0 {
		t.Error(got, renewed)
	}
	if now, err := time.Parse(time.RFC3339, renewed["now"].(string)); err != nil || time.Until(now) < 30*24*time.Hour {
		t.Error(renewed["now"], err)
	}
	for _, step := range []struct{ path, body, events string }{
		{"refund", `{"account":"ada","amount":500}`, "refund.succeeded"},
		{"refund", `{"payment":"` + paid["payment_id"].(string) + `","fails":true}`, ""}, // more than 30 days ago
		{"dispute", `{"do":"open","account":"ada"}`, "dispute.opened"},
		{"dispute", `{"do":"challenge","account":"ada"}`, "dispute.challenged"},
		{"dispute", `{"do":"win","account":"ada"}`, "dispute.won"},
		{"refund", `{"account":"ada","fails":true}`, "refund.failed"},
		{"dispute", `{"do":"rdr","account":"ada"}`, "dispute.lost"},
	} {
		if step.events == "" {
			if status, body := b.answer(request("POST", "/__sim/"+step.path, step.body)); status != http.StatusBadRequest {
				t.Errorf("%s: %d %s", step.body, status, body)
			}
			continue
		}
		if got := types(b.do("POST", "/__sim/"+step.path, step.body)); got != step.events {
			t.Errorf("%s: %s", step.body, got)
		}
	}
	b.flush()
	for _, want := range []string{"subscription.renewed", "refund.succeeded", "dispute.won", "dispute.lost"} {
		if !slices.Contains(b.got(), want) {
			t.Error("not received:", want)
		}
	}
}

// TestCard decides how renewals go.
func TestCard(t *testing.T) {
	b := newBench(t)
	b.do("POST", "/__sim/catalog", `{"products":[{"id":"pdt_ten_days","price":500,"currency":"USD","every":"10 days"}]}`)
	b.do("POST", "/__sim/trigger", `{"type":"subscription.active","account":"ada","product":"pdt_ten_days"}`)
	id := b.do("POST", "/__sim/card", `{"do":"slow-fail","account":"ada"}`)["subscription_id"].(string)
	if got := types(b.do("POST", "/__sim/advance", `{"by":"11d"}`)); got != "payment.processing" {
		t.Error(got)
	}
	if got := types(b.do("POST", "/__sim/advance", `{"by":"1d"}`)); got != "payment.failed subscription.on_hold subscription.updated" {
		t.Error(got)
	}
	if got := b.do("POST", "/__sim/card", `{"do":"mend","subscription":"`+id+`"}`)["subscription_id"]; got != id {
		t.Error(got)
	}
	for body, want := range map[string]int{
		`{"do":"slow"}`:                         http.StatusUnprocessableEntity,
		`{"do":"burn","account":"ada"}`:         http.StatusUnprocessableEntity,
		`{"do":"slow","account":"bob"}`:         http.StatusNotFound,
		`{"do":"slow","subscription":"sub_no"}`: http.StatusNotFound,
	} {
		if status, answer := b.answer(request("POST", "/__sim/card", body)); status != want {
			t.Errorf("%s: %d %s", body, status, answer)
		}
	}
}

// TestCatalog takes YAML and JSON, and shows what is sold now.
func TestCatalog(t *testing.T) {
	b := newBench(t)
	r := request("POST", "/__sim/catalog", "products:\n- {id: pdt_pack, price: 5, currency: EUR}\naddons:\n- {id: adn_seat, price: 5, currency: EUR}\ndiscounts:\n- {code: HALF, basis_points: 5000}\n")
	r.Header.Set("Content-Type", "application/yaml; charset=utf-8")
	if status, body := b.answer(r); status != http.StatusOK || strings.TrimSpace(string(body)) != `{"addons":1,"discounts":1,"products":1}` {
		t.Errorf("%d %s", status, body)
	}
	b.do("POST", "/__sim/catalog", `{"products":[{"id":"pdt_week","price":5,"currency":"EUR","every":"2 weeks"}]}`)
	c := b.do("GET", "/__sim/catalog", "")
	products := c["products"].([]any)
	if len(products) != 3 || products[0].(map[string]any)["price"] != 5.0 || products[2].(map[string]any)["every"] != "2 weeks" || len(c["discounts"].([]any)) != 1 {
		t.Error(c)
	}
}

// TestFaults: what is said is what happens, and what is shown.
func TestFaults(t *testing.T) {
	b := newBench(t)
	call := func() (int, http.Header) {
		r := request("GET", "/products", "")
		r.Header.Set("Authorization", "Bearer "+key)
		w := httptest.NewRecorder()
		b.ServeHTTP(w, r)
		return w.Code, w.Header()
	}
	for kind, want := range map[string]int{"429": 429, "500": 500, "502": 502, "503": 503, "redirect": 307} {
		b.do("PUT", "/__sim/faults/api", `{"kind":"`+kind+`","method":"GET","path":"/products"}`)
		if status, _ := call(); status != want {
			t.Error(kind, status)
		}
	}
	b.do("PUT", "/__sim/faults/api", `{"kind":"429","retry_after":7,"calls":2,"header":{"X-Test":"a"}}`)
	if status, header := call(); status != 429 || header.Get("Retry-After") != "7" || header.Get("X-Test") != "a" {
		t.Error(status, header)
	}
	if api := b.do("GET", "/__sim/faults", "")["api"].(map[string]any); api["calls"] != 1.0 || api["status"] != 429.0 {
		t.Error(api)
	}
	if status, _ := call(); status != 429 {
		t.Error(status)
	}
	if status, _ := call(); status != 200 {
		t.Error("after two calls:", status)
	}
	b.do("PUT", "/__sim/faults/api", `{"kind":"slow","slow_body":"10ms"}`)
	if status, _ := call(); status != 200 {
		t.Error("slow:", status)
	}
	b.do("PUT", "/__sim/faults/webhooks", `{"seed":7,"duplicate":1,"max_delay":"1ms"}`)
	shown := b.do("GET", "/__sim/faults", "")["webhooks"].(map[string]any)
	if shown["duplicate"] != 1.0 || shown["max_delay"] != "1ms" || shown["seed"] != 7.0 {
		t.Error(shown)
	}
	b.do("POST", "/__sim/trigger", `{"type":"payment.succeeded"}`)
	b.flush()
	if got := b.got(); len(got) != 2 {
		t.Error(got)
	}
	if cleared := b.do("DELETE", "/__sim/faults", ""); cleared["api"] != nil || cleared["webhooks"] != nil {
		t.Error(cleared)
	}
	b.do("PUT", "/__sim/faults/api", `{"kind":"500"}`)
	b.do("PUT", "/__sim/faults/webhooks", `{"drop":1}`)
	b.do("DELETE", "/__sim/faults/api", "")
	if left := b.do("DELETE", "/__sim/faults/webhooks", ""); left["api"] != nil || left["webhooks"] != nil {
		t.Error(left)
	}
}

// TestReplay sends what was lost, by state, type and time.
func TestReplay(t *testing.T) {
	b := newBench(t)
	b.do("PUT", "/__sim/faults/webhooks", `{"drop":1}`)
	b.do("POST", "/__sim/trigger", `{"type":"subscription.active"}`)
	b.do("DELETE", "/__sim/faults", "")
	b.flush()
	if got := b.got(); len(got) != 0 {
		t.Fatal(got)
	}
	dropped := b.do("GET", "/__sim/events?state=dropped&since=1h&limit=3", "")["events"].([]any)
	if len(dropped) != 3 {
		t.Error(dropped)
	}
	if d := b.do("POST", "/__sim/replay", `{"types":["subscription.active"],"since":"1h"}`)["deliveries"].([]any); len(d) != 1 || d[0].(map[string]any)["status"] != 200.0 {
		t.Error(d)
	}
	if d := b.do("POST", "/__sim/replay", `{"missing":true}`)["deliveries"].([]any); len(d) != 3 {
		t.Error(d)
	}
	if d := b.do("POST", "/__sim/replay", `{"failed":true}`)["deliveries"].([]any); len(d) != 0 {
		t.Error(d)
	}
	id := dropped[0].(map[string]any)["id"].(string)
	b.do("POST", "/__sim/replay", `{"events":["`+id+`"]}`)
	if d := b.do("GET", "/__sim/deliveries?event="+id, "")["deliveries"].([]any); len(d) != 2 || !strings.Contains(d[1].(map[string]any)["body"].(string), `"business_id"`) {
		t.Error(d)
	}
}

// TestHold keeps webhooks, and lets them go in an order that a seed repeats.
func TestHold(t *testing.T) {
	order := func(release string) []string {
		b := newBench(t)
		b.do("POST", "/__sim/webhooks/hold", "")
		b.do("POST", "/__sim/trigger", `{"type":"subscription.active"}`)
		if got := b.got(); len(got) != 0 {
			t.Error(got)
		}
		if b.do("GET", "/__sim/faults", "")["webhooks_held"] != true {
			t.Error("it is not shown")
		}
		b.do("POST", "/__sim/webhooks/release", release)
		b.flush()
		return b.got()
	}
	one, same := order(`{"shuffle":true,"seed":3}`), order(`{"shuffle":true,"seed":3}`)
	if len(one) != 4 || !slices.Equal(one, same) {
		t.Error(one, same)
	}
	if both := order(`{"shuffle":true,"seed":3,"duplicate":1}`); len(both) != 8 {
		t.Error(both)
	}
	if plain := order(""); len(plain) != 4 {
		t.Error(plain)
	}
}

// TestRotate shows the new secret once. The receiver, which has the old one, still
// believes.
func TestRotate(t *testing.T) {
	b := newBench(t)
	made := b.do("POST", "/__sim/webhooks/rotate", "")
	fresh := made["secret"].(string)
	if !strings.HasPrefix(fresh, "whsec_") || fresh == secret || made["endpoint"] == "" {
		t.Error(made)
	}
	b.do("POST", "/__sim/trigger", `{"type":"payment.succeeded"}`)
	b.flush()
	if got := b.got(); len(got) != 1 {
		t.Error(got)
	}
	if _, state := b.answer(request("GET", "/__sim/state", "")); strings.Contains(string(state), fresh) {
		t.Error("the state has it, too")
	}
}

// TestRoutes: what is listed is there.
func TestRoutes(t *testing.T) {
	b := newBench(t)
	routes := b.do("GET", "/__sim/", "")["routes"].([]any)
	if len(routes) < 20 {
		t.Error(routes)
	}
	for _, route := range routes {
		method, path, _ := strings.Cut(route.(map[string]any)["route"].(string), " ")
		if status, body := b.answer(request(method, path, "")); status == http.StatusNotFound && !strings.Contains(path, "pay") {
			t.Errorf("%s %s: %s", method, path, body)
		}
	}
	if list := b.do("GET", "/__sim/event-types", "")["types"].([]any); len(list) != 49 {
		t.Error(len(list), "types")
	}
}
