package gateway

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrTooManyWaiting says that as many requests as there may be wait for a change.
var ErrTooManyWaiting = errors.New("too many requests wait for a change")

const (
	// How many may wait at a time, in all and for one account.
	maxWaiting           = 10_000
	maxWaitingForAccount = 20
	// unheardPause is how often to look again while changes are not heard, and
	// heardPause while they are: time changes accounts too, and orders are made
	// without changing one.
	unheardPause = time.Second
	heardPause   = 10 * time.Second
)

// Await begins to wait for changes of an account, so that none is missed that
// happens while the caller reads it: begin, read, wait, read again. The caller
// must call [Waiting.Stop]. The error is [ErrTooManyWaiting].
func (g *Gateway) Await(account string) (*Waiting, error) {
	w := &Waiting{room: &g.waiting, account: account, woken: make(chan struct{}, 1)}
	if !w.room.enter(w) {
		return nil, ErrTooManyWaiting
	}
	return w, nil
}

// EndWaiting ends all waiting for good, so that a server can be shut down without
// waiting for those who wait.
func (g *Gateway) EndWaiting() { g.waiting.end() }

// Waiting is somebody who waits for changes of an account.
type Waiting struct {
	room    *waitingRoom
	account string
	woken   chan struct{}
}

// Next waits until there may be something to see, and reports false when waiting
// is over: ctx ended, or nobody may wait any longer.
func (w *Waiting) Next(ctx context.Context) bool {
	pause := heardPause
	if !w.room.hears() {
		pause = unheardPause
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
	case <-w.room.over():
		return false
	}
}

// Stop ends the waiting.
func (w *Waiting) Stop() { w.room.leave(w) }

// waitingRoom is where everybody waits. The zero value is empty.
type waitingRoom struct {
	mu    sync.Mutex
	all   map[string]map[*Waiting]struct{} // by account
	count int
	heard bool
	ended chan struct{} // closed when nobody may wait any longer; made when it is needed
}

func (r *waitingRoom) enter(w *Waiting) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count >= maxWaiting || len(r.all[w.account]) >= maxWaitingForAccount {
		return false
	}
	if r.all == nil {
		r.all = make(map[string]map[*Waiting]struct{})
	}
	if r.all[w.account] == nil {
		r.all[w.account] = make(map[*Waiting]struct{})
	}
	r.all[w.account][w] = struct{}{}
	r.count++
	return true
}

func (r *waitingRoom) leave(w *Waiting) {
	r.mu.Lock()
	defer r.mu.Unlock()
	others := r.all[w.account]
	if _, waits := others[w]; !waits {
		return
	}
	r.count--
	if delete(others, w); len(others) == 0 {
		delete(r.all, w.account)
	}
}

// changed wakes those who wait for an account.
func (r *waitingRoom) changed(account string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wake(r.all[account])
}

// hearing notes whether changes are heard, and wakes everybody: some may have
// been missed.
func (r *waitingRoom) hearing(all bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard = all
	for _, others := range r.all {
		wake(others)
	}
}

func wake(some map[*Waiting]struct{}) {
	for w := range some {
		select {
		case w.woken <- struct{}{}:
		default: // it is about to look anyway
		}
	}
}

func (r *waitingRoom) hears() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.heard
}

// over is closed when waiting is over.
func (r *waitingRoom) over() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.overLocked()
}

func (r *waitingRoom) overLocked() chan struct{} {
	if r.ended == nil {
		r.ended = make(chan struct{})
	}
	return r.ended
}

func (r *waitingRoom) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	ended := r.overLocked()
	select {
	case <-ended:
	default:
		close(ended)
	}
}
