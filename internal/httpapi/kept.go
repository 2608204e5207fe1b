package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// KeptAnswer is an answer that is kept, to be repeated to a client that repeats its
// request. Other requests that the same key and fingerprint fit may ask for the same thing
// in another form: without compression, or as a script of another site.
type KeptAnswer struct {
	Status int         `json:"status"`
	Header http.Header `json:"header"`
	Body   []byte      `json:"body"`
	// Fields are the request fields by which the answer was chosen. Chosen is a digest
	// of what they said: cookies may be among them.
	Fields []string `json:"fields,omitempty"`
	Chosen string   `json:"chosen"`
}

// maxVary bounds the names in a Vary field. No answer needs so many.
const maxVary = 32

// Fields of an answer that belong to one connection, one client or one moment. Cookies
// are for the client that the app saw.
var neverKept = []string{
	"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Alt-Svc", "Authentication-Info", "Proxy-Authenticate", "Proxy-Authentication-Info", "Set-Cookie", "Set-Cookie2",
	"Content-Length", "Date",
}

// Conditional fields of requests (RFC 9110, 13.1).
var conditions = []string{"If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since"}

// NewKeptAnswer keeps an answer without its body. asked is the request's header as it
// came in; before is the answer's header before anybody answered, which the handlers in
// front set anew for each client. It returns nil for an answer that fits no other request.
func NewKeptAnswer(asked, before http.Header, status int, header http.Header) *KeptAnswer {
	kept := make(http.Header, len(header))
	for name, values := range header {
		if !slices.Equal(values, before[name]) {
			kept[name] = slices.Clone(values)
		}
	}
	for _, line := range header["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			kept.Del(textproto.TrimString(name))
		}
	}
	for _, name := range neverKept {
		delete(kept, name)
	}
	fields, ok := chosenBy(status, header.Values("Vary"), kept)
	if !ok {
		return nil
	}
	return &KeptAnswer{Status: status, Header: kept, Fields: fields, Chosen: digest(asked, fields)}
}

// chosenBy are the request fields by which an answer was chosen: those that Vary names,
// and those by which it must have been, as what is kept of its header shows. It reports
// false if nobody can tell (RFC 9110, 12.5.5).
func chosenBy(status int, vary []string, kept http.Header) (fields []string, ok bool) {
	for _, line := range vary {
		for name := range strings.SplitSeq(line, ",") {
			name = textproto.TrimString(name)
			if name == "*" {
				return nil, false
			}
			if name != "" {
				fields = append(fields, http.CanonicalHeaderKey(name))
			}
		}
	}
	if coding := kept.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		fields = append(fields, "Accept-Encoding")
	}
	if origin := kept.Get("Access-Control-Allow-Origin"); origin != "" && origin != "*" {
		fields = append(fields, "Origin")
	}
	switch status {
	case http.StatusPartialContent, http.StatusNotModified, http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable:
		fields = append(fields, conditions...)
	}
	slices.Sort(fields)
	fields = slices.Compact(fields)
	return fields, len(fields) <= maxVary
}

// digest digests what a request says in fields. Lines are combined (RFC 9111, 4.1).
func digest(asked http.Header, fields []string) string {
	d := sha256.New()
	for _, name := range fields {
		values, present := asked[name]
		text := make([]string, len(values))
		for i, value := range values {
			text[i] = textproto.TrimString(value)
		}
		_, _ = fmt.Fprintf(d, "%t %q %q\n", present, name, strings.Join(text, ", "))
	}
	return hex.EncodeToString(d.Sum(nil)[:16])
}

// Fits reports whether a request asks for the answer in the form that was kept.
func (k *KeptAnswer) Fits(asked http.Header) bool {
	return k.Status >= 200 && k.Chosen == digest(asked, k.Fields)
}

// Write answers with what was kept.
func (k *KeptAnswer) Write(w http.ResponseWriter) {
	header := w.Header()
	for name, values := range k.Header {
		header[name] = values
	}
	header.Set("Idempotent-Replayed", "true")
	w.WriteHeader(k.Status)
	_, _ = w.Write(k.Body)
}
