package httpapi

import (
	"net/http"

	"github.com/dodogate/dodogate/internal/store"
)

// accepted is the answer to an event that is stored.
var accepted = []byte(`{"status":"ok"}` + "\n")

// maxEvent bounds a webhook's body (DESIGN 6).
const maxEvent = 1 << 20

// Webhook serves the webhook route alone, at whatever path it is put. It needs
// no identity, and no page of another site can do anything with it, because the
// signature says who sent it.
func (a *API) Webhook() http.Handler {
	at := a.routes[webhookRoute]
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		err := a.admit(w, r, at)
		if err == nil {
			err = at.serve(w, r)
		}
		if err != nil {
			a.fail(w, r, err)
		}
	})
}

// webhook serves POST /webhook. 200 means that the event is stored. What is wrong
// with the delivery itself is 4xx; everything else is 503, so that Dodo delivers
// again. Never an answer that Dodo takes for success or for a wish to be left
// alone: 2xx for something not stored, 3xx, 410.
func (a *API) webhook(w http.ResponseWriter, r *http.Request) error {
	err := a.handleEvent(w, r)
	if err == nil {
		writeBody(w, http.StatusOK, accepted)
		return nil
	}
	p := ProblemOf(err)
	switch p.Status {
	case http.StatusUnauthorized, http.StatusBadRequest, http.StatusRequestEntityTooLarge:
	default:
		p = ProblemOf(store.ErrUnavailable)
	}
	a.logFailure(r, p, err)
	p.writeJSON(w)
	return nil
}

func (a *API) handleEvent(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r, maxEvent)
	if err != nil {
		return err
	}
	_, err = a.gateway.HandleEvent(r.Context(), r.Header, body)
	return err
}
