package caddymodule

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// origin is what the app behind a reverse_proxy said, also if handle_response or
// intercept answers in its place. Caddy keeps it in placeholders, and an earlier proxy of
// the request, such as forward_auth, leaves its own there.
type origin struct {
	repl   *caddy.Replacer
	before any // how long the earlier proxy took, which tells it from the next; nil is none
}

// Placeholders of Caddy.
const (
	originLatency     = "http.reverse_proxy.upstream.latency"
	originStatus      = "http.reverse_proxy.status_code"
	originHeader      = "http.reverse_proxy.header."
	interceptedStatus = "http.intercept.status_code"
)

func newOrigin(r *http.Request) origin {
	o := origin{repl: r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)}
	o.before, _ = o.repl.Get(originLatency)
	return o
}

// answered reports whether a proxy has answered since.
func (o origin) answered() bool {
	latency, ok := o.repl.Get(originLatency)
	return ok && latency != o.before
}

// status is that of the app; 0 is not known. answered says whether a proxy has.
func (o origin) status(answered bool) int {
	if status, ok := o.repl.Get(interceptedStatus); ok {
		status, _ := status.(int)
		return status
	}
	if !answered {
		return 0
	}
	status, _ := o.repl.Get(originStatus)
	n, _ := status.(int)
	return n
}

// header is what the app said in a header, by its canonical name.
func (o origin) header(name string) []string {
	value, ok := o.repl.Get(originHeader + name)
	text, isText := value.(string)
	if !ok || !isText {
		return nil
	}
	return []string{text}
}

// isRPC reports whether an answer is one of gRPC, and whether it tells how the call ended
// in trailers of HTTP. gRPC-Web tells it in the body, which nobody reads here.
func isRPC(header http.Header) (is, inTrailers bool) {
	const rpc = "application/grpc"
	values := header["Content-Type"]
	if len(values) == 0 || len(values[0]) < len(rpc) || !strings.EqualFold(values[0][:len(rpc)], rpc) {
		return false, false
	}
	rest := values[0][len(rpc):]
	return true, rest == "" || rest[0] == '+' || rest[0] == ';' || rest[0] == ' '
}
