// Package naive has the floors of the benchmarks, as Caddy handlers: for each job that
// dodogate does, the least that does the same job. Others here are what people write in an
// afternoon. None of them is for use: they keep no journal and no ledger, undo nothing, and
// do not explain a refusal.
package naive

import (
	"net/http"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/redis/go-redis/v9"
)

func init() {
	register("naive_read", func() handler { return new(Read) })
	register("naive_deduct", func() handler { return new(Deduct) })
	register("naive_headers", func() handler { return new(Headers) })
	register("naive_hold", func() handler { return new(Hold) })
	register("naive_webhook", func() handler { return new(Webhook) })
	register("naive_checkout", func() handler { return new(Checkout) })
}

// handler is a handler with its directive.
type handler interface {
	caddy.Module
	caddyhttp.MiddlewareHandler
	parse(d *caddyfile.Dispenser) error
}

func register(directive string, empty func() handler) {
	caddy.RegisterModule(empty())
	httpcaddyfile.RegisterDirectiveOrder(directive, httpcaddyfile.Before, "reverse_proxy")
	httpcaddyfile.RegisterHandlerDirective(directive, func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		n := empty()
		return n, n.parse(h.Dispenser)
	})
}

// Start is how many credits every account begins with.
const Start = 1_000_000

// Key is where an account is: a hash of "credits", "has_paid" and "plan".
func Key(account string) string { return "user:" + account }

// server is the Redis of a handler.
type server struct {
	// Host and port.
	Addr string `json:"addr,omitempty"`

	client *redis.Client
}

func (s *server) Provision(caddy.Context) error {
	s.client = redis.NewClient(&redis.Options{Addr: s.Addr})
	return nil
}

func (s *server) Cleanup() error { return s.client.Close() }

// parse reads the directive's one argument, Redis' host and port.
func (s *server) parse(d *caddyfile.Dispenser) error {
	d.Next()
	if !d.AllArgs(&s.Addr) {
		return d.ArgErr()
	}
	return nil
}

// Read reads the account in `X-User` and tells the upstream what it has.
type Read struct{ server }

// CaddyModule returns the Caddy module information.
func (Read) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.naive_read", New: func() caddy.Module { return new(Read) }}
}

func (n *Read) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	user := r.Header.Get("X-User")
	account, err := n.client.HGetAll(r.Context(), Key(user)).Result()
	if err != nil {
		return caddyhttp.Error(http.StatusServiceUnavailable, err)
	}
	r.Header.Set("X-Entitlement-User", user)
	r.Header.Set("X-Entitlement-Credits", account["credits"])
	r.Header.Set("X-Entitlement-Has-Paid", account["has_paid"])
	r.Header.Set("X-Entitlement-Plan", account["plan"])
	return next.ServeHTTP(w, r)
}

// Deduct takes one credit of the account in `X-User`, for good.
type Deduct struct{ server }

// CaddyModule returns the Caddy module information.
func (Deduct) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.naive_deduct", New: func() caddy.Module { return new(Deduct) }}
}

var deduct = redis.NewScript(`
local credits = tonumber(redis.call('HGET', KEYS[1], 'credits') or '0')
if credits < tonumber(ARGV[1]) then return -1 end
return redis.call('HINCRBY', KEYS[1], 'credits', -ARGV[1])
`)

func (n *Deduct) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	user := r.Header.Get("X-User")
	left, err := deduct.Run(r.Context(), n.client, []string{Key(user)}, 1).Int64()
	switch {
	case err != nil:
		return caddyhttp.Error(http.StatusServiceUnavailable, err)
	case left < 0:
		return caddyhttp.Error(http.StatusPaymentRequired, nil)
	}
	r.Header.Set("X-Entitlement-User", user)
	r.Header.Set("X-Entitlement-Credits", strconv.FormatInt(left, 10))
	return next.ServeHTTP(w, r)
}

// Headers tells the upstream nine things about the account in `X-User`, all of which
// were known before: what such headers cost in any handler.
type Headers struct {
	// What every account has.
	Credits string `json:"credits,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (Headers) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.naive_headers", New: func() caddy.Module { return new(Headers) }}
}

// parse reads the directive's one argument, the credits.
func (n *Headers) parse(d *caddyfile.Dispenser) error {
	d.Next()
	if !d.AllArgs(&n.Credits) {
		return d.ArgErr()
	}
	return nil
}

func (n *Headers) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	values := [...]string{r.Header.Get("X-User"), n.Credits, "false", "none", "", "none", "", "", "false"}
	for i, name := range [...]string{
		"X-Entitlement-User", "X-Entitlement-Credits", "X-Entitlement-Has-Paid", "X-Entitlement-Plan", "X-Entitlement-Plans",
		"X-Entitlement-Plan-Status", "X-Entitlement-Plan-Expires-At", "X-Entitlement-Features", "X-Entitlement-Stale",
	} {
		r.Header[name] = values[i : i+1 : i+1]
	}
	return next.ServeHTTP(w, r)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Read)(nil)
	_ caddy.CleanerUpper          = (*Read)(nil)
	_ caddyhttp.MiddlewareHandler = (*Read)(nil)
	_ caddyhttp.MiddlewareHandler = (*Deduct)(nil)
	_ caddyhttp.MiddlewareHandler = (*Headers)(nil)
)
