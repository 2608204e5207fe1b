package caddymodule

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/httpapi"
	"github.com/dodogate/dodogate/internal/ledger"
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
	origin  origin

	wrote     bool          // the status is known
	gone      bool          // nothing goes to the client, which left before that
	broken    bool          // a write to the client failed
	atEnd     bool          // the price is decided at the end
	answer    ledger.Answer // what is known of it
	nextToApp bool          // there is no other dodo_charge between this one and the app
	settled   bool          // the price is decided
	price     int64         // once it is
	returned  bool          // the handlers behind have, rather than panicked
	err       error         // that they returned

	record *recording // of the answer, for a client that repeats the request; nil is none
}

func newMeter(h *Charge, w http.ResponseWriter, r *http.Request, v *visit, c *gateway.Charge, done func()) *meter {
	m := &meter{
		ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w},
		handler:               h, request: r, visit: v, charge: c, done: done, origin: newOrigin(r),
	}
	m.renewal.start(time.Duration(h.HoldTTL)/renewals, m.renew)
	return m
}

// WriteHeader decides at the final status. That of an upgrade is one, too.
func (m *meter) WriteHeader(status int) {
	switch final := status >= 200 || status == http.StatusSwitchingProtocols; {
	case m.wrote:
	case !final:
		_ = m.take() // a price is for the final status to tell, and so are receipts
		removeField(m.Header(), headerCharged)
		removeField(m.Header(), headerRemaining)
		removeField(m.Header(), headerChargeID)
	case m.request.Context().Err() != nil:
		m.leave()
		return
	default:
		m.wrote = true
		if status >= 200 {
			httpapi.MarkPrivate(m.Header())
		}
		m.decide(status)
	}
	if !m.gone {
		m.ResponseWriter.WriteHeader(status)
	}
}

// statusGone is what logs show of requests whose client left, as in other proxies.
const statusGone = 499

// leave gives the hold back because the client has left, and the answer to nobody. To
// net/http a client is gone that has closed only its own half of the connection: it
// could still read what it does not pay for.
func (m *meter) leave() {
	m.wrote, m.gone, m.record = true, true, nil
	clear(m.Header())
	m.settle(0)
	m.ResponseWriter.WriteHeader(statusGone)
}

// decide settles the price at the status, unless it comes as a trailer.
func (m *meter) decide(status int) {
	header := m.Header()
	m.answer.Status, m.answer.Price = status, m.take()
	late := m.handler.PriceHeader != "" && declares(header, m.handler.PriceHeader)
	m.silenceApp()
	header[headerChargeID] = append(header[headerChargeID], m.charge.ID())
	m.askOrigin()
	if status == http.StatusSwitchingProtocols || m.request.Method == http.MethodConnect { // RFC 8441, 9220
		m.record = nil // what follows cannot be repeated, and is not waited for
	} else {
		m.answer.Awaits = late
		if is, inTrailers := isRPC(header); is {
			m.answer.RPC, m.answer.RPCStatus = inTrailers, ledger.RPCStatus(header[headerRPCStatus])
		}
	}
	v := m.judge()
	if v.Wait {
		m.atEnd = true
		header.Add("Trailer", headerCharged)
		header.Add("Trailer", headerRemaining)
		return
	}
	m.settle(v.Price)
	m.keepHead(status)
}

// askOrigin notes what the app said itself, if a proxy asked it.
func (m *meter) askOrigin() {
	if !m.handler.tariff.Statuses.Has(m.answer.Status) {
		return // nothing depends on it
	}
	answered := m.origin.answered()
	m.answer.Origin = m.origin.status(answered)
	if answered && len(m.answer.Price) == 0 && m.nextToApp && m.handler.PriceHeader != "" {
		m.answer.Price = m.origin.header(m.handler.PriceHeader)
	}
}

// headerRPCStatus tells how a gRPC call ended, as a trailer or, without a body, as a header.
const headerRPCStatus = "Grpc-Status"

// judge asks what the answer costs by all that is known of it.
func (m *meter) judge() ledger.Verdict {
	v := m.handler.tariff.Judge(m.answer)
	switch log := m.handler.logger; v.Note {
	case ledger.Capped:
		log.Warn("the app asks a higher price than max allows, which is charged instead", zap.Int64("max", m.handler.Max))
	case ledger.Unreadable:
		log.Warn("the app's price cannot be read; the usual price is charged", zap.String("header", m.handler.PriceHeader), zap.Int("values", len(m.answer.Price)))
	case ledger.Unused:
		log.Info("the app named a price for an answer that is not charged", zap.String("header", m.handler.PriceHeader), zap.Int("status", m.answer.Status))
	case ledger.NoNote:
	}
	return v
}

