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

// KeptAnswer is a stored answer that is sent again when a client repeats its request. Other
// requests with the same key and fingerprint may want another form of it: without compression,
// or for a script of another site.
type KeptAnswer struct {
	Status int         `json:"status"`
	Header http.Header `json:"header"`
	Body   []byte      `json:"body"`
	// Fields are the request fields that selected the answer. Chosen is a digest of their
	// values, because cookies may be among them.
	Fields []string `json:"fields,omitempty"`
	Chosen string   `json:"chosen"`
}

// maxVary bounds the names in a Vary field. No real answer needs more.
const maxVary = 32

// droppedFields are fields of an answer that belong to one connection, one client or one
// moment. Cookies are for the client that the app answered.
var droppedFields = []string{
	"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Alt-Svc", "Authentication-Info", "Proxy-Authenticate", "Proxy-Authentication-Info", "Set-Cookie", "Set-Cookie2",
	"Content-Length", "Date",
}

// conditionalFields are the conditional fields of requests (RFC 9110, 13.1).
var conditionalFields = []string{"If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since"}

// NewKeptAnswer stores an answer without its body. asked is the request's header as received.
// before is the answer's header before the app answered: the handlers in front set those
// fields anew for each client, so they are not kept. It returns nil for an answer that fits no
// other request.
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
	for _, name := range droppedFields {
		delete(kept, name)
	}
	fields, ok := selectingFields(status, header.Values("Vary"), kept)
	if !ok {
		return nil
	}
	return &KeptAnswer{Status: status, Header: kept, Fields: fields, Chosen: digest(asked, fields)}
}

// selectingFields are the request fields that selected an answer: those that Vary names, and
// those that the kept header implies. It returns false if they are unknown (RFC 9110, 12.5.5).
func selectingFields(status int, vary []string, kept http.Header) (fields []string, ok bool) {
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
		fields = append(fields, conditionalFields...)
	}
	slices.Sort(fields)
	fields = slices.Compact(fields)
	return fields, len(fields) <= maxVary
}

// digest hashes a request's values of the fields. Lines are combined (RFC 9111, 4.1).
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

// Fits reports whether a request wants the stored form of the answer.
func (k *KeptAnswer) Fits(asked http.Header) bool {
	return k.Status >= 200 && k.Chosen == digest(asked, k.Fields)
}

// Write sends the stored answer.
func (k *KeptAnswer) Write(w http.ResponseWriter) {
	header := w.Header()
	for name, values := range k.Header {
		header[name] = values
	}
	header.Set("Idempotent-Replayed", "true")
	w.WriteHeader(k.Status)
	_, _ = w.Write(k.Body)
}
