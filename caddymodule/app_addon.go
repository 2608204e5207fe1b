package caddymodule

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/dodogate/dodogate/config"
)

// parseAddon reads what an add-on of subscriptions gives; d stands on the word addon. The
// fields of [config.Addon] say what each option means. Syntax:
//
//	addon <name> {
//		id      <Dodo's add-on id>
//		credits <number>
//		plan    <name>
//		feature <name>
//		seats   <number>
//	}
//
// The name and the id are required, and at least one of the others.
func parseAddon(d *caddyfile.Dispenser) (config.Addon, error) {
	var a config.Addon
	if err := readOne(d, &a.Name); err != nil {
		return a, err
	}
	once := seen{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := once.add(d); err != nil {
			return a, err
		}
		if err := parseAddonOption(d, &a); err != nil {
			return a, err
		}
	}
	if err := checkAddon(a); err != nil {
		return a, d.WrapErr(err)
	}
	return a, nil
}

func parseAddonOption(d *caddyfile.Dispenser, a *config.Addon) error {
	switch d.Val() {
	case "id":
		return readOne(d, &a.ID)
	case "credits":
		return readCredits(d, 1, &a.Credits)
	case "plan":
		return readOne(d, &a.Plan)
	case "feature":
		return readOne(d, &a.Feature)
	case "seats":
		return readSeats(d, &a.Seats)
	default:
		return unknown(d, "addon "+a.Name, "id", "credits", "plan", "feature", "seats")
	}
}

// checkAddon finds at adapt time what can be found then. An id that is a placeholder is
// judged when it is resolved.
func checkAddon(a config.Addon) error {
	if strings.Contains(a.ID, "{") {
		a.ID = "placeholder"
	}
	return a.Validate()
}
