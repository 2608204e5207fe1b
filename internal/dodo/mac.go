package dodo

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"sync"
)

// macKey is a key of HMAC-SHA256 with MACs that were begun with it: what the key alone
// makes of one is always the same, and half of what a short one takes. It may be used by
// many goroutines at once.
type macKey struct{ spare sync.Pool }

// mac is one MAC, and room for what goes into it and comes out of it.
type mac struct {
	hash.Hash
	text []byte
}

func newMACKey(secret []byte) *macKey {
	return &macKey{spare: sync.Pool{New: func() any { return &mac{Hash: hmac.New(sha256.New, secret)} }}}
}

// begin is an empty MAC, which end gives back.
func (k *macKey) begin() *mac {
	m, _ := k.spare.Get().(*mac)
	m.Reset()
	m.text = m.text[:0]
	return m
}

func (k *macKey) end(m *mac) { k.spare.Put(m) }
