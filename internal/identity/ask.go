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

// AskOptions say where the app answers who a visitor is, and what is read from its answer.
type AskOptions struct {
	// URL is the address of that route of the app. Required.
	URL string
	// Cookies are the names of the cookies that are credentials. A name that ends with a star
	// stands for all names with that prefix. Empty: all cookies.
	Cookies []string
	// Fields are the members of the answer's JSON that have the identity. Defaults: id, email,
	// email_verified and name, unless a header is named for the same value.
	Fields Paths
	// Headers are response headers that have the identity instead.
	Headers HeaderNames
	// Timeout bounds one call of the app. Default: [DefaultAskTimeout].
	Timeout time.Duration
	// Remember is how long an answer is reused. Default: [DefaultRemember].
	Remember time.Duration
	// Calls is the number of concurrent calls. Default: [DefaultCalls].
	Calls int

	// Forwarded is what the app is sent about the client in addition to the credentials.
	// Default: the peer's address, and the host and scheme of the request.
	Forwarded func(*http.Request) Forwarded
	// Observe, Clock and Transport are as in [JWTOptions].
	Observe   func(Result)
	Clock     func() time.Time
	Transport http.RoundTripper
}

// HeaderNames are response headers with a visitor's identity. Empty ones are not read.
type HeaderNames struct {
	Account, Email, EmailVerified, Name string
}

func (h HeaderNames) all() []string { return []string{h.Account, h.Email, h.EmailVerified, h.Name} }

// Forwarded describes the client to an app that does not talk to it directly.
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

// maxQueue bounds how many requests wait for a call. Each holds up to maxCredential bytes, and
// keeps its place after its client has disconnected.
const maxQueue = 1000

// errQueueFull means that too many requests wait for a call.
var errQueueFull = errors.New("too many requests are waiting for the app")

// Check returns what is wrong with the settings. It makes no call, and accepts unresolved
// placeholders.
func (o *AskOptions) Check() error {
	if err := checkAskURL(o.URL); err != nil {
		return err
	}
	switch {
	case o.Timeout < 0 || o.Timeout > MaxAskTimeout:
		return fmt.Errorf("timeout must be longer than zero, and %v at the most", MaxAskTimeout)
	case o.Remember < 0 || o.Remember > MaxRemember:
		return fmt.Errorf("remember must be longer than zero, and %v at the most: a visitor stays signed in here for that long after signing out of the app", MaxRemember)
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

// Ask identifies visitors by asking the app about their cookie or token.
type Ask struct {
	options  AskOptions
	needBody bool // some of the identity is in the JSON of answers
	client   *http.Client
	verdicts *verdictCache
	flights  singleflight.Group
	slots    chan struct{} // one for each concurrent call
	queue    chan struct{} // one for each request, running or waiting
}

// NewAsk makes a source from options without placeholders.
func NewAsk(o AskOptions) (*Ask, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	o.setDefaults()
	a := &Ask{options: o, verdicts: newVerdictCache(), slots: make(chan struct{}, o.Calls), queue: make(chan struct{}, o.Calls+maxQueue)}
	for _, path := range []Path{o.Fields.Account, o.Fields.Email, o.Fields.EmailVerified, o.Fields.Name} {
		a.needBody = a.needBody || len(path) > 0
	}
	a.client = &http.Client{
		Transport:     o.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return a, nil
}

// setDefaults fills in the defaults.
func (o *AskOptions) setDefaults() {
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
		o.Forwarded = defaultForwarded
	}
	if o.Observe == nil {
		o.Observe = func(Result) {}
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Transport == nil {
		o.Transport = newTransport(nil) // no proxy: it would see the credentials
	}
	// If the account is in a header, the answer need not be JSON.
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

// defaultForwarded describes the peer of the connection.
func defaultForwarded(r *http.Request) Forwarded {
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

// loopHeader marks the calls of this process. A marked request that comes back is not asked
// about again. No client can guess the mark, so none can make its request look like a loop.
const loopHeader = "Dodogate-Ask"

var loopMark = rand.Text()

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
		return gateway.Identity{}, refusedCredentials("several Authorization lines, or too many cookies")
	case c.cookie == "" && c.authorization == "":
		return gateway.Identity{}, nil
	case slices.Contains(r.Header[loopHeader], loopMark):
		a.options.Observe(Unavailable)
		return gateway.Identity{}, fmt.Errorf("%w: %w", gateway.ErrLoginUnavailable, errLoop)
	}
	// The app also gets the host, and may have different users for different hosts.
	digest := a.verdicts.digest(r.Host, c.cookie, c.authorization)
	if found, ok := a.verdicts.get(digest, a.options.Clock()); ok {
		a.options.Observe(Remembered)
		return found.who, found.err
	}
	found, err := a.askShared(r, digest, c)
	if err != nil {
		return gateway.Identity{}, err
	}
	return found.who, found.err
}

// askShared makes one call for all concurrent requests with the same credentials. The call
// continues if the first of them disconnects.
func (a *Ask) askShared(r *http.Request, d digest, c credentials) (*verdict, error) {
	about := a.options.Forwarded(r)
	agent := r.UserAgent()
	flight := a.flights.DoChan(string(d[:]), func() (any, error) {
		if found, ok := a.verdicts.get(d, a.options.Clock()); ok { // stored a moment ago
			return found, nil
		}
		select {
		case a.queue <- struct{}{}:
			defer func() { <-a.queue }()
		default: // not cached: the next request may find a place
			return a.unavailableVerdict(errQueueFull), nil
		}
		// Not the request's context, which would keep the connection's buffers in memory.
		ctx, cancel := context.WithTimeout(context.Background(), a.options.Timeout)
		defer cancel()
		found := a.askApp(ctx, c, about, agent)
		a.verdicts.put(d, found)
		return found, nil
	})
	select {
	case result := <-flight:
		return result.Val.(*verdict), nil
	case <-r.Context().Done():
		return nil, fmt.Errorf("%w: %w", gateway.ErrLoginUnavailable, r.Context().Err())
	}
}

// How long an answer is cached that may change soon: a visitor may sign in and keep the same
// cookie, and an app that was down comes back.
const (
	rememberNobody  = time.Second
	rememberFailure = time.Second
)

// askApp asks the app, and sets how long the answer is cached.
func (a *Ask) askApp(ctx context.Context, c credentials, about Forwarded, agent string) *verdict {
	who, err := a.callApp(ctx, c, about, agent)
	if err != nil {
		return a.unavailableVerdict(err)
	}
	remember := a.options.Remember
	if who.Account == "" {
		a.options.Observe(Refused)
		remember = min(remember, rememberNobody)
	} else {
		a.options.Observe(Verified)
	}
	return &verdict{who: who, until: a.options.Clock().Add(remember).UnixMilli()}
}

// unavailableVerdict is the verdict if the app cannot be asked.
func (a *Ask) unavailableVerdict(err error) *verdict {
	a.options.Observe(Unavailable)
	return &verdict{
		err:   fmt.Errorf("%w: %w", gateway.ErrLoginUnavailable, err),
		until: a.options.Clock().Add(rememberFailure).UnixMilli(),
	}
}
