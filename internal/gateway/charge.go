package gateway

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
)

// Errors of [Gateway.Hold]. ErrKeyRunning and ErrKeyMismatch are the others.
var (
	// ErrInsufficient: fewer credits can be spent.
	ErrInsufficient = errors.New("insufficient credits")
	// ErrKeyFinished: the idempotency key was charged before; see [FinishedError].
	ErrKeyFinished = errors.New("idempotency key was charged before")
)

// FinishedError says what a request with the same idempotency key was charged
// before. It is [ErrKeyFinished].
type FinishedError struct {
	Charged int64  // credits
	Receipt []byte // as it was handed to [Charge.End]
}

func (*FinishedError) Error() string { return ErrKeyFinished.Error() }
func (*FinishedError) Unwrap() error { return ErrKeyFinished }

// HoldRequest asks for credits to be set aside for one request.
type HoldRequest struct {
	Account string
	Credits int64         // the most that the request may cost
	TTL     time.Duration // after which the hold is released unless it is renewed
	// Key is the request's idempotency key; empty for none. Fingerprint digests
	// what the request asks for, so that a key is not used for something else.
	Key, Fingerprint string
	// Known is what is remembered of the account, where the request may pass on the
	// strength of that while the store cannot be reached, and be charged later. nil
	// is where it may not. A request with a Key never may: nobody could say whether
	// it came before.
	Known *View
}

// keyMemory is how long a key that was charged is remembered.
const keyMemory = 24 * time.Hour

// Charge is what is held for one request, which must be ended. Its methods may be called
// concurrently.
type Charge struct {
	gateway *Gateway
	hold    book.Hold
	placed  *book.PlacedHold
	late    bool
	told    bool // Ending was called
	noted   bool // ending is among those that are to be written
	ending  anEnd
	// Available is what can be spent beside what is held.
	Available int64
}

// Hold sets credits aside, in one round trip at the most. It returns [ErrInsufficient],
// [ErrKeyRunning], [ErrKeyMismatch] or a [FinishedError], or that the store is
// unavailable. What it may have set aside then is given back.
//
// An account that is known to have too little is refused without the store, as
// [Gateway.View] shows it: that can be milliseconds behind what another gateway gave
// back or granted, as everything is that requests are told. A request with a Key is
// not: it may have been charged before.
//
// Before it refuses, it waits for charges of the account that are [Charge.Ending],
// and asks once more. Credits that the account owes for requests that passed without
// the store are not set aside for another: that is [store.ErrUnavailable], too, until
// those are charged.
func (g *Gateway) Hold(ctx context.Context, r HoldRequest) (*Charge, error) {
	trusted := r.Known != nil && r.Key == ""
	if trusted && g.late.stands() {
		if c := g.late.pass(r); c != nil {
			return c, nil
		}
	}
	before := g.ending.noted(r.Account) // one of them may be written behind the hold
	if r.Key == "" && len(before) == 0 && g.lacks(r.Account, r.Credits) {
		return nil, ErrInsufficient
	}
	c := &Charge{gateway: g, hold: book.Hold{
		Account: r.Account, ID: "charge:" + rand.Text(), Fingerprint: r.Fingerprint, Amount: r.Credits, TTL: r.TTL,
	}}
	if r.Key != "" {
		sum := sha256.Sum256([]byte(r.Key))
		c.hold.ID, c.hold.By = "charge:key:"+hex.EncodeToString(sum[:16]), rand.Text()
	}
	held, err := g.Store.Hold(ctx, c.hold)
	if err == nil && (held.Outcome == book.HoldRefused || held.Outcome == book.HoldRunning) &&
		g.ending.wait(ctx, append(before, g.ending.noted(r.Account)...)) {
		held, err = g.Store.Hold(ctx, c.hold)
	}
	if err != nil {
		go c.undo(context.WithoutCancel(ctx)) // whoever is refused need not wait for it
		if errors.Is(err, store.ErrUnavailable) && trusted {
			g.late.leaveAlone()
			if c := g.late.pass(r); c != nil {
				return c, nil
			}
		}
		return nil, err
	}
	g.late.answered()
	c.placed = held.Placed
	c.Available = held.Account.Ledger.Available(g.Clock())
	g.views.Put(r.Account, held.Account)
	switch {
	case held.Outcome != book.HoldPlaced:
		return nil, notPlaced(held)
	case c.Available < g.late.owes(r.Account):
		go c.undo(context.WithoutCancel(ctx))
		return nil, errOwes
	}
	return c, nil
}

