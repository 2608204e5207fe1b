package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/dodogate/dodogate/internal/httpapi"
)

// bodies bounds the bodies that the process reads, whatever the site and over reloads:
// there is one memory.
var bodies = httpapi.NewBodies(httpapi.BodyLimits{})

// clientIP is the client's address as Caddy knows it, also behind `trusted_proxies`.
func clientIP(r *http.Request) string {
	ip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	return ip
}
