package dodosim

import (
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
)

// maxBody bounds a request. A cart with all its metadata takes a tenth of it.
const maxBody = 1 << 20

// endpoint answers one API call: with a value to encode, an emptyAnswer, a pdfAnswer, or an
// *Error. The value must not change afterwards, see snapshot.
type endpoint func(*http.Request) (any, error)

// emptyAnswer is the status of an answer that has no body.
type emptyAnswer int

// createdAnswer is the body of an answer with status 201.
type createdAnswer struct{ body any }

// created is snapshot with status 201.
func created(object any) (any, error) {
	body, err := snapshot(object)
	return createdAnswer{body}, err
}

// apiCall names a route for the counters. The zero value is every unknown route.
type apiCall struct{ method, path string }

// without404 are the calls for which the API description lists no 404 (FACTS 1.3).
var without404 = map[apiCall]bool{
	{"GET", "/payments/{id}"}: true, {"GET", "/subscriptions/{id}"}: true, {"GET", "/customers/{id}"}: true,
	{"GET", "/products/{id}"}: true, {"GET", "/refunds/{id}"}: true,
}

// hideMissing answers 500 if an endpoint reports that something does not exist.
func hideMissing(do endpoint) endpoint {
	return func(r *http.Request) (any, error) {
		answer, err := do(r)
		if refusal, ok := errors.AsType[*Error](err); ok && refusal.Status == http.StatusNotFound {
			err = refuse(codeInternal, "something went wrong")
		}
		return answer, err
	}
}

// api counts a call and serves it, or serves the fault that is set for it.
func (s *Simulator) api(route apiCall, do endpoint) http.HandlerFunc {
	if s.options.MissingIs500 && without404[route] {
		do = hideMissing(do)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.calls[route]++
		if s.authorized(r) {
			s.calledAt = s.publicURL(r)
		}
		fault, hit := s.nextFault(route)
		s.mu.Unlock()
		if hit {
			s.serveFault(w, r, fault, do)
			return
		}
		if !s.limit(w, r) {
			s.serve(w, r, do)
		}
	}
}

// serve checks the key, calls the endpoint and writes its answer.
func (s *Simulator) serve(w http.ResponseWriter, r *http.Request, do endpoint) {
	if refusal := s.authorize(r); refusal != nil {
		writeJSON(w, refusal.Status, refusal)
		return
	}
	answer, err := do(r)
	if empty, ok := answer.(emptyAnswer); ok && err == nil {
		w.WriteHeader(int(empty))
		return
	}
	if document, ok := answer.(pdfAnswer); ok && err == nil {
		w.Header().Set("Content-Type", "application/pdf")
		w.Header().Set("Content-Disposition", `inline; filename="`+document.name+`"`)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(document.body) // the client may be gone
		return
	}
	if made, ok := answer.(createdAnswer); ok && err == nil {
		writeJSON(w, http.StatusCreated, made.body)
		return
	}
	if err == nil {
		answer, err = s.said(answer)
	}
	if err == nil {
		writeJSON(w, http.StatusOK, answer)
		return
	}
	refusal, ok := errors.AsType[*Error](err)
	if !ok {
		s.logger().Error("answering an API call", "error", err)
		refusal = refuse(codeInternal, "the simulator failed; its log says why")
	}
	writeJSON(w, refusal.Status, refusal)
}

// said is an answer without what [Behavior] leaves out.
func (s *Simulator) said(answer any) (any, error) {
	if !s.options.NoCurrency && !s.options.NoSessionIDs {
		return answer, nil
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	body, err = s.options.untold(body)
	return json.RawMessage(body), err
}

// authorize refuses a call without the key it needs, and a write with a read-only key.
func (s *Simulator) authorize(r *http.Request) *Error {
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case routesWithoutKey[r.Pattern] || hasKey(r, s.options.APIKey):
		return nil
	case !s.authorized(r):
		return refuse(codeUnauthorized, "the API key is missing or wrong")
	case !reads:
		return refuse(codeForbidden, "the API key can only read")
	}
	return nil
}

// authorized reports whether a call has any valid key.
func (s *Simulator) authorized(r *http.Request) bool {
	return hasKey(r, s.options.APIKey) || s.options.ReadOnlyKey != "" && hasKey(r, s.options.ReadOnlyKey)
}

func hasKey(r *http.Request, wanted string) bool {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "Bearer") &&
		subtle.ConstantTimeCompare([]byte(strings.TrimSpace(key)), []byte(wanted)) == 1
}

// readJSON decodes a request body. It ignores unknown fields, as Dodo ignores those of newer
// SDKs. Invalid JSON is 400; a value that does not fit is 422.
func readJSON[T any](r *http.Request) (T, *Error) {
	var request T
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return request, malformed(http.StatusBadRequest, "the body could not be read")
	}
	if len(body) > maxBody {
		return request, malformed(http.StatusRequestEntityTooLarge, "the body is too large")
	}
	err = json.Unmarshal(body, &request)
	mismatch, mistyped := errors.AsType[*json.UnmarshalTypeError](err)
	_, garbled := errors.AsType[*json.SyntaxError](err)
	switch {
	case mistyped:
		return request, refuse(codeInvalidBody, "%q has the wrong type or range", mismatch.Field)
	case garbled:
		return request, malformed(http.StatusBadRequest, "the body is not JSON")
	case err != nil:
		return request, refuse(codeInvalidBody, "a time in the body is not in RFC 3339 format")
	}
	return request, nil
}

func malformed(status int, message string) *Error {
	return &Error{Status: status, Code: codeInvalidBody, Message: message}
}

// snapshot encodes an object now, because it may change after s.mu, which the caller holds, is
// released.
func snapshot(object any) (any, error) {
	encoded, err := json.Marshal(object)
	return json.RawMessage(encoded), err
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	var buffer bytes.Buffer
	if err := json.NewEncoder(&buffer).Encode(body); err != nil {
		status = http.StatusInternalServerError
		buffer.Reset()
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(buffer.Bytes()) // the client may be gone
}
