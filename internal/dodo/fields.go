package dodo

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Real payloads break the published schema in small ways (FACTS 3.9). So the types here
// accept whatever JSON there is for a field, and remember what is wrong with it; whoever
// reads the field decides whether that matters. Unknown fields are ignored. Names that two
// parsers could read differently are refused (RELIABILITY 6.4): encoding/json takes the
// last of a repeated name, and any case.

// scope is where fields are read: the object that they are in, and the faults found so far.
type scope struct {
	*faults
	at uint32 // see mark
}

// faults holds the first fault of each kind while fields are read, so that every field is
// looked at before an answer is given. An ambiguous body is worse than an unclear one.
type faults struct {
	body               []byte
	malformed, unclear fault
}

// fault is what is wrong with a field. It never holds the field's value.
type fault struct {
	why, name string
	at        uint32
}

func within(body []byte) scope { return scope{faults: &faults{body: body}} }

// hint is the same object, for fields whose faults do not matter.
func (in scope) hint() scope { return scope{&faults{body: in.body}, in.at} }

// refuse notes that a field of the object cannot be understood.
func (in scope) refuse(name, why string) { in.note(&in.unclear, fault{why, name, in.at}) }

func (*faults) note(first *fault, f fault) {
	if first.why == "" {
		*first = f
	}
}

// clear reports whether there is no fault.
func (f *faults) clear() bool { return f.malformed.why == "" && f.unclear.why == "" }

func (f *faults) err() error {
	kind, first := ErrMalformed, f.malformed
	if first.why == "" {
		kind, first = ErrUnclear, f.unclear
	}
	if first.why == "" {
		return nil
	}
	return fmt.Errorf("%w: %s %s", kind, strings.Trim(pathTo(f.body, first.at)+"."+first.name, "."), first.why)
}

// mark says where a value is in the body, and how often.
type mark struct {
	at    uint32 // the end of the name or, in a list, of what is before the value; 0: absent
	said  bool   // it is neither absent nor null
	other bool   // it is of another type, or cannot be understood
	odd   bool   // its name is there twice or in another case
}

// first marks the value that comes next, and reports whether it is the first one.
func (m *mark) first(dec *jsontext.Decoder) bool {
	if m.at != 0 {
		m.odd = true
		return false
	}
	m.at = uint32(dec.InputOffset())
	return true
}

func (m *mark) misspell() { m.odd = true }

// opens marks the value that comes next. It returns true if the caller is to read it: it is
// the first one, and begins with the bracket. Any other value is skipped.
func (m *mark) opens(dec *jsontext.Decoder, bracket jsontext.Kind) (bool, error) {
	if m.first(dec) {
		kind := dec.PeekKind()
		m.said, m.other = kind != 'n', kind != bracket
		if !m.other {
			return true, nil
		}
	}
	return false, dec.SkipValue()
}

// is reports whether there is an unambiguous value that is not null.
func (m *mark) is(in scope) bool {
	if m.odd {
		in.note(&in.malformed, fault{why: "is there twice or in another case", at: m.at})
		return false
	}
	return m.said
}

// field is a scalar. As says how it is read.
type field[T any, As reader[T]] struct {
	value T
	mark
}

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (f *field[T, As]) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if !f.first(dec) {
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
	f.other = !ok
	f.said = !ok || text == nil || len(text) > 0 // "" says nothing
	return nil
}

// get is the field's value, zero when it is absent, null or cannot be understood.
func (f *field[T, As]) get(in scope) T {
	value, _ := f.look(in)
	return value
}

// look is get; said is false unless there is a value.
func (f *field[T, As]) look(in scope) (value T, said bool) {
	switch {
	case !f.is(in):
		return value, false
	case f.other:
		var as As
		in.note(&in.unclear, fault{why: as.fault(), at: f.at})
		return value, false
	}
	return f.value, true
}

// want is an id that must be there.
func want(f *id, in scope, name string) string {
	s := f.get(in)
	if s == "" {
		in.refuse(name, "is missing")
	}
	return s
}

// object is a nested object whose fields are those of T.
type object[T any] struct {
	fields T
	mark
}

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (o *object[T]) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if mine, err := o.opens(dec, '{'); !mine {
		return err
	}
	return members(dec, &o.fields)
}

// get is the object's fields; none when it is absent or null.
func (o *object[T]) get(in scope) (*T, scope) {
	of := scope{in.faults, o.at}
	if !o.is(in) {
		return new(T), of
	}
	if o.other {
		of.refuse("", "is not an object")
	}
	return &o.fields, of
}

// hint is get for an object that nothing depends on: it may be something else, too.
func (o *object[T]) hint(in scope) (*T, scope) {
	of := scope{in.faults, o.at}
	if !o.is(in) {
		return new(T), of
	}
	return &o.fields, of
}

// list is an array of a bounded length, of fields or objects.
type list[T any, Limit limit] struct {
	items []T // one more than the limit when there are more
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
	if mine, err := l.opens(dec, '['); !mine {
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
		item, _ := any(&l.items[len(l.items)-1]).(member)
		if err := item.UnmarshalJSONFrom(dec); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

// get is the array's items, or none.
func (l *list[T, Limit]) get(in scope) []T {
	if !l.is(in) {
		return nil
	}
	var limit Limit
	of := scope{in.faults, l.at}
	switch {
	case l.other:
		of.refuse("", "is not a list")
	case len(l.items) > limit.most():
		of.refuse("", fmt.Sprintf("has more than %d items", limit.most()))
	default:
		return l.items
	}
	return nil
}
