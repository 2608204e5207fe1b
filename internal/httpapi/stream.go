package httpapi

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"time"

	sse "github.com/tmaxmax/go-sse"

	"github.com/dodogate/dodogate/internal/gateway"
)

const (
	// heartbeat is how long a stream stays silent: proxies end connections that are silent for
	// longer. It then looks again, too, because time changes accounts.
	heartbeat = 20 * time.Second
	// streamPatience is how long a client may take to read what was written.
	streamPatience = 10 * time.Second
	// streamLife is how long a stream lasts. Then the client connects again by itself, and its
	// login is judged again.
	streamLife = 15 * time.Minute
	// Clients wait for so long before they connect again, each for another time, so that a reload
	// does not bring all of them at once.
	shortestReconnect, longestReconnect = time.Second, 5 * time.Second
)

// stream serves GET /events: Server-Sent Events of the signed-in account. Each event "status" has
// the answer of GET /status as its data, and the digest of that as its id. The first one is sent
// at once, unless Last-Event-ID names the same; the others whenever something has changed. Changes
// that come faster than the client reads are sent as one.
func (a *API) stream(w http.ResponseWriter, r *http.Request) error {
	who, err := signedIn(r.Context())
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would keep events back
	if r.Method == http.MethodHead {
		h.Set("Content-Type", "text/event-stream")
		return nil
	}
	waiting, err := a.accounts.Await(who.Account) // before reading, so that no change is missed
	if err != nil {
		return err
	}
	defer waiting.Stop()
	first, err := a.look(r.Context(), who)
	if err != nil {
		return err
	}
	session, err := sse.Upgrade(w, r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), streamLife+rand.N(streamLife/4)) //nolint:gosec // nobody gains by guessing
	defer cancel()
	s := statusStream{api: a, who: who, session: session, control: http.NewResponseController(w), last: session.LastEventID.String()}
	defer func() { _ = s.control.SetWriteDeadline(time.Time{}) }() // the connection may serve other requests
	s.run(ctx, waiting, first)
	return nil // what failed behind the first byte ends the stream, and the client connects again
}

// statusStream is an open stream.
type statusStream struct {
	api     *API
	who     gateway.Identity
	session *sse.Session
	control *http.ResponseController
	last    string // the id of the event that the client has
}

func (s *statusStream) run(ctx context.Context, waiting *gateway.Waiter, seen look) {
	first := new(sse.Message)
	first.AppendComment("dodogate")
	first.Retry = shortestReconnect + rand.N(longestReconnect-shortestReconnect) //nolint:gosec // likewise
	for err := s.write(first); err == nil; {
		message := new(sse.Message)
		if seen.id == s.last {
			message.AppendComment("")
		} else {
			message.ID, message.Type = sse.ID(seen.id), sse.Type("status")
			message.AppendData(string(seen.body))
			s.last = seen.id
		}
		if err = s.write(message); err != nil || !waiting.NextWithin(ctx, seen.pause) {
			return
		}
		seen, err = s.api.look(ctx, s.who)
	}
}

// look is a status as it was at a moment.
type look struct {
	body  json.RawMessage
	id    string        // the digest
	pause time.Duration // when to look again if nothing happens
}

// look reads the status on a goroutine of its own. Reading and encoding need a deep stack, which the
// goroutine of a stream would keep for as long as the stream is open.
func (a *API) look(ctx context.Context, who gateway.Identity) (seen look, err error) {
	done := make(chan struct{})
	var panicked any
	go func() {
		defer close(done)
		defer func() { panicked = recover() }() // the server would not, and the process would end
		var tag string
		if seen.body, tag, err = a.taggedStatus(ctx, who); err == nil {
			seen.id, seen.pause = eventIDOf(tag), untilChange(seen.body)
		}
	}()
	<-done
	if panicked != nil {
		panic(panicked)
	}
	return seen, err
}

// eventIDOf is the digest in an ETag.
func eventIDOf(tag string) string { return tag[len(`W/"`) : len(tag)-1] }

// untilChange is when to look again if nothing happens: after a heartbeat, or when the plan of a
// status ends.
func untilChange(body json.RawMessage) time.Duration {
	var status struct {
		PlanExpiresAt time.Time `json:"plan_expires_at"`
	}
	if json.Unmarshal(body, &status) == nil && !status.PlanExpiresAt.IsZero() {
		if left := time.Until(status.PlanExpiresAt); left > 0 && left < heartbeat {
			return left + time.Millisecond
		}
	}
	return heartbeat
}

func (s *statusStream) write(message *sse.Message) error {
	_ = s.control.SetWriteDeadline(time.Now().Add(streamPatience)) // a writer without deadlines has none
	if err := s.session.Send(message); err != nil {
		return err
	}
	return s.session.Flush()
}
