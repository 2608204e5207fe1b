package dodosim_test

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// attempt is a call that is to fail.
type attempt struct{ path, body string }

// to is an attempt with a body.
func to(path, body string) func(*shop) attempt {
	return func(*shop) attempt { return attempt{path, body} }
}

// empty is an attempt with an empty object.
func empty(path string) func(*shop) attempt { return to(path, "{}") }

// failures say how to provoke each documented failure for which there is no general rule:
// see provoke. The path of the attempt replaces the operation's.
var failures = map[string]func(*shop) attempt{
	"POST /addons 422":                     empty("/addons"),
	"PATCH /addons/{id} 422":               to("/addons/adn_seat", `{"tax_category":"none"}`),
	"POST /subscriptions 422":              empty("/subscriptions"),
	"POST /checkouts 422":                  empty("/checkouts"),
	"POST /checkouts/preview 422":          empty("/checkouts/preview"),
	"GET /credit-entitlements 422":         to("/credit-entitlements?page_size=101", ""),
	"POST /credit-entitlements 422":        empty("/credit-entitlements"),
	"PATCH /credit-entitlements/{id} 422":  func(s *shop) attempt { return attempt{parent(s.credits(false, ""), 2), `{"unit":""}`} },
	"DELETE /credit-entitlements/{id} 410": func(s *shop) attempt { return s.twice("DELETE", parent(s.credits(false, ""), 2)) },
	"POST /credit-entitlements/{credit_entitlement_id}/balances/{customer_id}/ledger-entries 400": func(s *shop) attempt {
		return attempt{s.credits(false, "") + "/ledger-entries", `{"entry_type":"debit","amount":"1"}`}
	},
	"POST /credit-entitlements/{credit_entitlement_id}/balances/{customer_id}/ledger-entries 409": func(s *shop) attempt {
		path, body := s.credits(false, "")+"/ledger-entries", `{"entry_type":"credit","amount":"1","idempotency_key":"k"}`
		s.ask("POST", path, body)
		return attempt{path, body}
	},
	"GET /customers 422":                 to("/customers?page_size=101", ""),
	"POST /customers 422":                empty("/customers"),
	"PATCH /customers/{customer_id} 422": func(s *shop) attempt { return attempt{"/customers/" + s.someone(), `{"email":"nobody"}`} },
	"POST /customers/{customer_id}/customer-portal/session 422": func(s *shop) attempt {
		return attempt{"/customers/" + s.someone() + "/customer-portal/session?return_url=nowhere", ""}
	},
	"GET /customers/{customer_id}/entitlement-grants 422": func(s *shop) attempt {
		return attempt{"/customers/" + s.someone() + "/entitlement-grants?status=lost", ""}
	},
	"DELETE /customers/{customer_id}/payment-methods/{payment_method_id} 409": func(s *shop) attempt {
		owner := s.customerOf(s.subscribe("pdt_pro", dodosim.CardVisa))
		method := s.items("/customers/"+owner+"/payment-methods", "payment_method_id")[0]
		return attempt{fmt.Sprintf("/customers/%s/payment-methods/%s", owner, method), ""}
	},
	"POST /customers/{customer_id}/wallets/ledger-entries 400": func(s *shop) attempt {
		return attempt{"/customers/" + s.someone() + "/wallets/ledger-entries", `{"amount":1,"currency":"USD","entry_type":"debit"}`}
	},
	"POST /customers/{customer_id}/wallets/ledger-entries 422": func(s *shop) attempt {
		return attempt{"/customers/" + s.someone() + "/wallets/ledger-entries", "{}"}
	},
	"GET /discounts 422":  to("/discounts?page_size=101", ""),
	"POST /discounts 422": empty("/discounts"),
	"GET /discounts/code/{code} 422": func(s *shop) attempt {
		s.ask("POST", "/discounts", `{"type":"percentage","amount":1,"code":"GONE","expires_at":"2000-01-01T00:00:00Z"}`)
		return attempt{"/discounts/code/GONE", ""}
	},
	"GET /discounts/{discount_id}/customers 422":  func(s *shop) attempt { return attempt{s.coupon() + "/customers?page_size=101", ""} },
	"POST /discounts/{discount_id}/customers 422": func(s *shop) attempt { return attempt{s.coupon() + "/customers", "{}"} },
	"GET /entitlements 422":                       to("/entitlements?page_size=101", ""),
	"GET /entitlements/{id}/grants 422":           to("/entitlements/ent_0/grants?status=lost", ""),
	"GET /events 400":                             to("/events?meter_id=mtr_call&event_name=other", ""),
	"GET /events 404":                             to("/events?meter_id=mtr_0", ""),
	"GET /events 422":                             to("/events?page_size=101", ""),
	"POST /events/ingest 400":                     to("/events/ingest", `{"events":[{"event_id":"e","customer_id":"cus_0","event_name":"call"}]}`),
	"POST /events/ingest 413":                     to("/events/ingest", `{"events":"`+strings.Repeat("x", 1<<20)+`"}`),
	"POST /events/ingest 422":                     empty("/events/ingest"),
	"POST /license_keys 404":                      to("/license_keys", `{"key":"k","customer_id":"cus_0","product_id":"pdt_kit"}`),
	"POST /license_keys 409": func(s *shop) attempt {
		return attempt{"/license_keys", fmt.Sprintf(`{"key":%q,"customer_id":%q,"product_id":"pdt_kit"}`, s.license(), s.someone())}
	},
	"POST /license_keys 422": empty("/license_keys"),
	"PATCH /license_keys/{id} 400": func(s *shop) attempt {
		s.subscribe("pdt_keyed", dodosim.CardVisa)
		return attempt{fmt.Sprint("/license_keys/", s.items("/license_keys", "id")[0]), `{"expires_at":"2099-01-01T00:00:00Z"}`}
	},
	"PATCH /license_keys/{id} 422": func(s *shop) attempt {
		key := s.license()
		for _, name := range []string{"a", "b"} {
			s.ask("POST", "/licenses/activate", fmt.Sprintf(`{"license_key":%q,"name":%q}`, key, name))
		}
		return attempt{fmt.Sprint("/license_keys/", s.items("/license_keys", "id")[0]), `{"activations_limit":1}`}
	},
	"POST /licenses/activate 403": func(s *shop) attempt {
		return attempt{"/licenses/activate", fmt.Sprintf(`{"license_key":%q,"name":"a"}`, s.disabled())}
	},
	"POST /licenses/activate 404": to("/licenses/activate", `{"license_key":"none","name":"a"}`),
	"POST /licenses/activate 422": empty("/licenses/activate"),
	"POST /licenses/deactivate 403": func(s *shop) attempt {
		return attempt{"/licenses/deactivate", fmt.Sprintf(`{"license_key":%q,"license_key_instance_id":"lki_0"}`, s.disabled())}
	},
	"POST /licenses/deactivate 404": to("/licenses/deactivate", `{"license_key":"none","license_key_instance_id":"lki_0"}`),
	"POST /licenses/validate 422":   empty("/licenses/validate"),
	"GET /meters 422":               to("/meters?page_size=101", ""),
	"POST /payments 422":            empty("/payments"),
	"GET /products 422":             to("/products?page_size=101", ""),
	"POST /refunds 400": func(s *shop) attempt {
		return attempt{"/refunds", fmt.Sprintf(`{"payment_id":%q,"items":[]}`, s.pay(s.checkout(onePack)).PaymentID)}
	},
	"POST /refunds 422": empty("/refunds"),
	"PATCH /subscriptions/{subscription_id} 422": func(s *shop) attempt {
		return attempt{"/subscriptions/" + s.subscribe("pdt_pro", dodosim.CardVisa), `{"status":"lost"}`}
	},
	"POST /subscriptions/{subscription_id}/change-plan 409": func(s *shop) attempt {
		path, body := "/subscriptions/"+s.subscribe("pdt_pro", dodosim.CardVisa)+"/change-plan",
			`{"product_id":"pdt_team","quantity":1,"proration_billing_mode":"full_immediately","effective_at":"next_billing_date"}`
		s.ask("POST", path, body)
		return attempt{path, body}
	},
	"POST /subscriptions/{subscription_id}/change-plan 422": empty("/subscriptions/sub_0/change-plan"),
	"DELETE /subscriptions/{subscription_id}/change-plan/scheduled 404": func(s *shop) attempt {
		return attempt{"/subscriptions/" + s.subscribe("pdt_pro", dodosim.CardVisa) + "/change-plan/scheduled", ""}
	},
	"DELETE /subscriptions/{subscription_id}/change-plan/scheduled 422": to("/subscriptions/sub_0/change-plan/scheduled", ""),
	"POST /subscriptions/{subscription_id}/charge 422":                  empty("/subscriptions/sub_0/charge"),
	"POST /subscriptions/{subscription_id}/update-payment-method 422":   empty("/subscriptions/sub_0/update-payment-method"),
}

