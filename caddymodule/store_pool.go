package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/dodogate/dodogate/internal/store"
)

// stores are the open stores of this process. A config takes a handle when it is
// provisioned and gives it back when it is cleaned up, and the next config is
// provisioned first, so a reload keeps what is open.
var stores = caddy.NewUsagePool()

// storesLog is the name by which they log.
const storesLog = "dodo.stores"

// openStore is what a backend opens.
type openStore interface {
	store.Store
	Close() error
}

// handle is one store, shared by every config that names the same resource. It
// belongs to none of them: it holds no logger, context or metrics of a config.
//
// It opens when it is first needed, by [App.Start] or by a request that was
// faster, so that `caddy validate` needs neither the database nor the lock on
// the file that a running server has. A failed opening is tried again.
//
// Requests of an old config outlive its clean-up. So whoever is at work is
// counted, and the store is closed once nobody is (store_drain.go). From then on
// everything returns [store.ErrUnavailable].
type handle struct {
	key string // in the pool
	// opener must not show what it opens when it is printed; a func does not.
	opener func(context.Context) (openStore, error)
	passes *passes // over Dodo's lists, into this store
	calls  calls   // to Dodo
	watch  *watch  // whether the store is there
	// damages are the accounts that are known to be damaged.
	damages damages
	// life ends before the store is closed under those who are still at work, so
	// that they can give up what waits for it.
	life context.Context //nolint:containedctx // of no request
	end  context.CancelFunc

	mu       sync.Mutex
	opened   openStore
	users    int
	requests int           // those of the users that are requests still being answered
	left     func()        // done, made once
	answered func()        // what keep returns, made once
	idle     chan struct{} // not nil: somebody waits until nobody is at work
	quiet    chan struct{} // not nil: somebody waits until there are no requests
	unwanted bool          // no config has it
	closed   bool
	accounts int // that the latest config has remembered; 0 is what the store does by itself

	watchers store.Watchers // of the open store, through all openings
}

// openTime bounds the opening of a store.
const openTime = 15 * time.Second

// acquire takes the handle with the given key from the pool. The key identifies
// the resource and may be logged.
func acquire(key string, opener func(context.Context) (openStore, error)) (*handle, error) {
	value, _, err := stores.LoadOrNew(key, func() (caddy.Destructor, error) {
		if h := leftBehind.take(key); h != nil {
			return h, nil
		}
		h := &handle{key: key, opener: opener, passes: newPasses(), watch: newWatch(key), damages: damages{log: processLogger(storesLog)}}
		h.life, h.end = context.WithCancel(context.Background())
		h.left, h.answered = h.done, h.unkeep
		return h, nil
	})
	if err != nil {
		return nil, err
	}
	return value.(*handle), nil
}

// release gives a handle back. An empty key is one that was never acquired.
func release(key string) error {
	if key == "" {
		return nil
	}
	_, err := stores.Delete(key)
	return err
}

var errClosed = fmt.Errorf("%w: it is closed", store.ErrUnavailable)

// open opens the store unless it is open.
func (h *handle) open(ctx context.Context) error {
	_, done, err := h.use(ctx)
	if err != nil {
		return err
	}
	done()
	return nil
}

// remembering is a store that remembers accounts.
type remembering interface{ Remember(accounts int) }

// replaceable is a store whose servers may be replaced by others, which may lack what was
// acknowledged last.
type replaceable interface {
	// OnReplaced has the function called after each replacement. It must return soon.
	OnReplaced(replaced func())
}

// remember says how many accounts the store may remember. The latest config decides.
func (h *handle) remember(accounts int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.accounts = accounts
	h.sayHowMany()
}

func (h *handle) sayHowMany() {
	if s, ok := h.opened.(remembering); ok && h.accounts > 0 {
		s.Remember(h.accounts)
	}
}

// use returns the store, opened if need be. The caller must call done, and not
// use the store after that.
func (h *handle) use(ctx context.Context) (s store.Store, done func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, nil, errClosed
	}
	if h.opened == nil {
		// Others wait for this; whose request it is does not matter to them.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), openTime)
		defer cancel()
		opened, err := h.opener(ctx)
		if err != nil {
			return nil, nil, unavailable(err)
		}
		h.opened = opened
		h.sayHowMany()
		if s, ok := opened.(replaceable); ok {
			s.OnReplaced(h.passes.storeReplaced)
		}
		opened.Watch(&h.watchers) // until it is closed
	}
	h.users++
	return h.opened, h.left, nil
}

// keep keeps the store from being closed until done is called, so that a request
// of several steps is not cut in two. It does not open the store.
func (h *handle) keep() (done func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.users++
	h.requests++
	return h.answered
}

func (h *handle) unkeep() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests--
	h.leave()
}

// keepBehind is keep for work behind an answer, such as charging for it. It must be
// called while the request keeps the store.
func (h *handle) keepBehind() (done func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.users++
	return h.left
}

func (h *handle) done() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.leave()
}

func unavailable(err error) error {
	if errors.Is(err, store.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
}

// Interface guard
var _ store.Store = (*handle)(nil)
