package caddymodule

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/dodogate/dodogate/internal/httpapi"
)

// ownNames are names of headers, as [httpapi.FoldName] makes them.
type ownNames struct {
	folded map[string]struct{}
	first  [256]bool // what they begin with, so that most others are told apart at once
}

func newOwnNames(names []string) *ownNames {
	own := &ownNames{folded: make(map[string]struct{}, len(names))}
	for _, name := range names {
		folded := httpapi.FoldName(nil, name)
		own.folded[string(folded)] = struct{}{}
		own.first[folded[0]] = true
	}
	return own
}

func (own *ownNames) has(name string) bool {
	for i := range len(name) {
		if c := httpapi.FoldByte(name[i]); c != 0 {
			if !own.first[c] {
				return false
			}
			break
		}
	}
	var buf [128]byte // so that the usual name costs no allocation
	_, ok := own.folded[string(httpapi.FoldName(buf[:0], name))]
	return ok
}

func (own *ownNames) removeFrom(h http.Header) {
	for name := range h {
		if own.has(name) {
			delete(h, name)
		}
	}
}

// removeTokens removes our names from the comma-separated lines of a header. A
// line without one stays as it is.
func (own *ownNames) removeTokens(h http.Header, name string) {
	lines, found := h[name], false
	for _, line := range lines {
		found = found || own.hasToken(line)
	}
	if !found {
		return
	}
	kept := make([]string, 0, len(lines))
	for _, line := range lines {
		if !own.hasToken(line) {
			kept = append(kept, line)
			continue
		}
		var tokens []string
		for token := range strings.SplitSeq(line, ",") {
			if !own.has(token) && strings.TrimSpace(token) != "" {
				tokens = append(tokens, strings.TrimSpace(token))
			}
		}
		if len(tokens) > 0 {
			kept = append(kept, strings.Join(tokens, ", "))
		}
	}
	if len(kept) == 0 {
		delete(h, name)
		return
	}
	h[name] = kept
}

func (own *ownNames) hasToken(line string) bool {
	for token := range strings.SplitSeq(line, ",") {
		if own.has(token) {
			return true
		}
	}
	return false
}

// trailerGuard is a body that removes own from the request's trailers as soon as they
// are there. net/http fills them in during the Read that finds the
// end, and reverse_proxy copies them right after it, so no other moment will do.
type trailerGuard struct {
	io.ReadCloser
	request *http.Request
	own     *ownNames
	broke   atomic.Bool // the client ended the request before its end
	closed  atomic.Bool // nobody reads any more
}

func (g *trailerGuard) Read(p []byte) (int, error) {
	n, err := g.ReadCloser.Read(p)
	if err != nil {
		g.own.removeFrom(g.request.Trailer)
		if err != io.EOF && !g.closed.Load() {
			g.broke.Store(true)
		}
	}
	return n, err
}

func (g *trailerGuard) Close() error {
	g.closed.Store(true) // before it makes a Read fail
	return g.ReadCloser.Close()
}

// Interface guard
var _ io.ReadCloser = (*trailerGuard)(nil)
