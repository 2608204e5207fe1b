package caddymodule

import (
	"context"
	"log/slog"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
	"go.uber.org/zap/zapcore"
)

// A module logs by the logger that Caddy has for it, ctx.Logger(). What outlives a config
// logs by processLogger. The packages in internal know log/slog only, and coreLogger makes
// that out of either.

// coreLogger writes to log what the packages in internal log. It is not Caddy's
// ctx.Slogger(), which makes a handler for each request that logs: that handler adds a
// stack trace to every error, kilobytes a line for each request while the store is away.
func coreLogger(log *zap.Logger) *slog.Logger {
	return slog.New(tracedLog{zapslog.NewHandler(log.Core(), zapslog.WithName(log.Name()), noStackTraces)})
}

// noStackTraces is a level above all others. The default is the level of errors.
var noStackTraces = zapslog.AddStacktraceAt(slog.Level(127))

// tracedLog is a [slog.Handler] that adds the id of a request's trace.
type tracedLog struct {
	slog.Handler
}

func (l tracedLog) Handle(ctx context.Context, record slog.Record) error {
	if id := traceID(ctx); id != "" {
		record = record.Clone()
		record.AddAttrs(slog.String(fieldTraceID, id))
	}
	return l.Handler.Handle(ctx, record)
}

func (l tracedLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return tracedLog{l.Handler.WithAttrs(attrs)}
}

func (l tracedLog) WithGroup(name string) slog.Handler {
	return tracedLog{l.Handler.WithGroup(name)}
}

// fieldTraceID is the name that Caddy's access log has for the id of a trace.
const fieldTraceID = "traceID"

// traceOf is the field that names the trace of a request. Without a trace it is not
// written.
func traceOf(r *http.Request) zap.Field {
	if id := traceID(r.Context()); id != "" {
		return zap.String(fieldTraceID, id)
	}
	return zap.Skip()
}

// traceID is empty if there is no trace.
func traceID(ctx context.Context) string {
	span := trace.SpanContextFromContext(ctx)
	if !span.HasTraceID() {
		return ""
	}
	return span.TraceID().String()
}

// processLogger is for what outlives a config: each line goes to the default log as it
// is configured when the line is written.
func processLogger(name string) *zap.Logger { return zap.New(processCore{}).Named(name) }

// processCore is a [zapcore.Core] that asks Caddy for the default log each time.
type processCore struct {
	fields []zapcore.Field
}

func (c processCore) current() zapcore.Core {
	core := caddy.Log().Core()
	if len(c.fields) > 0 {
		core = core.With(c.fields)
	}
	return core
}

func (c processCore) Enabled(level zapcore.Level) bool { return caddy.Log().Core().Enabled(level) }

func (c processCore) With(fields []zapcore.Field) zapcore.Core {
	return processCore{slices.Concat(c.fields, fields)}
}

// Check adds the core of the moment, which then writes the entry by itself.
func (c processCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	return c.current().Check(entry, checked)
}

func (c processCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	return c.current().Write(entry, fields)
}

func (c processCore) Sync() error { return caddy.Log().Core().Sync() }

// Interface guards
var (
	_ slog.Handler = tracedLog{}
	_ zapcore.Core = processCore{}
)
