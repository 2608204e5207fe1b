package httpapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	sse "github.com/tmaxmax/go-sse"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/httpapi"
	"github.com/dodogate/dodogate/internal/store"
)

// listening is a client of GET /events.
type listening struct {
	t      *testing.T
	events chan sse.Event
	ended  chan error
	leave  context.CancelFunc
}

// streams serves a site over HTTP, to whoever the header Test-Account names.
func (s *site) streams() string {
	s.t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if account := r.Header.Get("Test-Account"); account != "" {
			r = r.WithContext(httpapi.WithIdentity(r.Context(), gateway.Identity{Account: account}))
		}
		s.api.ServeHTTP(w, r)
	}))
	s.t.Cleanup(func() {
		s.gate.EndWaiting()
		server.Close()
	})
	return server.URL + "/payments/events"
}

// listen opens a stream of an account. last is the id of the event that the client has.
func listen(t *testing.T, url, account, last string) *listening {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	t.Cleanup(leave)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	must(t, err)
	r.Header.Set("Test-Account", account)
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	must(t, err)
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" ||
		!strings.Contains(response.Header.Get("Cache-Control"), "no-store") || response.Header.Get("X-Accel-Buffering") != "no" {
		t.Fatalf("%d %v", response.StatusCode, response.Header)
	}
	l := &listening{t: t, events: make(chan sse.Event), ended: make(chan error, 1), leave: leave}
	go func() {
		defer response.Body.Close()
		for event, err := range sse.Read(response.Body, nil) {
			if err != nil {
				l.ended <- err
				return
			}
			select {
			case l.events <- event:
			case <-ctx.Done():
			}
		}
		l.ended <- nil
	}()
	return l
}

// next waits for an event with so many credits, and returns its id.
func (l *listening) next(credits string) string {
	l.t.Helper()
	for {
		select {
		case event := <-l.events:
			if event.Type != "status" || event.LastEventID == "" {
				l.t.Fatalf("an event is %+v", event)
			}
			if strings.Contains(event.Data, `"credits":`+credits+`,`) {
				return event.LastEventID
			}
		case err := <-l.ended:
			l.t.Fatalf("the stream ended while it was to say %s: %v", credits, err)
		case <-l.t.Context().Done():
			l.t.Fatal("the test ended")
		}
	}
}

// TestStream: every change of the own account is sent, whichever gateway made it, and nothing of
// another account's.
func TestStream(t *testing.T) {
	sitesOnEachStore(t, func(t *testing.T, s *site, elsewhere store.Store) {
		url := s.streams()
		mine := listen(t, url, "alice", "")
		others := listen(t, url, "bob", "")
		mine.next("3")
		others.next("3")
		enterIn(t, elsewhere, "alice", "g1")
		last := mine.next("4")
		enterIn(t, s.store, "alice", "g2")
		mine.next("5")
		select {
		case event := <-others.events:
			t.Errorf("bob is sent %+v", event)
		default:
		}
		again := listen(t, url, "alice", last) // it missed one
		newest := again.next("5")
		up := listen(t, url, "alice", newest) // it missed none
		enterIn(t, elsewhere, "alice", "g3")
		if event := <-up.events; !strings.Contains(event.Data, `"credits":6,`) {
			t.Errorf("what the client has is sent again: %+v", event)
		}
	})
}

// TestStreamEnds: with its client, and with the server. There is a limit to how many are open for
// one account.
func TestStreamEnds(t *testing.T) {
	s := newSite(t, func(set *setting) { set.signup = 3 })
	url := s.streams()
	var open []*listening
	for range 20 {
		l := listen(t, url, "alice", "")
		l.next("3")
		open = append(open, l)
	}
	full := func(account string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		must(t, err)
		r.Header.Set("Test-Account", account)
		response, err := http.DefaultTransport.RoundTrip(r)
		must(t, err)
		_ = response.Body.Close()
		return response.StatusCode
	}
	if got := full("alice"); got != http.StatusServiceUnavailable {
		t.Errorf("one more is %d", got)
	}
	if got := full("bob"); got != http.StatusOK {
		t.Errorf("another account's is %d", got)
	}
	open[0].leave()
	if err := <-open[0].ended; err == nil {
		t.Error("the client left, and its stream ended well")
	}
	for full("alice") != http.StatusOK { // when the server has noticed
		if t.Context().Err() != nil {
			t.Fatal("there is no room behind one who left")
		}
	}
	s.gate.EndWaiting()
	for _, l := range open[1:] {
		if err := <-l.ended; err != nil {
			t.Errorf("a stream is cut off: %v", err)
		}
	}
}

// TestStreamRefuses: a stream needs an account, and a HEAD opens none.
func TestStreamRefuses(t *testing.T) {
	s := newSite(t, nil)
	s.get("/payments/events").do().problem(http.StatusUnauthorized, "unauthenticated")
	if a := s.call(http.MethodHead, "/payments/events", "").by(alice).do(); a.Code != http.StatusOK || a.Header().Get("Content-Type") != "text/event-stream" || a.Body.Len() > 0 {
		t.Errorf("HEAD is %d %v", a.Code, a.Header())
	}
	if a := s.call(http.MethodPost, "/payments/events", "").by(alice).do(); a.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST is %d", a.Code)
	}
}

// deadlines is an answer that notes until when it may be written.
type deadlines struct {
	*httptest.ResponseRecorder
	last  time.Time
	set   int
	leave func() // is called when the second message is written
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	if d.last, d.set = t, d.set+1; d.set == 2 {
		d.leave()
	}
	return nil
}

// TestStreamDeadline: a client that does not read is left, and a connection is as it was
// afterwards, for its next request.
func TestStreamDeadline(t *testing.T) {
	s := newSite(t, nil)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	c := s.get("/payments/events").by(alice)
	d := &deadlines{ResponseRecorder: httptest.NewRecorder(), leave: leave}
	s.api.ServeHTTP(d, c.WithContext(httpapi.WithIdentity(ctx, gateway.Identity{Account: "alice"})))
	if d.set != 3 || !d.last.IsZero() {
		t.Errorf("after %d deadlines the last one is %v; %d %s", d.set, d.last, d.Code, d.Body)
	}
}

// panicky is a store that panics when orders are read.
type panicky struct{ store.Store }

func (panicky) Orders(context.Context, string, store.OrderList) ([]book.Order, error) {
	panic("orders")
}

// TestStreamPanics: a panic while a status is read is the request's, as with every other route. It
// does not end the process.
func TestStreamPanics(t *testing.T) {
	s := newSite(t, func(set *setting) {
		set.store = func(t *testing.T, clock *clock) opened {
			inner := openBolt(t, clock)
			return opened{store.Client{Store: panicky{inner.Store}}, inner}
		}
	})
	defer func() {
		if r := recover(); r != "orders" {
			t.Errorf("the request panicked with %v", r)
		}
	}()
	s.get("/payments/events").by(alice).do()
}
