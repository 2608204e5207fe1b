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

// retryGaps tries gaps again, each in two halves, so that a page that cannot be read is narrowed
// down to what it has.
func (w *walk) retryGaps(ctx context.Context) error {
	now, tried := w.clock().Unix(), 0
	for i := 0; i < len(w.gaps) && tried < gapRetries; i++ {
		if w.gaps[i].Due > now {
			continue
		}
		tried++
		left, err := w.retryGap(ctx, w.gaps[i])
		if err != nil {
			return err
		}
		if room := mostGaps - len(w.gaps) + 1; len(left) > room {
			left = []gap{{From: left[0].From, To: left[len(left)-1].To, Tries: left[0].Tries, Due: left[0].Due}}
		}
		w.gaps = slices.Replace(w.gaps, i, i+1, left...)
		i += len(left) - 1
		if err := w.save(ctx); err != nil {
			return err
		}
	}
	return nil
}

// retryGap returns what still cannot be read of a gap. If that is less, the next pass tries
// again; else the pauses get longer.
func (w *walk) retryGap(ctx context.Context, g gap) (left []gap, err error) {
	halves := [][2]int64{{g.From, g.To}}
	if start := max(g.From, min(dodoBegan, g.To)); g.To-start > 1 {
		middle := start + (g.To-start)/2
		halves = [][2]int64{{g.From, middle}, {middle, g.To}}
	}
	for _, half := range halves {
		read, err := w.window(ctx, half[0], half[1], true)
		if err != nil {
			return nil, err
		}
		if !read.fits || !read.whole {
			left = append(left, gap{From: half[0], To: half[1], Tries: 1, Due: w.clock().Unix()})
		}
	}
	if len(left) == len(halves) {
		for i := range left {
			left[i].Tries = g.Tries + 1
			left[i].Due = w.clock().Add(retryAfter(left[i].Tries)).Unix()
		}
	}
	return left, nil
}
