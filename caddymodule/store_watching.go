package caddymodule

import (
	"context"
	"sync"
	"time"

	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/gateway/cache"
	"github.com/dodogate/dodogate/internal/store"
)

// watching checks a store for as long as a config runs.
type watching struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
}

func startWatching(h *handle) *watching {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watching{cancel: cancel}
	w.done.Go(func() { h.watch.run(ctx, h) })
	w.done.Go(func() { h.checkFile(ctx) })
	return w
}

func (w *watching) stop() {
	w.cancel()
	w.done.Wait()
}

// writeProber is a store whose ping does not say whether it takes writes.
type writeProber interface {
	// ProbeWrite writes something that nobody depends on.
	ProbeWrite(ctx context.Context) error
}

// patientProber is a writeProber whose writes may take longer, because replicas confirm them.
type patientProber interface {
	ProbeTime() time.Duration
}

// probe asks the store itself, within checkTime and the time that its replicas have.
func (h *handle) probe(ctx context.Context) (writable, reachable bool, err error) {
	s, done, err := h.use(ctx)
	if err != nil {
		return false, false, err
	}
	defer done()
	limit := checkTime
	if p, ok := s.(patientProber); ok {
		limit += p.ProbeTime()
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	prober, ok := s.(writeProber)
	if !ok {
		err = store.Client{Store: s}.Ping(ctx)
		return err == nil, err == nil, err
	}
	if err = prober.ProbeWrite(ctx); err == nil {
		return true, true, nil
	}
	return false, store.Client{Store: s}.Ping(ctx) == nil, err
}

// appObserver counts for the process, and tells the store's watch what health is about.
type appObserver struct {
	*meters
	watch *watch
}

// EventSettled implements [gateway.Observer].
func (o appObserver) EventSettled(eventType string, outcome gateway.Outcome) {
	o.meters.EventSettled(eventType, outcome)
	o.watch.webhookAt.Store(time.Now().UnixNano())
}

// EntitlementRead implements [gateway.Observer].
func (o appObserver) EntitlementRead(r cache.Result) {
	o.meters.EntitlementRead(r)
	if r == cache.Stale {
		o.watch.stale.Add(1)
	}
}

// aroundEvent measures the handling of an event.
func aroundEvent(ctx context.Context) (context.Context, func(error)) {
	began := time.Now()
	ctx, handling := startSpan(ctx, "dodogate.webhook")
	return ctx, func(err error) {
		handling.end(err)
		metrics.handled(timedWebhook, time.Since(began))
	}
}

// Interface guard
var _ gateway.Observer = appObserver{}
