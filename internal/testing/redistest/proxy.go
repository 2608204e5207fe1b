package redistest

import (
	"bytes"
	"net"
	"sync"
	"testing"
)

// Proxy stands between a store and Redis and loses what it is told to lose. It
// takes one read from a side for one message, which holds for commands and
// replies as small as in tests.
type Proxy struct {
	server string
	l      net.Listener
	work   sync.WaitGroup

	mu       sync.Mutex
	conns    map[net.Conn]bool
	replies  int
	lose     func(reply int) bool // whether to lose a reply; they count from 1
	loseText string               // a reply with it is lost, once, unless it is empty
	requests int                  // how many are let through, when cut is set
	cut      bool
	held     int // the request that waits for release, when it is not 0
	reached  chan struct{}
	release  chan struct{}
	closed   bool
}

// NewProxy stands before a server until t ends.
func NewProxy(t testing.TB, server *Server) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is closed when the test ends
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{server: server.Addr, l: l, conns: make(map[net.Conn]bool)}
	p.work.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		p.closed = true
		p.hangUp()
		p.mu.Unlock()
		p.work.Wait()
	})
	return p
}

// URL is the proxy's address as the store takes it.
func (p *Proxy) URL() string { return "redis://" + p.l.Addr().String() }

// LoseReplies loses those of the replies from now on that lose says; the server
// has done by then what was asked. nil loses none.
func (p *Proxy) LoseReplies(lose func(reply int) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.replies, p.lose = 0, lose
}

// LoseReplyWith loses the next reply that has a text in it, and no other: which one that
// is does not depend on whether a client has to connect first. lost reports that it came.
func (p *Proxy) LoseReplyWith(text string) (lost func() bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.loseText = text
	return func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.loseText == ""
	}
}

// CutAfter lets so many more requests through and then nothing at all, as when
// the process that sends them dies. hit reports whether a request was not let through.
func (p *Proxy) CutAfter(requests int) (hit func() bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests, p.cut = requests, true
	return func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.requests < 0
	}
}

// Mend undoes CutAfter.
func (p *Proxy) Mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = false
}

// Hold keeps back a request, counted from 1 from now on, and everything behind
// it. The first channel that it returns is closed when the request is there; who
// closes the second lets it go on.
func (p *Proxy) Hold(request int) (reached <-chan struct{}, release chan<- struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held, p.reached, p.release = request, make(chan struct{}), make(chan struct{})
	return p.reached, p.release
}

func (p *Proxy) hangUp() {
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server) //nolint:noctx // closed likewise
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		if p.closed {
			_, _ = client.Close(), server.Close()
		}
		p.conns[client], p.conns[server] = true, true
		p.mu.Unlock()
		p.work.Go(func() { p.pipe(client, server, p.request) })
		p.work.Go(func() { p.pipe(server, client, p.reply) })
	}
}

// pipe carries messages that pass says may pass, and ends both sides otherwise.
func (p *Proxy) pipe(from, to net.Conn, pass func(message []byte) bool) {
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, c := range []net.Conn{from, to} {
			_ = c.Close()
			delete(p.conns, c)
		}
	}()
	b := make([]byte, 1<<20)
	for {
		n, err := from.Read(b)
		if err != nil || !pass(b[:n]) {
			return
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

func (p *Proxy) request([]byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held > 0 {
		if p.held--; p.held == 0 {
			close(p.reached)
			<-p.release
		}
	}
	if !p.cut {
		return true
	}
	p.requests--
	return p.requests >= 0
}

func (p *Proxy) reply(message []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.replies++
	if p.loseText != "" && bytes.Contains(message, []byte(p.loseText)) {
		p.loseText = ""
		return false
	}
	return p.lose == nil || !p.lose(p.replies)
}
