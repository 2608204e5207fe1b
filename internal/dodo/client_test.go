package dodo_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	dodopayments "github.com/dodopayments/dodopayments-go"
	"github.com/dodopayments/dodopayments-go/shared"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
)

const apiKey = "dodo_test_PLANTED_API_KEY"

// stub is a server in Dodo's place, with what it was asked and what the client
// waited for in between.
type stub struct {
	client *dodo.Client
	url    string

	mu       sync.Mutex
	requests []request
	pauses   []time.Duration
}

type request struct {
	line   string // method and target
	header http.Header
	body   string
}

// newStub answers with each handler in turn, and with the last one for ever.
func newStub(t *testing.T, change func(*dodo.Options), answers ...http.HandlerFunc) *stub {
	t.Helper()
	s := &stub{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.requests = append(s.requests, request{r.Method + " " + r.URL.RequestURI(), r.Header.Clone(), string(body)})
		answer := answers[min(len(s.requests), len(answers))-1]
		s.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	options := dodo.Options{
		APIKey:  apiKey,
		BaseURL: server.URL,
		Jitter:  func() float64 { return 0 },
		Sleep: func(_ context.Context, d time.Duration) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.pauses = append(s.pauses, d)
			return nil
		},
	}
	if change != nil {
		change(&options)
	}
	client, err := dodo.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	s.client, s.url = client, server.URL
	return s
}

// seen is what arrived, once the server is done with it.
func (s *stub) seen() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// answer sends a JSON body.
func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

const goodSession = `{"session_id":"cks_1","checkout_url":"https://checkout.dodopayments.com/session/cks_1"}`

func TestCreateCheckout(t *testing.T) {
	s := newStub(t, nil, answer(200, goodSession))
	got, err := s.client.CreateCheckout(t.Context(), &dodo.Checkout{
		ProductID:     "pdt_1",
		Quantity:      3,
		ReturnURL:     "https://app.example.com/payments/return?order=o1",
		CancelURL:     "https://app.example.com/pricing",
		DiscountCodes: []string{"TEN", "MORE"},
		Customer:      dodo.Customer{Email: "jane@example.com", Name: "Jane <Doe>"},
		Metadata:      map[string]string{"dodogate_order": "o1"},
	})
	want := dodo.Session{ID: "cks_1", URL: "https://checkout.dodopayments.com/session/cks_1"}
	if err != nil || got != want {
		t.Fatalf("CreateCheckout = %+v, %v; want %+v", got, err, want)
	}
	r := s.seen()[0]
	if r.line != "POST /checkouts" || r.header.Get("Authorization") != "Bearer "+apiKey || r.header.Get("Content-Type") != "application/json" {
		t.Errorf("sent %s with %v", r.line, r.header)
	}
	sameJSON(t, r.body, `{
		"product_cart": [{"product_id": "pdt_1", "quantity": 3}],
		"return_url": "https://app.example.com/payments/return?order=o1",
		"cancel_url": "https://app.example.com/pricing",
		"discount_codes": ["TEN", "MORE"],
		"customer": {"email": "jane@example.com", "name": "Jane <Doe>"},
		"metadata": {"dodogate_order": "o1"}
	}`)
	sdks, err := dodopayments.CheckoutSessionRequestParam{
		ProductCart: dodopayments.F([]dodopayments.ProductItemReqParam{{
			ProductID: dodopayments.F("pdt_1"), Quantity: dodopayments.F[int64](3),
		}}),
		ReturnURL:     dodopayments.F("https://app.example.com/payments/return?order=o1"),
		CancelURL:     dodopayments.F("https://app.example.com/pricing"),
		DiscountCodes: dodopayments.F([]string{"TEN", "MORE"}),
		Customer: dodopayments.F[dodopayments.CustomerRequestUnionParam](dodopayments.NewCustomerParam{
			Email: dodopayments.F("jane@example.com"), Name: dodopayments.F("Jane <Doe>"),
		}),
		Metadata: dodopayments.F(dodopayments.MetadataParam{"dodogate_order": shared.UnionString("o1")}),
	}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, r.body, string(sdks))
}

func TestCreateCheckoutSendsNothingEmpty(t *testing.T) {
	s := newStub(t, nil, answer(200, goodSession))
	_, err := s.client.CreateCheckout(t.Context(), &dodo.Checkout{ProductID: "pdt_1", Quantity: 1, Customer: dodo.Customer{Name: "no mail"}})
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, s.seen()[0].body, `{"product_cart": [{"product_id": "pdt_1", "quantity": 1}]}`)
}

