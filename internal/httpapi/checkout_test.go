package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/testing/httpclient"
)

func TestCheckout(t *testing.T) {
	for _, test := range []struct{ name, body, product string }{
		{"by name", `{"product":"pack10"}`, "pack10"},
		{"several", `{"product":"pack10","quantity":3}`, "pack10"},
		{"as many as can be", `{"product":"pack10","quantity":1000}`, "pack10"},
		{"by credits", `{"credits":10}`, "pack10"},
		{"by plan", `{"plan":"pro"}`, "pro"},
		{"hidden", `{"product":"secret"}`, "secret"},
		{"landing place", `{"product":"pack10","return_to":"https://docs.example/done/here?x=1"}`, "pack10"},
		{"discount", `{"product":"pack10","discount_code":"HALF"}`, "pack10"},
		{"spaces and escapes", " {\t\"prod\\u0075ct\" :\n\"pack10\" }\r\n", "pack10"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t, nil)
			a := s.post("/payments/checkout", test.body).by(alice).do()
			m := a.json(http.StatusCreated)
			if m["product"] != test.product {
				t.Errorf("product %v, want %s", m["product"], test.product)
			}
			if id, _ := m["order_id"].(string); !strings.HasPrefix(id, "ord_") {
				t.Errorf("order_id %v", m["order_id"])
			}
			if want := fmt.Sprintf("https://checkout.dodo.example/session/%s", m["session_id"]); m["checkout_url"] != want {
				t.Errorf("checkout_url %v, want %s", m["checkout_url"], want)
			}
			if want := s.clock.Now().Add(24 * time.Hour).Format(time.RFC3339); m["expires_at"] != want {
				t.Errorf("expires_at %v, want %s", m["expires_at"], want)
			}
			if len(m) != 5 {
				t.Errorf("fields of %v", m)
			}
			if got := a.Header().Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control %q", got)
			}
			if n := s.sim.Calls("POST", "/checkouts"); n != 1 {
				t.Errorf("%d sessions made, want 1", n)
			}
		})
	}
}

// What the customer pays for, and where he comes back to, is what was asked.
func TestCheckoutReachesDodo(t *testing.T) {
	s := newSite(t, nil)
	c := s.post("/payments/checkout", `{"product":"pack10","quantity":3}`).by(alice)
	c.Host = "evil.example"
	bought := c.do().json(http.StatusCreated)
	order, attempt := bought["order_id"], s.pay(bought["session_id"].(string), dodosim.CardVisa)
	back, err := url.Parse(attempt.RedirectURL)
	must(t, err)
	if back.Host != "shop.example" || back.Path != "/payments/return" || back.Query().Get("order") != order {
		t.Errorf("Dodo leads back to %s", back)
	}
	if got := s.get("/payments/status").by(alice).do().json(200)["credits"]; got != json.Number("30") {
		t.Errorf("credits %v, want 30", got)
	}
}

func TestCheckoutByForm(t *testing.T) {
	s := newSite(t, nil)
	a := s.post("/payments/checkout", "product=pack10&quantity=2&credits=&return_to=&discount_code=").by(alice).asForm().do()
	if a.Code != http.StatusSeeOther {
		t.Fatalf("status %d: %s", a.Code, a.Body)
	}
	if to := a.Header().Get("Location"); !strings.HasPrefix(to, "https://checkout.dodo.example/session/cks_") {
		t.Errorf("Location %q", to)
	}
	if got := a.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q", got)
	}
	pending := s.get("/payments/status").by(alice).do().json(200)["pending"].([]any)
	if q := pending[0].(map[string]any)["quantity"]; q != json.Number("2") {
		t.Errorf("quantity %v, want 2", q)
	}
}

