package caddymodule_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// at sends a request of alice to one of the hosts of the site.
func (b *bench) at(host, method, path, body string, header ...string) answer {
	b.t.Helper()
	req, err := http.NewRequest(method, "http://127.0.0.1:"+b.Port+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Host = host
	req.Header.Set("X-Test-User", "alice")
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return b.send(req)
}

// buysAt buys pack10 at a base path, pays, and returns where Dodo leads the customer
// back to, and where the customer lands in the end.
func (b *bench) buysAt(sim *dodosim.Simulator, host, base string) (back, landing string) {
	b.t.Helper()
	a := b.at(host, "POST", base+"/checkout", `{"product":"pack10"}`)
	var made struct {
		OrderID   string `json:"order_id"`
		SessionID string `json:"session_id"`
	}
	if err := json.Unmarshal([]byte(a.body), &made); err != nil || made.SessionID == "" {
		b.t.Fatalf("checkout at %s: %d %s", base, a.status, a.body)
	}
	paid, err := sim.Pay(made.SessionID, "4242424242424242")
	if err != nil {
		b.t.Fatal(err)
	}
	back, _, _ = strings.Cut(paid.RedirectURL, "?")
	var confirmed struct {
		ReturnTo string `json:"return_to"`
	}
	a = b.at(host, "POST", base+"/confirm", `{"order_id":"`+made.OrderID+`"}`)
	if err := json.Unmarshal([]byte(a.body), &confirmed); err != nil {
		b.t.Fatalf("confirm: %d %s", a.status, a.body)
	}
	return back, confirmed.ReturnTo
}

// belowShop are sites whose app is below /shop.
var belowShop = map[string]string{
	"Caddy takes the path away": `
	handle_path /shop/* {` + usualGateway + `
		dodo_require /pro/* plan pro
		respond "the shop"
	}
	respond "the main site" 404`,
	"nothing takes it away": `
	handle /shop/* {
		dodo_gateway /shop/payments {
			account {http.request.header.X-Test-User}
		}
		dodo_require /shop/pro/* plan pro
		respond "the shop"
	}
	respond "the main site" 404`,
	"a rewrite takes it away": `
	route /shop/* {
		uri strip_prefix /shop` + usualGateway + `
		dodo_require /pro/* plan pro
		respond "the shop"
	}
	respond "the main site" 404`,
}

// Every link of a site below a path is below it.
func TestSiteBelowPath(t *testing.T) {
	for name, site := range belowShop {
		for _, public := range []string{"https://host.test/shop", "https://host.test/shop/"} {
			t.Run(name+" "+public, func(t *testing.T) {
				b := newBench(t)
				sim := shop(t, b)
				b.mustLoad(caddyfile(strings.Replace(planDodo, "signup_credits", "public_url "+public+"\n\t\tsignup_credits", 1), site))
				back, landing := b.buysAt(sim, "127.0.0.1:"+b.Port, "/shop/payments")
				if back != "https://host.test/shop/payments/return" || landing != "https://host.test/shop/" {
					t.Errorf("Dodo leads to %s, and then the customer lands at %s", back, landing)
				}
				a := b.do("GET", "/shop/pro/x", "", "X-Test-User", "alice")
				if !strings.Contains(a.body, `"url":"/shop/payments/checkout"`) {
					t.Errorf("offer: %d %s", a.status, a.body)
				}
				a = b.do("GET", "/shop/pro/x?y=1", "", "X-Test-User", "alice", "Accept", "text/html")
				for _, part := range []string{`action="/shop/payments/checkout"`, `value="https://host.test/shop/pro/x?y=1"`, `href="/shop/"`} {
					if !strings.Contains(a.body, part) {
						t.Errorf("page: %s is missing in %d %s", part, a.status, a.body)
					}
				}
				for _, page := range []answer{
					b.do("GET", "/shop/pro/x", "", "Accept", "text/html"), b.do("GET", "/shop/payments/nothing", "", "Accept", "text/html"),
					b.do("GET", "/shop/payments/return?order=ord_x&try=9", "", "Accept", "text/html"),
				} {
					if !strings.Contains(page.body, `href="/shop/"`) {
						t.Errorf("page: no link to the site in %d %s", page.status, page.body)
					}
				}
				// A form of the site itself is known by the origin alone.
				if a := b.do("POST", "/shop/payments/checkout", `{"product":"pack10"}`, "Content-Type", "application/json", "X-Test-User", "alice", "Origin", "https://host.test"); a.status != 201 {
					t.Errorf("checkout of a page of the site: %d %s", a.status, a.body)
				}
				a = b.do("POST", "/shop/payments/checkout", `{"product":"pack10","return_to":"https://host.test/other"}`, "Content-Type", "application/json", "X-Test-User", "alice")
				b.problem(a, 422, "return_to_not_allowed")
			})
		}
	}
}

// Several hosts share a catalog, and each has its own address.
func TestPublicURLOfEachHost(t *testing.T) {
	hosts := func(option string) string {
		gateway := "\n\tdodo_gateway {\n\t\taccount {http.request.header.X-Test-User}\n"
		return "{\n\tadmin {{Admin}}\n\tauto_https off\n" + strings.Replace(planDodo, "signup_credits", "public_url https://a.test\n\t\t"+option+"\n\t\tsignup_credits", 1) + "\n}\n" +
			"http://a.test:{{Port}} {" + gateway + "\t}\n}\n" +
			"http://b.test:{{Port}} {" + gateway + "\t\tpublic_url {env.DODOGATE_TEST_HOST}\n\t}\n}\n"
	}
	t.Setenv("DODOGATE_TEST_HOST", "https://b.test")
	b := newBench(t)
	sim := shop(t, b)
	for option, want := range map[string][]string{
		"":                             {"https://a.test", "https://b.test"},
		"return_to https://a.test/app": {"https://a.test/app", "https://b.test"},
		"return_to https://a.test/app https://b.test/done": {"https://a.test/app", "https://b.test/done"},
	} {
		b.mustLoad(hosts(option))
		var got []string
		for _, host := range []string{"a.test", "b.test"} {
			back, landing := b.buysAt(sim, host, "/payments")
			if back != "https://"+host+"/payments/return" {
				t.Errorf("%q: at %s Dodo leads to %s", option, host, back)
			}
			got = append(got, landing)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: customers land at %q, want %q", option, got, want)
		}
		if a := b.at("b.test", "POST", "/payments/checkout", `{"product":"pack10"}`, "Origin", "https://b.test", "Sec-Fetch-Site", "cross-site"); a.status != 201 {
			t.Errorf("%q: checkout of a page of b.test: %d %s", option, a.status, a.body)
		}
		b.problem(b.at("b.test", "POST", "/payments/checkout", `{"product":"pack10"}`, "Origin", "https://a.test", "Sec-Fetch-Site", "cross-site"), 403, "cross_origin")
	}
	t.Setenv("DODOGATE_TEST_HOST", "https://b.test?x")
	assertRefused(t, b.load(hosts("")), "public_url of dodo_gateway: public_url must be an address")
	t.Setenv("DODOGATE_TEST_HOST", "")
	assertRefused(t, b.load(hosts("")), "public_url: {env.DODOGATE_TEST_HOST} is unset or empty")
}
