package main

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/dodogate/dodogate/bench/load"
	"github.com/dodogate/dodogate/bench/naive"
	"github.com/dodogate/dodogate/bench/rig"
)

// contestant is one way to stand in front of the upstream.
type contestant struct {
	name  string // of its process
	title string
	needs string // a module of the binary; "" is none

	gateway bool   // dodogate is in it
	charge  string // its line for charged routes
	redis   bool
	ownGC   bool   // the binary decides how it collects garbage
	naive   string // instead: the directive of package naive
	direct  bool   // instead: nothing at all
	refused bool   // it answers 402
	answer  string // instead: what bare Caddy itself answers with
	older   bool   // it is of the binary that this one is compared with
	token   bool   // requests bring a signed token
	jwt     bool   // a token names the account, instead of a header
}

const (
	bareName  = "bare"
	chargeOne = "dodo_charge /api/* 1"
	// More than anybody has.
	tooMuch       = "9000000000"
	chargeModule  = "http.handlers.dodo_charge"
	requireModule = "http.handlers.dodo_require"
)

func contestants() []contestant {
	return []contestant{
		{name: "direct", title: "upstream, direct", direct: true},
		{name: bareName, title: "bare Caddy"},
		{name: "bare-again", title: "bare Caddy once more (the noise)"},
		{name: "naive-headers", title: "middleware, nine headers known beforehand: the floor of headers", naive: "naive_headers"},
		{name: "headers-redis", title: "dodogate, headers only, Redis", gateway: true, redis: true},
		{name: "headers-bolt", title: "dodogate, headers only, embedded", gateway: true},
		{name: "headers-token", title: "dodogate, headers only, embedded; requests bring a token, which nobody reads", gateway: true, token: true},
		{name: "headers-jwt", title: "dodogate, headers only, embedded; a token names the account (`jwt`)", gateway: true, token: true, jwt: true},
		{name: "charge-redis", title: "dodogate, hold and capture, Redis", gateway: true, redis: true, charge: chargeOne, needs: chargeModule},
		{name: "charge-bolt", title: "dodogate, hold and capture, embedded", gateway: true, charge: chargeOne, needs: chargeModule},
		{name: "naive-read", title: "middleware, one Redis read", redis: true, naive: "naive_read"},
		{name: "naive-deduct", title: "middleware, one blocking deduction script", redis: true, naive: "naive_deduct"},
		{name: "naive-hold", title: "middleware, hold and capture as two scripts: the floor of two phases", redis: true, naive: "naive_hold"},
		{name: "own-redis", title: "dodogate, headers only, Redis, its own GC settings", gateway: true, redis: true, ownGC: true},
		{name: "own-bolt", title: "dodogate, headers only, embedded, its own GC settings", gateway: true, ownGC: true},
		{name: "own-charge-redis", title: "dodogate, hold and capture, Redis, its own GC settings", gateway: true, redis: true, ownGC: true, charge: chargeOne, needs: chargeModule},
		{name: "own-charge-bolt", title: "dodogate, hold and capture, embedded, its own GC settings", gateway: true, ownGC: true, charge: chargeOne, needs: chargeModule},
		{name: "respond-402", title: "bare Caddy, `respond 402`: the floor of a refusal", refused: true, answer: "respond {} 402"},
		{name: "require-402", title: "dodogate, refusal by dodo_require, Redis", gateway: true, redis: true, refused: true, charge: "dodo_require /api/* credits " + tooMuch, needs: requireModule},
		{name: "charge-402", title: "dodogate, refusal by dodo_charge, Redis", gateway: true, redis: true, refused: true, charge: "dodo_charge /api/* " + tooMuch, needs: chargeModule},
	}
}

// contestants are those of this run. With a binary to compare with, each gateway
// takes part twice.
func (b *bench) contestants() []contestant {
	all := contestants()
	if b.before == "" {
		return all
	}
	for _, c := range all {
		if c.gateway && !c.jwt { // the other binary may not know tokens
			c.name, c.title, c.older = "before-"+c.name, c.title+", before", true
			all = append(all, c)
		}
	}
	return all
}

