package dodo

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxDepth bounds nesting. Dodo's deepest payload nests 6 levels.
const maxDepth = 64

// Why a body cannot be read.
var (
	errNotObject = errors.New("not a JSON object")
	errNotUTF8   = errors.New("not valid UTF-8")
	errTooDeep   = fmt.Errorf("nested deeper than %d levels", maxDepth)
	errNotJSON   = errors.New("not one valid JSON value")
)

// asWritten accepts repeated names, which [members] judges, and a lone half of an escaped
// surrogate pair, which is read as U+FFFD; parse refuses all other invalid UTF-8.
var asWritten = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// parse reads a body into a pointer to a struct of details.go. The body must be one JSON
// object (RFC 8259) in valid UTF-8 with nothing before it. The library's errors can quote
// the body, so they are not passed on.
func parse(body []byte, into any) error {
	switch {
	case len(body) == 0 || body[0] != '{':
		return errNotObject
	case !utf8.Valid(body):
		return errNotUTF8
	case tooDeep(body):
		return errTooDeep
	case json.Unmarshal(body, &root{into}, asWritten) != nil:
		return errNotJSON
	}
	return nil
}

// root is the object that a body is.
type root struct{ into any }

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (r *root) UnmarshalJSONFrom(dec *jsontext.Decoder) error { return members(dec, r.into) }

// tooDeep reports whether a body nests deeper than maxDepth. Most bodies have too few
// brackets for that.
func tooDeep(body []byte) bool {
	if bytes.Count(body, []byte("{"))+bytes.Count(body, []byte("[")) <= maxDepth {
		return false
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), asWritten)
	for dec.StackDepth() <= maxDepth {
		if _, err := dec.ReadToken(); err != nil {
			return false
		}
	}
	return true
}

// pathTo names the value that begins after an offset, such as "data.refunds.0".
func pathTo(body []byte, offset uint32) string {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), asWritten)
	for dec.InputOffset() <= int64(offset) {
		if _, err := dec.ReadToken(); err != nil {
			break
		}
	}
	return strings.ReplaceAll(strings.TrimPrefix(string(dec.StackPointer()), "/"), "/", ".")
}

// scalar is the text of a string, number or boolean; nil for anything else.
func scalar(raw jsontext.Value) []byte {
	switch raw.Kind() {
	case '"':
		if inside := raw[1 : len(raw)-1]; bytes.IndexByte(inside, '\\') < 0 {
			return inside
		}
		text, _ := jsontext.AppendUnquote([]byte{}, raw) // fails for what asWritten accepts
		return text
	case '0', 't', 'f':
		return raw
	}
	return nil
}

// member is a field of a struct of details.go. It reads any value, and says later what is
// wrong with it.
type member interface {
	json.UnmarshalerFrom
	misspell()
}

// members reads an object's members into the fields of a struct that are tagged with their
// names, and skips the others. The library's own reading of structs cannot tell which
// name was in another case.
func members(dec *jsontext.Decoder, into any) error {
	if _, err := dec.ReadToken(); err != nil { // the opening brace
		return err
	}
	v := reflect.ValueOf(into).Elem()
	names := namesOf(v.Type())
	for dec.PeekKind() != '}' {
		raw, err := dec.ReadValue()
		if err != nil {
			return err
		}
		name := scalar(raw)
		index, exact := names[string(name)]
		if !exact && isOdd(name) {
			index = otherCase(names, string(name))
		}
		if index == nil {
			if err := dec.SkipValue(); err != nil {
				return err
			}
			continue
		}
		m, _ := v.FieldByIndex(index).Addr().Interface().(member)
		if !exact {
			m.misspell()
		}
		if err := m.UnmarshalJSONFrom(dec); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

// isOdd reports whether a name holds anything but what Dodo's names are made of.
func isOdd(name []byte) bool {
	for _, c := range name {
		if c >= 'A' && c <= 'Z' || c >= utf8.RuneSelf {
			return true
		}
	}
	return false
}

func otherCase(names map[string][]int, said string) []int {
	for name, index := range names {
		if strings.EqualFold(name, said) {
			return index
		}
	}
	return nil
}

// nameTables holds the fields of each struct by their names: map[string][]int by type.
var nameTables sync.Map

func namesOf(t reflect.Type) map[string][]int {
	if known, ok := nameTables.Load(t); ok {
		names, _ := known.(map[string][]int)
		return names
	}
	names := make(map[string][]int)
	for _, f := range reflect.VisibleFields(t) {
		if name := f.Tag.Get("json"); name != "" {
			names[name] = f.Index
		}
	}
	nameTables.Store(t, names)
	return names
}
