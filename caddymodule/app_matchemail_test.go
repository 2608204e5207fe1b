package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/dodogate/dodogate/internal/identity/identitytest"
)

// paidElsewhere reports a payment for pack10 by buyer@example.com that has no proof of ours.
func (b *bench) paidElsewhere() {
	b.t.Helper()
	at := time.Now().UTC().Format(time.RFC3339)
	b.webhook("msg_1", strings.ReplaceAll(`{"business_id": "bus_1", "type": "payment.succeeded", "timestamp": "AT", "data": {
		"payload_type": "Payment", "payment_id": "pay_1", "status": "succeeded", "total_amount": 500, "tax": 0, "currency": "USD",
		"created_at": "AT", "product_cart": [{"product_id": "pdt_pack10", "quantity": 1}], "subscription_id": null, "metadata": {},
		"customer": {"customer_id": "cus_1", "email": "buyer@example.com", "name": "Buyer"}, "business_id": "bus_1"}}`, "AT", at))
}

// TestMatchEmail: a purchase past the checkout is adopted at the first request for which
// the login vouches for exactly its address, and this request sees it already.
func TestMatchEmail(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(strings.Replace(off(usualDodo), "dodo {",
		"dodo {\n\t\tmatch_email {http.request.header.X-Test-Email} verified {http.request.header.X-Test-Verified}", 1), usualProxy))
	b.paidElsewhere()
	for _, tt := range []struct{ user, email, verified, want string }{
		{"ann", "buyer@example.com", "false", "3"},
		{"ann", "buyer@example.com", "", "3"},
		{"ann", "BUYER@example.com", "true", "3"},
		{"", "buyer@example.com", "true", "0"},
		{"ann", "buyer@example.com", "true", "13"},
		{"bob", "buyer@example.com", "true", "3"},
		{"ann", "", "", "13"},
	} {
		got := b.seen(b.do("GET", "/", "", "X-Test-User", tt.user, "X-Test-Email", tt.email, "X-Test-Verified", tt.verified))
		if credits := got.Header.Get("X-Entitlement-Credits"); credits != tt.want {
			t.Errorf("%+v: %s credits", tt, credits)
		}
	}
}

// TestMatchEmailOfLogin: the address that a jwt, an ask or an account login vouches for
// adopts purchases, with and without placeholders in match_email.
func TestMatchEmailOfLogin(t *testing.T) {
	issuer := identitytest.NewIssuer(t, jose.ES256)
	app := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	})
	bearer := func(write func(claims map[string]any) string) func(user string, email, verified any) []string {
		return func(user string, email, verified any) []string {
			claims := map[string]any{"sub": user, "id": user, "aud": "app", "exp": time.Now().Add(time.Hour).Unix()}
			if email != nil {
				claims["email"] = email
			}
			if verified != nil {
				claims["email_verified"] = verified
			}
			return []string{"Authorization", "Bearer " + write(claims)}
		}
	}
	asJSON := func(claims map[string]any) string {
		text, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for name, login := range map[string]struct {
		options string
		as      func(user string, email, verified any) []string
	}{
		"jwt": {"jwt {\n\t\t\tjwks " + issuer.URL + "\n\t\t\taudience app\n\t\t}", bearer(issuer.Sign)},
		"ask": {"ask " + app, bearer(asJSON)},
		"account": {
			"account {http.request.header.X-Test-User}\n\t\temail {http.request.header.X-Test-Email}\n\t\temail_verified {http.request.header.X-Test-Verified}",
			func(user string, email, verified any) []string {
				headers := []string{"X-Test-User", user}
				if email != nil {
					headers = append(headers, "X-Test-Email", fmt.Sprint(email))
				}
				if verified != nil {
					headers = append(headers, "X-Test-Verified", fmt.Sprint(verified))
				}
				return headers
			},
		},
	} {
		for with, option := range map[string]string{
			"alone": "match_email", "placeholders": "match_email {http.auth.user.email} verified {http.auth.user.email_verified}",
		} {
			t.Run(name+"/"+with, func(t *testing.T) {
				b := newBench(t)
				b.mustLoad(caddyfile(strings.Replace(off(usualDodo), "dodo {", "dodo {\n\t\t"+option, 1),
					"\n\tdodo_gateway {\n\t\t"+login.options+"\n\t}\n\trespond {http.dodo.credits}"))
				b.paidElsewhere()
				for _, tt := range []struct {
					user, email string
					verified    any
					want        string
				}{
					{"ann", "buyer@example.com", nil, "3"},
					{"ann", "buyer@example.com", false, "3"},
					{"ann", "buyer@example.com", "yes", "3"},
					{"ann", "BUYER@example.com", true, "3"},
					{"ann", "buyer+1@example.com", true, "3"},
					{"ann", "buyer@example.com", true, "13"},
					{"bob", "buyer@example.com", true, "3"},
				} {
					if a := b.do("GET", "/", "", login.as(tt.user, tt.email, tt.verified)...); a.body != tt.want {
						t.Errorf("%+v: %d %q", tt, a.status, a.body)
					}
				}
			})
		}
	}
}
