package caddymodule

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/dodogate/dodogate/internal/gateway"
)

// meter passes an answer on to the client and decides by its status what the
// request costs. Nothing is buffered.
type meter struct {
	*caddyhttp.ResponseWriterWrapper
	handler *Charge
	request *http.Request
	visit   *visit
	charge  *gateway.Charge
	done    func() // to be called when the hold is being ended
	renewal renewal

	wrote     bool  // the status is known
	atEnd     bool  // the price comes as a trailer
	nextToApp bool  // there is no other dodo_charge behind this one
	settled   bool  // the price is decided
	price     int64 // once it is
	returned  bool  // the handlers behind have, rather than panicked
	err       error // that they returned

	record bool // keep the answer for who asks again
	status int
	header http.Header
	body   []byte
}

func newMeter(h *Charge, w http.ResponseWriter, r *http.Request, v *visit, c *gateway.Charge, done func()) *meter {
	m := &meter{
		ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w},
		handler:               h, request: r, visit: v, charge: c, done: done,
	}
	m.renewal.start(time.Duration(h.HoldTTL)/renewals, m.renew)
	return m
}

// renewals is how often a hold is renewed within its time, so that some may fail.
const renewals = 4

// renew keeps the hold of a request alive that takes its time.
func (m *meter) renew() (done bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(m.request.Context()), time.Duration(m.handler.HoldTTL)/renewals)
	defer cancel()
	if err := m.charge.Renew(ctx); err != nil {
		m.handler.logger.Warn("a hold could not be renewed; it is tried again", "error", err)
		return false
	}
	return true
}

// renewal does something from time to time until it is stopped. What was not done
// is tried again much sooner, or the hold would have run out by then.
type renewal struct {
	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
}

func (r *renewal) start(every time.Duration, do func() (done bool)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timer = time.AfterFunc(every, func() {
		next := every
		if !do() {
			next = every / 4
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if !r.stopped {
			r.timer.Reset(next)
		}
	})
}

// stop does not wait for what is being done.
func (r *renewal) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
	r.timer.Stop()
}

// WriteHeader decides at the final status. That of an upgrade is one, too.
func (m *meter) WriteHeader(status int) {
	if !m.wrote && status < 200 && status != http.StatusSwitchingProtocols {
		_, _ = m.take() // a price is for the final status to tell, and so are receipts
		removeField(m.Header(), headerCharged)
		removeField(m.Header(), headerRemaining)
	}
	if !m.wrote && (status >= 200 || status == http.StatusSwitchingProtocols) {
		m.wrote = true
		m.decide(status)
	}
	m.ResponseWriter.WriteHeader(status)
}

// decide settles the price at the status, unless it comes as a trailer.
func (m *meter) decide(status int) {
	header := m.Header()
	price := m.handler.Credits
	values, named := m.take()
	late := m.handler.PriceHeader != "" && declares(header, m.handler.PriceHeader)
	m.silenceApp()
	if status == http.StatusSwitchingProtocols {
		m.record = false // what follows cannot be repeated, and is not waited for
	}
	switch {
	case !m.handler.charged(status), m.request.Context().Err() != nil:
		price = 0
	case named:
		price = m.handler.price(values)
	case late:
		m.atEnd = true
		header.Add("Trailer", headerCharged)
		header.Add("Trailer", headerRemaining)
		return
	}
	m.settle(price)
	m.keepHead(status)
}

// silenceApp removes receipts that the app wrote itself. Those of another
// dodo_charge behind this one are true; it has silenced the app already.
func (m *meter) silenceApp() {
	if m.visit.silenced {
		return
	}
	m.visit.silenced, m.nextToApp = true, true
	for _, name := range []string{headerCharged, headerRemaining} {
		removeField(m.Header(), name)
		declares(m.Header(), name)
	}
}

