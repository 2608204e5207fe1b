package caddymodule

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
)

// renewals is how often a hold is renewed within its time, so that some may fail.
const renewals = 4

// renew keeps the hold of a request alive that takes its time.
func (m *meter) renew() (done bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(m.request.Context()), time.Duration(m.handler.HoldTTL)/renewals)
	defer cancel()
	if err := m.charge.Renew(ctx); err != nil {
		m.handler.logger.Warn("a hold could not be renewed; it is tried again", zap.Error(err))
		return false
	}
	return true
}

// renewal does something from time to time until it is stopped. What was not done
// is tried again much sooner, or the hold would have run out by then.
type renewal struct {
	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
}

func (r *renewal) start(every time.Duration, do func() (done bool)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timer = time.AfterFunc(every, func() {
		next := every
		if !do() {
			next = every / 4
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if !r.stopped {
			r.timer.Reset(next)
		}
	})
}

// stop does not wait for what is being done.
func (r *renewal) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
	r.timer.Stop()
}
