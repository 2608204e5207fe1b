package caddymodule

import (
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/dodogate/dodogate/config"
)

// parseProduct reads an entry of the catalog; d stands on the word product. The
// fields of [config.Product] say what each option means. Syntax:
//
//	product <name> {
//		id             <Dodo's product id>
//		credits        <number> [every month]
//		credits_expire <period> | never
//		plan           <name>
//		lasts          <period>
//		seats          <number>
//		on_charge {
//			credits <number> per <amount> <currency>
//		}
//		allow_multiple
//		trial_again
//		min_amount     <number> <currency> [<number> <currency>...]
//		title          <text>
//		description    <text>
//		hidden
//	}
//
// The name and the id are required, and at least one of credits, plan, seats and on_charge.
// A period is a number of days (30d) or Go's notation (36h, 90m). A currency is its code,
// such as USD; min_amount and on_charge may each name it once. The amounts of min_amount
// are in minor units, such as cents; those of on_charge are written as customers see them,
// with all decimals (5.00 USD, 500 JPY). The line in on_charge can be repeated.
func parseProduct(d *caddyfile.Dispenser) (config.Product, error) {
	var p config.Product
	if err := readOne(d, &p.Name); err != nil {
		return p, err
	}
	once := seen{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := once.add(d); err != nil {
			return p, err
		}
		if err := parseProductOption(d, &p); err != nil {
			return p, err
		}
	}
	if err := checkProduct(p); err != nil {
		return p, d.WrapErr(err)
	}
	return p, nil
}

func parseProductOption(d *caddyfile.Dispenser, p *config.Product) error {
	switch d.Val() {
	case "id":
		return readOne(d, &p.ID)
	case "credits":
		return readGift(d, p)
	case "credits_expire":
		return readExpiry(d, p)
	case "plan":
		return readOne(d, &p.Plan)
	case "lasts":
		return readPeriod(d, &p.Lasts)
	case "seats":
		return readSeats(d, &p.Seats)
	case "on_charge":
		return readOnCharge(d, &p.OnCharge)
	case "allow_multiple":
		p.AllowMultiple = true
		return readNone(d)
	case "trial_again":
		p.TrialAgain = true
		return readNone(d)
	case "min_amount":
		return readAmounts(d, &p.MinAmount)
	case "title":
		return readOne(d, &p.Title)
	case "description":
		return readOne(d, &p.Description)
	case "hidden":
		p.Hidden = true
		return readNone(d)
	default:
		return unknown(d, "product "+p.Name, "id", "credits", "credits_expire", "plan", "lasts", "seats", "on_charge", "allow_multiple", "trial_again", "min_amount", "title", "description", "hidden")
	}
}

// readGift reads a number of credits, and how often they are given if that is not once.
func readGift(d *caddyfile.Dispenser, p *config.Product) error {
	if n := d.CountRemainingArgs(); n < 2 {
		return readCredits(d, 1, &p.Credits)
	}
	name, args := d.Val(), d.RemainingArgs()
	if len(args) != 3 || args[1] != "every" {
		return d.Errf("%s takes a number, or a number and 'every month', not '%s'", name, strings.Join(args, " "))
	}
	if args[2] != config.EveryMonth {
		return d.Errf("%s can be given every month only, not every '%s'", name, args[2])
	}
	p.CreditsEvery = args[2]
	return parseCredits(d, name, args[0], 1, &p.Credits)
}

// readExpiry reads a period of time or the word never.
func readExpiry(d *caddyfile.Dispenser, p *config.Product) error {
	if d.NextArg() {
		never := d.Val() == "never"
		if never && d.CountRemainingArgs() == 0 {
			p.CreditsStay = true
			return nil
		}
		d.Prev()
	}
	return readPeriod(d, &p.CreditsExpire)
}

// readOnCharge reads what charges on demand give:
//
//	on_charge {
//		credits <number> per <amount> <currency>
//	}
func readOnCharge(d *caddyfile.Dispenser, target *config.Rates) error {
	if err := readNone(d); err != nil {
		return err
	}
	rates := make(config.Rates)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if d.Val() != "credits" {
			return unknown(d, "on_charge", "credits")
		}
		args := d.RemainingArgs()
		if len(args) != 4 || args[1] != "per" {
			return d.Err("credits of on_charge is written like: credits 100 per 5.00 USD")
		}
		n, err := strconv.ParseUint(args[0], 10, 63)
		if err != nil || n < 1 || int64(n) > config.MaxCredits {
			return d.Errf("credits must be a whole number of credits from 1 to %d, not '%s'", config.MaxCredits, args[0])
		}
		amount, err := config.ParseMoney(args[2], args[3])
		if err != nil {
			return d.Errf("on_charge: %w", err)
		}
		if _, twice := rates[args[3]]; twice {
			return d.Errf("on_charge names %s twice", args[3])
		}
		rates[args[3]] = config.Rate{Credits: int64(n), Amount: amount}
	}
	if len(rates) == 0 {
		return d.Err("on_charge is empty; write for example: credits 100 per 5.00 USD")
	}
	*target = rates
	return nil
}

// readSeats reads how many seats a piece gives.
func readSeats(d *caddyfile.Dispenser, target *int64) error {
	var n int
	if err := readCount(d, int(config.MaxSeats), &n); err != nil {
		return err
	}
	*target = int64(n)
	return nil
}

// checkProduct finds at adapt time what can be found then. An id that is a
// placeholder is judged when it is resolved.
func checkProduct(p config.Product) error {
	if strings.Contains(p.ID, "{") {
		p.ID = "placeholder"
	}
	return p.Validate()
}
