package dodo_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// granted is a delivered grant of the feature "reports", with everything that
// matters about it.
var granted = map[string]string{
	"id": `"entg_1"`, "customer_id": `"cus_1"`, "subscription_id": `"sub_1"`, "status": `"Delivered"`, "integration_type": `"feature_flag"`,
	"created_at": `"2026-01-01T00:00:00Z"`, "updated_at": `"2026-02-01T00:00:00Z"`, "feature": `{"feature_type":"boolean","feature_id":"reports"}`,
}

// featureEvent is an event about [granted], changed.
func featureEvent(kind string, changes map[string]string) string {
	return `{"type":"entitlement_grant.` + kind + `","timestamp":"2026-02-03T04:05:06Z","data":` + object(granted, changes) + `}`
}

func TestDecodeFeature(t *testing.T) {
	delivered, revoked := entitlement.FeatureDelivered, entitlement.FeatureRevoked
	february, march := moment("2026-02-01T00:00:00Z"), moment("2026-03-01T00:00:00Z")
	for name, tc := range map[string]struct {
		kind    string
		changes map[string]string
		at      time.Time
		status  entitlement.FeatureStatus
	}{
		"delivered":                        {"delivered", nil, february, delivered},
		"created, delivered already":       {"created", nil, february, delivered},
		"in lower case":                    {"delivered", set("status", `"delivered"`), february, delivered},
		"the body counts, not the type":    {"delivered", set("status", `"Revoked"`), february, revoked},
		"a status of a later version":      {"delivered", set("status", `"Suspended"`), february, "suspended"},
		"no status, created":               {"created", set("status", ``), february, entitlement.FeaturePending},
		"no status, delivered":             {"delivered", set("status", `null`), february, delivered},
		"no status, failed":                {"failed", set("status", ``), february, entitlement.FeatureFailed},
		"no status, revoked":               {"revoked", set("status", ``), february, revoked},
		"revoked without its feature":      {"revoked", set("status", `"Revoked"`, "feature", `null`), february, revoked},
		"revoked with an odd feature":      {"revoked", set("status", `"Revoked"`, "feature", `"reports"`), february, revoked},
		"failed without its feature":       {"failed", set("status", `"Failed"`, "feature", ``), february, entitlement.FeatureFailed},
		"no integration":                   {"delivered", set("integration_type", ``), february, delivered},
		"integration null":                 {"delivered", set("integration_type", `null`), february, delivered},
		"integration in capitals":          {"delivered", set("integration_type", `"Feature_Flag"`), february, delivered},
		"feature without a type":           {"delivered", set("feature", `{"feature_id":"reports"}`), february, delivered},
		"delivered later than updated":     {"delivered", set("delivered_at", `"2026-03-01T00:00:00Z"`), march, delivered},
		"revoked later than updated":       {"revoked", set("status", `"Revoked"`, "delivered_at", `"2026-02-03T00:00:00Z"`, "revoked_at", `"2026-03-01T00:00:00Z"`), march, revoked},
		"delivered again after an old end": {"delivered", set("revoked_at", `"2026-01-15T00:00:00Z"`), february, delivered},
		"no time but the event's":          {"delivered", set("updated_at", `null`), moment("2026-02-03T04:05:06Z"), delivered},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := dodo.Decode([]byte(featureEvent(tc.kind, tc.changes)))
			if err != nil {
				t.Fatal(err)
			}
			want := dodo.Fact{
				Fact:  entitlement.Fact{Ref: feature("entg_1"), Feature: entitlement.Feature{At: tc.at, Status: tc.status}},
				Clues: dodo.Clues{CustomerID: "cus_1", SubscriptionID: "sub_1"},
			}
			if tc.status == delivered {
				want.Feature.Name = "reports"
			}
			if e.Fact == nil || !reflect.DeepEqual(*e.Fact, want) || !e.Fact.Describes() {
				t.Errorf("got\n%+v\nwant\n%+v", e.Fact, want)
			}
		})
	}
}

