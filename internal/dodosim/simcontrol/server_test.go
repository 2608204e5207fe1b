package simcontrol_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/dodosim/simcontrol"
)

const (
	key    = "test-key"
	secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" // the example of Standard Webhooks
)

// bench is a simulator with its control API, and a receiver of its webhooks.
type bench struct {
	*testing.T
	*simcontrol.Server
	mu       sync.Mutex
	received []string // the types of what verified
	refuse   bool
}

func newBench(t *testing.T) *bench {
	b := &bench{T: t}
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var event struct{ Type string }
		if verifier.Verify(body, r.Header) != nil || json.Unmarshal(body, &event) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.refuse {
			w.WriteHeader(http.StatusInternalServerError)
		}
		b.received = append(b.received, event.Type)
	}))
	t.Cleanup(receiver.Close)
	b.Server, err = simcontrol.New(dodosim.Options{
		APIKey: key, WebhookURL: receiver.URL, WebhookSecret: secret,
		Products: []dodosim.Product{
			{ID: "pdt_pack", Name: "Ten credits", Price: 999, Currency: "USD"},
			{ID: "pdt_pro", Name: "Pro", Price: 2000, Currency: "USD", Every: dodosim.Period{Count: 1, Interval: dodosim.Month}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// from makes a request of this machine.
func request(method, path, body string) *http.Request {
	r := httptest.NewRequest(method, "http://localhost:8090"+path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:1234"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

func (b *bench) answer(r *http.Request) (int, []byte) {
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return w.Code, w.Body.Bytes()
}

// do makes a request that must succeed, and decodes the answer.
func (b *bench) do(method, path, body string) map[string]any {
	b.Helper()
	status, answer := b.answer(request(method, path, body))
	if status != http.StatusOK {
		b.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	var decoded map[string]any
	if err := json.Unmarshal(answer, &decoded); err != nil {
		b.Fatalf("%v in %s", err, answer)
	}
	return decoded
}

// types lists the events of an answer.
func types(answer map[string]any) string {
	var list []string
	for _, e := range answer["events"].([]any) {
		list = append(list, e.(map[string]any)["type"].(string))
	}
	return strings.Join(list, " ")
}

func (b *bench) flush() {
	b.Helper()
	if err := b.Simulator().Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) got() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.received)
}

// TestWhoMay says who may use the control API, with a key and without.
func TestWhoMay(t *testing.T) {
	b := newBench(t)
	for name, test := range map[string]struct {
		change func(*http.Request)
		status int
	}{
		"this machine": {func(*http.Request) {}, 200},
		"by IPv6":      {func(r *http.Request) { r.RemoteAddr, r.Host = "[::1]:1234", "[::1]:8090" }, 200},
		"by address":   {func(r *http.Request) { r.Host = "127.0.0.1" }, 200},
		"mapped":       {func(r *http.Request) { r.RemoteAddr = "[::ffff:127.0.0.1]:1" }, 200},
		"with the key": {func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+key) }, 200},
		"from elsewhere with the key": {func(r *http.Request) {
			r.RemoteAddr, r.Host = "192.0.2.1:1", "sim.example"
			r.Header.Set("Authorization", "bearer "+key)
		}, 200},
		"the same origin": {func(r *http.Request) {
			r.Header.Set("Origin", "http://localhost:8090")
			r.Header.Set("Sec-Fetch-Site", "same-origin")
		}, 200},

		"another machine":     {func(r *http.Request) { r.RemoteAddr = "192.0.2.1:1" }, 401},
		"a rebound name":      {func(r *http.Request) { r.Host = "evil.example:8090" }, 401},
		"a name that is like": {func(r *http.Request) { r.Host = "localhost.evil.example" }, 401},
		"no address":          {func(r *http.Request) { r.RemoteAddr = "@" }, 401},
		"a tunnel":            {func(r *http.Request) { r.Header.Set("X-Forwarded-For", "192.0.2.1") }, 401},
		"a proxy":             {func(r *http.Request) { r.Header.Set("Via", "1.1 somewhere") }, 401},
		"a wrong key":         {func(r *http.Request) { r.Header.Set("Authorization", "Bearer other") }, 401},
		"no bearer":           {func(r *http.Request) { r.Header.Set("Authorization", "Basic "+key) }, 401},

		"another site":  {func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403},
		"a sister site": {func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") }, 403},
		"another port":  {func(r *http.Request) { r.Header.Set("Origin", "http://localhost:3000") }, 403},
		"another site with a key": {func(r *http.Request) {
			r.Header.Set("Origin", "http://evil.example")
			r.Header.Set("Authorization", "Bearer "+key)
		}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			r := request("POST", "/__sim/advance", `{"by":"1s"}`)
			test.change(r)
			before := b.Simulator().Ahead()
			if status, body := b.answer(r); status != test.status {
				t.Errorf("%d %s", status, body)
			}
			if moved := b.Simulator().Ahead() > before; moved != (test.status == 200) {
				t.Error("moved:", moved)
			}
		})
	}
	// A link from another site leads nowhere, either, and Dodo's own API is as it was.
	r := request("GET", "/__sim/state", "")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if status, _ := b.answer(r); status != 403 {
		t.Error(status)
	}
	for path, want := range map[string]int{"/products": 401, "/__simulator": 401, "/__sim": 307, "/__sim/": 200, "/__sim/nothing": 404} {
		if status, _ := b.answer(request("GET", path, "")); status != want {
			t.Error(path, status)
		}
	}
}

// TestProblems: whatever is wrong is said in one form, and nothing has changed.
func TestProblems(t *testing.T) {
	b := newBench(t)
	before, err := b.Simulator().Dump()
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		method, path, body string
		status             int
		says               string
	}{
		"no JSON":                {"POST", "/__sim/advance", `{"by"`, 400, "does not fit"},
		"unknown field":          {"POST", "/__sim/advance", `{"by":"1d","to":"b"}`, 400, `"to"`},
		"two bodies":             {"POST", "/__sim/advance", `{"by":"1d"}{}`, 400, "behind the JSON"},
		"no duration":            {"POST", "/__sim/advance", `{"by":"soon"}`, 400, "soon"},
		"no time at all":         {"POST", "/__sim/advance", "", 422, "31d"},
		"too far":                {"POST", "/__sim/advance", `{"by":"36500d1h"}`, 422, "100 years"},
		"too large":              {"POST", "/__sim/advance", `{"by":"` + strings.Repeat("1", 1<<20) + `"}`, 413, "too large"},
		"catalog of options":     {"POST", "/__sim/catalog", `{"options":{"short_disputes":true}}`, 422, "cannot be changed"},
		"catalog of nonsense":    {"POST", "/__sim/catalog", `{"product":[]}`, 400, "product"},
		"product without price":  {"POST", "/__sim/catalog", `{"products":[{"id":"pdt_1"}]}`, 422, "currency"},
		"no such event":          {"POST", "/__sim/trigger", `{"type":"payment.success"}`, 422, "payment.success"},
		"refund of what":         {"POST", "/__sim/refund", `{}`, 422, "payment or an account"},
		"refund of nothing":      {"POST", "/__sim/refund", `{"account":"ada"}`, 404, "nothing that refund.succeeded"},
		"refund of no payment":   {"POST", "/__sim/refund", `{"payment":"pay_0"}`, 404, "pay_0"},
		"do what":                {"POST", "/__sim/dispute", `{"do":"wim","account":"ada"}`, 422, "win"},
		"dispute of what":        {"POST", "/__sim/dispute", `{"do":"win"}`, 422, "account"},
		"dispute of nothing":     {"POST", "/__sim/dispute", `{"do":"win","account":"ada"}`, 404, "dispute.won"},
		"pay what":               {"POST", "/__sim/pay", `{"session":"cks_0"}`, 404, "cks_0"},
		"no fault":               {"PUT", "/__sim/faults/api", `{}`, 422, "the fault does nothing"},
		"unknown kind":           {"PUT", "/__sim/faults/api", `{"kind":"418"}`, 422, "429"},
		"no status":              {"PUT", "/__sim/faults/api", `{"status":42}`, 422, "42"},
		"no route":               {"PUT", "/__sim/faults/api", `{"kind":"500","path":"/payment"}`, 422, "/payment"},
		"no share":               {"PUT", "/__sim/faults/api", `{"kind":"500","share":1.5}`, 422, "1.5"},
		"less than no calls":     {"PUT", "/__sim/faults/api", `{"kind":"500","calls":-1}`, 422, "calls"},
		"header in two lines":    {"PUT", "/__sim/faults/api", `{"status":500,"header":{"A":"b\r\nC: d"}}`, 422, "header"},
		"no share of webhooks":   {"PUT", "/__sim/faults/webhooks", `{"drop":-1}`, 422, "-1"},
		"slow by what":           {"PUT", "/__sim/faults/webhooks", `{"slow":1}`, 422, "slow needs a time"},
		"shuffle what":           {"POST", "/__sim/webhooks/release", `{"shuffle":true}`, 409, "not held"},
		"drop without a shuffle": {"POST", "/__sim/webhooks/release", `{"drop":1}`, 422, "shuffle"},
		"no endpoint":            {"POST", "/__sim/webhooks/rotate", `{"endpoint":"whk_0"}`, 404, "whk_0"},
		"replay of what":         {"POST", "/__sim/replay", `{"events":["msg_0"]}`, 409, "msg_0"},
		"since when":             {"POST", "/__sim/replay", `{"since":"yesterday"}`, 422, "yesterday"},
		"events since when":      {"GET", "/__sim/events?since=yesterday", "", 422, "yesterday"},
		"how many":               {"GET", "/__sim/deliveries?limit=0", "", 422, "limit"},
		"wrong method":           {"GET", "/__sim/reset", "", 404, "no such route"},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			b.ServeHTTP(w, request(test.method, test.path, test.body))
			var p struct {
				Status       int
				Code, Detail string
			}
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != test.status || p.Status != test.status || p.Code == "" ||
				!strings.Contains(p.Detail, test.says) || w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	r := request("POST", "/__sim/advance", `{"by":"1d"}`)
	r.Header.Set("Content-Type", "text/plain")
	if status, body := b.answer(r); status != http.StatusUnsupportedMediaType {
		t.Errorf("%d %s", status, body)
	}
	after, err := b.Simulator().Dump()
	if err != nil || withoutNow(t, before) != withoutNow(t, after) {
		t.Errorf("something has changed: %v\n%s\n%s", err, before, after)
	}
}

func withoutNow(t *testing.T, dump []byte) string {
	var state map[string]any
	if err := json.Unmarshal(dump, &state); err != nil {
		t.Fatal(err)
	}
	delete(state, "now")
	text, _ := json.Marshal(state)
	return string(text)
}

// TestReset forgets everything but what it was started with.
func TestReset(t *testing.T) {
	b := newBench(t)
	b.do("POST", "/__sim/catalog", `{"products":[{"id":"pdt_new","price":1,"currency":"USD"}]}`)
	b.do("POST", "/__sim/trigger", `{"type":"payment.succeeded"}`)
	b.do("PUT", "/__sim/faults/api", `{"kind":"500"}`)
	b.do("POST", "/__sim/webhooks/hold", "")
	b.do("POST", "/__sim/reset", "")
	state := b.do("GET", "/__sim/state", "")
	if len(state["payments"].([]any)) != 0 || len(state["products"].([]any)) != 2 || state["webhooks_held"] != false {
		t.Error(state)
	}
	if faults := b.do("GET", "/__sim/faults", ""); faults["api"] != nil {
		t.Error(faults)
	}
	b.do("POST", "/__sim/trigger", `{"type":"payment.succeeded"}`)
	b.flush()
	if got := b.got(); got[len(got)-1] != "payment.succeeded" {
		t.Error(got)
	}
	if err := b.Close(); err != nil || b.Reset() == nil {
		t.Error("it is reset after its end", err)
	}
}
