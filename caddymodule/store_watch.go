package caddymodule

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/dodogate/dodogate/internal/store"
)

const (
	// checkEvery is the time between two checks of a store that is well, and
	// recheckEvery while it is not, or when an operation has just failed.
	checkEvery   = 5 * time.Second
	recheckEvery = time.Second
	// checkTime bounds a check, and the wait of a request for one.
	checkTime = time.Second
	// confirmations is how many checks in a row must say the same before a known state
	// changes: one slow answer is no outage, and one good answer is not its end.
	confirmations = 2
	// knownFor is how long the result of the last check is believed.
	knownFor = 3 * checkEvery
	// partialLogged is how often failures of single operations are logged while the
	// store is well.
	partialLogged = time.Minute
)

// storeState is what the checks of a store found. The zero value is a store that was never
// checked.
type storeState struct {
	Reachable bool      // it answers
	Writable  bool      // it takes writes; never without Reachable
	CheckedAt time.Time // the end of the newest check
	OutageAt  time.Time // the first failed check of the outage; zero if there is none
	Err       error     // why a check failed last; nil outside of an outage
}

func (s storeState) well() bool { return s.Reachable && s.Writable }

// watch knows whether a store is there. It belongs to a handle, so it survives reloads.
//
// Only evidence about the store counts. A failed operation starts a check; if the check
// succeeds, then only that operation has failed. If other operations succeed meanwhile,
// then only the check has failed.
type watch struct {
	name string // of the backend, for the log
	log  *zap.Logger
	wake chan struct{} // full when an operation has failed
	turn chan struct{} // full while a check runs

	state atomic.Pointer[storeState]
	// lastRead and lastWrite are when operations succeeded last, in nanoseconds since 1970.
	lastRead, lastWrite atomic.Int64
	// failed counts operations that failed since the last good check; refused and stale
	// count the requests that were answered with 503, or with remembered values.
	failed, refused, stale atomic.Int64
	webhookAt              atomic.Int64 // when an event was settled last, in nanoseconds
	settings               inspection

	mu        sync.Mutex
	cause     error // of the operation that failed last
	bad, good int   // checks in a row, while that differs from the state
	firstBad  time.Time
	checkedAt time.Time // the beginning of the newest check
	told      time.Time // when a partial failure was logged last
}

func newWatch(key string) *watch {
	name, _, _ := strings.Cut(key, ":")
	w := &watch{name: name, log: processLogger(storesLog), wake: make(chan struct{}, 1), turn: make(chan struct{}, 1)}
	w.state.Store(&storeState{})
	return w
}

// known is what the newest check found.
func (w *watch) known() storeState { return *w.state.Load() }

// lastWebhook is when an event was settled last; zero if none was since the process started.
func (w *watch) lastWebhook() time.Time {
	if at := w.webhookAt.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// observed notes how an operation ended. It is called for every operation.
func (w *watch) observed(writes bool, err error) {
	switch {
	case !errors.Is(err, store.ErrUnavailable):
		if err != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
			return // says nothing about the store
		}
		now := time.Now().UnixNano()
		w.lastRead.Store(now)
		if writes {
			w.lastWrite.Store(now)
		}
	default:
		w.failed.Add(1)
		w.mu.Lock()
		w.cause = err
		w.mu.Unlock()
		select {
		case w.wake <- struct{}{}:
		default: // it is awake
		}
	}
}

// blames reports whether the store is the reason of an error, and counts the request that
// got it. Such an error needs no line in the log for each request: the watch logs one line
// for an outage, and at most one a minute for single failures. Damaged accounts are logged by
// [damages].
func (w *watch) blames(err error) bool {
	if errors.Is(err, store.ErrDamaged) {
		return true // logged once for each account
	}
	if !errors.Is(err, store.ErrUnavailable) {
		return false
	}
	w.refused.Add(1)
	return true
}

// run checks the store until ctx ends.
func (w *watch) run(ctx context.Context, h *handle) {
	w.settings.soon()
	for {
		w.check(ctx, h)
		w.settings.run(ctx, h)
		pause := checkEvery
		if !w.settled() {
			pause = recheckEvery
		}
		if !w.sleep(ctx, pause) {
			return
		}
	}
}

// settled reports whether the store is well and no check says otherwise.
func (w *watch) settled() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.known().well() && w.bad == 0
}

// sleep waits for the next check, and reports whether there is to be one. A failed
// operation shortens the wait to recheckEvery.
func (w *watch) sleep(ctx context.Context, pause time.Duration) bool {
	began := time.Now()
	timer := time.NewTimer(pause)
	defer timer.Stop()
	wake := w.wake
	for {
		select {
		case <-timer.C:
			return true
		case <-wake:
			wake = nil
			timer.Reset(max(0, recheckEvery-time.Since(began)))
		case <-ctx.Done():
			return false
		}
	}
}

