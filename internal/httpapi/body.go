package httpapi

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// drainTime is for how long net/http may wait for the rest of a body that is not read,
// once it is answered (HTTP/1 only). What is under way already arrives in that time, so that the
// connection ends in order and not with a reset that may take the answer along.
// Without a bound it would wait for up to 256 KiB for as long as the server lets it.
const drainTime = 20 * time.Millisecond

// longAgo is a deadline that makes a read under way fail.
var longAgo = time.Unix(1, 0)

// leaveUnread prepares for an answer without the body having been read, which every
// answer is until readBody has come to the body's end. In HTTP/1 such a connection is
// of no more use, because the rest of the body stands before the next request.
// HTTP/2 and 3 only end the stream.
func leaveUnread(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor != 1 || r.ContentLength == 0 {
		return
	}
	w.Header().Set("Connection", "close")
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(drainTime)) // tests have writers without
}

// readBody reads a body of at most so many bytes to its end, within the bounds of
// [Bodies]. release gives its memory back and must be called when the body is not
// needed any more.
func (a *API) readBody(w http.ResponseWriter, r *http.Request, most int64) (body []byte, release func(), err error) {
	if r.ContentLength > most {
		return nil, nil, ErrBodyTooLarge
	}
	if r.ContentLength == 0 {
		return nil, func() {}, nil
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(a.bodies.limits.Time))
	in := a.bodies.begin(a.clientOf(r), func() { _ = control.SetReadDeadline(longAgo) })
	body, err = in.read(r.Body, r.ContentLength, most)
	release, cut := in.ended(int64(cap(body)))
	switch {
	case err == nil: // even if it was cut off in the last moment
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
	leaveUnread(w, r)
	return nil, nil, err
}

// block is a piece of a body that arrives. Blocks are used again, so that senders who
// never come to an end cause no garbage either.
type block [blockSize]byte

// blockSize is as much as most webhooks need, and all that a sender reserves who
// declares much and sends little.
const blockSize = 8 << 10

var blocks = sync.Pool{New: func() any { return new(block) }}

// read reads to the end. It takes no memory that was not reserved before. declared is
// negative when the length is not known.
func (a *arrival) read(from io.Reader, declared, most int64) ([]byte, error) {
	if declared >= 0 {
		most = declared
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
		case size > most:
			return nil, ErrBodyTooLarge
		case err == io.EOF:
			return a.join(taken, size)
		case err != nil:
			return nil, err
		}
	}
}

// join copies a body into memory of its own, which whoever gets it may keep. A request
// that waits no more does not need its overhead, and uses it for the copy.
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
