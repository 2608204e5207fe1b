package redisstore_test

import (
	"net"
	"sync"
	"testing"

	"github.com/dodogate/dodogate/internal/store/redistest"
)

// proxy stands between a store and Redis and loses what it is told to lose. It
// takes one read from a side for one message, which holds for commands and
// replies as small as in these tests.
type proxy struct {
	server string
	l      net.Listener
	work   sync.WaitGroup

	mu       sync.Mutex
	conns    map[net.Conn]bool
	replies  int
	lose     func(reply int) bool // whether to lose a reply; they count from 1
	requests int                  // how many are let through, when cut is set
	cut      bool
	held     int // the request that waits for release, when it is not 0
	reached  chan struct{}
	release  chan struct{}
	closed   bool
}

func newProxy(t *testing.T, server *redistest.Server) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{server: server.Addr, l: l, conns: make(map[net.Conn]bool)}
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

func (p *proxy) url() string { return "redis://" + p.l.Addr().String() }

// loseReplies loses those of the replies from now on that lose says; the server
// has done by then what was asked. nil loses none.
func (p *proxy) loseReplies(lose func(reply int) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.replies, p.lose = 0, lose
}

// cutAfter lets so many more requests through and then nothing at all, as when
// the process that sends them dies.
func (p *proxy) cutAfter(requests int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests, p.cut = requests, true
}

// mend undoes cutAfter.
func (p *proxy) mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = false
}

// hold keeps back a request, counted from 1 from now on, and everything behind
// it. The first channel that it returns is closed when the request is there; who
// closes the second lets it go on.
func (p *proxy) hold(request int) (reached <-chan struct{}, release chan<- struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held, p.reached, p.release = request, make(chan struct{}), make(chan struct{})
	return p.reached, p.release
}

func (p *proxy) hangUp() {
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *proxy) accept() {
	for {
		client, err := p.l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
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
func (p *proxy) pipe(from, to net.Conn, pass func() bool) {
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
		if err != nil || !pass() {
			return
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) request() bool {
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

func (p *proxy) reply() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.replies++
	return p.lose == nil || !p.lose(p.replies)
}
