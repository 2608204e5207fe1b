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
//		webhook    <url> <secret>
//		public_url <url>
//		product <product id> {
//			name        <text>
//			price       <minor units> <currency>
//			description <text>
//			every       [<count>] day|week|month|year[s]
//			term        [<count>] day|week|month|year[s]
//			trial       <days>
//		}
//		discount <code> <percent>
//	}
//
// api_key and at least one product with a price are required. product and discount may
// be repeated, each with its own id or code; nothing else may. A product with every is a
// subscription, and only such a one has term and trial. A count defaults to 1. A percent is above 0 and
// at most 100, with up to two decimals and no sign.
//
// In key, url and secret, {env.NAME} and {file./path} are filled in when the config is
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
		case "webhook":
			h.Webhook = new(Webhook)
			err = given.args(d, option, &h.Webhook.URL, &h.Webhook.Secret)
		case "public_url":
			err = given.args(d, option, &h.PublicURL)
		case "product":
			err = h.readProduct(d, given)
		case "discount":
			err = h.readDiscount(d, given)
		default:
			err = d.Errf("dodo_simulator has no option %s", option)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (h *Handler) readProduct(d *caddyfile.Dispenser, given once) error {
	var p Product
	if err := readArgs(d, "product", &p.ID); err != nil {
		return err
	}
	if err := given.first(d, "product "+p.ID); err != nil {
		return err
	}
	inside := make(once)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch option := d.Val(); option {
		case "name":
			err = inside.args(d, option, &p.Name)
		case "description":
			err = inside.args(d, option, &p.Description)
		case "price":
			err = p.readPrice(d, inside)
		case "every":
			p.Every, err = readPeriod(d, inside)
		case "term":
			p.Term, err = readPeriod(d, inside)
		case "trial":
			err = p.readTrial(d, inside)
		default:
			err = d.Errf("a product of dodo_simulator has no option %s", option)
		}
		if err != nil {
			return err
		}
	}
	switch {
	case p.Currency == "":
		return d.Errf("product %s needs a price", p.ID)
	case p.Every == nil && (p.Term != nil || p.TrialDays != 0):
		return d.Errf("product %s has a term or trial, but is not sold by subscription: every is missing", p.ID)
	}
	h.Products = append(h.Products, p)
	return nil
}

func (p *Product) readPrice(d *caddyfile.Dispenser, inside once) error {
	var amount string
	if err := inside.args(d, "price", &amount, &p.Currency); err != nil {
		return err
	}
	price, err := strconv.ParseUint(amount, 10, 31)
	if err != nil {
		return d.Errf("price %s is not a whole number of minor units, such as 999 for 9.99", amount)
	}
	p.Price = int(price)
	return nil
}

// readPeriod reads a length of time, such as "month" or "3 months".
func readPeriod(d *caddyfile.Dispenser, inside once) (*Period, error) {
	option := d.Val()
	if err := inside.first(d, option); err != nil {
		return nil, err
	}
	args, count := d.RemainingArgs(), uint64(1)
	if len(args) < 1 || len(args) > 2 {
		return nil, d.Errf("%s takes a count, if any, and day, week, month or year", option)
	}
	if len(args) == 2 {
		var err error
		if count, err = strconv.ParseUint(args[0], 10, 10); err != nil || count == 0 || count > 1000 {
			return nil, d.Errf("%s: %s is not a count from 1 to 1000", option, args[0])
		}
	}
	unit := args[len(args)-1]
	interval, ok := intervals[strings.TrimSuffix(unit, "s")]
	if !ok {
		return nil, d.Errf("%s: %s is not day, week, month or year", option, unit)
	}
	return &Period{Count: int(count), Interval: interval}, nil
}

var intervals = map[string]dodosim.Interval{
	"day": dodosim.Day, "week": dodosim.Week, "month": dodosim.Month, "year": dodosim.Year,
}

func (p *Product) readTrial(d *caddyfile.Dispenser, inside once) error {
	var given string
	if err := inside.args(d, "trial", &given); err != nil {
		return err
	}
	days, err := strconv.ParseUint(given, 10, 14)
	if err != nil || days == 0 || days > 10_000 {
		return d.Errf("trial %s is not a number of days from 1 to 10000", given)
	}
	p.TrialDays = int(days)
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
	h.Discounts = append(h.Discounts, Discount{Code: code, BasisPoints: points})
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
