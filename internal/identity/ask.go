package identity

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/dodogate/dodogate/internal/gateway"
)

// AskOptions say where the app tells who a visitor is, and what is read from its answer.
type AskOptions struct {
	// URL is the app's address for that. Required.
	URL string
	// Cookies are the names of the cookies that are credentials; one that ends with a star
	// stands for all that begin like it. Empty: all cookies.
	Cookies []string
	// Fields are where the JSON of an answer has the identity. Empty ones have the
	// defaults id, email, email_verified and name, unless there is a header instead.
	Fields Paths
	// Headers are response headers that have it instead.
	Headers HeaderNames
	// Timeout bounds a question. Default: [DefaultAskTimeout].
	Timeout time.Duration
	// Remember is for how long an answer counts. Default: [DefaultRemember].
	Remember time.Duration
	// Calls is how many questions are under way at once. Default: [DefaultCalls].
	Calls int

	// Forwarded is what the app hears of the client beside the credentials. Default: the
	// peer's address, and the host and scheme of the request.
	Forwarded func(*http.Request) Forwarded
	// Observe, Clock and Transport are as in [JWTOptions].
	Observe   func(Result)
	Clock     func() time.Time
	Transport http.RoundTripper
}

// HeaderNames are response headers that say who a visitor is. Empty ones are not read.
type HeaderNames struct {
	Account, Email, EmailVerified, Name string
}

func (h HeaderNames) all() []string { return []string{h.Account, h.Email, h.EmailVerified, h.Name} }

// Forwarded is what an app hears of a client that it does not talk to itself.
type Forwarded struct{ For, Host, Proto string }

// Defaults and bounds of [AskOptions].
const (
	DefaultAskTimeout = 2 * time.Second
	MaxAskTimeout     = 30 * time.Second
	DefaultRemember   = 10 * time.Second
	MaxRemember       = 10 * time.Minute
	DefaultCalls      = 64
	MaxCalls          = 10_000
)

// maxQueue bounds how many questions wait for one of the calls. Each holds up to
// maxCredential bytes, and it waits on when its client has left.
const maxQueue = 1000

// errCrowded says that the queue is full.
var errCrowded = errors.New("too many questions wait for the app")

// Check finds what is wrong with the settings themselves. It calls nobody, and takes
// settings whose placeholders are not filled in yet.
func (o *AskOptions) Check() error {
	if err := checkAskURL(o.URL); err != nil {
		return err
	}
	switch {
	case o.Timeout < 0 || o.Timeout > MaxAskTimeout:
		return fmt.Errorf("timeout must be longer than zero, and %v at the most", MaxAskTimeout)
	case o.Remember < 0 || o.Remember > MaxRemember:
		return fmt.Errorf("remember must be longer than zero, and %v at the most: it is for so long that a visitor stays signed in here after leaving the app", MaxRemember)
	case o.Calls < 0 || o.Calls > MaxCalls:
		return fmt.Errorf("calls must be from 1 to %d", MaxCalls)
	}
	for i, name := range o.Cookies {
		plain := strings.TrimSuffix(name, "*")
		if plain == "" || !isCookieName(plain) || strings.Contains(plain, "*") {
			return fmt.Errorf("cookie %q is not the name of a cookie, perhaps with a star at its end", name)
		}
		if slices.Contains(o.Cookies[:i], name) {
			return fmt.Errorf("cookie names %s twice", name)
		}
	}
	return o.checkPlaces()
}

func (o *AskOptions) checkPlaces() error {
	fields := []Path{o.Fields.Account, o.Fields.Email, o.Fields.EmailVerified, o.Fields.Name}
	for i, header := range o.Headers.all() {
		if header == "" {
			continue
		}
		if len(fields[i]) > 0 {
			return errors.New("an answer's field and a header are given for the same thing; one of them is enough")
		}
		if !isHeaderName(header) {
			return fmt.Errorf("%q is not the name of a header", header)
		}
	}
	return o.Fields.check()
}

func isHeaderName(name string) bool {
	return isCookieName(name) && len(name) <= 100 // both are tokens of HTTP
}

func checkAskURL(address string) error {
	if strings.Contains(address, "{") {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("ask needs the app's own address for \"who am I\", such as http://app:3000/api/me")
	}
	return nil
}

// Ask believes what the app says about a visitor's cookie or token.
type Ask struct {
	options  AskOptions
	needBody bool // some of the identity is in the JSON of answers
	client   *http.Client
	memory   *memory
	flights  singleflight.Group
	slots    chan struct{} // one for each call
	queue    chan struct{} // one for each question, under way or waiting
}

