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

// sender makes a call of the SDK with the options that hand us the answer as it
// is.
type sender func(context.Context, ...option.RequestOption) error

const (
	maxAttempts = 3
	maxAnswer   = 4 << 20  // bytes of an answer
	maxRefusal  = 64 << 10 // bytes read of an error's body
	firstPause  = 500 * time.Millisecond
)

// call makes one call to Dodo, repeated when that can help, within one deadline, and
// reads the answer's fields into a pointer to a type of details.go.
//
// Everything that is called so may be repeated: reads, and the creation of
// checkouts, where a second session does no harm. What moves money is called by
// [Client.once] (FACTS 1.5).
func (c *Client) call(ctx context.Context, op string, send sender, into any) (reply, error) {
	body, attempts, err := c.ask(ctx, op, send)
	if err != nil {
		return reply{}, err
	}
	return open(op, attempts, body, into)
}

// ask is call without a look at the answer. While Dodo thinks, its goroutine waits
// here, below all of the web server's: what is on the stack meanwhile is kept small,
// because Go doubles a stack that does not suffice.
func (c *Client) ask(ctx context.Context, op string, send sender) (body []byte, attempts int, err error) {
	if err := c.admit(ctx); err != nil {
		return nil, 0, fmt.Errorf("%s: %w", op, err)
	}
	end := time.Now().Add(c.timeout)
	for attempt := 1; ; attempt++ {
		body, failed := c.attempt(ctx, end, send)
		if failed == nil {
			return body, attempt, nil
		}
		if err := c.again(ctx, end, op, attempt, failed); err != nil {
			return nil, attempt, err
		}
	}
}

// again waits until it is time for another attempt, and returns nil; where there is
// to be none, it returns what became of the call.
func (c *Client) again(ctx context.Context, end time.Time, op string, attempt int, failed *failure) error {
	err := &Error{
		Op: op, Status: failed.status, Code: failed.code, Attempts: attempt,
		RetryAfter: failed.retryAfter, kind: failed.kind, why: failed.why, cause: ended(ctx),
	}
	pause := c.pause(attempt, failed.retryAfter)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(end) {
		end = deadline
	}
	if !failed.again || attempt == maxAttempts || ctx.Err() != nil || pause >= time.Until(end) {
		return err
	}
	c.log.LogAttrs(ctx, slog.LevelInfo, "dodo call failed, trying again", slog.String("op", op),
		slog.Int("attempt", attempt), slog.Int("status", failed.status), slog.String("code", failed.code),
		slog.String("reason", failed.why), slog.Duration("pause", pause))
	if c.sleep(ctx, pause) != nil {
		err.cause = ended(ctx)
		return err
	}
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	if c.admit(ctx) != nil {
		return err // what Dodo said explains more than that nobody asked again
	}
	return nil
}

// errOurs marks a deadline that is not the caller's.
var errOurs = errors.New("the client's own deadline")

// ended is how the caller's context ended, or nil.
func ended(ctx context.Context) error {
	if errors.Is(context.Cause(ctx), errOurs) {
		return nil
	}
	return ctx.Err()
}

// pause doubles with each attempt, less up to half of it by chance, and is never
// shorter than Dodo asks for.
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

// attempt sends once, and waits for half of the client's timeout, but not beyond
// end. What the SDK itself finds fault with is not looked at further than to see that
// it failed: its errors can hold the API key (RELIABILITY 6.3).
func (c *Client) attempt(ctx context.Context, end time.Time, send sender) ([]byte, *failure) {
	if half := time.Now().Add(c.timeout / 2); half.Before(end) {
		end = half
	}
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	var x exchange
	err := send(ctx, option.WithResponseBodyInto(&x.answer), option.WithMiddleware(x.do))
	switch {
	case x.failed != nil: // also where the SDK says only that time is up
		return nil, x.failed
	case err != nil && ctx.Err() != nil:
		return nil, lost(ctx.Err())
	case err != nil:
		return nil, &failure{kind: ErrBadAnswer, why: "the SDK could not handle the call"}
	}
	return x.body, nil
}

// exchange is one request and its answer, between the network and the SDK: it lets
// only complete answers of a bearable size through, and makes a failure of everything
// else. So the SDK never makes an error out of an answer.
type exchange struct {
	answer *http.Response // as the SDK takes it: unread
	empty  bool           // an answer that is a success needs no body
	body   []byte
	failed *failure
}

// do is a middleware of the SDK.
func (x *exchange) do(req *http.Request, next option.MiddlewareNext) (*http.Response, error) {
	res, err := next(req)
	if err != nil {
		x.failed = lost(err)
		return nil, x.failed
	}
	if x.empty && res.StatusCode >= 200 && res.StatusCode <= 299 {
		_ = res.Body.Close()
		return res, nil
	}
	if x.body, x.failed = screen(res); x.failed != nil {
		return nil, x.failed
	}
	return res, nil
}

