package dodo

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// The order proof is sent to Dodo in a checkout's metadata and comes back with its payment,
// so that a payment can be matched to an account even after the store was lost. The proof
// is needed because customers can put metadata on a payment through a static payment link
// (DESIGN 6.2).
//
// One business at Dodo may serve several stores, for example staging and production, and
// all of them receive every payment. So the proof names the site that made it.
const (
	keySite    = "dodogate_site"
	keyOrder   = "dodogate_order"
	keyAccount = "dodogate_account"
	keyProduct = "dodogate_product"
	keyProof   = "dodogate_proof"
)

func isProofKey(key string) bool {
	return key == keySite || key == keyOrder || key == keyAccount || key == keyProduct || key == keyProof
}

// These labels separate our MACs and keys from every other use of a secret, and proofs that
// name a site from those of earlier releases, which do not.
const (
	proofLabel     = "dodogate order proof v1"
	siteProofLabel = "dodogate order proof v2"
)

// maxClaim is the longest site, order id, account or product, in bytes.
const maxClaim = 256

// Claim is what an order's metadata proves. Site is empty in proofs of releases that did not
// name one.
type Claim struct{ Site, Order, Account, Product string }

// Prover makes and checks order proofs. It is safe for concurrent use.
type Prover struct{ keys atomic.Pointer[[]*proofKey] }

// NewProver signs with the first secret and accepts proofs by any of them. It refuses a secret
// of fewer than 24 bytes; the error names it only by its position.
func NewProver(secrets [][]byte) (*Prover, error) {
	p := new(Prover)
	if err := p.Rotate(secrets); err != nil {
		return nil, err
	}
	return p, nil
}

// Rotate signs with the first of these secrets and believes what any of them signed,
// and nothing else, from now on. It refuses what [NewProver] refuses; then the secrets
// stay as they are.
func (p *Prover) Rotate(secrets [][]byte) error {
	if len(secrets) == 0 {
		return errors.New("no proof secret")
	}
	keys := make([]*proofKey, 0, len(secrets))
	for i, secret := range secrets {
		if len(secret) < minSecret {
			return fmt.Errorf("proof secret %d: too short: %d bytes, at least %d are needed", i+1, len(secret), minSecret)
		}
		keys = append(keys, newProofKey(slices.Clone(secret)))
	}
	p.keys.Store(&keys)
	return nil
}

// DeriveKey is the proof secret if none is configured. A change of the API key then
// invalidates the proofs of unpaid orders.
func DeriveKey(apiKey string) []byte {
	key, err := hkdf.Key(sha256.New, []byte(apiKey), nil, proofLabel, sha256.Size)
	if err != nil { // an API key too weak for FIPS mode
		return nil // NewProver refuses it
	}
	return key
}

// Metadata returns the metadata of the order's checkout. Each value is 1 to 256 arbitrary
// bytes; the site may be empty.
func (p *Prover) Metadata(c Claim) map[string]string {
	metadata := map[string]string{
		keyOrder:   writeClaim(c.Order),
		keyAccount: writeClaim(c.Account),
		keyProduct: writeClaim(c.Product),
		keyProof:   (*p.keys.Load())[0].proofOf(c),
	}
	if c.Site != "" {
		metadata[keySite] = writeClaim(c.Site)
	}
	return metadata
}

// Claim reads a payment's metadata. ok is false unless the proof is valid.
func (p *Prover) Claim(metadata map[string]string) (c Claim, ok bool) {
	var readable [3]bool
	if text, named := metadata[keySite]; named {
		if c.Site, named = readClaim(text); !named {
			return Claim{}, false
		}
	}
	c.Order, readable[0] = readClaim(metadata[keyOrder])
	c.Account, readable[1] = readClaim(metadata[keyAccount])
	c.Product, readable[2] = readClaim(metadata[keyProduct])
	if readable != [3]bool{true, true, true} {
		return Claim{}, false
	}
	for _, key := range *p.keys.Load() {
		if hmac.Equal([]byte(metadata[keyProof]), []byte(key.proofOf(c))) {
			return c, true
		}
	}
	return Claim{}, false
}

// proofKey is a key with reusable MACs. Starting a MAC is half of its work and always the same
// for a key.
type proofKey struct{ macs sync.Pool }

type proofMAC struct {
	hash.Hash
	text []byte
}

func newProofKey(secret []byte) *proofKey {
	return &proofKey{macs: sync.Pool{New: func() any { return &proofMAC{Hash: hmac.New(sha256.New, secret)} }}}
}

// proofOf writes each value after its length, so that no byte can move from one value to the
// next.
func (k *proofKey) proofOf(c Claim) string {
	mac, _ := k.macs.Get().(*proofMAC)
	defer k.macs.Put(mac)
	mac.Reset()
	mac.text = mac.text[:0]
	parts := [...]string{proofLabel, "", c.Order, c.Account, c.Product}
	if c.Site != "" {
		parts[0], parts[1] = siteProofLabel, c.Site
	}
	for i, s := range parts {
		if i == 1 && c.Site == "" {
			continue
		}
		mac.text = append(append(strconv.AppendInt(mac.text, int64(len(s)), 10), ':'), s...)
	}
	mac.Write(mac.text)
	mac.text = mac.Sum(mac.text[:0])
	return base64.RawURLEncoding.EncodeToString(mac.text)
}

// writeClaim makes any bytes a value that Dodo accepts. Short plain text stays unchanged, so
// that an operator can read it in Dodo's dashboard; other values become "~" and base64. 256
// bytes become 343 characters of the 500 that are allowed.
func writeClaim(s string) string {
	if isPlain(s) {
		return s
	}
	return "~" + base64.RawURLEncoding.EncodeToString([]byte(s))
}

// readClaim reverses writeClaim, and accepts nothing that writeClaim does not write.
func readClaim(value string) (string, bool) {
	s := value
	if text, encoded := strings.CutPrefix(value, "~"); encoded {
		raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
		if err != nil {
			return "", false
		}
		s = string(raw)
	}
	return s, len(s) > 0 && len(s) <= maxClaim && writeClaim(s) == value
}

func isPlain(s string) bool {
	for i := range len(s) {
		if !isWord(s[i:i+1], 1) && !strings.Contains(".@:|/+=", s[i:i+1]) {
			return false
		}
	}
	return len(s) > 0
}
