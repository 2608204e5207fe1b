package dodo

import (
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// The limits of metadata (FACTS 4).
const (
	maxPairs = 50
	maxKey   = 40
	maxValue = 500 // characters
)

// metadata is the pairs that Dodo's own rules allow (FACTS 4), numbers and booleans as they
// are written. Of more than 50, the first ones stay, and the order proof always does.
type metadata struct {
	pairs    map[string]string
	keyTwice bool
	mark
}

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (m *metadata) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if mine, err := m.opens(dec, '{'); !mine {
		return err
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	var left map[string]bool // keys that are not kept, which must not be there twice either
	for dec.PeekKind() != '}' {
		name, err := dec.ReadValue()
		if err != nil {
			return err
		}
		key := metadataKey(scalar(name))
		raw, err := dec.ReadValue()
		if err != nil {
			return err
		}
		if _, kept := m.pairs[key]; kept || left[key] {
			m.keyTwice = true
		}
		value := scalar(raw)
		if value == nil || len(key) > maxKey || utf8.RuneCount(value) > maxValue || len(m.pairs) >= maxPairs && !isProofKey(key) {
			if left == nil {
				left = make(map[string]bool)
			}
			left[key] = true
			continue
		}
		if m.pairs == nil {
			m.pairs = make(map[string]string)
		}
		m.pairs[key] = string(value)
	}
	_, err := dec.ReadToken()
	return err
}

// get is the pairs; none when there is no object.
func (m *metadata) get(in scope) map[string]string {
	if !m.is(in) {
		return nil
	}
	if m.keyTwice {
		in.note(&in.malformed, fault{why: "names a key twice", at: m.at})
	}
	return m.pairs
}

// metadataKey is a key as text, without a copy if it is one of ours.
func metadataKey(said []byte) string {
	switch string(said) {
	case keyOrder:
		return keyOrder
	case keyAccount:
		return keyAccount
	case keyProduct:
		return keyProduct
	case keyProof:
		return keyProof
	}
	return string(said)
}
