package dodosim

import (
	"encoding/json"
	"unicode/utf8"
)

// The limits of FACTS 4.
const (
	maxMetadataPairs = 50
	maxMetadataKey   = 40
	maxMetadataValue = 500
)

// metadata is a merchant's own map on an object. Values keep their original bytes, so that a
// large integer is not rounded.
type metadata map[string]json.RawMessage

// check applies the documented rules: a value is a string, a number or a boolean.
func (m metadata) check() *Error {
	if len(m) > maxMetadataPairs {
		return refuse(codeTooManyKeys, "metadata has %d pairs, at most %d are allowed", len(m), maxMetadataPairs)
	}
	for key, raw := range m {
		if !validMetadataKey(key) {
			return refuse(codeInvalidParameters, "a metadata key has 1 to %d letters, digits, dashes and underscores", maxMetadataKey)
		}
		var value any
		if err := json.Unmarshal(raw, &value); err != nil {
			return refuse(codeInvalidBody, "metadata.%s cannot be read", key)
		}
		switch v := value.(type) {
		case string:
			if utf8.RuneCountInString(v) > maxMetadataValue {
				return refuse(codeInvalidParameters, "metadata.%s has more than %d characters", key, maxMetadataValue)
			}
		case float64, bool:
		default:
			return refuse(codeInvalidBody, "metadata.%s must be a string, number or boolean", key)
		}
	}
	return nil
}

func validMetadataKey(key string) bool {
	if key == "" || len(key) > maxMetadataKey {
		return false
	}
	for _, c := range []byte(key) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

// orEmpty is m as in responses: an absent map is {}, never null.
func (m metadata) orEmpty() metadata {
	if m == nil {
		return metadata{}
	}
	return m
}
