package book

import (
	"errors"
	"fmt"
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
)

// Errors about orders.
var (
	// ErrNotFound: there is no such order or event.
	ErrNotFound = errors.New("not found")
	// ErrTooManyOrders: the account has [MaxOpenOrders] open orders.
	ErrTooManyOrders = errors.New("too many open orders")
)

// OrderState is how far an order has come.
type OrderState string

// The order states. An order is open until a payment says otherwise; failed and
// cancelled describe the last attempt, after which the customer may try again.
const (
	OrderOpen      OrderState = "open"
	OrderPaid      OrderState = "paid"
	OrderFailed    OrderState = "failed"
	OrderCancelled OrderState = "cancelled"
)

// Order is our record of one wish to buy.
type Order struct {
	ID        string                       `json:"id"` // unguessable
	Account   string                       `json:"account"`
	Product   string                       `json:"product"` // the catalog's name
	Quantity  int64                        `json:"quantity"`
	Terms     map[string]entitlement.Terms `json:"terms"` // by Dodo product id, as promised when it was made
	ReturnTo  string                       `json:"return_to"`
	Email     string                       `json:"email,omitempty"` // verified by the site's login, else empty
	State     OrderState                   `json:"state"`
	CreatedAt time.Time                    `json:"created_at"` // by the store's clock
	ExpiresAt time.Time                    `json:"expires_at"` // of the checkout session, or of the wait for it
	// Known once the session exists:
	SessionID   string `json:"session_id,omitempty"`
	CheckoutURL string `json:"checkout_url,omitempty"`
	// Known once a payment was made for it:
	PaymentID string `json:"payment_id,omitempty"`
}

// Ended reports whether the order can no longer be paid, and was not.
func (o Order) Ended(now time.Time) bool {
	return o.State != OrderPaid && !now.Before(o.ExpiresAt)
}

// MaxOpenOrders is how many unpaid, unexpired orders an account may have.
const MaxOpenOrders = 50

// MaxPurchases is how many of its newest orders an account is shown.
const MaxPurchases = 100

// Key is the idempotency key of a request that makes an order.
type Key struct {
	// Hash names the key within the account; empty when the caller sent none.
	Hash string
	// Fingerprint is a digest of what was asked.
	Fingerprint string
	// Lease is how long the caller may take before another may take over.
	Lease time.Duration
	// Keep is how long a finished key is remembered.
	Keep time.Duration
	// Ended is the id of an order that has [Order.Ended], or empty. A finished key
	// that leads to it is free.
	Ended string
}

// UsedKey is what is remembered of an idempotency key.
type UsedKey struct {
	Order       string // the first that was asked for by it
	By          string // the order of the caller at work
	Fingerprint string
	Done        bool
	Until       time.Time // end of the caller's lease or, when it is done, of the memory
}

// Start is how CreateOrder began.
type Start string

// The ways to begin.
const (
	// Created: the order is new and the caller must open or drop it.
	Created Start = "created"
	// Resumed: an earlier caller with this key did not finish in its lease. The
	// order returned is that caller's; this caller must open or drop it.
	Resumed Start = "resumed"
	// Replayed: the key is finished, the order returned is its result.
	Replayed Start = "replayed"
	// Running: the key is in use by a caller whose lease has not run out.
	Running Start = "running"
	// Mismatched: the key was used for something else.
	Mismatched Start = "mismatched"
)

func (b *Book) order(id string, isNew bool) (*Order, error) {
	if o, changed := b.changes.Orders.Get(id); changed {
		return o, nil
	}
	return b.source.Order(id, isNew)
}

// key finds an idempotency key that is still remembered; nil is none.
func (b *Book) key(hash string) (*UsedKey, error) {
	if hash == "" {
		return nil, nil
	}
	k, changed := b.changes.Keys.Get(hash)
	if !changed {
		var err error
		if k, err = b.source.Key(hash); err != nil {
			return nil, err
		}
	}
	if k == nil || k.Done && !b.Now.Before(k.Until) {
		return nil, nil
	}
	return k, nil
}

func (b *Book) putKey(hash string, k *UsedKey) {
	if hash != "" {
		b.changes.Keys.put(hash, k)
	}
}

