package store

import "sync"

// Watchers are the watchers of one store, for a store to tell. The zero value has
// none, and is lost.
type Watchers struct {
	mu    sync.Mutex // held while watchers are told, so that each hears all in order
	live  bool
	ended bool
	all   map[*Watcher]struct{}
}

// Watchers pass on what they are told, so they can watch another store.
var (
	_ Watcher = (*Watchers)(nil)
)

// Watch implements [Store].
func (ws *Watchers) Watch(w Watcher) (stop func()) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.all == nil {
		ws.all = make(map[*Watcher]struct{})
	}
	ws.all[&w] = struct{}{}
	if ws.live {
		w.Live()
	}
	return func() {
		ws.mu.Lock()
		defer ws.mu.Unlock()
		delete(ws.all, &w)
	}
}

// Changed tells of a change.
func (ws *Watchers) Changed(account string, rev int64) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for w := range ws.all {
		(*w).Changed(account, rev)
	}
}

// Live tells that from now on no change is missed, unless that is known.
func (ws *Watchers) Live() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.live || ws.ended {
		return
	}
	ws.live = true
	for w := range ws.all {
		(*w).Live()
	}
}

// Renew tells that changes may have been missed, but are not from now on, unless they are missed
// anyway.
func (ws *Watchers) Renew() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if !ws.live {
		return
	}
	ws.lost()
	ws.live = true
	for w := range ws.all {
		(*w).Live()
	}
}

// Lost tells that changes may be missed, unless that is known.
func (ws *Watchers) Lost() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.lost()
}

// End is Lost for ever.
func (ws *Watchers) End() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.ended = true
	ws.lost()
}

func (ws *Watchers) lost() {
	if !ws.live {
		return
	}
	ws.live = false
	for w := range ws.all {
		(*w).Lost()
	}
}
