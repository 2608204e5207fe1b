package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
)

// Problem is an error answer (RFC 9457).
type Problem struct {
	Status int
	// Code names the problem for programs; its meaning never changes.
	Code string
	// Detail is a sentence for people. It contains no secrets.
	Detail string
	// RetryAfter is when to try again, in whole seconds; 0 means no advice.
	RetryAfter time.Duration
	// SignIn is where the visitor can sign in; empty for none.
	SignIn string
	// Members are added to the JSON form. The members that Problem itself writes take
	// precedence.
	Members map[string]any
	// Home is the path of the site's front page, for the page's link. Default: "/".
	Home string
}

// ErrTooEarly refuses a request that anybody on the way could send again, because the TLS
// handshake is not complete (RFC 8470).
var ErrTooEarly = errors.New("early data")

// ErrCrossOrigin refuses a request that a page of another site made a browser send.
var ErrCrossOrigin = errors.New("request comes from another site")

// ErrTunnel refuses a request that would leave HTTP for a protocol that is not allowed.
var ErrTunnel = errors.New("tunnel to a protocol that is not allowed")

// The reasons why a body is refused.
var (
	// ErrBodyTooLarge: more bytes than the route accepts.
	ErrBodyTooLarge = errors.New("body is too large")
	// ErrSlowBody: not complete in time.
	ErrSlowBody = errors.New("body came too slowly")
	// ErrTooManyBodies: more than [Bodies] has room for.
	ErrTooManyBodies = errors.New("too many bodies at once")
)

// The other reasons why this package refuses requests.
var (
	errNoRoute   = errors.New("no such route")
	errMethod    = errors.New("method not allowed")
	errMediaType = errors.New("unsupported media type")
	errRequest   = errors.New("invalid request")
	errKey       = errors.New("invalid idempotency key")
)

// detailedError is one of the sentinels with a sentence for the client.
type detailedError struct {
	sentinel error
	detail   string
}

func refuse(sentinel error, format string, args ...any) error {
	return &detailedError{sentinel, fmt.Sprintf(format, args...)}
}

func (r *detailedError) Error() string { return r.sentinel.Error() + ": " + r.detail }
func (r *detailedError) Unwrap() error { return r.sentinel }

