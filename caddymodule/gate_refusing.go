package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/dodogate/dodogate/internal/httpapi"
)

// Refusing is how a gate answers the requests that it does not let pass.
type Refusing struct {
	// `error` hands every refusal to `handle_errors`, with its status and the
	// placeholders `{http.dodo.refusal.*}`. Calls of gRPC get a `grpc-status` in any
	// case. Default: dodogate answers itself.
	Refuse string `json:"refuse,omitempty"`
}

const refuseByError = "error"

func (g Refusing) validate() error {
	if g.Refuse != "" && g.Refuse != refuseByError {
		return fmt.Errorf("refuse must be %s, or be left out, not %q", refuseByError, g.Refuse)
	}
	return nil
}

// refuse answers a request that its account may not make. The error that it returns is
// the handler's own.
func (g Refusing) refuse(w http.ResponseWriter, r *http.Request, v *visit, no httpapi.Refusal) error {
	v.site.api.AllowOrigin(w.Header(), r)
	if g.Refuse == refuseByError {
		if over, ok := v.site.api.HandOver(w, r, no); ok {
			return v.handOver(over)
		}
	}
	metrics.refusedWith(v.site.api.Refuse(own(w), r, no))
	return nil
}

// fail answers a request that could not be judged, because of err.
func (g Refusing) fail(w http.ResponseWriter, r *http.Request, v *visit, err error) error {
	v.site.api.AllowOrigin(w.Header(), r)
	if g.Refuse == refuseByError {
		if over, ok := httpapi.HandOverError(w, r, err); ok {
			return v.handOver(over)
		}
	}
	p := httpapi.ProblemOf(err)
	metrics.refusedWith(p.Code)
	v.site.api.Answer(own(w), r, p)
	return nil
}

// handOver leaves the answer to handle_errors. Caddy's own placeholder for the message
// of an error shows the code.
func (v *visit) handOver(over httpapi.Handover) error {
	metrics.refusedWith(over.Code)
	v.refusal = &over
	return caddyhttp.Error(over.Status, errors.New(over.Code))
}

const refusalPrefix = "refusal."

// refusals are the placeholders of a refusal that was handed over.
var refusals = map[string]func(*httpapi.Handover) string{
	"code":        func(h *httpapi.Handover) string { return h.Code },
	"required":    func(h *httpapi.Handover) string { return memberText(h.Members["required"]) },
	"available":   func(h *httpapi.Handover) string { return memberText(h.Members["available"]) },
	"offers_json": func(h *httpapi.Handover) string { return h.Offers },
}

// memberText writes a member of a problem like the placeholders of the account.
func memberText(member any) string {
	switch member := member.(type) {
	case int64:
		return strconv.FormatInt(member, 10)
	case bool:
		return strconv.FormatBool(member)
	case string:
		return encodeNames([]string{member}, ","+unsafeInText)
	case []string:
		return encodeNames(member, ","+unsafeInText)
	default:
		return ""
	}
}

// parseRefuse reads the option refuse, on which d stands.
func (g *Refusing) parseRefuse(d *caddyfile.Dispenser) error {
	if err := readOne(d, &g.Refuse); err != nil {
		return err
	}
	if err := g.validate(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// refusalText is the value of a placeholder of a refusal: empty if none was handed over.
func (v *visit) refusalText(name string) (string, bool) {
	show, known := refusals[strings.TrimPrefix(name, refusalPrefix)]
	if !known || v.refusal == nil {
		return "", known
	}
	return show(v.refusal), true
}
