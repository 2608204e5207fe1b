package caddymodule

import (
	"context"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

const (
	// drainTime is more than the longest use case takes, which is a checkout.
	drainTime = 20 * time.Second
	// giveUpTime is how long those who wait for the store then have to say so.
	giveUpTime = time.Second
)

// leave notes that a user is done. The caller holds the lock.
func (h *handle) leave() {
	h.users--
	if h.isIdle() && h.idle != nil {
		close(h.idle)
		h.idle = nil
	}
	if h.requests == 0 && h.quiet != nil {
		close(h.quiet)
		h.quiet = nil
	}
}

// isIdle reports whether there is nobody to wait for. A process that ends has given
// its requests their grace_period and does not wait longer for those that are left;
// they go down with it. The caller holds the lock.
func (h *handle) isIdle() bool {
	return h.users == 0 || h.users == h.requests && caddy.Exiting()
}

// goesOn reports whether there are requests to wait for. The caller holds the lock.
func (h *handle) goesOn() bool { return h.requests > 0 && !caddy.Exiting() }

// Destruct closes the store when no config has it any more. Requests of old configs
// go on for as long as they take, a stream for hours, and are charged at their end:
// then the store is left behind for them, and the reload does not wait.
func (h *handle) Destruct() error {
	h.mu.Lock()
	h.unwanted = true
	h.mu.Unlock()
	if settled, err := h.drain(); settled {
		return err
	}
	leftBehind.add(h)
	go h.outlive()
	return nil
}

// outlive closes the store behind the last request, unless a config takes it back.
func (h *handle) outlive() {
	for {
		h.mu.Lock()
		if h.goesOn() {
			if h.quiet == nil {
				h.quiet = make(chan struct{})
			}
			quiet := h.quiet
			h.mu.Unlock()
			<-quiet
			continue
		}
		h.mu.Unlock()
		if settled, err := h.drain(); settled {
			if err != nil {
				processLogger(storesLog).Error("a store that is not in use any more could not be closed", zap.Error(err))
			}
			return
		}
	}
}

// drain closes the store, unless a config has taken it back. It does not while there
// are requests: then nothing is settled. What goes on behind the requests may finish,
// also with steps that have not begun yet, as long as drainTime has not passed; those
// who only wait for the store are told to give up then, and have a moment more.
func (h *handle) drain() (settled bool, err error) {
	late := time.NewTimer(drainTime)
	defer late.Stop()
	over := false
	for {
		h.mu.Lock()
		switch {
		case h.closed || !h.unwanted:
			h.mu.Unlock()
			return true, nil
		case h.isIdle() || over:
			h.closed = true
			opened := h.opened
			h.opened = nil
			h.mu.Unlock()
			h.end()
			leftBehind.remove(h)
			if opened != nil {
				err = opened.Close()
			}
			return true, err
		case h.goesOn() && h.life.Err() == nil:
			h.mu.Unlock()
			return false, nil
		}
		if h.idle == nil {
			h.idle = make(chan struct{})
		}
		idle := h.idle
		h.mu.Unlock()
		select {
		case <-idle:
		case <-late.C:
			over = h.life.Err() != nil
			h.giveUp()
			late.Reset(giveUpTime)
		}
	}
}

// giveUp tells those who wait for the store that it is of no use, unless there are
// requests again, which may need it.
func (h *handle) giveUp() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.goesOn() {
		h.end()
	}
}

// leftBehind are the stores that no config has and requests do.
var leftBehind stragglers

func init() {
	// What was to be charged for those requests is waited for, as for all others.
	caddy.OnExit(func(context.Context) { leftBehind.drain() })
}

type stragglers struct {
	mu      sync.Mutex
	handles map[string]*handle // by key
}

func (s *stragglers) add(h *handle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.handles == nil {
		s.handles = make(map[string]*handle)
	}
	s.handles[h.key] = h
}

func (s *stragglers) remove(h *handle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.handles[h.key] == h {
		delete(s.handles, h.key)
	}
}

// take is for a config that names a store that is still open: a file, for one, cannot
// be opened twice. nil is when there is none.
func (s *stragglers) take(key string) *handle {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.handles[key]
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.life.Err() != nil {
		return nil
	}
	h.unwanted = false
	delete(s.handles, key)
	return h
}

// drain closes all of them.
func (s *stragglers) drain() {
	s.mu.Lock()
	var all sync.WaitGroup
	for _, h := range s.handles {
		all.Go(func() { _, _ = h.drain() })
	}
	s.mu.Unlock()
	all.Wait()
}

// Interface guard
var _ caddy.Destructor = (*handle)(nil)
