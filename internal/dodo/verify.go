package dodo

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// The reasons why [Verifier.Verify] refuses a delivery.
var (
	// ErrSignature: not signed, or not with a configured secret. 401.
	ErrSignature = errors.New("webhook signature does not verify")
	// ErrStale: sent too long ago or too far in the future. 401. If every delivery is stale,
	// the host's clock is wrong.
	ErrStale = errors.New("webhook timestamp is too far from now")
	// ErrMalformed: headers or a body that Dodo does not send. 400. [Decode] returns it too.
	ErrMalformed = errors.New("malformed")
)

// StaleError is an [ErrStale] with the age.
type StaleError struct {
	// Age is the number of seconds since the delivery's timestamp; negative if it is in the
	// future.
	Age int64
}

func (e *StaleError) Error() string { return fmt.Sprintf("%v: %d seconds old", ErrStale, e.Age) }

// Unwrap makes it an [ErrStale].
func (e *StaleError) Unwrap() error { return ErrStale }

// tolerance is the largest difference between a delivery's timestamp and now, in both
// directions, as in all reference libraries (RELIABILITY 1.1).
const tolerance = 300 // seconds

// maxSignatures bounds the candidates in one header. A sender signs once for each live secret:
// two during a rotation.
const maxSignatures = 16

// maxSecrets bounds the work of one delivery: each secret signs its body once.
const maxSecrets = 16

// Delivery is one verified webhook delivery.
type Delivery struct {
	ID     string    // the event's id: the same on every retry and replay of it
	SentAt time.Time // of this attempt, UTC; a retry has a later one
}

// Verifier checks that webhooks come from Dodo, by Standard Webhooks v1 (FACTS 3.1). It is
// safe for concurrent use.
type Verifier struct {
	keys  atomic.Pointer[[][]byte]
	clock func() time.Time
}

// NewVerifier accepts signatures by any of the secrets, so that a secret can be rotated. It
// refuses weak or malformed secrets; the error names a secret by its position, never by its
// value. A nil clock is [time.Now].
func NewVerifier(secrets []string, clock func() time.Time) (*Verifier, error) {
	if clock == nil {
		clock = time.Now
	}
	v := &Verifier{clock: clock}
	if err := v.Rotate(secrets); err != nil {
		return nil, err
	}
	return v, nil
}

// Rotate accepts what any one of these secrets signed, and nothing else, from the next
// delivery on. It refuses what [NewVerifier] refuses; then the secrets stay as they are.
func (v *Verifier) Rotate(secrets []string) error {
	switch {
	case len(secrets) == 0:
		return errors.New("no webhook secret")
	case len(secrets) > maxSecrets:
		return fmt.Errorf("%d webhook secrets, at most %d can be used", len(secrets), maxSecrets)
	}
	keys := make([][]byte, 0, len(secrets))
	for i, secret := range secrets {
		key, err := parseSecret(secret)
		if err != nil {
			return fmt.Errorf("webhook secret %d: %w", i+1, err)
		}
		keys = append(keys, key)
	}
	v.keys.Store(&keys)
	return nil
}

// VerifyHeaders checks the headers before the body is read: [ErrSignature] for missing
// headers, [ErrStale], [ErrMalformed]. Success does not prove the sender.
func (v *Verifier) VerifyHeaders(h http.Header) error {
	signed, err := readHeaders(h)
	if err != nil {
		return err
	}
	_, err = v.checkAge(signed.timestamp)
	return err
}

// Verify proves that Dodo sent body, and returns the delivery. Its errors are [ErrSignature],
// [ErrStale] and [ErrMalformed]. body is the exact bytes received.
//
// The Go library of Standard Webhooks is not used (RELIABILITY 1.2): it takes the first of
// repeated headers, any id and any spelling of a number, and reads the clock of the host. To
// check a signature, it copies the body twice, which anybody may send.
func (v *Verifier) Verify(h http.Header, body []byte) (Delivery, error) {
	signed, err := readHeaders(h)
	if err != nil {
		return Delivery{}, err
	}
	sentAt, err := v.checkAge(signed.timestamp)
	if err != nil {
		return Delivery{}, err
	}
	if !v.isSigned(signed, body) {
		return Delivery{}, ErrSignature
	}
	// An id has no dot and a body begins with "{", so "id.time.body" cannot be split at
	// other dots (RELIABILITY 1.1).
	if len(body) == 0 || body[0] != '{' {
		return Delivery{}, fmt.Errorf("%w: body is not a JSON object", ErrMalformed)
	}
	return Delivery{ID: signed.id, SentAt: sentAt}, nil
}

