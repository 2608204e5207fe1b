package httpapi

import (
	"errors"
	"net/http"
	"time"

	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/store"
)

// acceptedBody is the answer to a stored event.
var acceptedBody = []byte(`{"status":"ok"}` + "\n")

// maxEvent bounds a webhook's body (DESIGN 6).
const maxEvent = 1 << 20

// Webhook serves only the webhook route, at any path. It needs no identity, and it is safe
// against pages of other sites, because the signature proves the sender. At the address of an
// older integration it answers in the form of that integration, like [Options.Compat].
func (a *API) Webhook() http.Handler {
	routes := map[string]route{
		expressWebhook: a.expressRoutes()[expressWebhook],
		fastAPIWebhook: a.fastAPIRoutes()[fastAPIWebhook],
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		prepareAnswer(w, r)
		at := a.routes[webhookRoute]
		clean, _ := canonical(r.URL.Path)
		if old, ok := routes[clean]; ok {
			at = old
		}
		err := a.checkRequest(w, r, at)
		if err == nil {
			err = at.serve(w, r)
		}
		if err != nil {
			a.failAt(w, r, at, err)
		}
	})
}

// webhook serves POST /webhook. 200 means that the event is stored. An invalid delivery gets
// 4xx; everything else gets 503, so that Dodo delivers again. It never sends what Dodo treats
// as success or as a wish to stop: 2xx for something not stored, 3xx, 410.
func (a *API) webhook(say problemWriter) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := a.handleEvent(w, r)
		if err == nil {
			writeBody(w, http.StatusOK, acceptedBody)
			return nil
		}
		p := ProblemOf(err)
		switch _, refused := webhookHints[p.Code]; {
		case refused:
			a.logRefusal(p, err)
		case p.Status != http.StatusBadRequest:
			p = ProblemOf(store.ErrUnavailable)
			a.logFailure(r, p, err)
		}
		say(w, r, p)
		return nil
	}
}

// writeProblemJSON writes JSON whatever the client prefers.
func writeProblemJSON(w http.ResponseWriter, _ *http.Request, p Problem) { p.writeJSON(w) }

// webhookHints tell the operator what to check if webhooks are refused, by code: Dodo shows
// only a status.
var webhookHints = map[string]string{
	"webhook_signature_invalid": "no webhook_secret matches the signature: compare with the endpoint's secret in Dodo's dashboard, of the same environment",
	"webhook_timestamp_stale":   "its timestamp is more than five minutes from now: check this machine's clock; if it is right, the request was delayed, or somebody repeats an old one",
	"webhook_malformed":         "not what Dodo sends",
	"body_too_large":            "larger than any webhook of Dodo",
	"body_too_slow":             "somebody opens requests and does not send their bodies; Dodo sends a body at once",
	"too_many_bodies":           "somebody opens many requests and does not send their bodies; Dodo will send its own again",
}

// refusalLogInterval limits how often each kind of refusal is logged, because anybody can
// cause one.
const refusalLogInterval = time.Minute

func newRefusalLimits() map[string]*rate.Limiter {
	limits := make(map[string]*rate.Limiter, len(webhookHints))
	for code := range webhookHints {
		limits[code] = rate.NewLimiter(rate.Every(refusalLogInterval), 1)
	}
	return limits
}

func (a *API) logRefusal(p Problem, err error) {
	limit, known := a.webhookRefusals[p.Code]
	if !known || !limit.AllowN(a.events.Now(), 1) {
		return
	}
	about := []any{"code", p.Code, "hint", webhookHints[p.Code]}
	if stale, ok := errors.AsType[*dodo.StaleError](err); ok {
		about = append(about, "seconds_old", stale.Age)
	}
	a.logger.Warn("webhook refused", about...)
}

// handleEvent checks the declared size and the headers before it reads the body, which is
// bounded by [Bodies] (DESIGN 6).
func (a *API) handleEvent(w http.ResponseWriter, r *http.Request) error {
	body, release, err := a.readEvent(w, r)
	if err != nil {
		a.events.Refused(err)
		return err
	}
	defer release()
	ctx, end := a.around(r.Context())
	_, err = a.events.HandleEvent(ctx, r.Header, body)
	end(err)
	return err
}

func (a *API) readEvent(w http.ResponseWriter, r *http.Request) (body []byte, release func(), err error) {
	if r.ContentLength > maxEvent {
		return nil, nil, ErrBodyTooLarge
	}
	if err := a.events.VerifyHeaders(r.Header); err != nil {
		return nil, nil, err
	}
	return a.readBody(w, r, maxEvent)
}
