package gateway

import "github.com/dodogate/dodogate/internal/store"

// storeWatcher passes on what the store reports about changes of accounts.
type storeWatcher struct {
	*parts
	waiters *waiters
	live    bool
}

var _ store.Watcher = (*storeWatcher)(nil)

// Changed implements [store.Watcher].
func (w *storeWatcher) Changed(account string, rev int64) {
	w.views.Changed(account, rev) // first, so that a waiter that is woken sees it
	w.waiters.changed(account)
}

// Live implements [store.Watcher].
func (w *storeWatcher) Live() {
	w.live = true
	w.views.Live()
	w.waiters.setLive(true)
	w.observer.ChangesHeard(true)
}

// Lost implements [store.Watcher].
func (w *storeWatcher) Lost() {
	if !w.live {
		return
	}
	w.live = false
	w.views.Lost()
	w.waiters.setLive(false)
	w.observer.ChangesHeard(false)
}
