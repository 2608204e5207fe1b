package config

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
)

// Amounts are sums of money in minor units, such as cents, by currency: ISO 4217, in
// upper case.
type Amounts map[string]int64

// MaxAmount is the largest sum that a setting may name, in minor units.
const MaxAmount int64 = 1_000_000_000_000

var currency = regexp.MustCompile(`^[A-Z]{3}$`)

// validate accepts no amounts at all.
func (a Amounts) validate() error {
	for _, code := range slices.Sorted(maps.Keys(a)) {
		if err := CheckAmount(code, a[code]); err != nil {
			return err
		}
	}
	return nil
}

// CheckAmount says what is wrong with one sum.
func CheckAmount(code string, n int64) error {
	switch {
	case !currency.MatchString(code):
		return fmt.Errorf("currency %q must be three upper-case letters, such as USD", code)
	case n < 1 || n > MaxAmount:
		return errors.New("must be a whole number of minor units, such as cents, from 1 to " + fmt.Sprint(MaxAmount))
	}
	return nil
}