func TestCheckoutRepeated(t *testing.T) {
	s := newSite(t, nil)
	buy := func(key, body string) answer {
		return s.post("/payments/checkout", body).by(alice).with("Idempotency-Key", key).do()
	}
	first := buy(`"k-1"`, `{"product":"pack10"}`).json(201)
	for _, same := range []string{`k-1`, `"k-1"`} {
		again := buy(same, `{ "quantity": 1, "product": "pack10" }`).json(201)
		if fmt.Sprint(again) != fmt.Sprint(first) {
			t.Errorf("key %s: %v, want %v", same, again, first)
		}
	}
	if n := s.sim.Calls("POST", "/checkouts"); n != 1 {
		t.Errorf("%d sessions made, want 1", n)
	}
	buy(`k-1`, `{"product":"pack10","quantity":2}`).problem(422, "idempotency_key_reused")
	if n := s.sim.Calls("POST", "/checkouts"); n != 1 {
		t.Errorf("%d sessions made, want 1", n)
	}
	// What another person does with the same key is of no concern to this one.
	other := s.post("/payments/checkout", `{"product":"pack10"}`).by(bob).with("Idempotency-Key", "k-1").do().json(201)
	if other["order_id"] == first["order_id"] {
		t.Error("two accounts share an order")
	}
}

// detailedError is a request to POST /checkout and what is said against it.
type detailedError struct {
	name   string
	body   string
	change func(call) call
	status int
	code   string
	detail string // part of it
}

func TestCheckoutRefusals(t *testing.T) {
	s := newSite(t, nil)
	for _, test := range append(badBodies(), badRequests()...) {
		t.Run(test.name, func(t *testing.T) {
			s := s.in(t)
			c := s.post("/payments/checkout", test.body).by(alice)
			if test.change != nil {
				c = test.change(c)
			}
			s.untouched(func() {
				m := c.do().problem(test.status, test.code)
				if detail, _ := m["detail"].(string); !strings.Contains(detail, test.detail) {
					t.Errorf("detail %q, want something about %q", detail, test.detail)
				}
			})
		})
	}
	if pending := s.get("/payments/status").by(alice).do().json(200)["pending"]; len(pending.([]any)) != 0 {
		t.Errorf("pending %v, want none", pending)
	}
}

