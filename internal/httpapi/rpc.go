package httpapi

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Codes of gRPC (google/rpc/code.proto).
const (
	rpcInvalidArgument    = 3
	rpcNotFound           = 5
	rpcAlreadyExists      = 6
	rpcPermissionDenied   = 7
	rpcResourceExhausted  = 8
	rpcFailedPrecondition = 9
	rpcAborted            = 10
	rpcInternal           = 13
	rpcUnavailable        = 14
	rpcUnauthenticated    = 16
)

// rpcCode is the gRPC code of a problem. Clients retry some codes automatically, so
// UNAVAILABLE is only for temporary problems.
func (p Problem) rpcCode() int {
	switch p.Code {
	case codeCredits:
		return rpcResourceExhausted
	case "idempotency_key_in_use":
		return rpcAborted
	case "idempotency_key_finished":
		return rpcAlreadyExists
	}
	switch p.Status {
	case http.StatusBadRequest:
		return rpcInvalidArgument
	case http.StatusUnauthorized:
		return rpcUnauthenticated
	case http.StatusPaymentRequired, http.StatusForbidden:
		return rpcPermissionDenied
	case http.StatusNotFound:
		return rpcNotFound
	case http.StatusConflict, http.StatusUnprocessableEntity:
		return rpcFailedPrecondition
	case http.StatusTooManyRequests:
		return rpcResourceExhausted
	case http.StatusTooEarly, http.StatusServiceUnavailable:
		return rpcUnavailable
	default:
		return rpcInternal
	}
}

// rpcType is the content type of the answer if a request is a gRPC or gRPC-Web call; else
// empty.
func rpcType(r *http.Request) string {
	values := r.Header["Content-Type"]
	if r.Method != http.MethodPost || len(values) == 0 {
		return ""
	}
	asked, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(values[0])), ";")
	asked, _, _ = strings.Cut(strings.TrimSpace(asked), "+")
	switch asked {
	case "application/grpc", "application/grpc-web", "application/grpc-web-text":
		return asked + "+proto"
	}
	return ""
}

// RefuseWith answers with a problem in place of the app: a gRPC status for a gRPC call,
// [WriteProblem] for other requests. The routes of this package do not use it: a webhook that
// was not stored must never get 200.
func RefuseWith(w http.ResponseWriter, r *http.Request, p Problem) {
	if contentType := rpcType(r); contentType != "" {
		p.writeRPC(w, contentType)
		return
	}
	WriteProblem(w, r, p)
}

// Answer is [RefuseWith] for this site: the page of a trusted origin may read it, and its
// links lead to the site's front page and login.
func (a *API) Answer(w http.ResponseWriter, r *http.Request, p Problem) {
	a.AllowOrigin(w.Header(), r)
	RefuseWith(w, r, a.withLinks(p))
}

// writeRPC answers a call with headers only ("Trailers-Only" in the protocol).
func (p Problem) writeRPC(w http.ResponseWriter, contentType string) {
	p.writeHeader(w)
	h := w.Header()
	h["Content-Type"] = []string{contentType}
	h["Grpc-Status"] = []string{strconv.Itoa(p.rpcCode())}
	h["Grpc-Message"] = []string{rpcMessage(p.Code + ": " + p.Detail)}
	w.WriteHeader(http.StatusOK)
}

// rpcMessage percent-encodes characters that a header cannot contain.
func rpcMessage(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '%' {
			_, _ = fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
