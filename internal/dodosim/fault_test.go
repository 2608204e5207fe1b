package dodosim_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/testing/httpclient"
)

// raw is a call to a shop whose answers nobody validates, because they are wrong.
func (s *shop) raw(method, path, body string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+key)
	return strict.Do(request)
}

// strict takes a redirect for an answer.
var strict = &http.Client{
	Timeout:       httpclient.Timeout,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func faulty(t *testing.T) *shop {
	sim := start(t, options())
	return &shop{t: t, sim: sim, url: serve(t, sim)}
}

func TestFaultAnswers(t *testing.T) {
	for name, fault := range map[string]dodosim.Fault{
		"Dodo's form": {Status: 500, Body: `{"code":"INTERNAL_SERVER_ERROR","message":"no"}`},
		"HTML":        {Status: 502, Body: "<html>Bad gateway</html>", Header: http.Header{"Content-Type": {"text/html"}}},
		"rate limit":  {Status: 429, Header: http.Header{"retry-after": {"3"}}},
	} {
		t.Run(name, func(t *testing.T) {
			shop := faulty(t)
			shop.sim.SetFault(fault, 2)
			for range 2 {
				answer, err := shop.raw("POST", "/checkouts", onePack)
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(answer.Body)
				_ = answer.Body.Close()
				if answer.StatusCode != fault.Status || string(body) != fault.Body {
					t.Error(answer.StatusCode, string(body))
				}
				if wanted := fault.Header["retry-after"]; wanted != nil && answer.Header.Get("Retry-After") != wanted[0] { //nolint:staticcheck // a key as a caller may write it
					t.Error(answer.Header)
				}
				if wanted := fault.Header["Content-Type"]; wanted != nil && answer.Header.Get("Content-Type") != wanted[0] {
					t.Error(answer.Header)
				}
			}
			shop.checkout(onePack) // well again
			if got := shop.sim.Calls("POST", "/checkouts"); got != 3 {
				t.Error(got, "calls")
			}
		})
	}
}

func TestFaultLosesTheReply(t *testing.T) {
	shop := faulty(t)
	paid := shop.pay(shop.checkout(onePack))
	shop.sim.SetFault(dodosim.Fault{LoseReply: true}, 1)
	if answer, err := shop.raw("POST", "/refunds", `{"payment_id":"`+paid.PaymentID+`"}`); err == nil {
		t.Error("an answer came:", answer.Status)
	}
	if payment := shop.payment(paid.PaymentID); payment["refund_status"] != "full" {
		t.Error("the call was not executed")
	}
}

// The call is done, half of its answer comes, and the caller can see that there was more.
func TestFaultCutsTheAnswer(t *testing.T) {
	shop := faulty(t)
	paid := shop.pay(shop.checkout(onePack))
	whole := shop.get("/payments")
	shop.sim.SetFault(dodosim.Fault{Cut: true}, 2)
	for _, call := range [][3]string{{"GET", "/payments", ""}, {"POST", "/refunds", `{"payment_id":"` + paid.PaymentID + `"}`}} {
		answer, err := shop.raw(call[0], call[1], call[2])
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK || !errors.Is(err, io.ErrUnexpectedEOF) || len(body) == 0 {
			t.Errorf("%s %s: %d %q, %v", call[0], call[1], answer.StatusCode, body, err)
		}
		if call[0] == "GET" && string(body) != string(whole[:len(whole)/2]) {
			t.Errorf("%q is not the first half of %q", body, whole)
		}
	}
	if payment := shop.payment(paid.PaymentID); payment["refund_status"] != "full" {
		t.Error("the call was not executed")
	}
}

func TestFaultNeverEnds(t *testing.T) {
	shop := faulty(t)
	shop.sim.SetFault(dodosim.Fault{Endless: true}, 1)
	answer, err := shop.raw("GET", "/payments", "")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.CopyN(io.Discard, answer.Body, 10<<20); err != nil {
		t.Error("ended after", n, err)
	}
	_ = answer.Body.Close() // or the server of this test would not stop
}

func TestFaultDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := &shop{t: t, sim: start(t, options())}
		shop.sim.SetFault(dodosim.Fault{Delay: time.Minute}, 1)
		began := time.Now()
		if id := shop.checkoutDirectly(onePack); !strings.HasPrefix(id, "cks_") {
			t.Error("the call was not executed")
		}
		if took := time.Since(began); took != time.Minute {
			t.Error("took", took)
		}
	})
}

// The hosted page, webhooks and back doors go on while the API fails.
func TestFaultIsForTheAPI(t *testing.T) {
	shop := faulty(t)
	session := shop.checkout(onePack)
	shop.sim.SetFault(dodosim.Fault{Status: 503}, 1000)
	shop.page("GET", session, nil)
	shop.page("POST", session, ada("card", dodosim.CardVisa))
	if events := shop.sim.Events(); len(events) != 1 || events[0].Type != "payment.succeeded" {
		t.Error(events)
	}
	shop.sim.SetFault(dodosim.Fault{}, 0)
	shop.get("/payments")
}
