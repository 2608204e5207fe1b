package load

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// Constant sends rate requests a second for d, each at its moment, whether or not
// earlier ones were answered. A request for which no connection is free waits for
// one, and its latency counts from the moment at which it was to be sent: a server
// that stops for a second is seen to make everybody wait who came in that second
// (no coordinated omission).
func (c *Client) Constant(ctx context.Context, source Source, rate float64, d time.Duration) (Result, error) {
	r, stop := c.begin(ctx, d+patience)
	defer stop()
	free := make(chan *Conn, len(c.conns))
	var readers sync.WaitGroup
	for _, conn := range c.conns {
		free <- conn
		readers.Go(func() { conn.answers(r, free) })
	}
	r.send(source, free, rate, d)
	// Whoever is back in free has nothing under way.
	idle := 0
	for timeout := time.After(patience); idle < len(c.conns); {
		select {
		case <-free:
			idle++
		case <-timeout:
			c.Close()
			idle = len(c.conns)
		}
	}
	for _, conn := range c.conns {
		_ = conn.net.SetReadDeadline(time.Unix(1, 0)) // wakes its reader
	}
	readers.Wait()
	for _, conn := range c.conns {
		_ = conn.net.SetReadDeadline(time.Time{})
	}
	return r.end()
}

// send is the clock of the run. It has a thread of its own, because the
// scheduler's timers are late by up to a millisecond.
func (r *run) send(source Source, free chan *Conn, rate float64, d time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer preciseSleep()()
	total := int64(rate * d.Seconds())
	late := time.NewTimer(d + patience/2)
	defer late.Stop()
	for n := range total {
		at := time.Duration(float64(n) / rate * float64(time.Second))
		if wait := at - r.now(); wait > 0 {
			sleep(wait)
		}
		var conn *Conn
		select {
		case conn = <-free:
		case <-late.C:
			r.mu.Lock()
			r.unsent = total - n
			r.mu.Unlock()
			return
		}
		e := source()
		if e == nil {
			free <- conn
			return
		}
		r.sent++
		conn.intended.Store(int64(at))
		conn.exchange.Store(e)
		if _, err := conn.net.Write(e.Request); err != nil {
			conn.Close() // its reader will tell
		}
	}
}

// answers reads the answers on a connection, until its read deadline.
func (conn *Conn) answers(r *run, free chan *Conn) {
	for {
		_, err := conn.in.Peek(1)
		e := conn.exchange.Load()
		if err != nil && e == nil {
			return // the run is over
		}
		var a Answer
		if err == nil {
			a, err = conn.read()
		}
		if e == nil {
			e = &Exchange{} // an answer to nothing, which is wrong
		}
		conn.exchange.Store(nil)
		if !r.note(e, a, err, time.Duration(conn.intended.Load())) {
			// The others go on without this one. The last to be missed are
			// counted by the caller.
			conn.Close()
			free <- conn
			return
		}
		free <- conn
	}
}
