package simulator

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// product is a [dodosim.Product] as it is read.
type product struct{ dodosim.Product }

// readProduct reads a product with its block, see [Handler.UnmarshalCaddyfile].
func (h *Handler) readProduct(d *caddyfile.Dispenser, given once) error {
	var p product
	if err := readArgs(d, "product", &p.ID); err != nil {
		return err
	}
	if err := given.first(d, "product "+p.ID); err != nil {
		return err
	}
	inside := make(once)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := p.readOption(d, inside); err != nil {
			return err
		}
	}
	switch {
	case p.Currency == "":
		return d.Errf("product %s needs a price", p.ID)
	case p.Every == dodosim.Period{} && (p.Term != dodosim.Period{} || p.TrialDays != 0):
		return d.Errf("product %s has a term or trial, but is not sold by subscription: every is missing", p.ID)
	}
	h.Products = append(h.Products, p.Product)
	return nil
}

func (p *product) readOption(d *caddyfile.Dispenser, inside once) error {
	switch option := d.Val(); option {
	case "name":
		return inside.args(d, option, &p.Name)
	case "description":
		return inside.args(d, option, &p.Description)
	case "price":
		return p.readPrice(d, inside)
	case "every":
		return readPeriod(d, inside, &p.Every)
	case "term":
		return readPeriod(d, inside, &p.Term)
	case "trial":
		return p.readTrial(d, inside)
	case "credits":
		return p.readCredits(d, inside)
	case "features":
		p.Features = d.RemainingArgs()
		if len(p.Features) == 0 {
			return d.Err("features takes the ids of features")
		}
		return inside.first(d, option)
	case "integration":
		return p.readIntegration(d, inside)
	case "license_keys":
		return p.readLicenseKeys(d, inside)
	case "archived":
		p.Archived = true
		return inside.args(d, option)
	default:
		return d.Errf("a product of dodo_simulator has no option %s", option)
	}
}

func (p *product) readPrice(d *caddyfile.Dispenser, inside once) error {
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
func readPeriod(d *caddyfile.Dispenser, inside once, target *dodosim.Period) error {
	option := d.Val()
	if err := inside.first(d, option); err != nil {
		return err
	}
	args := d.RemainingArgs()
	if len(args) < 1 || len(args) > 2 {
		return d.Errf("%s takes a count, if any, and day, week, month or year", option)
	}
	var err error
	if *target, err = dodosim.ParsePeriod(strings.Join(args, " ")); err != nil {
		return d.Errf("%s: %v", option, err)
	}
	return nil
}

func (p *product) readTrial(d *caddyfile.Dispenser, inside once) error {
	args := d.RemainingArgs()
	if len(args) < 1 || len(args) > 2 {
		return d.Err("trial takes a number of days, and maybe a price")
	}
	days, err := strconv.ParseUint(args[0], 10, 14)
	if err != nil || days == 0 || days > 10_000 {
		return d.Errf("trial %s is not a number of days from 1 to 10000", args[0])
	}
	p.TrialDays = int(days)
	if len(args) == 2 {
		price, err := strconv.ParseUint(args[1], 10, 31)
		if err != nil {
			return d.Errf("trial: %s is not a whole number of minor units", args[1])
		}
		p.TrialPrice = int(price)
	}
	return inside.first(d, "trial")
}

var decimalNumber = regexp.MustCompile(`^(0|[1-9][0-9]*)(\.[0-9]+)?$`)

func (p *product) readCredits(d *caddyfile.Dispenser, inside once) error {
	args := d.RemainingArgs()
	if len(args) < 2 || len(args) > 3 {
		return d.Err("credits takes an amount, a name, and maybe a unit")
	}
	c := dodosim.ProductCredit{Amount: json.Number(args[0]), Name: args[1], Unit: "credit"}
	if len(args) == 3 {
		c.Unit = args[2]
	}
	if !decimalNumber.MatchString(args[0]) {
		return d.Errf("credits: %s is not a decimal number", args[0])
	}
	p.Credits = append(p.Credits, c)
	return inside.first(d, "credits "+c.Name)
}

func (p *product) readIntegration(d *caddyfile.Dispenser, inside once) error {
	var kind, name string
	if err := readArgs(d, "integration", &kind, &name); err != nil {
		return err
	}
	p.Integrations = append(p.Integrations, dodosim.Integration{Kind: dodosim.IntegrationKind(kind), Name: name})
	return inside.first(d, "integration "+kind+" "+name)
}

func (p *product) readLicenseKeys(d *caddyfile.Dispenser, inside once) error {
	args := d.RemainingArgs()
	if len(args) > 1 {
		return d.Err("license_keys takes one argument at most")
	}
	p.LicenseKeys = true
	if len(args) == 1 {
		limit, err := strconv.ParseUint(args[0], 10, 31)
		if err != nil || limit == 0 {
			return d.Errf("license_keys: %s is not a number of activations", args[0])
		}
		p.ActivationsLimit = int(limit)
	}
	return inside.first(d, "license_keys")
}
