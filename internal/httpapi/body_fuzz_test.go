package httpapi_test

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/dodogate/dodogate/internal/httpapi"
)

// Whatever our reader accepts, encoding/json reads in the same way, and there is
// only one way to read it.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"text":"a","number":1}`, `{"number":-9223372036854775808}`, `{"te\u0078t":"\u00fc\n"}`, `{"text":"a","text":"b"}`, `{"Text":"a"}`, `{"number":1.0}`,
		`{"number":1e3}`, `{"number":01}`, `{"text":null}`, `{"text":{}}`, `{"text":"\ud800"}`, "{\"text\":\"\xff\"}", `{} {}`, `[]`, `{"text":"a",}`, `{"text":"😀"}`, "\ufeff{}",
		`{"number":-0}`, `{"text" "a"}`, `{"text":"\ufffd"}`, `{"":1}`, `{"number":"1"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		text, number, err := httpapi.ReadJSON(body)
		if err != nil {
			if p := httpapi.ProblemOf(err); p.Status != 400 || p.Code != "invalid_request" || len(p.Detail) > 400 || !utf8.ValidString(p.Detail) {
				t.Errorf("%q is refused with %+v", body, p)
			}
			return
		}
		var want struct {
			Text   string `json:"text"`
			Number int64  `json:"number"`
		}
		d := json.NewDecoder(bytes.NewReader(body))
		d.DisallowUnknownFields()
		if err := d.Decode(&want); err != nil || want.Text != text || want.Number != number {
			t.Fatalf("%q: %q, %d, but encoding/json says %+v, %v", body, text, number, want, err)
		}
		if strings.ContainsRune(text, utf8.RuneError) || !utf8.ValidString(text) {
			t.Errorf("%q: %q is not text", body, text)
		}
		if names := countNames(t, body); len(names) > 2 || names["text"] > 1 || names["number"] > 1 || len(names) != names["text"]+names["number"] {
			t.Errorf("%q is accepted with the names %v", body, names)
		}
		if number != 0 && !bytes.Contains(body, strconv.AppendInt(nil, number, 10)) {
			t.Errorf("%q: %d is not written so", body, number)
		}
	})
}

// countNames counts the names of an object of plain values.
func countNames(t *testing.T, body []byte) map[string]int {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(body))
	names := make(map[string]int)
	for i := -1; ; i++ {
		token, err := d.Token()
		if err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		if token == json.Delim('}') {
			return names
		}
		if name, ok := token.(string); ok && i%2 == 0 {
			names[name]++
		}
	}
}
