package caddymodule

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// checkOrder refuses a gate whose matcher is not its first argument, and says how the
// line is written. d stands on the directive's name, its matcher has been taken away,
// and no other argument of a gate looks like one. d stays where it is.
func checkOrder(d *caddyfile.Dispenser) error {
	directive := d.Val()
	args := d.RemainingArgs()
	for range args {
		d.Prev()
	}
	isMatcher := func(arg string) bool {
		return strings.HasPrefix(arg, "/") || strings.HasPrefix(arg, "@") || arg == "*"
	}
	i := slices.IndexFunc(args, isMatcher)
	if i < 0 {
		return nil
	}
	line := slices.Concat([]string{directive, args[i]}, slices.Delete(slices.Clone(args), i, i+1))
	return d.Errf("the matcher comes first: %s", strings.Join(line, " "))
}
