package gateway

import (
	"context"
	"sync"
	"time"
)

// pendingEnds are the charges whose outcome the client knows and the store does not know
// yet. A client that comes back at once, after a request that failed for example, is not
// refused for what that charge still holds: see [Accounts.Hold].
type pendingEnds struct {
	mu       sync.Mutex
	accounts map[string]*pendingEnd // the newest of each
}

// pendingEnd is the end of one charge. Its fields are guarded by the lock of pendingEnds.
type pendingEnd struct {
	account string
	older   *pendingEnd   // of the same account
	written bool          // or never will be
	done    chan struct{} // closed then; nil: nobody waits
}

// endPatience bounds how long a request waits for the ends of earlier ones.
const endPatience = time.Second

// begin adds an end. The caller must call finish with it when it is written or never
// will be.
func (p *pendingEnds) begin(account string, end *pendingEnd) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.accounts == nil {
		p.accounts = make(map[string]*pendingEnd)
	}
	end.account, end.older = account, p.accounts[account]
	p.accounts[account] = end
}

func (p *pendingEnds) finish(end *pendingEnd) {
	p.mu.Lock()
	defer p.mu.Unlock()
	end.written = true
	if end.done != nil {
		close(end.done)
	}
	newest := p.accounts[end.account]
	if newest != end {
		for newest.older != end {
			newest = newest.older
		}
		newest.older = end.older
		return
	}
	if end.older == nil {
		delete(p.accounts, end.account)
	} else {
		p.accounts[end.account] = end.older
	}
}

// of returns the ends of the account that are not written yet.
func (p *pendingEnds) of(account string) (ends []*pendingEnd) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for end := p.accounts[account]; end != nil; end = end.older {
		ends = append(ends, end)
	}
	return ends
}

// wait waits for ends. It reports whether there were any and all are written.
func (p *pendingEnds) wait(ctx context.Context, ends []*pendingEnd) bool {
	if len(ends) == 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, endPatience)
	defer cancel()
	for _, end := range ends {
		select {
		case <-p.written(end):
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// written is closed when the end is written.
func (p *pendingEnds) written(end *pendingEnd) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if end.done == nil {
		end.done = make(chan struct{})
		if end.written {
			close(end.done)
		}
	}
	return end.done
}