// impossible are documented failures that the simulator has no reason for.
var impossible = map[string]string{
	"GET /checkouts/{id} 422":    "every id is well formed",
	"GET /events/{event_id} 422": "every id is well formed",
}

// TestDocumentedFailures provokes every failure that the API description lists for an
// operation that is served.
func TestDocumentedFailures(t *testing.T) {
	provoked := 0
	for _, operation := range servedOperations() {
		for _, status := range documentedFailures(operation) {
			name := fmt.Sprint(operation, " ", status)
			if impossible[name] != "" {
				continue
			}
			provoked++
			t.Run(name, func(t *testing.T) { provoke(t, operation, status) })
		}
	}
	for _, name := range slices.Concat(slices.Collect(maps.Keys(failures)), slices.Collect(maps.Keys(impossible))) {
		operation, status := name[:len(name)-4], name[len(name)-3:]
		if code, _ := strconv.Atoi(status); !slices.Contains(documentedFailures(operation), code) {
			t.Error("not documented:", name)
		}
	}
	t.Log(provoked, "documented failures")
}

// documentedFailures are the statuses that the description lists for an operation.
func documentedFailures(operation string) []int {
	method, path, _ := strings.Cut(operation, " ")
	described, _ := loadDescription().document["paths"].(map[string]any)[path].(map[string]any)[strings.ToLower(method)].(map[string]any)
	var statuses []int
	responses, _ := described["responses"].(map[string]any)
	for status := range responses {
		if code, err := strconv.Atoi(status); err == nil && code >= 400 {
			statuses = append(statuses, code)
		}
	}
	slices.Sort(statuses)
	return statuses
}

