package boltstore

import (
	"bytes"
	"time"

	"github.com/dodogate/dodogate/internal/book"
)

// remember keeps the end of a hold in memory for [book.Recently], and forgets what was
// remembered long enough.
func (h *holds) remember(name holdName, end *book.EndedHold, now time.Time) {
	for len(h.queue) > 0 {
		oldest := h.queue[0]
		if known, ok := h.recent[oldest]; ok && now.Before(known.Until) {
			break
		}
		delete(h.recent, oldest)
		h.queue = h.queue[1:]
	}
	if _, ok := h.recent[name]; !ok {
		h.queue = append(h.queue, name)
	}
	recent := *end
	recent.Until = now.Add(book.Recently)
	h.recent[name] = &recent
}

// maxForgotten is how many ends are removed in one operation.
const maxForgotten = 16

// forgetEnds removes the ends that were remembered long enough.
func (w *saving) forgetEnds(now time.Time) {
	var over [][]byte
	_ = w.bucket.scan(kindEndedUntil, func(name, _ []byte) error {
		if len(over) == maxForgotten || parseNumber(name) > now.UnixMilli() {
			return errEnough
		}
		over = append(over, bytes.Clone(name))
		return nil
	})
	for _, name := range over {
		w.remove(kindEndedUntil, string(name))
		// The id may have been used again since.
		id := string(name[8:])
		value, err := w.bucket.get(kindEnded, id)
		if err != nil {
			continue // it stays, to be found
		}
		if e, err := parseEnded(value); err == nil && !now.Before(e.Until) {
			w.remove(kindEnded, id)
		}
	}
}
