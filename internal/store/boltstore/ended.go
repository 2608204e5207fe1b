package boltstore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dodogate/dodogate/internal/store"
)

// endedHold is what is remembered of a hold that has ended.
type endedHold struct {
	By          []byte `json:"by"`
	Fingerprint []byte `json:"fingerprint"`
	Captured    int64  `json:"captured"`
	Receipt     []byte `json:"receipt,omitempty"`
	Until       int64  `json:"until"` // milliseconds
}

// remember keeps the end of a hold for a short while, and forgets what was
// remembered long enough.
func (h *holds) remember(name holdName, e endedHold, now time.Time) {
	for len(h.queue) > 0 {
		oldest := h.queue[0]
		if known, ok := h.recent[oldest]; ok && known.Until > now.UnixMilli() {
			break
		}
		delete(h.recent, oldest)
		h.queue = h.queue[1:]
	}
	e.Until = now.Add(store.Recently).UnixMilli()
	if _, ok := h.recent[name]; !ok {
		h.queue = append(h.queue, name)
	}
	h.recent[name] = e
}

// ended finds what is remembered of a hold.
func (s *Store) ended(b bucket, name holdName, now time.Time) (endedHold, bool, error) {
	if e, ok := s.holds.recent[name]; ok && e.Until > now.UnixMilli() {
		return e, true, nil
	}
	value := b.get(kindEnded, name.id)
	if value == nil {
		return endedHold{}, false, nil
	}
	var e endedHold
	if err := json.Unmarshal(value, &e); err != nil {
		return e, false, damaged(fmt.Errorf("stored end of a hold is damaged: %w", err))
	}
	return e, e.Until > now.UnixMilli(), nil
}

// saveEnded notes the end of a hold, and when it may be forgotten. There was none
// under its id, or it was forgotten.
func saveEnded(b bucket, id string, e endedHold) error {
	value, err := json.Marshal(e)
	if err != nil {
		return writeError{err}
	}
	return errors.Join(
		b.put(kindEnded, id, value),
		b.put(kindEndedUntil, string(number(e.Until))+id, nil),
	)
}

// forgetEnded removes the ends that were remembered long enough.
func forgetEnded(b bucket, now time.Time) error {
	var over [][]byte
	err := b.scan(kindEndedUntil, func(name, _ []byte) error {
		if len(over) == maxForgotten || parseNumber(name) > now.UnixMilli() {
			return errEnough
		}
		over = append(over, bytes.Clone(name))
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	var errs []error
	for _, name := range over {
		errs = append(errs, b.remove(kindEndedUntil, string(name)))
		if id := string(name[8:]); stillOver(b, id, now) {
			errs = append(errs, b.remove(kindEnded, id))
		}
	}
	return errors.Join(errs...)
}

// stillOver guards against an id that was used again since.
func stillOver(b bucket, id string, now time.Time) bool {
	var e endedHold
	err := json.Unmarshal(b.get(kindEnded, id), &e)
	return err == nil && e.Until <= now.UnixMilli()
}

// maxForgotten is how many ends are removed in one operation.
const maxForgotten = 16
