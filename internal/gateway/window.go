package gateway

import "time"

// window counts the calls of the last while, exactly: in any span of its length
// there are at most as many as it allows.
//
// The rule: the sum over all purposes of max(made, kept) never exceeds most. So
// the calls that are made never do, and a purpose that has made fewer calls than
// are kept for it may always make another.
type window struct {
	length time.Duration
	most   int
	kept   [purposes]int
	made   [purposes][]time.Time // oldest first; no more than most in all
}

func newWindow(length time.Duration, most int) window {
	w := window{length: length, most: most}
	for _, p := range []purpose{forReconcile, forConfirm, forCheckout} {
		w.kept[p] = most / 4
	}
	w.kept[forPrices] = 1 // one reader at a time, every few minutes
	return w
}

// wait is how long it takes until a call may be made; 0 is now.
func (w *window) wait(now time.Time, p purpose) time.Duration {
	w.forget(now)
	used := 0
	for q := range w.made {
		used += max(len(w.made[q]), w.kept[q])
	}
	if used < w.most || len(w.made[p]) < w.kept[p] {
		return 0
	}
	// A call that is forgotten makes room if it is beyond its purpose's share, or if
	// it makes room in the share of p.
	wait := w.length
	for q, times := range w.made {
		if len(times) > w.kept[q] || (purpose(q) == p && len(times) > 0) {
			wait = min(wait, times[0].Add(w.length).Sub(now))
		}
	}
	return wait
}

func (w *window) add(now time.Time, p purpose) { w.made[p] = append(w.made[p], now) }

func (w *window) forget(now time.Time) {
	for q, times := range w.made {
		over := 0
		for over < len(times) && now.Sub(times[over]) >= w.length {
			over++
		}
		w.made[q] = times[over:]
	}
}
