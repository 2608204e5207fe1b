package caddymodule

import (
	"errors"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/dodogate/dodogate/internal/httpapi"
)

func init() {
	caddy.RegisterModule(new(MatchPath))
}

// MatchPath matches requests by their path, to put a gate before it. `path` asks
// which path a request names. This asks which paths some app might take it for: an
// app that decodes twice, resolves dots late, ignores a slash at the end, takes
// a backslash for a slash, drops what follows a semicolon, reads `X-Original-URL`,
// and so on. It asks the path as it arrived and the path that a rewriting has made of
// it, and either is enough. It is meant to include, and must never be used to
// exclude: `not dodo_path` is as easy to walk through as `path` is to walk around.
//
// A pattern is a path (`/report`), a path and all below it (`/paid/*`, which is also
// `/paid`), an ending (`*.mp4`), or a path with stars for text without a slash
// (`/a/*/b`). Upper and lower case are the same.
type MatchPath struct {
	// The patterns, of which any is enough. At least one is required.
	Paths []string `json:"paths,omitempty"`

	patterns []httpapi.PathPattern
}

// CaddyModule returns the Caddy module information.
func (*MatchPath) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.matchers.dodo_path",
		New: func() caddy.Module { return new(MatchPath) },
	}
}

// Provision reads the patterns.
func (m *MatchPath) Provision(caddy.Context) error {
	if len(m.Paths) == 0 {
		return errNoPath
	}
	m.patterns = make([]httpapi.PathPattern, len(m.Paths))
	for i, text := range m.Paths {
		pattern, err := httpapi.NewPathPattern(text)
		if err != nil {
			return err
		}
		m.patterns[i] = pattern
	}
	return nil
}

var errNoPath = errors.New("dodo_path takes at least one path")

// MatchWithError reports whether some app might take the request for one of these
// paths. It has no errors.
func (m *MatchPath) MatchWithError(r *http.Request) (bool, error) {
	return readingOf(r).Matches(m.patterns), nil
}

// UnmarshalCaddyfile sets up the matcher from Caddyfile tokens; it can be repeated.
// Syntax:
//
//	dodo_path <path>...
func (m *MatchPath) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	for d.Next() { // the matcher's name
		paths := d.RemainingArgs()
		if len(paths) == 0 {
			return d.WrapErr(errNoPath)
		}
		if d.NextBlock(0) {
			return d.Errf("unrecognized option '%s' of dodo_path, which has none", d.Val())
		}
		m.Paths = append(m.Paths, paths...)
	}
	if err := m.Provision(caddy.Context{}); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// gateMatcher reads the matcher of a directive that stands before something. The
// dispenser stands before the directive's name, and then on it. A path for a matcher
// becomes `dodo_path`, because `path` can be walked around: nearly every app serves
// /report/ for /report.
func gateMatcher(h httpcaddyfile.Helper) (caddy.ModuleMap, error) {
	h.Next() // the directive's name
	path := ""
	if h.NextArg() && strings.HasPrefix(h.Val(), "/") {
		path = h.Val()
		if _, err := httpapi.NewPathPattern(path); err != nil {
			return nil, h.WrapErr(err)
		}
	}
	h.Reset()
	h.Next()
	matchers, err := h.ExtractMatcherSet()
	if err != nil {
		return nil, h.WrapErr(err)
	}
	h.Next() // the directive's name again
	if path != "" {
		matchers = caddy.ModuleMap{"dodo_path": caddyconfig.JSON(MatchPath{Paths: []string{path}}, nil)}
	}
	return matchers, nil
}

// Interface guards
var (
	_ caddy.Provisioner                 = (*MatchPath)(nil)
	_ caddyfile.Unmarshaler             = (*MatchPath)(nil)
	_ caddyhttp.RequestMatcherWithError = (*MatchPath)(nil)
)
