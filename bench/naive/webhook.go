package naive

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

func init() {
	caddy.RegisterModule(Webhook{})
	httpcaddyfile.RegisterDirectiveOrder("naive_webhook", httpcaddyfile.Before, "reverse_proxy")
	httpcaddyfile.RegisterHandlerDirective("naive_webhook", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		n := new(Webhook)
		return n, n.parse(h.Dispenser)
	})
}

// Webhook does what the Express handler beside this package does, step by step: it
// verifies the signature, skips what was seen before, adds the credits, and keeps
// neither journal nor ledger. A GET is told how many credits it has given.
type Webhook struct {
	server

	// Of the webhooks.
	Secret string `json:"secret,omitempty"`
	// What every payment gives.
	Credits int64 `json:"credits,omitempty"`

	webhook *standardwebhooks.Webhook
	granted *atomic.Int64
}

// CaddyModule returns the Caddy module information.
func (Webhook) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.naive_webhook", New: func() caddy.Module { return new(Webhook) }}
}

// Provision sets up the handler.
func (n *Webhook) Provision(ctx caddy.Context) (err error) {
	n.granted = new(atomic.Int64)
	if n.webhook, err = standardwebhooks.NewWebhook(n.Secret); err != nil {
		return err
	}
	return n.server.Provision(ctx)
}

// parse reads the directive's arguments: Redis' host and port, the secret and the
// credits.
func (n *Webhook) parse(d *caddyfile.Dispenser) error {
	d.Next()
	var credits string
	if !d.AllArgs(&n.Addr, &n.Secret, &credits) {
		return d.ArgErr()
	}
	_, err := fmt.Sscan(credits, &n.Credits)
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
	fresh, err := n.client.SetNX(r.Context(), "event:"+r.Header.Get("webhook-id"), "1", 24*time.Hour).Result()
	if err != nil {
		return caddyhttp.Error(http.StatusServiceUnavailable, err)
	}
	if fresh && event.Type == "payment.succeeded" {
		if err := n.client.HIncrBy(r.Context(), Key(event.Data.Metadata.Account), "credits", n.Credits).Err(); err != nil {
			return caddyhttp.Error(http.StatusServiceUnavailable, err)
		}
		n.granted.Add(n.Credits)
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = io.WriteString(w, `{"received":true}`)
	return err
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Webhook)(nil)
	_ caddy.CleanerUpper          = (*Webhook)(nil)
	_ caddyhttp.MiddlewareHandler = (*Webhook)(nil)
)
