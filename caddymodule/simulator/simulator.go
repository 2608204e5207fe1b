// Package simulator is the Caddy module http.handlers.dodo_simulator, directive
// dodo_simulator: Dodo Payments played on one's own machine, so that a paid app can be
// built, shown and tested with no account at Dodo and no network. What it plays is
// described in internal/dodosim and, for users, in docs/simulator.md.
//
// The package stands apart from caddymodule so that a production build leaves it out: a
// gateway that can reach no simulator cannot be made to believe in payments that never
// happened.
package simulator

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/dodosim/simcontrol"
)

func init() {
	caddy.RegisterModule(Handler{})
}

// Handler plays Dodo Payments, for development and tests: its API, its hosted checkout
// page with test cards, and its signed webhooks. **No money moves, and whoever opens the
// checkout page can mark an order as paid: never serve it on a site that sells.**
//
// Below `/__sim/` it is controlled, as by `dodogate sim`: without the key only from this
// machine, at localhost. It answers every request that it gets, unknown paths with 404, so give it a site or a
// path of its own. Nothing is kept on disk. Sessions, payments and undelivered webhooks
// survive a config reload if these settings stay the same, and are lost with the process.
//
// In the keys, `webhook` and `public_url`, the placeholders `{env.NAME}` and
// `{file./path}` are resolved when the config is loaded, and one that is unset or empty
// is an error. The result is never written back into the config.
type Handler struct {
	// The key that API calls must carry, as `Authorization: Bearer <key>`. Any text
	// without spaces. Required.
	APIKey string `json:"api_key,omitempty"`

	// Another key, with which one may only read; other calls get 403. Default: none.
	ReadOnlyKey string `json:"read_only_key,omitempty"`

	// Where events are sent, and the secret that signs them. Without it, events happen but
	// nobody is told.
	Webhook *Webhook `json:"webhook,omitempty"`

	// Where a browser reaches this handler, such as `http://localhost:8080/dodo`, with the
	// path under which it is mounted, if any. Checkout links begin with it. Default: the
	// scheme and host that the API was called at.
	PublicURL string `json:"public_url,omitempty"`

	// A file with more of what follows, in YAML or JSON, see docs/simulator.md. Relative
	// names are relative to the working directory.
	Catalog string `json:"catalog,omitempty"`

	// What can be bought, once or by subscription. At least one, here or in the catalog.
	Products []dodosim.Product `json:"products,omitempty"`

	// The extras that subscriptions can have. Default: none.
	Addons []dodosim.Addon `json:"addons,omitempty"`

	// The discount codes that can be used. Default: none.
	Discounts []dodosim.Discount `json:"discounts,omitempty"`

	// What of Dodo depends on a merchant's settings, or on which of its documents one
	// believes. Default: a new account, and what docs/simulator.md says.
	Options dodosim.Behavior `json:"options,omitzero"`

	simulator *simcontrol.Server
	key       string // in the pool, once acquired
}

// Webhook is where the simulator tells what happened.
type Webhook struct {
	// An absolute http or https URL: for dodogate, the site's `/payments/webhook`. Each
	// event is sent up to 8 times over 27.5 hours until it is answered with a 2xx status.
	URL string `json:"url,omitempty"`

	// The signing secret: base64 of 24 to 64 bytes, after an optional `whsec_`. The receiver
	// needs the same.
	Secret string `json:"secret,omitempty"`
}

// CaddyModule describes the module to Caddy.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.dodo_simulator",
		New: func() caddy.Module { return new(Handler) },
	}
}

// pool holds the running simulators, so that a reload with the same settings goes on with
// the same sessions and payments.
var pool = caddy.NewUsagePool()

// pooled lets the pool stop a simulator that no config uses any more.
type pooled struct{ *simcontrol.Server }

func (p pooled) Destruct() error { return p.Close() }

// Provision starts a simulator with these settings, or joins the one that runs already.
func (h *Handler) Provision(ctx caddy.Context) error {
	options, err := h.options()
	if err != nil {
		return err
	}
	key, err := poolKey(options)
	if err != nil {
		return err
	}
	running, joined, err := pool.LoadOrNew(key, func() (caddy.Destructor, error) {
		started, err := simcontrol.New(options)
		return pooled{started}, err
	})
	if err != nil {
		return err
	}
	h.key = key
	h.simulator = running.(pooled).Server
	h.simulator.SetLogger(ctx.Slogger()) // the one of an earlier config dies with it
	if !joined {
		ctx.Slogger().Warn("simulating Dodo Payments: no money moves, and anybody can pay with a test card")
	}
	return nil
}

