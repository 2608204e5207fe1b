package identity

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// trustedKey is a key that verifies tokens.
type trustedKey struct {
	id         string // its kid; empty if it has none
	algorithm  string // the only one that it is for; empty for all that fit its type
	public     any    // *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey, or []byte for a secret
	thumbprint string // identifies the key in a later set
	// untrusted is set when the key is no longer trusted. It invalidates cached verdicts about
	// tokens that it signed.
	untrusted atomic.Bool
}

// Bounds of a set of keys.
const (
	maxKeys    = 100
	minRSABits = 2048
	minSecret  = 32 // bytes; RFC 7518, 3.2
)

// fits reports whether the key can verify this algorithm. The algorithm decides the type of
// the key, never the other way round, so that a public key is never used as a secret.
func (k *trustedKey) fits(algorithm jose.SignatureAlgorithm) bool {
	if k.algorithm != "" && k.algorithm != string(algorithm) {
		return false
	}
	switch algorithm {
	case jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512:
		_, ok := k.public.(*rsa.PublicKey)
		return ok
	case jose.ES256:
		return k.isOn(elliptic.P256())
	case jose.ES384:
		return k.isOn(elliptic.P384())
	case jose.ES512:
		return k.isOn(elliptic.P521())
	case jose.EdDSA:
		_, ok := k.public.(ed25519.PublicKey)
		return ok
	case jose.HS256, jose.HS384, jose.HS512:
		_, ok := k.public.([]byte)
		return ok
	}
	return false
}

func (k *trustedKey) isOn(curve elliptic.Curve) bool {
	key, ok := k.public.(*ecdsa.PublicKey)
	return ok && key.Curve == curve
}

// newTrustedKey checks a public key.
func newTrustedKey(key jose.JSONWebKey) (*trustedKey, error) {
	switch public := key.Key.(type) {
	case *rsa.PublicKey:
		if public.N.BitLen() < minRSABits {
			return nil, fmt.Errorf("RSA key of fewer than %d bits", minRSABits)
		}
	case *ecdsa.PublicKey, ed25519.PublicKey:
	default:
		return nil, errors.New("not a public key")
	}
	if key.Use != "" && key.Use != "sig" {
		return nil, errors.New("not for signatures")
	}
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, errors.New("no thumbprint")
	}
	return &trustedKey{id: key.KeyID, algorithm: key.Algorithm, public: key.Key, thumbprint: string(sum)}, nil
}

var errNoKeys = errors.New("no public key that tokens could be verified with")

// parseKeySet reads a JSON Web Key Set (RFC 7517, 5), or a single key. Keys of unknown kinds
// are left out, as the RFC requires.
func parseKeySet(text []byte) ([]*trustedKey, error) {
	var set struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, errors.New("not a JSON Web Key Set")
	}
	if set.Keys == nil {
		set.Keys = []jsontext.Value{text}
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("more than %d keys", maxKeys)
	}
	var keys []*trustedKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(raw) != nil {
			continue
		}
		if trusted, err := newTrustedKey(key); err == nil {
			keys = append(keys, trusted)
		}
	}
	if len(keys) == 0 {
		return nil, errNoKeys
	}
	return keys, nil
}

// parseKeys reads the keys of a file: PEM blocks of public keys and certificates, or what
// parseKeySet accepts.
func parseKeys(text []byte) ([]*trustedKey, error) {
	if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && trimmed[0] == '{' {
		return parseKeySet(trimmed)
	}
	var keys []*trustedKey
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		public, err := parseBlock(block)
		if err != nil {
			return nil, err
		}
		key, err := newTrustedKey(jose.JSONWebKey{Key: public})
		if err != nil {
			return nil, err
		}
		if keys = append(keys, key); len(keys) > maxKeys {
			return nil, fmt.Errorf("more than %d keys", maxKeys)
		}
	}
	if len(keys) == 0 {
		return nil, errNoKeys
	}
	return keys, nil
}

func parseBlock(block *pem.Block) (any, error) {
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return certificate.PublicKey, nil
	}
	return nil, errors.New("a PEM block is neither a public key nor a certificate; private keys stay with the issuer")
}
