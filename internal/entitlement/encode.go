package entitlement

import (
	"bytes"
	stdjson "encoding/json"

	json "github.com/go-json-experiment/json/v1"
)

// The stored form is exactly the JSON of encoding/json: states are compared as text,
// and earlier releases wrote them with encoding/json.

// AppendJSON appends the stored form of a record.
func (r Record) AppendJSON(b []byte) ([]byte, error) { return appendJSON(b, &r) }

// ParseRecord reads the output of [Record.AppendJSON].
func ParseRecord(b []byte) (r Record, err error) {
	err = json.Unmarshal(b, &r)
	return r, err
}

// AppendJSON appends the stored form of a standing.
func (s Standing) AppendJSON(b []byte) ([]byte, error) { return appendJSON(b, &s) }

// AppendTerms appends the stored form of terms by product.
func AppendTerms(b []byte, terms map[string]Terms) ([]byte, error) { return appendJSON(b, &terms) }

func appendJSON(b []byte, value any) ([]byte, error) {
	text, err := json.Marshal(value)
	if bytes.Contains(text, []byte("\uFFFD")) { // encoding/json writes \ufffd for invalid UTF-8
		text, err = stdjson.Marshal(value)
	}
	return append(b, text...), err
}
