package httpapi_test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/httpapi"
)

// What goes along with a checkout comes back with its payment, and leads nowhere else.
func TestMetadata(t *testing.T) {
	for name, tt := range map[string]struct {
		body  string
		known map[string]string // to the site
		want  map[string]any    // besides our own
	}{
		"nothing":               {body: `{"product":"pack10"}`},
		"of the site":           {body: `{"product":"pack10"}`, known: map[string]string{"ref": "blog"}, want: map[string]any{"ref": "blog"}},
		"of the body":           {body: `{"product":"pack10","metadata":{"ref":"blog","utm":"x y"}}`, want: map[string]any{"ref": "blog", "utm": "x y"}},
		"of both":               {body: `{"product":"pack10","metadata":{"ref":"forged","utm":"a"}}`, known: map[string]string{"ref": "blog"}, want: map[string]any{"ref": "blog", "utm": "a"}},
		"the site knows none":   {body: `{"product":"pack10","metadata":{"ref":"blog"}}`, known: map[string]string{"ref": ""}, want: map[string]any{"ref": "blog"}},
		"empty":                 {body: `{"product":"pack10","metadata":{"ref":""}}`},
		"none of it":            {body: `{"product":"pack10","metadata":{}}`},
		"too long":              {body: `{"product":"pack10","metadata":{"ref":"` + strings.Repeat("é", 600) + `"}}`, want: map[string]any{"ref": strings.Repeat("é", 500)}},
		"no text":               {body: `{"product":"pack10","metadata":{"ref":"a\u0000b\u0007"}}`, want: map[string]any{"ref": "ab"}},
		"our own, by the site":  {body: `{"product":"pack10"}`, known: map[string]string{"dodogate_account": "bob", "dodogate_proof": "x"}},
		"our own name in value": {body: `{"product":"pack10","metadata":{"ref":"dodogate_account"}}`, want: map[string]any{"ref": "dodogate_account"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, func(set *setting) {
				set.metadata = httpapi.Metadata{Names: []string{"ref", "utm"}, Of: func(*http.Request) map[string]string { return tt.known }}
			})
			_, session := s.order(alice, tt.body)
			payment := s.pay(session, dodosim.CardVisa).PaymentID
			noted, _ := s.ask("GET", "/payments/"+payment, "")["metadata"].(map[string]any)
			foreign := maps.Clone(noted)
			maps.DeleteFunc(foreign, func(name string, _ any) bool { return strings.HasPrefix(name, "dodogate_") })
			if fmt.Sprint(foreign) != fmt.Sprint(tt.want) && len(foreign)+len(tt.want) > 0 {
				t.Errorf("Dodo has %v, want %v", foreign, tt.want)
			}
			if len(noted)-len(foreign) != 5 {
				t.Errorf("our own: %v", noted)
			}
			if got := s.creditsOf(alice); got != "10" {
				t.Errorf("alice has %s credits", got)
			}
			if got := s.creditsOf(bob); got != "0" {
				t.Errorf("bob has %s credits", got)
			}
		})
	}
}

func TestMetadataRefused(t *testing.T) {
	listed := newSite(t, func(set *setting) { set.metadata = httpapi.Metadata{Names: []string{"ref"}} })
	none := newSite(t, nil)
	for name, tt := range map[string]struct {
		site *site
		body string
	}{
		"not listed":        {listed, `{"product":"pack10","metadata":{"utm":"x"}}`},
		"our own":           {listed, `{"product":"pack10","metadata":{"dodogate_account":"bob"}}`},
		"another case":      {listed, `{"product":"pack10","metadata":{"Ref":"x"}}`},
		"twice":             {listed, `{"product":"pack10","metadata":{"ref":"x","ref":"y"}}`},
		"a number":          {listed, `{"product":"pack10","metadata":{"ref":1}}`},
		"null":              {listed, `{"product":"pack10","metadata":{"ref":null}}`},
		"an object":         {listed, `{"product":"pack10","metadata":{"ref":{"a":"b"}}}`},
		"a list":            {listed, `{"product":"pack10","metadata":["ref"]}`},
		"text":              {listed, `{"product":"pack10","metadata":"ref"}`},
		"all null":          {listed, `{"product":"pack10","metadata":null}`},
		"beside":            {listed, `{"product":"pack10","ref":"x"}`},
		"nothing is listed": {none, `{"product":"pack10","metadata":{}}`},
	} {
		t.Run(name, func(t *testing.T) {
			s := tt.site.in(t)
			s.untouched(func() { s.post("/payments/checkout", tt.body).by(alice).do().problem(400, "invalid_request") })
		})
	}
	form := listed.in(t)
	form.untouched(func() {
		form.post("/payments/checkout", "product=pack10&metadata=x").by(alice).asForm().with("Accept", "application/json").do()
	})
}

// The client's metadata is a part of what a key was used for; what the site adds is not.
func TestMetadataAndKeys(t *testing.T) {
	ref := "blog"
	s := newSite(t, func(set *setting) {
		set.metadata = httpapi.Metadata{Names: []string{"ref", "utm"}, Of: func(*http.Request) map[string]string { return map[string]string{"ref": ref} }}
	})
	ask := func(body string) answer {
		return s.post("/payments/checkout", body).by(alice).with("Idempotency-Key", "k1").do()
	}
	first := ask(`{"product":"pack10","metadata":{"utm":"a"}}`).json(201)["order_id"]
	ref = "elsewhere"
	if again := ask(`{"product":"pack10","metadata":{"utm":"a"}}`).json(201)["order_id"]; again != first {
		t.Errorf("the repeat gets %v, not %v", again, first)
	}
	ask(`{"product":"pack10","metadata":{"utm":"b"}}`).problem(422, "idempotency_key_reused")
	ask(`{"product":"pack10"}`).problem(422, "idempotency_key_reused")
}
