package dodo

import (
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// reader reads the text of a scalar, nil for a list or an object.
type reader[T any] interface {
	read(kind jsontext.Kind, text []byte) (value T, ok bool)
	fault() string // why the value cannot be read
}

// The kinds of fields.
type (
	text     = field[string, asText]
	id       = field[string, asID]
	word     = field[string, asWord]
	currency = field[string, asCurrency]
	email    = field[string, asEmail]
	whole    = field[int64, asWhole]
	quantity = field[int64, asQuantity]
	flag     = field[bool, asFlag]
	moment   = field[time.Time, asTime]
)

// asText is a string, or a number in its written form.
type asText struct{}

func (asText) fault() string { return "is not a string" }

func (asText) read(kind jsontext.Kind, text []byte) (string, bool) {
	if !isText(kind) {
		return "", false
	}
	return string(text), true
}

func isText(kind jsontext.Kind) bool { return kind == '"' || kind == '0' }

// asID is one of Dodo's ids.
type asID struct{}

func (asID) fault() string { return "is not an id" }

func (asID) read(kind jsontext.Kind, text []byte) (string, bool) { return readWord(kind, text, maxID) }

// readWord reads letters, digits, "_" and "-", or "".
func readWord(kind jsontext.Kind, text []byte, most int) (string, bool) {
	s, ok := asText{}.read(kind, text)
	return s, ok && (s == "" || isWord(s, most))
}

// asWord is a value of one of Dodo's enumerations, in lower case. All of them are open, so any
// word is accepted.
type asWord struct{}

func (asWord) fault() string { return "is not a word" }

func (asWord) read(kind jsontext.Kind, text []byte) (string, bool) {
	s, ok := readWord(kind, text, 64)
	return strings.ToLower(s), ok
}

// asCurrency is an ISO 4217 code in upper case.
type asCurrency struct{}

func (asCurrency) fault() string { return "is not a currency" }

func (asCurrency) read(kind jsontext.Kind, text []byte) (string, bool) {
	s, ok := readWord(kind, text, 8)
	return strings.ToUpper(s), ok
}

// asEmail is what a customer typed, if it is short enough for an address.
type asEmail struct{}

func (asEmail) fault() string { return "" } // nothing depends on it

func (asEmail) read(_ jsontext.Kind, text []byte) (string, bool) {
	return string(text), len(text) <= maxEmail
}

// maxWhole is far beyond any amount in minor units, and small enough that hundreds of them can
// be added.
const maxWhole = 10_000_000_000_000_000

// asWhole is an integer of at least 0, in digits only: Dodo writes no amount as 1e3 or 4.0.
type asWhole struct{}

func (asWhole) fault() string { return "is not a whole number of zero or more, or is too large" }

func (asWhole) read(kind jsontext.Kind, text []byte) (n int64, ok bool) {
	for _, c := range text {
		if c < '0' || c > '9' || n > maxWhole {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	return n, isText(kind) && n <= maxWhole
}

// asQuantity is a number of pieces of a product.
type asQuantity struct{}

func (asQuantity) fault() string { return "is not a quantity" }

func (asQuantity) read(kind jsontext.Kind, text []byte) (int64, bool) {
	n, ok := asWhole{}.read(kind, text)
	return n, ok && (n >= 1 && n <= maxQuantity || len(text) == 0)
}

// asFlag is a boolean, or its text as a string.
type asFlag struct{}

func (asFlag) fault() string { return "is not true or false" }

func (asFlag) read(_ jsontext.Kind, text []byte) (value, ok bool) {
	value = string(text) == "true"
	return value, value || string(text) == "false"
}

// latestTime is the latest accepted time. Some senders write a later one for "never". The
// years up to 9999, the last that RFC 3339 can express, are room for the longest term that may
// be added to it.
var latestTime = time.Date(9000, time.January, 1, 0, 0, 0, 0, time.UTC)

// asTime is an RFC 3339 timestamp in UTC, at most latestTime. Times before 1970 are refused:
// Dodo has none, and the stores cannot keep year 0.
type asTime struct{}

func (asTime) fault() string { return "is not a timestamp" }

func (asTime) read(kind jsontext.Kind, text []byte) (time.Time, bool) {
	if !isText(kind) || len(text) == 0 {
		return time.Time{}, isText(kind)
	}
	t, err := time.Parse(time.RFC3339, string(text))
	if t = t.UTC(); err != nil || t.Year() < 1970 || t.Year() > 9999 {
		return time.Time{}, false
	}
	if t.After(latestTime) {
		t = latestTime
	}
	return t, true
}
