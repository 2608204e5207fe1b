package dodo

import (
	"encoding/json"
	"errors"
	"fmt"
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

func (f *faults) err() error {
	if f.malformed != nil {
		return f.malformed
	}
	return f.unclear
}