// lacks reports whether the account is remembered to have fewer credits, and no order
// that waits to be paid. Everything that ended in this gateway before is in that.
func (g *Gateway) lacks(account string, credits int64) bool {
	v := g.views.Current(account)
	return v != nil && v.Settled() && v.Credits < credits
}

var errOwes = fmt.Errorf("%w: requests that passed without it are not charged yet", store.ErrUnavailable)

// notPlaced says why a hold was not.
func notPlaced(held book.Held) error {
	switch held.Outcome {
	case book.HoldRefused:
		return ErrInsufficient
	case book.HoldRunning:
		return ErrKeyRunning
	case book.HoldMismatched:
		return ErrKeyMismatch
	case book.HoldFinished:
		return &FinishedError{Charged: held.Captured, Receipt: held.Receipt}
	default:
		return fmt.Errorf("hold: unknown outcome %q", held.Outcome)
	}
}

// undoPatience bounds the attempts to give back what may have been held by a hold
// that went unanswered. If they fail, the hold runs out.
const undoPatience = time.Second

// undo gives back what a hold may have set aside, or sets aside yet: a request that was
// given up can still be on its way to the store, on another connection than its end.
func (c *Charge) undo(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, undoPatience)
	defer cancel()
	for pause := undoPatience / 4; ; pause *= 2 {
		done, err := c.gateway.Store.End(ctx, book.End{Account: c.hold.Account, ID: c.hold.ID, By: c.hold.By})
		if err == nil && done.Found {
			c.gateway.views.Put(c.hold.Account, done.Account)
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// Held is how many credits are set aside.
func (c *Charge) Held() int64 { return c.hold.Amount }

// Late reports whether the request passed while the store could not be reached.
// Nothing is set aside in the store then; [Charge.End] charges it.
func (c *Charge) Late() bool { return c.late }

// Renew lets the hold run for its TTL from now on.
func (c *Charge) Renew(ctx context.Context) error {
	if c.late {
		return nil
	}
	renew := c.hold
	renew.Renew = true
	_, err := c.gateway.Store.Hold(ctx, renew)
	return err
}

// Ending says that the answer is decided, at captured credits, and End comes at once.
// Whoever asks from then on is not refused for the rest. It must not be called twice.
func (c *Charge) Ending(captured int64) {
	c.told = true
	if c.late {
		c.gateway.late.decide(c.hold, captured)
	} else {
		c.noted = true
		c.gateway.ending.begin(c.hold.Account, &c.ending)
	}
}

// End spends captured of what is held and gives the rest back. While the store
// is unavailable it tries again until the hold must have run out, or ctx ends.
// receipt is for whoever comes with the same idempotency key.
//
// A hold that is gone was released: nothing is spent, which is no error but
// reported as false.
//
// A late charge waits for the store for as long as it takes, or until ctx ends. It
// returns [ErrInsufficient] when less can be spent by then.
func (c *Charge) End(ctx context.Context, captured int64, receipt []byte) (spent bool, err error) {
	if c.late {
		if !c.told {
			c.gateway.late.decide(c.hold, captured)
		}
		return c.gateway.late.end(ctx, c.hold, captured)
	}
	if c.noted {
		defer c.gateway.ending.done(&c.ending)
	}
	e := book.End{Account: c.hold.Account, ID: c.hold.ID, By: c.hold.By, Captured: captured, Receipt: receipt, Placed: c.placed}
	if c.hold.By != "" {
		e.Keep = keyMemory
	}
	spent, err = c.end(ctx, e)
	if !errors.Is(err, store.ErrUnavailable) {
		return spent, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.hold.TTL)
	defer cancel()
	for pause := 50 * time.Millisecond; errors.Is(err, store.ErrUnavailable); pause = min(2*pause, 2*time.Second) {
		select {
		case <-time.After(pause):
			spent, err = c.end(ctx, e)
		case <-ctx.Done():
			return false, err
		}
	}
	return spent, err
}

func (c *Charge) end(ctx context.Context, e book.End) (spent bool, err error) {
	done, err := c.gateway.Store.End(ctx, e)
	if err == nil {
		c.gateway.views.Put(c.hold.Account, done.Account)
	}
	return done.Found, err
}
