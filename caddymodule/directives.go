package caddymodule

import "github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

// What the Caddyfile gains, and where directives run when a site names them
// outside of a route block.
//
// dodo_strip runs before everything else: "tracing" is the first of Caddy's own.
//
// dodo_webhook runs before everything that could answer, redirect, rewrite or limit a
// request, because Dodo takes any 2xx for delivered and follows no redirect: before
// request_body and redir, and so before every login, plug-ins that are ordered around
// basic_auth among them. What precedes it only sets variables, logs and headers of
// responses.
//
// dodo_health runs at the same place, because a load balancer has no login and takes a
// redirect for health.
//
// dodo_gateway runs after both built-in logins, because it needs the identity, and
// before request_header: whoever copies one of our headers there must not copy
// what the client sent. handle, reverse_proxy and all that answers come after it.
//
// After inserts right behind its anchor, so of the directives that share an
// anchor the one registered last runs first: whatever is to follow dodo_gateway
// must be registered before it, here, in the reverse order of running.
func init() {
	httpcaddyfile.RegisterGlobalOption("dodo", parseGlobal)

	httpcaddyfile.RegisterDirective("dodo_strip", parseStrip)
	httpcaddyfile.RegisterDirectiveOrder("dodo_strip", httpcaddyfile.Before, "tracing")

	httpcaddyfile.RegisterDirective("dodo_webhook", parseWebhook)
	httpcaddyfile.RegisterDirectiveOrder("dodo_webhook", httpcaddyfile.Before, "request_body")

	httpcaddyfile.RegisterDirective("dodo_health", parseHealth)
	httpcaddyfile.RegisterDirectiveOrder("dodo_health", httpcaddyfile.Before, "request_body")

	httpcaddyfile.RegisterDirective("dodo_charge", parseCharge)
	httpcaddyfile.RegisterDirectiveOrder("dodo_charge", httpcaddyfile.After, "forward_auth")

	httpcaddyfile.RegisterDirective("dodo_require", parseRequire)
	httpcaddyfile.RegisterDirectiveOrder("dodo_require", httpcaddyfile.After, "forward_auth")

	httpcaddyfile.RegisterDirective("dodo_gateway", parseGateway)
	httpcaddyfile.RegisterDirectiveOrder("dodo_gateway", httpcaddyfile.After, "forward_auth")
}
