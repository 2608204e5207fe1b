package httpapi

import (
	"net/http"
	"strings"
)

// IsPreflight reports whether a request is a CORS preflight: OPTIONS with an origin and the
// intended method, and without a body. A preflight carries no login by specification (Fetch,
// 4.8), so it must pass the gates without one; otherwise a page of another origin could not
// use what its visitor has paid for. HTTP/3 does not say whether there is a body;
// [API.PreflightOnly] removes it.
//
// Some apps obey a header that names another method. A browser never adds a page's own headers
// to a preflight, so a request with such a header is not one.
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

// PreflightOnly is for preflights of visitors who are not entitled. Of the app's answer it
// passes on only the status and the Access-Control headers, so that an app that ignores the
// method gives nothing away. If the app does not handle CORS, it allows what the page of a
// trusted origin asks for, so that the page can send the request and read our refusal.
//
// It removes the body from the request.
func (a *API) PreflightOnly(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	asked := &http.Request{Method: r.Method, Header: r.Header.Clone()} // later handlers change r
	r.Body, r.ContentLength, r.Trailer = http.NoBody, 0, nil
	return &preflightWriter{to: w, api: a, asked: asked, header: make(http.Header)}
}

// preflightWriter has no Unwrap: the writer underneath could send content.
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

// FlushError sends the header, so that streaming handlers work.
func (p *preflightWriter) FlushError() error {
	p.WriteHeader(http.StatusOK)
	return nil
}

// Flush is FlushError for handlers that use a [http.Flusher].
func (p *preflightWriter) Flush() { _ = p.FlushError() }