// CreateOrder stores o, unless key says that it was asked for before. The order returned is
// the one to go on with. A repeat with the same order id is answered like the first. Running
// comes without an order, and Mismatched only with that of a finished key.
func (b *Book) CreateOrder(o Order, key Key) (Order, Start, error) {
	o.State, o.SessionID, o.CheckoutURL, o.PaymentID = OrderOpen, "", "", ""
	o, err := o.checked(key)
	if err != nil {
		return Order{}, "", fmt.Errorf("create order: %w", err)
	}
	known, err := b.key(key.Hash)
	if err != nil {
		return Order{}, "", err
	}
	if known != nil && (!known.Done || known.Order != key.Ended) {
		return b.again(o, key, *known)
	}
	stored, err := b.order(o.ID, true)
	if err != nil {
		return Order{}, "", err
	}
	running := &UsedKey{Order: o.ID, By: o.ID, Fingerprint: key.Fingerprint, Until: b.Now.Add(key.Lease)}
	if stored != nil { // a repeat
		b.putKey(key.Hash, running)
		return *stored, Created, nil
	}
	open, err := b.source.OpenOrders()
	if err != nil {
		return Order{}, "", err
	}
	for _, row := range b.changes.Orders {
		if row.Value != nil && row.Value.CreatedAt.Equal(b.Now) && row.Value.State == OrderOpen {
			open++
		}
	}
	if open >= MaxOpenOrders {
		return Order{}, "", ErrTooManyOrders
	}
	o.CreatedAt = b.Now
	b.changes.Orders.put(o.ID, &o)
	b.putKey(key.Hash, running)
	return o, Created, nil
}

// again answers for a key that was seen before, and takes the order over when
// its caller did not finish in time.
func (b *Book) again(o Order, key Key, known UsedKey) (Order, Start, error) {
	asked := known.Fingerprint == key.Fingerprint
	if asked && !known.Done && known.By != o.ID && b.Now.Before(known.Until) {
		return Order{}, Running, nil
	}
	first, err := b.order(known.Order, false)
	switch {
	case err != nil:
		return Order{}, "", err
	case first == nil: // the order was forgotten before its key: then so is the key
		b.putKey(key.Hash, nil)
		return b.CreateOrder(o, key)
	case !asked && !known.Done:
		return Order{}, Mismatched, nil
	case !asked:
		return *first, Mismatched, nil
	case known.Done:
		return *first, Replayed, nil
	}
	start := Resumed
	if first.ID == o.ID {
		start = Created
	}
	b.putKey(key.Hash, &UsedKey{Order: known.Order, By: o.ID, Fingerprint: key.Fingerprint, Until: b.Now.Add(key.Lease)})
	return *first, start, nil
}

// OpenOrder stores the session of an order, with its expiry where that is set, and finishes
// its key. An order that has a session keeps it: refused is ErrConflict then, if that is
// another one, and ErrNotFound when the order was dropped. The session is claimed in any case.
func (b *Book) OpenOrder(o Order, key Key) (refused, err error) {
	if o.SessionID == "" {
		return nil, fmt.Errorf("open order: %w", errNoSession)
	}
	session := entitlement.Ref{Kind: entitlement.KindSession, ID: o.SessionID}
	o, err = o.checked(key)
	if err = errors.Join(err, CheckRef(session)); err != nil {
		return nil, fmt.Errorf("open order: %w", err)
	}
	refused, err = b.openOrder(o, key)
	if err == nil {
		b.changes.Claims = append(b.changes.Claims, session)
	}
	return refused, err
}

func (b *Book) openOrder(o Order, key Key) (refused, err error) {
	stored, err := b.order(o.ID, false)
	if err != nil {
		return nil, err
	}
	if stored == nil {
		return ErrNotFound, nil
	}
	known, err := b.key(key.Hash)
	if err != nil {
		return nil, err
	}
	if stored.SessionID != "" && stored.SessionID != o.SessionID {
		refused = ErrConflict
	}
	if stored.SessionID == "" {
		opened := *stored
		opened.SessionID, opened.CheckoutURL = o.SessionID, o.CheckoutURL
		if !o.ExpiresAt.IsZero() {
			opened.ExpiresAt = o.ExpiresAt
		}
		b.changes.Orders.put(o.ID, &opened)
	}
	if known == nil || known.Order == o.ID && !known.Done {
		b.putKey(key.Hash, &UsedKey{Order: o.ID, By: o.ID, Fingerprint: key.Fingerprint, Done: true, Until: b.Now.Add(key.Keep)})
	}
	return refused, nil
}

// DropOrder forgets an order without a session and its key, so that the key can be used
// again. Dropping what is not there does nothing; a paid order stays, but its key is free.
func (b *Book) DropOrder(o Order, key Key) error {
	o, err := o.checked(key)
	if err != nil {
		return fmt.Errorf("drop order: %w", err)
	}
	stored, err := b.order(o.ID, false)
	if err != nil {
		return err
	}
	known, err := b.key(key.Hash)
	if err != nil {
		return err
	}
	if stored != nil && stored.SessionID != "" {
		return nil
	}
	if stored != nil && stored.State != OrderPaid {
		b.changes.Orders.put(o.ID, nil)
	}
	if known != nil && known.Order == o.ID {
		b.putKey(key.Hash, nil)
	}
	return nil
}
