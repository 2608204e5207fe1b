package caddymodule

import (
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/dodogate/dodogate/config"
)

// The readers of options that the parsers share. d stands on the option's name;
// every refusal names the option, the file and the line, and none quotes an
// argument of an option that may be a secret.

// seen refuses an option that is written twice in one block.
type seen map[string]bool

func (s seen) add(d *caddyfile.Dispenser) error {
	name := d.Val()
	if s[name] {
		return d.Errf("%s is given twice", name)
	}
	s[name] = true
	return nil
}

// unknown refuses a word that is no option of a block, and says which there are.
func unknown(d *caddyfile.Dispenser, block string, options ...string) error {
	if d.Val() == "{" {
		return d.Errf("unexpected '{': this option of %s has no block", block)
	}
	return d.Errf("unrecognized option '%s' of %s; there are %s", d.Val(), block, strings.Join(options, ", "))
}

// readOne reads exactly one argument, which may not be empty.
func readOne(d *caddyfile.Dispenser, target *string) error {
	name := d.Val()
	args := d.RemainingArgs()
	if len(args) != 1 {
		return d.Errf("%s takes exactly one argument, not %d", name, len(args))
	}
	if args[0] == "" {
		return d.Errf("%s is empty", name)
	}
	*target = args[0]
	return nil
}

// readMany reads one or more arguments, none of which may be empty.
func readMany(d *caddyfile.Dispenser, target *[]string) error {
	name := d.Val()
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.Errf("%s takes at least one argument", name)
	}
	for _, arg := range args {
		if arg == "" {
			return d.Errf("%s has an empty argument", name)
		}
	}
	*target = args
	return nil
}

// readNone refuses arguments.
func readNone(d *caddyfile.Dispenser) error {
	name := d.Val()
	if d.NextArg() {
		return d.Errf("%s takes no argument", name)
	}
	return nil
}

// readCredits reads a number of credits of at least least.
func readCredits(d *caddyfile.Dispenser, least int64, target *int64) error {
	name := d.Val()
	var text string
	if err := readOne(d, &text); err != nil {
		return err
	}
	return parseCredits(d, name, text, least, target)
}

func parseCredits(d *caddyfile.Dispenser, name, text string, least int64, target *int64) error {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || int64(n) < least || int64(n) > config.MaxCredits {
		return d.Errf("%s must be a whole number of credits from %d to %d, not '%s'", name, least, config.MaxCredits, text)
	}
	*target = int64(n)
	return nil
}

// readCount reads a number from 1 to most.
func readCount(d *caddyfile.Dispenser, most int, target *int) error {
	name := d.Val()
	var text string
	if err := readOne(d, &text); err != nil {
		return err
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n < 1 || int(n) > most {
		return d.Errf("%s must be a whole number from 1 to %d, not '%s'", name, most, text)
	}
	*target = int(n)
	return nil
}

// readAmounts reads pairs of a sum of money and its currency.
func readAmounts(d *caddyfile.Dispenser, target *config.Amounts) error {
	name := d.Val()
	args := d.RemainingArgs()
	if len(args) == 0 || len(args)%2 != 0 {
		return d.Errf("%s takes pairs of an amount and its currency, such as 500 USD", name)
	}
	amounts := make(config.Amounts, len(args)/2)
	for pair := range slices.Chunk(args, 2) {
		n, err := strconv.ParseUint(pair[0], 10, 63)
		if err != nil {
			n = 0 // which is refused
			if _, err := strconv.ParseUint(pair[1], 10, 63); err == nil {
				return d.Errf("the amount comes first: %s %s %s", name, pair[1], pair[0])
			}
		}
		if err := config.CheckAmount(pair[1], int64(n)); err != nil {
			return d.Errf("%s %s %s: %w", name, pair[0], pair[1], err)
		}
		if _, twice := amounts[pair[1]]; twice {
			return d.Errf("%s names %s twice", name, pair[1])
		}
		amounts[pair[1]] = int64(n)
	}
	*target = amounts
	return nil
}

// readPeriod reads a period of time above zero.
func readPeriod(d *caddyfile.Dispenser, target *config.Duration) error {
	name := d.Val()
	var text string
	if err := readOne(d, &text); err != nil {
		return err
	}
	period, err := config.ParseDuration(text)
	if err != nil {
		return d.Errf("%s: %w", name, err)
	}
	if period <= 0 {
		return d.Errf("%s must be longer than zero", name)
	}
	*target = period
	return nil
}
