package naive

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/redis/go-redis/v9"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	bolt "go.etcd.io/bbolt"
)

// Webhook verifies the signature, skips an event that was seen before, and adds the credits.
// A GET answers how many credits it has given.
type Webhook struct {
	// [Commands], [Scripts] or [File].
	How string `json:"how,omitempty"`
	// Host and port of Redis, or the file.
	Where string `json:"where,omitempty"`
	// Secret of the webhooks.
	Secret string `json:"secret,omitempty"`
	// What every payment gives.
	Credits int64 `json:"credits,omitempty"`

	webhook *standardwebhooks.Webhook
	credit  crediter
	granted *atomic.Int64
}

// Commands is the way of the Express handler: one command of Redis marks the event, another
// one adds the credits. With [Scripts] one script does both, with [File] one group-committed
// write.
const Commands = "commands"

// crediter adds credits to an account, once for each event.
type crediter interface {
	credit(ctx context.Context, event, account string, credits int64) (fresh bool, err error)
	Close() error
}

// CaddyModule returns the Caddy module information.
func (Webhook) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.naive_webhook", New: func() caddy.Module { return new(Webhook) }}
}

// Provision opens what keeps the credits.
func (n *Webhook) Provision(ctx caddy.Context) (err error) {
	n.granted = new(atomic.Int64)
	if n.webhook, err = standardwebhooks.NewWebhook(n.Secret); err != nil {
		return err
	}
	n.credit, err = newCrediter(ctx, n.How, n.Where)
	return err
}

func newCrediter(ctx context.Context, how, where string) (crediter, error) {
	switch how {
	case Commands:
		return byCommands{redis.NewClient(&redis.Options{Addr: where})}, nil
	case Scripts:
		s, err := newScripts(ctx, where, false, creditOnce)
		if err != nil {
			return nil, err
		}
		return byScript{s}, nil
	case File:
		j, err := OpenJournal(where)
		if err != nil {
			return nil, err
		}
		return byFile{j}, nil
	}
	return nil, fmt.Errorf("how to keep events is %q, but must be %s, %s or %s", how, Commands, Scripts, File)
}

// Cleanup closes it.
func (n *Webhook) Cleanup() error {
	if n.credit == nil {
		return nil
	}
	return n.credit.Close()
}

// parse reads the directive's arguments:
//
//	naive_webhook commands|scripts|file <where> <secret> <credits>
func (n *Webhook) parse(d *caddyfile.Dispenser) error {
	d.Next()
	var credits string
	if !d.AllArgs(&n.How, &n.Where, &n.Secret, &credits) {
		return d.ArgErr()
	}
	var err error
	n.Credits, err = strconv.ParseInt(credits, 10, 64)
	return err
}

// maxEvent is what a body of Express may have, 100 KB.
const maxEvent = 100 << 10

func (n *Webhook) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	if r.Method != http.MethodPost {
		_, err := fmt.Fprint(w, n.granted.Load())
		return err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEvent))
	if err != nil {
		return caddyhttp.Error(http.StatusBadRequest, err)
	}
	if err := n.webhook.Verify(body, r.Header); err != nil {
		return caddyhttp.Error(http.StatusUnauthorized, err)
	}
	var event struct {
		Type string
		Data struct {
			Metadata struct {
				Account string `json:"dodogate_account"`
			}
		}
	}
	if err := json.Unmarshal(body, &event); err != nil {
		return caddyhttp.Error(http.StatusBadRequest, err)
	}
	if event.Type == "payment.succeeded" {
		fresh, err := n.credit.credit(r.Context(), r.Header.Get("webhook-id"), event.Data.Metadata.Account, n.Credits)
		if err != nil {
			return caddyhttp.Error(http.StatusServiceUnavailable, err)
		}
		if fresh {
			n.granted.Add(n.Credits)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = io.WriteString(w, `{"received":true}`)
	return err
}

// seenFor is how long an event is known.
const seenFor = 24 * time.Hour

type byCommands struct{ *redis.Client }

func (c byCommands) credit(ctx context.Context, event, account string, credits int64) (bool, error) {
	fresh, err := c.SetNX(ctx, "event:"+event, "1", seenFor).Result()
	if err == nil && fresh {
		err = c.HIncrBy(ctx, Key(account), "credits", credits).Err()
	}
	return fresh, err
}

type byScript struct{ *scripts }

var creditOnce = redis.NewScript(`
if not redis.call('SET', KEYS[1], '1', 'EX', ARGV[2], 'NX') then return 0 end
redis.call('HINCRBY', KEYS[2], 'credits', ARGV[1])
return 1
`)

func (s byScript) credit(ctx context.Context, event, account string, credits int64) (bool, error) {
	fresh, err := s.call(ctx, creditOnce, []string{"event:" + event, Key(account)}, credits, int(seenFor.Seconds()))
	return fresh == 1, err
}

type byFile struct{ *Journal }

func (f byFile) credit(_ context.Context, event, account string, credits int64) (fresh bool, err error) {
	err = f.Do(func(bucket *bolt.Bucket) error {
		seen, key := []byte("event:"+event), []byte(Key(account))
		if fresh = bucket.Get(seen) == nil; !fresh {
			return nil
		}
		if err := bucket.Put(seen, []byte("1")); err != nil {
			return err
		}
		has, _ := strconv.ParseInt(string(bucket.Get(key)), 10, 64) // none is 0
		return bucket.Put(key, strconv.AppendInt(nil, has+credits, 10))
	})
	return fresh, err
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Webhook)(nil)
	_ caddy.CleanerUpper          = (*Webhook)(nil)
	_ caddyhttp.MiddlewareHandler = (*Webhook)(nil)
)
