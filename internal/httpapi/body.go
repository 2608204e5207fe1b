package httpapi

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// drainTime is how long net/http may wait for the rest of an unread body after the answer
// (HTTP/1 only). Bytes that are already on their way arrive in that time, so that the
// connection closes normally and not with a reset, which may destroy the answer. Without this
// bound net/http waits for up to 256 KiB, as long as the server allows.
const drainTime = 20 * time.Millisecond

// expiredDeadline makes a current read fail.
var expiredDeadline = time.Unix(1, 0)

// prepareUnreadBody prepares an answer for a body that is not read. It applies to every answer
// until readBody has reached the end of the body. The connection cannot be reused in HTTP/1,
// because the rest of the body comes before the next request. HTTP/2 and 3 only end the
// stream.
func prepareUnreadBody(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor != 1 || r.ContentLength == 0 {
		return
	}
	w.Header().Set("Connection", "close")
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(drainTime)) // writers of tests have no deadline
}

// readBody reads a body of at most limit bytes to its end, within the bounds of [Bodies].
// release frees its memory and must be called when the body is no longer needed.
func (a *API) readBody(w http.ResponseWriter, r *http.Request, limit int64) (body []byte, release func(), err error) {
	if r.ContentLength > limit {
		return nil, nil, ErrBodyTooLarge
	}
	if r.ContentLength == 0 {
		return nil, func() {}, nil
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(a.bodies.limits.Time))
	in := a.bodies.begin(a.clientOf(r), func() { _ = control.SetReadDeadline(expiredDeadline) })
	body, err = in.readAll(r.Body, r.ContentLength, limit)
	release, cut := in.finish(int64(cap(body)))
	switch {
	case err == nil: // even if it was evicted at the last moment
		_ = control.SetReadDeadline(time.Time{})
		w.Header().Del("Connection")
		return body, release, nil
	case cut:
		err = ErrTooManyBodies
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = ErrSlowBody
	case !errors.Is(err, ErrBodyTooLarge):
		err = refuse(errRequest, "The body could not be read.")
	}
	prepareUnreadBody(w, r)
	return nil, nil, err
}

// block is a piece of an arriving body. Blocks are reused, so that senders who never finish
// cause no garbage.
type block [blockSize]byte

// blockSize is enough for most webhooks. It is also all that is reserved for a sender that
// declares a large body and sends little.
const blockSize = 8 << 10

var blocks = sync.Pool{New: func() any { return new(block) }}

// readAll reads to the end. It reserves memory before it uses it. declared is negative if the
// length is unknown.
func (a *arrival) readAll(from io.Reader, declared, limit int64) ([]byte, error) {
	if declared >= 0 {
		limit = declared
	}
	var taken []*block
	defer func() {
		for _, b := range taken {
			blocks.Put(b)
		}
	}()
	for size := int64(0); ; {
		filled := int(size % blockSize)
		if filled == 0 {
			if !a.grow(blockSize) {
				return nil, ErrTooManyBodies
			}
			taken = append(taken, blocks.Get().(*block))
		}
		n, err := from.Read(taken[len(taken)-1][filled:])
		switch size += int64(n); {
		case size > limit:
			return nil, ErrBodyTooLarge
		case err == io.EOF:
			return a.join(taken, size)
		case err != nil:
			return nil, err
		}
	}
}

// join copies a body into memory of its own, which the caller may keep. The request no longer
// waits, so its overhead counts towards the copy.
func (a *arrival) join(taken []*block, size int64) ([]byte, error) {
	if !a.grow(max(size-bodyOverhead, 0)) {
		return nil, ErrTooManyBodies
	}
	body := make([]byte, 0, size)
	for _, b := range taken {
		body = append(body, b[:min(size-int64(len(body)), blockSize)]...)
	}
	return body, nil
}
