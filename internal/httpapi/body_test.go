package httpapi_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/httpapi"
)

// connection is both ends of a request whose body comes as the test likes: it answers
// as a server's does, with a read deadline that makes the read under way fail.
type connection struct {
	*httptest.ResponseRecorder
	mu        sync.Mutex
	changed   *sync.Cond
	arrived   []byte
	complete  bool
	reads     int
	deadlines []time.Time
}

func newConnection() *connection {
	c := &connection{ResponseRecorder: httptest.NewRecorder()}
	c.changed = sync.NewCond(&c.mu)
	return c
}

func (c *connection) SetReadDeadline(at time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadlines = append(c.deadlines, at)
	c.changed.Broadcast()
	return nil
}

// over reports whether the deadline is one of long ago. Other deadlines never pass.
func (c *connection) over() bool {
	n := len(c.deadlines)
	return n > 0 && !c.deadlines[n-1].IsZero() && c.deadlines[n-1].Year() < 2000
}

func (c *connection) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads++
	c.changed.Broadcast()
	for {
		switch {
		case c.over():
			return 0, os.ErrDeadlineExceeded
		case len(c.arrived) > 0:
			n := copy(p, c.arrived)
			c.arrived = c.arrived[n:]
			return n, nil
		case c.complete:
			return 0, io.EOF
		}
		c.changed.Wait()
	}
}

func (c *connection) Close() error { return nil }

// send lets bytes arrive.
func (c *connection) send(text string, complete bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.arrived, c.complete = append(c.arrived, text...), complete
	c.changed.Broadcast()
}

// awaitReads waits until the body is waited for again, so many times in all.
func (c *connection) awaitReads(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.reads < n {
		c.changed.Wait()
	}
}

// serve has a request served whose body comes on a connection, and returns what waits for
// the answer.
func (c *connection) serve(r call) (answered func() answer) {
	r.Body = c
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.site.api.ServeHTTP(c, r.Request)
	}()
	return func() answer { <-done; return answer{r.site.t, c.ResponseRecorder} }
}

func limited(memory int64) func(*setting) {
	return func(set *setting) { set.bodies = httpapi.NewBodies(httpapi.BodyLimits{Memory: memory}) }
}

// What can be refused by its headers is refused before any of the body is read, and an
// HTTP/1 connection with a body on it ends.
func TestRefusedUnread(t *testing.T) {
	header := func(name, value string) func(call) call {
		return func(c call) call { c.Header.Set(name, value); return c }
	}
	for _, tt := range []struct {
		name, method, path string
		change             func(call) call
		status             int
		code               string
	}{
		{"too large, and not signed", "POST", "webhook", func(c call) call { c.ContentLength = 1<<20 + 1; c.Header.Del("Webhook-Id"); return c }, 413, "body_too_large"},
		{"not signed", "POST", "webhook", func(c call) call { c.Header.Del("Webhook-Signature"); return c }, 401, "webhook_signature_invalid"},
		{"no id", "POST", "webhook", func(c call) call { c.Header.Del("Webhook-Id"); return c }, 401, "webhook_signature_invalid"},
		{"two ids", "POST", "webhook", func(c call) call { return c.with("Webhook-Id", "m") }, 400, "webhook_malformed"},
		{"odd id", "POST", "webhook", header("Webhook-Id", "a.b"), 400, "webhook_malformed"},
		{"long id", "POST", "webhook", header("Webhook-Id", strings.Repeat("a", 257)), 400, "webhook_malformed"},
		{"odd time", "POST", "webhook", header("Webhook-Timestamp", "+1795348800"), 400, "webhook_malformed"},
		{"stale", "POST", "webhook", header("Webhook-Timestamp", "1000000000"), 401, "webhook_timestamp_stale"},
		{"no candidate", "POST", "webhook", header("Webhook-Signature", "v1"), 401, "webhook_signature_invalid"},
		{"another method", "PUT", "webhook", nil, 405, "method_not_allowed"},
		{"nobody", "POST", "checkout", nil, 401, "unauthenticated"},
		{"another site", "POST", "checkout", func(c call) call { return c.by(alice).with("Sec-Fetch-Site", "cross-site") }, 403, "cross_origin"},
		{"early", "POST", "checkout", func(c call) call { return c.by(alice).with("Early-Data", "1") }, 425, "too_early"},
		{"another kind", "POST", "checkout", func(c call) call { return c.by(alice).with("Content-Type", "text/plain") }, 415, "unsupported_media_type"},
		{"large", "POST", "checkout", func(c call) call { c.ContentLength = 16<<10 + 1; return c.by(alice) }, 413, "body_too_large"},
		{"nobody confirms", "POST", "confirm", nil, 401, "unauthenticated"},
		{"no route", "POST", "nothing", nil, 404, "not_found"},
	} {
		for _, major := range []int{1, 2, 3} {
			s := newSite(t, nil)
			c := s.signed("m", someEvent)
			c.Method, c.URL.Path, c.ProtoMajor = tt.method, "/payments/"+tt.path, major
			if tt.change != nil {
				c = tt.change(c)
			}
			conn := newConnection()
			a := conn.serve(c)()
			a.problem(tt.status, tt.code)
			if conn.reads != 0 {
				t.Errorf("%s: the body was read", tt.name)
			}
			switch closes := a.Header().Get("Connection") == "close"; {
			case closes != (major == 1):
				t.Errorf("%s over HTTP/%d: connection closed %t", tt.name, major, closes)
			case closes && (len(conn.deadlines) != 1 || time.Until(conn.deadlines[0]) > time.Second):
				t.Errorf("%s: the rest may come until %v", tt.name, conn.deadlines)
			}
		}
	}
}