func TestDecodeFeatureClues(t *testing.T) {
	e, err := dodo.Decode([]byte(featureEvent("delivered", set("subscription_id", `null`, "payment_id", `"pay_1"`, "metadata", `{"a":1}`,
		"feature", `{"feature_type":"boolean","feature_id":"größer, {x}"}`))))
	if err != nil {
		t.Fatal(err)
	}
	want := dodo.Clues{Metadata: map[string]string{"a": "1"}, CustomerID: "cus_1", PaymentID: "pay_1"}
	if !reflect.DeepEqual(e.Fact.Clues, want) || e.Fact.Feature.Name != "größer, {x}" {
		t.Errorf("got %+v, want the clues %+v", e.Fact, want)
	}
}

// Grants of other integrations are Dodo's own business, however odd they are.
func TestDecodeOtherGrants(t *testing.T) {
	for name, body := range map[string]string{
		"a licence key":                   featureEvent("delivered", set("integration_type", `"license_key"`, "feature", `null`)),
		"a licence key with a feature":    featureEvent("delivered", set("integration_type", `"license_key"`)),
		"neither integration nor feature": featureEvent("delivered", set("integration_type", ``, "feature", ``)),
		"odd":                             featureEvent("delivered", set("integration_type", `"discord"`, "id", `"a/b"`, "updated_at", `"soon"`)),
		"no data":                         `{"type":"entitlement_grant.created"}`,
		"data a list":                     `{"type":"entitlement_grant.created","data":[]}`,
	} {
		if e, err := dodo.Decode([]byte(body)); err != nil || e.Fact != nil {
			t.Errorf("%s: %+v, %v", name, e.Fact, err)
		}
	}
}

func TestDecodeUnclearFeature(t *testing.T) {
	for name, body := range map[string]string{
		"another payload":        featureEvent("delivered", set("payload_type", `"Payment"`)),
		"no id":                  featureEvent("delivered", set("id", ``)),
		"id odd":                 featureEvent("delivered", set("id", `"a:b"`)),
		"customer odd":           featureEvent("delivered", set("customer_id", `"a b"`)),
		"payment odd":            featureEvent("delivered", set("payment_id", `{}`)),
		"subscription odd":       featureEvent("delivered", set("subscription_id", `true`)),
		"status a sentence":      featureEvent("delivered", set("status", `"is delivered"`)),
		"time odd":               featureEvent("delivered", set("updated_at", `"yesterday"`)),
		"delivery odd":           featureEvent("delivered", set("delivered_at", `5`)),
		"no time at all":         strings.Replace(featureEvent("delivered", set("updated_at", ``)), `"timestamp"`, `"other"`, 1),
		"no feature":             featureEvent("delivered", set("feature", `null`)),
		"feature a name":         featureEvent("delivered", set("feature", `"reports"`)),
		"feature without name":   featureEvent("delivered", set("feature", `{"feature_type":"boolean"}`)),
		"feature with no name":   featureEvent("delivered", set("feature", `{"feature_id":""}`)),
		"feature with a flag":    featureEvent("delivered", set("feature", `{"feature_id":true}`)),
		"feature of another way": featureEvent("delivered", set("feature", `{"feature_type":"number","feature_id":"seats"}`)),
		"feature too long":       featureEvent("delivered", set("feature", `{"feature_id":"`+strings.Repeat("a", 257)+`"}`)),
	} {
		t.Run(name, func(t *testing.T) {
			e, err := dodo.Decode([]byte(body))
			if !errors.Is(err, dodo.ErrUnclear) || errors.Is(err, dodo.ErrMalformed) || e.Fact != nil {
				t.Errorf("%+v, %v; want %v", e.Fact, err, dodo.ErrUnclear)
			}
		})
	}
	for name, body := range map[string]string{
		"status twice":      featureEvent("delivered", set("status", `"Delivered","status":"Revoked"`)),
		"in two cases":      featureEvent("delivered", set("Status", `"Revoked"`)),
		"integration twice": featureEvent("delivered", set("integration_type", `"discord","integration_type":"feature_flag"`)),
		"name twice":        featureEvent("delivered", set("feature", `{"feature_id":"a","feature_id":"b"}`)),
	} {
		t.Run(name, func(t *testing.T) {
			e, err := dodo.Decode([]byte(body))
			if !errors.Is(err, dodo.ErrMalformed) || e.Fact != nil {
				t.Errorf("%+v, %v; want %v", e.Fact, err, dodo.ErrMalformed)
			}
		})
	}
}

