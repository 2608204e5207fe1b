package caddymodule

import (
	"fmt"
	"net/http"

	"github.com/dodogate/dodogate/internal/httpapi"
)

// The words of routing_headers.
const (
	gateRouting  = "gate"
	stripRouting = "strip"
	trustRouting = "trust"
)

func validateRoutingHeaders(word string) error {
	switch word {
	case "", gateRouting, stripRouting, trustRouting:
		return nil
	}
	return fmt.Errorf("routing_headers must be %s, %s or %s, not '%s'", gateRouting, stripRouting, trustRouting, word)
}

// treatRoutingHeaders does what the setting says. Gates ask these headers unless they
// are told otherwise.
func (g *Gateway) treatRoutingHeaders(r *http.Request) {
	switch g.RoutingHeaders {
	case stripRouting:
		httpapi.RemoveRoutingHeaders(r.Header)
		httpapi.RemoveRoutingHeaders(r.Trailer)
	case trustRouting:
		if httpapi.HasRoutingHeaders(r.Header) {
			keptSpellings(r).TrustHeaders()
		}
	}
}