// A body has a deadline while it is read, and what comes behind it has none.
func TestBodyDeadline(t *testing.T) {
	s := newSite(t, nil)
	conn := newConnection()
	answered := conn.serve(s.signed("m", someEvent))
	conn.awaitReads(1)
	n := len(conn.deadlines)
	if left := time.Until(conn.deadlines[n-1]); left > 10*time.Second || left < -time.Minute {
		t.Errorf("the body may take %v", left)
	}
	conn.send(someEvent, true)
	a := answered()
	a.json(200)
	if n := len(conn.deadlines); !conn.deadlines[n-1].IsZero() || a.Header().Get("Connection") != "" {
		t.Errorf("the connection is of no more use: %v, Connection %q", conn.deadlines, a.Header().Get("Connection"))
	}

	conn = newConnection()
	answered = conn.serve(s.signed("m", someEvent))
	conn.awaitReads(1)
	must(t, conn.SetReadDeadline(time.Unix(2, 0))) // it passes
	a = answered()
	a.problem(408, "body_too_slow")
	if a.Header().Get("Connection") != "close" {
		t.Error("the connection stays open")
	}
	if log := s.log.String(); !strings.Contains(log, "code=body_too_slow") || strings.Contains(log, "level=ERROR") {
		t.Errorf("log: %s", log)
	}
}

