package dodo

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/dodopayments/dodopayments-go/option"
)

// sender makes a call of the SDK with options that return the raw answer.
type sender func(context.Context, ...option.RequestOption) error

const (
	maxAttempts    = 3
	maxAnswerBytes = 4 << 20  // bytes of an answer
	maxErrorBytes  = 64 << 10 // bytes read of an error's body
	firstPause     = 500 * time.Millisecond
)

// call makes one call to Dodo within one deadline, repeats it if that can help, and reads the
// answer's fields into a pointer to a type of details.go.
//
// Use it only for calls that may be repeated: reads, and the creation of checkouts, where a
// second session does no harm. Use [Client.callOnce] for calls that move money (FACTS 1.5).
func (c *Client) call(ctx context.Context, op string, send sender, into any) (reply, error) {
	raw, err := c.callRaw(ctx, op, send)
	if err != nil {
		return reply{}, err
	}
	return decodeReply(op, raw, into)
}

// rawAnswer is the undecoded answer of a call.
type rawAnswer struct {
	body     []byte
	at       time.Time // see [exchange]
	attempts int
}

// callRaw makes a call and returns the answer undecoded. The goroutine waits for Dodo here,
// below the frames of the web server, so its stack use is kept small: Go doubles a stack that
// is too small.
func (c *Client) callRaw(ctx context.Context, op string, send sender) (rawAnswer, error) {
	if err := c.admit(ctx); err != nil {
		return rawAnswer{}, fmt.Errorf("%s: %w", op, err)
	}
	end := time.Now().Add(c.timeout)
	for attempt := 1; ; attempt++ {
		answer, failed := c.attempt(ctx, end, send)
		if failed == nil {
			answer.attempts = attempt
			return answer, nil
		}
		if err := c.waitForRetry(ctx, end, op, attempt, failed); err != nil {
			return rawAnswer{}, err
		}
	}
}

// waitForRetry returns nil when it is time for another attempt. If there is to be none, it
// returns the error of the call.
func (c *Client) waitForRetry(ctx context.Context, end time.Time, op string, attempt int, failed *failure) error {
	err := &Error{
		Op: op, Status: failed.status, Code: failed.code, Attempts: attempt,
		RetryAfter: failed.retryAfter, kind: failed.kind, reason: failed.reason, cause: callerError(ctx),
	}
	pause := c.pause(attempt, failed.retryAfter)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(end) {
		end = deadline
	}
	if !failed.retryable || attempt == maxAttempts || ctx.Err() != nil || pause >= time.Until(end) {
		return err
	}
	c.log.LogAttrs(ctx, slog.LevelInfo, "dodo call failed, trying again", slog.String("op", op),
		slog.Int("attempt", attempt), slog.Int("status", failed.status), slog.String("code", failed.code),
		slog.String("reason", failed.reason), slog.Duration("pause", pause))
	if c.sleep(ctx, pause) != nil {
		err.cause = callerError(ctx)
		return err
	}
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	if c.admit(ctx) != nil {
		return err // Dodo's answer explains more than a refused retry
	}
	return nil
}

// errOwnDeadline marks a deadline that is not the caller's.
var errOwnDeadline = errors.New("the client's own deadline")

// callerError is the error of the caller's context; nil if it has not ended.
func callerError(ctx context.Context) error {
	if errors.Is(context.Cause(ctx), errOwnDeadline) {
		return nil
	}
	return ctx.Err()
}

// pause doubles with each attempt, less a random part of up to half of it. It is never shorter
// than Dodo asks for.
func (c *Client) pause(attempt int, retryAfter time.Duration) time.Duration {
	pause := firstPause << (attempt - 1)
	pause -= time.Duration(c.jitter() * float64(pause/2))
	return max(pause, retryAfter)
}

// sleep is the default of [Options.Sleep].
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// attempt sends the call once, and waits for half of the client's timeout, but not beyond end.
// An error of the SDK itself is not inspected further, because it can contain the API key
// (RELIABILITY 6.3).
func (c *Client) attempt(ctx context.Context, end time.Time, send sender) (rawAnswer, *failure) {
	if half := time.Now().Add(c.timeout / 2); half.Before(end) {
		end = half
	}
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	x := exchange{clock: c.clock, dodos: c.dodos}
	err := send(ctx, option.WithResponseBodyInto(&x.answer), option.WithMiddleware(x.do))
	switch {
	case x.failed != nil: // checked first, because the SDK may report only a timeout
		return rawAnswer{}, x.failed
	case err != nil && ctx.Err() != nil:
		return rawAnswer{}, connectionFailure(ctx.Err())
	case err != nil:
		return rawAnswer{}, &failure{kind: ErrBadAnswer, reason: "the SDK could not handle the call"}
	}
	return rawAnswer{body: x.body, at: x.at}, nil
}

// exchange is one request and its answer, between the network and the SDK. It passes on only
// complete answers within the size limit and makes a failure of everything else. So the SDK
// never makes an error out of an answer.
type exchange struct {
	answer       *http.Response // unread, for the SDK
	bodyOptional bool           // a successful answer needs no body
	clock        func() time.Time
	dodos        *serverClock
	at           time.Time // when the request was sent, by Dodo's clock as far as it is known
	body         []byte
	failed       *failure
}

// do is a middleware of the SDK.
func (x *exchange) do(req *http.Request, next option.MiddlewareNext) (*http.Response, error) {
	sent, began := x.clock().UTC(), time.Now()
	res, err := next(req)
	if err != nil {
		x.failed = connectionFailure(err)
		return nil, x.failed
	}
	if x.bodyOptional && res.StatusCode >= 200 && res.StatusCode <= 299 {
		_ = res.Body.Close()
		return res, nil
	}
	x.at = x.dodos.sentAt(sent, time.Since(began), res.Header.Get("Date"))
	if x.body, x.failed = readAnswer(res); x.failed != nil {
		return nil, x.failed
	}
	return res, nil
}

