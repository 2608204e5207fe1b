package ledger

import (
	"math/big"
	"strconv"
	"strings"
)

// Bounds of the decimal numbers that an app may write: bytes of the whole, and digits of
// its exponent.
const (
	maxDecimal  = 64
	maxExponent = 3
)

// decimal is a number from 0 up, exactly: digits times ten to the power of minus places.
type decimal struct {
	digits *big.Int
	places int64
}

// parseDecimal reads a number such as 12, 0.0034 or 1.2e-05, as programs write prices. A
// price has no sign, and no exponent above zero: those are written for what is no price.
func parseDecimal(text string) (decimal, bool) {
	if len(text) > maxDecimal {
		return decimal{}, false
	}
	number, exponent, hasExponent := strings.Cut(strings.ToLower(text), "e")
	whole, fraction, hasPoint := strings.Cut(number, ".")
	negative := strings.TrimPrefix(exponent, "-")
	if !isDigits(whole) || hasPoint && !isDigits(fraction) ||
		hasExponent && (negative == exponent || !isDigits(negative) || len(negative) > maxExponent) {
		return decimal{}, false
	}
	digits, ok := new(big.Int).SetString(whole+fraction, 10)
	if !ok {
		return decimal{}, false
	}
	places := int64(len(fraction))
	if hasExponent {
		n, err := strconv.ParseInt(negative, 10, 64)
		if err != nil {
			return decimal{}, false
		}
		places += n
	}
	return decimal{digits, places}, true
}

// times multiplies with a whole number. It returns a whole number, rounded up or down, and
// most if that is exceeded.
func (d decimal) times(factor int64, down bool, most int64) (n int64, capped bool) {
	product := new(big.Int).Mul(d.digits, big.NewInt(factor))
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(d.places), nil)
	product, rest := product.QuoRem(product, power, new(big.Int))
	if rest.Sign() > 0 && !down {
		product.Add(product, big.NewInt(1))
	}
	if product.Cmp(big.NewInt(most)) > 0 {
		return most, true
	}
	return product.Int64(), false
}

func isDigits(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(c rune) bool { return c < '0' || c > '9' })
}