// silenceApp removes receipts that the app wrote itself. Those of another
// dodo_charge behind this one are true; it has silenced the app already.
func (m *meter) silenceApp() {
	if m.visit.silenced {
		return
	}
	m.visit.silenced, m.nextToApp = true, true
	for _, name := range []string{headerCharged, headerRemaining, headerChargeID} {
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
	for _, name := range []string{headerCharged, headerRemaining, headerChargeID} {
		delete(header, http.TrailerPrefix+name)
		if values := header[name]; len(values) > 1 { // reverse_proxy adds declared ones to the headers
			header[name] = values[:1]
		}
	}
}

// take removes the price from the headers, and from the trailers that are set so
// far.
func (m *meter) take() []string {
	if m.handler.PriceHeader == "" {
		return nil
	}
	return removeField(m.Header(), m.handler.PriceHeader)
}

// settle decides the price and tells the client. Spending it may come later.
func (m *meter) settle(price int64) {
	m.settled, m.price = true, price
	charged, left := m.visit.settled(m.charge, price)
	header := m.Header()
	header[headerCharged] = []string{strconv.FormatInt(charged, 10)}
	header[headerRemaining] = []string{strconv.FormatInt(left, 10)}
	if m.record == nil || price == 0 {
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
	m.charge.AnnounceEnd(m.price)
	ctx, capture := startSpanBehind(m.handler.app.store.life, m.request, "dodogate.capture")
	go func() {
		err := m.handler.end(ctx, m.charge, m.price, receipt, behind)
		capture.end(err)
	}()
}

// finish settles what no status has settled. It also runs when the handlers behind
// panicked.
func (m *meter) finish() {
	named := m.take()
	m.silenceTrailers()
	if !m.settled {
		m.judgeEnd(named)
	} else if len(named) > 0 && !m.gone {
		m.handler.logger.Warn("the app named a price in a trailer and it is not used: the charge was decided before, by the status or by a price in a header", zap.String("header", m.handler.PriceHeader), zap.Bool("declared", m.answer.Awaits))
	}
	m.end(m.receipt())
}

// judgeEnd settles the price of an answer that has ended.
func (m *meter) judgeEnd(named []string) {
	if len(m.answer.Price) == 0 {
		m.answer.Price = named
	}
	if m.answer.RPC && m.answer.RPCStatus == 0 {
		header := m.Header()
		m.answer.RPCStatus = ledger.RPCStatus(slices.Concat(header[headerRPCStatus], header[http.TrailerPrefix+headerRPCStatus]))
	}
	m.answer.End = m.ending()
	m.settle(m.judge().Price)
}

// ending is how the answer has ended.
func (m *meter) ending() ledger.End {
	switch {
	case m.broken, m.visit.brokeOff(), m.request.Context().Err() != nil:
		return ledger.LeftByClient
	case m.returned && m.err == nil:
		return ledger.Completed
	default:
		return ledger.BrokenOff
	}
}

// Write implements [http.ResponseWriter].
func (m *meter) Write(p []byte) (int, error) {
	if !m.wrote {
		m.WriteHeader(http.StatusOK)
	}
	if m.gone {
		return 0, m.request.Context().Err()
	}
	m.keepBody(p)
	n, err := m.ResponseWriter.Write(p)
	if n > 0 && m.request.Method != http.MethodHead { // whose body net/http swallows
		m.answer.Body = true
	}
	if err != nil {
		m.broken = true
		m.drop() // the rest may never come
	}
	return n, err
}

// ReadFrom lets the system copy files and sockets by itself, where it can.
func (m *meter) ReadFrom(r io.Reader) (int64, error) {
	if !m.wrote {
		m.WriteHeader(http.StatusOK)
	}
	if m.gone {
		return 0, m.request.Context().Err()
	}
	if m.record != nil || m.atEnd { // Write sees what goes, and whether it does
		return io.Copy(writerOnly{m}, r)
	}
	return m.ResponseWriterWrapper.ReadFrom(r)
}

// writerOnly hides ReadFrom.
type writerOnly struct{ io.Writer }

// Hijack gives the connection away, with which whoever takes it can answer as it
// likes: as an upgrade, by all that is known.
func (m *meter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if !m.wrote && m.request.Context().Err() != nil {
		m.leave()
	}
	if m.gone {
		return nil, nil, m.request.Context().Err()
	}
	conn, buffered, err := http.NewResponseController(m.ResponseWriter).Hijack()
	if err == nil {
		m.answer.Body = true // nobody sees what is written from now on
		if !m.wrote {
			m.wrote = true
			m.decide(http.StatusSwitchingProtocols)
		}
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

// Flush is FlushError for handlers that ask for a [http.Flusher].
func (m *meter) Flush() { _ = m.FlushError() }
