package simulator

import (
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/dodogate/dodogate/internal/dodosim"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("dodo_simulator", parseDirective)
	// As respond, it ends the request with an answer of its own.
	httpcaddyfile.RegisterDirectiveOrder("dodo_simulator", httpcaddyfile.Before, "respond")
}

func parseDirective(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(Handler)
	return handler, handler.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile reads the directive:
//
//	dodo_simulator [<matcher>] {
//		api_key    <key>
//		read_only_key <key>
//		webhook    <url> <secret>
//		public_url <url>
//		catalog    <file>
//		product <product id> {
//			name        <text>
//			price       <minor units> <currency>
//			description <text>
//			every       [<count>] day|week|month|year[s]
//			term        [<count>] day|week|month|year[s]
//			trial       <days> [<minor units>]
//			credits     <amount> <name> [<unit>]
//			features    <feature id>...
//			integration <kind> <name>
//			license_keys [<activations>]
//			archived
//		}
//		addon <add-on id> <minor units> <currency> [<name>]
//		discount <code> <percent>
//		grace_period_days <days>
//		cancel_after_grace
//		early_cancelled
//		renewed_at_trial_start
//		short_disputes
//		quirks
//		one_payment_id
//		bare_renewals
//		no_currency
//		no_session_ids
//		merge_metadata
//		prorated_keeps_cycle
//		soonest_expiry_first
//		missing_is_500
//		shared_webhook_ids
//		rate_limits
//		one_subscription
//		subscription_quantities
//		slow_renewals
//		dates_move_first
//		send_processing
//		retry_days <days>
//		dunning
//		abandoned_checkouts
//		payout_every [<count>] day|week|month|year[s]
//		manual_entries
//		refunds_take <duration>
//	}
//
// api_key and at least one product, here with a price or in the catalog, are required. product, addon, discount,
// credits and integration may be repeated, each with its own id, code or name; nothing else may. A
// product with every is a subscription, and only such a one has term and trial. A count
// defaults to 1, and a unit to credit. A percent is above 0 and at most 100, with up to
// two decimals and no sign. From
// grace_period_days on they are the fields of [dodosim.Behavior].
//
// In keys, url and secret, {env.NAME} and {file./path} are filled in when the config is
// loaded. A file's name needs a slash or a second dot, or Caddy takes the placeholder for
// its shorthand {file.*}.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if d.NextArg() {
		return d.Err("dodo_simulator takes no arguments but a matcher, only a block")
	}
	given := make(once)
	for d.NextBlock(0) {
		var err error
		switch option := d.Val(); option {
		case "api_key":
			err = given.args(d, option, &h.APIKey)
		case "read_only_key":
			err = given.args(d, option, &h.ReadOnlyKey)
		case "webhook":
			h.Webhook = new(Webhook)
			err = given.args(d, option, &h.Webhook.URL, &h.Webhook.Secret)
		case "catalog":
			err = given.args(d, option, &h.Catalog)
		case "public_url":
			err = given.args(d, option, &h.PublicURL)
		case "product":
			err = h.readProduct(d, given)
		case "addon":
			err = h.readAddon(d, given)
		case "discount":
			err = h.readDiscount(d, given)
		default:
			err = h.readBehavior(d, given)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readBehavior reads an option with one value, or none.
func (h *Handler) readBehavior(d *caddyfile.Dispenser, given once) error {
	option := d.Val()
	if err := given.first(d, option); err != nil {
		return err
	}
	value := strings.Join(d.RemainingArgs(), " ")
	if err := h.Options.Set(option, value); err != nil {
		return d.Errf("dodo_simulator: %v", err)
	}
	return nil
}

func (h *Handler) readAddon(d *caddyfile.Dispenser, given once) error {
	args := d.RemainingArgs()
	if len(args) != 3 && len(args) != 4 {
		return d.Err("addon takes an id, minor units, a currency and, if it has one, a name")
	}
	if err := given.first(d, "addon "+args[0]); err != nil {
		return err
	}
	price, currency, err := parsePrice(args[1] + " " + args[2])
	if err != nil {
		return d.Errf("addon %s: %v", args[0], err)
	}
	made := dodosim.Addon{ID: args[0], Price: price, Currency: currency}
	if len(args) == 4 {
		made.Name = args[3]
	}
	h.Addons = append(h.Addons, made)
	return nil
}

func (h *Handler) readDiscount(d *caddyfile.Dispenser, given once) error {
	var code, percent string
	if err := readArgs(d, "discount", &code, &percent); err != nil {
		return err
	}
	if err := given.first(d, "discount "+strings.ToUpper(code)); err != nil {
		return err
	}
	points, ok := basisPoints(percent)
	if !ok {
		return d.Errf("discount %s: %s is not a percentage above 0 and up to 100 with at most two decimals", code, percent)
	}
	h.Discounts = append(h.Discounts, dodosim.Discount{Code: code, BasisPoints: points})
	return nil
}

// basisPoints reads a percentage exactly: 12.5 is 1250.
func basisPoints(percent string) (int, bool) {
	whole, decimals, point := strings.Cut(percent, ".")
	if len(decimals) > 2 || point && decimals == "" {
		return 0, false
	}
	points, err := strconv.ParseUint(whole+(decimals + "00")[:2], 10, 16)
	return int(points), err == nil && whole != "" && points > 0 && points <= 10_000
}

// once refuses what is written twice in one block.
type once map[string]bool

func (o once) first(d *caddyfile.Dispenser, what string) error {
	if o[what] {
		return d.Errf("%s is given twice", what)
	}
	o[what] = true
	return nil
}

// args reads the arguments of an option that may be written once.
func (o once) args(d *caddyfile.Dispenser, option string, targets ...*string) error {
	if err := o.first(d, option); err != nil {
		return err
	}
	return readArgs(d, option, targets...)
}

// readArgs reads exactly as many arguments as there are targets. Its error is not
// Dispenser.ArgErr, which quotes the last argument: that may be a secret.
func readArgs(d *caddyfile.Dispenser, option string, targets ...*string) error {
	if !d.AllArgs(targets...) {
		return d.Errf("%s takes exactly %d argument(s)", option, len(targets))
	}
	for _, target := range targets {
		if *target == "" {
			return d.Errf("%s has an empty argument", option)
		}
	}
	return nil
}

var _ caddyfile.Unmarshaler = (*Handler)(nil)
