package dodo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// The lenient reader of Dodo's JSON. Real payloads break the published schema in
// small ways (FACTS 3.9), so it asks for fields by name and takes what can be
// understood: unknown fields, nulls, and numbers for strings or strings for
// numbers. What it does not take is JSON that two parsers could read differently
// (RELIABILITY 6.4).

// fields is a JSON object, to be read by field name. The zero value has none.
type fields struct {
	path    string // where it is, for errors
	members []member
	faults  *faults
}

// member is one field, both parts of it as they stand in the body.
type member struct {
	name []byte // what is said, without its quotes and escapes
	raw  json.RawMessage
}

// readObject opens a JSON object whose syntax [checkJSON] has passed. Values
// that nobody asks for are not parsed further.
func readObject(path string, raw []byte, to *faults) fields {
	f := fields{path: path, faults: to}
	w, ok := walkInto(raw, '{')
	if !ok {
		f.refuse("", "is not an object")
		return f
	}
	if cap(to.members) == 0 {
		to.members = make([]member, 0, min(1+len(raw)/30, 80)) // as Dodo's payloads need
	}
	first := len(to.members)
	for w.more() {
		name := unquote(w.value())
		to.members = append(to.members, member{name, w.value()})
	}
	f.members = slices.Clip(to.members[first:])
	return f
}

// refuse notes that a field cannot be understood. Never with its value.
func (f fields) refuse(name, why string) {
	if f.faults.unclear == nil {
		f.faults.unclear = fmt.Errorf("%w: %s %s", ErrUnclear, f.at(name), why)
	}
}

func (f fields) ambiguous(name, why string) {
	if f.faults.malformed == nil {
		f.faults.malformed = fmt.Errorf("%w: %s %s", ErrMalformed, f.at(name), why)
	}
}

func (f fields) at(name string) string {
	return strings.Trim(f.path+"."+name, ".")
}

// raw is the field's value, or nil where it is absent or null. A name that
// appears twice, or in another case, is read differently by different parsers
// (encoding/json takes the last one, and any case), so it is refused.
func (f fields) raw(name string) json.RawMessage {
	var found json.RawMessage
	seen := false
	for _, m := range f.members {
		if !alike(m.name, name) {
			continue
		}
		if seen || string(m.name) != name {
			f.ambiguous(name, "is there twice or in another case")
			return nil
		}
		seen, found = true, m.raw
	}
	if string(found) == "null" {
		return nil
	}
	return found
}

// alike compares without regard to case. Most names differ in their first letter.
func alike(said []byte, name string) bool {
	const otherCase = 'a' - 'A'
	if len(said) > 0 && said[0] < utf8.RuneSelf && said[0]|otherCase != name[0]|otherCase {
		return false
	}
	return bytes.EqualFold(said, []byte(name))
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
	raw := f.raw(name)
	if raw == nil {
		return fields{path: f.at(name), faults: f.faults}
	}
	return readObject(f.at(name), raw, f.faults)
}

// hints is a nested object that nothing depends on: without fields also when it
// is something else.
func (f fields) hints(name string) fields {
	if raw := f.raw(name); raw == nil || raw[0] != '{' {
		return fields{path: f.at(name), faults: f.faults}
	}
	return f.object(name)
}

// list is an array of at most most objects, or none.
func (f fields) list(name string, most int) []fields {
	var list []fields
	for i, raw := range f.items(name, most) {
		list = append(list, readObject(fmt.Sprintf("%s[%d]", f.at(name), i), raw, f.faults))
	}
	return list
}

// items is an array's elements, at most most of them, or none.
func (f fields) items(name string, most int) []json.RawMessage {
	raw := f.raw(name)
	if raw == nil {
		return nil
	}
	w, ok := walkInto(raw, '[')
	if !ok {
		f.refuse(name, "is not a list")
		return nil
	}
	var items []json.RawMessage
	for w.more() {
		if len(items) == most {
			f.refuse(name, fmt.Sprintf("has more than %d items", most))
			return nil
		}
		items = append(items, w.value())
	}
	return items
}

// scalar is the text of a string, number or boolean, if raw is one.
func scalar(raw json.RawMessage) (string, bool) {
	if len(raw) == 0 {
		return "", false
	}
	switch raw[0] {
	case '"':
		return string(unquote(raw)), true
	case '{', '[', 'n':
		return "", false
	default:
		return string(raw), true
	}
}
