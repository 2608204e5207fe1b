package dodo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The lenient reader of Dodo's JSON. Real payloads break the published schema in
// small ways (FACTS 3.9), so it asks for fields by name and takes what can be
// understood: unknown fields, nulls, and numbers for strings or strings for
// numbers. What it does not take is JSON that two parsers could read differently
// (RELIABILITY 6.4).

// fields is a JSON object, to be read by field name. The zero value has none.
type fields struct {
	doc    *document // nil where the object is absent
	at     int32
	absent string // where it would be, for errors
	faults *faults
}

// faults collects the first fault of each kind while fields are read, so that
// every field is looked at before an answer is given. An ambiguous body is worse
// than one that cannot be understood.
type faults struct{ malformed, unclear error }

func (f *faults) err() error {
	if f.malformed != nil {
		return f.malformed
	}
	return f.unclear
}

// first is the first of an object's members, each of which has the next one, until
// end.
func (f fields) first() int32 { return f.at + 1 }

func (f fields) end() int32 {
	if f.doc == nil || !f.doc.opens(f.at, '{') {
		return 0
	}
	return f.doc.nodes[f.at].next
}

// refuse notes that a field cannot be understood. Never with its value.
func (f fields) refuse(name, why string) {
	if f.faults.unclear == nil {
		f.faults.unclear = fmt.Errorf("%w: %s %s", ErrUnclear, f.where(name), why)
	}
}

func (f fields) ambiguous(name, why string) {
	if f.faults.malformed == nil {
		f.faults.malformed = fmt.Errorf("%w: %s %s", ErrMalformed, f.where(name), why)
	}
}

func (f fields) where(name string) string {
	path := f.absent
	if f.doc != nil {
		path = f.doc.path(f.at)
	}
	return strings.Trim(path+"."+name, ".")
}

// find looks for a field's value; 0 where it is absent or null. A name that
// appears twice, or in another case, is read differently by different parsers
// (encoding/json takes the last one, and any case), so it is refused.
func (f fields) find(name string) (at int32) {
	end := f.end()
	if end == 0 {
		return 0
	}
	nodes, i, all := f.doc.nodes, f.first(), f.doc.names.odd
	if !all {
		i = *f.doc.names.at(f.at, keyOf(name))
	}
	for i != 0 && (!all || i < end) {
		if nodes[i].parent == f.at {
			said := f.doc.name(i)
			if string(said) == name && at == 0 {
				at = i
			} else if bytes.EqualFold(said, []byte(name)) {
				f.ambiguous(name, "is there twice or in another case")
				return 0
			}
		}
		if all {
			i = nodes[i].next
		} else {
			i = nodes[i].alike
		}
	}
	if at != 0 && string(f.doc.raw(at)) == "null" {
		return 0
	}
	return at
}

// raw is the field's value, or nil where it is absent or null.
func (f fields) raw(name string) json.RawMessage {
	at := f.find(name)
	if at == 0 {
		return nil
	}
	return f.doc.raw(at)
}

// text is a string, or a number as it is written; "" when absent or null.
func (f fields) text(name string) string {
	raw := f.raw(name)
	if raw == nil {
		return ""
	}
	s, ok := scalar(raw)
	if !ok || raw[0] == 't' || raw[0] == 'f' {
		f.refuse(name, "is not a string")
		return ""
	}
	return s
}

// id is one of Dodo's ids, or "".
func (f fields) id(name string) string {
	s := f.text(name)
	if s != "" && !isWord(s, maxID) {
		f.refuse(name, "is not an id")
		return ""
	}
	return s
}

// wantID is an id that must be there.
func (f fields) wantID(name string) string {
	s := f.id(name)
	if s == "" {
		f.refuse(name, "is missing")
	}
	return s
}

// word is a value of one of Dodo's enumerations, in lower case, or "". All of
// them are open, so any word will do.
func (f fields) word(name string) string {
	s := f.text(name)
	if s != "" && !isWord(s, 64) {
		f.refuse(name, "is not a word")
		return ""
	}
	return strings.ToLower(s)
}

