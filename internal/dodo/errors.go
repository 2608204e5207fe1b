package dodo

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// What a call to Dodo comes to when it does not come to an answer. Every error
// of [Client]'s calls is an [*Error] that wraps exactly one of these.
var (
	// ErrUnavailable: no connection, no answer in time, 408, 429 or 5xx. What was
	// asked may or may not have happened; asking again later is right. 503.
	ErrUnavailable = errors.New("dodo is unavailable")
	// ErrBadAnswer: an answer that is none of Dodo's: a redirect, a web page, cut
	// short, without end, or without what was asked for. 502.
	ErrBadAnswer = errors.New("dodo's answer cannot be used")
	// ErrRejected: Dodo understood and said no; [Error.Code] tells why.
	ErrRejected = errors.New("dodo rejected the request")
	// ErrNotFound: Dodo has no such object (in this mode).
	ErrNotFound = errors.New("not found at dodo")
	// ErrUnauthorized: the API key is wrong, of the other mode, or may not write
	// (FACTS 1.2). For the operator, not for the customer.
	ErrUnauthorized = errors.New("dodo refused the api key")
)

// Error is a failed call. It holds no secret, no address and no part of a body
// but Dodo's error code, so that it can be logged whole.
type Error struct {
	Op       string // what was tried, such as "create checkout"
	Status   int    // the last HTTP status; 0 when there was no answer
	Code     string // Dodo's code, such as "INVALID_DISCOUNT_CODE"; or ""
	Attempts int    // how often it was tried
	// RetryAfter is how long Dodo wants to be left alone; 0 when it did not say.
	RetryAfter time.Duration

	kind  error // one of the sentinels above
	why   string
	cause error // the context's error, or ErrUnclear or ErrMalformed, or nil
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %v", e.Op, e.kind)
	if e.why != "" {
		b.WriteString(": " + e.why)
	}
	if e.cause != nil {
		b.WriteString(": " + e.cause.Error())
	}
	if e.Status != 0 {
		fmt.Fprintf(&b, " (status %d)", e.Status)
	}
	if e.Code != "" {
		b.WriteString(" (code " + e.Code + ")")
	}
	if e.Attempts > 1 {
		fmt.Fprintf(&b, " after %d attempts", e.Attempts)
	}
	return b.String()
}

// Unwrap gives the sentinel and, where the caller's context ended or an answer
// was not understood, that error too: [ErrUnclear] is one of them.
func (e *Error) Unwrap() []error {
	if e.cause == nil {
		return []error{e.kind}
	}
	return []error{e.kind, e.cause}
}

// isCode is what Dodo's error codes look like (FACTS 1.3). Nothing else of an
// error's body is kept.
func isCode(s string) bool {
	return len(s) > 0 && len(s) <= 64 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}
