package caddymodule

import (
	"context"
	"errors"
	"net/http"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/dodogate/dodogate/internal/store"
)

// Spans below the one that Caddy's directive `tracing` begins for a request. If there is none,
// or if it is not sampled, then no span is made.

// tracerName names what makes the spans.
const tracerName = "github.com/dodogate/dodogate"

// span is a span that may be missing.
type span struct{ of trace.Span }

// startSpan begins a span below that of ctx. The caller must end it.
func startSpan(ctx context.Context, name string) (context.Context, span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, span{}
	}
	ctx, of := parent.TracerProvider().Tracer(tracerName).Start(ctx, name)
	return ctx, span{of}
}

// end ends a span. A refusal is no error of the span. The text of an error is not in it,
// because it may name hosts.
func (s span) end(err error) {
	if s.of == nil {
		return
	}
	if errors.Is(err, store.ErrUnavailable) {
		s.of.SetStatus(codes.Error, labelOf(err))
	}
	s.of.End()
}

// startSpanBehind begins a span of work that outlives a request, within ctx. It must be called
// while the request's own span is open.
func startSpanBehind(ctx context.Context, r *http.Request, name string) (context.Context, span) {
	if of := trace.SpanFromContext(r.Context()); of.IsRecording() {
		ctx = trace.ContextWithSpan(ctx, of)
	}
	return startSpan(ctx, name)
}
