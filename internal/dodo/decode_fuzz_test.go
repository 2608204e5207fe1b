package dodo_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
)

var objectID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// FuzzDecode holds Decode to what callers rely on: it never panics, an error
// comes without a fact and is one of two, and every fact is in range.
func FuzzDecode(f *testing.F) {
	err := filepath.WalkDir(filepath.Join("testdata", "webhook-samples"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".json" {
			return err
		}
		body, err := os.ReadFile(path)
		f.Add(body)
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(paymentEvent(`"status":"failed","status":"succeeded"`)))
	f.Add([]byte(refundEvent("refund.failed", `"amount":"1e308","is_partial":"false"`)))
	f.Add([]byte(paymentEvent(`"disputes":[{"dispute_id":"dp_1","dispute_status":"Dispute_Lost"}]`)))
	f.Add([]byte(disputeEvent("expired", set("dispute_status", `null`))))
	f.Add([]byte(featureEvent("delivered", set("status", `null`, "updated_at", `null`, "feature", `{"feature_id":7}`))))
	f.Add([]byte(subscriptionEvent("renewed", set("status", `null`, "trial_period_days", `"7"`))))
	f.Add([]byte(subscriptionEvent("cancelled", set("status", `"cancelled"`, "next_billing_date", `"9999-12-31T23:59:59-01:00"`))))

	for _, odd := range oddJSON {
		f.Add([]byte(`{"type":"x.y","data":` + odd + `}`))
	}

	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := dodo.Decode(body)
		checkSyntax(t, body, err)
		again, errAgain := dodo.Decode(body)
		if !reflect.DeepEqual(e, again) || (err == nil) != (errAgain == nil) {
			t.Fatalf("decoded differently: %+v, %v and %+v, %v", e, err, again, errAgain)
		}
		if err != nil {
			if errors.Is(err, dodo.ErrMalformed) == errors.Is(err, dodo.ErrUnclear) {
				t.Fatalf("error %v is not one of the two", err)
			}
			if e.Fact != nil {
				t.Fatalf("fact %+v with error %v", e.Fact, err)
			}
			return
		}
		if e.Type == "" {
			t.Fatalf("%q was accepted as %+v", body, e)
		}
		checkRewritten(t, body, e)
		if e.Fact != nil {
			checkFamily(t, e)
			checkFact(t, e.Fact)
			checkText(t, body, e.Fact)
			checkKept(t, e.Fact)
			checkSubscription(t, e.Fact)
			checkFeature(t, e.Fact)
		}
	})
}

