package config

import (
	"fmt"
	"time"
)

// KeepEvents says how long webhook events are kept in the journal once nothing
// more is to be done about them, and what of them. The zero value keeps all of
// them for [DefaultKeepEvents].
type KeepEvents struct {
	// Period is how long after its receipt an event that is settled is deleted, at
	// least 30 days. One that waits to be applied is not deleted. Default: 90d.
	Period Duration `json:"period,omitempty"`
	// Redact drops personal data, such as the customer's name and addresses, from
	// what is kept of an event once it is settled. Default: kept as received.
	Redact bool `json:"redact,omitempty"`
}

// How long events are kept: by default, and at the least (DESIGN 6.5).
const (
	DefaultKeepEvents = 90 * day
	minKeepEvents     = 30 * day
)

// Validate accepts the zero value.
func (k KeepEvents) Validate() error {
	if k.Period != 0 && k.Period.Std() < minKeepEvents {
		return fmt.Errorf("keep_events must be at least %s, not %s", Duration(minKeepEvents), k.Period)
	}
	if err := k.Period.validate(); err != nil {
		return fmt.Errorf("keep_events %w", err)
	}
	return nil
}

// Duration is how long after its receipt a settled event is kept.
func (k KeepEvents) Duration() time.Duration {
	if k.Period == 0 {
		return DefaultKeepEvents
	}
	return k.Period.Std()
}
