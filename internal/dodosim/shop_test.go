package dodosim_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/testing/httpclient"
)

const (
	key    = "test-key"
	secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" // the example of Standard Webhooks
)

// shop is a simulator on a real port, a receiver of its webhooks on another, and a
// merchant who calls the API.
type shop struct {
	t     *testing.T
	sim   *dodosim.Simulator
	url   string
	hooks *receiver
	read  int // events that news has returned
}

// options is a small catalog.
func options() dodosim.Options {
	return dodosim.Options{
		APIKey: key,
		Products: []dodosim.Product{
			{ID: "pdt_pack", Name: "Ten credits", Description: "Good for <ten> things", Price: 999, Currency: "USD"},
			{ID: "pdt_book", Name: "The book", Price: 2500, Currency: "USD"},
			{ID: "pdt_yen", Price: 500, Currency: "JPY"},
		},
		Discounts: []dodosim.Discount{
			{Code: "half", BasisPoints: 5000},
			{Code: "TENTH", BasisPoints: 1000},
			{Code: "FREE", BasisPoints: 10000},
		},
		Addons: []dodosim.Addon{
			{ID: "adn_seat", Name: "Seat", Description: "One more", Price: 500, Currency: "USD"},
			{ID: "adn_support", Price: 1000, Currency: "USD"},
			{ID: "adn_yen", Price: 100, Currency: "JPY"},
		},
		Behavior: dodosim.Behavior{SubscriptionQuantities: true},
	}
}

// open opens a shop; change, if any, edits its options.
func open(t *testing.T, change func(*dodosim.Options)) *shop {
	t.Helper()
	s := &shop{t: t, hooks: newReceiver(t)}
	o := options()
	o.WebhookURL, o.WebhookSecret = s.hooks.url, secret
	if change != nil {
		change(&o)
	}
	s.sim = start(t, o)
	server := httptest.NewServer(described(t, s.sim))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func newPlain() (*dodosim.Simulator, error) { return dodosim.New(options()) }

func start(t *testing.T, o dodosim.Options) *dodosim.Simulator {
	t.Helper()
	sim, err := dodosim.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	return sim
}

// call makes an API call and returns status and body.
func (s *shop) call(method, path, body string) (int, []byte) {
	s.t.Helper()
	return s.callAs(key, method, path, body)
}

// callAs makes an API call with another key.
func (s *shop) callAs(key, method, path, body string) (int, []byte) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+key)
	response, err := httpclient.Default.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response.StatusCode, answer
}

// get is a GET that must succeed.
func (s *shop) get(path string) []byte {
	s.t.Helper()
	status, body := s.call("GET", path, "")
	if status != http.StatusOK {
		s.t.Fatalf("GET %s: %d %s", path, status, body)
	}
	return body
}

// checkout makes a session of a request and returns its id.
func (s *shop) checkout(request string) string {
	s.t.Helper()
	status, body := s.call("POST", "/checkouts", request)
	if status != http.StatusOK {
		s.t.Fatalf("POST /checkouts: %d %s", status, body)
	}
	var session struct {
		ID string `json:"session_id"`
	}
	decode(s.t, body, &session)
	return session.ID
}

// pay pays a session by a good card through the back door.
func (s *shop) pay(session string) dodosim.Attempt {
	s.t.Helper()
	attempt, err := s.sim.Pay(session, dodosim.CardVisa)
	if err != nil {
		s.t.Fatal(err)
	}
	if attempt.Status != dodosim.Succeeded {
		s.t.Fatal("payment", attempt.Status)
	}
	return attempt
}

// payment reads a payment as the merchant sees it.
func (s *shop) payment(id string) map[string]any {
	s.t.Helper()
	var payment map[string]any
	decode(s.t, s.get("/payments/"+id), &payment)
	return payment
}

// news lists the types of the events since the last call, separated by spaces.
func (s *shop) news() string {
	events := s.sim.Events()
	var types []string
	for _, event := range events[s.read:] {
		types = append(types, event.Type)
	}
	s.read = len(events)
	return strings.Join(types, " ")
}

func (s *shop) flush() {
	s.t.Helper()
	if err := s.sim.Flush(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// receiver takes webhooks, checks each one's signature and form, and keeps its body.
type receiver struct {
	url    string
	mu     sync.Mutex
	anyDay bool // does not compare timestamps with its own clock
	seen   [][]byte
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		verify := verifier.Verify
		if r.anyDay {
			verify = verifier.VerifyIgnoringTimestamp
		}
		r.mu.Unlock()
		if err := verify(body, request.Header); err != nil {
			t.Errorf("webhook %s: %v", body, err)
		}
		if got := request.Header.Get("Content-Type"); request.Method != http.MethodPost || got != "application/json" {
			t.Errorf("webhook is a %s of %s", request.Method, got)
		}
		if err := loadDescription().webhook(body); err != nil {
			t.Errorf("webhook %s: %v", body, err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.seen = append(r.seen, body)
	}))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

func (r *receiver) bodies() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen)
}

// types lists the events received, in order of arrival.
func (r *receiver) types(t *testing.T) []string {
	t.Helper()
	var types []string
	for _, body := range r.bodies() {
		var envelope struct {
			Type string `json:"type"`
		}
		decode(t, body, &envelope)
		types = append(types, envelope.Type)
	}
	return types
}
