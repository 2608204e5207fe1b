package ledger

import (
	"fmt"
	"strconv"
	"strings"
)

// Statuses are the HTTP statuses that cost credits. The zero value is none.
type Statuses struct{ charged [1000]bool }

// NewStatuses reads what is charged and what is not, of that: statuses such as 404
// and classes such as 2xx. Without any that are charged, 2xx, 3xx and 101 are.
func NewStatuses(chargeOn, releaseOn []string) (*Statuses, error) {
	if len(chargeOn) == 0 {
		chargeOn = []string{"2xx", "3xx", "101"}
	}
	s := new(Statuses)
	if err := s.set(chargeOn, true); err != nil {
		return nil, fmt.Errorf("charge_on: %w", err)
	}
	if err := s.set(releaseOn, false); err != nil {
		return nil, fmt.Errorf("release_on: %w", err)
	}
	return s, nil
}

func (s *Statuses) set(list []string, charged bool) error {
	for _, text := range list {
		digit, class := strings.CutSuffix(strings.ToLower(text), "xx")
		n, err := strconv.Atoi(digit)
		switch {
		case err == nil && class && len(digit) == 1 && n >= 1 && n <= 5:
			for status := n * 100; status < n*100+100; status++ {
				s.charged[status] = charged
			}
		case err == nil && !class && len(digit) == 3 && n >= 100 && n <= 599:
			s.charged[n] = charged
		default:
			return fmt.Errorf("'%s' is not a status such as 200 or 2xx", text)
		}
	}
	return nil
}

// Has reports whether a status is charged.
func (s *Statuses) Has(status int) bool {
	return status >= 0 && status < len(s.charged) && s.charged[status]
}
