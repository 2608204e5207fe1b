package caddymodule_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/dodogate/dodogate/internal/testing/freeport"
)

// front is a protocol that the site speaks.
type front struct {
	name   string
	base   string // URL without a path
	client *http.Client
}

// everyProtocol makes a config of one site that is reached by all of them.
func everyProtocol(globals, serverOptions, site string) string {
	return "{\n\tadmin {{Admin}}\n\tauto_https disable_redirects\n\tskip_install_trust\n\tstorage file_system {{TLS}}\n\tservers {\n\t\tprotocols h1 h2 h2c h3\n\t\tmax_header_size 1MB\n" +
		serverOptions + "\n\t}\n" + globals + "\n}\n(site) {\n" + site + "\n}\n" +
		"http://127.0.0.1:{{Port}} {\n\timport site\n}\nhttps://127.0.0.1:{{Secure}} {\n\ttls internal\n\timport site\n}\n"
}

// newSecureBench is a bench with a port for TLS, TCP and UDP.
func newSecureBench(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	b.Secure = freeport.Get(t)
	// Caddy goes on writing certificates for a moment after it was stopped, so this folder
	// must not be removed before the end of the process.
	data := os.Getenv("XDG_DATA_HOME")
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	var err error
	if b.TLS, err = os.MkdirTemp(data, "tls-"); err != nil { //nolint:usetesting // see above
		t.Fatal(err)
	}
	return b
}

// trust is what clients of a running site with `tls internal` need.
func (b *bench) trust() *tls.Config {
	b.t.Helper()
	root, err := os.ReadFile(filepath.Join(b.TLS, "pki", "authorities", "local", "root.crt"))
	if err != nil {
		b.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(root) {
		b.t.Fatal("no root certificate")
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}
}

// awaitCertificate waits for what `tls internal` makes behind the start.
func (b *bench) awaitCertificate() {
	b.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		conn, err := tls.Dial("tcp", "127.0.0.1:"+b.Secure, b.trust())
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// fronts are the protocols of a site that was made by everyProtocol and runs.
func (b *bench) fronts() []front {
	b.t.Helper()
	b.awaitCertificate()
	plain, secure := "http://127.0.0.1:"+b.Port, "https://127.0.0.1:"+b.Secure
	h1, h2c, h2 := new(http.Transport), new(http.Transport), new(http.Transport)
	h2c.Protocols, h2.Protocols = new(http.Protocols), new(http.Protocols)
	h2c.Protocols.SetUnencryptedHTTP2(true)
	h2.Protocols.SetHTTP2(true)
	h2.TLSClientConfig = b.trust()
	h3 := &http3.Transport{TLSClientConfig: b.trust()}
	b.t.Cleanup(func() {
		for _, transport := range []*http.Transport{h1, h2c, h2} {
			transport.CloseIdleConnections()
		}
		_ = h3.Close()
	})
	client := func(transport http.RoundTripper) *http.Client {
		return &http.Client{
			Timeout: 20 * time.Second, Transport: transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return []front{
		{"HTTP/1.1", plain, client(h1)}, {"h2c", plain, client(h2c)}, {"HTTP/2", secure, client(h2)}, {"HTTP/3", secure, client(h3)},
	}
}

// request makes one of lines "Name: value", with what is to come behind the body.
func (f front) request(t *testing.T, method, path, header, declared, trailers string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(method, f.base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = fieldsOf(header)
	if trailers == "" {
		return req
	}
	req.Trailer = http.Header{}
	for _, names := range fieldsOf(declared)["Trailer"] {
		for name := range strings.SplitSeq(names, ",") {
			req.Trailer[strings.TrimSpace(name)] = nil
		}
	}
	// A request that is answered before its trailers ends an HTTP/2 connection of
	// net/http, and the client sends the next one again.
	req.GetBody = func() (io.ReadCloser, error) {
		return io.NopCloser(&lateTrailers{text: strings.NewReader("hello"), to: req.Trailer, trailers: fieldsOf(trailers)}), nil
	}
	req.Body, _ = req.GetBody()
	return req
}

// lateTrailers is a body behind which trailers come, announced or not.
type lateTrailers struct {
	text     io.Reader
	to       http.Header
	trailers http.Header
}

func (l *lateTrailers) Read(p []byte) (int, error) {
	n, err := l.text.Read(p)
	if err == io.EOF {
		for name, values := range l.trailers {
			l.to[name] = values
		}
	}
	return n, err
}

// fieldsOf reads lines "Name: value" and leaves the names as they are.
func fieldsOf(text string) http.Header {
	h := http.Header{}
	for line := range strings.SplitSeq(text, "\r\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			h[name] = append(h[name], strings.TrimSpace(value))
		}
	}
	return h
}
