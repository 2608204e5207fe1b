package gateway

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

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
}

// keyMemory is how long a key that was charged is remembered.
const keyMemory = 24 * time.Hour

// Charge is a hold for one request, which must be ended. Its methods may be called
// concurrently.
type Charge struct {
	gateway *Gateway
	hold    store.Hold
	// Available is what can be spent beside what is held.
	Available int64
}

// Hold sets credits aside, in one round trip. It returns [ErrInsufficient],
// [ErrKeyRunning], [ErrKeyMismatch] or a [FinishedError], or that the store is
// unavailable. What it may have set aside then is given back.
func (g *Gateway) Hold(ctx context.Context, r HoldRequest) (*Charge, error) {
	c := &Charge{gateway: g, hold: store.Hold{
		Account: r.Account, ID: "charge:" + rand.Text(), Fingerprint: r.Fingerprint, Amount: r.Credits, TTL: r.TTL,
	}}
	if r.Key != "" {
		sum := sha256.Sum256([]byte(r.Key))
		c.hold.ID, c.hold.By = "charge:key:"+hex.EncodeToString(sum[:16]), rand.Text()
	}
	held, err := g.Store.Hold(ctx, c.hold)
	if err != nil {
		return nil, errors.Join(err, c.undo(ctx))
	}
	c.Available = held.Account.Ledger.Available(g.Clock())
	g.views.Put(r.Account, held.Account)
	switch held.Outcome {
	case store.HoldPlaced:
		return c, nil
	case store.HoldRefused:
		return nil, ErrInsufficient
	case store.HoldRunning:
		return nil, ErrKeyRunning
	case store.HoldMismatched:
		return nil, ErrKeyMismatch
	case store.HoldFinished:
		return nil, &FinishedError{Charged: held.Captured, Receipt: held.Receipt}
	default:
		return nil, fmt.Errorf("hold: unknown outcome %q", held.Outcome)
	}
}

// undoPatience bounds the attempt to give back what may have been held by a hold
// that went unanswered. If it fails, the hold runs out.
const undoPatience = time.Second

func (c *Charge) undo(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoPatience)
	defer cancel()
	_, err := c.gateway.Store.End(ctx, store.End{Account: c.hold.Account, ID: c.hold.ID, By: c.hold.By})
	return err
}

// Held is how many credits are set aside.
func (c *Charge) Held() int64 { return c.hold.Amount }

// Renew lets the hold run for its TTL from now on.
func (c *Charge) Renew(ctx context.Context) error {
	renew := c.hold
	renew.Renew = true
	_, err := c.gateway.Store.Hold(ctx, renew)
	return err
}

// End spends captured of what is held and gives the rest back. While the store
// is unavailable it tries again until the hold must have run out, or ctx ends.
// receipt is for whoever comes with the same idempotency key.
//
// A hold that is gone was released: nothing is spent, which is no error but
// reported as false.
func (c *Charge) End(ctx context.Context, captured int64, receipt []byte) (spent bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.hold.TTL)
	defer cancel()
	e := store.End{Account: c.hold.Account, ID: c.hold.ID, By: c.hold.By, Captured: captured, Receipt: receipt}
	if c.hold.By != "" {
		e.Keep = keyMemory
	}
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		done, err := c.gateway.Store.End(ctx, e)
		if err == nil {
			c.gateway.views.Put(c.hold.Account, done.Account)
		}
		if !errors.Is(err, store.ErrUnavailable) {
			return done.Found, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return false, err
		}
	}
}
