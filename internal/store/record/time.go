package record

import (
	"strconv"
	"time"

	"github.com/dodogate/dodogate/internal/book"
)

// Millis writes a time as UTC milliseconds since 1970, or "-" when it is zero.
func Millis(t time.Time) string { return string(AppendMillis(nil, t)) }

// AppendMillis appends what Millis writes.
func AppendMillis(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, '-')
	}
	return strconv.AppendInt(b, t.UnixMilli(), 10)
}

// ParseMillis reads what Millis wrote.
func ParseMillis(s string) (time.Time, error) {
	if s == "-" {
		return time.Time{}, nil
	}
	ms, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}, errDamaged("time", s)
	}
	return time.UnixMilli(ms).UTC(), nil
}

// errDamaged says that a stored value is not what this package wrote. Values
// may be about people, so only a short piece of it is shown.
func errDamaged(what, value string) error { return book.Damaged("stored %s: %.40q", what, value) }