// currency is an ISO 4217 code in upper case, or "".
func (f fields) currency() string {
	const name = "currency"
	s := f.text(name)
	if s != "" && !isWord(s, 8) {
		f.refuse(name, "is not a currency")
		return ""
	}
	return strings.ToUpper(s)
}

// maxWhole is far beyond any amount in minor units, and far enough from 2^63 that
// hundreds of them can be added up.
const maxWhole = 10_000_000_000_000_000

// whole is an integer that is not negative; said is false when it is absent or
// null. Digits only: neither 1e3 nor 4.0 is how Dodo writes money.
func (f fields) whole(name string) (n int64, said bool) {
	s := f.text(name)
	if s == "" {
		return 0, false
	}
	if strings.Trim(s, "0123456789") != "" {
		f.refuse(name, "is not a whole number of zero or more")
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > maxWhole {
		f.refuse(name, "is too large")
		return 0, false
	}
	return n, true
}

// flag is a boolean, also as a string; said is false when it is absent or null.
func (f fields) flag(name string) (value, said bool) {
	raw := f.raw(name)
	if raw == nil {
		return false, false
	}
	switch s, _ := scalar(raw); s {
	case "true", "false":
		return s == "true", true
	}
	f.refuse(name, "is not true or false")
	return false, false
}

// farthest is the latest time there is. Some write one like it for "never"; from
// here to the year 9999, the last that RFC 3339 can write, is room for the longest
// term that may be added to it.
var farthest = time.Date(9000, time.January, 1, 0, 0, 0, 0, time.UTC)

// time is an RFC 3339 timestamp in UTC, at the latest farthest; or zero. There is
// no Dodo before 1970, and the stores know no year 0.
func (f fields) time(name string) time.Time {
	s := f.text(name)
	if s == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, s)
	if t = t.UTC(); err != nil || t.Year() < 1970 || t.Year() > 9999 {
		f.refuse(name, "is not a timestamp")
		return time.Time{}
	}
	if t.After(farthest) {
		return farthest
	}
	return t
}

// object is a nested object; one without fields when it is absent or null.
func (f fields) object(name string) fields {
	at := f.find(name)
	if at == 0 {
		return fields{absent: f.where(name), faults: f.faults}
	}
	return f.item(at).mustBeObject()
}

// hints is a nested object that nothing depends on: without fields also when it
// is something else.
func (f fields) hints(name string) fields {
	at := f.find(name)
	if at == 0 || !f.doc.opens(at, '{') {
		return fields{absent: f.where(name), faults: f.faults}
	}
	return f.item(at)
}

// list is an array of at most most objects, or none.
func (f fields) list(name string, most int) []fields {
	list := f.items(name, most)
	for _, item := range list {
		item.mustBeObject()
	}
	return list
}

// items is an array's elements, at most most of them, or none. What is no object has
// no fields.
func (f fields) items(name string, most int) []fields {
	at := f.find(name)
	if at == 0 {
		return nil
	}
	if !f.doc.opens(at, '[') {
		f.refuse(name, "is not a list")
		return nil
	}
	var items []fields
	for i, nodes := at+1, f.doc.nodes[:f.doc.nodes[at].next]; int(i) < len(nodes); i = nodes[i].next {
		if len(items) == most {
			f.refuse(name, fmt.Sprintf("has more than %d items", most))
			return nil
		}
		items = append(items, f.item(i))
	}
	return items
}

// item is another value of the same document.
func (f fields) item(at int32) fields { return fields{doc: f.doc, at: at, faults: f.faults} }

func (f fields) mustBeObject() fields {
	if !f.doc.opens(f.at, '{') {
		f.refuse("", "is not an object")
	}
	return f
}

// scalar is the text of a string, number or boolean, if raw is one.
func scalar(raw json.RawMessage) (string, bool) {
	if len(raw) == 0 {
		return "", false
	}
	switch raw[0] {
	case '"':
		return string(unescape(raw[1 : len(raw)-1])), true
	case '{', '[', 'n':
		return "", false
	default:
		return string(raw), true
	}
}