func badBodies() []detailedError {
	const request, quantity = "invalid_request", "invalid_quantity"
	var tests []detailedError
	add := func(status int, code, detail string, bodies ...string) {
		for _, body := range bodies {
			name := body
			if len(name) > 60 {
				name = name[:60]
			}
			tests = append(tests, detailedError{name: fmt.Sprintf("%s %q", code, name), body: body, status: status, code: code, detail: detail})
		}
	}
	add(400, request, "JSON object", ``, ` `, `null`, `[]`, `"x"`, `1`, `{`, `{"product"}`, `{"product":}`, `{"product":"pack10",}`,
		`{"product":"pack10" "plan":"pro"}`, `{'product':'pack10'}`, `{product:"pack10"}`, `{"product":"pack10"`, "\ufeff"+`{"product":"pack10"}`,
		`{"product":"pack10"}{}`, `{"product":"pack10"} x`, `{"product":"pack10"}]`, `[{"product":"pack10"}]`, `{"quantity":+1}`, `{"quantity":01}`,
		`{"quantity":.5}`, `{"quantity":NaN}`, `/*x*/{}`, strings.Repeat("[", 9000), strings.Repeat(`{"a":`, 3000))
	add(400, request, "UTF-8", "{\"product\":\"pack10\xff\"}", "{\"product\":\"\xc0\xaf\"}", "{\"\xed\xa0\x80\":1}")
	add(400, request, "exactly one", `{}`, `{"quantity":1}`, `{"product":""}`, `{"product":"pack10","credits":10}`, `{"product":"pack10","plan":"pro"}`, `{"credits":0}`)
	// Nothing that decides about money or about whom is taken from the client.
	for _, field := range []string{"price", "amount", "product_id", "account", "userId", "user_id", "email", "customer", "metadata", "terms", "grant",
		"Product", "PRODUCT", "product ", "return_url", ""} {
		add(400, request, `"`+field+`" is not a field`, fmt.Sprintf(`{"product":"pack10",%q:"x"}`, field), fmt.Sprintf(`{%q:1,"product":"pack10"}`, field))
	}
	add(400, request, "product appears more than once", `{"product":"pack10","product":"pack10"}`, `{"product":"pack10","prod\u0075ct":"pro"}`)
	add(400, request, "quantity appears more than once", `{"product":"pack10","quantity":1,"quantity":1}`)
	add(400, request, "product must be a string", `{"product":1}`, `{"product":null}`, `{"product":true}`, `{"product":{}}`, `{"product":["pack10"]}`, `{"product":{"product":"pack10"}}`)
	add(400, request, "plan must be a string", `{"plan":1}`, `{"plan":null}`)
	add(400, request, "return_to must be a string", `{"product":"pack10","return_to":null}`)
	add(400, request, "discount_code must be a string", `{"product":"pack10","discount_code":["HALF"]}`)
	add(400, request, "credits must be a whole number", `{"credits":"10"}`, `{"credits":10.0}`, `{"credits":1e1}`, `{"credits":null}`, `{"credits":9223372036854775808}`)
	add(400, request, "product is not valid text", `{"product":"\ud800"}`, `{"product":"\udc00\ud800"}`)
	for _, q := range []string{`1.0`, `1e0`, `1E0`, `1.5`, `"1"`, `"one"`, `null`, `true`, `[1]`, `{"n":1}`, `0`, `-0`, `-1`, `1001`, `9007199254740993`, `9223372036854775807`,
		`9223372036854775808`, `99999999999999999999999999`, `1e400`} {
		add(400, quantity, "from 1 to 1000", `{"product":"pack10","quantity":`+q+`}`)
	}
	add(422, "unknown_product", "no such product", `{"product":"pdt_pack10"}`, `{"product":"PACK10"}`, `{"product":"pack10 "}`, `{"product":"pack10\u0000"}`,
		`{"credits":11}`, `{"credits":-10}`, `{"credits":99}`, `{"plan":"PRO"}`, `{"plan":"none"}`)
	for _, to := range []string{"https://evil.example/", "//evil.example", "/app", "javascript:alert(1)", "https://shop.example@evil.example/app", "https://shop.example/app/../x",
		"https://shop.example/", "https://shop.example\\@evil.example/app", "http://shop.example/app", "https://shop.example:444/app", "https://shop.example/app#x", " "} {
		add(422, "return_to_not_allowed", "return_to", fmt.Sprintf(`{"product":"pack10","return_to":%q}`, to))
	}
	add(422, "discount_code_invalid", "discount_code", `{"product":"pack10","discount_code":"a b"}`, `{"product":"pack10","discount_code":"<x>"}`,
		`{"product":"pack10","discount_code":"`+strings.Repeat("A", 65)+`"}`)
	return tests
}

