package gateway

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrTooManyWaiting says that the most requests that may wait for a change already do.
var ErrTooManyWaiting = errors.New("too many requests wait for a change")

const (
	// How many may wait at a time, in all and for one account.
	maxWaiting           = 10_000
	maxWaitingForAccount = 20
	// How often to look again: deafPause while the store reports no changes, livePause
	// while it does, because time changes accounts too, and orders are made without
	// changing one.
	deafPause = time.Second
	livePause = 10 * time.Second
)

// Await begins to wait for changes of an account, so that none is missed that
// happens while the caller reads it: begin, read, wait, read again. The caller
// must call [Waiter.Stop]. The error is [ErrTooManyWaiting].
func (a *Accounts) Await(account string) (*Waiter, error) {
	w := &Waiter{waiters: &a.waiters, account: account, woken: make(chan struct{}, 1)}
	if !w.waiters.enter(w) {
		return nil, ErrTooManyWaiting
	}
	return w, nil
}

// EndWaiting ends all waiting for good, so that a server can shut down without waiting
// for the waiters.
func (a *Accounts) EndWaiting() { a.waiters.end() }

// Waiter is one caller that waits for changes of an account.
type Waiter struct {
	waiters *waiters
	account string
	woken   chan struct{}
}

// Next waits until there may be something to see, and reports false when waiting
// is over: ctx ended, or nobody may wait any longer.
func (w *Waiter) Next(ctx context.Context) bool { return w.NextWithin(ctx, livePause) }

// NextWithin is [Waiter.Next] for a caller that looks again after a pause of its own while the
// store reports all changes.
func (w *Waiter) NextWithin(ctx context.Context, pause time.Duration) bool {
	if !w.waiters.isLive() {
		pause = min(pause, deafPause)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-w.woken:
		return true
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	case <-w.waiters.over():
		return false
	}
}

// Stop ends the waiting.
func (w *Waiter) Stop() { w.waiters.leave(w) }

// waiters are all callers that wait. The zero value is empty.
type waiters struct {
	mu    sync.Mutex
	all   map[string]map[*Waiter]struct{} // by account
	count int
	live  bool          // the store reports all changes
	ended chan struct{} // closed when nobody may wait any longer; made when it is needed
}

func (ws *waiters) enter(w *Waiter) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.count >= maxWaiting || len(ws.all[w.account]) >= maxWaitingForAccount {
		return false
	}
	if ws.all == nil {
		ws.all = make(map[string]map[*Waiter]struct{})
	}
	if ws.all[w.account] == nil {
		ws.all[w.account] = make(map[*Waiter]struct{})
	}
	ws.all[w.account][w] = struct{}{}
	ws.count++
	return true
}

func (ws *waiters) leave(w *Waiter) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	others := ws.all[w.account]
	if _, waits := others[w]; !waits {
		return
	}
	ws.count--
	if delete(others, w); len(others) == 0 {
		delete(ws.all, w.account)
	}
}

// changed wakes those who wait for an account.
func (ws *waiters) changed(account string) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	wake(ws.all[account])
}

// setLive notes whether the store reports all changes, and wakes everybody, because some
// may have been missed.
func (ws *waiters) setLive(live bool) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.live = live
	for _, others := range ws.all {
		wake(others)
	}
}

func wake(some map[*Waiter]struct{}) {
	for w := range some {
		select {
		case w.woken <- struct{}{}:
		default: // it is about to look anyway
		}
	}
}

func (ws *waiters) isLive() bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return ws.live
}

// over is closed when waiting is over.
func (ws *waiters) over() <-chan struct{} {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return ws.overLocked()
}

func (ws *waiters) overLocked() chan struct{} {
	if ws.ended == nil {
		ws.ended = make(chan struct{})
	}
	return ws.ended
}

func (ws *waiters) end() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ended := ws.overLocked()
	select {
	case <-ended:
	default:
		close(ended)
	}
}