// NewAsk makes a source of options whose placeholders are filled in.
func NewAsk(o AskOptions) (*Ask, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	o.fill()
	a := &Ask{options: o, memory: newMemory(), slots: make(chan struct{}, o.Calls), queue: make(chan struct{}, o.Calls+maxQueue)}
	for _, path := range []Path{o.Fields.Account, o.Fields.Email, o.Fields.EmailVerified, o.Fields.Name} {
		a.needBody = a.needBody || len(path) > 0
	}
	a.client = &http.Client{
		Transport:     o.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return a, nil
}

// fill puts the defaults in.
func (o *AskOptions) fill() {
	if o.Timeout == 0 {
		o.Timeout = DefaultAskTimeout
	}
	if o.Remember == 0 {
		o.Remember = DefaultRemember
	}
	if o.Calls == 0 {
		o.Calls = DefaultCalls
	}
	if o.Forwarded == nil {
		o.Forwarded = forwardedPlainly
	}
	if o.Observe == nil {
		o.Observe = func(Result) {}
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Transport == nil {
		o.Transport = newTransport(nil) // the app is near, and a proxy must not see credentials
	}
	// An answer that says the account in a header need not be JSON at all.
	onlyHeaders := o.Headers.Account != ""
	or := func(path Path, header, name string) Path {
		if len(path) > 0 || header != "" || onlyHeaders {
			return path
		}
		return Path{name}
	}
	o.Fields = Paths{
		Account:       or(o.Fields.Account, o.Headers.Account, "id"),
		Email:         or(o.Fields.Email, o.Headers.Email, "email"),
		EmailVerified: or(o.Fields.EmailVerified, o.Headers.EmailVerified, "email_verified"),
		Name:          or(o.Fields.Name, o.Headers.Name, "name"),
	}
}

func forwardedPlainly(r *http.Request) Forwarded {
	proto := "http"
	if r.TLS != nil {
		proto = "https"
	}
	host, _, _ := strings.Cut(r.RemoteAddr, "]") // of an IPv6 address
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasPrefix(host, "[") {
		host = host[:i]
	}
	return Forwarded{For: strings.TrimPrefix(host, "["), Host: r.Host, Proto: proto}
}

// guardHeader marks the questions of a process. One that comes back to it is not asked
// about again. No client can guess the mark, or it could make its request look like that.
const guardHeader = "Dodogate-Ask"

var guardMark = rand.Text()

var errLoop = errors.New("ask leads back to a gateway that asks; give it the app's own address")

// Identify implements [Source].
func (a *Ask) Identify(r *http.Request, _ bool) (gateway.Identity, error) {
	c := credentials{cookie: cookies(r.Header, a.options.Cookies)}
	authorization := r.Header["Authorization"]
	if len(authorization) > 0 {
		c.authorization = authorization[0]
	}
	switch {
	case len(authorization) > 1 || len(c.cookie)+len(c.authorization) > maxCredential:
		a.options.Observe(Refused)
		return gateway.Identity{}, refused("several Authorization lines, or too many cookies")
	case c.cookie == "" && c.authorization == "":
		return gateway.Identity{}, nil
	case slices.Contains(r.Header[guardHeader], guardMark):
		a.options.Observe(Unavailable)
		return gateway.Identity{}, fmt.Errorf("%w: %w", gateway.ErrLoginUnavailable, errLoop)
	}
	// The app hears the host, too, and may have other users for another one.
	digest := a.memory.digest(r.Host, c.cookie, c.authorization)
	if found, ok := a.memory.find(digest, a.options.Clock()); ok {
		a.options.Observe(Remembered)
		return found.who, found.err
	}
	found, err := a.together(r, digest, c)
	if err != nil {
		return gateway.Identity{}, err
	}
	return found.who, found.err
}

// together has one of those who ask about the same credentials ask for all of them. What
// is begun is finished when the first of them has left.
func (a *Ask) together(r *http.Request, d digest, c credentials) (*finding, error) {
	about := a.options.Forwarded(r)
	agent := r.UserAgent()
	flight := a.flights.DoChan(string(d[:]), func() (any, error) {
		if found, ok := a.memory.find(d, a.options.Clock()); ok { // it was found out a moment ago
			return found, nil
		}
		select {
		case a.queue <- struct{}{}:
			defer func() { <-a.queue }()
		default: // not remembered: the next request may find a place
			return a.failed(errCrowded), nil
		}
		// Not the request's own context: it would keep the connection's buffers as long.
		ctx, cancel := context.WithTimeout(context.Background(), a.options.Timeout)
		defer cancel()
		found := a.find(ctx, c, about, agent)
		a.memory.keep(d, found)
		return found, nil
	})
	select {
	case result := <-flight:
		return result.Val.(*finding), nil
	case <-r.Context().Done():
		return nil, fmt.Errorf("%w: %w", gateway.ErrLoginUnavailable, r.Context().Err())
	}
}

// For how long an answer counts that may soon be another one: a visitor who signs in may
// keep the cookie, and an app that was down comes back.
const (
	rememberNobody  = time.Second
	rememberFailure = time.Second
)

// find asks the app, and says for how long the answer counts.
func (a *Ask) find(ctx context.Context, c credentials, about Forwarded, agent string) *finding {
	who, err := a.ask(ctx, c, about, agent)
	if err != nil {
		return a.failed(err)
	}
	remember := a.options.Remember
	if who.Account == "" {
		a.options.Observe(Refused)
		remember = min(remember, rememberNobody)
	} else {
		a.options.Observe(Verified)
	}
	return &finding{who: who, until: a.options.Clock().Add(remember).UnixMilli()}
}

// failed is what counts of credentials that the app cannot be asked about.
func (a *Ask) failed(err error) *finding {
	a.options.Observe(Unavailable)
	return &finding{
		err:   fmt.Errorf("%w: %w", gateway.ErrLoginUnavailable, err),
		until: a.options.Clock().Add(rememberFailure).UnixMilli(),
	}
}
