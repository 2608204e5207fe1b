package main

import (
	"fmt"
	"regexp"

	"github.com/caddyserver/xcaddy"
)

// development is the version of a build that was given none.
const development = "devel"

// plain is text that needs no quoting in build flags.
var plain = regexp.MustCompile(`^[0-9A-Za-z._+-]+$`)

// stamp adds the version of dodogate and the binary's name to the build flags; the rest are
// the flags that xcaddy has by default. It leaves the flags of a recipe alone.
func stamp(recipe *xcaddy.Builder, version, name string) error {
	if !plain.MatchString(version) {
		return fmt.Errorf("version %q: use letters, digits, dots, dashes and plus signs", version)
	}
	if recipe.BuildFlags != "" || recipe.Debug {
		return nil
	}
	values := "-X github.com/dodogate/dodogate/caddymodule.stamped=" + version +
		" -X 'github.com/caddyserver/caddy/v2.CustomVersion=dodogate " + version + " on Caddy'"
	if plain.MatchString(name) {
		values += " -X github.com/caddyserver/caddy/v2.CustomBinaryName=" + name
	}
	recipe.BuildFlags = fmt.Sprintf(`-trimpath -ldflags "-w -s %s" -tags nobadger,nomysql,nopgx`, values)
	return nil
}