func badRequests() []detailedError {
	const good = `{"product":"pack10"}`
	with := func(name, value string) func(call) call { return func(c call) call { return c.with(name, value) } }
	form := with("Content-Type", "application/x-www-form-urlencoded")
	tests := []detailedError{
		{"nobody", good, func(c call) call { return c.by("") }, 401, "unauthenticated", "Sign in"},
		{"account too long", good, func(c call) call { return c.by(strings.Repeat("x", 257)) }, 500, "account_invalid", "account id"},
		{"another site", good, with("Sec-Fetch-Site", "cross-site"), 403, "cross_origin", "site itself"},
		{"a subdomain", good, with("Sec-Fetch-Site", "same-site"), 403, "cross_origin", "site itself"},
		{"another origin", good, with("Origin", "https://evil.example"), 403, "cross_origin", "site itself"},
		{"a sandboxed origin", good, with("Origin", "null"), 403, "cross_origin", "site itself"},
		{"early data", good, with("Early-Data", "1"), 425, "too_early", "connection"},
		{"early data, in odd words", good, func(c call) call { return c.with("Early-Data", "0").with("Early-Data", "1") }, 425, "too_early", "connection"},
		{"no type", good, func(c call) call { c.Header.Del("Content-Type"); return c }, 415, "unsupported_media_type", "application/json"},
		{"plain text", good, with("Content-Type", "text/plain"), 415, "unsupported_media_type", "application/json"},
		{"multipart", good, with("Content-Type", "multipart/form-data; boundary=x"), 415, "unsupported_media_type", "application/json"},
		{"other JSON", good, with("Content-Type", "application/vnd.x+json"), 415, "unsupported_media_type", "application/json"},
		{"no known type", good, with("Content-Type", "application/json; charset"), 415, "unsupported_media_type", "application/json"},
		{"another charset", good, with("Content-Type", "application/json; charset=utf-16"), 415, "unsupported_media_type", "UTF-8"},
		{"too large", good + strings.Repeat(" ", 16<<10), nil, 413, "body_too_large", "too large"},
		{"too large, of unknown length", good + strings.Repeat(" ", 16<<10), func(c call) call { c.ContentLength = -1; return c }, 413, "body_too_large", "too large"},
		{"too large, by its own account", good, func(c call) call {
			c.ContentLength, c.Body = 1<<30, broken{} // it is not even read
			return c
		}, 413, "body_too_large", "too large"},
		{"broken off", good, func(c call) call { c.Body = broken{}; return c }, 400, "invalid_request", "could not be read"},
		{"a form in the clothes of JSON", "product=pack10", nil, 400, "invalid_request", "JSON object"},
		{"JSON in the clothes of a form", good, form, 400, "invalid_request", "not a field"},
		{"form, badly encoded", "product=%zz", form, 400, "invalid_request", "encoded"},
		{"form with semicolons", "product=pack10;quantity=2", form, 400, "invalid_request", "encoded"},
		{"form, not UTF-8", "product=%ff", form, 400, "invalid_request", "valid text"},
		{"form, field twice", "product=pack10&product=pack10", form, 400, "invalid_request", "product appears more than once"},
		{"form, empty field twice", "product=pack10&plan=&plan=", form, 400, "invalid_request", "plan appears more than once"},
		{"form, unknown field", "product=pack10&userId=bob", form, 400, "invalid_request", `"userId" is not a field`},
		{"form, unknown empty field", "product=pack10&price=", form, 400, "invalid_request", `"price" is not a field`},
		{"form, other case", "product=pack10&Quantity=2", form, 400, "invalid_request", `"Quantity" is not a field`},
		{"form, quantity in words", "product=pack10&quantity=two", form, 400, "invalid_quantity", "whole number"},
		{"form, quantity with a sign", "product=pack10&quantity=%2B2", form, 400, "invalid_quantity", "whole number"},
		{"form, quantity with a space", "product=pack10&quantity=+2", form, 400, "invalid_quantity", "whole number"},
		{"form, quantity 0", "product=pack10&quantity=0", form, 400, "invalid_quantity", "whole number"},
		{"form, credits with a fraction", "credits=10.0", form, 400, "invalid_request", "credits must be a whole number"},
	}
	for _, key := range []string{``, `""`, `"`, `"a`, `a"`, `"a"b"`, `"a\"`, `"a\x"`, `"a b"`, `a b`, `a,b`, `"a", "b"`, `"a";x=1`, `a;x=1`, `a\b`, "\"a\tb\"", `"ü"`, "ü",
		strings.Repeat("k", 256), `"` + strings.Repeat("k", 256) + `"`} {
		tests = append(tests, detailedError{fmt.Sprintf("key %.20q", key), good, with("Idempotency-Key", key), 400, "invalid_idempotency_key", "Idempotency-Key"})
	}
	return append(tests, detailedError{"two keys", good, func(c call) call {
		return c.with("Idempotency-Key", "a").with("Idempotency-Key", "a")
	}, 400, "invalid_idempotency_key", "more than once"})
}

func TestIdempotencyKeysThatAreGood(t *testing.T) {
	s := newSite(t, nil)
	for _, key := range []string{"a", "*", "550e8400-e29b-41d4-a716-446655440000", "YWJj/+8=", strings.Repeat("k", 255), `"` + strings.Repeat("k", 255) + `"`, `"\"\\,;"`} {
		s.post("/payments/checkout", `{"product":"pack10"}`).by(alice).with("Idempotency-Key", key).do().json(201)
	}
}

