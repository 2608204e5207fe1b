package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Rate is how many credits a sum of money gives: Credits for every Amount, and of a part of
// it the same part, rounded down.
type Rate struct {
	Credits int64 `json:"credits"`
	// Amount in minor units, such as cents.
	Amount int64 `json:"amount"`
}

// Rates are what a charge on demand gives, by its currency: ISO 4217, in upper case.
type Rates map[string]Rate

// validate accepts no rates at all.
func (r Rates) validate() error {
	for _, code := range slices.Sorted(maps.Keys(r)) {
		if err := r[code].check(code); err != nil {
			return err
		}
	}
	return nil
}

func (r Rate) check(code string) error {
	if err := CheckAmount(code, r.Amount); err != nil {
		return fmt.Errorf("amount %w", err)
	}
	if r.Credits < 1 || r.Credits > MaxCredits {
		return fmt.Errorf("credits must be between 1 and %d", MaxCredits)
	}
	return nil
}

// decimals are how many digits follow the point in a currency's amounts, if that is not
// two (ISO 4217).
var decimals = map[string]int{
	"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0,
	"UGX": 0, "UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
	"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
}

// ParseMoney reads an amount as people write it in the currency, such as 5.00 for USD and
// 500 for JPY, into minor units. All digits behind the point must be there: 5 could
// otherwise be five dollars or five cents.
func ParseMoney(text, code string) (minor int64, err error) {
	if !currency.MatchString(code) {
		return 0, fmt.Errorf("currency %q must be three upper-case letters, such as USD", code)
	}
	digits, known := decimals[code]
	if !known {
		digits = 2
	}
	whole, part, pointed := strings.Cut(text, ".")
	example := "500"
	if digits > 0 {
		example = "5." + strings.Repeat("0", digits)
	}
	if pointed != (digits > 0) || len(part) != digits || whole == "" || strings.Trim(whole+part, "0123456789") != "" {
		return 0, fmt.Errorf("%q is not written as an amount in %s; write it like %s", text, code, example)
	}
	minor, err = strconv.ParseInt(whole+part, 10, 64)
	if err != nil || minor < 1 || minor > MaxAmount {
		return 0, errors.New("must be more than nothing, and at most " + fmt.Sprint(MaxAmount) + " minor units")
	}
	return minor, nil
}
