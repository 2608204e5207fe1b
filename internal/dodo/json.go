package dodo

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"
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

// parse makes d the document of a body. It refuses everything but one JSON object (RFC
// 8259) in valid UTF-8, with nothing before it.
func (d *document) parse(body []byte) error {
	const longest = 1 << 31 // of what a node can count; bodies are bounded far below
	if len(body) == 0 || len(body) >= longest || body[0] != '{' {
		return errNotObject
	}
	d.names = nameTable{}
	p := parser{body: body, nodes: d.nodes[:0], names: &d.names}
	p.open()
	done := p.value(0)
	if done {
		p.close(0)
		p.space()
		done = p.at == len(body)
	}
	d.body, d.nodes = body, p.nodes
	switch {
	case done:
		return nil
	case p.why != nil:
		return p.why
	default:
		return errNotJSON
	}
}

// checkJSON refuses what parse refuses.
func checkJSON(body []byte) error {
	_, giveBack, err := borrow(body)
	giveBack()
	return err
}

// parser is on its way through a body. Each method goes on behind what it is named
// after, or returns false.
type parser struct {
	body  []byte
	at    int
	nodes []node
	names *nameTable
	why   error // what is wrong; nil: it is no JSON
}

// open notes a value that begins here.
func (p *parser) open() (at int) {
	p.nodes = append(p.nodes, node{from: uint32(p.at)})
	return len(p.nodes) - 1
}

// close notes that the value ends here.
func (p *parser) close(at int) {
	n := &p.nodes[at]
	n.to, n.next = uint32(p.at), int32(len(p.nodes))
}

// next is the byte that comes next; 0 at the end, which is nowhere allowed.
func (p *parser) next() byte {
	if p.at < len(p.body) {
		return p.body[p.at]
	}
	return 0
}

func (p *parser) space() {
	for c := p.next(); c == ' ' || c == '\n' || c == '\t' || c == '\r'; c = p.next() {
		p.at++
	}
}

// value is any value; depth is that of what it is in.
func (p *parser) value(depth int) bool {
	switch c := p.next(); c {
	case '"':
		_, ok := p.text()
		return ok
	case '{', '[':
		if depth == maxDepth {
			p.why = errTooDeep
			return false
		}
		p.at++
		if p.space(); c == '{' {
			return p.members(depth+1, int32(len(p.nodes)-1))
		}
		return p.items(depth + 1)
	case 't':
		return p.word("true")
	case 'f':
		return p.word("false")
	case 'n':
		return p.word("null")
	default:
		return p.number()
	}
}

// members are those of the object that was opened as parent.
func (p *parser) members(depth int, parent int32) bool {
	if p.next() == '}' {
		p.at++
		return true
	}
	for p.next() == '"' {
		name := p.at + 1
		plain, ok := p.text()
		nameEnd := p.at - 1
		if p.space(); !ok || p.next() != ':' {
			return false
		}
		p.at++
		p.space()
		member := p.open()
		n := &p.nodes[member]
		n.name, n.nameEnd, n.parent = uint32(name), uint32(nameEnd), parent
		if plain {
			n.key = keyOf(p.body[name:nameEnd])
		}
		if n.key == 0 {
			p.names.odd = true
		}
		first := p.names.at(parent, n.key)
		n.alike, *first = *first, int32(member)
		if !p.value(depth) {
			return false
		}
		p.close(member)
		if more, ok := p.comma('}'); !more {
			return ok
		}
	}
	return false
}

func (p *parser) items(depth int) bool {
	if p.next() == ']' {
		p.at++
		return true
	}
	for {
		item := p.open()
		if !p.value(depth) {
			return false
		}
		p.close(item)
		if more, ok := p.comma(']'); !more {
			return ok
		}
	}
}

// comma passes over the comma before another value, or over what closes them all.
func (p *parser) comma(closing byte) (more, ok bool) {
	p.space()
	c := p.next()
	p.at++
	if c != ',' {
		return false, c == closing
	}
	p.space()
	return true, true
}

// isPlainByte are the bytes of a string that stand for themselves, of ASCII.
var isPlainByte = func() (plain [256]bool) {
	for c := byte(' '); c < utf8.RuneSelf; c++ {
		plain[c] = c != '"' && c != '\\'
	}
	return plain
}()

// text is a string. It is plain when it says what stands there, in ASCII.
func (p *parser) text() (plain, ok bool) {
	plain = true
	b := p.body
	for i := p.at + 1; i < len(b); {
		switch c := b[i]; {
		case isPlainByte[c]:
			i++
		case c == '"':
			p.at = i + 1
			return plain, true
		case c == '\\':
			plain = false
			n := lengthOfEscape(b[i:])
			if n == 0 {
				return false, false
			}
			i += n
		case c < ' ':
			return false, false
		default:
			plain = false
			_, n := utf8.DecodeRune(b[i:])
			if n == 1 {
				p.why = errNotUTF8
				return false, false
			}
			i += n
		}
	}
	return false, false
}

// lengthOfEscape is 0 when there is no such escape. Half of a pair of surrogates may
// stand alone, as encoding/json has it: it is read as U+FFFD.
func lengthOfEscape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		const length = len(`\u0000`)
		if len(b) < length {
			return 0
		}
		for _, c := range b[2:length] {
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
				return 0
			}
		}
		return length
	}
	return 0
}

func (p *parser) word(word string) bool {
	if !bytes.HasPrefix(p.body[p.at:], []byte(word)) {
		return false
	}
	p.at += len(word)
	return true
}

func (p *parser) number() bool {
	if p.next() == '-' {
		p.at++
	}
	if p.next() == '0' {
		p.at++
	} else if !p.digits() {
		return false
	}
	if p.next() == '.' {
		p.at++
		if !p.digits() {
			return false
		}
	}
	if c := p.next(); c != 'e' && c != 'E' {
		return true
	}
	p.at++
	if c := p.next(); c == '+' || c == '-' {
		p.at++
	}
	return p.digits()
}

// digits is at least one.
func (p *parser) digits() bool {
	from := p.at
	for c := p.next(); '0' <= c && c <= '9'; c = p.next() {
		p.at++
	}
	return p.at > from
}
