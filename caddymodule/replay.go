package caddymodule

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
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

// receipt is what is kept of an answer.
type receipt struct {
	Status int         `json:"status"`
	Header http.Header `json:"header"`
	Body   []byte      `json:"body"`
}

// keepHead notes the status and the headers that are the answer's own.
func (m *meter) keepHead(status int) {
	if !m.record || m.price == 0 {
		m.record = false
		return
	}
	m.status, m.header = status, m.Header().Clone()
	for _, name := range []string{
		"Connection", "Keep-Alive", "Transfer-Encoding", "Trailer", "Upgrade", "Content-Length", "Date", headerRemaining,
	} {
		delete(m.header, name)
	}
}

// keepBody keeps what is written, as long as it is little.
func (m *meter) keepBody(p []byte) {
	if !m.record || m.status == 0 {
		return
	}
	if len(m.body)+len(p) > maxReplayed {
		m.drop()
		return
	}
	m.body = append(m.body, p...)
}

// drop keeps nothing of the answer after all.
func (m *meter) drop() {
	if m.record && m.settled {
		m.record, m.body = false, nil
		m.end(nil)
	}
}

func (m *meter) receipt() []byte {
	if m.status == 0 {
		return nil
	}
	text, err := json.Marshal(receipt{m.status, m.header, m.body})
	if err != nil || len(text) > store.MaxReceipt {
		return nil
	}
	return text
}

// replay repeats an answer. It reports whether there is one.
func replay(w http.ResponseWriter, finished *gateway.FinishedError) bool {
	var kept receipt
	if json.Unmarshal(finished.Receipt, &kept) != nil || kept.Status < 200 {
		return false
	}
	header := w.Header()
	for name, values := range kept.Header {
		header[name] = values
	}
	header.Set("Idempotent-Replayed", "true")
	w.WriteHeader(kept.Status)
	_, _ = w.Write(kept.Body)
	return true
}