// problems maps sentinels to answers; the first match counts.
//
// 400 is for requests that are invalid by themselves. 422 is for well-formed requests that do
// not fit this site: its catalog, its landing places, its discounts, an earlier request. 502
// means that Dodo refused, which the operator must fix; 503 is temporary. An unknown product
// is not a 404, because the address was right.
var problems = []struct {
	sentinel     error
	status       int
	code, detail string
}{
	{gateway.ErrAnonymous, 401, codeAnonymous, "Sign in first."},
	{gateway.ErrCredentials, 401, codeCredentials, "Your sign-in is not valid or has expired. Sign in again."},
	{gateway.ErrLoginUnavailable, 503, "login_unavailable", "Sign-ins cannot be checked right now. Try again shortly."},
	{gateway.ErrAccount, 500, "account_invalid", "The site's login gave an account id that cannot be used."},
	{gateway.ErrUnknownProduct, 422, "unknown_product", "There is no such product, or more than one fits."},
	{gateway.ErrChoice, 400, "invalid_request", "Name exactly one product, by product, plan or (to buy) credits."},
	{gateway.ErrQuantity, 400, "invalid_quantity", fmt.Sprintf("quantity must be a whole number from 1 to %d.", config.MaxQuantity)},
	{gateway.ErrOnePiece, 400, "invalid_quantity", "A subscription is bought one at a time."},
	{gateway.ErrSubscribed, 409, codeSubscribed, "You have a subscription for this already, and would pay twice."},
	{gateway.ErrAmbiguous, 409, "ambiguous_subscription", "You have several subscriptions. Say which one."},
	{gateway.ErrNoSubscription, 404, "no_subscription", "You have no such subscription, or it has ended."},
	{gateway.ErrNoCustomer, 404, "no_customer", "You have bought nothing yet."},
	{gateway.ErrSharedCustomer, 409, "portal_not_yours", "Purchases of others were made with the same e-mail address. Their portal opens only for a login with this address, confirmed."},
	{gateway.ErrNotRecurring, 422, "not_a_subscription", "This product is not a subscription, so a subscription cannot change to it."},
	{gateway.ErrChangeRunning, 409, "change_in_progress", "A change of this subscription was sent a moment ago. Wait for it."},
	{gateway.ErrChangePending, 409, "change_pending", "An earlier payment of this subscription has not completed yet."},
	{gateway.ErrChangeScheduled, 409, "change_scheduled", "Another change of this subscription is scheduled. See the customer portal."},
	{gateway.ErrEnding, 409, "subscription_ending", "This subscription ends with its period. Undo that first."},
	{gateway.ErrInactive, 409, "subscription_inactive", "This subscription is not active. See the customer portal."},
	{gateway.ErrWithheld, 409, "subscription_unpaid", "The current period of this subscription is not paid for: the payment was given back, is disputed or was too small. Its plan can change after the next payment."},
	{gateway.ErrOnDemand, 409, "subscription_on_demand", "This subscription has no plan that could be changed."},
	{gateway.ErrChangeLost, 503, "change_unknown", "The payment provider's answer was lost. Check in two minutes whether your plan has changed. Sending this again does not charge you twice."},
	{gateway.ErrDiscountCode, 422, "discount_code_invalid", "discount_code cannot be used for this purchase."},
	{gateway.ErrNoPublicURL, 500, "public_url_missing", "The site's own address is not configured (public_url)."},
	{gateway.ErrKeyRunning, 409, "idempotency_key_in_use", "A request with this Idempotency-Key is still running."},
	{gateway.ErrKeyFinished, 409, "idempotency_key_finished", "A request with this Idempotency-Key was charged before."},
	{gateway.ErrKeyMismatch, 422, "idempotency_key_reused", "This Idempotency-Key was used for another request."},
	{config.ErrReturnTo, 422, "return_to_not_allowed", "return_to is not an allowed landing place of this site."},
	{gateway.ErrTooManyRequests, 429, "too_many_requests", "Too many requests. Try again later."},
	{store.ErrTooManyOrders, 429, "too_many_open_orders", "Too many purchases are waiting to be paid. Pay one, or try again when they have expired."},
	{gateway.ErrTooManyWaiting, 503, "too_many_waiting", "Too many requests are waiting for a change. Ask without wait, or try again shortly."},
	{store.ErrNotFound, 404, "order_not_found", "There is no such order."},
	{store.ErrDamaged, 503, "account_damaged", "This account cannot be read right now. The site's operator must repair it."},
	{store.ErrUnavailable, 503, "store_unavailable", "Accounts cannot be reached right now. Try again shortly."},

	{gateway.ErrUnconfirmed, 503, "payment_unconfirmed", "The payment provider has not confirmed yet what you paid for. Try again shortly."},
	{dodo.ErrSignature, 401, "webhook_signature_invalid", "The webhook signature does not verify."},
	{dodo.ErrStale, 401, "webhook_timestamp_stale", "The webhook timestamp is too far from this server's clock."},
	{dodo.ErrMalformed, 400, "webhook_malformed", "The webhook is malformed."},
	{dodo.ErrUnavailable, 503, "provider_unavailable", "The payment provider cannot be reached right now. Try again shortly."},
	{dodo.ErrBadAnswer, 502, "provider_bad_answer", "The payment provider's answer could not be used."},
	{dodo.ErrRejected, 502, "provider_rejected", "The payment provider refused the request."},
	{dodo.ErrNotFound, 502, "provider_rejected", "The payment provider does not know what was asked for."},
	{dodo.ErrUnauthorized, 502, "provider_rejected", "The payment provider refused this site's credentials."},

	{errNoRoute, 404, "not_found", "There is nothing at this address."},
	{errMethod, 405, "method_not_allowed", "This address does not accept this method; see the Allow header."},
	{ErrTooEarly, 425, "too_early", "Send this again once the connection is established."},
	{ErrCrossOrigin, 403, "cross_origin", "This request must come from the site itself."},
	{ErrTunnel, 501, "tunnel_refused", "This site does not allow this protocol upgrade."},
	{errMediaType, 415, "unsupported_media_type", "Send application/json or application/x-www-form-urlencoded, in UTF-8."},
	{ErrBodyTooLarge, 413, "body_too_large", "The body is too large."},
	{ErrSlowBody, 408, "body_too_slow", "The body did not arrive in time."},
	{ErrTooManyBodies, 503, "too_many_bodies", "Too many bodies are being sent. Try again shortly."},
	{errRequest, 400, "invalid_request", "The request is not valid."},
	{errKey, 400, "invalid_idempotency_key", "Idempotency-Key must be 1 to 255 visible ASCII characters, quoted or bare."},

	// Last, because the errors above may wrap them.
	{context.DeadlineExceeded, 503, "timeout", "This took too long. Try again shortly."},
	{context.Canceled, 503, "timeout", "The request was cancelled."},
}

// The codes of status 401. Signing in solves both.
const (
	codeAnonymous   = "unauthenticated"
	codeCredentials = "credentials_invalid"
)

// codeSubscribed is the code of [gateway.ErrSubscribed].
const codeSubscribed = "already_subscribed"

