package routecheck

import (
	"fmt"
	"slices"
	"strings"
)

// checkAddresses compares where customers and Dodo look for the site with the hosts
// that the config answers.
func checkAddresses(sites []site, settings Settings, report *Report) {
	if settings.PublicHost != "" && !isLoopbackHost(settings.PublicHost) && len(sites) > 0 {
		answers := func(s site) bool {
			return len(s.hosts) == 0 || slices.ContainsFunc(s.hosts, matches(settings.PublicHost))
		}
		if !slices.ContainsFunc(sites, answers) {
			report.warn(fmt.Sprintf("public_url names the host %s, but no site with dodo_gateway or dodo_webhook has this host: customers find nothing there, and Caddy acknowledges Dodo's webhooks with an empty 200, so that Dodo does not send them again. Give Dodo the address of a site of this config, unless a proxy in front changes the host",
				settings.PublicHost))
		}
	}
	if !settings.NeedsPublicURL {
		return
	}
	for _, s := range sites {
		if s.gateway && slices.ContainsFunc(s.hosts, isPublicHost) && !s.isLocal() {
			report.warn(fmt.Sprintf("%s: public_url is not set, so that nobody can check out here; write public_url https://%s into the global option dodo", s.label, s.hosts[slices.IndexFunc(s.hosts, isPublicHost)]))
			return
		}
	}
}

func isPublicHost(host string) bool {
	return !isLoopbackHost(host) && !strings.ContainsAny(host, "{*")
}

// matches reports whether a host matcher may be for the host: each star stands for a
// label, and a placeholder for anything.
func matches(host string) func(pattern string) bool {
	labels := strings.Split(strings.ToLower(host), ".")
	return func(pattern string) bool {
		if strings.Contains(pattern, "{") {
			return true
		}
		parts := strings.Split(strings.ToLower(pattern), ".")
		return slices.EqualFunc(parts, labels, func(part, label string) bool { return part == "*" || part == label })
	}
}