// Requests of programs, and of pages of the site itself, are welcome.
func TestCheckoutOrigins(t *testing.T) {
	s := newSite(t, nil)
	for name, change := range map[string]func(call) call{
		"a program":             func(c call) call { return c },
		"a page":                func(c call) call { return c.with("Sec-Fetch-Site", "same-origin").with("Origin", public) },
		"an old browser":        func(c call) call { return c.with("Origin", public) },
		"behind another Host":   func(c call) call { c.Host = "10.0.0.7:8080"; return c.with("Origin", public) },
		"typed by the user":     func(c call) call { return c.with("Sec-Fetch-Site", "none") },
		"charset in upper case": func(c call) call { return c.with("Content-Type", `Application/JSON; Charset="UTF-8"`) },
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			change(s.post("/payments/checkout", `{"product":"pack10"}`).by(alice)).do().json(201)
		})
	}
}

func TestCheckoutWhenDodoFails(t *testing.T) {
	header := func(name, value string) http.Header { return http.Header{name: {value}} }
	for _, test := range []struct {
		name    string
		fault   dodosim.Fault
		status  int
		code    string
		retry   string
		because string // provider_code
	}{
		{"down", dodosim.Fault{Status: 503}, 503, "provider_unavailable", "10", ""},
		{"too many calls", dodosim.Fault{Status: 429, Header: header("Retry-After", "77")}, 503, "provider_unavailable", "77", ""},
		{"for ever", dodosim.Fault{Status: 429, Header: header("Retry-After", "999999")}, 503, "provider_unavailable", "3600", ""},
		{"a web page", dodosim.Fault{Status: 200, Body: "<html>", Header: header("Content-Type", "text/html")}, 502, "provider_bad_answer", "", ""},
		{"elsewhere", dodosim.Fault{Status: 302, Header: header("Location", "https://evil.example")}, 502, "provider_bad_answer", "", ""},
		{"wrong key", dodosim.Fault{Status: 401, Body: `{"code":"UNAUTHORIZED","message":"secret words"}`}, 502, "provider_rejected", "", "UNAUTHORIZED"},
		{"no such product", dodosim.Fault{Status: 404, Body: `{"code":"NOT_FOUND","message":"secret words"}`}, 502, "provider_rejected", "", "NOT_FOUND"},
		{"refused", dodosim.Fault{Status: 422, Body: `{"code":"MERCHANT_NOT_LIVE","message":"secret words"}`}, 502, "provider_rejected", "", "MERCHANT_NOT_LIVE"},
		{"refused in odd words", dodosim.Fault{Status: 422, Body: `{"code":"<script>","message":"secret words"}`}, 502, "provider_rejected", "", ""},
		{"discount", dodosim.Fault{Status: 422, Body: `{"code":"DISCOUNT_CODE_EXPIRED"}`}, 422, "discount_code_invalid", "", ""},
		{"busy with a discount", dodosim.Fault{Status: 503, Body: `{"code":"DISCOUNT_CONCURRENT_REDEMPTION"}`}, 503, "provider_unavailable", "10", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t, nil)
			s.sim.SetFault(test.fault, 10)
			a := s.post("/payments/checkout", `{"product":"pack10"}`).by(alice).with("Idempotency-Key", "k").do()
			m := a.problem(test.status, test.code)
			if got := a.Header().Get("Retry-After"); got != test.retry {
				t.Errorf("Retry-After %q, want %q", got, test.retry)
			}
			if got, _ := m["provider_code"].(string); got != test.because {
				t.Errorf("provider_code %q, want %q", got, test.because)
			}
			if strings.Contains(a.Body.String()+s.log.String(), "secret words") || strings.Contains(s.log.String(), apiKey) {
				t.Errorf("too much is told: %s %s", a.Body, s.log)
			}
			if logged := strings.Contains(s.log.String(), "code="+test.code); logged != (test.status >= 500) {
				t.Errorf("log: %s", s.log)
			}
			// Nothing is left behind, and the key is free.
			s.sim.SetFault(dodosim.Fault{}, 0)
			if pending := s.get("/payments/status").by(alice).do().json(200)["pending"]; len(pending.([]any)) != 0 {
				t.Errorf("pending %v, want none", pending)
			}
			s.post("/payments/checkout", `{"product":"pack10"}`).by(alice).with("Idempotency-Key", "k").do().json(201)
		})
	}
}