// retryAfter is when to try again, by code.
var retryAfter = map[string]time.Duration{
	"idempotency_key_in_use": time.Second,
	"change_in_progress":     2 * time.Minute,
	"change_pending":         2 * time.Minute,
	"change_unknown":         2 * time.Minute,
	"too_many_open_orders":   time.Minute,
	"store_unavailable":      5 * time.Second,
	"account_damaged":        time.Minute,
	"login_unavailable":      2 * time.Second,
	"too_many_waiting":       5 * time.Second,
	"too_many_bodies":        5 * time.Second,
	"payment_unconfirmed":    10 * time.Second,
	"provider_unavailable":   10 * time.Second,
	"timeout":                5 * time.Second,
}

// ProblemOf is the answer to err; 500 with code internal if nothing else fits.
func ProblemOf(err error) Problem {
	for _, row := range problems {
		if errors.Is(err, row.sentinel) {
			p := Problem{Status: row.status, Code: row.code, Detail: row.detail, RetryAfter: retryAfter[row.code]}
			return p.about(err)
		}
	}
	return Problem{Status: 500, Code: "internal", Detail: "Something went wrong on this site."}
}

// about adds what err says beyond its sentinel, if the client may see it: our own sentences,
// Dodo's error code (FACTS 1.3), and how long Dodo asks to wait.
func (p Problem) about(err error) Problem {
	if own, ok := errors.AsType[*detailedError](err); ok {
		p.Detail = own.detail
	}
	if finished, ok := errors.AsType[*gateway.FinishedError](err); ok {
		p.Members = map[string]any{"charged": finished.Charged}
	}
	if many, ok := errors.AsType[*gateway.TooManyRequestsError](err); ok {
		p.RetryAfter = many.RetryAfter
		if many.Limit == gateway.LimitCodes {
			p.Detail = "Several discount codes were wrong. Try again later, or without a code."
		}
	}
	failed, ok := errors.AsType[*dodo.Error](err)
	switch {
	case !ok:
	case p.Code == "provider_rejected" && failed.Code != "":
		p.Members = map[string]any{"provider_code": failed.Code}
	case p.Code == "provider_unavailable":
		p.RetryAfter = min(max(failed.RetryAfter, p.RetryAfter), time.Hour)
	}
	return p
}

// WriteError answers with the problem of err, as a small page for a browser and as
// application/problem+json for other clients. It logs nothing.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	WriteProblem(w, r, ProblemOf(err))
}

// WriteProblem is [WriteError] for a problem that is not an error.
func WriteProblem(w http.ResponseWriter, r *http.Request, p Problem) {
	varyByAccept(w.Header())
	if wants(r) != wantsHTML {
		p.writeJSON(w)
		return
	}
	p.writeHeader(w)
	writePage(w, p.Status, "problem", problemPage{
		Title: http.StatusText(p.Status), Detail: p.Detail, Code: p.Code, SignIn: p.SignIn, Home: cmp.Or(p.Home, "/"),
		Again: r.Method == http.MethodGet && p.Status >= http.StatusInternalServerError,
	})
}

func (p Problem) writeHeader(w http.ResponseWriter) {
	h, values := w.Header(), [...]string{"nosniff", "no-store"} // one allocation for both
	forbidCaches(h)
	h["X-Content-Type-Options"], h["Cache-Control"] = values[0:1:1], values[1:2:2]
	if p.Code == codeCredentials {
		h.Set("WWW-Authenticate", `Bearer error="invalid_token"`) // RFC 6750, 3
	}
	if p.RetryAfter > 0 {
		seconds := (p.RetryAfter + time.Second - 1) / time.Second
		h.Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
}

func (p Problem) writeJSON(w http.ResponseWriter) { p.writeBody(w, p.json()) }

// writeBody writes the output of json.
func (p Problem) writeBody(w http.ResponseWriter, body []byte) {
	p.writeHeader(w)
	w.Header()["Content-Type"] = []string{"application/problem+json"}
	w.WriteHeader(p.Status)
	_, _ = w.Write(body)
}

// json is the problem without a type, which means about:blank; the title is then the name of
// the status (RFC 9457, 4.2.1).
func (p Problem) json() []byte {
	members := maps.Clone(p.Members)
	if members == nil {
		members = make(map[string]any)
	}
	members["status"], members["title"] = p.Status, http.StatusText(p.Status)
	members["code"], members["detail"] = p.Code, p.Detail
	if p.SignIn != "" {
		members["sign_in_url"] = p.SignIn
	}
	body, err := json.Marshal(members)
	if err != nil { // the caller's Members cannot be encoded
		p.Members = nil
		return p.json()
	}
	return append(body, '\n')
}
