package httpapi

import (
	"net/http"
	"strings"
)

// IsPreflight reports whether a browser asks whether it may send another request:
// OPTIONS with an origin and the method it is about, and nothing to work with.
// It carries no login, by specification (Fetch, 4.8), so that nobody's would ever
// be entitled to anything, and a page of another origin could not use what its
// visitor has paid for. HTTP/3 does not say whether there is a body; PreflightOnly
// takes it away.
//
// Some apps believe a header that names another method. A browser sends none of its
// page's headers here, so what has one wants something done.
func IsPreflight(r *http.Request) bool {
	if r.Method != http.MethodOptions {
		return false
	}
	for _, name := range []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"} {
		if _, found := r.Header[name]; found {
			return false
		}
	}
	return r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != "" &&
		(r.ContentLength == 0 || r.ContentLength < 0 && r.ProtoMajor == 3) && len(r.TransferEncoding) == 0 && r.Header.Get("Upgrade") == ""
}

// PreflightOnly is for preflights of those who are not entitled: of the answer it
// passes on what a preflight is for, the status and the Access-Control headers,
// and nothing else. So an app that does not look at the method gives nothing away.
// If the app does not know CORS, it allows what the page of a trusted origin asks for, so
// that the page can send the request and read our refusal.
//
// It takes the body from the request.
func (a *API) PreflightOnly(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	asked := &http.Request{Method: r.Method, Header: r.Header.Clone()} // handlers behind us change r
	r.Body, r.ContentLength, r.Trailer = http.NoBody, 0, nil
	return &preflightWriter{to: w, api: a, asked: asked, header: make(http.Header)}
}

// preflightWriter has no Unwrap, because around it is where the content is.
type preflightWriter struct {
	to      http.ResponseWriter
	api     *API
	asked   *http.Request
	header  http.Header
	written bool
}

func (p *preflightWriter) Header() http.Header { return p.header }

func (p *preflightWriter) WriteHeader(status int) {
	if p.written || status < http.StatusOK {
		return
	}
	p.written = true
	if p.api.allowPreflight(p.header, p.asked) {
		status = http.StatusOK
	}
	h := p.to.Header()
	for name, values := range p.header {
		if name == "Vary" || name == "Allow" || strings.HasPrefix(name, "Access-Control-") {
			h[name] = values
		}
	}
	h.Set("Content-Length", "0")
	p.to.WriteHeader(status)
}

// Write drops the body.
func (p *preflightWriter) Write(body []byte) (int, error) {
	p.WriteHeader(http.StatusOK)
	return len(body), nil
}

// FlushError lets streaming handlers be.
func (p *preflightWriter) FlushError() error {
	p.WriteHeader(http.StatusOK)
	return nil
}

// Flush is FlushError for handlers that ask for a [http.Flusher].
func (p *preflightWriter) Flush() { _ = p.FlushError() }
