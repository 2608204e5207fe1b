package record

import (
	"fmt"

	json "github.com/go-json-experiment/json/v1"

	"github.com/dodogate/dodogate/internal/book"
)

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
