package main

import (
	"context"
	"time"

	"github.com/dodogate/dodogate/bench/rig"
)

// look is what a contestant had cost at one moment.
type look struct {
	cpu, redis  time.Duration
	traffic     rig.Traffic
	allocations int64
	reading     int64 // allocations that reading them makes
}

// before looks just before a burst, and after just after it: the clocks of the
// CPU are read last and first, so that the other readings are not in between.
func (r *running) before(ctx context.Context) (l look, err error) {
	if l, err = r.count(ctx); err != nil {
		return l, err
	}
	if r.caddy != nil {
		first := l.allocations
		if l.allocations, err = r.caddy.Allocations(); err != nil {
			return l, err
		}
		l.reading = l.allocations - first
	}
	l.cpu, l.redis, err = r.clocks()
	return l, err
}

func (r *running) after(ctx context.Context) (look, error) {
	cpu, redis, err := r.clocks()
	if err != nil {
		return look{}, err
	}
	l, err := r.count(ctx)
	l.cpu, l.redis = cpu, redis
	return l, err
}

func (r *running) clocks() (cpu, redis time.Duration, err error) {
	if r.process != nil {
		cpu, err = r.process.CPU()
	}
	if err == nil && r.server != nil {
		redis, err = r.server.CPU()
	}
	return cpu, redis, err
}

func (r *running) count(ctx context.Context) (l look, err error) {
	if r.server != nil {
		if l.traffic, err = r.server.Traffic(ctx); err != nil {
			return l, err
		}
	}
	if r.caddy != nil {
		l.allocations, err = r.caddy.Allocations()
	}
	return l, err
}
