package naive

import (
	"context"
	"crypto/rand"
	"net/http"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/redis/go-redis/v9"
)

// Hold sets one credit of the account in `X-User` aside, and spends it behind the
// client's back once the answer is written: the least that two phases can be in Redis.
// A hold never runs out, nothing is written down, and nobody else hears of it.
type Hold struct{ server }

// CaddyModule returns the Caddy module information.
func (Hold) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.naive_hold", New: func() caddy.Module { return new(Hold) }}
}

var (
	hold = redis.NewScript(`
local credits, held = unpack(redis.call('HMGET', KEYS[1], 'credits', 'held'))
local left = tonumber(credits or '0') - tonumber(held or '0') - tonumber(ARGV[2])
if left < 0 then return -1 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('HINCRBY', KEYS[1], 'held', ARGV[2])
return left
`)
	capture = redis.NewScript(`
local held = redis.call('HGET', KEYS[2], ARGV[1])
if not held then return 0 end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HINCRBY', KEYS[1], 'held', -held)
redis.call('HINCRBY', KEYS[1], 'credits', -held)
return 1
`)
)

func (n *Hold) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	user, id := r.Header.Get("X-User"), rand.Text()
	keys := []string{Key(user), "holds:" + user}
	left, err := hold.Run(r.Context(), n.client, keys, id, 1).Int64()
	switch {
	case err != nil:
		return caddyhttp.Error(http.StatusServiceUnavailable, err)
	case left < 0:
		return caddyhttp.Error(http.StatusPaymentRequired, nil)
	}
	r.Header.Set("X-Entitlement-User", user)
	r.Header.Set("X-Entitlement-Credits", strconv.FormatInt(left, 10))
	err = next.ServeHTTP(w, r)
	go capture.Run(context.WithoutCancel(r.Context()), n.client, keys, id)
	return err
}

var _ caddyhttp.MiddlewareHandler = (*Hold)(nil)
