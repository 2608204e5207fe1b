package dodosim

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Duration is a [time.Duration] in the notation of [ParseDuration].
type Duration time.Duration

// maxDays keeps a duration within the range of [time.Duration].
const maxDays = 36_500

var days = regexp.MustCompile(`^([0-9]{1,5})([dw])`)

// ParseDuration reads Go's notation, such as "90m", and also days of 24 hours and weeks of 7
// days: "31d", "2w", "1d12h". It refuses negative durations.
func ParseDuration(text string) (time.Duration, error) {
	var sum time.Duration
	rest := text
	if m := days.FindStringSubmatch(text); m != nil {
		count, _ := strconv.Atoi(m[1]) // digits
		if m[2] == "w" {
			count *= 7
		}
		if count > maxDays {
			return 0, fmt.Errorf("%q is more than %d days", text, maxDays)
		}
		sum, rest = time.Duration(count)*24*time.Hour, text[len(m[0]):]
		if rest == "" {
			return sum, nil
		}
	}
	more, err := time.ParseDuration(rest)
	if err != nil || more < 0 || more > maxDays*24*time.Hour {
		return 0, fmt.Errorf("%q is not a length of time such as 31d, 36h or 90m", text)
	}
	return sum + more, nil
}

// UnmarshalText is [ParseDuration].
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := ParseDuration(string(text))
	*d = Duration(parsed)
	return err
}

// MarshalText writes what [ParseDuration] reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }
