package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// TestBadInputByChance spoils several fields at once, or breaks the bytes, and sends
// the result a few times, before or after what it is about. Nothing crashes, nothing
// is answered with a failure of ours, and the customer has what one of the untouched
// webhooks gives, or what a part of it does, and nobody else has anything.
func TestBadInputByChance(t *testing.T) {
	eachStore(t, func(t *testing.T, open opener) {
		s, n := newSampleSite(t, open, time.Date(2025, 8, 4, 6, 45, 0, 0, time.UTC)), 0
		rapid.Check(t, func(r *rapid.T) {
			n++
			account := fmt.Sprint("account", n)
			customer := entitlement.Ref{Kind: entitlement.KindCustomer, ID: fmt.Sprint("cus_", n)}
			if _, err := s.store.Claim(t.Context(), customer, account); err != nil {
				r.Fatal(err)
			}
			v := rapid.SampledFrom(victims).Draw(r, "victim")
			about := func(sample string) payload {
				p := parse(t, readSample(t, sample))
				for _, id := range []string{"payment_id", "subscription_id"} {
					if p.data()[id] != nil || id == "payment_id" && v.before == bought {
						p.data()[id] = fmt.Sprint(id, n)
					}
				}
				p.data()["customer"].(map[string]any)["customer_id"] = customer.ID
				return p
			}
			spoilt := about(v.sample)
			all := paths("", spoilt)
			for range rapid.IntRange(1, 6).Draw(r, "spoilt fields") {
				path := rapid.SampledFrom(all).Draw(r, "path")
				trySet(spoilt, strings.Split(path, "."), rapid.SampledFrom(spoils).Draw(r, "spoil"))
			}
			body, broken := []byte(spoilt.String()), rapid.IntRange(0, 3).Draw(r, "break") == 0
			if broken {
				for range rapid.IntRange(1, 3).Draw(r, "broken bytes") {
					body[rapid.IntRange(0, len(body)-1).Draw(r, "at")] = rapid.SampledFrom([]byte("{}[]\",:\\0e-\x00\xff")).Draw(r, "byte")
				}
			}
			sends := []string{string(body), string(body)}
			if v.before == bought {
				i := rapid.IntRange(0, len(sends)).Draw(r, "when it was bought")
				sends = append(sends[:i], append([]string{about("payment.succeeded.json").String()}, sends[i:]...)...)
			}
			for i, body := range sends {
				id := fmt.Sprintf("msg_%d_%d", n, i)
				a := s.signed(id, body).do()
				e, err := s.store.Event(t.Context(), id)
				switch clear := json.Valid([]byte(body)) && utf8.ValidString(body); {
				case a.Code != http.StatusOK && a.Code != http.StatusBadRequest:
					r.Fatalf("%s\nis answered with %d %s", body, a.Code, a.Body)
				case a.Code == http.StatusOK && (!clear || err != nil || e.State == book.EventReceived):
					r.Fatalf("%s\nis answered with 200 and %s, %v", body, e.State, err)
				case a.Code == http.StatusBadRequest && !broken:
					r.Fatalf("%s\nis JSON, and answered with %s", body, a.Body)
				}
			}
			got, most := s.credits(account), max(v.whole, 10)
			if got < 0 || got > most || !broken && got != v.whole && got != 6 && got%10 != 0 {
				r.Fatalf("%s\nleaves %d credits", body, got)
			}
			if others := s.credits(alice) + s.credits(bob) + s.credits("text"); others != 0 {
				r.Fatalf("%s\ngives others %d credits", body, others)
			}
		})
	})
}

// trySet is set where the path still leads somewhere.
func trySet(p payload, path []string, becomes string) {
	defer func() { _ = recover() }()
	set(p, path, becomes)
}
