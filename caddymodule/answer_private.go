package caddymodule

import (
	"bufio"
	"io"
	"net"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/dodogate/dodogate/internal/httpapi"
)

// privateAnswer keeps an answer that depends on the account out of shared caches. It
// marks the answer when its headers are complete: reverse_proxy adds the app's headers
// to those that are there, so a mark that is set before would stand beside the app's.
type privateAnswer struct {
	caddyhttp.ResponseWriterWrapper
	// depends says, by the time of the answer, whether it depends on the account; nil
	// is yes.
	depends *bool
	final   bool // the final status went out
}

func newPrivateAnswer(w http.ResponseWriter, depends *bool) *privateAnswer {
	return &privateAnswer{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, depends: depends}
}

// servePrivate calls next with a writer that marks the answer.
func servePrivate(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, depends *bool) error {
	p := newPrivateAnswer(w, depends)
	err := next.ServeHTTP(p, r)
	if err == nil { // net/http answers 200 for a handler that wrote nothing
		p.finish(http.StatusOK)
	}
	return err
}

// finish marks an answer whose final status this is.
func (p *privateAnswer) finish(status int) {
	if p.final || status < http.StatusOK && status != http.StatusSwitchingProtocols {
		return
	}
	p.final = true
	if p.depends == nil || *p.depends {
		httpapi.MarkPrivate(p.Header())
	}
}

// WriteHeader implements [http.ResponseWriter].
func (p *privateAnswer) WriteHeader(status int) {
	p.finish(status)
	p.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (p *privateAnswer) Write(b []byte) (int, error) {
	p.finish(http.StatusOK)
	return p.ResponseWriter.Write(b)
}

// ReadFrom lets the system copy files and sockets by itself, where it can.
func (p *privateAnswer) ReadFrom(r io.Reader) (int64, error) {
	p.finish(http.StatusOK)
	return p.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError is what [http.ResponseController] calls.
func (p *privateAnswer) FlushError() error {
	p.finish(http.StatusOK)
	return http.NewResponseController(p.ResponseWriter).Flush()
}

// Flush is FlushError for handlers that ask for a [http.Flusher].
func (p *privateAnswer) Flush() { _ = p.FlushError() }

// Hijack gives the connection away, with whatever is written to it then.
func (p *privateAnswer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(p.ResponseWriter).Hijack()
	if err == nil {
		p.final = true
	}
	return conn, buffered, err
}

// Interface guards
var (
	_ http.ResponseWriter = (*privateAnswer)(nil)
	_ http.Flusher        = (*privateAnswer)(nil)
	_ http.Hijacker       = (*privateAnswer)(nil)
	_ io.ReaderFrom       = (*privateAnswer)(nil)
)
