package httpapi

import (
	"bytes"
	"encoding/json"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/dodogate/dodogate/internal/gateway"
)

// maxBody bounds the body of a request other than a webhook.
const maxBody = 16 << 10

// fields are the allowed names of a body, each with a *string, *int64 or *bool for the value,
// or the fields of an object. A name that is missing in the body leaves its value unchanged.
type fields map[string]any

// readFields reads the body, a JSON object or a form, and reports which.
func (a *API) readFields(w http.ResponseWriter, r *http.Request, into fields) (isForm bool, err error) {
	switch mediaOf(r) {
	case mediaJSON:
		return false, a.readMedia(w, r, into.readJSON)
	case mediaForm:
		return true, a.readMedia(w, r, into.readForm)
	}
	return false, errMediaType
}

// readLenient reads the body, a JSON object, like [fields.readLenient].
func (a *API) readLenient(w http.ResponseWriter, r *http.Request, into fields) error {
	if mediaOf(r) != mediaJSON {
		return errMediaType
	}
	return a.readMedia(w, r, into.readLenient)
}

func (a *API) readMedia(w http.ResponseWriter, r *http.Request, read func(body []byte) error) error {
	body, release, err := a.readBody(w, r, maxBody)
	if err != nil {
		return err
	}
	defer release() // the values that were read are copies
	return read(body)
}

const (
	mediaJSON = "application/json"
	mediaForm = "application/x-www-form-urlencoded"
)

// mediaOf is the media type of a body; "" unless its charset is UTF-8.
func mediaOf(r *http.Request) string {
	media, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || parameters["charset"] != "" && !strings.EqualFold(parameters["charset"], "utf-8") {
		return ""
	}
	return media
}

// readJSON reads one object. It refuses what encoding/json accepts: unknown names (also known
// names in another case), repeated names, bytes and escapes that are no text, and anything
// after the object (RELIABILITY 6.4).
func (f fields) readJSON(body []byte) error { return f.readBody(body, false) }

// readLenient is readJSON for clients that were written for another server: unknown names are
// ignored with their values, and null counts as absent.
func (f fields) readLenient(body []byte) error { return f.readBody(body, true) }

func (f fields) readBody(body []byte, lenient bool) error {
	if !utf8.Valid(body) {
		return refuse(errRequest, "The body is not valid UTF-8.")
	}
	if !json.Valid(body) {
		return errNoObject
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return errNoObject
	}
	return f.readObject(d, lenient)
}

var errNoObject = refuse(errRequest, "The body is not one JSON object.")

// readObject reads an object after its opening brace.
func (f fields) readObject(d *json.Decoder, lenient bool) error {
	seen := make(map[string]bool, len(f))
	for d.More() {
		token, err := d.Token()
		name, isName := token.(string)
		if err != nil || !isName {
			return errNoObject
		}
		if _, known := f[name]; !known && lenient {
			var ignored json.RawMessage
			if err := d.Decode(&ignored); err != nil {
				return errNoObject
			}
			continue
		}
		if err := f.checkName(name, seen); err != nil {
			return err
		}
		if err := f.readValue(d, name, lenient); err != nil {
			return err
		}
	}
	_, err := d.Token() // the closing brace
	return err
}

func (f fields) readValue(d *json.Decoder, name string, lenient bool) error {
	value, err := d.Token()
	if err != nil {
		return refuse(errRequest, "%s cannot be read.", name)
	}
	switch v := value.(type) {
	case string:
		return f.setText(name, v)
	case json.Number:
		return f.setNumber(name, v.String())
	case bool:
		return f.setFlag(name, v)
	case json.Delim:
		if inner, ok := f[name].(fields); ok && v == '{' {
			return inner.readObject(d, lenient)
		}
	case nil:
		if lenient {
			return nil
		}
	}
	return f.wrongType(name) // also for the bracket of an array
}

// readForm reads a form's fields. An empty field counts as absent.
func (f fields) readForm(body []byte) error {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return refuse(errRequest, "The form is not well encoded.")
	}
	seen := make(map[string]bool, len(f))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		for _, value := range values[name] {
			if err := f.checkName(name, seen); err != nil {
				return err
			}
			if value == "" {
				continue
			}
			set := f.setText
			switch f[name].(type) {
			case *int64:
				set = f.setNumber
			case *bool:
				set = f.setWord
			}
			if err := set(name, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkName refuses names that are unknown or repeated.
func (f fields) checkName(name string, seen map[string]bool) error {
	if _, known := f[name]; !known {
		return refuse(errRequest, "%.64q is not a field of this request.", name)
	}
	if seen[name] {
		return refuse(errRequest, "%s appears more than once.", name)
	}
	seen[name] = true
	return nil
}

func (f fields) setText(name, text string) error {
	to, ok := f[name].(*string)
	if !ok {
		return f.wrongType(name)
	}
	// The decoder turns a lone surrogate into U+FFFD, which no valid value contains.
	if !utf8.ValidString(text) || strings.ContainsRune(text, utf8.RuneError) {
		return refuse(errRequest, "%s is not valid text.", name)
	}
	*to = text
	return nil
}

// wholeNumber is the only accepted form of an integer: 1.0 and 1e0 are refused.
var wholeNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

func (f fields) setNumber(name, number string) error {
	to, ok := f[name].(*int64)
	if !ok || !wholeNumber.MatchString(number) {
		return f.wrongType(name)
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return f.wrongType(name)
	}
	*to = n
	return nil
}

func (f fields) setFlag(name string, set bool) error {
	to, ok := f[name].(*bool)
	if !ok {
		return f.wrongType(name)
	}
	*to = set
	return nil
}

// setWord sets a flag from a form's "true" or "false".
func (f fields) setWord(name, word string) error {
	if word != "true" && word != "false" {
		return f.wrongType(name)
	}
	return f.setFlag(name, word == "true")
}

// wrongType is the error for a value that is not of its field's type.
func (f fields) wrongType(name string) error {
	if name == quantityField {
		return gateway.ErrQuantity
	}
	kind := "a string"
	switch f[name].(type) {
	case *int64:
		kind = "a whole number"
	case fields:
		kind = "an object"
	case *bool:
		kind = "true or false"
	}
	return refuse(errRequest, "%s must be %s.", name, kind)
}