// Where there is no room for all bodies, those give way that have been there longest.
func TestTooManyBodies(t *testing.T) {
	for name, request := range map[string]func(*site) call{
		"webhook":  func(s *site) call { return s.signed("m_slow", someEvent) },
		"checkout": func(s *site) call { return s.post("/payments/checkout", `{"product":"pack10"}`).by(alice) },
	} {
		t.Run(name, func(t *testing.T) {
			const room = 20
			var set setting
			s := newSite(t, func(now *setting) { limited(room * httpapi.BodyCost)(now); set = *now })
			var slow []*connection
			var answers []func() answer
			for range room + 5 {
				conn := newConnection()
				answers = append(answers, conn.serve(request(s)))
				conn.awaitReads(1)
				slow = append(slow, conn)
			}
			for range 10 {
				conn := newConnection()
				conn.send(someEvent, true)
				a := conn.serve(s.signed("m_good", someEvent))()
				a.json(200)
			}
			for i := range 5 + 1 { // the genuine ones came one after another
				a := answers[i]()
				a.problem(503, "too_many_bodies")
				if a.Header().Get("Retry-After") == "" || a.Header().Get("Connection") != "close" {
					t.Errorf("%v", a.Header())
				}
			}
			if log := s.log.String(); strings.Contains(log, "level=ERROR") || strings.Count(log, "level=WARN") > 1 {
				t.Errorf("log: %s", log)
			}
			for _, conn := range slow[6:] {
				must(t, conn.SetReadDeadline(time.Unix(2, 0)))
			}
			for _, answered := range answers[6:] {
				answered().problem(408, "body_too_slow")
			}
			if held, arriving := set.bodies.Held(); held != 0 || arriving != 0 {
				t.Errorf("%d bytes are held, %d bodies arrive", held, arriving)
			}
		})
	}
}

// A client that holds much gives way before others who came earlier. In IPv6 all of a
// network is one client.
func TestTooManyBodiesOfOneClient(t *testing.T) {
	const room = 32
	for name, address := range map[string]func(i int) string{
		"one address":          func(int) string { return "192.0.2.1" },
		"mapped":               func(i int) string { return []string{"192.0.2.1", "::ffff:192.0.2.1"}[i%2] },
		"one network":          func(i int) string { return "2001:db8::" + strings.Repeat("f", 1+i%4) },
		"no address at a time": func(int) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, func(set *setting) {
				limited(room * httpapi.BodyCost)(set)
				set.clientIP = func(r *http.Request) string { return r.Header.Get("X-Test-Ip") }
			})
			var early []*connection
			var answers []func() answer
			open := func(ip string) (*connection, func() answer) {
				conn := newConnection()
				answered := conn.serve(s.signed("m", someEvent).with("X-Test-Ip", ip))
				conn.awaitReads(1)
				return conn, answered
			}
			for _, ip := range []string{"198.51.100.1", "198.51.100.2", "2001:db8:1::1"} {
				conn, answered := open(ip)
				early, answers = append(early, conn), append(answers, answered)
			}
			var attack []func() answer
			var attackers []*connection
			for i := range 3 * room {
				conn, answered := open(address(i))
				attack, attackers = append(attack, answered), append(attackers, conn)
			}
			for i, conn := range early {
				conn.send(someEvent, true)
				answers[i]().json(200)
			}
			for _, conn := range attackers {
				must(t, conn.SetReadDeadline(time.Unix(2, 0)))
			}
			cut := 0
			for _, answered := range attack {
				if answered().Code == http.StatusServiceUnavailable {
					cut++
				}
			}
			if want := 2*room + len(early); cut != want {
				t.Errorf("%d were cut off, want %d", cut, want)
			}
		})
	}
}

// Who declares much and sends little reserves little; who sends much has it counted; and
// no body is larger than there is room for.
func TestBodyMemory(t *testing.T) {
	var set setting
	s := newSite(t, func(now *setting) { limited(1 << 20)(now); set = *now })
	conn := newConnection()
	c := s.signed("m", someEvent)
	c.ContentLength = 1 << 20
	answered := conn.serve(c)
	conn.awaitReads(1)
	if held, _ := set.bodies.Held(); held != httpapi.BodyCost {
		t.Errorf("%d bytes are held for nothing", held)
	}
	conn.send(strings.Repeat("{", 100_000), false)
	conn.awaitReads(14)
	if held, _ := set.bodies.Held(); held < 100_000 || held > 100_000+2*httpapi.BodyCost {
		t.Errorf("%d bytes are held for 100,000", held)
	}
	conn.send(strings.Repeat("{", 1<<20-100_000), true)
	answered().problem(503, "too_many_bodies")
	if held, arriving := set.bodies.Held(); held != 0 || arriving != 0 {
		t.Errorf("%d bytes are held, %d bodies arrive", held, arriving)
	}
}
