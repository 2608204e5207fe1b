package caddymodule

import (
	"context"
	"log/slog"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap/exp/zapslog"
)

// processLogger is for what outlives a config: each record goes to the default
// log as it is configured then.
func processLogger() *slog.Logger { return processLoggerOf("dodo.stores") }

// processLoggerOf is the same under another name.
func processLoggerOf(name string) *slog.Logger { return slog.New(processLog{name: name}) }

// processLog is a [slog.Handler]. with rebuilds attributes and groups upon the
// handler of the day.
type processLog struct {
	name string
	with func(slog.Handler) slog.Handler
}

func (l processLog) handler() slog.Handler {
	var h slog.Handler = zapslog.NewHandler(caddy.Log().Core(), zapslog.WithName(l.name), zapslog.AddStacktraceAt(slog.Level(127)))
	if l.with != nil {
		h = l.with(h)
	}
	return h
}

func (l processLog) Enabled(ctx context.Context, level slog.Level) bool {
	return l.handler().Enabled(ctx, level)
}

func (l processLog) Handle(ctx context.Context, record slog.Record) error {
	return l.handler().Handle(ctx, record)
}

func (l processLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return l.then(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

func (l processLog) WithGroup(name string) slog.Handler {
	return l.then(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (l processLog) then(next func(slog.Handler) slog.Handler) processLog {
	before := l.with
	return processLog{name: l.name, with: func(h slog.Handler) slog.Handler {
		if before != nil {
			h = before(h)
		}
		return next(h)
	}}
}

// Interface guard
var _ slog.Handler = processLog{}
