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

// metadata keeps the pairs that Dodo's own rules allow (FACTS 4); numbers and booleans keep
// their written form. If there are more than 50, it keeps the first ones and always the order
// proof.
type metadata struct {
	pairs    map[string]string
	keyTwice bool
	mark
}

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (m *metadata) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if opened, err := m.markBracket(dec, '{'); !opened {
		return err
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	var dropped map[string]bool // keys that are not kept; they must not appear twice either
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
		if _, kept := m.pairs[key]; kept || dropped[key] {
			m.keyTwice = true
		}
		value := scalar(raw)
		if value == nil || len(key) > maxKey || utf8.RuneCount(value) > maxValue || len(m.pairs) >= maxPairs && !isProofKey(key) {
			if dropped == nil {
				dropped = make(map[string]bool)
			}
			dropped[key] = true
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

// get returns the pairs; nil if there is no object.
func (m *metadata) get(in scope) map[string]string {
	if !m.isSet(in) {
		return nil
	}
	if m.keyTwice {
		in.note(&in.malformed, fault{reason: "names a key twice", at: m.at})
	}
	return m.pairs
}

// metadataKey converts a key to a string, without allocating for dodogate's own keys.
func metadataKey(name []byte) string {
	switch string(name) {
	case keyOrder:
		return keyOrder
	case keyAccount:
		return keyAccount
	case keyProduct:
		return keyProduct
	case keyProof:
		return keyProof
	}
	return string(name)
}
