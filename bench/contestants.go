package main

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
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
	job   string
	needs string // a module of the binary; "" is none

	gateway bool   // dodogate is in it
	charge  string // its line for charged routes
	redis   bool
	ownGC   bool   // the binary decides how it collects garbage
	naive   string // instead: the directive of package naive, where %s is the store
	charges bool   // a naive one that charges
	direct  bool   // instead: nothing at all
	refused bool   // it answers 402
	answer  string // instead: what bare Caddy itself answers with
	older   bool   // it is of the binary that this one is compared with
	token   bool   // requests bring a signed token
	jwt     bool   // a token names the account, instead of a header
	hot     bool   // all requests are of one account
}

const (
	bareName  = "bare"
	chargeOne = "dodo_charge /api/* 1"
	// More than anybody has.
	tooMuch       = "9000000000"
	chargeModule  = "http.handlers.dodo_charge"
	requireModule = "http.handlers.dodo_require"
)

// The jobs of the proxy part.
const (
	jobHeaders = "headers"
	jobToken   = "token"
	jobRedis   = "charge-redis"
	jobHot     = "charge-one"
	jobBolt    = "charge-bolt"
	jobRefusal = "refusal"
)

func proxyJobs() []string {
	return []string{jobHeaders, jobToken, jobRedis, jobHot, jobBolt, jobRefusal}
}

const twoScripts = "bare Caddy and two Redis scripts, each a command of its own: one sets a credit aside, one spends it after the " +
	"answer. It writes two headers. A hold never expires, no entry is written, and no other gateway is notified"

var jobs = map[string]job{
	jobHeaders: {"Headers only", bareName, "bare Caddy, which writes no header"},
	jobToken: {"Accounts from a token", "headers-token",
		"dodogate without `jwt`: the requests carry the same token, and no handler reads it"},
	jobRedis:      {"Hold and capture, Redis", "floor-redis", twoScripts},
	jobHot:        {"Hold and capture of one account, Redis", "floor-one", twoScripts},
	jobBolt:       {"Hold and capture, embedded", "floor-bolt", "bare Caddy with holds in memory; a capture writes the new balance and an entry to a bbolt file after the answer, and captures that wait share a transaction and its fsync. It writes two headers"},
	jobEventRedis: {"Webhooks, Redis", "floor-event-redis", verifies + "runs one script, which marks the event and adds the credits"},
	jobEventBolt:  {"Webhooks, embedded", "floor-event-bolt", verifies + "marks the event and adds the credits in one write to a bbolt file. Writes that wait share a transaction and its fsync"},
	jobShopRedis:  {"Checkouts, Redis", "floor-checkout-redis", asks + "in Redis"},
	jobShopBolt:   {"Checkouts, embedded", "floor-checkout-bolt", asks + "in a bbolt file. Writes that wait share a transaction and its fsync"},
	jobRefusal:    {"Refusals", "respond-402", "bare Caddy, `respond 402` with an empty JSON object: it identifies no account and explains nothing"},
}

