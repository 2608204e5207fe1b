package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"time"
)

// Exchange is a request, and the answer that is right for it.
type Exchange struct {
	Request []byte // everything that goes over the wire
	Status  int
	Prefix  []byte // what the body begins with
	Length  int    // of the body, in bytes; 0 is any
}

func (e *Exchange) check(a Answer) error {
	switch {
	case a.Status != e.Status:
		return fmt.Errorf("status %d instead of %d: %.200q", a.Status, e.Status, a.Body)
	case !bytes.HasPrefix(a.Body, e.Prefix):
		return fmt.Errorf("body does not begin with %q: %.200q", e.Prefix, a.Body)
	case e.Length != 0 && len(a.Body) != e.Length:
		return fmt.Errorf("body of %d bytes instead of %d", len(a.Body), e.Length)
	}
	return nil
}

// Answer is a response. Body is good until the next one is read.
type Answer struct {
	Status int
	Body   []byte
}

// Conn is one connection, which is kept alive. It knows as little of HTTP/1.1 as
// the servers here need, because the client must not take the time that it
// measures: every answer has a Content-Length, and head and body each fit into
// the buffer.
type Conn struct {
	net net.Conn
	in  *bufio.Reader

	// The request that is under way in a run of constant rate.
	exchange atomic.Pointer[Exchange]
	intended atomic.Int64 // when it was to be sent, since the run began
}

const (
	maxAnswer = 16 << 10
	dialing   = 10 * time.Second
)

// DialConn opens a connection.
func DialConn(ctx context.Context, addr string) (*Conn, error) {
	d := net.Dialer{Timeout: dialing}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &Conn{net: c, in: bufio.NewReaderSize(c, maxAnswer)}, nil
}

// Close closes it.
func (c *Conn) Close() { _ = c.net.Close() }

// Do sends a request and reads its answer.
func (c *Conn) Do(request []byte) (Answer, error) {
	if _, err := c.net.Write(request); err != nil {
		return Answer{}, err
	}
	return c.read()
}

var (
	errLine   = errors.New("not an HTTP/1.1 answer")
	errLength = errors.New("answer without a Content-Length, or with two")
	errLong   = errors.New("answer is too long for this client")
	errClosed = errors.New("the server does not keep the connection")
)

func (c *Conn) read() (Answer, error) {
	line, err := c.line()
	if err != nil {
		return Answer{}, err
	}
	if len(line) < 12 || string(line[:9]) != "HTTP/1.1 " {
		return Answer{}, errLine
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil || status < 200 || status > 599 {
		return Answer{}, errLine
	}
	length, err := c.head()
	if err != nil {
		return Answer{}, err
	}
	switch {
	case status == 204 || status == 304:
		length = 0
	case length < 0:
		return Answer{}, errLength
	case length > maxAnswer:
		return Answer{}, errLong
	}
	body, err := c.in.Peek(length)
	if err != nil {
		return Answer{}, err
	}
	_, err = c.in.Discard(length)
	return Answer{Status: status, Body: body}, err
}

// head reads header lines up to the empty one, and returns the Content-Length, -1
// when there is none.
func (c *Conn) head() (length int, err error) {
	length = -1
	for range 100 {
		line, err := c.line()
		if err != nil {
			return 0, err
		}
		if len(line) == 0 {
			return length, nil
		}
		name, value, ok := bytes.Cut(line, []byte{':'})
		if !ok {
			return 0, errLine
		}
		value = bytes.TrimSpace(value)
		switch {
		case len(name) == len("Content-Length") && bytes.EqualFold(name, []byte("Content-Length")):
			n, err := strconv.ParseUint(string(value), 10, 31)
			if err != nil || length >= 0 {
				return 0, errLength
			}
			length = int(n)
		case len(name) == len("Connection") && bytes.EqualFold(name, []byte("Connection")) && bytes.EqualFold(value, []byte("close")):
			return 0, errClosed
		}
	}
	return 0, errLong
}

func (c *Conn) line() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, bufio.ErrBufferFull) {
			err = errLong
		}
		return nil, err
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte{'\r'}), nil
}
