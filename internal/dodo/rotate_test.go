package dodo_test

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/dodo"
)

// A secret that is taken out verifies nothing more, and one that cannot be used changes
// nothing.
func TestVerifierRotates(t *testing.T) {
	v := newVerifier(t, at(now), secret)
	stamp := strconv.Itoa(now)
	verifies := func(when, by string, want error) {
		t.Helper()
		_, err := v.Verify(headers(eventID, stamp, sign(by, eventID, stamp, eventBody)), []byte(eventBody))
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", when, err, want)
		}
	}
	if err := v.Rotate([]string{otherSecret, secret}); err != nil {
		t.Fatal(err)
	}
	verifies("side by side, the old one", secret, nil)
	verifies("side by side, the new one", otherSecret, nil)
	if err := v.Rotate([]string{otherSecret}); err != nil {
		t.Fatal(err)
	}
	verifies("the old one, taken out", secret, dodo.ErrSignature)
	for name, bad := range map[string][]string{
		"none": nil, "empty": {secret, ""}, "short": {secret, "whsec_c2hvcnQ="}, "many": slices.Repeat([]string{secret}, 17),
	} {
		if err := v.Rotate(bad); err == nil {
			t.Errorf("%s: accepted", name)
		}
		verifies("the old one, after "+name, secret, dodo.ErrSignature)
		verifies("the new one, after "+name, otherSecret, nil)
	}
}

// A proof by a secret that is taken out proves nothing more.
func TestProverRotates(t *testing.T) {
	other := []byte(strings.Repeat("another secret ", 3))
	p := newProver(t, proofKey)
	c := dodo.Claim{Order: "ord_1", Account: "alice", Product: "pack10"}
	old := p.Metadata(c)
	if err := p.Rotate([][]byte{other, proofKey}); err != nil {
		t.Fatal(err)
	}
	if _, ok := p.Claim(old); !ok {
		t.Error("side by side, the old proof proves nothing")
	}
	if _, ok := newProver(t, other).Claim(p.Metadata(c)); !ok {
		t.Error("the first secret does not sign")
	}
	if err := p.Rotate([][]byte{other, []byte("short")}); err == nil {
		t.Error("a short one is accepted")
	}
	if _, ok := p.Claim(old); !ok {
		t.Error("what was refused ended the old secret")
	}
	if err := p.Rotate([][]byte{other}); err != nil {
		t.Fatal(err)
	}
	if _, ok := p.Claim(old); ok {
		t.Error("the old secret, taken out, proves")
	}
}

// A new key is sent with the next attempt, also of a call that is under way.
func TestClientRotates(t *testing.T) {
	var s *stub
	s = newStub(t, nil, func(w http.ResponseWriter, _ *http.Request) {
		if err := s.client.SetAPIKey("another-key\n"); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}, answer(http.StatusOK, `{"session_id":"cks_1","checkout_url":"https://checkout.dodopayments.com/cks_1"}`))
	if _, err := s.client.CreateCheckout(t.Context(), &dodo.Checkout{ProductID: "pdt_1", Quantity: 1}); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", " \n", "two words", "line\nbreak"} {
		if err := s.client.SetAPIKey(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	if _, err := s.client.CreateCheckout(t.Context(), &dodo.Checkout{ProductID: "pdt_1", Quantity: 1}); err != nil {
		t.Fatal(err)
	}
	var sent []string
	for _, r := range s.requests {
		sent = append(sent, r.header.Get("Authorization"))
	}
	if want := []string{"Bearer " + apiKey, "Bearer another-key", "Bearer another-key"}; !slices.Equal(sent, want) {
		t.Errorf("sent %q, want %q", sent, want)
	}
}
