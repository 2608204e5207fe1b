package routecheck

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// checkQuestions refuses a gateway that asks who a visitor is at an address which leads to
// a gateway that asks as well: it would ask itself.
func checkQuestions(sites []site, report *Report) {
	for _, asking := range sites {
		address, err := url.Parse(asking.asks)
		if err != nil || asking.asks == "" || strings.Contains(asking.asks, "{") {
			continue
		}
		for _, asked := range sites {
			if asked.asks == "" || !asked.isAt(address) {
				continue
			}
			text := fmt.Sprintf("%s: ask leads to %s, which is a site of this config with a dodo_gateway that asks: it would ask itself. Write the app's own address, as in reverse_proxy%s", asking.label, asking.asks, asking.at)
			if asked.part {
				report.warn(text)
			} else {
				report.refuse(text)
			}
		}
	}
}

// isAt reports whether a request for an address surely reaches the server of the site, and
// is for its hosts. A host that is a loopback one is this machine; of other names nobody
// here knows where they lead, unless the site has them.
func (s site) isAt(address *url.URL) bool {
	host := address.Hostname()
	named := len(s.hosts) == 0 && isLoopbackHost(host) || slices.ContainsFunc(s.hosts, matches(host))
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
