// Package dodogate plugs the dodogate modules into Caddy: import it for its
// side effect, or build a Caddy that does with
//
//	xcaddy build --with github.com/dodogate/dodogate
//
// dodogate sits in front of any app and gives it paid plans and prepaid credits
// through Dodo Payments. The modules, and the Caddyfile that configures them, are
// described in [github.com/dodogate/dodogate/caddymodule].
//
// The simulator of Dodo's API is deliberately not among them, so that no production
// build can be made to believe a payment that never happened. It is in the binary
// of cmd/dodogate, and any other build can have it by importing
// github.com/dodogate/dodogate/caddymodule/simulator as well.
package dodogate

import (
	// The modules register themselves with Caddy.
	_ "github.com/dodogate/dodogate/caddymodule"
)