// failure is why one attempt failed.
type failure struct {
	kind       error
	reason     string // our own words, never Dodo's
	status     int
	code       string
	retryAfter time.Duration
	retryable  bool // another attempt may help
}

func (f *failure) Error() string { return f.reason }

// readAnswer reads an answer and closes it. It accepts complete JSON within the size limit.
func readAnswer(res *http.Response) ([]byte, *failure) {
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return nil, statusFailure(res)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswerBytes+1))
	bad := failure{kind: ErrBadAnswer, status: res.StatusCode}
	switch {
	case err != nil:
		if isConnectionError(err) {
			return nil, connectionFailure(err)
		}
		bad.reason, bad.retryable = "truncated or garbled", true
	case len(body) > maxAnswerBytes:
		bad.reason = "too long"
	case !isJSON(res.Header.Get("Content-Type")):
		bad.reason = "not JSON by its content type"
	default:
		return body, nil
	}
	return nil, &bad
}

// isConnectionError distinguishes a broken or timed-out connection from one that delivered
// something other than HTTP.
func isConnectionError(err error) bool {
	var broken net.Error
	return errors.As(err, &broken) || errors.Is(err, context.Canceled)
}

func isJSON(contentType string) bool {
	const plain = "application/json"
	if contentType == plain { // Dodo's own spelling
		return true
	}
	mediaType, _, _ := mime.ParseMediaType(contentType)
	return mediaType == plain || strings.HasSuffix(mediaType, "+json")
}

// connectionFailure describes an attempt without an answer. It does not pass on the
// transport's message, which can quote what the other side sent.
func connectionFailure(err error) *failure {
	f := &failure{kind: ErrUnavailable, reason: "connection lost", retryable: true}
	var (
		dns  *net.DNSError
		op   *net.OpError
		cert *tls.CertificateVerificationError
		head tls.RecordHeaderError
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		f.reason = "no answer in time"
	case errors.Is(err, context.Canceled):
		f.reason, f.retryable = "cancelled by the caller", false
	case errors.As(err, &dns):
		f.reason = "the host name does not resolve"
	case errors.As(err, &cert):
		f.reason, f.retryable = "the server's certificate is not trusted", false
	case errors.As(err, &head) && string(head.RecordHeader[:]) == "HTTP/":
		f.reason, f.retryable = "the server speaks http, not https", false
	case errors.As(err, &op) && op.Op == "dial":
		f.reason = "cannot connect"
	case strings.Contains(err.Error(), "malformed"): // an error of net/http without a type
		f.kind, f.reason = ErrBadAnswer, "not an HTTP answer"
	}
	return f
}

// statusFailure describes an answer whose status is not a success (FACTS 1.3).
func statusFailure(res *http.Response) *failure {
	f := &failure{kind: ErrRejected, status: res.StatusCode, retryAfter: retryAfter(res.Header)}
	if res.StatusCode < 400 {
		f.kind, f.reason = ErrBadAnswer, "a redirect or no final answer"
		return f
	}
	f.code = errorCode(res)
	switch s := res.StatusCode; {
	case s == http.StatusUnauthorized, s == http.StatusForbidden:
		f.kind = ErrUnauthorized
	case s == http.StatusNotFound:
		f.kind = ErrNotFound
	case s == http.StatusRequestTimeout, s == http.StatusTooManyRequests, s >= 500:
		f.kind, f.retryable = ErrUnavailable, true
	}
	return f
}

// errorCode reads Dodo's code from an error's body; empty if there is none.
func errorCode(res *http.Response) string {
	body, err := io.ReadAll(io.LimitReader(res.Body, maxErrorBytes))
	if err != nil {
		return ""
	}
	var fields refusal
	if parse(body, &fields) != nil {
		return ""
	}
	code := fields.Code.get(scopeOf(body))
	if !isCode(code) {
		return ""
	}
	return code
}

// retryAfter reads both forms of the header (RFC 9110, 10.2.3).
func retryAfter(h http.Header) time.Duration {
	const longest = 24 * time.Hour
	value := h.Get("Retry-After")
	var wait time.Duration
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = time.Until(at)
	}
	return min(max(wait, 0), longest)
}

// reply is an answer of Dodo while its fields are read.
type reply struct {
	scope
	op       string
	attempts int
	at       time.Time // see [exchange]
}

func decodeReply(op string, raw rawAnswer, into any) (reply, error) {
	body := bytes.TrimSpace(raw.body)
	a := reply{scope: scopeOf(body), op: op, attempts: raw.attempts, at: raw.at}
	if err := parse(body, into); err != nil {
		return a, a.badAnswer(err.Error(), nil)
	}
	return a, nil
}

// err describes the first fault in the fields that were read. It names fields and quotes no
// values.
func (a reply) err() error {
	if err := a.faults.err(); err != nil {
		return a.badAnswer("", err)
	}
	return nil
}

func (a reply) badAnswer(why string, cause error) *Error {
	return &Error{Op: a.op, Status: http.StatusOK, Attempts: a.attempts, kind: ErrBadAnswer, reason: why, cause: cause}
}

// invalidID is the error for an id that Dodo cannot have issued. Such an id must not become
// part of a path.
func invalidID(op string) *Error {
	return &Error{Op: op, kind: ErrNotFound, reason: "not an id"}
}
