package simcontrol

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// problem is a refusal in the form of RFC 9457, with a code for programs.
type problem struct {
	Status int
	Code   string
	Detail string
}

func (p *problem) Error() string { return p.Detail }

func malformed(detail string) error {
	return &problem{http.StatusBadRequest, "INVALID_REQUEST_BODY", detail}
}

func invalid(detail string) error {
	return &problem{http.StatusUnprocessableEntity, "INVALID_REQUEST_PARAMETERS", detail}
}

// problemOf converts any error. A refusal of the simulator keeps Dodo's status and code; an
// action that its state does not allow is a conflict.
func problemOf(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if refusal, ok := errors.AsType[*dodosim.Error](err); ok {
		return &problem{refusal.Status, refusal.Code, refusal.Message}
	}
	return &problem{http.StatusConflict, "CONFLICT", err.Error()}
}

func writeProblem(w http.ResponseWriter, err error) {
	p := problemOf(err)
	w.Header().Set("Content-Type", "application/problem+json")
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="simulator"`)
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"type": "about:blank", "title": http.StatusText(p.Status), "status": p.Status, "code": p.Code, "detail": p.Detail,
	})
}

// maxBody bounds a request. The largest is a catalog.
const maxBody = 1 << 20

// readBody reads a body of one of the types; an empty body needs no type.
func readBody(r *http.Request, types ...string) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, &problem{http.StatusRequestEntityTooLarge, "INVALID_REQUEST_BODY", "the body is too large"}
	}
	if err != nil {
		return nil, malformed("the body could not be read")
	}
	given, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	for _, t := range types {
		if given == t {
			return body, nil
		}
	}
	if len(body) == 0 {
		return nil, nil
	}
	return nil, &problem{http.StatusUnsupportedMediaType, "INVALID_REQUEST_BODY", "the body must be " + types[0]}
}

// readJSON decodes a body and refuses unknown fields. An empty body is an empty object.
func readJSON[T any](r *http.Request) (T, error) {
	var request T
	body, err := readBody(r, "application/json")
	if err != nil || len(body) == 0 {
		return request, err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&request); err != nil {
		return request, malformed("the body does not fit: " + err.Error())
	}
	if _, err := d.Token(); err != io.EOF {
		return request, malformed("there is something behind the JSON")
	}
	return request, nil
}

// serve answers with a function that needs no body.
func serve(do func(*http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, err := do(r)
		if err != nil {
			writeProblem(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	})
}

// serveJSON answers with a function that takes a JSON body.
func serveJSON[T any](do func(*http.Request, T) (any, error)) http.Handler {
	return serve(func(r *http.Request) (any, error) {
		request, err := readJSON[T](r)
		if err != nil {
			return nil, err
		}
		return do(r, request)
	})
}
