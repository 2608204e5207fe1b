package caddymodule

import (
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/routecheck"
)

// checkRoutes refuses a config whose routes cannot work, and warns of what may not do
// what it was written for. The first of our modules in the http app calls it, once for
// each config, `caddy validate` included. At that moment Caddy has provisioned the
// matchers of all servers and the handlers before ours. Everything else is still JSON.
func (a *App) checkRoutes(ctx caddy.Context) error {
	if a.routesChecked {
		return nil
	}
	app := lineageHTTP(ctx)
	if app == nil {
		return nil
	}
	a.routesChecked = true
	var servers []routecheck.Server
	for _, name := range slices.Sorted(maps.Keys(app.Servers)) {
		servers = append(servers, checkedServer(name, app.Servers[name]))
	}
	report := routecheck.Check(servers, a.checkSettings())
	for _, warning := range report.Warnings {
		a.logger.Warn(warning)
	}
	if len(report.Refusals) == 0 {
		return nil
	}
	return errors.New(strings.Join(report.Refusals, "; "))
}

// lineageHTTP is the http app that a module is loaded for; nil is none.
func lineageHTTP(ctx caddy.Context) *caddyhttp.App {
	for _, module := range ctx.Modules() {
		if app, ok := module.(*caddyhttp.App); ok {
			return app
		}
	}
	return nil
}

func (a *App) checkSettings() routecheck.Settings {
	settings := routecheck.Settings{HeaderPrefix: config.DefaultHeaderPrefix, NeedsPublicURL: a.publicURL == "", IsLive: a.isLive}
	if public, err := url.Parse(a.publicURL); err == nil {
		settings.PublicHost = public.Hostname()
	}
	if match := a.MatchEmail; match != nil {
		settings.MatchEmail = []string{match.Email, match.Verified}
	}
	return settings
}

// warnUnlessServed says that no site of the config uses the app. It loads the http app
// unless that is being loaded, or was: what is wrong there is said by Caddy.
func (a *App) warnUnlessServed(ctx caddy.Context) {
	if lineageHTTP(ctx) != nil {
		return // a module of a site asked for this app
	}
	if _, err := ctx.AppIfConfigured("http"); err != nil && !errors.Is(err, caddy.ErrNotConfigured) {
		return
	}
	if !a.routesChecked {
		a.logger.Warn("no site of this config has dodo_gateway or dodo_webhook: nobody can buy, and Dodo's webhooks reach nothing")
	}
}

// warnOfPlainSecrets names the settings whose secrets are part of the config, which the
// admin API shows and Caddy saves to disk.
func (a *App) warnOfPlainSecrets() {
	for _, setting := range []struct {
		name   string
		values []string
	}{{"api_key", []string{a.APIKey}}, {"webhook_secret", a.WebhookSecrets}, {"proof_secret", a.ProofSecrets}} {
		warnOfPlainSecrets(a.logger, a.Written, setting.name, setting.values)
	}
}

func warnOfPlainSecrets(logger *zap.Logger, at Written, setting string, values []string) {
	if slices.ContainsFunc(values, func(value string) bool { return value != "" && !hasPlaceholder(value) }) {
		logger.Warn("a secret is written in full, so that the admin API shows it and Caddy saves it to disk; write {env.NAME} or {file./path} ({$NAME} is the same as in full)",
			zap.String("setting", setting), zap.String("at", at.Caddyfile))
	}
}

func checkedServer(name string, s *caddyhttp.Server) routecheck.Server {
	server := routecheck.Server{
		Name: name, Listen: s.Listen, Routes: checkedRoutes(s.Routes), Named: map[string]routecheck.Route{},
		// The proxies themselves are gone from the config once they are loaded.
		TrustsProxies: s.TrustedProxiesRaw != nil || s.TrustedProxiesStrict != 0,
	}
	if s.Errors != nil {
		server.Errors = checkedRoutes(s.Errors.Routes)
	}
	for name, route := range s.NamedRoutes {
		server.Named[name] = checkedRoute(*route)
	}
	return server
}

func checkedRoutes(routes caddyhttp.RouteList) []routecheck.Route {
	list := make([]routecheck.Route, 0, len(routes))
	for _, route := range routes {
		list = append(list, checkedRoute(route))
	}
	return list
}

// checkedRoute brings a route back into JSON, also where Caddy has read that already.
func checkedRoute(r caddyhttp.Route) routecheck.Route {
	route := routecheck.Route{Group: r.Group, Terminal: r.Terminal, Handle: r.HandlersRaw}
	for _, set := range r.MatcherSetsRaw {
		route.Match = append(route.Match, set)
	}
	if r.MatcherSetsRaw == nil {
		route.Match = matcherSetsJSON(r.MatcherSets)
	}
	if r.HandlersRaw == nil {
		for _, handler := range r.Handlers {
			route.Handle = append(route.Handle, handlerJSON(handler))
		}
	}
	return route
}