// failure is why one attempt failed.
type failure struct {
	kind       error
	why        string // our own words
	status     int
	code       string
	retryAfter time.Duration
	again      bool // another attempt may help
}

func (f *failure) Error() string { return f.why }

// screen reads an answer that is complete JSON of a bearable size, and closes it.
func screen(res *http.Response) ([]byte, *failure) {
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return nil, refused(res)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	bad := failure{kind: ErrBadAnswer, status: res.StatusCode}
	switch {
	case err != nil:
		if isLost(err) {
			return nil, lost(err)
		}
		bad.why, bad.again = "cut short or garbled", true
	case len(body) > maxAnswer:
		bad.why = "too long"
	case !isJSON(res.Header.Get("Content-Type")):
		bad.why = "not JSON by its content type"
	default:
		return body, nil
	}
	return nil, &bad
}

// isLost tells a connection that broke or ran out of time from one that brought
// something that is not HTTP.
func isLost(err error) bool {
	var broken net.Error
	return errors.As(err, &broken) || errors.Is(err, context.Canceled)
}

func isJSON(contentType string) bool {
	const plain = "application/json"
	if contentType == plain { // as Dodo says it
		return true
	}
	mediaType, _, _ := mime.ParseMediaType(contentType)
	return mediaType == plain || strings.HasSuffix(mediaType, "+json")
}

// lost describes an attempt without an answer. The transport's own words are
// not passed on: they can quote what the other side sent.
func lost(err error) *failure {
	f := &failure{kind: ErrUnavailable, why: "connection lost", again: true}
	var (
		dns  *net.DNSError
		op   *net.OpError
		cert *tls.CertificateVerificationError
		head tls.RecordHeaderError
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		f.why = "no answer in time"
	case errors.Is(err, context.Canceled):
		f.why, f.again = "given up by the caller", false
	case errors.As(err, &dns):
		f.why = "the host name does not resolve"
	case errors.As(err, &cert):
		f.why, f.again = "its certificate is not trusted", false
	case errors.As(err, &head) && string(head.RecordHeader[:]) == "HTTP/":
		f.why, f.again = "it speaks http, not https", false
	case errors.As(err, &op) && op.Op == "dial":
		f.why = "cannot connect"
	case strings.Contains(err.Error(), "malformed"): // an error of net/http without a type
		f.kind, f.why = ErrBadAnswer, "not an HTTP answer"
	}
	return f
}

// refused describes an answer that is not a success (FACTS 1.3).
func refused(res *http.Response) *failure {
	f := &failure{kind: ErrRejected, status: res.StatusCode, retryAfter: retryAfter(res.Header)}
	if res.StatusCode < 400 {
		f.kind, f.why = ErrBadAnswer, "a redirect or no final answer"
		return f
	}
	f.code = errorCode(res)
	switch s := res.StatusCode; {
	case s == http.StatusUnauthorized, s == http.StatusForbidden:
		f.kind = ErrUnauthorized
	case s == http.StatusNotFound:
		f.kind = ErrNotFound
	case s == http.StatusRequestTimeout, s == http.StatusTooManyRequests, s >= 500:
		f.kind, f.again = ErrUnavailable, true
	}
	return f
}

// errorCode reads Dodo's code out of an error's body, if it is there.
func errorCode(res *http.Response) string {
	body, err := io.ReadAll(io.LimitReader(res.Body, maxRefusal))
	if err != nil {
		return ""
	}
	var said refusal
	if parse(body, &said) != nil {
		return ""
	}
	code := said.Code.get(within(body))
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

// reply is an answer of Dodo's whose fields are being read.
type reply struct {
	scope
	op       string
	attempts int
}

func open(op string, attempts int, body []byte, into any) (reply, error) {
	body = bytes.TrimSpace(body)
	a := reply{scope: within(body), op: op, attempts: attempts}
	if err := parse(body, into); err != nil {
		return a, a.bad(err.Error(), nil)
	}
	return a, nil
}

// err is what was wrong with the fields that were read. Its words name fields
// and quote nothing.
func (a reply) err() error {
	if err := a.faults.err(); err != nil {
		return a.bad("", err)
	}
	return nil
}

func (a reply) bad(why string, cause error) *Error {
	return &Error{Op: a.op, Status: http.StatusOK, Attempts: a.attempts, kind: ErrBadAnswer, why: why, cause: cause}
}

// notAnID answers for Dodo, which has no object of such an id. It must not
// become part of a path.
func notAnID(op string) *Error {
	return &Error{Op: op, kind: ErrNotFound, why: "not an id"}
}
