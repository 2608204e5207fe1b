package caddymodule

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/internal/gateway/notice"
)

// eventPrefix begins the names of the Caddy events that dodogate emits.
const eventPrefix = "dodo."

const (
	// queuedNotices is how many notices wait for slow handlers of events. More are dropped:
	// no payment waits for a handler.
	queuedNotices = 1000
	// handlersTime is how long handlers may go on when their config is replaced.
	handlersTime = 5 * time.Second
)

// emitter makes Caddy events of notices, one after the other, in the background. Caddy calls
// their handlers one by one and waits for each.
type emitter struct {
	ctx    caddy.Context
	events *caddyevents.App
	log    *zap.Logger
	queue  chan notice.Notice
	full   *rate.Limiter // how often it is logged that notices are dropped
	done   chan struct{} // closed when nothing is emitted any more
	ended  chan struct{} // closed when nothing more is to be emitted

	// wanted are the kinds that somebody has subscribed to, from when all apps have
	// started until this one stops. Before, the app events still collects subscriptions.
	wanted atomic.Pointer[map[notice.Kind]bool]
}

// newEmitter makes the emitter of a config that is being provisioned.
func newEmitter(ctx caddy.Context) (*emitter, error) {
	app, err := ctx.App("events")
	if err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	e := &emitter{
		ctx: ctx, events: app.(*caddyevents.App), log: ctx.Logger(), queue: make(chan notice.Notice, queuedNotices),
		full: rate.NewLimiter(rate.Every(time.Minute), 1), done: make(chan struct{}), ended: make(chan struct{}),
	}
	if err := e.events.On("started", startedHandler{e}); err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	return e, nil
}

// startedHandler hears that all apps of a config have started.
type startedHandler struct{ *emitter }

// Handle implements [caddyevents.Handler].
func (h startedHandler) Handle(context.Context, caddy.Event) error {
	h.start()
	return nil
}

func (e *emitter) start() {
	wanted := make(map[notice.Kind]bool, len(notice.Kinds))
	for _, kind := range notice.Kinds {
		if e.events.ShouldEmit(eventPrefix + string(kind)) {
			wanted[kind] = true
		}
	}
	if len(wanted) == 0 {
		return
	}
	if e.wanted.CompareAndSwap(nil, &wanted) {
		go e.run()
	}
}

func (e *emitter) wants(kind notice.Kind) bool {
	wanted := e.wanted.Load()
	return wanted != nil && (*wanted)[kind]
}

// tell queues a notice.
func (e *emitter) tell(n notice.Notice) {
	select {
	case e.queue <- n:
	default:
		metrics.told(n.Kind, dropped)
		if e.full.Allow() {
			e.log.Warn("events are dropped, because their handlers take too long", zap.String("event", eventPrefix+string(n.Kind)))
		}
	}
}

func (e *emitter) run() {
	defer close(e.done)
	for {
		select {
		case n := <-e.queue:
			e.emit(n)
			continue
		default:
		}
		select {
		case n := <-e.queue:
			e.emit(n)
		case <-e.ended:
			return
		}
	}
}

func (e *emitter) emit(n notice.Notice) {
	metrics.told(n.Kind, emitted)
	e.events.Emit(e.ctx, eventPrefix+string(n.Kind), dataOf(n))
}

// stop emits what is queued, and waits for that, but not for a handler that never returns.
func (e *emitter) stop() {
	if e.wanted.Swap(nil) == nil {
		return
	}
	close(e.ended)
	select {
	case <-e.done:
	case <-time.After(handlersTime):
		e.log.Warn("the handlers of events take too long; what is queued for them may be lost", zap.Int("queued", len(e.queue)))
	}
}

// dataOf is the data of an event, which docs/operations.md lists. All of them are texts, but
// for numbers of credits.
func dataOf(n notice.Notice) map[string]any {
	data := map[string]any{"account": n.Account}
	switch n.Kind {
	case notice.PlanStarted:
		data["plan"], data["object"], data["until"] = n.Plan, n.Object, ""
		if !n.Until.IsZero() {
			data["until"] = n.Until.UTC().Format(time.RFC3339)
		}
	case notice.PlanEnded:
		data["plan"], data["object"] = n.Plan, n.Object
	case notice.CreditsLow:
		data["credits"] = n.Credits
	case notice.Refunded:
		data["object"], data["refund"] = n.Object, n.Refund
	case notice.Parked:
		data["object"], data["event"], data["type"], data["reason"] = n.Object, n.Event, n.Type, n.Reason
	}
	return data
}

// Interface guard
var _ caddyevents.Handler = startedHandler{}
