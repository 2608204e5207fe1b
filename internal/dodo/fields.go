package dodo

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Real payloads break the published schema in small ways (FACTS 3.9). So the types here
// accept any JSON for a field, and remember what is wrong with it; the code that reads the
// field decides whether that matters. Unknown fields are ignored. Names that two parsers
// could read differently are refused (RELIABILITY 6.4): encoding/json takes the last of a
// repeated name, and ignores case.

// scope is the object whose fields are read, and the faults found so far.
type scope struct {
	*faults
	at uint32 // see mark
}

// faults holds the first fault of each kind while fields are read, so that all fields are
// looked at before an error is chosen. A malformed body is worse than an unclear one.
type faults struct {
	body               []byte
	malformed, unclear fault
}

// fault describes what is wrong with a field. It never holds the field's value.
type fault struct {
	reason, name string
	at           uint32
}

func scopeOf(body []byte) scope { return scope{faults: &faults{body: body}} }

// lenient is the same object, for fields whose faults do not matter.
func (in scope) lenient() scope { return scope{&faults{body: in.body}, in.at} }

// refuse records that a field of the object cannot be understood.
func (in scope) refuse(name, why string) { in.note(&in.unclear, fault{why, name, in.at}) }

func (*faults) note(first *fault, f fault) {
	if first.reason == "" {
		*first = f
	}
}

// isEmpty reports whether there is no fault.
func (f *faults) isEmpty() bool { return f.malformed.reason == "" && f.unclear.reason == "" }

func (f *faults) err() error {
	kind, first := ErrMalformed, f.malformed
	if first.reason == "" {
		kind, first = ErrUnclear, f.unclear
	}
	if first.reason == "" {
		return nil
	}
	return fmt.Errorf("%w: %s %s", kind, strings.Trim(pathTo(f.body, first.at)+"."+first.name, "."), first.reason)
}

// mark says where a value is in the body, and in which state.
type mark struct {
	at         uint32 // the end of the name or, in a list, of the text before the value; 0: absent
	present    bool   // neither absent nor null
	unreadable bool   // of another type, or cannot be understood
	ambiguous  bool   // its name appears twice or in another case
}

// markNext marks the next value, and reports whether it is the first one with this name.
func (m *mark) markNext(dec *jsontext.Decoder) bool {
	if m.at != 0 {
		m.ambiguous = true
		return false
	}
	m.at = uint32(dec.InputOffset())
	return true
}

func (m *mark) markAmbiguous() { m.ambiguous = true }

// markBracket marks the next value. It returns true if the caller must read the value, because
// it is the first one and begins with the bracket. It skips any other value.
func (m *mark) markBracket(dec *jsontext.Decoder, bracket jsontext.Kind) (bool, error) {
	if m.markNext(dec) {
		kind := dec.PeekKind()
		m.present, m.unreadable = kind != 'n', kind != bracket
		if !m.unreadable {
			return true, nil
		}
	}
	return false, dec.SkipValue()
}

// isSet reports whether there is an unambiguous value that is not null.
func (m *mark) isSet(in scope) bool {
	if m.ambiguous {
		in.note(&in.malformed, fault{reason: "appears twice or in another case", at: m.at})
		return false
	}
	return m.present
}

// field is a scalar. As decides how it is read.
type field[T any, As reader[T]] struct {
	value T
	mark
}

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (f *field[T, As]) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if !f.markNext(dec) {
		return dec.SkipValue()
	}
	raw, err := dec.ReadValue()
	if err != nil || raw.Kind() == 'n' {
		return err
	}
	var as As
	var ok bool
	text := scalar(raw)
	f.value, ok = as.read(raw.Kind(), text)
	f.unreadable = !ok
	f.present = !ok || text == nil || len(text) > 0 // "" counts as absent
	return nil
}

// get is the field's value, zero if it is absent, null or unreadable.
func (f *field[T, As]) get(in scope) T {
	value, _ := f.lookup(in)
	return value
}

// lookup is get; present is false if there is no value.
func (f *field[T, As]) lookup(in scope) (value T, present bool) {
	switch {
	case !f.isSet(in):
		return value, false
	case f.unreadable:
		var as As
		in.note(&in.unclear, fault{reason: as.fault(), at: f.at})
		return value, false
	}
	return f.value, true
}

// requiredID is an id that must be present.
func requiredID(f *id, in scope, name string) string {
	s := f.get(in)
	if s == "" {
		in.refuse(name, "is missing")
	}
	return s
}

// object is a nested object with the fields of T.
type object[T any] struct {
	fields T
	mark
}

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (o *object[T]) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if opened, err := o.markBracket(dec, '{'); !opened {
		return err
	}
	return readMembers(dec, &o.fields)
}

// get returns the object's fields; all are absent if the object is absent or null.
func (o *object[T]) get(in scope) (*T, scope) {
	of := scope{in.faults, o.at}
	if !o.isSet(in) {
		return new(T), of
	}
	if o.unreadable {
		of.refuse("", "is not an object")
	}
	return &o.fields, of
}

// getLenient is get for an optional object: a value of another type is no fault.
func (o *object[T]) getLenient(in scope) (*T, scope) {
	of := scope{in.faults, o.at}
	if !o.isSet(in) {
		return new(T), of
	}
	return &o.fields, of
}

// list is an array of bounded length, of fields or objects.
type list[T any, Limit limit] struct {
	items []T // one more than the limit if there are too many
	mark
}

// limit bounds a list.
type limit interface{ most() int }

type (
	upTo100  struct{}
	upTo1000 struct{}
)

func (upTo100) most() int  { return 100 }
func (upTo1000) most() int { return 1000 }

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (l *list[T, Limit]) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if opened, err := l.markBracket(dec, '['); !opened {
		return err
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	var limit Limit
	for dec.PeekKind() != ']' {
		if len(l.items) > limit.most() {
			if err := dec.SkipValue(); err != nil {
				return err
			}
			continue
		}
		l.items = append(l.items, *new(T))
		item, _ := any(&l.items[len(l.items)-1]).(fieldReader)
		if err := item.UnmarshalJSONFrom(dec); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

// get returns the array's items; nil if there are none.
func (l *list[T, Limit]) get(in scope) []T {
	if !l.isSet(in) {
		return nil
	}
	var limit Limit
	of := scope{in.faults, l.at}
	switch {
	case l.unreadable:
		of.refuse("", "is not a list")
	case len(l.items) > limit.most():
		of.refuse("", fmt.Sprintf("has more than %d items", limit.most()))
	default:
		return l.items
	}
	return nil
}
