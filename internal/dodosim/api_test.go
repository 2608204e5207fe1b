package dodosim_test

import (
	"net/http"
	"testing"

	"github.com/dodogate/dodogate/internal/testing/httpclient"
)

func TestCalls(t *testing.T) {
	shop := faulty(t)
	shop.page("GET", shop.checkout(onePack), nil)
	shop.get("/payments")
	shop.call("GET", "/payments/pay_no", "")
	shop.call("DELETE", "/payments/pay_no", "")
	for _, test := range []struct {
		method, path string
		wanted       int
	}{
		{"", "", 4}, {"POST", "/checkouts", 1}, {"POST", "", 1}, {"GET", "/payments", 1}, {"", "/payments/{id}", 1},
		{"GET", "", 2}, {"POST", "/refunds", 0},
	} {
		if got := shop.sim.Calls(test.method, test.path); got != test.wanted {
			t.Errorf("Calls(%q, %q) is %d, wanted %d", test.method, test.path, got, test.wanted)
		}
	}
}

func TestAuthorization(t *testing.T) {
	shop := open(t, nil)
	for _, header := range []string{"", "Bearer", "Bearer ", "Bearer wrong", "Basic " + key, key, "Bearer " + key + "x"} {
		request, _ := http.NewRequestWithContext(t.Context(), "GET", shop.url+"/products", nil)
		request.Header.Set("Authorization", header)
		answer, err := httpclient.Default.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusUnauthorized {
			t.Errorf("%q: %d", header, answer.StatusCode)
		}
	}
	for _, path := range []string{"/", "/brands", "/payments/", "/session"} {
		if status, body := shop.call("GET", path, ""); status != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}
