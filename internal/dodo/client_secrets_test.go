package dodo_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	dodopayments "github.com/dodopayments/dodopayments-go"

	"github.com/dodogate/dodogate/internal/dodo"
)

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// What must never be seen: the API key, what a server says, and who buys.
var planted = []string{"PLANTED", apiKey, "jane@example.com", "Jane Doe", "Bearer", "checkout.dodopayments.com"}

// Whatever goes wrong, neither the error in any spelling nor the log shows it.
func TestNothingLeaks(t *testing.T) {
	echo := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { // a server that tells all it heard
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("X-Echo", r.Header.Get("Authorization"))
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, `{"code":"PLANTED %s","message":%q}`, r.Header.Get("Authorization"), r.Header)
		}
	}
	for name, handler := range map[string]http.HandlerFunc{
		"200": echo(200), "302": echo(302), "400": echo(400), "401": echo(401), "404": echo(404),
		"422": echo(422), "429": echo(429), "500": echo(500),
		"page": html(502), "reset": reset, "not HTTP": wire(apiKey + " PLANTED\r\n\r\n"), "endless": endless(200),
		"header too long": wire("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("PLANTED", 20_000) + "\r\n\r\n"),
		"bad address":     answer(200, `{"session_id":"PLANTED/","checkout_url":"http://PLANTED@checkout.dodopayments.com/"}`),
	} {
		t.Run(name, func(t *testing.T) {
			var logged bytes.Buffer
			s := newStub(t, func(o *dodo.Options) {
				o.Logger = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
			}, handler)
			_, err := s.client.CreateCheckout(t.Context(), dodo.Checkout{
				ProductID: "pdt_1", Quantity: 1, Customer: dodo.Customer{Email: "jane@example.com", Name: "Jane Doe"},
			})
			if err == nil {
				t.Fatal("no error")
			}
			if _, ok := errors.AsType[*dodopayments.Error](err); ok {
				t.Error("the SDK's error comes through")
			}
			spelt := fmt.Sprintf("%v\n%+v\n%#v\n%s", err, err, err, logged.String())
			for e := errors.Unwrap(err); e != nil; e = errors.Unwrap(e) {
				spelt += fmt.Sprintf("%+v\n%#v\n", e, e)
			}
			for _, secret := range planted {
				if strings.Contains(spelt, secret) {
					t.Errorf("%q shows in\n%s", secret, spelt)
				}
			}
			if s.pauses != nil && !strings.Contains(logged.String(), "trying again") {
				t.Error("nothing was logged about another attempt")
			}
		})
	}
}

func TestClientDoesNotPrintItsKey(t *testing.T) {
	client, err := dodo.New(dodo.Options{APIKey: apiKey})
	if err != nil {
		t.Fatal(err)
	}
	if s := fmt.Sprintf("%v %+v %#v", client, client, *client); strings.Contains(s, apiKey) {
		t.Errorf("printed: %s", s)
	}
}

// The SDK's environment variables change nothing: neither where the key goes,
// nor what is sent.
func TestEnvironmentDoesNotLeakIn(t *testing.T) {
	elsewhere := newStub(t, nil, answer(200, `{"id":"cks_1"}`))
	t.Setenv("DODO_PAYMENTS_BASE_URL", elsewhere.url)
	t.Setenv("DODO_PAYMENTS_API_KEY", "PLANTED_OTHER_KEY")
	t.Setenv("DODO_PAYMENTS_WEBHOOK_KEY", "PLANTED_WEBHOOK_KEY")
	t.Setenv("DODO_PAYMENTS_CUSTOM_HEADERS", "X-Planted: yes\nAuthorization: Bearer PLANTED")
	s := newStub(t, nil, answer(200, `{"id":"cks_1"}`))
	if _, err := s.client.Session(t.Context(), "cks_1"); err != nil {
		t.Fatal(err)
	}
	if n := len(elsewhere.seen()); n != 0 {
		t.Errorf("%d requests went to DODO_PAYMENTS_BASE_URL", n)
	}
	h := s.seen()[0].header
	if h.Get("X-Planted") != "" || h.Get("Authorization") != "Bearer "+apiKey || strings.Contains(fmt.Sprint(h), "PLANTED_OTHER") {
		t.Errorf("sent %v", h)
	}
}

// Without a base URL the mode decides, and only the mode.
func TestModeDecidesWhereToGo(t *testing.T) {
	t.Setenv("DODO_PAYMENTS_BASE_URL", "https://PLANTED.example")
	for mode, want := range map[dodo.Mode]string{
		"":            "https://test.dodopayments.com/checkouts/cks_1",
		dodo.TestMode: "https://test.dodopayments.com/checkouts/cks_1",
		dodo.LiveMode: "https://live.dodopayments.com/checkouts/cks_1",
	} {
		var got string
		client, err := dodo.New(dodo.Options{APIKey: apiKey, Mode: mode, Transport: transport(func(r *http.Request) (*http.Response, error) {
			got = r.URL.String()
			return respond(200, nil, strings.NewReader(`{"id":"cks_1"}`)), nil
		})})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Session(t.Context(), "cks_1"); err != nil || got != want {
			t.Errorf("mode %q asks %s (%v), want %s", mode, got, err, want)
		}
	}
}
