package redisstore

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/redisconn"
	"github.com/dodogate/dodogate/internal/store"
)

// lines lets the decisions about an account be made one after the other, and those that wait
// for the same account together: decided in one book and written by one script. So nobody
// waits for longer than for the decisions before, and a busy account costs no more than many.
type lines struct {
	mu       sync.Mutex
	accounts map[string][]*decision // that wait; an account is here while a decision about it is made
}

// decision is one on its way.
type decision struct {
	decide  store.Decision
	receipt *receipt // of the event that is received with it; nil for none
	err     error    // of decide
	beside  beside   // what goes to the server with what is written
	told    chan outcome
	led     []*decision // that it leads, and it itself first
	alone   [1]*decision
}

// outcome is what a decision that waits is told: that it is its turn to lead, or the end.
type outcome struct {
	lead  bool
	state *state
	err   error
}

// join reports that the caller is to lead, or lets it wait.
func (l *lines) join(account string, d *decision) (leads bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	waiting, busy := l.accounts[account]
	if !busy {
		if l.accounts == nil {
			l.accounts = make(map[string][]*decision)
		}
		l.accounts[account] = nil
		return true
	}
	d.told = make(chan outcome, 1)
	l.accounts[account] = append(waiting, d)
	return false
}

// gather adds those who wait to the decisions that are led, as many as one script should write.
func (l *lines) gather(account string, led []*decision) []*decision {
	l.mu.Lock()
	defer l.mu.Unlock()
	waiting := l.accounts[account]
	n := min(len(waiting), redisconn.MaxBatch-len(led))
	if n <= 0 {
		return led
	}
	l.accounts[account] = waiting[n:]
	return append(led, waiting[:n]...)
}

// pass lets the first of those who wait lead.
func (l *lines) pass(account string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	waiting := l.accounts[account]
	if len(waiting) == 0 {
		delete(l.accounts, account)
		return
	}
	l.accounts[account] = waiting[1:]
	waiting[0].told <- outcome{lead: true}
}

// Update implements [store.Store].
func (s *Store) Update(ctx context.Context, account string, decide store.Decision) (store.Updated, error) {
	if err := book.CheckAccount(account); err != nil {
		return store.Updated{}, err
	}
	done, _, err := s.update(ctx, account, &decision{decide: decide})
	return done, err
}

// update makes a decision about an account and writes what it changes, and then settles what is
// to be settled with it. Whoever leads stays until all that it leads is written, for others wait
// for it.
func (s *Store) update(ctx context.Context, account string, d *decision) (done store.Updated, settled bool, err error) {
	err = s.ask(ctx, "update account", func() error {
		st, err := s.takePart(ctx, account, d)
		if err == nil && d.err == nil {
			done.Account = st.Account()
			done.Waiting, settled, err = s.finish(ctx, &d.beside)
		}
		return err
	})
	if err == nil {
		err = d.err
	}
	if err != nil {
		return store.Updated{}, false, book.OfAccount(account, err)
	}
	return done, settled, nil
}

// takePart leads, or waits for who leads.
func (s *Store) takePart(ctx context.Context, account string, d *decision) (*state, error) {
	if s.lines.join(account, d) {
		return s.lead(ctx, account, d)
	}
	select {
	case o := <-d.told:
		if o.lead {
			return s.lead(ctx, account, d)
		}
		return o.state, o.err
	case <-ctx.Done():
		go s.leave(account, d)
		return nil, ctx.Err()
	}
}

// leave waits in the place of a caller that has gone.
func (s *Store) leave(account string, d *decision) {
	if o := <-d.told; o.lead {
		s.lines.pass(account)
	}
}

// errPanicked is what those are told who wait for somebody that panics.
var errPanicked = errors.New("panicked while others waited")

func (s *Store) lead(ctx context.Context, account string, own *decision) (st *state, err error) {
	own.alone[0] = own
	own.led = own.alone[:]
	err = errPanicked
	defer func() {
		for _, d := range own.led[1:] {
			d.told <- outcome{state: st, err: err}
		}
		s.lines.pass(account)
	}()
	st, err = s.decide(ctx, account, own)
	return st, err
}

// serverClock estimates the time of the server by what it said last. It is never ahead of it by
// more than the two clocks drift apart meanwhile.
type serverClock struct {
	began  time.Time
	offset atomic.Int64 // milliseconds from began's to the server's; 0 is not known
}

func (c *serverClock) set(now time.Time) {
	c.offset.Store(now.UnixMilli() - time.Since(c.began).Milliseconds())
}

// serverNow is the time that decisions are made at.
func (s *Store) serverNow() time.Time {
	if s.clock != nil {
		return s.clock()
	}
	offset := s.server.offset.Load()
	if offset == 0 {
		return time.Now()
	}
	return time.UnixMilli(offset + time.Since(s.server.began).Milliseconds())
}
