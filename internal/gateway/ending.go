package gateway

import (
	"context"
	"slices"
	"sync"
	"time"
)

// ending are the charges whose end is decided, and told to the client, but not
// written yet. Who comes back at once, after a request that failed for example,
// is not refused for what that one still holds: see [Gateway.Hold].
type ending struct {
	mu       sync.Mutex
	accounts map[string][]chan struct{} // each closed when its end is written
}

// endPatience bounds how long a request waits for the ends of earlier ones.
const endPatience = time.Second

// begin notes an end; done says that it is written, or never will be.
func (e *ending) begin(account string) (done func()) {
	written := make(chan struct{})
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.accounts == nil {
		e.accounts = make(map[string][]chan struct{})
	}
	e.accounts[account] = append(e.accounts[account], written)
	return func() {
		close(written)
		e.mu.Lock()
		defer e.mu.Unlock()
		rest := slices.DeleteFunc(e.accounts[account], func(c chan struct{}) bool { return c == written })
		if len(rest) > 0 {
			e.accounts[account] = rest
		} else {
			delete(e.accounts, account)
		}
	}
}

// noted are the ends of the account that are not written by now.
func (e *ending) noted(account string) []chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.accounts[account])
}

// wait waits for ends. It reports whether there were any, and they are written.
func (e *ending) wait(ctx context.Context, noted []chan struct{}) bool {
	if len(noted) == 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, endPatience)
	defer cancel()
	for _, written := range noted {
		select {
		case <-written:
		case <-ctx.Done():
			return false
		}
	}
	return true
}
