package dodo

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// document is one JSON object, as [document.parse] has read it: in one pass that finds out
// whether it is JSON at all, and notes where every value stands. encoding/json would
// check the whole, then copy what is asked for, and would neither refuse bytes that are
// no text nor show that a name is there twice; FuzzDecode holds the two to the same.
type document struct {
	dec  jsontext.Decoder
	body []byte
	// nodes are the values, each before those that it is made of. The first is the
	// whole. They hold no pointers, so that they can be used again as they are.
	nodes []node
	names nameTable
}

// nameTable leads from a member's parent and the key of its name to the members that it
// may be, each of which leads to the next one: 0 is none.
type nameTable struct {
	first [256]int32
	// odd is set when there is a name without a key. Then all must be looked at.
	odd bool
}

func (t *nameTable) at(parent int32, key nameKey) *int32 {
	const some, more = 0x9e3779b1, 24 // Fibonacci hashing, by the upper bits
	return &t.first[(uint32(key)^uint32(parent)<<20)*some>>more]
}

// node is a value, and its name where it is a member of an object.
type node struct {
	name, nameEnd uint32 // where the name stands, without its quotes; nowhere for an item of a list
	from, to      uint32 // where the value stands
	next          int32  // the node behind it and everything in it
	parent        int32  // the object that it is a member of
	alike         int32  // see nameTable
	key           nameKey
}

// nameKey is the same for names that differ in nothing but case; other names may
// share it too. It is 0 where a name must be looked at to know anything.
type nameKey uint32

// keyOf is the key of a name as it stands between its quotes: 0 unless that is what it
// says, in ASCII.
func keyOf[Text string | []byte](name Text) nameKey {
	if len(name) == 0 {
		return 0
	}
	for i := range len(name) {
		if name[i] == '\\' || name[i] >= utf8.RuneSelf {
			return 0
		}
	}
	const otherCase = 'a' - 'A'
	return nameKey(len(name))<<8 | nameKey(name[0]|otherCase)
}

// raw is a value as it stands in the body.
func (d *document) raw(at int32) json.RawMessage {
	n := d.nodes[at]
	return d.body[n.from:n.to:n.to]
}

// name is what a member is called.
func (d *document) name(at int32) []byte {
	n := d.nodes[at]
	return unescape(d.body[n.name:n.nameEnd])
}

// opens reports whether a value begins with a bracket.
func (d *document) opens(at int32, bracket byte) bool { return d.body[d.nodes[at].from] == bracket }

// path says where a value is, such as "data.refunds[0]".
func (d *document) path(to int32) string {
	var path []byte
	for at := int32(0); at != to; {
		list, child, n := d.opens(at, '['), at+1, 0
		for d.nodes[child].next <= to {
			child, n = d.nodes[child].next, n+1
		}
		if list {
			path = append(strconv.AppendInt(append(path, '['), int64(n), 10), ']')
		} else {
			path = append(append(path, '.'), d.name(child)...)
		}
		at = child
	}
	return string(bytes.TrimPrefix(path, []byte(".")))
}

// spareDocuments are those of bodies that were: what is decoded is a copy, and nothing
// looks at them any more but for the room that is in them.
var spareDocuments = sync.Pool{New: func() any { return new(document) }}

// borrow parses with a spare document, which the function that it returns gives back.
func borrow(body []byte) (d *document, giveBack func(), err error) {
	d, _ = spareDocuments.Get().(*document)
	err = d.parse(body)
	return d, func() {
		const most = 4096 // nodes that are worth keeping; Dodo's payloads have about 80
		if cap(d.nodes) > most {
			return
		}
		d.body = nil
		d.dec.Reset(strings.NewReader("")) // lets go of the body, too
		spareDocuments.Put(d)
	}, err
}

// unescape is what a string says that stands there without its quotes; encoding/json
// reads those with escapes.
func unescape(text []byte) []byte {
	if bytes.IndexByte(text, '\\') < 0 {
		return text
	}
	quoted := append(append(make([]byte, 0, len(text)+2), '"'), append(text[:len(text):len(text)], '"')...)
	var s string
	if err := json.Unmarshal(quoted, &s); err != nil {
		return nil
	}
	return []byte(s)
}
