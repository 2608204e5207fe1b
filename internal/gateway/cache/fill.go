package cache

import (
	"context"
	"errors"
)

// fill is an account being read, for everybody who asks for it meanwhile.
type fill struct {
	life  int64
	least int64 // the highest Rev that was heard of meanwhile
	void  bool  // the account was changed meanwhile, to a Rev that is not known
	done  chan struct{}

	// When it is done:
	entry *entry
	err   error
}

var errPanicked = errors.New("reading the account panicked")

// fill reads an account once for all who ask, and keeps what it finds. The caller
// holds the lock, which is released.
func (c *Cache) fill(ctx context.Context, account string, life int64) (*entry, error) {
	for {
		f := c.fills[account]
		if f == nil {
			f = &fill{life: life, done: make(chan struct{}), err: errPanicked}
			c.fills[account] = f
			c.mu.Unlock()
			c.run(ctx, account, f)
			return f.entry, f.err
		}
		least := f.least
		c.mu.Unlock()
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		// Who asks after a change was heard of is not told what was before it.
		if f.err != nil || f.entry.rev >= least {
			return f.entry, f.err
		}
		c.mu.Lock()
		life = c.life.Load()
	}
}

// run reads the account. Others wait for it, so it does not end with the request
// that it is for.
func (c *Cache) run(ctx context.Context, account string, f *fill) {
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.fills[account] == f {
			delete(c.fills, account)
		}
		if f.err == nil {
			if !f.void && f.entry.rev >= f.least {
				c.set(account, f.entry)
			}
		}
		close(f.done)
	}()
	a, err := c.Read(context.WithoutCancel(ctx), account)
	if err != nil {
		f.err = err
		return
	}
	f.entry, f.err = c.newEntry(account, a, f.life), nil
}