// oddJSON are values at the borders of the grammar, on both sides of them.
var oddJSON = []string{
	`0`, `-0`, `01`, `-`, `+1`, `1.`, `.5`, `1.0`, `1e5`, `1E+05`, `1e`, `1e-`, `0e0`, `00`, `1 2`, `0x1`, `Infinity`,
	`"\u0041"`, `"\u004"`, `"\u00zz"`, `"\ud800"`, `"\udc00\ud800"`, `"\x41"`, `"\"`, `"\\"`, `"\/\b\f\n\r\t\""`, `"\u00`, `"\`,
	"\"\x00\"", "\"\x1f\"", "\"\x7f\"", "\"\u2028\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xe2\x82\"", "\xe2\x82\xac", "\u00a0", "\v", "\f1",
	"\t\r\n 1\t\r\n ", `[ ]`, `[,]`, `[1,]`, `[1 ,2]`, `[1`, `{ }`, `{,}`, `{"a"}`, `{"a":}`, `{"a" : 1 , "b":2}`, `{"a":1,}`, `{a:1}`, `{1:1}`, `{"":1}`,
	`true`, `True`, `tru`, `truee`, `false`, `fals`, `null`, `nul`, `nulll`, `"`, `"a`, ``, `]`, `[}`, `{]`, `[1]]`,
}

// TestDecodeSyntax is what FuzzDecode says of odd values.
func TestDecodeSyntax(t *testing.T) {
	for _, odd := range oddJSON {
		body := []byte(`{"type":"x.y","data":` + odd + `}`)
		_, err := dodo.Decode(body)
		checkSyntax(t, body, err)
	}
}

// checkSyntax: what is JSON, text and not too deep is what encoding/json says, and
// nothing else is refused but names that are there twice.
func checkSyntax(t *testing.T, body []byte, err error) {
	t.Helper()
	fine := json.Valid(body) && utf8.Valid(body) && body[0] == '{' && depthOf(body) <= 64
	malformed := errors.Is(err, dodo.ErrMalformed)
	if !fine && !malformed {
		t.Fatalf("%q was read, with the error %v", body, err)
	}
	if fine && malformed && !strings.Contains(err.Error(), " twice") {
		t.Fatalf("%q was refused: %v", body, err)
	}
}

func depthOf(body []byte) (deepest int) {
	depth := 0
	for d := json.NewDecoder(bytes.NewReader(body)); ; {
		token, err := d.Token()
		if err != nil {
			return deepest
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
			deepest = max(deepest, depth)
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}

// checkRewritten: the same JSON with other white space is the same event.
func checkRewritten(t *testing.T, body []byte, want dodo.Event) {
	t.Helper()
	var compact, wide bytes.Buffer
	if err := errors.Join(json.Compact(&compact, body), json.Indent(&wide, body, "", "\t")); err != nil {
		t.Fatal(err)
	}
	for _, again := range []*bytes.Buffer{&compact, &wide} {
		if got, err := dodo.Decode(again.Bytes()); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s is %+v, %v; want %+v", again, got, err, want)
		}
	}
}

// checkFamily: a fact is about the kind of object that its event's type names,
// and events of other types have none.
func checkFamily(t *testing.T, e dodo.Event) {
	t.Helper()
	kind, paid, subscribed := e.Fact.Ref.Kind, !reflect.ValueOf(e.Fact.Payment).IsZero(), !e.Fact.Subscription.IsZero()
	switch family, _, _ := strings.Cut(e.Type, "."); family {
	case "payment", "refund", "dispute":
		if kind != entitlement.KindPayment || !paid || subscribed {
			t.Fatalf("%q has the fact %+v", e.Type, e.Fact)
		}
	case "subscription":
		if kind != entitlement.KindSubscription || paid || !subscribed {
			t.Fatalf("%q has the fact %+v", e.Type, e.Fact)
		}
	case "entitlement_grant":
		if kind != entitlement.KindFeature || paid || subscribed || !e.Fact.Describes() {
			t.Fatalf("%q has the fact %+v", e.Type, e.Fact)
		}
	default:
		t.Fatalf("%q has the fact %+v", e.Type, e.Fact)
	}
}

// checkText: encoding/json reads the same metadata.
func checkText(t *testing.T, body []byte, f *dodo.Fact) {
	t.Helper()
	var said struct {
		Data struct {
			Metadata json.RawMessage `json:"metadata"`
		} `json:"data"`
	}
	metadata := make(map[string]json.RawMessage)
	if err := json.Unmarshal(body, &said); err != nil {
		t.Fatal(err)
	}
	if len(said.Data.Metadata) > 0 && said.Data.Metadata[0] == '{' {
		if err := json.Unmarshal(said.Data.Metadata, &metadata); err != nil {
			t.Fatal(err)
		}
	}
	for key, got := range f.Clues.Metadata {
		want := string(metadata[key])
		if strings.HasPrefix(want, `"`) {
			if err := json.Unmarshal(metadata[key], &want); err != nil {
				t.Fatal(err)
			}
		}
		if got != want {
			t.Fatalf("metadata %q is %q, want %q", key, got, want)
		}
	}
}