// fresh is what is known of the store, after a check if the last one is too long ago. No
// matter how many callers there are, one check runs at a time; each waits checkTime at most.
func (w *watch) fresh(ctx context.Context, h *handle) storeState {
	if s := w.known(); !s.CheckedAt.IsZero() && time.Since(s.CheckedAt) < knownFor {
		return s
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	select {
	case w.turn <- struct{}{}:
		done := make(chan struct{})
		go func() { // opening a store may take longer than the caller waits
			defer close(done)
			defer func() { <-w.turn }()
			w.look(context.WithoutCancel(ctx), h)
		}()
		select {
		case <-done:
		case <-ctx.Done():
		}
	case <-ctx.Done():
	}
	return w.current()
}

// current is known, without what is too old to be believed.
func (w *watch) current() storeState {
	s := w.known()
	if !s.CheckedAt.IsZero() && time.Since(s.CheckedAt) >= knownFor {
		s.Reachable, s.Writable = false, false
	}
	return s
}

// check runs a check, unless one runs already.
func (w *watch) check(ctx context.Context, h *handle) {
	select {
	case w.turn <- struct{}{}:
		defer func() { <-w.turn }()
		w.look(ctx, h)
	default:
	}
}

// look is the check itself. The caller holds the turn.
func (w *watch) look(ctx context.Context, h *handle) {
	w.mu.Lock()
	last, began := w.checkedAt, time.Now()
	w.checkedAt = began
	w.mu.Unlock()
	now := storeState{Reachable: true, Writable: true}
	// A write that succeeded since the last check has shown all that a check could show.
	if last.IsZero() || w.lastWrite.Load() <= last.UnixNano() || w.failed.Load() > 0 {
		now.Writable, now.Reachable, now.Err = h.probe(ctx)
		if ctx.Err() != nil {
			return
		}
		now.Writable = now.Writable || w.lastWrite.Load() >= began.UnixNano()
		now.Reachable = now.Reachable || now.Writable || w.lastRead.Load() >= began.UnixNano()
	}
	now.CheckedAt = time.Now()
	w.judge(now, began)
}

// judge makes the state of what a check found.
func (w *watch) judge(now storeState, began time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.known()
	if now.well() {
		now.Err = nil
		w.bad = 0
		w.good++
	} else {
		if w.bad == 0 && was.OutageAt.IsZero() {
			w.firstBad = began
		}
		w.good = 0
		w.bad++
	}
	switch isFirst := was.CheckedAt.IsZero(); {
	case now.well() && was.OutageAt.IsZero():
		w.tellPartial()
		w.forget()
	case now.well() && w.good >= confirmations:
		w.tellEnd(was)
		w.forget()
	case now.well(): // it may come and go
		now.Reachable, now.Writable, now.OutageAt, now.Err = was.Reachable, was.Writable, was.OutageAt, was.Err
	case !was.OutageAt.IsZero():
		now.OutageAt = was.OutageAt
	case w.bad >= confirmations:
		now.OutageAt = w.firstBad
		w.tellBegin(now)
	case !isFirst: // the first bad check after good ones
		now.Reachable, now.Writable, now.Err = was.Reachable, was.Writable, nil
	}
	w.state.Store(&now)
}

// forget begins to count anew. The caller holds the lock.
func (w *watch) forget() {
	w.cause = nil
	w.failed.Store(0)
	w.refused.Store(0)
	w.stale.Store(0)
}

func (w *watch) tellBegin(now storeState) {
	message := "the store cannot be reached: until it is back, requests that need it are refused with 503, or served as max_stale and on_store_error say"
	switch {
	case errors.Is(now.Err, store.ErrNotDurable):
		message = "too few replicas confirm what is written: until enough do, charges, checkouts and webhooks are refused with 503"
	case now.Reachable:
		message = "the store takes no writes: until it does, charges, checkouts and webhooks are refused with 503"
	}
	w.log.Error(message, zap.String("store", w.name), zap.Error(now.Err))
}

func (w *watch) tellEnd(was storeState) {
	w.log.Warn("the store is back",
		zap.String("store", w.name), zap.Duration("outage", time.Since(was.OutageAt).Round(time.Millisecond)),
		zap.Int64("requests_refused", w.refused.Load()), zap.Int64("requests_stale", w.stale.Load()))
}

// tellPartial logs that operations failed although the store is well. The caller holds the
// lock.
func (w *watch) tellPartial() {
	if w.failed.Load() == 0 || time.Since(w.told) < partialLogged {
		return
	}
	w.told = time.Now()
	w.log.Error("the store answers, but some operations failed",
		zap.String("store", w.name), zap.Int64("operations", w.failed.Load()), zap.Int64("requests_refused", w.refused.Load()), zap.Error(w.cause))
}
