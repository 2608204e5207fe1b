package caddymodule

import (
	"context"
	"log/slog"

	"github.com/caddyserver/caddy/v2"
	"go.opentelemetry.io/otel/trace"
)

// logger is the log of a module, for requests too.
func logger(ctx caddy.Context) *slog.Logger { return slog.New(requestLog{ctx.Slogger().Handler()}) }

// requestLog is a [slog.Handler] that keeps a request's context from Caddy's own
// handler, which makes another one for each request that logs, and that one adds a
// stack trace to every error: kilobytes a line, for each request while the store is
// away. The id of the trace, which Caddy would add, is added here.
type requestLog struct {
	slog.Handler
}

func (l requestLog) Handle(ctx context.Context, record slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		record = record.Clone()
		record.AddAttrs(slog.String("traceID", span.TraceID().String()))
	}
	return l.Handler.Handle(context.Background(), record)
}

func (l requestLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return requestLog{l.Handler.WithAttrs(attrs)}
}

func (l requestLog) WithGroup(name string) slog.Handler {
	return requestLog{l.Handler.WithGroup(name)}
}
