package dodosim

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"
)

// trickleParts is in how many parts a slow body is sent.
const trickleParts = 10

// pause waits by Options.After, and reports whether anybody still waits for that.
func (s *Simulator) pause(ctx context.Context, wait time.Duration) bool {
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

// trickle is a body that is read bit by bit, with a wait before each.
type trickle struct {
	rest []byte
	part int
	wait func() bool
}

func (t *trickle) Read(p []byte) (int, error) {
	if len(t.rest) == 0 {
		return 0, io.EOF
	}
	if t.part == 0 {
		t.part = (len(t.rest) + trickleParts - 1) / trickleParts
	}
	if !t.wait() {
		return 0, context.Canceled
	}
	n := copy(p, t.rest[:min(t.part, len(t.rest))])
	t.rest = t.rest[n:]
	return n, nil
}

// trickler keeps an answer's body until it is finished, and then sends it bit by bit.
type trickler struct {
	http.ResponseWriter
	body bytes.Buffer
	wait func() bool
}

func (t *trickler) Write(p []byte) (int, error) { return t.body.Write(p) }

func (t *trickler) finish() {
	flush := http.NewResponseController(t.ResponseWriter)
	slow := &trickle{rest: t.body.Bytes(), wait: func() bool { return flush.Flush() == nil && t.wait() }}
	_, _ = io.Copy(t.ResponseWriter, slow)
}
