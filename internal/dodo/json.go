package dodo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// maxDepth bounds nesting. Dodo's deepest payload nests 6 levels.
const maxDepth = 64

// What a body is that is not a document.
var (
	errNotObject = errors.New("not a JSON object")
	errNotUTF8   = errors.New("not valid UTF-8")
	errTooDeep   = fmt.Errorf("nested deeper than %d levels", maxDepth)
	errNotJSON   = errors.New("not one valid JSON value")
)

// asWritten lets names be there twice, which is for those to judge who ask for one (see
// [fields.find]), and half of a pair of escaped surrogates stand alone, which is read as
// U+FFFD. Bytes that are no text are refused before.
var asWritten = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

// parse makes d the document of a body. It refuses everything but one JSON object (RFC
// 8259) in valid UTF-8, with nothing before it.
func (d *document) parse(body []byte) error {
	const longest = 1 << 31 // of what a node can count; bodies are bounded far below
	if len(body) == 0 || len(body) >= longest || body[0] != '{' {
		return errNotObject
	}
	if !utf8.Valid(body) {
		return errNotUTF8
	}
	d.body, d.nodes, d.names = body, d.nodes[:0], nameTable{}
	d.dec.Reset(bytes.NewBuffer(body), asWritten...)
	if err := d.value(node{}); err != nil {
		return err
	}
	if _, err := d.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return errNotJSON
	}
	return nil
}

// checkJSON refuses what parse refuses.
func checkJSON(body []byte) error {
	_, giveBack, err := borrow(body)
	giveBack()
	return err
}

// value notes the value that comes next, and all that it is made of.
func (d *document) value(n node) error {
	at := len(d.nodes)
	d.nodes = append(d.nodes, n)
	kind := d.dec.PeekKind()
	switch kind {
	case '{', '[':
		if d.dec.StackDepth() == maxDepth {
			return errTooDeep
		}
		if _, err := d.dec.ReadToken(); err != nil {
			return errNotJSON
		}
		n.from = d.here() - 1
		if err := d.inside(kind, int32(at)); err != nil {
			return err
		}
	default:
		raw, err := d.dec.ReadValue()
		if err != nil {
			return errNotJSON
		}
		n.from = d.here() - uint32(len(raw))
	}
	n.to, n.next = d.here(), int32(len(d.nodes))
	d.nodes[at] = n
	return nil
}

// inside notes what is in the object or list that was opened as parent, to its end.
func (d *document) inside(kind jsontext.Kind, parent int32) error {
	for next := d.dec.PeekKind(); next != '}' && next != ']'; next = d.dec.PeekKind() {
		var n node
		if kind == '{' {
			name, err := d.dec.ReadValue()
			if err != nil {
				return errNotJSON
			}
			n = d.named(name[1:len(name)-1], parent)
		}
		if err := d.value(n); err != nil {
			return err
		}
	}
	if _, err := d.dec.ReadToken(); err != nil { // the other one's bracket, too
		return errNotJSON
	}
	return nil
}

// named is the member whose name has just been read.
func (d *document) named(name []byte, parent int32) node {
	end := d.here() - 1
	n := node{name: end - uint32(len(name)), nameEnd: end, parent: parent, key: keyOf(name)}
	if n.key == 0 {
		d.names.odd = true
	}
	first := d.names.at(parent, n.key)
	n.alike, *first = *first, int32(len(d.nodes))
	return n
}

// here is behind what was read last.
func (d *document) here() uint32 { return uint32(d.dec.InputOffset()) }
