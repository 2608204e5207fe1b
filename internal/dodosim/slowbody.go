package dodosim

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"
)

// slowParts is the number of parts of a slow body.
const slowParts = 10

// waitAfter waits by Options.After, and reports whether anybody is still waiting for the
// result.
func (s *Simulator) waitAfter(ctx context.Context, wait time.Duration) bool {
	if wait <= 0 {
		return true
	}
	select {
	case <-s.options.After(wait):
		return true
	case <-ctx.Done():
	case <-s.ctx.Done():
	}
	return false
}

// slowReader is a body that is read in parts, with a wait before each.
type slowReader struct {
	rest []byte
	part int
	wait func() bool
}

func (t *slowReader) Read(p []byte) (int, error) {
	if len(t.rest) == 0 {
		return 0, io.EOF
	}
	if t.part == 0 {
		t.part = (len(t.rest) + slowParts - 1) / slowParts
	}
	if !t.wait() {
		return 0, context.Canceled
	}
	n := copy(p, t.rest[:min(t.part, len(t.rest))])
	t.rest = t.rest[n:]
	return n, nil
}

// slowWriter buffers an answer's body until it is finished, and then sends it in parts.
type slowWriter struct {
	http.ResponseWriter
	body bytes.Buffer
	wait func() bool
}

func (t *slowWriter) Write(p []byte) (int, error) { return t.body.Write(p) }

func (t *slowWriter) finish() {
	flush := http.NewResponseController(t.ResponseWriter)
	slow := &slowReader{rest: t.body.Bytes(), wait: func() bool { return flush.Flush() == nil && t.wait() }}
	_, _ = io.Copy(t.ResponseWriter, slow)
}
