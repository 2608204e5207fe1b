package routecheck

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// checkAddresses compares the addresses that customers and Dodo use with the hosts that the
// config serves.
func checkAddresses(sites []site, settings Settings, report *Report) {
	if settings.PublicHost != "" && !isLoopbackHost(settings.PublicHost) && len(sites) > 0 {
		answers := func(s site) bool {
			return len(s.hosts) == 0 || slices.ContainsFunc(s.hosts, hostMatcher(settings.PublicHost))
		}
		if !slices.ContainsFunc(sites, answers) {
			report.warn(fmt.Sprintf("public_url names the host %s, but no site with dodo_gateway or dodo_webhook has this host: customers find nothing there, and Caddy acknowledges Dodo's webhooks with an empty 200, so that Dodo does not send them again. Give Dodo the address of a site of this config, unless a proxy in front changes the host",
				settings.PublicHost))
		}
	}
	for _, s := range sites {
		s.checkOwnAddress(report)
	}
	if settings.PublicHost != "" {
		checkReturns(sites, settings.PublicHost, report)
	}
	if settings.NeedsPublicURL {
		checkMissing(sites, settings, report)
	}
}

// checkMissing warns of a site that needs a public_url. Without it, links are made only for
// requests to a loopback host.
func checkMissing(sites []site, settings Settings, report *Report) {
	for _, s := range sites {
		if !s.gateway || s.publicURL != "" {
			continue
		}
		host := s.publicHost()
		isWildcard := slices.ContainsFunc(s.hosts, func(host string) bool { return strings.Contains(host, "*") })
		if !settings.IsLive && (s.isLocal() || host == "" && !isWildcard) {
			continue // it may be a trial on this machine
		}
		address := "https://" + host
		if host == "" {
			address = "and the address at which customers reach the site"
		}
		report.warn(fmt.Sprintf("%s: public_url is not set, so that nobody can check out here; write public_url %s into the global option dodo%s", s.label, address, s.location))
		return
	}
}

// publicHost is a host of the site that other machines can reach; empty if none is known.
func (s site) publicHost() string {
	if i := slices.IndexFunc(s.hosts, isPublicHost); i >= 0 {
		return s.hosts[i]
	}
	return ""
}

// checkOwnAddress compares the public_url of a gateway with the hosts of its site.
func (s site) checkOwnAddress(report *Report) {
	own, err := url.Parse(s.publicURL)
	if err != nil || own.Hostname() == "" || strings.Contains(s.publicURL, "{") || isLoopbackHost(own.Hostname()) {
		return
	}
	if len(s.hosts) > 0 && !slices.ContainsFunc(s.hosts, hostMatcher(own.Hostname())) {
		report.warn(fmt.Sprintf("%s: the public_url of dodo_gateway names the host %s, which this site does not have: customers come back to nothing after they have paid, unless a proxy in front changes the host%s",
			s.label, own.Hostname(), s.location))
	}
}

// checkReturns warns of sites whose customers return to another site after paying, where their
// login does not count.
func checkReturns(sites []site, public string, report *Report) {
	answers := func(s site) bool { return s.gateway && slices.ContainsFunc(s.hosts, hostMatcher(public)) }
	if !slices.ContainsFunc(sites, answers) {
		return
	}
	for _, s := range sites {
		host := s.publicHost()
		if s.gateway && s.publicURL == "" && host != "" && !answers(s) && !s.isLocal() {
			report.warn(fmt.Sprintf("%s: customers who buy here come back to %s, which is another site and may not know their login; write public_url https://%s into this dodo_gateway%s",
				s.label, public, host, s.location))
		}
	}
}

func isPublicHost(host string) bool {
	return !isLoopbackHost(host) && !strings.ContainsAny(host, "{*")
}

// hostMatcher returns a function that reports whether a host pattern may match the host: each
// star stands for a label, and a placeholder for anything.
func hostMatcher(host string) func(pattern string) bool {
	labels := strings.Split(strings.ToLower(host), ".")
	return func(pattern string) bool {
		if strings.Contains(pattern, "{") {
			return true
		}
		parts := strings.Split(strings.ToLower(pattern), ".")
		return slices.EqualFunc(parts, labels, func(part, label string) bool { return part == "*" || part == label })
	}
}
