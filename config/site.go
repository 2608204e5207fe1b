package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"strings"
)

// ErrReturnTo says that a landing place is not on the allow-list.
var ErrReturnTo = errors.New("return_to is not an allowed landing place")

// Site is where customers reach the site, and where they may land after a
// checkout.
type Site struct {
	public  *url.URL
	returns []*url.URL
}

// NewSite validates the addresses. publicURL may be empty: then links are made
// only for requests to a loopback host, see [Site.Base]. Without returnTo the
// public address is the landing place.
func NewSite(publicURL string, returnTo []string) (Site, error) {
	var s Site
	if publicURL != "" {
		u, err := parseAddress(publicURL)
		if err != nil {
			return Site{}, fmt.Errorf("public_url %w", err)
		}
		if u.RawQuery != "" || u.RawPath != "" || strings.ContainsAny(u.Path, `{}*%"<>|^`+"`") {
			return Site{}, errors.New("public_url must be an address such as https://app.example.com or https://example.com/app, with a plain path and without a query")
		}
		u.Path = strings.TrimSuffix(u.Path, "/")
		s.public = u
	}
	for _, raw := range returnTo {
		u, err := parseAddress(raw)
		if err != nil {
			return Site{}, fmt.Errorf("return_to %w", err)
		}
		s.returns = append(s.returns, u)
	}
	return s, nil
}

// Under is the site for a part of it that customers reach at an address of its own.
// They land within that address, and not at that of another part: the allowed landing
// places within it come first, or the address itself if there is none.
func (s Site) Under(publicURL string) (Site, error) {
	part, err := NewSite(publicURL, nil)
	if err != nil || part.public == nil {
		return Site{}, cmp.Or(err, errors.New("public_url is empty"))
	}
	if len(s.returns) == 0 {
		return part, nil
	}
	var others []*url.URL
	for _, u := range s.returns {
		if within(u, part.public) {
			part.returns = append(part.returns, u)
		} else {
			others = append(others, u)
		}
	}
	if len(part.returns) == 0 {
		part.returns = append(part.returns, front(part.public))
	}
	part.returns = append(part.returns, others...)
	return part, nil
}

// Origin is that of public_url; empty if there is none.
func (s Site) Origin() string {
	if s.public == nil {
		return ""
	}
	return s.public.Scheme + "://" + s.public.Host
}

// Path is where customers find what this server has at a path. With a path in
// public_url, that is below it: a proxy in front, or handle_path, has taken it away. A
// path that begins with it has come through as it is. A query stays.
func (s Site) Path(local string) string {
	path, _, _ := strings.Cut(local, "?")
	if s.public == nil || path == s.public.Path || strings.HasPrefix(path, s.public.Path+"/") {
		return local
	}
	return s.public.Path + local
}

// Home is the front page of the site that an address belongs to: of public_url, if the
// address has its origin.
func (s Site) Home(address string) string {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "":
		return s.Path("/")
	case s.public != nil && u.Scheme == s.public.Scheme && u.Host == s.public.Host:
		u = s.public
	default:
		u = &url.URL{Scheme: u.Scheme, Host: u.Host}
	}
	return u.Scheme + "://" + u.Host + u.Path + "/"
}

// front is an address with a slash at the end, because `handle_path /app/*` is not for
// /app.
func front(u *url.URL) *url.URL {
	if u.Path == "" {
		return u
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path + "/"}
}

// Base is the origin that links of this request begin with, without a slash at
// the end: that of public_url or, where none is configured, the request's own origin
// if its host is a loopback one. Any other Host header is a client's invention;
// then ok is false. The path of a link is what [Site.Path] returns.
func (s Site) Base(scheme, host string) (base string, ok bool) {
	if s.public != nil {
		return s.Origin(), true
	}
	u, err := parseAddress(scheme + "://" + host)
	if err != nil || u.Path != "" || u.RawQuery != "" || !loopback(u.Hostname()) {
		return "", false
	}
	return u.String(), true
}

// Landing is where a customer goes after a checkout: the asked address when its
// origin and path lie within an allowed one, the default when nothing was asked
// ([ErrReturnTo] otherwise). base is what [Site.Base] returned.
func (s Site) Landing(asked, base string) (string, error) {
	allowed := s.returns
	switch {
	case len(allowed) > 0:
	case s.public != nil:
		allowed = []*url.URL{front(s.public)}
	default:
		u, err := parseAddress(base)
		if err != nil {
			return "", ErrReturnTo
		}
		allowed = []*url.URL{u}
	}
	if asked == "" {
		return allowed[0].String(), nil
	}
	u, err := parseAddress(asked)
	if err != nil {
		return "", ErrReturnTo
	}
	for _, a := range allowed {
		if within(u, a) {
			return u.String(), nil
		}
	}
	return "", ErrReturnTo
}

// parseAddress accepts an absolute http or https address whose every part means
// the same to a browser as to us: no user info, no fragment, no backslash, no
// control or non-ASCII characters, no dot segments, plain or encoded.
func parseAddress(raw string) (*url.URL, error) {
	const most = 2048
	if len(raw) > most {
		return nil, errors.New("is too long")
	}
	for _, c := range []byte(raw) {
		if c <= ' ' || c >= 0x7f || c == '\\' {
			return nil, errors.New("has a character that does not belong in an address")
		}
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("is not an address")
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("must begin with http:// or https://")
	case u.Opaque != "" || u.Hostname() == "" || u.User != nil || strings.HasSuffix(u.Host, ":"):
		return nil, errors.New("must name a host, without user info")
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return nil, errors.New("must not have a fragment")
	case strings.Contains(u.Path, "//"), strings.Contains(u.Path, `\`), dotted(u.Path):
		return nil, errors.New("must have a clean path")
	}
	u.Host = strings.ToLower(u.Host)
	if port := u.Port(); port == "80" && u.Scheme == "http" || port == "443" && u.Scheme == "https" {
		u.Host = strings.TrimSuffix(u.Host, ":"+port)
	}
	return u, nil
}

func dotted(p string) bool {
	for segment := range strings.SplitSeq(p, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// within reports whether u has a's origin and lies at or below a's path.
func within(u, a *url.URL) bool {
	if u.Scheme != a.Scheme || u.Host != a.Host {
		return false
	}
	below := path.Clean("/" + a.Path)
	at := path.Clean("/" + u.Path)
	return at == below || below == "/" || strings.HasPrefix(at, below+"/")
}

func loopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
