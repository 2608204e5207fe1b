package record

import (
	"errors"
	"fmt"

	json "github.com/go-json-experiment/json/v1"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// CheckOrder refuses an order or a key that cannot be stored, and returns the
// order with its times in UTC milliseconds.
func CheckOrder(o book.Order, key book.Key) (book.Order, error) {
	if err := CheckAccount(o.Account); err != nil {
		return o, err
	}
	if o.ID == "" {
		return o, errors.New("order id is empty")
	}
	if err := CheckNames(o.ID, key.Hash, key.Fingerprint); err != nil {
		return o, err
	}
	var err1, err2 error
	o.CreatedAt, err1 = Time(o.CreatedAt)
	o.ExpiresAt, err2 = Time(o.ExpiresAt)
	if err := errors.Join(err1, err2); err != nil {
		return o, fmt.Errorf("order: %w", err)
	}
	return o, nil
}

// NewOrder is CheckOrder for an order that is to be made: it is open, and has
// neither a session nor a payment.
func NewOrder(o book.Order, key book.Key) (book.Order, error) {
	o.State, o.SessionID, o.CheckoutURL, o.PaymentID = book.OrderOpen, "", "", ""
	return CheckOrder(o, key)
}

// OpenedOrder is CheckOrder for an order that has got its session, which it names.
func OpenedOrder(o book.Order, key book.Key) (book.Order, entitlement.Ref, error) {
	session := entitlement.Ref{Kind: entitlement.KindSession, ID: o.SessionID}
	if o.SessionID == "" {
		return o, session, errNoSession
	}
	o, err := CheckOrder(o, key)
	return o, session, errors.Join(err, CheckRef(session))
}

// Order writes an order as JSON, but for its id and account: they are in the
// name that it is stored under.
func Order(o book.Order) ([]byte, error) {
	o.ID, o.Account = "", ""
	b, err := json.Marshal(&o)
	if err != nil {
		return nil, fmt.Errorf("write order: %w", err)
	}
	return b, nil
}

// ParseOrder reads what Order wrote.
func ParseOrder(account, id string, b []byte) (book.Order, error) {
	var o book.Order
	if err := json.Unmarshal(b, &o); err != nil {
		return o, errDamaged("order", string(b))
	}
	o.Account, o.ID = account, id
	return o, nil
}
