package gateway

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dodogate/dodogate/internal/store"
)

// passLease lets one gateway at a time make a pass over Dodo's lists, so that several of them
// on one store do no work twice and together keep to one budget of calls. Nothing becomes wrong
// if two make a pass at once: what one applies, the other finds applied.
//
// The lease is a note in the store. It says who holds it, and until when by the store's clock.
// Its holder renews it; a gateway that died lets it run out.
type passLease struct {
	store  store.Client
	holder string        // random, of this gateway
	turn   chan struct{} // full while this gateway makes a pass
}

const (
	leaseNote = "reconcile lease"
	// leaseTerm is how long a lease lasts that is not renewed.
	leaseTerm  = 20 * time.Second
	leaseRenew = leaseTerm / 4
	// leasePoll is how often a gateway that waits for the lease looks again.
	leasePoll = time.Second
	// freeLease is the text of a lease that was given back.
	freeLease = "- 0"
)

func newPassLease(s store.Client) *passLease {
	return &passLease{store: s, holder: rand.Text(), turn: make(chan struct{}, 1)}
}

// lock waits until no other pass of this gateway is under way.
func (l *passLease) lock(ctx context.Context) error {
	select {
	case l.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *passLease) unlock() { <-l.turn }

// acquire takes the lease and renews it until release is called. The context that it returns
// ends with [ErrElsewhere] as its cause if the lease is lost. A gateway that does not wait gets
// ErrElsewhere if another one holds the lease and is alive.
func (l *passLease) acquire(ctx context.Context, waits bool) (held context.Context, release func(), err error) {
	for tried := time.Duration(0); ; tried += leasePoll {
		taken, err := l.take(ctx)
		switch {
		case err != nil:
			return nil, nil, fmt.Errorf("take the lease of a pass: %w", err)
		case taken:
			held, release = l.keep(ctx)
			return held, release, nil
		case !waits && tried > leaseTerm+leaseRenew: // a dead holder's would have run out
			return nil, nil, ErrElsewhere
		}
		if err := sleep(ctx, leasePoll); err != nil {
			return nil, nil, err
		}
	}
}

// take takes or renews the lease, unless another gateway holds it. It is not broken off, so that
// no lease is taken that nobody gives back.
func (l *passLease) take(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseRenew)
	defer cancel()
	now, err := l.store.Now(ctx)
	if err != nil {
		return false, err
	}
	kept, err := l.store.Note(ctx, leaseNote, "", "")
	if err != nil {
		return false, err
	}
	if holder, until := parseLease(kept); holder != l.holder && now.Before(until) && until.Sub(now) <= leaseTerm {
		return false, nil // beyond its term it dates from before the store's clock was set back
	}
	text := l.holder + " " + strconv.FormatInt(now.Add(leaseTerm).UnixMilli(), 10)
	got, err := l.store.Note(ctx, leaseNote, kept, text)
	return got == text, err
}

func parseLease(text string) (holder string, until time.Time) {
	holder, digits, _ := strings.Cut(text, " ")
	ms, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return "", time.Time{}
	}
	return holder, time.UnixMilli(ms)
}

// keep renews the lease in the background until release is called, which gives it back.
func (l *passLease) keep(parent context.Context) (held context.Context, release func()) {
	held, lose := context.WithCancelCause(parent)
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(leaseRenew)
		defer ticker.Stop()
		for renewed := time.Now(); ; {
			select {
			case <-done:
				return
			case <-ticker.C:
			}
			taken, err := l.take(held)
			switch {
			case err == nil && taken:
				renewed = time.Now()
			case err == nil, time.Since(renewed) > leaseTerm:
				lose(fmt.Errorf("%w: it took over", ErrElsewhere))
				return
			}
		}
	}()
	return held, func() {
		close(done)
		lose(nil)
		<-stopped
		l.giveBack(context.WithoutCancel(parent))
	}
}

// giveBack lets the next gateway take the lease at once. If that fails, it runs out.
func (l *passLease) giveBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leaseRenew)
	defer cancel()
	kept, err := l.store.Note(ctx, leaseNote, "", "")
	if holder, _ := parseLease(kept); err == nil && holder == l.holder {
		_, _ = l.store.Note(ctx, leaseNote, kept, freeLease)
	}
}
