package redisconn_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dodogate/dodogate/internal/redisconn"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// put writes a key as something that is acknowledged.
func (c *conn) put(ctx context.Context, key string) error {
	var cmd *redis.StatusCmd
	if err := c.Writes().Do(ctx, func(ctx context.Context, p redis.Pipeliner) { cmd = p.Set(ctx, "test:"+key, "1", 0) }); err != nil {
		return err
	}
	return cmd.Err()
}

func TestDurabilityCheck(t *testing.T) {
	const second = time.Second
	for want, d := range map[string]redisconn.Durability{
		"":                                 {Level: redisconn.Replicas, Replicas: 1, Timeout: second},
		"neither replicas nor a timeout":   {Replicas: 1},
		"from 1 to 16":                     {Level: redisconn.Replicas, Timeout: second},
		"from 0 to 16":                     {Level: redisconn.Fsync, Replicas: -1, Timeout: second},
		"from 1ms to 10s":                  {Level: redisconn.Fsync},
		"must be local, replicas or fsync": {Level: "wait", Replicas: 1, Timeout: second},
	} {
		err := redisconn.Options{URL: "redis://127.0.0.1", Durability: d}.Check()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", d, err, want)
		}
	}
}

// TestUnconfirmedAlone: of the callers whose commands go together, each learns what became of its
// own.
func TestUnconfirmedAlone(t *testing.T) {
	server := redistest.Start(t)
	c := open(t, redisconn.Options{
		URL: server.URL(), KeyPrefix: "test:", Durability: redisconn.Durability{Level: redisconn.Replicas, Replicas: 1, Timeout: 50 * time.Millisecond},
	})
	var callers sync.WaitGroup
	for i := range 100 {
		callers.Go(func() {
			if err := c.put(t.Context(), fmt.Sprint(i)); !errors.Is(err, redisconn.ErrUnconfirmed) {
				t.Error(err)
			}
			if err := c.ping(t.Context()); err != nil {
				t.Errorf("what is only read: %v", err)
			}
		})
	}
	callers.Wait()
	if n := server.MustDo("DBSIZE"); n != "101" {
		t.Errorf("%s keys, want 100 and the one that waits", n)
	}
}

// TestFsync is about WAITAOF as Redis 7.2 has it: a proxy plays it before an older server.
func TestFsync(t *testing.T) {
	server := redistest.Start(t)
	for name, tt := range map[string]struct {
		reply string
		want  string // in the error
	}{
		"confirmed":     {reply: "*2\r\n:1\r\n:1\r\n"},
		"no replica":    {reply: "*2\r\n:1\r\n:0\r\n", want: "0 of 1 replicas"},
		"not its own":   {reply: "*2\r\n:0\r\n:1\r\n", want: "own disk"},
		"an error":      {reply: "-ERR no disk\r\n", want: "no disk"},
		"a wrong reply": {reply: ":1\r\n", want: "own disk"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newWaitAOF(t, server)
			c := open(t, redisconn.Options{
				URL: "redis://" + p.addr, KeyPrefix: "test:", Durability: redisconn.Durability{Level: redisconn.Fsync, Replicas: 1, Timeout: time.Second},
			})
			p.set(tt.reply)
			err := c.put(t.Context(), "key")
			if (err == nil) != (tt.want == "") || err != nil && (!errors.Is(err, redisconn.ErrUnconfirmed) || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if got, want := p.last(), "WAITAOF 1 1 1000"; !strings.EqualFold(got, want) {
				t.Errorf("it was asked for %q, want %q", got, want)
			}
		})
	}
}

// waitAOF passes commands on to a server, one after the other, and answers WAITAOF itself.
type waitAOF struct {
	addr string

	mu    sync.Mutex
	reply string
	asked string
}

func (p *waitAOF) set(reply string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reply = reply
}

func (p *waitAOF) last() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

func newWaitAOF(t *testing.T, server *redistest.Server) *waitAOF {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &waitAOF{addr: l.Addr().String(), reply: "*2\r\n:0\r\n:0\r\n"}
	var work sync.WaitGroup
	work.Go(func() {
		for client, err := l.Accept(); err == nil; client, err = l.Accept() {
			work.Go(func() { p.serve(client, server.Addr) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		work.Wait() // the connection under test is closed by now
	})
	return p
}

func (p *waitAOF) serve(client net.Conn, server string) {
	defer client.Close()
	behind, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer behind.Close()
	requests, replies := bufio.NewReader(client), bufio.NewReader(behind)
	for {
		raw, words, err := readValue(requests)
		if err != nil {
			return
		}
		if strings.EqualFold(words[0], "waitaof") {
			p.mu.Lock()
			p.asked = strings.Join(words, " ")
			raw = p.reply
			p.mu.Unlock()
		} else {
			if _, err := io.WriteString(behind, raw); err != nil {
				return
			}
			if raw, _, err = readValue(replies); err != nil {
				return
			}
			for strings.EqualFold(words[0], "subscribe") && len(words) > 2 { // one reply for each
				more, _, err := readValue(replies)
				if err != nil {
					return
				}
				raw, words = raw+more, words[:len(words)-1]
			}
		}
		if _, err := io.WriteString(client, raw); err != nil {
			return
		}
	}
}

// readValue reads one value of the protocol, as it came and as its texts.
func readValue(r *bufio.Reader) (raw string, texts []string, err error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", nil, err
	}
	n := 0
	_, _ = fmt.Sscanf(line[1:], "%d", &n)
	switch line[0] {
	case '$':
		if n < 0 {
			return line, []string{""}, nil
		}
		body := make([]byte, n+2)
		_, err := io.ReadFull(r, body)
		return line + string(body), []string{string(body[:n])}, err
	case '*':
		raw = line
		for range n {
			more, t, err := readValue(r)
			if err != nil {
				return "", nil, err
			}
			raw, texts = raw+more, append(texts, t...)
		}
		return raw, texts, nil
	default:
		return line, []string{strings.TrimSpace(line)}, nil
	}
}
