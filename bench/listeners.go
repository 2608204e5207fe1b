package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// idleListeners measures what clients of the gateway's own event stream take that hear nothing.
func (b *bench) idleListeners(ctx context.Context) (string, error) {
	field, err := b.field(ctx, func(c contestant) bool {
		return c.name == "headers-redis" || c.name == "headers-bolt" || c.name == "own-redis" || c.name == "own-bolt"
	})
	if err != nil {
		return "", err
	}
	idle, all, more := make(map[string]*series), make(map[string]*series), make(map[string]*series)
	for _, r := range field {
		idle[r.name], all[r.name], more[r.name] = new(series), new(series), new(series)
		for range b.rounds {
			before, after, err := b.listenTo(ctx, r)
			if err != nil {
				return "", fmt.Errorf("%s: %w", r.title, err)
			}
			*idle[r.name] = append(*idle[r.name], before)
			*all[r.name] = append(*all[r.name], after)
			*more[r.name] = append(*more[r.name], after-before)
		}
	}
	t := newTable("gateway", "memory before, MiB", "with all listeners, MiB", "more, MiB")
	for _, r := range field {
		t.add(r.title, idle[r.name].format("%.0f"), all[r.name].format("%.0f"), more[r.name].format("%.0f"))
		if r.name == "own-redis" {
			b.goalAtMost(200, "%.0f", "listeners, Redis, its own GC settings: memory that all take, MiB", *more[r.name])
		}
	}
	return fmt.Sprintf("%d clients, each of another account, listen to `GET /payments/events` for %v and hear heartbeats only. Memory is the\ngateway's own, without pages of its executable.\n\n%s",
		b.listeners, listenFor, t), nil
}

// listenFor is longer than a heartbeat.
const listenFor = 25 * time.Second

// listenTo opens all streams, waits, and closes them. It returns the gateway's own memory before
// and at the end, in MiB.
func (b *bench) listenTo(ctx context.Context, r *running) (before, after float64, err error) {
	idle, err := r.process.OwnMemory()
	if err != nil {
		return 0, 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var clients sync.WaitGroup
	defer clients.Wait()
	defer cancel()
	opened := make(chan error, b.listeners)
	slots := make(chan struct{}, b.connections)
	for i := range b.listeners {
		slots <- struct{}{}
		clients.Go(func() {
			listen(ctx, r.addr, account(i%b.accounts), func(err error) {
				opened <- err
				<-slots
			})
		})
	}
	for range b.listeners {
		if err := <-opened; err != nil {
			return 0, 0, err
		}
	}
	select {
	case <-time.After(listenFor):
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	}
	all, err := r.process.OwnMemory()
	return mebibytes(idle), mebibytes(all), err
}

// listen opens a stream on a connection of its own, and says so after the first event. It then reads
// until ctx ends.
func listen(ctx context.Context, addr, account string, opened func(error)) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		opened(err)
		return
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	_, err = fmt.Fprintf(conn, "GET /payments/events HTTP/1.1\r\nHost: %s\r\nX-User: %s\r\n\r\n", addr, account)
	reader := bufio.NewReaderSize(conn, 1<<10)
	for err == nil {
		var line []byte
		if line, err = reader.ReadSlice('\n'); strings.HasPrefix(string(line), "HTTP/1.1 ") && !bytes.Contains(line, []byte(" 200 ")) {
			err = fmt.Errorf("the answer is %q", line)
		}
		if bytes.HasPrefix(line, []byte("data:")) || errors.Is(err, bufio.ErrBufferFull) {
			opened(nil)
			_, _ = io.Copy(io.Discard, reader)
			return
		}
	}
	opened(err)
}
