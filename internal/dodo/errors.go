package dodo

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// The ways in which a call to Dodo fails. Every error of [Client]'s calls is an [*Error]
// that wraps exactly one of these.
var (
	// ErrUnavailable: no connection, a timeout, 408, 429 or 5xx. The request may or may not
	// have had its effect; trying again later is right. 503.
	ErrUnavailable = errors.New("dodo is unavailable")
	// ErrBadAnswer: an answer that does not come from Dodo's API or is unusable: a redirect, a
	// web page, truncated, endless, or without the requested data. 502.
	ErrBadAnswer = errors.New("dodo's answer cannot be used")
	// ErrRejected: Dodo refused the request; [Error.Code] says why.
	ErrRejected = errors.New("dodo rejected the request")
	// ErrNotFound: Dodo has no such object in this mode.
	ErrNotFound = errors.New("not found at dodo")
	// ErrUnauthorized: the API key is wrong, belongs to the other mode, or may not write
	// (FACTS 1.2). The operator must fix it; the customer cannot.
	ErrUnauthorized = errors.New("dodo refused the api key")
)

// Error is a failed call. It is safe to log: it contains no secret, no address and, from
// bodies, only Dodo's error code.
type Error struct {
	Op       string // the operation, such as "create checkout"
	Status   int    // the last HTTP status; 0 if there was no answer
	Code     string // Dodo's code, such as "INVALID_DISCOUNT_CODE"; or ""
	Attempts int    // number of attempts made
	// RetryAfter is how long Dodo asks to wait; 0 if it did not say.
	RetryAfter time.Duration

	kind   error // one of the sentinels above
	reason string
	cause  error // the context's error, or ErrUnclear or ErrMalformed, or nil
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %v", e.Op, e.kind)
	if e.reason != "" {
		b.WriteString(": " + e.reason)
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

// Unwrap returns the sentinel and, if the caller's context ended or an answer was not
// understood, that error too, such as [ErrUnclear].
func (e *Error) Unwrap() []error {
	if e.cause == nil {
		return []error{e.kind}
	}
	return []error{e.kind, e.cause}
}

// isCode reports whether s looks like one of Dodo's error codes (FACTS 1.3). Nothing else of
// an error's body is kept.
func isCode(s string) bool {
	return len(s) > 0 && len(s) <= 64 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}
