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

// Errors of [Accounts.Hold]. ErrKeyRunning and ErrKeyMismatch are the others.
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
	// Route is the path of the request, escaped. The entries of a charge without a Key have
	// the first 64 bytes of it.
	Route string
	// Known is what is remembered of the account, if the request may pass because of that
	// while the store cannot be reached, and be charged later; nil if it may not. A request
	// with a Key never may: nobody could say whether it came before.
	Known *View
}

// keyMemory is how long a key that was charged is remembered.
const keyMemory = 24 * time.Hour

// Charge is what is held for one request, which must be ended. Its methods may be called
// concurrently.
type Charge struct {
	accounts *Accounts
	hold     book.Hold
	placed   *book.PlacedHold
	deferred bool // see [Charge.Deferred]

	announced  bool // AnnounceEnd was called
	endPending bool // pendingEnd is in Accounts.pendingEnds
	pendingEnd pendingEnd

	// Available is what can be spent besides what is held.
	Available int64
}

// Hold sets credits aside, in one round trip at the most. It returns [ErrInsufficient],
// [ErrKeyRunning], [ErrKeyMismatch] or a [FinishedError], or that the store is
// unavailable. What it may have set aside then is given back.
//
// An account that is known to have too little is refused without asking the store, by what
// [Accounts.View] shows. That can be some milliseconds older than what another gateway gave
// back or granted. A request with a Key always asks the store: it may have been charged
// before.
//
// Before it refuses, it waits for charges of the account whose end was announced
// ([Charge.AnnounceEnd]), and asks once more. Credits that the account owes for requests that passed without
// the store are not set aside for another: that is [store.ErrUnavailable], too, until
// those are charged.
func (a *Accounts) Hold(ctx context.Context, r HoldRequest) (*Charge, error) {
	trusted := r.Known != nil && r.Key == ""
	if trusted && a.deferred.away.Skips(r.Account) {
		if c := a.admitDeferred(r); c != nil {
			return c, nil
		}
	}
	before := a.pendingEnds.of(r.Account) // one of them may be written after the hold
	if r.Key == "" && len(before) == 0 && a.lacks(r.Account, r.Credits) {
		return nil, ErrInsufficient
	}
	c := &Charge{accounts: a, hold: book.Hold{
		Account: r.Account, ID: newChargeID("", r.Account, r.Route), Fingerprint: r.Fingerprint, Amount: r.Credits, TTL: r.TTL,
	}}
	if r.Key != "" {
		sum := sha256.Sum256([]byte(r.Key))
		c.hold.ID, c.hold.By = "charge:key:"+hex.EncodeToString(sum[:16]), rand.Text()
	}
	held, err := a.store.Hold(ctx, c.hold)
	if err == nil && (held.Outcome == book.HoldRefused || held.Outcome == book.HoldRunning) &&
		a.pendingEnds.wait(ctx, append(before, a.pendingEnds.of(r.Account)...)) {
		held, err = a.store.Hold(ctx, c.hold)
	}
	if err != nil {
		go c.undo(context.WithoutCancel(ctx)) // a request that is refused need not wait for it
		if errors.Is(err, store.ErrUnavailable) && trusted {
			a.deferred.away.Failed(r.Account)
			if c := a.admitDeferred(r); c != nil {
				return c, nil
			}
		}
		return nil, err
	}
	a.deferred.away.Answered(r.Account)
	c.placed = held.Placed
	c.Available = held.Account.Ledger.Available(a.clock())
	a.views.Put(r.Account, held.Account)
	switch {
	case held.Outcome != book.HoldPlaced:
		return nil, notPlaced(held)
	case c.Available < a.deferred.owes(r.Account):
		go c.undo(context.WithoutCancel(ctx))
		return nil, errOwes
	}
	return c, nil
}

// admitDeferred lets a request pass that is charged later; nil when it may not.
func (a *Accounts) admitDeferred(r HoldRequest) *Charge {
	hold, available, ok := a.deferred.admit(r)
	if !ok {
		return nil
	}
	return &Charge{accounts: a, deferred: true, Available: available, hold: hold}
}

// lacks reports whether the account is remembered to have fewer credits, and no order
// that waits to be paid. Everything that ended in this gateway before is in that.
func (a *Accounts) lacks(account string, credits int64) bool {
	v := a.views.Current(account)
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
		done, err := c.accounts.store.End(ctx, book.End{Account: c.hold.Account, ID: c.hold.ID, By: c.hold.By})
		if err == nil && done.Found {
			c.accounts.views.Put(c.hold.Account, done.Account)
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

// Deferred reports whether the request passed while the store could not be reached.
// Nothing is set aside in the store then; [Charge.End] charges it.
func (c *Charge) Deferred() bool { return c.deferred }

// Renew lets the hold run for its TTL from now on.
func (c *Charge) Renew(ctx context.Context) error {
	if c.deferred {
		return nil
	}
	renew := c.hold
	renew.Renew = true
	_, err := c.accounts.store.Hold(ctx, renew)
	return err
}

// AnnounceEnd says that the answer is decided, at captured credits, and End comes at once.
// From then on no hold is refused because of the rest. It must not be called twice.
func (c *Charge) AnnounceEnd(captured int64) {
	c.announced = true
	if c.deferred {
		c.accounts.deferred.decide(c.hold, captured)
	} else {
		c.endPending = true
		c.accounts.pendingEnds.begin(c.hold.Account, &c.pendingEnd)
	}
}

// End spends captured of what is held and gives the rest back. While the store
// is unavailable it tries again until the hold must have run out, or ctx ends.
// receipt is for a later request with the same idempotency key.
//
// A hold that is gone was released: nothing is spent, which is no error but
// reported as false.
//
// A deferred charge waits for the store for as long as it takes, or until ctx ends. It
// returns [ErrInsufficient] when less can be spent by then.
func (c *Charge) End(ctx context.Context, captured int64, receipt []byte) (spent bool, err error) {
	if c.deferred {
		if !c.announced {
			c.accounts.deferred.decide(c.hold, captured)
		}
		return c.accounts.deferred.end(ctx, c.hold, captured)
	}
	if c.endPending {
		defer c.accounts.pendingEnds.finish(&c.pendingEnd)
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
	done, err := c.accounts.store.End(ctx, e)
	if err == nil {
		c.accounts.views.Put(c.hold.Account, done.Account)
	}
	if err == nil && done.Found {
		c.accounts.daily.add(0, e.Captured)
	}
	return done.Found, err
}
