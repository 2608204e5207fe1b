// Package identitytest is a login service for tests: it signs tokens, publishes and rotates
// its keys, and can go down.
package identitytest

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// Issuer is a login service.
type Issuer struct {
	// URL is where it publishes its keys.
	URL string
	// Fetches counts how often the keys were fetched.
	Fetches atomic.Int64

	t      *testing.T
	server *httptest.Server
	mu     sync.Mutex
	key    jose.JSONWebKey   // signs tokens
	public []jose.JSONWebKey // published keys
	made   int
	answer http.HandlerFunc // replaces the published keys if set
}

// NewIssuer starts a login service that signs with the algorithm until the test ends.
func NewIssuer(t *testing.T, algorithm jose.SignatureAlgorithm) *Issuer {
	t.Helper()
	s := &Issuer{t: t}
	s.server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.server.Close)
	s.URL = s.server.URL + "/.well-known/jwks.json"
	s.Rotate(algorithm)
	return s
}

func (s *Issuer) serve(w http.ResponseWriter, r *http.Request) {
	s.Fetches.Add(1)
	s.mu.Lock()
	answer, set := s.answer, jose.JSONWebKeySet{Keys: s.public}
	s.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	_ = json.NewEncoder(w).Encode(set)
}

// Answer replaces the service's answers; nil makes it publish its keys again.
func (s *Issuer) Answer(answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// Die closes the service. Tokens that it has signed stay valid.
func (s *Issuer) Die() { s.server.Close() }

// Rotate makes a new signing key, and publishes it together with the one before.
func (s *Issuer) Rotate(algorithm jose.SignatureAlgorithm) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made++
	s.key = jose.JSONWebKey{Key: newKey(s.t, algorithm), KeyID: "key-" + strconv.Itoa(s.made), Algorithm: string(algorithm), Use: "sig"}
	if len(s.public) > 1 {
		s.public = s.public[len(s.public)-1:]
	}
	s.public = append(s.public[:len(s.public):len(s.public)], s.key.Public())
}

// Withdraw publishes only the current signing key.
func (s *Issuer) Withdraw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.public = []jose.JSONWebKey{s.key.Public()}
}

// Public is the public part of the signing key.
func (s *Issuer) Public() jose.JSONWebKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.key.Public()
}

// Sign makes a token of the claims.
func (s *Issuer) Sign(claims map[string]any) string {
	s.t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.SignText(string(payload))
}

// SignText makes a token of a payload that need not be JSON.
func (s *Issuer) SignText(payload string) string {
	s.t.Helper()
	s.mu.Lock()
	key := s.key
	s.mu.Unlock()
	return Sign(s.t, key, payload)
}

// Sign makes a token with a key.
func Sign(t *testing.T, key jose.JSONWebKey, payload string) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func newKey(t *testing.T, algorithm jose.SignatureAlgorithm) (key any) {
	t.Helper()
	var err error
	switch algorithm {
	case jose.ES256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.EdDSA:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case jose.RS256, jose.PS256:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		t.Fatalf("no key for %s", algorithm)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}
