package caddymodule

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
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

	wrote    bool  // the status is known
	atEnd    bool  // the price comes as a trailer
	settled  bool  // the price is decided
	price    int64 // once it is
	returned bool  // the handlers behind have, rather than panicked
	err      error // that they returned

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
	m.renewal.start(time.Duration(h.HoldTTL)/2, m.renew)
	return m
}

// renew keeps the hold of a request alive that takes its time.
func (m *meter) renew() (done bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(m.request.Context()), time.Duration(m.handler.HoldTTL)/4)
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
		_, _ = m.take() // a price is for the final status to tell
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

// take removes the price from the headers, and from the trailers that are set so
// far.
func (m *meter) take() (values []string, named bool) {
	name := m.handler.PriceHeader
	if name == "" {
		return nil, false
	}
	header := m.Header()
	for _, key := range []string{name, http.TrailerPrefix + name} {
		if found, ok := header[key]; ok {
			values, named = found, true
			delete(header, key)
		}
	}
	return values, named
}

// settle decides the price and tells the client. Spending it may come later.
func (m *meter) settle(price int64) {
	m.settled, m.price = true, price
	m.visit.charged += price
	header := m.Header()
	header[headerCharged] = []string{strconv.FormatInt(m.visit.charged, 10)}
	header[headerRemaining] = []string{strconv.FormatInt(m.charge.Available+m.charge.Held()-price, 10)}
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
	go m.handler.end(m.charge, m.price, receipt, behind)
}

// finish settles what no status has settled. It also runs when the handlers behind
// panicked.
func (m *meter) finish() {
	values, named := m.take()
	if !m.settled {
		m.settle(m.lastPrice(values, named))
	}
	var receipt []byte
	if m.record && m.returned && m.err == nil {
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
	return m.ResponseWriter.Write(p)
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

// FlushError is what [http.ResponseController] calls.
func (m *meter) FlushError() error {
	if !m.wrote {
		m.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(m.ResponseWriter).Flush()
}

// maxReplayed is the size of the largest body that is kept, in bytes.
const maxReplayed = 32 << 10

// receipt is what is kept of an answer.
type receipt struct {
	Status int         `json:"status"`
	Header http.Header `json:"header"`
	Body   []byte      `json:"body"`
}

// keepHead notes the status and the headers that are the answer's own.
func (m *meter) keepHead(status int) {
	if !m.record || m.price == 0 {
		m.record = false
		return
	}
	m.status, m.header = status, m.Header().Clone()
	for _, name := range []string{
		"Connection", "Keep-Alive", "Transfer-Encoding", "Trailer", "Upgrade", "Content-Length", "Date", headerRemaining,
	} {
		delete(m.header, name)
	}
}

// keepBody keeps what is written, as long as it is little.
func (m *meter) keepBody(p []byte) {
	if !m.record || m.status == 0 {
		return
	}
	if len(m.body)+len(p) > maxReplayed {
		m.record, m.body = false, nil
		m.end(nil)
		return
	}
	m.body = append(m.body, p...)
}

func (m *meter) receipt() []byte {
	if m.status == 0 {
		return nil
	}
	text, err := json.Marshal(receipt{m.status, m.header, m.body})
	if err != nil || len(text) > store.MaxReceipt {
		return nil
	}
	return text
}

// replay repeats an answer. It reports whether there is one.
func replay(w http.ResponseWriter, finished *gateway.FinishedError) bool {
	var kept receipt
	if json.Unmarshal(finished.Receipt, &kept) != nil || kept.Status < 200 {
		return false
	}
	header := w.Header()
	for name, values := range kept.Header {
		header[name] = values
	}
	header.Set("Idempotent-Replayed", "true")
	w.WriteHeader(kept.Status)
	_, _ = w.Write(kept.Body)
	return true
}
