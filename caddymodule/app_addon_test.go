package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/dodosim/simtest"
	"github.com/dodogate/dodogate/internal/testing/httpclient"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// withAddonCatalog sells a team plan with seats of its own, and two add-ons for it.
func withAddonCatalog(store string) string {
	return `
	dodo {
		api_key        test_api_key
		base_url       {{Dodo}}
		webhook_secret ` + webhookSecret + `
		store          ` + store + `
		product team {
			id    pdt_team
			plan  team
			seats 2
		}
		addon seat {
			id    adn_seat
			seats 1
		}
		addon audit {
			id      adn_audit
			credits 40
			plan    audited
			feature audit.log
		}
	}`
}

// asksDodo sends a request to Dodo by the merchant's own hand.
func (b *bench) asksDodo(method, path, body string, answer any) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.Dodo+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer test_api_key")
	r.Header.Set("Content-Type", "application/json")
	response, err := httpclient.Default.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		b.t.Fatalf("%s %s: %s", method, path, response.Status)
	}
	if answer == nil {
		return
	}
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil {
		b.t.Fatal(err)
	}
}

// What a subscription's add-ons give is there as soon as they are bought, at gates, in
// headers, placeholders and the status, and gone when they are.
func TestAddons(t *testing.T) {
	for backend, store := range map[string]func(*testing.T) string{
		"bolt":  func(*testing.T) string { return "bolt {{Dir}}/dodogate.db" },
		"redis": func(t *testing.T) string { return "redis " + redistest.Start(t).URL() },
	} {
		t.Run(backend, func(t *testing.T) {
			b := newBench(t)
			var sim *dodosim.Simulator
			sim, b.Dodo = simtest.Serve(t, dodosim.Options{
				APIKey: "test_api_key", WebhookURL: "http://127.0.0.1:" + b.Port + "/payments/webhook", WebhookSecret: webhookSecret,
				Products: []dodosim.Product{{ID: "pdt_team", Price: 1000, Currency: "USD", Every: dodosim.Period{Count: 1, Interval: dodosim.Month}}},
				Addons:   []dodosim.Addon{{ID: "adn_seat", Name: "Seat", Price: 300, Currency: "USD"}, {ID: "adn_audit", Name: "Audit", Price: 500, Currency: "USD"}},
			})
			b.mustLoad(caddyfile(withAddonCatalog(store(t)), `
	dodo_gateway {
		account       {http.request.header.X-Test-User}
		header_prefix Acme-
		headers       seats plans features credits
	}
	dodo_require /audit/* feature audit.log
	dodo_require /audited/* plan audited
	respond /placeholder "{http.dodo.seats}|"
	reverse_proxy {{Upstream}}`))
			b.has("alice", "0 0 [] []", false)
			b.buys(sim, "alice", "team")
			b.has("alice", "2 0 [team] []", false)
			var list struct {
				Items []struct {
					ID string `json:"subscription_id"`
				} `json:"items"`
			}
			b.asksDodo("GET", "/subscriptions", "", &list)
			change := func(addons string) {
				b.asksDodo("POST", "/subscriptions/"+list.Items[0].ID+"/change-plan",
					`{"product_id":"pdt_team","quantity":1,"proration_billing_mode":"difference_immediately","addons":[`+addons+`]}`, nil)
				if err := sim.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			change(`{"addon_id":"adn_seat","quantity":3},{"addon_id":"adn_audit","quantity":1}`)
			b.has("alice", "5 40 [audited,team] [audit.log]", true)
			b.has("bob", "0 0 [] []", false)
			change(`{"addon_id":"adn_seat","quantity":1}`)
			b.has("alice", "3 40 [team] []", false)
		})
	}
}

// has wants what a user's requests say: "seats credits [plans] [features]", and whether the
// gates of the add-on are open.
func (b *bench) has(user, want string, passes bool) {
	b.t.Helper()
	h := b.seen(b.do("GET", "/app", "", "X-Test-User", user, "Acme-Seats", "99", "acme_seats", "98")).Header
	if got := fmt.Sprintf("%s %s %s %s", h.Values("Acme-Seats"), h.Get("Acme-Credits"), h.Values("Acme-Plans"), h.Values("Acme-Features")); "["+strings.Replace(want, " ", "] ", 1) != got {
		b.t.Errorf("%s has %s, want %s", user, got, want)
	}
	seats, _, _ := strings.Cut(want, " ")
	if got := b.do("GET", "/placeholder", "", "X-Test-User", user).body; got != seats+"|" {
		b.t.Errorf("the placeholder says %s, want %s", got, seats)
	}
	if got := b.do("GET", "/payments/status", "", "X-Test-User", user).body; !strings.Contains(got, `"seats":`+seats+`,`) {
		b.t.Errorf("the status is %s, want %s seats", got, seats)
	}
	for _, path := range []string{"/audit/x", "/audited/x"} {
		if a := b.do("GET", path, "", "X-Test-User", user); (a.status == http.StatusOK) != passes {
			b.t.Errorf("%s at %s: %d", user, path, a.status)
		}
	}
}

// Where nothing gives seats, no site can ask for their header. Add-ons are judged in JSON as
// in a Caddyfile.
func TestAddonsInJSON(t *testing.T) {
	b := newBench(t)
	for addons, want := range map[string]string{
		`[{"name": "a", "id": "adn_1", "seats": 1}]`:                                           "",
		`[{"name": "a", "id": "adn_1"}]`:                                                       "addon a: gives nothing",
		`[{"name": "a", "id": "adn_1", "seats": -1}]`:                                          "addon a: seats must be between 1 and 1000000",
		`[{"name": "a", "id": "adn_1", "credits": 9007199254741}]`:                             "addon a: credits must be between 1 and 9007199254740",
		`[{"name": "a", "id": "adn_1", "seats": 1}, {"name": "a", "id": "adn_2", "seats": 1}]`: "addon a: the name is used twice",
		`[{"name": "a", "id": "adn_1", "seats": 1}, {"name": "b", "id": "adn_1", "seats": 1}]`: "addon b: id adn_1 is addon a already",
		`[{"name": "a", "id": "pdt_1", "seats": 1}]`:                                           "id pdt_1 is product pack10 already",
		`[{"name": "a", "id": "{env.DODOGATE_TEST_UNSET}", "seats": 1}]`:                       "id of addon a",
		`[{"name": "a", "id": "adn_1", "credits": 5}], "plans": ["audited"]`:                   `no product or add-on gives the plan "audited"`,
		`[{"name": "a", "id": "adn_1", "plan": "audited"}], "plans": ["audited"]`:              "",
	} {
		app := strings.Replace(jsonApp, `"products":`, `"addons": `+addons+`, "products":`, 1)
		assertRefused(t, validateJSON(t, b.fill(jsonConfig(app, jsonGateway))), want)
	}
	gateway := `{"handler": "dodo_gateway", "account": "{http.auth.user.id}", "headers": ["Seats"]}`
	assertRefused(t, validateJSON(t, b.fill(jsonConfig(jsonApp, gateway))), "headers: Seats is never sent, because no product and no addon has seats")
	app := strings.Replace(jsonApp, `"products":`, `"addons": [{"name": "a", "id": "adn_1", "seats": 1}], "products":`, 1)
	assertRefused(t, validateJSON(t, b.fill(jsonConfig(app, gateway))), "")
}
