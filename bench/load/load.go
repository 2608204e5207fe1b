// Package load sends HTTP/1.1 requests to one server over connections that are
// kept alive, and measures it: as fast as it answers ([Client.Saturate]), or at a
// constant rate whatever it does ([Client.Constant]). Every answer is checked.
package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Source gives the requests to send, and nil when there are no more. It is
// called by many goroutines at once.
type Source func() *Exchange

// Random draws from exchanges, evenly, for ever. The same seed draws the same.
func Random(exchanges []Exchange, seed uint64) Source {
	var drawn atomic.Uint64
	return func() *Exchange {
		n := mix(seed + drawn.Add(1)*0x9e3779b97f4a7c15)
		return &exchanges[n%uint64(len(exchanges))]
	}
}

// mix is the output function of splitmix64: even counters become even draws.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Once gives each of exchanges once, in their order.
func Once(exchanges []Exchange) Source {
	var taken atomic.Int64
	return func() *Exchange {
		n := taken.Add(1) - 1
		if n >= int64(len(exchanges)) {
			return nil
		}
		return &exchanges[n]
	}
}

// Result is what a run saw.
type Result struct {
	Done    int64 // right answers
	Wrong   int64 // wrong ones, and requests without an answer
	Unsent  int64 // requests that a constant rate wanted and for which no connection was free in time
	Elapsed time.Duration
	Latency *hdrhistogram.Histogram // nanoseconds
}

// ErrWrong says that some answers are not what they are to be.
var ErrWrong = errors.New("wrong answers")

// Rate is how many right answers there were in a second.
func (r Result) Rate() float64 { return float64(r.Done) / r.Elapsed.Seconds() }

// Quantile is a latency; q is 50 for the median, 99 for the 99th percentile.
func (r Result) Quantile(q float64) time.Duration {
	return time.Duration(r.Latency.ValueAtQuantile(q))
}

// Client is a number of open connections to one server. It does one thing at a
// time.
type Client struct{ conns []*Conn }

// Dial opens the connections.
func Dial(ctx context.Context, addr string, connections int) (*Client, error) {
	c := &Client{}
	for range connections {
		conn, err := DialConn(ctx, addr)
		if err != nil {
			c.Close()
			return nil, err
		}
		c.conns = append(c.conns, conn)
	}
	return c, nil
}

// Close closes the connections.
func (c *Client) Close() {
	for _, conn := range c.conns {
		conn.Close()
	}
}

// patience is how long a run may take beyond what it was to take. Then its
// connections are closed, so that a server that hangs fails the run.
const patience = 30 * time.Second

// Saturate keeps one request under way on every connection until d has passed or
// the source is empty; d of 0 is no limit. A wrong answer, or none, is an error.
func (c *Client) Saturate(ctx context.Context, source Source, d time.Duration) (Result, error) {
	limit := d + patience
	if d == 0 {
		limit, d = 10*time.Minute, 10*time.Minute
	}
	r, stop := c.begin(ctx, limit)
	defer stop()
	var all sync.WaitGroup
	for _, conn := range c.conns {
		all.Go(func() {
			for now := r.now(); now < d; now = r.now() {
				e := source()
				if e == nil {
					return
				}
				a, err := conn.Do(e.Request)
				if !r.note(e, a, err, now) {
					return
				}
			}
		})
	}
	all.Wait()
	return r.end()
}

// run is one run under way.
type run struct {
	start time.Time
	sent  int64 // by a constant rate

	mu      sync.Mutex
	latency *hdrhistogram.Histogram
	done    int64
	wrong   int64
	first   error // what was wrong first
	unsent  int64
}

func (c *Client) begin(ctx context.Context, limit time.Duration) (r *run, stop func()) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	release := context.AfterFunc(ctx, c.Close)
	return &run{
		start: time.Now(),
		// From a microsecond to a minute, to a thousandth.
		latency: hdrhistogram.New(1000, int64(time.Minute), 3),
	}, func() { release(); cancel() }
}

func (r *run) now() time.Duration { return time.Since(r.start) }

// note records an answer to a request of the given moment. It returns false when
// the connection is of no more use.
func (r *run) note(e *Exchange, a Answer, err error, began time.Duration) bool {
	took := r.now() - began
	usable := err == nil
	if err == nil {
		err = e.check(a)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.wrong++
		if r.first == nil {
			r.first = err
		}
		return usable
	}
	r.done++
	_ = r.latency.RecordValue(min(int64(took), int64(time.Minute)))
	return true
}

func (r *run) end() (Result, error) {
	result := Result{Done: r.done, Wrong: r.wrong, Unsent: r.unsent, Elapsed: r.now(), Latency: r.latency}
	switch {
	case r.wrong > 0:
		return result, fmt.Errorf("%w: %d of %d, the first: %w", ErrWrong, r.wrong, r.wrong+r.done, r.first)
	case r.sent > r.done:
		return result, fmt.Errorf("%d of %d requests were never answered", r.sent-r.done, r.sent)
	case r.done == 0:
		return result, errors.New("not one answer")
	}
	return result, nil
}
