// Package caddymodule is dodogate's glue to Caddy: config, lifecycle, headers.
// No rule about money or access is here; those are in internal/gateway and below.
//
// # The map
//
// The names of the files of one subject begin with the same word.
//
//	global option dodo { }   app dodo                     app.go, app_*.go
//	  store redis            dodo.stores.redis            store_redis.go, store_redis_*.go
//	  store bolt             dodo.stores.bolt             store_bolt.go
//	dodo_gateway             http.handlers.dodo_gateway   gateway.go, gateway_*.go
//	  jwt, ask, account                                   login.go, login_*.go
//	dodo_require             http.handlers.dodo_require   require.go, gate_*.go
//	dodo_charge              http.handlers.dodo_charge    charge.go, charge_*.go, gate_*.go
//	dodo_webhook             http.handlers.dodo_webhook   webhook.go, webhook_path.go
//	dodo_health              http.handlers.dodo_health    health.go
//	dodo_strip               http.handlers.dodo_strip     strip.go
//	@x dodo_entitled         http.matchers.dodo_entitled  matcher_entitled.go
//	@x dodo_path             http.matchers.dodo_path      matcher_path.go, reading.go
//	@x dodo_webhook          http.matchers.dodo_webhook   webhook.go
//	admin API, dodo/…        admin.api.dodo               admin.go, admin_*.go
//	dodogate dodo …                                       command.go, command_*.go
//
// The grammar of a directive is above its parser, in the file of its type; that of the
// global option is in app_caddyfile.go, with app_product.go and other app_*.go for its
// blocks. All parsers share options.go. directives.go says which directive runs when.
//
// A request of a site meets [Gateway]. claims.go takes away what a client may not say:
// our headers (claims_names.go) and upgrades (claims_upgrades.go). The login says whose
// request it is (login.go): placeholders of another module (login_placeholders.go), tokens
// (login_jwt.go) or the app (login_ask.go); internal/identity does the work of the latter
// two. Then either internal/httpapi answers (below the base path, and the routes of
// gateway_compat.go), or the account is read, gateway_headers.go sets the headers, and the
// next handler of the site runs. visit.go is the request's view of its account, and
// placeholders.go shows that to the rest of the config. Gates ask about paths by one
// reading of the request (reading.go, internal/httpapi/reading.go); answer_private.go
// keeps answers of gates out of shared caches.
//
// When a config is loaded, loadcheck.go hands all routes to internal/routecheck, which
// says what cannot work in them: gates that ask before dodo_gateway has run, for one.
//
// Other modules hear of plans, credits and payments by Caddy's app events: notices.go emits
// what internal/gateway/notice tells. tracing.go makes spans below those of Caddy's tracing.
//
// Modules log by Caddy's ctx.Logger(); logging.go makes log/slog out of it for the packages
// in internal, which do not know zap.
//
// # Where credits move
//
// The use cases are in internal/gateway, in three types: Shop, Events and Accounts. App has
// one of each (app.go), and internal/gateway/doc.go says which does what.
//
// A webhook goes through internal/httpapi/webhook.go and internal/gateway/event.go to
// Events.decide (folding.go), which folds it into the payment
// (internal/entitlement/payment.go) and commits to that, in one step of the store. What a
// payment gives after its refunds and disputes is Payment.Effect
// (internal/entitlement/effect.go); bringing a grant to that, and so taking credits back,
// is Book.Apply (internal/ledger/grant.go).
//
// A request that costs credits holds them in [Charge], and its meter (charge_meter.go)
// decides by the answer what is spent. Holds begin and end by Accounts.Hold and Charge.End
// (internal/gateway/charge.go). What becomes of them is decided by Book.Hold and Book.End
// (internal/book/hold.go), which set credits aside, spend them and give them back by the
// methods of the same names in internal/ledger/hold.go. What an answer costs is Tariff.Judge
// (internal/ledger/price.go). Both stores write what package book decides: decide.go in
// internal/store/boltstore and in internal/store/redisstore.
//
// # Life
//
// Caddy provisions the next config before it stops the one that runs, starts apps
// in random order, lets requests of the old config outlive its clean-up, and
// provisions without starting for `caddy validate`. Hence:
//
//   - What a request needs is there after Provision; Start only opens the store,
//     so that one that cannot be used is refused when the config is loaded.
//   - Open stores belong to the process and are pooled (store_pool.go), and so do the
//     passes over Dodo's lists (passes.go) and the metrics (metrics.go). A store is
//     closed behind the last request of the last config that had it (store_drain.go).
//   - Each open store is watched (store_watch.go) while a config runs: health, the gauges
//     of metrics.go and the log's lines about outages show what the watch knows.
//   - Secrets are resolved into what Provision makes, and into nothing that is
//     ever written out (secrets.go). Between Start and Stop, those that come from files
//     follow their files (secrets_rotation.go); those of a store do while it is open
//     (store_redis_login.go).
package caddymodule
