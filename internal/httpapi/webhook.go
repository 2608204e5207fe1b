package httpapi

import (
	"errors"
	"net/http"
	"time"

	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/store"
)

// accepted is the answer to an event that is stored.
var accepted = []byte(`{"status":"ok"}` + "\n")

// maxEvent bounds a webhook's body (DESIGN 6).
const maxEvent = 1 << 20

// Webhook serves the webhook route alone, at whatever path it is put. It needs
// no identity, and no page of another site can do anything with it, because the
// signature says who sent it. At the address of an older integration it answers in the
// words of that integration, as [Options.Compat] does.
func (a *API) Webhook() http.Handler {
	routes := map[string]route{
		expressWebhook: a.expressRoutes()[expressWebhook],
		fastAPIWebhook: a.fastAPIRoutes()[fastAPIWebhook],
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin(w, r)
		at := a.routes[webhookRoute]
		clean, _ := canonical(r.URL.Path)
		if old, ok := routes[clean]; ok {
			at = old
		}
		err := a.admit(w, r, at)
		if err == nil {
			err = at.serve(w, r)
		}
		if err != nil {
			a.failAt(w, r, at, err)
		}
	})
}

// webhook serves POST /webhook. 200 means that the event is stored. What is wrong
// with the delivery itself is 4xx; everything else is 503, so that Dodo delivers
// again. Never an answer that Dodo takes for success or for a wish to be left
// alone: 2xx for something not stored, 3xx, 410.
func (a *API) webhook(say wording) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := a.handleEvent(w, r)
		if err == nil {
			writeBody(w, http.StatusOK, accepted)
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

// sayJSON says it in JSON, whatever the client would rather have.
func sayJSON(w http.ResponseWriter, _ *http.Request, p Problem) { p.writeJSON(w) }

// webhookHints say what to look at when webhooks are refused, by the code: Dodo
// shows no more than a status, and nothing arrives.
var webhookHints = map[string]string{
	"webhook_signature_invalid": "signed by none of webhook_secret: compare with the endpoint's secret in Dodo's dashboard, of the same environment",
	"webhook_timestamp_stale":   "dated more than five minutes before or after now: compare this machine's clock; if it is right, the request was held up, or somebody repeats an old one",
	"webhook_malformed":         "not what Dodo sends",
	"body_too_large":            "larger than anything that Dodo sends",
	"body_too_slow":             "somebody opens requests and does not send their bodies; Dodo sends all at once",
	"too_many_bodies":           "somebody opens many requests and does not send their bodies; Dodo will send its own again",
}

// refusalsLogged is how often each kind of refusal is logged, because anybody can
// cause one.
const refusalsLogged = time.Minute

func newRefusalLimits() map[string]*rate.Limiter {
	limits := make(map[string]*rate.Limiter, len(webhookHints))
	for code := range webhookHints {
		limits[code] = rate.NewLimiter(rate.Every(refusalsLogged), 1)
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

// handleEvent judges the declared size and the headers before it reads any of the
// body, and the body under the bounds of [Bodies] (DESIGN 6).
func (a *API) handleEvent(w http.ResponseWriter, r *http.Request) error {
	body, release, err := a.openEvent(w, r)
	if err != nil {
		a.events.Refused(err)
		return err
	}
	defer release()
	_, err = a.events.HandleEvent(r.Context(), r.Header, body)
	return err
}

func (a *API) openEvent(w http.ResponseWriter, r *http.Request) (body []byte, release func(), err error) {
	if r.ContentLength > maxEvent {
		return nil, nil, ErrBodyTooLarge
	}
	if err := a.events.VerifyHeaders(r.Header); err != nil {
		return nil, nil, err
	}
	return a.readBody(w, r, maxEvent)
}
