package entitlement

import (
	"bytes"
	stdjson "encoding/json"

	json "github.com/go-json-experiment/json/v1"
)

// What is stored is the JSON of encoding/json, byte for byte: states are compared as text,
// and earlier releases wrote theirs with encoding/json.

// AppendJSON appends the form in which a record is stored.
func (r Record) AppendJSON(b []byte) ([]byte, error) { return appendJSON(b, &r) }

// ParseRecord reads what [Record.AppendJSON] wrote.
func ParseRecord(b []byte) (r Record, err error) {
	err = json.Unmarshal(b, &r)
	return r, err
}

// AppendJSON appends the form in which a standing is stored.
func (s Standing) AppendJSON(b []byte) ([]byte, error) { return appendJSON(b, &s) }

// AppendTerms appends the form in which terms by product are stored.
func AppendTerms(b []byte, terms map[string]Terms) ([]byte, error) { return appendJSON(b, &terms) }

func appendJSON(b []byte, value any) ([]byte, error) {
	text, err := json.Marshal(value)
	if bytes.Contains(text, []byte("\uFFFD")) { // encoding/json writes \ufffd for invalid UTF-8
		text, err = stdjson.Marshal(value)
	}
	return append(b, text...), err
}
