package gateway

import (
	"context"
	"sync"
	"time"
)

// ending are the charges whose end is decided, and told to the client, but not
// written yet. Who comes back at once, after a request that failed for example,
// is not refused for what that one still holds: see [Gateway.Hold].
type ending struct {
	mu       sync.Mutex
	accounts map[string]*anEnd // the newest of each
}

// anEnd is the end of one charge. Its fields are ending's to lock.
type anEnd struct {
	account string
	older   *anEnd        // of the same account
	written bool          // or never will be
	waited  chan struct{} // closed then; nil: nobody waits
}

// endPatience bounds how long a request waits for the ends of earlier ones.
const endPatience = time.Second

// begin notes an end. The caller must call done with it, when it is written or never
// will be.
func (e *ending) begin(account string, end *anEnd) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.accounts == nil {
		e.accounts = make(map[string]*anEnd)
	}
	end.account, end.older = account, e.accounts[account]
	e.accounts[account] = end
}

func (e *ending) done(end *anEnd) {
	e.mu.Lock()
	defer e.mu.Unlock()
	end.written = true
	if end.waited != nil {
		close(end.waited)
	}
	newest := e.accounts[end.account]
	if newest != end {
		for newest.older != end {
			newest = newest.older
		}
		newest.older = end.older
		return
	}
	if end.older == nil {
		delete(e.accounts, end.account)
	} else {
		e.accounts[end.account] = end.older
	}
}

// noted are the ends of the account that are not written by now.
func (e *ending) noted(account string) (ends []*anEnd) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for end := e.accounts[account]; end != nil; end = end.older {
		ends = append(ends, end)
	}
	return ends
}

// wait waits for ends. It reports whether there were any, and they are written.
func (e *ending) wait(ctx context.Context, ends []*anEnd) bool {
	if len(ends) == 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, endPatience)
	defer cancel()
	for _, end := range ends {
		select {
		case <-e.written(end):
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// written is closed when the end is written.
func (e *ending) written(end *anEnd) <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if end.waited == nil {
		end.waited = make(chan struct{})
		if end.written {
			close(end.waited)
		}
	}
	return end.waited
}