// checkAge compares whole seconds, so that both ends of the window behave alike.
func (v *Verifier) checkAge(timestamp string) (time.Time, error) {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: webhook-timestamp", ErrMalformed)
	}
	if age := v.clock().Unix() - seconds; age > tolerance || age < -tolerance {
		return time.Time{}, &StaleError{Age: age}
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// isSigned compares the candidates with the signature of each secret over "id.timestamp.body".
func (v *Verifier) isSigned(s signedHeaders, body []byte) bool {
	head := s.id + "." + s.timestamp + "."
	for _, key := range *v.keys.Load() {
		mac := hmac.New(sha256.New, key)
		_, _ = io.WriteString(mac, head)
		_, _ = mac.Write(body)
		right := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		for _, signature := range s.signatures {
			if hmac.Equal([]byte(signature), []byte(right)) {
				return true
			}
		}
	}
	return false
}

// signedHeaders are the three headers of a delivery, each well-formed.
type signedHeaders struct {
	id, timestamp string
	signatures    []string // each "version,base64"
}

// readHeaders takes the webhook-* headers or, if there are none at all, their svix-* aliases.
// The two sets are never mixed.
func readHeaders(h http.Header) (signedHeaders, error) {
	prefix := "Webhook-"
	if !anyHeader(h, prefix) {
		prefix = "Svix-"
	}
	var (
		s   signedHeaders
		err error
	)
	if s.id, err = oneHeader(h, prefix+"Id"); err != nil {
		return s, err
	}
	if s.timestamp, err = oneHeader(h, prefix+"Timestamp"); err != nil {
		return s, err
	}
	signatures, err := oneHeader(h, prefix+"Signature")
	if err != nil {
		return s, err
	}
	switch {
	case !isWord(s.id, 256):
		return s, fmt.Errorf("%w: webhook-id", ErrMalformed)
	case !isTimestamp(s.timestamp):
		return s, fmt.Errorf("%w: webhook-timestamp", ErrMalformed)
	}
	s.signatures, err = candidates(signatures)
	return s, err
}

func anyHeader(h http.Header, prefix string) bool {
	for _, name := range []string{"Id", "Timestamp", "Signature"} {
		if _, ok := h[prefix+name]; ok {
			return true
		}
	}
	return false
}

// oneHeader returns a header's only value. It refuses a repeated header, because it would be
// unclear which one counts.
func oneHeader(h http.Header, name string) (string, error) {
	switch values := h[name]; {
	case len(values) > 1:
		return "", fmt.Errorf("%w: %s appears more than once", ErrMalformed, strings.ToLower(name))
	case len(values) == 0 || values[0] == "":
		return "", fmt.Errorf("%w: no %s", ErrSignature, strings.ToLower(name))
	default:
		return values[0], nil
	}
}

// isTimestamp reports whether s is plain digits, as Dodo writes it, so that each time has one
// spelling.
func isTimestamp(s string) bool {
	if len(s) == 0 || len(s) > 12 || s[0] == '0' {
		return false
	}
	return strings.Trim(s, "0123456789") == ""
}

// candidates returns the entries of a signature header that have the form "version,base64".
// Entries are separated by spaces.
func candidates(header string) (kept []string, err error) {
	count := 0
	for entry := range strings.SplitSeq(header, " ") {
		if entry == "" {
			continue
		}
		if count++; count > maxSignatures {
			return nil, fmt.Errorf("%w: more than %d signatures", ErrMalformed, maxSignatures)
		}
		if strings.Count(entry, ",") == 1 {
			kept = append(kept, entry)
		}
	}
	if len(kept) == 0 {
		return nil, ErrSignature
	}
	return kept, nil
}

// isWord reports whether s is 1 to most characters of A-Z, a-z, 0-9, "_" and "-". Dodo's ids
// have this form, and nothing in it has a special meaning in a key, a path or a log.
func isWord(s string, most int) bool {
	if len(s) == 0 || len(s) > most {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
