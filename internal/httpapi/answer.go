package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/dodogate/dodogate/internal/gateway"
)

// serveJSON runs a use case for the signed-in account, and answers with its result.
func serveJSON[Answer any](w http.ResponseWriter, r *http.Request, use func(context.Context, gateway.Identity) (Answer, error)) error {
	who, err := signedIn(r.Context())
	if err != nil {
		return err
	}
	answer, err := use(r.Context(), who)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, answer)
}

// change is a state-changing route: its fields, its effect, and where the sender of a form is
// redirected.
type change[Answer any] struct {
	accepts    fields
	apply      func(context.Context, gateway.Identity) (Answer, error)
	status     int
	redirectTo func(Answer) string
}

// serveChange answers JSON with JSON, and a form with a redirect.
func serveChange[Answer any](a *API, w http.ResponseWriter, r *http.Request, c change[Answer]) error {
	who, err := signedIn(r.Context())
	if err != nil {
		return err
	}
	isForm, err := a.readFields(w, r, c.accepts)
	if err != nil {
		return err
	}
	answer, err := c.apply(r.Context(), who)
	if err != nil {
		return err
	}
	if !isForm {
		return writeJSON(w, c.status, answer)
	}
	redirect(w, c.redirectTo(answer))
	return nil
}

// redirect sends a browser to another address.
func redirect(w http.ResponseWriter, to string) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

// writeJSON writes an answer. Nobody may cache it unless its route set Cache-Control.
func writeJSON(w http.ResponseWriter, status int, answer any) error {
	body, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	writeBody(w, status, append(body, '\n'))
	return nil
}

// writeBody is writeJSON for encoded JSON.
func writeBody(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
