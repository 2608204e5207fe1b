package caddymodule

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/httpapi"
)

// fingerprint digests what a request asks for, as far as that can be told without
// reading its body. HTTP/3 leaves open whether there is one, so that a length that is
// not known counts for none.
func fingerprint(r *http.Request) string {
	d := sha256.New()
	for _, part := range []string{
		r.Method, r.Host, targetOf(r), r.Header.Get("Content-Type"), r.Header.Get("Content-Digest"),
		strconv.FormatInt(max(r.ContentLength, 0), 10), r.Header.Get("Range"),
	} {
		_, _ = fmt.Fprintf(d, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(d.Sum(nil)[:16])
}

// maxReplayed is the size of the largest body that is kept, in bytes.
const maxReplayed = 32 << 10

// recording is an answer that is being kept for a client that repeats its request.
type recording struct {
	asked  http.Header         // the request as it came in
	before http.Header         // of the answer, before anybody answered
	kept   *httpapi.KeptAnswer // once the status is known
}

// newRecording begins one, before the request and the answer are touched.
func newRecording(w http.ResponseWriter, r *http.Request) *recording {
	return &recording{asked: r.Header.Clone(), before: w.Header().Clone()}
}

// keepHead notes the status and the headers that are the answer's own.
func (m *meter) keepHead(status int) {
	if m.record == nil {
		return
	}
	if m.price == 0 {
		m.record = nil
		return
	}
	m.record.kept = httpapi.NewKeptAnswer(m.record.asked, m.record.before, status, m.Header())
	if m.record.kept == nil {
		m.drop()
		return
	}
	delete(m.record.kept.Header, headerRemaining)
}

// keepBody keeps what is written, as long as it is little.
func (m *meter) keepBody(p []byte) {
	if m.record == nil || m.record.kept == nil {
		return
	}
	if len(m.record.kept.Body)+len(p) > maxReplayed {
		m.drop()
		return
	}
	m.record.kept.Body = append(m.record.kept.Body, p...)
}

// drop keeps nothing of the answer after all.
func (m *meter) drop() {
	if m.record != nil && m.settled {
		m.record = nil
		m.end(nil)
	}
}

// receipt is what is kept of a whole answer; nil is nothing.
func (m *meter) receipt() []byte {
	if m.record == nil || m.record.kept == nil || !m.returned || m.err != nil || m.request.Context().Err() != nil {
		return nil
	}
	text, err := json.Marshal(m.record.kept)
	if err != nil || len(text) > book.MaxReceipt {
		return nil
	}
	return text
}

// replay repeats an answer. It reports whether there is one that fits the request.
func replay(w http.ResponseWriter, r *http.Request, finished *gateway.FinishedError) bool {
	var kept httpapi.KeptAnswer
	if json.Unmarshal(finished.Receipt, &kept) != nil || !kept.Fits(r.Header) {
		return false
	}
	kept.Write(w)
	return true
}