// Cleanup leaves the simulator, which stops with its last config.
func (h *Handler) Cleanup() error {
	if h.key == "" {
		return nil // never acquired
	}
	_, err := pool.Delete(h.key)
	return err
}

// ServeHTTP answers for Dodo. No handler comes after it.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	h.simulator.ServeHTTP(w, r)
	return nil
}

// renewalPace is how often it is looked for what is due: often enough for a developer who
// has patched a billing date and watches.
const renewalPace = time.Second

// options are the settings with their placeholders filled in.
func (h *Handler) options() (dodosim.Options, error) {
	repl := caddy.NewReplacer()
	options := dodosim.Options{TickEvery: renewalPace}
	var err error
	if options.APIKey, err = resolve(repl, "api_key", h.APIKey); err != nil {
		return options, err
	}
	if h.ReadOnlyKey != "" {
		if options.ReadOnlyKey, err = resolve(repl, "read_only_key", h.ReadOnlyKey); err != nil {
			return options, err
		}
	}
	if h.Webhook != nil {
		if options.WebhookURL, err = resolve(repl, "webhook url", h.Webhook.URL); err != nil {
			return options, err
		}
		if options.WebhookSecret, err = resolve(repl, "webhook secret", h.Webhook.Secret); err != nil {
			return options, err
		}
	}
	if h.PublicURL != "" {
		if options.PublicURL, err = resolve(repl, "public_url", h.PublicURL); err != nil {
			return options, err
		}
	}
	options.Products, options.Addons, options.Discounts, options.Behavior = h.Products, h.Addons, h.Discounts, h.Options
	if h.Catalog != "" {
		err = h.addCatalog(&options)
	}
	return options, err
}

// addCatalog adds what the catalog file has.
func (h *Handler) addCatalog(options *dodosim.Options) error {
	file, err := os.ReadFile(h.Catalog)
	if err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	c, err := dodosim.ParseCatalog(file)
	if err != nil {
		return fmt.Errorf("%s: %w", h.Catalog, err)
	}
	if c.Options != (dodosim.Behavior{}) && h.Options != (dodosim.Behavior{}) {
		return fmt.Errorf("%s: options are given in two places", h.Catalog)
	}
	if c.Options != (dodosim.Behavior{}) {
		options.Behavior = c.Options
	}
	options.Products = append(slices.Clone(c.Products), options.Products...)
	options.Addons = append(slices.Clone(c.Addons), options.Addons...)
	options.Discounts = append(slices.Clone(c.Discounts), options.Discounts...)
	return nil
}

// lonePlaceholder is a setting that is nothing but a reference, and so safe to quote.
var lonePlaceholder = regexp.MustCompile(`^\{(?:env|file)\.[^{}]+\}$`)

// resolve fills in the placeholders of a required setting. The replacer's own error is
// not passed on: if a secret has braces in it, it quotes a part.
func resolve(repl *caddy.Replacer, setting, value string) (string, error) {
	if value == "" {
		return "", errors.New(setting + " is required")
	}
	resolved, err := repl.ReplaceOrErr(value, true, true)
	switch {
	case err == nil:
		return resolved, nil
	case lonePlaceholder.MatchString(value):
		return "", fmt.Errorf("%s: %s is unset, empty or cannot be read", setting, value)
	}
	return "", fmt.Errorf("%s: a placeholder in it is unknown or empty; {env.NAME} and {file./path} can be used", setting)
}

// poolKey identifies a simulator by all of its settings, without showing them.
func poolKey(options dodosim.Options) (string, error) {
	settings, err := json.Marshal(struct { //nolint:gosec // it is hashed at once
		APIKey, ReadOnlyKey, WebhookURL, WebhookSecret, PublicURL string
		dodosim.Catalog
	}{
		options.APIKey, options.ReadOnlyKey, options.WebhookURL, options.WebhookSecret, options.PublicURL,
		dodosim.Catalog{Products: options.Products, Addons: options.Addons, Discounts: options.Discounts, Options: options.Behavior},
	})
	if err != nil {
		return "", fmt.Errorf("identify the simulator: %w", err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(settings)), nil
}

var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