func TestCheckoutRefusedByDodoForItsDiscount(t *testing.T) {
	s := newSite(t, nil)
	s.post("/payments/checkout", `{"product":"pack10","discount_code":"NOSUCH"}`).by(alice).do().problem(422, "discount_code_invalid")
	s.post("/payments/checkout", `{"product":"unsold"}`).by(alice).do().problem(502, "provider_rejected")
}

func TestCheckoutOfTooMany(t *testing.T) {
	s := newSite(t, nil)
	for range 50 {
		s.order(alice, `{"product":"pack10"}`)
	}
	s.untouched(func() {
		a := s.post("/payments/checkout", `{"product":"pack10"}`).by(alice).do()
		a.problem(429, "too_many_open_orders")
		if got := a.Header().Get("Retry-After"); got != "60" {
			t.Errorf("Retry-After %q", got)
		}
	})
	s.order(bob, `{"product":"pack10"}`)
}

// Without public_url, links are made for a loopback host and for no other.
func TestCheckoutWithoutPublicURL(t *testing.T) {
	s := newSite(t, func(set *setting) { set.publicURL = "" })
	c := s.post("/payments/checkout", `{"product":"pack10"}`).by(alice)
	s.untouched(func() { c.do().problem(500, "public_url_missing") })
	c = s.post("/payments/checkout", `{"product":"pack10"}`).by(alice)
	c.Host = "localhost:8080"
	session := c.do().json(201)["session_id"].(string)
	if back := s.pay(session, dodosim.CardVisa).RedirectURL; !strings.HasPrefix(back, "http://localhost:8080/payments/return?order=") {
		t.Errorf("Dodo leads back to %s", back)
	}
}

func TestCheckoutWithoutStore(t *testing.T) {
	s := newSite(t, nil)
	must(t, s.store.Close())
	a := s.post("/payments/checkout", `{"product":"pack10"}`).by(alice).do()
	a.problem(503, "store_unavailable")
	if got := a.Header().Get("Retry-After"); got != "5" {
		t.Errorf("Retry-After %q", got)
	}
	if n := s.sim.Calls("", ""); n != 0 {
		t.Errorf("%d calls to Dodo", n)
	}
	a = s.post("/payments/checkout", "product=pack10").by(alice).asForm().do()
	if page := a.page(503); !strings.Contains(page, "store_unavailable") || strings.Contains(page, "Try again</a>") {
		t.Error(page)
	}
}

// A browser that sent a form gets a page, with the same status.
func TestFormErrorsArePages(t *testing.T) {
	s := newSite(t, nil)
	s.untouched(func() {
		a := s.post("/payments/checkout", `product=pack10&%3Cscript%3Ealert(1)%3C/script%3E=1`).by(alice).asForm().do()
		page := a.page(400)
		if strings.Contains(page, "<script") || !strings.Contains(page, "&lt;script&gt;") || !strings.Contains(page, "invalid_request") {
			t.Error(page)
		}
		if got := a.Header().Get("Vary"); got != "Accept" {
			t.Errorf("Vary %q", got)
		}
		checkPage(t, a)
		cross := s.post("/payments/checkout", "product=pack10").by(alice).asBrowser().with("Sec-Fetch-Site", "cross-site").
			with("Content-Type", "application/x-www-form-urlencoded").do()
		if page := cross.page(403); !strings.Contains(page, "cross_origin") {
			t.Error(page)
		}
	})
}

// The limit holds on a real connection, too, however the body is sent.
func TestCheckoutOverTheWire(t *testing.T) {
	s := newSite(t, nil)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.api.ServeHTTP(w, call{r, s}.by(alice).Request)
	}))
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), "POST", server.URL+"/payments/checkout", endless{})
	must(t, err)
	r.Header.Set("Content-Type", "application/json")
	client := server.Client()
	client.Timeout = httpclient.Timeout
	res, err := client.Do(r)
	must(t, err)
	defer res.Body.Close()
	if res.StatusCode != 413 {
		t.Errorf("status %d", res.StatusCode)
	}
}

// endless is a body without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}
