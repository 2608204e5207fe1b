package dodo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"unicode/utf8"
)

// maxDepth bounds nesting. Dodo's deepest payload nests 6 levels.
const maxDepth = 64

// checkJSON refuses everything but one JSON object in valid UTF-8.
func checkJSON(body []byte) error {
	switch {
	case len(body) == 0 || body[0] != '{':
		return errors.New("not a JSON object")
	case !utf8.Valid(body):
		return errors.New("not valid UTF-8")
	case tooDeep(body):
		return fmt.Errorf("nested deeper than %d levels", maxDepth)
	case !json.Valid(body):
		return errors.New("not one valid JSON value")
	}
	return nil
}

// tooDeep counts brackets outside of strings. It runs before the parser, which
// would itself go down 10,000 levels.
func tooDeep(body []byte) bool {
	if bytes.Count(body, []byte("{"))+bytes.Count(body, []byte("[")) <= maxDepth {
		return false // however they are nested, or quoted
	}
	depth, quoted := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{', c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}', c == ']':
			depth--
		}
	}
	return false
}

// faults collects the first fault of each kind while fields are read, so that
// every field is looked at before an answer is given. An ambiguous body is worse
// than one that cannot be understood.
type faults struct {
	malformed, unclear error

	members []member // of all objects that were read, one after the other
}

// spareMembers are lists of members for the next body, emptied: what is decoded is a
// copy, and nothing looks at the members of a body that was.
var spareMembers = sync.Pool{New: func() any { return new([]member) }}

// borrow takes a spare list, which the function that it returns gives back.
func (f *faults) borrow() (giveBack func()) {
	spare, _ := spareMembers.Get().(*[]member)
	f.members = *spare
	return func() {
		const most = 1024 // of what is worth keeping; Dodo's payloads have about 80
		if cap(f.members) > most {
			return
		}
		clear(f.members)
		*spare = f.members[:0]
		spareMembers.Put(spare)
	}
}

func (f *faults) err() error {
	if f.malformed != nil {
		return f.malformed
	}
	return f.unclear
}
