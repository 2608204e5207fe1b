package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration is a period of time as operators write it: Go's notation ("90m",
// "36h") or whole days ("30d"). In JSON it is such a string, or a number of
// nanoseconds as elsewhere in Caddy.
type Duration time.Duration

// ParseDuration reads [Duration]'s notation.
func ParseDuration(s string) (Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 31)
		if err != nil || n > uint64(longestPeriod/day) {
			return 0, fmt.Errorf("%q is not a number of days", s)
		}
		return Duration(n) * Duration(day), nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a period such as 30d, 36h or 90m", s)
	}
	return Duration(d), nil
}

const day = 24 * time.Hour

// Std is the period in Go's own type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String writes whole days as "30d" and everything else as Go does.
func (d Duration) String() string {
	if std := d.Std(); std != 0 && std%day == 0 {
		return strconv.FormatInt(int64(std/day), 10) + "d"
	}
	return d.Std().String()
}

// MarshalJSON writes the notation of [ParseDuration].
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON reads a string of that notation or a number of nanoseconds.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var ns int64
	if err := json.Unmarshal(b, &ns); err == nil {
		*d = Duration(ns)
		return nil
	}
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return errors.New("a period must be a string such as \"30d\", or a number of nanoseconds")
	}
	parsed, err := ParseDuration(s)
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

func (d Duration) validate() error {
	switch std := d.Std(); {
	case std < 0:
		return errors.New("must not be negative")
	case std > 0 && std < time.Second:
		return errors.New("must be at least one second")
	case std > longestPeriod:
		return errors.New("must be at most 100 years")
	}
	return nil
}
