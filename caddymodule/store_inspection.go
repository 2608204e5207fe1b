package caddymodule

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/dodogate/dodogate/internal/redisconn"
)

// inspectEvery is the time between two looks at the settings of a store's servers.
const inspectEvery = time.Minute

// inspected is a store whose servers have settings that may lose data. It logs them itself.
type inspected interface {
	Inspect(ctx context.Context) (dangerous []redisconn.Setting, err error)
}

// inspection is what is known of the settings of a store's servers.
type inspection struct {
	next      atomic.Int64 // when they are read again, in nanoseconds since 1970
	dangerous atomic.Pointer[[]redisconn.Setting]
}

// soon has the settings read by the next run.
func (i *inspection) soon() { i.next.Store(0) }

// run reads the settings of an open store, unless that was done less than a minute ago. While the
// store is away, what was known stays.
func (i *inspection) run(ctx context.Context, h *handle) {
	now := time.Now()
	if next := i.next.Load(); now.UnixNano() < next || !i.next.CompareAndSwap(next, now.Add(inspectEvery).UnixNano()) {
		return
	}
	if !h.watch.known().Reachable {
		i.soon()
		return
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	s, done, err := h.use(ctx)
	if err != nil {
		return
	}
	defer done()
	if s, ok := s.(inspected); ok {
		if dangerous, err := s.Inspect(ctx); err == nil {
			i.dangerous.Store(&dangerous)
		}
	}
}

// isDangerous is 1 if a setting of a store in use is dangerous.
func isDangerous(setting redisconn.Setting) float64 {
	is := 0.0
	stores.Range(func(_, value any) bool {
		if d := value.(*handle).watch.settings.dangerous.Load(); d != nil && slices.Contains(*d, setting) {
			is = 1
		}
		return is == 0
	})
	return is
}
