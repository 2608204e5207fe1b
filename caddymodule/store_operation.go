package caddymodule

import (
	"context"
	"time"

	"github.com/dodogate/dodogate/internal/store"
)

// operation is a kind of operation on a store.
type operation struct {
	kind   string // for metrics
	span   string // the name of its span
	proves bool   // if it succeeds, then something was written
}

// The kinds. An update, a claim and a note may find that there is nothing to write.
var (
	opRead    = operation{kind: "read", span: "dodogate.store.read"}
	opUpdate  = operation{kind: "update", span: "dodogate.store.update"}
	opReceive = operation{kind: "receive", span: "dodogate.store.receive", proves: true}
	opClaim   = operation{kind: "claim", span: "dodogate.store.claim"}
	opSettle  = operation{kind: "settle", span: "dodogate.store.settle", proves: true}
	opNote    = operation{kind: "note", span: "dodogate.store.note"}
)

// storeKinds are the kinds of all operations.
var storeKinds = []string{opRead.kind, opUpdate.kind, opReceive.kind, opClaim.kind, opSettle.kind, opNote.kind}

// run passes an operation on to the open store.
func (h *handle) run(ctx context.Context, op operation, do func(context.Context, store.Store) error) error {
	err := h.measure(ctx, op, do)
	h.watch.observed(op.proves && err == nil, err)
	if err != nil {
		h.damages.met(err)
	}
	return err
}

func (h *handle) measure(ctx context.Context, op operation, do func(context.Context, store.Store) error) error {
	s, done, err := h.use(ctx)
	if err != nil {
		return err
	}
	defer done()
	ctx, span := startSpan(ctx, op.span)
	began := time.Now()
	err = do(ctx, s)
	metrics.stored(op.kind, time.Since(began))
	span.end(err)
	return err
}