// silenceTrailers does the same for trailers, when they are all there.
func (m *meter) silenceTrailers() {
	if !m.nextToApp {
		return
	}
	header := m.Header()
	for _, name := range []string{headerCharged, headerRemaining} {
		delete(header, http.TrailerPrefix+name)
		if values := header[name]; len(values) > 1 { // reverse_proxy adds declared ones to the headers
			header[name] = values[:1]
		}
	}
}

// take removes the price from the headers, and from the trailers that are set so
// far.
func (m *meter) take() (values []string, named bool) {
	if m.handler.PriceHeader == "" {
		return nil, false
	}
	return removeField(m.Header(), m.handler.PriceHeader)
}

// removeField removes what is in a header and what is to be its trailer, however a
// handler spelled the name, and returns the values.
func removeField(header http.Header, name string) (values []string, found bool) {
	for key, of := range header {
		if len(key) >= len(name) && strings.EqualFold(strings.TrimPrefix(key, http.TrailerPrefix), name) {
			values, found = append(values, of...), true
			delete(header, key)
		}
	}
	return values, found
}

// settle decides the price and tells the client. Spending it may come later.
func (m *meter) settle(price int64) {
	m.settled, m.price = true, price
	charged, left := m.visit.settled(m.charge, price)
	header := m.Header()
	header[headerCharged] = []string{strconv.FormatInt(charged, 10)}
	header[headerRemaining] = []string{strconv.FormatInt(left, 10)}
	if !m.record || price == 0 {
		m.end(nil)
	}
}

// end ends the hold, behind the client's back.
func (m *meter) end(receipt []byte) {
	if m.done == nil {
		return
	}
	m.renewal.stop()
	behind := m.handler.app.store.keepBehind()
	m.done()
	m.done = nil
	m.charge.Ending()
	go m.handler.end(m.charge, m.price, receipt, behind)
}

// finish settles what no status has settled. It also runs when the handlers behind
// panicked.
func (m *meter) finish() {
	values, named := m.take()
	m.silenceTrailers()
	if !m.settled {
		m.settle(m.lastPrice(values, named))
	}
	var receipt []byte
	if m.record && m.returned && m.err == nil && m.request.Context().Err() == nil {
		receipt = m.receipt()
	}
	m.end(receipt)
}

// lastPrice is what a request costs whose price was to come last, if it came.
// Without an answer there is nothing to pay for. A client who left in the middle
// of it got something; an app that broke off did not say that it is done.
func (m *meter) lastPrice(values []string, named bool) int64 {
	switch {
	case !m.wrote:
		return 0
	case named:
		return m.handler.price(values)
	case m.request.Context().Err() != nil:
		return m.handler.Credits
	case m.returned && m.err == nil:
		return m.handler.Credits
	default:
		return 0
	}
}

// Write implements [http.ResponseWriter].
func (m *meter) Write(p []byte) (int, error) {
	if !m.wrote {
		m.WriteHeader(http.StatusOK)
	}
	m.keepBody(p)
	n, err := m.ResponseWriter.Write(p)
	if err != nil {
		m.drop() // the rest may never come
	}
	return n, err
}

// ReadFrom lets the system copy files and sockets by itself, where it can.
func (m *meter) ReadFrom(r io.Reader) (int64, error) {
	if !m.wrote {
		m.WriteHeader(http.StatusOK)
	}
	if m.record {
		return io.Copy(writerOnly{m}, r)
	}
	return m.ResponseWriterWrapper.ReadFrom(r)
}

// writerOnly hides ReadFrom.
type writerOnly struct{ io.Writer }

// Hijack gives the connection away, with which whoever takes it can answer as it
// likes: as an upgrade, by all that is known.
func (m *meter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(m.ResponseWriter).Hijack()
	if err == nil && !m.wrote {
		m.wrote = true
		m.decide(http.StatusSwitchingProtocols)
	}
	return conn, buffered, err
}

// FlushError is what [http.ResponseController] calls.
func (m *meter) FlushError() error {
	if !m.wrote {
		m.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(m.ResponseWriter).Flush()
}
