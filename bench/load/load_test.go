package load_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dodogate/dodogate/bench/load"
)

// serve runs a handler and returns a client with n connections to it.
func serve(t *testing.T, n int, handler http.HandlerFunc) *load.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	client, err := load.Dial(t.Context(), server.Listener.Addr().String(), n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func get(path string) load.Exchange {
	return load.Exchange{
		Request: []byte("GET /" + path + " HTTP/1.1\r\nHost: test\r\n\r\n"),
		Status:  200, Prefix: []byte("this is " + path), Length: len("this is \n") + len(path),
	}
}

func TestEveryAnswerIsCounted(t *testing.T) {
	var asked atomic.Int64
	client := serve(t, 4, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		fmt.Fprintln(w, "this is "+r.URL.Path[1:])
	})
	source := load.Random([]load.Exchange{get("a"), get("bb"), get("ccc")}, 1)
	for name, run := range map[string]func() (load.Result, error){
		"saturated": func() (load.Result, error) { return client.Saturate(t.Context(), source, 50*time.Millisecond) },
		"constant":  func() (load.Result, error) { return client.Constant(t.Context(), source, 500, 100*time.Millisecond) },
		"each once": func() (load.Result, error) {
			return client.Saturate(t.Context(), load.Once(slices.Repeat([]load.Exchange{get("x")}, 33)), 0)
		},
	} {
		asked.Store(0)
		result, err := run()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if result.Done == 0 || result.Done != asked.Load() || result.Done != result.Latency.TotalCount() {
			t.Errorf("%s: %d answers and %d latencies of %d requests", name, result.Done, result.Latency.TotalCount(), asked.Load())
		}
		switch {
		case name == "constant" && result.Done != 50:
			t.Errorf("%d requests in a tenth of a second at 500 a second", result.Done)
		case name == "each once" && result.Done != 33:
			t.Errorf("%d requests of 33", result.Done)
		}
	}
}

func TestWrongAnswersFail(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"status": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusAccepted)
			fmt.Fprintln(w, "this is "+r.URL.Path[1:])
		},
		"body":      func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "this is b") },
		"length":    func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "this is a") },
		"no answer": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			sometimes := func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/a" {
					handler(w, r)
					return
				}
				fmt.Fprintln(w, "this is "+r.URL.Path[1:])
			}
			exchanges := append(slices.Repeat([]load.Exchange{get("b")}, 20), get("a"))
			for mode, run := range map[string]func(*load.Client) (load.Result, error){
				"saturated": func(c *load.Client) (load.Result, error) { return c.Saturate(t.Context(), load.Once(exchanges), 0) },
				"constant": func(c *load.Client) (load.Result, error) {
					return c.Constant(t.Context(), load.Once(exchanges), 1000, time.Second)
				},
			} {
				result, err := run(serve(t, 2, sometimes))
				if !errors.Is(err, load.ErrWrong) || result.Wrong != 1 || result.Done != 20 {
					t.Errorf("%s: %d right and %d wrong, %v; want 20, 1 and an error", mode, result.Done, result.Wrong, err)
				}
			}
		})
	}
}

// TestAStopIsSeenByAll: when the server stops, those whose requests were due
// meanwhile have waited too, though nothing could be sent for them.
func TestAStopIsSeenByAll(t *testing.T) {
	const stop = 400 * time.Millisecond
	var (
		mu    sync.Mutex
		asked int
	)
	client := serve(t, 2, func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if asked++; asked == 10 {
			time.Sleep(stop)
		}
		fmt.Fprintln(w, "this is a")
	})
	result, err := client.Constant(t.Context(), load.Once(slices.Repeat([]load.Exchange{get("a")}, 500)), 1000, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	// Of the 400 that were due while it stood, 300 have waited for a quarter of
	// the stop or longer, on any machine.
	var waited int64
	for _, bar := range result.Latency.Distribution() {
		if bar.From >= int64(stop/4)-int64(time.Millisecond) {
			waited += bar.Count
		}
	}
	if waited < 290 {
		t.Errorf("%d of %d requests have waited, want about 300: the rest is omitted", waited, result.Done)
	}
}

func TestAnswersThatAreRefused(t *testing.T) {
	for name, answer := range map[string]string{
		"not HTTP":           "hello\r\n\r\n",
		"HTTP/1.0":           "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
		"an early hint":      "HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\n\r\n",
		"no length":          "HTTP/1.1 200 OK\r\n\r\n",
		"chunks":             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"two lengths":        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		"a signed length":    "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
		"a long body":        "HTTP/1.1 200 OK\r\nContent-Length: 16385\r\n\r\n" + strings.Repeat("a", 16385),
		"a long line":        "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", 17000) + "\r\n\r\n",
		"many lines":         "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: a\r\n", 101) + "Content-Length: 0\r\n\r\n",
		"a line without a :": "HTTP/1.1 200 OK\r\nhello\r\nContent-Length: 0\r\n\r\n",
		"a closed one":       "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		"half a body":        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na",
	} {
		if a, err := ask(t, answer); err == nil {
			t.Errorf("%s is taken: %d %q", name, a.Status, a.Body)
		}
	}
	a, err := ask(t, "HTTP/1.1 402 Payment Required\r\nx: y\r\ncontent-length:  2 \r\n\r\nab")
	if err != nil || a.Status != 402 || string(a.Body) != "ab" {
		t.Errorf("%d %q, %v", a.Status, a.Body, err)
	}
}

// ask gets one answer of the given bytes.
func ask(t *testing.T, answer string) (load.Answer, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = http.ReadRequest(bufio.NewReader(c))
		_, _ = io.WriteString(c, answer)
	}()
	c, err := load.DialConn(context.Background(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.Do([]byte("GET / HTTP/1.1\r\nHost: test\r\n\r\n"))
}

func TestDrawsAreSeededAndEven(t *testing.T) {
	exchanges := make([]load.Exchange, 100)
	count := make(map[*load.Exchange]int)
	one, same, other := load.Random(exchanges, 7), load.Random(exchanges, 7), load.Random(exchanges, 8)
	differ := false
	for range 100_000 {
		e := one()
		if e != same() {
			t.Fatal("the same seed draws something else")
		}
		differ = differ || e != other()
		count[e]++
	}
	if !differ {
		t.Error("another seed draws the same")
	}
	for i := range exchanges {
		if n := count[&exchanges[i]]; n < 800 || n > 1200 {
			t.Errorf("exchange %d was drawn %d times instead of about 1000", i, n)
		}
	}
}
