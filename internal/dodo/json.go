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

// The reasons why a body cannot be read.
var (
	errNotObject = errors.New("not a JSON object")
	errNotUTF8   = errors.New("not valid UTF-8")
	errTooDeep   = fmt.Errorf("nested deeper than %d levels", maxDepth)
	errNotJSON   = errors.New("not one valid JSON value")
)

// lenientJSON accepts repeated names, which [readMembers] judges, and one half of an escaped
// surrogate pair, which becomes U+FFFD. parse refuses all other invalid UTF-8.
var lenientJSON = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// parse reads a body into a pointer to a struct of details.go. The body must be one JSON
// object (RFC 8259) in valid UTF-8 with nothing before it. The library's errors can quote the
// body, so they are not passed on.
func parse(body []byte, into any) error {
	switch {
	case len(body) == 0 || body[0] != '{':
		return errNotObject
	case !utf8.Valid(body):
		return errNotUTF8
	case tooDeep(body):
		return errTooDeep
	case json.Unmarshal(body, &root{into}, lenientJSON) != nil:
		return errNotJSON
	}
	return nil
}

// root is the outermost object of a body.
type root struct{ into any }

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (r *root) UnmarshalJSONFrom(dec *jsontext.Decoder) error { return readMembers(dec, r.into) }

// tooDeep reports whether a body nests deeper than maxDepth. It first counts brackets, because
// most bodies have too few.
func tooDeep(body []byte) bool {
	if bytes.Count(body, []byte("{"))+bytes.Count(body, []byte("[")) <= maxDepth {
		return false
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), lenientJSON)
	for dec.StackDepth() <= maxDepth {
		if _, err := dec.ReadToken(); err != nil {
			return false
		}
	}
	return true
}

// pathTo names the value that begins after an offset, such as "data.refunds.0".
func pathTo(body []byte, offset uint32) string {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), lenientJSON)
	for dec.InputOffset() <= int64(offset) {
		if _, err := dec.ReadToken(); err != nil {
			break
		}
	}
	return strings.ReplaceAll(strings.TrimPrefix(string(dec.StackPointer()), "/"), "/", ".")
}

// scalar is the text of a string, number or boolean; nil for other values.
func scalar(raw jsontext.Value) []byte {
	switch raw.Kind() {
	case '"':
		if inside := raw[1 : len(raw)-1]; bytes.IndexByte(inside, '\\') < 0 {
			return inside
		}
		text, _ := jsontext.AppendUnquote([]byte{}, raw) // its error is about invalid UTF-8, which lenientJSON accepts
		return text
	case '0', 't', 'f':
		return raw
	}
	return nil
}

// fieldReader is a field of a struct of details.go. It reads any value, and reports later what
// is wrong with it.
type fieldReader interface {
	json.UnmarshalerFrom
	markAmbiguous()
}

// readMembers reads an object's members into the struct fields with these tags, and skips the
// others. The library's own decoding of structs cannot report names in another case.
func readMembers(dec *jsontext.Decoder, into any) error {
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
		if !exact && mayBeMisspelled(name) {
			index = findFolded(names, string(name))
		}
		if index == nil {
			if err := dec.SkipValue(); err != nil {
				return err
			}
			continue
		}
		m, _ := v.FieldByIndex(index).Addr().Interface().(fieldReader)
		if !exact {
			m.markAmbiguous()
		}
		if err := m.UnmarshalJSONFrom(dec); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

// mayBeMisspelled reports whether a name contains a character that Dodo's names do not: it may
// be one of them in another case.
func mayBeMisspelled(name []byte) bool {
	for _, c := range name {
		if c >= 'A' && c <= 'Z' || c >= utf8.RuneSelf {
			return true
		}
	}
	return false
}

// findFolded finds the field whose name differs only in case; nil for none.
func findFolded(names map[string][]int, name string) []int {
	for known, index := range names {
		if strings.EqualFold(known, name) {
			return index
		}
	}
	return nil
}

// nameTables caches the fields of each struct by name: reflect.Type to map[string][]int.
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
