package caddymodule

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/dodogate/dodogate/config"
)

// parseProduct reads an entry of the catalog; d stands on the word product. The
// fields of [config.Product] say what each option means. Syntax:
//
//	product <name> {
//		id             <Dodo's product id>
//		credits        <number>
//		credits_expire <period> | never
//		plan           <name>
//		lasts          <period>
//		min_amount     <number> <currency> [<number> <currency>...]
//		title          <text>
//		description    <text>
//		hidden
//	}
//
// The name and the id are required, and credits, a plan or both. A period is a
// number of days (30d) or Go's notation (36h, 90m). An amount is in minor units, such
// as cents, and a currency is its code, such as USD; each may be named once.
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
		return readCredits(d, 1, &p.Credits)
	case "credits_expire":
		return readExpiry(d, p)
	case "plan":
		return readOne(d, &p.Plan)
	case "lasts":
		return readPeriod(d, &p.Lasts)
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
		return unknown(d, "product "+p.Name, "id", "credits", "credits_expire", "plan", "lasts", "min_amount", "title", "description", "hidden")
	}
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

// checkProduct finds at adapt time what can be found then. An id that is a
// placeholder is judged when it is resolved.
func checkProduct(p config.Product) error {
	if strings.Contains(p.ID, "{") {
		p.ID = "placeholder"
	}
	return p.Validate()
}
