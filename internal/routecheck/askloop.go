package routecheck

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// checkAskLoops refuses a gateway whose ask address leads to a gateway that asks as well: it
// would ask itself.
func checkAskLoops(sites []site, report *Report) {
	for _, asking := range sites {
		address, err := url.Parse(asking.askURL)
		if err != nil || asking.askURL == "" || strings.Contains(asking.askURL, "{") {
			continue
		}
		for _, asked := range sites {
			if asked.askURL == "" || !asked.isReachedBy(address) {
				continue
			}
			text := fmt.Sprintf("%s: ask leads to %s, which is a site of this config with a dodo_gateway that asks: it would ask itself. Write the app's own address, as in reverse_proxy%s", asking.label, asking.askURL, asking.location)
			if asked.isPartial {
				report.warn(text)
			} else {
				report.refuse(text)
			}
		}
	}
}

// isReachedBy reports whether a request for an address certainly reaches the server of the
// site and is for one of its hosts. A loopback host is this machine; other names count only if
// the site lists them, because it is unknown where they lead.
func (s site) isReachedBy(address *url.URL) bool {
	host := address.Hostname()
	named := len(s.hosts) == 0 && isLoopbackHost(host) || slices.ContainsFunc(s.hosts, hostMatcher(host))
	return named && slices.ContainsFunc(s.server.Listen, func(listener string) bool { return listensAt(listener, address) })
}

// listensAt reports whether a listener has the port of an address.
func listensAt(listener string, address *url.URL) bool {
	if _, rest, found := strings.Cut(listener, "/"); found { // tcp/:80
		listener = rest
	}
	_, port, err := net.SplitHostPort(listener)
	wanted := address.Port()
	if wanted == "" {
		wanted = map[string]string{"http": "80", "https": "443"}[address.Scheme]
	}
	return err == nil && port == wanted
}
