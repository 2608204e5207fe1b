package gateway

import (
	"context"
	"errors"
	"slices"
)

// errTooManyGaps says that too much of a list cannot be read.
var errTooManyGaps = errors.New("too many windows of the list cannot be read")

// addGap keeps a window apart that could not be read. to is 0 for the present. A walk passes
// over gaps, so no window is kept twice.
func (w *walk) addGap(from, to int64) error {
	if to == 0 {
		to = max(from+1, w.clock().Add(gapMargin).Unix())
	}
	if len(w.gaps) >= mostGaps {
		return errTooManyGaps
	}
	w.gaps = append(w.gaps, gap{From: from, To: to, Tries: 1, Due: w.clock().Unix()})
	return nil
}

// retryGaps tries gaps again that are due.
func (w *walk) retryGaps(ctx context.Context) error {
	now := w.clock().Unix()
	var due []gap
	for _, g := range w.gaps {
		if g.Due <= now && len(due) < gapRetries {
			due = append(due, g)
		}
	}
	for _, g := range due {
		if err := w.retryGap(ctx, g); err != nil {
			return err
		}
		if err := w.save(ctx); err != nil {
			return err
		}
	}
	return nil
}

// retryGap walks a gap. What still cannot be read of it is a gap again.
func (w *walk) retryGap(ctx context.Context, g gap) error {
	before := slices.Clone(w.gaps)
	w.gaps = slices.DeleteFunc(w.gaps, func(o gap) bool { return o == g })
	c := &cursor{Began: g.To, Next: g.From, end: g.To}
	for {
		done, err := w.step(ctx, c)
		if err != nil {
			w.gaps = before
			return err
		}
		if done {
			break
		}
	}
	for i := range w.gaps {
		if left := &w.gaps[i]; left.From == g.From && left.To == g.To {
			left.Tries = g.Tries + 1
			left.Due = w.clock().Add(retryAfter(left.Tries)).Unix()
		}
	}
	return nil
}