// provoke makes an operation fail with a status. Without a way of its own in failures: 401
// by a wrong key; 404 by ids that do not exist; 403 for what changes something by a key that
// only reads; and what would be Dodo's own fault, or that of what is behind it, by a fault
// that is set, as a test of a client would do.
func provoke(t *testing.T, operation string, status int) {
	t.Helper()
	shop := open(t, func(o *dodosim.Options) {
		o.ReadOnlyKey = "reader"
		if status == http.StatusTooManyRequests {
			o.RateLimits, o.Clock = true, func() time.Time { return opening }
		}
		o.Products = append(o.Products,
			dodosim.Product{ID: "pdt_kit", Price: 1, Currency: "USD", LicenseKeys: true},
			dodosim.Product{ID: "pdt_pro", Price: 2000, Currency: "USD", Every: monthly},
			dodosim.Product{ID: "pdt_team", Price: 5000, Currency: "USD", Every: monthly},
			dodosim.Product{ID: "pdt_keyed", Price: 5000, Currency: "USD", Every: monthly, LicenseKeys: true},
			dodosim.Product{ID: "pdt_api", Currency: "USD", Every: monthly, Meters: []dodosim.Meter{{EventName: "call", PricePerUnit: "1"}}},
		)
	})
	method, path, _ := strings.Cut(operation, " ")
	try := attempt{pathParameter.ReplaceAllString(path, "none"), "{}"}
	bearer := key
	special, known := failures[fmt.Sprint(operation, " ", status)]
	switch {
	case known:
		try = special(shop)
	case status == http.StatusNotFound:
		try.body = cmp.Or(validBodies[operation], try.body)
	case status == http.StatusUnauthorized:
		bearer = "wrong"
	case status == http.StatusForbidden && method != http.MethodGet:
		bearer = "reader"
	case status == http.StatusTooManyRequests:
		for range 40 {
			shop.call("GET", "/products", "")
			shop.callAs("none", "GET", try.path, "") // without a key there is a limit of its own
		}
	default:
		shop.sim.SetFault(dodosim.Fault{Status: status, Body: `{"code":"INTERNAL_SERVER_ERROR","message":"Something went wrong"}`}, 1)
	}
	got, body := shop.callAs(bearer, method, try.path, try.body)
	if got != status { // the form of the body is seen to by the shop itself
		t.Errorf("%s %s: %d %s", method, try.path, got, body)
	}
}

// validBodies are those that a missing object is looked up for.
var validBodies = map[string]string{
	"POST /credit-entitlements/{credit_entitlement_id}/balances/{customer_id}/ledger-entries": `{"entry_type":"credit","amount":"1"}`,
	"POST /discounts/{discount_id}/customers":                                                 `{"customer_ids":["cus_0"]}`,
	"PATCH /webhooks/{webhook_id}/headers":                                                    `{"headers":{}}`,
	"PATCH /license_key_instances/{id}":                                                       `{"name":"a"}`,
}

// parent cuts parts off a path's end.
func parent(path string, parts int) string {
	for range parts {
		path = path[:strings.LastIndex(path, "/")]
	}
	return path
}

// twice makes a call that must succeed, and returns it.
func (s *shop) twice(method, path string) attempt {
	s.t.Helper()
	s.ask(method, path, "")
	return attempt{path, ""}
}

// someone is a new customer.
func (s *shop) someone() string {
	s.t.Helper()
	return s.ask("POST", "/customers", adaJSON)["customer_id"].(string)
}

// coupon is the path of a new discount.
func (s *shop) coupon() string {
	s.t.Helper()
	return fmt.Sprint("/discounts/", s.ask("POST", "/discounts", `{"type":"percentage","amount":1}`)["discount_id"])
}

// license is a key that has been bought, the newest of all.
func (s *shop) license() string {
	s.t.Helper()
	s.pay(s.checkout(cartOf("pdt_kit")))
	return s.items("/license_keys", "key")[0].(string)
}

// disabled is a key that was withdrawn.
func (s *shop) disabled() string {
	s.t.Helper()
	key := s.license()
	s.ask("PATCH", fmt.Sprint("/license_keys/", s.items("/license_keys", "id")[0]), `{"disabled":true}`)
	return key
}
