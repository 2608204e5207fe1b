package redisconn_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dodogate/dodogate/internal/redisconn"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// TestRush: no operation of a burst is refused while the server answers, however slow it is.
func TestRush(t *testing.T) {
	proxy := redistest.NewProxy(t, redistest.Start(t))
	const timeout, each = time.Second, time.Millisecond
	s := open(t, redisconn.Options{URL: proxy.URL(), Timeout: timeout})
	rush := func() {
		var callers sync.WaitGroup
		for range 2 * int(timeout/each) {
			callers.Go(func() {
				if err := s.ping(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		callers.Wait()
	}
	rush() // connects
	proxy.LoseReplies(func(int) bool {
		time.Sleep(each) // one reply after the other
		return false
	})
	defer proxy.LoseReplies(nil)
	rush()
}

// TestRushWithoutAnswer: when the server does not answer, operations fail soon, and most of them
// are never sent.
func TestRushWithoutAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		begin func(*redistest.Server)
		end   func(*redistest.Server)
		want  string // of most
	}{
		"frozen": {(*redistest.Server).Freeze, (*redistest.Server).Thaw, "to anybody"},
		"killed": {(*redistest.Server).Kill, (*redistest.Server).Restart, "nobody is there"},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			s := open(t, redisconn.Options{URL: server.URL(), Timeout: 200 * time.Millisecond})
			c.begin(server)
			var callers sync.WaitGroup
			var gaveUp atomic.Int64
			for range 1000 {
				callers.Go(func() {
					err := s.ping(t.Context())
					if err == nil {
						t.Error("answered")
					} else if strings.Contains(err.Error(), c.want) {
						gaveUp.Add(1)
					}
				})
			}
			callers.Wait()
			if gaveUp.Load() < 500 {
				t.Errorf("%d of 1000 gave up waiting", gaveUp.Load())
			}
			c.end(server)
			eventually(t, func() error { return s.ping(t.Context()) })
		})
	}
}

// TestCallersLeave: a caller whose context ends returns, also when it is about to become the
// leader, and the callers queued after it are served.
func TestCallersLeave(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisconn.Options{URL: server.URL(), Timeout: 5 * time.Second})
	for range 20 {
		server.Freeze()
		ctx, cancel := context.WithCancel(t.Context())
		var leave, stay sync.WaitGroup
		for i := range 60 {
			if i%3 == 0 {
				stay.Go(func() {
					if err := s.ping(t.Context()); err != nil {
						t.Error(err)
					}
				})
				continue
			}
			leave.Go(func() {
				if err := s.ping(ctx); err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
		}
		if rand.N(2) == 0 {
			cancel()
			server.Thaw()
		} else {
			server.Thaw()
			cancel() // while it goes on
		}
		stay.Wait()
		leave.Wait()
	}
}

// TestLeadHandedOn: when a caller leaves at the moment it becomes the leader, the next one leads.
func TestLeadHandedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const takes = time.Second
		client := newSlow(takes)
		b := redisconn.NewBatch(client, 10*takes)
		ping := func(ctx context.Context) error {
			return b.Do(ctx, func(ctx context.Context, p redis.Pipeliner) { p.Ping(ctx) })
		}
		var left atomic.Int64
		for range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			var all sync.WaitGroup
			come := func(ctx context.Context) {
				all.Go(func() {
					if err := ping(ctx); errors.Is(err, context.Canceled) {
						left.Add(1)
					} else if err != nil {
						t.Error(err)
					}
				})
				synctest.Wait()
			}
			come(t.Context()) // its batch takes that long
			for range 10 {
				come(ctx)
			}
			come(t.Context())
			time.AfterFunc(takes, cancel)
			all.Wait()
			cancel()
		}
		b.Close()
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		if left.Load() == 0 {
			t.Error("nobody left")
		}
	})
}

// slow is a server that answers one batch after the other.
type slow struct {
	redis.Hook
	each time.Duration
	one  chan struct{}
}

// newSlow is a client of one. It looks up no name, because that would outlive the test.
func newSlow(each time.Duration) *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	client.AddHook(slow{each: each, one: make(chan struct{}, 1)})
	return client
}

