package gateway

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"sync"
	"time"
)

// ErrTooManyRequests says that a call to Dodo is not made now, because of the
// calls before it. Errors that wrap it are a [*TooManyRequestsError].
var ErrTooManyRequests = errors.New("too many requests that need a call to Dodo")

// TooManyRequestsError says which limit was reached, and when to come again.
type TooManyRequestsError struct {
	RetryAfter time.Duration
	Limit      Limit
}

func (e *TooManyRequestsError) Error() string {
	return ErrTooManyRequests.Error() + ": " + string(e.Limit)
}

// Unwrap is [ErrTooManyRequests].
func (e *TooManyRequestsError) Unwrap() error { return ErrTooManyRequests }

// Limit names a limit of a [Budget].
type Limit string

// The limits.
const (
	// LimitCaller: the account, or its address, has caused many calls.
	LimitCaller Limit = "calls of one account or address"
	// LimitCodes: the account, or its address, has tried many wrong discount codes.
	LimitCodes Limit = "wrong discount codes"
	// LimitGateway: the whole gateway has made as many calls as it may.
	LimitGateway Limit = "calls of the whole gateway"
)

// purpose is what a call to Dodo is for.
type purpose int

const (
	forReconcile purpose = iota // also of a call that does not say
	forConfirm
	forCheckout
	forPrices
	purposes // how many there are
)

// The calls that a gateway may make in a minute: all that Dodo allows a new
// business (FACTS 1.4), and what an operator may set; the most is for simulators.
const (
	DefaultBudget  = 240
	SmallestBudget = 10
	LargestBudget  = 1_000_000
)

// jitter is how much longer one call may take to reach Dodo than another. So many
// calls of a minute do not arrive within less.
const jitter = time.Second

// patience is how long a customer waits for a call that the whole gateway may make
// soon. Short bursts are smoothed by it instead of refused.
const patience = 5 * time.Second

// BudgetOptions are the parts of a [Budget]. All may be left zero.
type BudgetOptions struct {
	// PerMinute is the most calls in any minute, [SmallestBudget] to
	// [LargestBudget]; [DefaultBudget] when 0.
	PerMinute int
	// Clock is [time.Now] when nil.
	Clock func() time.Time
	// Sleep waits until d has passed or ctx ends; in real time when nil.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Budget limits the calls to Dodo, so that no customer can use up what Dodo allows
// the whole business. Every call is admitted by it, repeats of failed calls too.
//
//   - In any minute there are at most PerMinute calls, and in any second as many as
//     Dodo allows with that number.
//   - A quarter of them is kept for checkouts, one for confirming orders, and one
//     for reconciling. The last quarter goes to the calls that come first.
//   - One account, and one address, can cause only a part of them.
//   - After wrong discount codes an account, and an address, must pause before the
//     next code. The pause grows.
//
// Memory is bounded: only a call that was made is remembered, and for minutes.
// A Budget may be used by many goroutines at once.
type Budget struct {
	clock func() time.Time
	sleep func(context.Context, time.Duration) error

	mu      sync.Mutex
	second  window
	minute  window
	callers callers
	codes   wrongCodes
}

// NewBudget makes a budget.
func NewBudget(o BudgetOptions) *Budget {
	if o.PerMinute == 0 {
		o.PerMinute = DefaultBudget
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	n := o.PerMinute
	return &Budget{
		clock: o.Clock, sleep: o.Sleep,
		second:  newWindow(time.Second, perSecond(n)),
		minute:  newWindow(time.Minute+jitter, n),
		callers: newCallers(n),
		codes:   newWrongCodes(),
	}
}

// perSecond is how many of the calls of a minute may be made in one second: what Dodo
// allows at each of its levels (FACTS 1.4).
func perSecond(perMinute int) int {
	return max(perMinute/10, min(perMinute/6, 40), SmallestBudget)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Admit is asked before each call to Dodo; ctx says who causes it and what for.
// It returns [ErrTooManyRequests] for a call that must not be made now. Reconciling
// is never refused: it waits until it may go on, or ctx ends.
func (b *Budget) Admit(ctx context.Context) error {
	c := callOf(ctx)
	left := patience
	if c.purpose == forReconcile {
		left = math.MaxInt64
	}
	for {
		own, shared := b.reserve(c)
		if own == 0 && shared == 0 {
			return nil
		}
		if err := tooMany(own, shared, left); err != nil {
			return err
		}
		if err := b.sleep(ctx, shared); err != nil {
			return err
		}
		left -= shared
	}
}

// tooMany refuses a call that its caller may make only after own, and the whole
// gateway only after shared, if that is too long to wait.
func tooMany(own, shared, patience time.Duration) error {
	switch {
	case own > 0:
		return &TooManyRequestsError{RetryAfter: max(own, shared), Limit: LimitCaller}
	case shared > patience:
		return &TooManyRequestsError{RetryAfter: shared, Limit: LimitGateway}
	}
	return nil
}

// reserve counts the call if it may be made now. Otherwise it returns how long the
// caller, and the whole gateway, must wait.
func (b *Budget) reserve(c call) (own, shared time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock()
	own, shared = b.waits(now, c)
	if own == 0 && shared == 0 {
		b.second.add(now, c.purpose)
		b.minute.add(now, c.purpose)
		b.callers.add(now, c)
	}
	return own, shared
}

func (b *Budget) waits(now time.Time, c call) (own, shared time.Duration) {
	shared = max(b.second.wait(now, c.purpose), b.minute.wait(now, c.purpose))
	return b.callers.wait(now, c), shared
}

// check returns the error that a call would be refused with, and counts nothing.
// withCode says that a discount code is to be tried.
func (b *Budget) check(c call, withCode bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock()
	if wait := b.codes.wait(now, c); withCode && wait > 0 {
		return &TooManyRequestsError{RetryAfter: wait, Limit: LimitCodes}
	}
	own, shared := b.waits(now, c)
	return tooMany(own, shared, patience)
}

// wrongCode notes that Dodo refused the discount code of a call.
func (b *Budget) wrongCode(c call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.codes.add(b.clock(), c)
}

// call is a call to Dodo: what it is for, and who causes it. Without an account it
// is caused by nobody, and without a network the address is not known.
type call struct {
	purpose purpose
	account string
	network netip.Prefix
}

type (
	callKey    struct{}
	networkKey struct{}
)

// WithAddress notes the address that a request comes from. Calls to Dodo that the
// request causes are counted for it, those of IPv6 for its /64: that is the least
// that one customer of a network gets.
func WithAddress(ctx context.Context, address netip.Addr) context.Context {
	address = address.Unmap()
	bits := address.BitLen()
	if address.Is6() {
		bits = 64
	}
	network, err := address.Prefix(bits)
	if err != nil { // no address
		return ctx
	}
	return context.WithValue(ctx, networkKey{}, network)
}

// callFor is a call that an account causes from the address of ctx.
func callFor(ctx context.Context, p purpose, account string) call {
	network, _ := ctx.Value(networkKey{}).(netip.Prefix)
	return call{purpose: p, account: account, network: network}
}

// withCall says what calls to Dodo are for that are made with the context.
func withCall(ctx context.Context, c call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

func callOf(ctx context.Context) call {
	c, _ := ctx.Value(callKey{}).(call)
	return c
}