// checkKept: a record of the fact can be written and comes back as it was.
func checkKept(t *testing.T, f *dodo.Fact) {
	t.Helper()
	record := entitlement.Record{Payment: f.Payment, Subscription: f.Subscription, Feature: f.Feature}
	var back entitlement.Record
	state, err := json.Marshal(record)
	if err == nil {
		err = json.Unmarshal(state, &back)
	}
	if short, shortErr := record.AppendJSON(nil); !bytes.Equal(short, state) {
		t.Fatalf("%+v is kept as %s, %v; want %s", record, short, shortErr, state)
	}
	if err != nil || !reflect.DeepEqual(back, record) {
		t.Fatalf("%+v is kept as %s and comes back as %+v, %v", record, state, back, err)
	}
}

func checkSubscription(t *testing.T, f *dodo.Fact) {
	t.Helper()
	if f.Ref.Kind != entitlement.KindSubscription {
		return
	}
	s := f.Subscription.State
	if s.At.IsZero() || s.Status == "" || s.Quantity < 0 || s.Quantity > 1<<31-1 || s.TrialDays < 0 || s.TrialDays > 10000 {
		t.Fatalf("subscription %+v", s)
	}
	if s.ProductID != "" && !objectID.MatchString(s.ProductID) {
		t.Fatalf("product %q", s.ProductID)
	}
	if active := s.Status == entitlement.SubscriptionActive; active != (len(f.Subscription.Periods) == 1) && !s.PeriodStart.Equal(s.PeriodEnd) {
		t.Fatalf("subscription %+v", f.Subscription)
	}
	for _, p := range f.Subscription.Periods {
		if p.Start.IsZero() || !p.Start.Before(p.End) || len(p.Bought) != 1 || p.Bought[s.ProductID] < 1 || s.ProductID == "" {
			t.Fatalf("period %+v", p)
		}
	}
	if merged := f.Subscription.Merge(f.Subscription); !reflect.DeepEqual(merged, f.Subscription) {
		t.Fatalf("%+v merged with itself is %+v", f.Subscription, merged)
	}
}

func checkFeature(t *testing.T, f *dodo.Fact) {
	t.Helper()
	if f.Ref.Kind != entitlement.KindFeature {
		return
	}
	delivered := f.Feature.Status == entitlement.FeatureDelivered
	if f.Feature.At.IsZero() || (f.Feature.Name != "") != delivered || len(f.Feature.Name) > 256 {
		t.Fatalf("feature %+v", f.Feature)
	}
	if merged := f.Feature.Merge(f.Feature); merged != f.Feature {
		t.Fatalf("%+v merged with itself is %+v", f.Feature, merged)
	}
}

func checkFact(t *testing.T, f *dodo.Fact) {
	t.Helper()
	ids := []string{f.Ref.ID}
	for _, optional := range []string{f.Payment.Subscription, f.Clues.SessionID, f.Clues.CustomerID, f.Clues.PaymentID, f.Clues.SubscriptionID} {
		if optional != "" {
			ids = append(ids, optional)
		}
	}
	for _, line := range f.Payment.Cart {
		ids = append(ids, line.ProductID)
		if line.Quantity < 1 || line.Quantity > 1<<31-1 {
			t.Fatalf("quantity %d", line.Quantity)
		}
	}
	for id, r := range f.Payment.Refunds {
		ids = append(ids, id)
		if r.Amount < 0 {
			t.Fatalf("refund of %d", r.Amount)
		}
	}
	for id := range f.Payment.Disputes {
		ids = append(ids, id)
	}
	for _, id := range ids {
		if !objectID.MatchString(id) {
			t.Fatalf("id %q", id)
		}
	}
	if f.Payment.Total < 0 || len(f.Clues.Metadata) > 54 {
		t.Fatalf("fact %+v", f)
	}
	// What the fact is for: merging it with itself changes nothing.
	if merged := f.Payment.Merge(f.Payment); !reflect.DeepEqual(merged, f.Payment) {
		t.Fatalf("%+v merged with itself is %+v", f.Payment, merged)
	}
}
