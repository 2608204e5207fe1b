// Command dodogate is Caddy with its standard modules, dodogate's, and the simulator
// of Dodo's API: everything that it takes to try a paid app on one machine. Its
// commands are Caddy's.
//
//	dodogate run --config Caddyfile
//
// For production, build without the simulator: see cmd/build.
package main

import (
	// Time zones for machines that have none, as in Caddy's own main.
	_ "time/tzdata"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	// Each of these registers its modules with Caddy.
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/dodogate/dodogate/caddymodule"
	_ "github.com/dodogate/dodogate/caddymodule/simulator"
)

func main() {
	caddy.CustomBinaryName = "dodogate" // in help texts
	caddy.CustomVersion = "dodogate " + caddymodule.Version() + " on Caddy"
	caddycmd.Main()
}