func sameJSON(t *testing.T, got, want string) {
	t.Helper()
	var g, w any
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(g, w) {
		t.Errorf("sent\n%s\nwant\n%s", got, want)
	}
}

// A session must be usable: the browser is sent to its address.
func TestCreateCheckoutAnswer(t *testing.T) {
	session := func(id, address string) string {
		return fmt.Sprintf(`{"session_id":%s,"checkout_url":%s}`, id, address)
	}
	for name, tc := range map[string]struct {
		body   string
		usable bool // where the API is plain http, as here
	}{
		"https":             {session(`"cks_1"`, `"https://a.example/session/cks_1?x=y#z"`), true},
		"http":              {session(`"cks_1"`, `"http://127.0.0.1:8080/s"`), true},
		"no address":        {`{"session_id":"cks_1"}`, false},
		"null address":      {session(`"cks_1"`, `null`), false},
		"relative":          {session(`"cks_1"`, `"/session/cks_1"`), false},
		"no scheme":         {session(`"cks_1"`, `"//a.example/s"`), false},
		"javascript":        {session(`"cks_1"`, `"javascript:alert(1)"`), false},
		"data":              {session(`"cks_1"`, `"data:text/html,hi"`), false},
		"opaque":            {session(`"cks_1"`, `"https:a.example"`), false},
		"only a port":       {session(`"cks_1"`, `"https://:443/"`), false},
		"with a user":       {session(`"cks_1"`, `"https://a.example@evil.example/"`), false},
		"backslash":         {session(`"cks_1"`, `"https://evil.example\\@a.example/"`), false},
		"backslash, path":   {session(`"cks_1"`, `"https://a.example/\\evil.example"`), false},
		"line break":        {session(`"cks_1"`, `"https://a.example/\r\nSet-Cookie: a=b"`), false},
		"space":             {session(`"cks_1"`, `"https://a.example/ x"`), false},
		"not ASCII":         {session(`"cks_1"`, `"https://ä.example/"`), false},
		"very long":         {session(`"cks_1"`, `"https://a.example/`+strings.Repeat("a", 2048)+`"`), false},
		"no id":             {`{"checkout_url":"https://a.example/"}`, false},
		"null id":           {session(`null`, `"https://a.example/"`), false},
		"id with a slash":   {session(`"cks/1"`, `"https://a.example/"`), false},
		"two ids":           {`{"session_id":"cks_1","session_id":"cks_2","checkout_url":"https://a.example/"}`, false},
		"an object":         {`{}`, false},
		"null":              {`null`, false},
		"a list":            {`[]`, false},
		"a string":          {`"undefined"`, false},
		"address a number":  {session(`"cks_1"`, `17`), false},
		"address an object": {session(`"cks_1"`, `{}`), false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStub(t, nil, answer(200, tc.body))
			got, err := s.client.CreateCheckout(t.Context(), &dodo.Checkout{ProductID: "pdt_1", Quantity: 1})
			if tc.usable {
				if err != nil {
					t.Error(err)
				}
				return
			}
			checkError(t, err, dodo.ErrBadAnswer)
			if got != (dodo.Session{}) {
				t.Errorf("%+v comes with the error", got)
			}
			if n := len(s.seen()); n != 1 {
				t.Errorf("%d attempts, want 1", n)
			}
		})
	}
}

// With https, a checkout over plain http is refused.
func TestCreateCheckoutNeverDowngrades(t *testing.T) {
	server := httptest.NewTLSServer(answer(200, `{"session_id":"cks_1","checkout_url":"http://a.example/"}`))
	defer server.Close()
	client, err := dodo.New(dodo.Options{APIKey: apiKey, BaseURL: server.URL, Transport: server.Client().Transport})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.CreateCheckout(t.Context(), &dodo.Checkout{ProductID: "pdt_1", Quantity: 1})
	checkError(t, err, dodo.ErrBadAnswer)
}

func TestSession(t *testing.T) {
	for name, tc := range map[string]struct {
		body string
		want dodo.SessionState
		err  error
	}{
		"new":       {`{"id":"cks_1","created_at":"2026-01-02T03:04:05Z","payment_id":null,"payment_status":null}`, dodo.SessionState{ID: "cks_1"}, nil},
		"paid":      {`{"id":"cks_1","payment_id":"pay_1","payment_status":"Succeeded"}`, dodo.SessionState{ID: "cks_1", PaymentID: "pay_1", PaymentStatus: "succeeded"}, nil},
		"another":   {`{"id":"cks_2"}`, dodo.SessionState{}, dodo.ErrBadAnswer},
		"no id":     {`{}`, dodo.SessionState{}, dodo.ErrBadAnswer},
		"odd":       {`{"id":"cks_1","payment_id":"../x"}`, dodo.SessionState{}, dodo.ErrBadAnswer},
		"ambiguous": {`{"id":"cks_1","payment_id":"a","payment_id":"b"}`, dodo.SessionState{}, dodo.ErrBadAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStub(t, nil, answer(200, tc.body))
			got, err := s.client.Session(t.Context(), "cks_1")
			if got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
			checkError(t, err, tc.err)
			if line := s.seen()[0].line; line != "GET /checkouts/cks_1" {
				t.Errorf("asked for %s", line)
			}
		})
	}
}