func (s slow) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(context.Context, []redis.Cmder) error {
		s.one <- struct{}{}
		time.Sleep(s.each)
		<-s.one
		return nil
	}
}

func (s slow) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (s slow) DialHook(next redis.DialHook) redis.DialHook          { return next }

// TestRushWithoutEnd: a caller that has waited for too long is refused, so the queue is bounded
// when more callers arrive than the server can answer.
func TestRushWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout, callers = time.Second, 10_000
		client := newSlow(timeout / 2)
		b := redisconn.NewBatch(client, timeout)
		begin := time.Now()
		var served, refused atomic.Int64
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				if err := b.Do(t.Context(), func(ctx context.Context, p redis.Pipeliner) { p.Ping(ctx) }); err == nil {
					served.Add(1)
				} else if strings.Contains(err.Error(), "too many") {
					refused.Add(1)
				}
				if waited := time.Since(begin); waited > 23*timeout {
					t.Errorf("waited for %v", waited)
				}
			})
		}
		all.Wait()
		b.Close()
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		if served.Load() < callers/2 || served.Load()+refused.Load() != callers || refused.Load() == 0 {
			t.Errorf("%d of %d are served, and %d refused", served.Load(), callers, refused.Load())
		}
	})
}

// TestOneConnectionHangs: queued callers are served by another connection.
func TestOneConnectionHangs(t *testing.T) {
	line := newLine(t, redistest.Start(t))
	s := open(t, redisconn.Options{URL: line.url, Timeout: 2 * time.Second})
	hangs, asked, release := line.conns.Load(), make(chan struct{}), make(chan struct{})
	var once sync.Once
	line.answer(func(conn int64, reply []byte) []byte {
		if conn <= hangs {
			once.Do(func() { close(asked) })
			<-release
		}
		return reply
	})
	var first, others sync.WaitGroup
	first.Go(func() {
		if err := s.ping(t.Context()); err == nil {
			t.Error("the connection that hangs answered")
		}
	})
	<-asked
	for range 100 {
		others.Go(func() {
			if err := s.ping(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	first.Wait()
	others.Wait()
	close(release)
}

// TestGarbledReply: no caller waits for ever when the client panics on a reply.
func TestGarbledReply(t *testing.T) {
	line := newLine(t, redistest.Start(t))
	s := open(t, redisconn.Options{URL: line.url})
	if err := s.ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	line.answer(func(_ int64, reply []byte) []byte {
		time.Sleep(10 * time.Millisecond) // others are queued meanwhile
		return []byte("$9223372036854775807\r\n")
	})
	var callers sync.WaitGroup
	for i := range 100 {
		callers.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			if i%2 == 0 { // another goroutine sends for it
				ctx, cancel = context.WithTimeout(ctx, patient)
			}
			defer cancel()
			if err := s.ping(ctx); err == nil {
				t.Error("answered")
			}
		})
	}
	callers.Wait()
	line.answer(nil)
	eventually(t, func() error { return s.ping(t.Context()) })
}

// line is a proxy that can change replies.
type line struct {
	url    string
	conns  atomic.Int64
	mu     sync.Mutex
	change func(conn int64, reply []byte) []byte
}

// answer changes replies from now on; nil passes them on.
func (l *line) answer(change func(conn int64, reply []byte) []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.change = change
}

func newLine(t *testing.T, server *redistest.Server) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{url: "redis://" + listener.Addr().String()}
	var work sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		work.Wait()
	})
	work.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			n := l.conns.Add(1)
			behind, err := net.Dial("tcp", server.Addr)
			if err != nil {
				_ = client.Close()
				continue
			}
			work.Go(func() { _, _ = io.Copy(behind, client); _ = behind.Close() })
			work.Go(func() {
				l.replies(n, behind, client)
				_ = client.Close()
			})
		}
	})
	return l
}

func (l *line) replies(conn int64, from io.Reader, to io.Writer) {
	b := make([]byte, 1<<16)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		l.mu.Lock()
		change := l.change
		l.mu.Unlock()
		reply := b[:n]
		if change != nil {
			reply = change(conn, reply)
		}
		if _, err := to.Write(reply); err != nil {
			return
		}
	}
}