// A list says all about its grants. One that cannot be understood does not hide
// the others.
func TestFeatureGrants(t *testing.T) {
	s := newStub(t, nil, answer(200, `{"items":[`+strings.Join([]string{
		object(granted, nil), object(granted, set("id", `"entg_2"`, "status", `"revoked"`, "feature", `null`)),
		object(granted, set("id", `"entg_3"`, "status", `null`)), object(granted, set("id", `"entg_4"`, "updated_at", `null`)),
		object(granted, set("id", `"entg_5"`, "Status", `"Revoked"`)),
	}, ",")+`]}`))
	got, err := s.client.FeatureGrants(t.Context(), "ent_1", 3)
	if err != nil || !got.Last || len(got.Items) != 5 {
		t.Fatalf("%+v, %v", got, err)
	}
	changed, clues := moment("2026-02-01T00:00:00Z"), dodo.Clues{CustomerID: "cus_1", SubscriptionID: "sub_1"}
	for i, want := range []*dodo.Fact{
		{Fact: entitlement.Fact{Ref: feature("entg_1"), Feature: entitlement.Feature{At: changed, Status: entitlement.FeatureDelivered, Name: "reports"}}, Clues: clues},
		{Fact: entitlement.Fact{Ref: feature("entg_2"), Feature: entitlement.Feature{At: changed, Status: entitlement.FeatureRevoked}}, Clues: clues},
		nil, nil, nil,
	} {
		if id := fmt.Sprint("entg_", i+1); got.Items[i].ID != id || !reflect.DeepEqual(got.Items[i].Fact, want) {
			t.Errorf("%s: got %+v, want %+v", id, got.Items[i].Fact, want)
		}
	}
	if line := s.seen()[0].line; line != "GET /entitlements/ent_1/grants?page_number=3&page_size=100" {
		t.Errorf("asked for %s", line)
	}
}

func TestFeatureFlags(t *testing.T) {
	full := `{"items":[` + strings.TrimSuffix(strings.Repeat(`{"id":"ent_1"},`, 100), ",") + `]}`
	s := newStub(t, nil, answer(200, full), answer(200, `{"items":[{"id":"ent_2","integration_type":"feature_flag"}]}`))
	for page, want := range []dodo.Page[string]{{Last: false}, {Items: []string{"ent_2"}, Last: true}} {
		got, err := s.client.FeatureFlags(t.Context(), page)
		got.At = time.Time{}
		if err != nil || got.Last != want.Last || got.Last && !reflect.DeepEqual(got, want) || !got.Last && len(got.Items) != 100 {
			t.Errorf("page %d: %+v, %v", page, got, err)
		}
		if line := s.seen()[page].line; line != fmt.Sprintf("GET /entitlements?integration_type=feature_flag&page_number=%d&page_size=100", page) {
			t.Errorf("asked for %s", line)
		}
	}
	for name, body := range map[string]string{"no items": `{}`, "no id": `{"items":[{"name":"a"}]}`, "id odd": `{"items":[{"id":"../x"}]}`} {
		for _, list := range []func(c *dodo.Client) error{
			func(c *dodo.Client) error { _, err := c.FeatureFlags(t.Context(), 0); return err },
			func(c *dodo.Client) error { _, err := c.FeatureGrants(t.Context(), "ent_1", 0); return err },
		} {
			if err := list(newStub(t, nil, answer(200, body)).client); !errors.Is(err, dodo.ErrBadAnswer) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