func TestPayment(t *testing.T) {
	body := `{"payment_id":"pay_1","status":"succeeded","total_amount":"400","currency":"USD","created_at":"2026-01-02T03:04:05Z",
		"product_cart":[{"product_id":"pdt_1","quantity":1}],"metadata":{"n":1},"checkout_session_id":"cks_1","customer":null,
		"refunds":[{"refund_id":"ref_1","status":"pending","is_partial":true,"amount":100}],"refund_status":null,"brand_new":[]}`
	s := newStub(t, nil, answer(200, body))
	got, err := s.client.Payment(t.Context(), "pay_1")
	if err != nil {
		t.Fatal(err)
	}
	want := dodo.Fact{
		Fact: entitlement.Fact{Ref: payment("pay_1"), Payment: entitlement.Payment{
			Status: "succeeded", Total: 400, Currency: "USD", CreatedAt: moment("2026-01-02T03:04:05Z"),
			Cart:    []entitlement.Line{{ProductID: "pdt_1", Quantity: 1}},
			Refunds: map[string]entitlement.Refund{"ref_1": {Status: "pending", Amount: 100}},
		}},
		Clues: dodo.Clues{Metadata: map[string]string{"n": "1"}, SessionID: "cks_1"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	if line := s.seen()[0].line; line != "GET /payments/pay_1" {
		t.Errorf("asked for %s", line)
	}
	for name, body := range map[string]string{
		"another":   strings.Replace(body, "pay_1", "pay_2", 1),
		"no id":     `{"created_at":"2026-01-02T03:04:05Z"}`,
		"no time":   `{"payment_id":"pay_1"}`,
		"unclear":   strings.Replace(body, `"400"`, `-400`, 1),
		"ambiguous": strings.Replace(body, `"status"`, `"Status":"failed","status"`, 1),
	} {
		s := newStub(t, nil, answer(200, body))
		got, err := s.client.Payment(t.Context(), "pay_1")
		checkError(t, err, dodo.ErrBadAnswer)
		if !reflect.DeepEqual(got, dodo.Fact{}) {
			t.Errorf("%s: %+v comes with the error", name, got)
		}
	}
}

// An id that cannot be Dodo's never becomes part of a path.
func TestReadsNothingOfOddID(t *testing.T) {
	s := newStub(t, nil, answer(200, `{}`))
	for _, id := range []string{"", "..", "../products", "pay/1", "pay_1?x", "pay 1", strings.Repeat("a", 129)} {
		_, err := s.client.Payment(t.Context(), id)
		checkError(t, err, dodo.ErrNotFound)
		_, err = s.client.Session(t.Context(), id)
		checkError(t, err, dodo.ErrNotFound)
		_, err = s.client.Subscription(t.Context(), id)
		checkError(t, err, dodo.ErrNotFound)
	}
	if n := len(s.seen()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestProducts(t *testing.T) {
	s := newStub(t, nil,
		answer(200, page(0, 100)),
		answer(200, page(99, 100)), // one moved on while we read
		answer(200, `{"items":[
			{"product_id":"a","name":null,"description":null,"price":null,"currency":null,"is_recurring":false,"price_detail":null},
			{"product_id":"b","name":"B","description":"the B","price":"1299","currency":"eur","is_recurring":"true"},
			{"product_id":"c","name":"C","price_detail":{"type":"one_time_price","price":500,"currency":"USD"}},
			{"product_id":"d","entitlements":[
				{"id":"ent_1","integration_type":"feature_flag","integration_config":{"feature_type":"boolean","feature_id":"reports"}},
				{"id":"ent_2","integration_type":"discord","integration_config":{"guild_id":"1","feature_id":"guild"}},
				{"id":"ent_3","integration_type":"feature_flag","integration_config":{"feature_type":"novel","feature_id":"novel"}},
				{"id":"ent_4","integration_type":"feature_flag","integration_config":null}, 17, null,
				{"id":"ent_5","integration_type":"feature_flag","integration_config":{"feature_id":"a, b"}}]},
			{"product_id":"e","entitlements":"none"}]}`),
	)
	got, err := s.client.Products(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 204 || got[0].ID != "pdt_0" || got[198].ID != "pdt_198" {
		t.Fatalf("%d products", len(got))
	}
	want := []dodo.Product{
		{ID: "a"},
		{ID: "b", Name: "B", Description: "the B", Price: 1299, Currency: "EUR", Recurring: true},
		{ID: "c", Name: "C", Price: 500, Currency: "USD"},
		{ID: "d", Features: []string{"reports", "a, b"}},
		{ID: "e"},
	}
	if !reflect.DeepEqual(got[199:], want) {
		t.Errorf("got\n%+v\nwant\n%+v", got[199:], want)
	}
	for i, r := range s.seen() {
		if want := fmt.Sprintf("GET /products?page_number=%d&page_size=100", i); r.line != want {
			t.Errorf("asked for %s, want %s", r.line, want)
		}
	}
}

// page lists count products from number first on.
func page(first, count int) string {
	items := make([]string, count)
	for i := range items {
		items[i] = fmt.Sprintf(`{"product_id":"pdt_%d","price":100,"currency":"USD","is_recurring":false}`, first+i)
	}
	return `{"items":[` + strings.Join(items, ",") + `]}`
}

func TestProductsEnd(t *testing.T) {
	for name, tc := range map[string]struct {
		body string
		want int // requests
		err  error
	}{
		"empty":           {`{"items":[]}`, 1, nil},
		"short":           {page(0, 99), 1, nil},
		"without end":     {page(0, 100), 50, dodo.ErrBadAnswer},
		"more than asked": {page(0, 101), 1, dodo.ErrBadAnswer},
		"no items":        {`{}`, 1, dodo.ErrBadAnswer},
		"null items":      {`{"items":null}`, 1, dodo.ErrBadAnswer},
		"null":            {`null`, 1, dodo.ErrBadAnswer},
		"no id":           {`{"items":[{"name":"x"}]}`, 1, dodo.ErrBadAnswer},
		"negative price":  {`{"items":[{"product_id":"a","price":-1}]}`, 1, dodo.ErrBadAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStub(t, nil, answer(200, tc.body))
			_, err := s.client.Products(t.Context())
			checkError(t, err, tc.err)
			if n := len(s.seen()); n != tc.want {
				t.Errorf("%d requests, want %d", n, tc.want)
			}
		})
	}
}

func TestNewOptions(t *testing.T) {
	for name, tc := range map[string]struct {
		options dodo.Options
		want    string // in the error; "" for none
	}{
		"test mode by default": {dodo.Options{APIKey: apiKey}, ""},
		"live mode":            {dodo.Options{APIKey: apiKey, Mode: dodo.LiveMode}, ""},
		"key with a newline":   {dodo.Options{APIKey: apiKey + "\n"}, ""},
		"base url with a path": {dodo.Options{APIKey: apiKey, BaseURL: "http://127.0.0.1:1/dodo"}, ""},
		"no key":               {dodo.Options{APIKey: " "}, "no api key"},
		"key with a break":     {dodo.Options{APIKey: apiKey + "\r\nX: y"}, "api key"},
		"unknown mode":         {dodo.Options{APIKey: apiKey, Mode: "production"}, `mode is "production"`},
		"no scheme":            {dodo.Options{APIKey: apiKey, BaseURL: "test.dodopayments.com"}, "base url"},
		"another scheme":       {dodo.Options{APIKey: apiKey, BaseURL: "ftp://a.example"}, "base url"},
		"no host":              {dodo.Options{APIKey: apiKey, BaseURL: "https:///x"}, "base url"},
		"with a password":      {dodo.Options{APIKey: apiKey, BaseURL: "https://a:PLANTED@b.example"}, "base url"},
		"with a query":         {dodo.Options{APIKey: apiKey, BaseURL: "https://a.example/?x=y"}, "base url"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := dodo.New(tc.options)
			if tc.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "PLANTED") {
				t.Errorf("error %v, want one about %q", err, tc.want)
			}
		})
	}
}

// A base URL's path stays in front of the API's own.
func TestBasePath(t *testing.T) {
	for _, path := range []string{"/dodo", "/dodo/"} {
		s := newStub(t, nil, answer(200, `{"id":"cks_1"}`))
		client, err := dodo.New(dodo.Options{APIKey: apiKey, BaseURL: s.url + path})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Session(t.Context(), "cks_1"); err != nil {
			t.Fatal(err)
		}
		if line := s.seen()[0].line; line != "GET /dodo/checkouts/cks_1" {
			t.Errorf("asked for %s", line)
		}
	}
}
