package redisconn

import (
	"context"
	"sync"
	"time"
)

// silence notes that a server answers nobody, so that callers do not each wait for a timeout. It
// begins when a command runs out of time and nobody else was answered meanwhile. Then a probe asks
// the server again and again, and callers wait for that only for a moment. The first answer of any
// kind ends it.
//
// A Cluster has none: one of its servers may be silent while the others answer.
type silence struct {
	probe func(context.Context) (answered bool)

	mu     sync.Mutex
	over   chan struct{} // is closed when the server answers again; nil while it answers
	closed bool
	ctx    context.Context //nolint:containedctx // of the probe
	cancel context.CancelFunc
	done   sync.WaitGroup // the probe
}

const (
	// silencePatience is how long callers wait for a server that is known to be silent.
	silencePatience = 100 * time.Millisecond
	// probeTimeout and probePause are how long a probe waits, and how long the next one for it.
	probeTimeout = 500 * time.Millisecond
	probePause   = 50 * time.Millisecond
)

func newSilence(probe func(context.Context) bool) *silence {
	s := &silence{probe: probe}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// begin notes that nobody was answered in time.
func (s *silence) begin() {
	if s.probe == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil || s.closed {
		return
	}
	s.over = make(chan struct{})
	s.done.Go(s.listen)
}

// listen asks the server until it answers.
func (s *silence) listen() {
	for {
		ctx, cancel := context.WithTimeout(s.ctx, probeTimeout)
		answered := s.probe(ctx)
		cancel()
		if answered || s.ctx.Err() != nil {
			s.end()
			return
		}
		select {
		case <-time.After(probePause):
		case <-s.ctx.Done():
		}
	}
}

func (s *silence) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.over)
	s.over = nil
}

// pass lets a caller go on unless the server is silent and stays so for a moment.
func (s *silence) pass(ctx context.Context) error {
	s.mu.Lock()
	over := s.over
	s.mu.Unlock()
	if over == nil {
		return nil
	}
	patience := time.NewTimer(silencePatience)
	defer patience.Stop()
	select {
	case <-over:
		return nil
	case <-patience.C:
		return errSilent
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close ends the probe.
func (s *silence) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.done.Wait()
}