// running is a contestant that runs.
type running struct {
	contestant
	addr    string
	process *rig.Process
	caddy   *rig.Caddy // nil for the upstream alone
	server  *rig.Redis // nil when it has none
	visits  []load.Exchange
}

// start starts a contestant and lets every account visit once.
func (b *bench) start(ctx context.Context, c contestant, upstream *rig.Process, upstreamAddr, dodo string) (*running, error) {
	r := &running{contestant: c, addr: upstreamAddr, process: upstream}
	var err error
	if c.redis {
		if r.server, err = b.redis(c.name + "-redis"); err != nil {
			return nil, err
		}
	}
	if !c.direct {
		if r.caddy, err = b.caddy(b.spec(r, upstreamAddr, dodo)); err != nil {
			return nil, err
		}
		r.addr, r.process = r.caddy.Addr, r.caddy.Process
	}
	if c.naive != "" && c.redis {
		if err = b.seed(ctx, r.server.Client); err != nil {
			return nil, err
		}
	}
	r.visits = b.visitsOf(r)
	if _, err = b.once(ctx, r.addr, r.visits); err != nil {
		return nil, fmt.Errorf("%s: first visits: %w", c.name, err)
	}
	return r, nil
}

func (b *bench) spec(r *running, upstream, dodo string) rig.CaddySpec {
	s := rig.CaddySpec{Name: r.name, Site: bareSite(upstream)}
	if r.older {
		s.Bin = b.before
	}
	if !r.ownGC {
		s.Env = []string{stockGC}
	}
	switch {
	case r.answer != "":
		s.Site = line(r.answer)
	case r.naive != "":
		s.Bin, s.Env = b.self, append(s.Env, roleVariable+"="+roleCaddy)
		what := fmt.Sprint(signup)
		if r.redis {
			what = r.server.Addr
		}
		s.Site = line(r.naive+" "+what) + s.Site
	case r.gateway:
		store := "bolt " + filepath.Join(b.dir, r.name+".db")
		if r.redis {
			store = b.storeIn(r.server)
		}
		s.Global, s.Site = gatewayOptions(store, dodo), gatewaySite(r.charge, upstream)
		if r.jwt {
			s.Site = strings.Replace(s.Site, headerLogin, tokenLogin, 1)
		}
		if r.older { // it may not know these, which change nothing here
			s.Global = unknownBefore.ReplaceAllString(s.Global, "")
		}
	}
	return s
}

var unknownBefore = regexp.MustCompile(`(?m)^\s*(site|budget) .*\n`)

// visitsOf are the requests for a contestant, and what is right for it: that the
// upstream saw this account, and its credits where no visit changes them.
func (b *bench) visitsOf(r *running) []load.Exchange {
	itself := func(account string) string { return account }
	nobody := func(string) string { return "" }
	const path = "/api/item"
	switch {
	case r.refused:
		visits := b.visits(r.addr, path, nobody, "")
		for i := range visits {
			visits[i].Status, visits[i].Prefix, visits[i].Length = 402, []byte("{"), 0
		}
		return visits
	case r.charge != "" || r.naive == "naive_deduct" || r.naive == "naive_hold":
		return b.visits(r.addr, path, itself, "")
	case r.token:
		visits := b.visits(r.addr, path, itself, fmt.Sprint(signup)+"\n")
		for i := range visits {
			visits[i].Request = request(r.addr, "GET", path, account(i), nil, "Authorization: Bearer "+token(account(i)))
		}
		return visits
	case r.gateway || r.naive != "":
		return b.visits(r.addr, path, itself, fmt.Sprint(signup)+"\n")
	default:
		return b.visits(r.addr, path, nobody, "\n")
	}
}

// seed writes the accounts as the naive handlers have them.
func (b *bench) seed(ctx context.Context, client *redis.Client) error {
	pipe := client.Pipeline()
	for i := range b.accounts {
		pipe.HSet(ctx, naive.Key(account(i)), "credits", signup, "has_paid", "false", "plan", "none")
	}
	_, err := pipe.Exec(ctx)
	return err
}