func contestants() []contestant {
	return []contestant{
		{name: "direct", title: "the upstream without a proxy", direct: true},
		{name: bareName, title: "**floor:** bare Caddy", job: jobHeaders},
		{name: "bare-again", title: "bare Caddy once more (the noise)", job: jobHeaders},
		{name: "naive-headers", title: "a handler that writes nine headers known beforehand", job: jobHeaders, naive: "naive_headers %s"},
		{name: "naive-read", title: "a handler that reads Redis once", job: jobHeaders, redis: true, naive: "naive_read %s"},
		{name: "headers-redis", title: "dodogate, Redis", job: jobHeaders, gateway: true, redis: true},
		{name: "headers-bolt", title: "dodogate, embedded", job: jobHeaders, gateway: true},
		{name: "own-redis", title: "dodogate, Redis, its own GC settings", job: jobHeaders, gateway: true, redis: true, ownGC: true},
		{name: "own-bolt", title: "dodogate, embedded, its own GC settings", job: jobHeaders, gateway: true, ownGC: true},

		{name: "headers-token", title: "**floor:** dodogate, embedded, a token that no handler reads", job: jobToken, gateway: true, token: true},
		{name: "headers-jwt", title: "dodogate, embedded, `jwt`", job: jobToken, gateway: true, token: true, jwt: true},

		{name: "floor-redis", title: "**floor:** two scripts", job: jobRedis, redis: true, naive: "naive_hold scripts %s", charges: true},
		{name: "floor-redis-batched", title: "two scripts; those that wait share a round trip", job: jobRedis, redis: true, naive: "naive_hold batched %s", charges: true},
		{name: "naive-deduct", title: "one script that deducts before the app is called, and gives nothing back", job: jobRedis, redis: true, naive: "naive_deduct %s", charges: true},
		{name: "charge-redis", title: "dodogate", job: jobRedis, gateway: true, redis: true, charge: chargeOne, needs: chargeModule},
		{name: "own-charge-redis", title: "dodogate, its own GC settings", job: jobRedis, gateway: true, redis: true, ownGC: true, charge: chargeOne, needs: chargeModule},

		{name: "floor-one", title: "**floor:** two scripts", job: jobHot, redis: true, naive: "naive_hold scripts %s", charges: true, hot: true},
		{name: "charge-one", title: "dodogate", job: jobHot, gateway: true, redis: true, charge: chargeOne, needs: chargeModule, hot: true},

		{name: "floor-bolt", title: "**floor:** group commit", job: jobBolt, naive: "naive_hold file %s", charges: true},
		{name: "charge-bolt", title: "dodogate", job: jobBolt, gateway: true, charge: chargeOne, needs: chargeModule},
		{name: "own-charge-bolt", title: "dodogate, its own GC settings", job: jobBolt, gateway: true, ownGC: true, charge: chargeOne, needs: chargeModule},

		{name: "respond-402", title: "**floor:** `respond 402`", job: jobRefusal, refused: true, answer: "respond {} 402"},
		{name: "require-402", title: "dodogate, `dodo_require`, Redis", job: jobRefusal, gateway: true, redis: true, refused: true, charge: "dodo_require /api/* credits " + tooMuch, needs: requireModule},
		{name: "charge-402", title: "dodogate, `dodo_charge`, Redis", job: jobRefusal, gateway: true, redis: true, refused: true, charge: "dodo_charge /api/* " + tooMuch, needs: chargeModule},
	}
}

// beforeName is the name of a gateway of the older binary.
func beforeName(name string) string { return "before-" + name }

// contestants are those of this run. With a binary to compare with, each gateway
// takes part twice; tokens, refusals and other settings of the garbage collector do not.
func (b *bench) contestants() []contestant {
	all := contestants()
	if b.before == "" {
		return all
	}
	for _, c := range all {
		if c.gateway && !c.token && !c.refused && !c.ownGC {
			c.name, c.title, c.older = beforeName(c.name), c.title+", before", true
			all = append(all, c)
		}
	}
	return all
}

// takesPart reports whether a contestant was asked for, or is the floor of one that was.
func (b *bench) takesPart(c contestant) bool {
	return c.name == bareName || b.wants(c.name, jobs[c.job].floor, func(yield func(string) bool) {
		for _, other := range b.contestants() {
			if other.job == c.job && !yield(other.name) {
				return
			}
		}
	})
}

// wants reports whether the command line asks for name, or whether name is the floor of
// others that it asks for.
func (b *bench) wants(name, floor string, others iter.Seq[string]) bool {
	if b.only == "" {
		return true
	}
	chosen := strings.Split(b.only, ",")
	if slices.Contains(chosen, name) {
		return true
	}
	for other := range others {
		if name == floor && slices.Contains(chosen, other) {
			return true
		}
	}
	return false
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
		s.Site = line(fmt.Sprintf(r.naive, b.naiveStore(r))) + s.Site
	case r.gateway:
		store := "bolt " + filepath.Join(b.dir, r.name+".db")
		if r.redis {
			store = b.storeIn(r.server)
		}
		s.Global, s.Site = gatewayOptions(store, dodo), gatewaySite(r.charge, upstream)
		if r.jwt {
			s.Site = strings.Replace(s.Site, headerLogin, tokenLogin, 1)
		}
	}
	return s
}

// naiveStore is where a handler of package naive has its credits.
func (b *bench) naiveStore(r *running) string {
	switch {
	case r.redis:
		return r.server.Addr
	case r.charges:
		return filepath.Join(b.dir, r.name+".db")
	}
	return fmt.Sprint(signup)
}

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
	case r.hot:
		return visitsOfMany(1, r.addr, path, itself, "")
	case r.charge != "" || r.charges:
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
