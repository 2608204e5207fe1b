package dodo_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"testing"

	"github.com/dodogate/dodogate/internal/dodo"
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

	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := dodo.Decode(body)
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
		if !json.Valid(body) || body[0] != '{' || e.Type == "" {
			t.Fatalf("%q was accepted as %+v", body, e)
		}
		if e.Fact != nil {
			checkFact(t, e.Fact)
		}
	})
}

func checkFact(t *testing.T, f *dodo.Fact) {
	t.Helper()
	ids := []string{f.Ref.ID}
	for _, optional := range []string{f.Payment.Subscription, f.Clues.SessionID, f.Clues.CustomerID} {
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
