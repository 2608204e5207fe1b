package dodosim

import (
	"net/url"
	"strconv"
	"time"
)

// list is the body of every list with page numbers: only the items (FACTS 1.6).
type list[T any] struct {
	Items []T `json:"items"`
}

// window is one page of a list, numbered from 0.
type window struct{ number, size int }

const (
	defaultPageSize = 10
	maxPageSize     = 100
	// maxPageNumber stands for Dodo's undocumented limit of deep paging.
	maxPageNumber = 10_000
)

// slicePage returns one page of the whole list. It is empty after the end.
func slicePage[T any](all []T, w window) []T {
	from := min(w.number*w.size, len(all))
	return all[from:min(from+w.size, len(all))]
}

// query reads query parameters and keeps the first refusal.
type query struct {
	values  url.Values
	refusal *Error
}

func (q *query) text(name string) string { return q.values.Get(name) }

// page reads page_number and page_size. It refuses too large a size, as the API description
// does where it lists a 422.
func (q *query) page() window {
	return window{
		number: q.number("page_number", 0, maxPageNumber),
		size:   q.number("page_size", defaultPageSize, maxPageSize),
	}
}

func (q *query) number(name string, absent, highest int) int {
	raw := q.values.Get(name)
	if raw == "" {
		return absent
	}
	n, err := strconv.Atoi(raw)
	if err != nil || n < 0 || n > highest {
		q.refuse(name, "must be a whole number from 0 to %d", highest)
		return absent
	}
	return n
}

func (q *query) boolean(name string) bool {
	given := q.choice(name)
	return given != nil && *given
}

// choice is nil if the parameter is absent.
func (q *query) choice(name string) *bool {
	switch q.values.Get(name) {
	case "":
	case "false":
		return new(false)
	case "true":
		return new(true)
	default:
		q.refuse(name, "must be true or false")
	}
	return nil
}

// instant is zero if the parameter is absent.
func (q *query) instant(name string) time.Time {
	raw := q.values.Get(name)
	if raw == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, raw)
	if err != nil {
		q.refuse(name, "must be an RFC 3339 time")
	}
	return t
}

// within reports whether a time lies between two others, both included; a zero one is no
// limit.
func within(t, from, to time.Time) bool {
	return (from.IsZero() || !t.Before(from)) && (to.IsZero() || !t.After(to))
}

// oneOf accepts a value of the set, or none.
func (q *query) oneOf(name string, known map[string]bool) string {
	raw := q.values.Get(name)
	if raw != "" && !known[raw] {
		q.refuse(name, "has no such value")
	}
	return raw
}

func (q *query) refuse(name, format string, args ...any) {
	if q.refusal == nil {
		q.refusal = refuse(codeInvalidQuery, name+" "+format, args...)
	}
}
