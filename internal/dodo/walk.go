package dodo

import (
	"bytes"
	"encoding/json"
)

// walker passes through the members of a JSON object, names and values in turn, or
// the items of an array, whose syntax [checkJSON] has passed. It looks at each byte
// once and copies nothing. It judges nothing either: what is no JSON is cut up
// somehow.
type walker struct{ rest []byte }

// walkInto begins in raw, an object or array as opening says.
func walkInto(raw []byte, opening byte) (walker, bool) {
	if len(raw) == 0 || raw[0] != opening {
		return walker{}, false
	}
	return walker{raw[1:]}, true
}

// more goes on to what comes next and reports whether that is not the end.
func (w *walker) more() bool {
	for len(w.rest) > 0 {
		switch w.rest[0] {
		case ' ', '\t', '\r', '\n', ',', ':':
			w.rest = w.rest[1:]
		default:
			return w.rest[0] != '}' && w.rest[0] != ']'
		}
	}
	return false
}

// value passes over the name or value that comes next and returns it as it
// stands; nil at the end.
func (w *walker) value() []byte {
	if !w.more() {
		return nil
	}
	var end int
	switch w.rest[0] {
	case '"':
		end = endOfString(w.rest)
	case '{', '[':
		end = endOfNested(w.rest)
	default:
		end = bytes.IndexAny(w.rest, ",]} \t\r\n")
	}
	if end < 0 {
		end = len(w.rest)
	}
	value := w.rest[:end:end]
	w.rest = w.rest[end:]
	return value
}

// endOfString is the length of the string that raw begins with, or -1.
func endOfString(raw []byte) int {
	for i := 1; i < len(raw); i++ {
		switch raw[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// endOfNested is the length of the object or array that raw begins with, or -1.
func endOfNested(raw []byte) int {
	depth := 0
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			n := endOfString(raw[i:])
			if n < 0 {
				return -1
			}
			i += n - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// unquote is what a string of JSON says; encoding/json reads those with escapes.
func unquote(raw []byte) []byte {
	switch {
	case len(raw) < 2:
		return nil
	case bytes.IndexByte(raw, '\\') < 0:
		return raw[1 : len(raw)-1]
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil
	}
	return []byte(s)
}
