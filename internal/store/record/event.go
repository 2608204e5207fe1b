package record

import (
	"errors"

	"github.com/dodogate/dodogate/internal/book"
)

// CheckEvent refuses an event whose names cannot be stored.
func CheckEvent(e book.Event) error {
	if e.ID == "" {
		return errors.New("event id is empty")
	}
	return CheckNames(e.ID, e.Type, e.Object, e.Account)
}
