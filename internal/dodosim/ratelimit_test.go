package dodosim_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
)

func TestRateLimits(t *testing.T) {
	now := opening
	limited := options()
	limited.Clock, limited.RateLimits = func() time.Time { return now }, true
	sim := start(t, limited)
	call := func(method, path, key, from string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(`{"license_key":"x"}`))
		r.Header.Set("Authorization", "Bearer "+key)
		r.RemoteAddr = from + ":1"
		answer := httptest.NewRecorder()
		sim.ServeHTTP(answer, r)
		return answer
	}
	// passes makes calls until one is refused.
	passes := func(method, path, key, from string) int {
		for n := range 1000 {
			if answer := call(method, path, key, from); answer.Code == http.StatusTooManyRequests {
				if answer.Body.Len() != 0 || answer.Header().Get("Content-Type") != "" || answer.Header().Get("X-RateLimit-Remaining") != "0" {
					t.Errorf("refusal %v %q", answer.Header(), answer.Body)
				}
				return n
			}
		}
		return 1000
	}
	for second, wanted := range []int{40, 40, 40, 40, 40, 40, 0} {
		if got := passes("GET", "/products", key, "10.0.0.1"); got != wanted {
			t.Errorf("second %d: %d calls passed, wanted %d", second, got, wanted)
		}
		now = now.Add(time.Second)
	}
	// Calls without a key are counted by address.
	for _, from := range []string{"10.0.0.1", "10.0.0.2"} {
		if got := passes("POST", "/licenses/validate", "", from); got != 20 {
			t.Errorf("%d calls without a key passed", got)
		}
		if got := passes("GET", "/products", "wrong", from); got != 0 {
			t.Errorf("%d calls with a wrong key passed", got)
		}
	}
	now = opening.Add(time.Minute)
	answer := call("GET", "/products", key, "10.0.0.1")
	if answer.Code != http.StatusOK || answer.Header().Get("X-RateLimit-Remaining") != "239" || answer.Header().Get("X-RateLimit-Limit") != "240" || answer.Header().Get("X-RateLimit-Reset") != "60" {
		t.Errorf("in the next minute %d %v", answer.Code, answer.Header())
	}

	shop := open(t, func(o *dodosim.Options) { o.RateLimits = false })
	for range 50 {
		shop.get("/products")
	}
}
