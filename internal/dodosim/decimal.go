package dodosim

import (
	"encoding/json"
	"math/big"
	"regexp"
	"strings"
)

// decimal is an exact amount of credits, text in JSON (FACTS 1.8). It is immutable.
type decimal struct{ r *big.Rat }

// maxPlaces is the largest number of decimal places of a credit entitlement.
const maxPlaces = 10

// decimalForm allows an integer part below 10^10.
var decimalForm = regexp.MustCompile(`^[0-9]{1,10}(\.[0-9]{1,10})?$`)

func zero() decimal { return decimal{new(big.Rat)} }

func whole(n int64) decimal { return decimal{new(big.Rat).SetInt64(n)} }

// parseDecimal reads an amount with at most places decimal places.
func parseDecimal[text ~string](written text, places int) (decimal, bool) {
	number := string(written)
	_, fraction, _ := strings.Cut(number, ".")
	if !decimalForm.MatchString(number) || len(fraction) > places {
		return zero(), false
	}
	r, ok := new(big.Rat).SetString(number)
	return decimal{r}, ok
}

func (d decimal) add(other decimal) decimal { return decimal{new(big.Rat).Add(d.r, other.r)} }
func (d decimal) sub(other decimal) decimal { return decimal{new(big.Rat).Sub(d.r, other.r)} }
func (d decimal) times(n int64) decimal     { return decimal{new(big.Rat).Mul(d.r, whole(n).r)} }
func (d decimal) less(other decimal) bool   { return d.r.Cmp(other.r) < 0 }
func (d decimal) positive() bool            { return d.r.Sign() > 0 }

// multiply is exact.
func (d decimal) multiply(other decimal) decimal { return decimal{new(big.Rat).Mul(d.r, other.r)} }

// dividedBy divides; other must not be zero.
func (d decimal) dividedBy(other decimal) decimal { return decimal{new(big.Rat).Quo(d.r, other.r)} }

// floor is the amount without its fraction. No amount is negative.
func (d decimal) floor() int64 { return new(big.Int).Quo(d.r.Num(), d.r.Denom()).Int64() }

// share is a percentage, truncated to a number of decimal places.
func (d decimal) share(percent, places int) decimal {
	return d.multiply(whole(int64(percent))).dividedBy(whole(100)).truncate(places)
}

// truncate drops further decimal places.
func (d decimal) truncate(places int) decimal {
	scale := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil))
	scaled := new(big.Rat).Mul(d.r, scale)
	return decimal{new(big.Rat).Quo(new(big.Rat).SetInt(new(big.Int).Quo(scaled.Num(), scaled.Denom())), scale)}
}

func (d decimal) min(other decimal) decimal {
	if other.less(d) {
		return other
	}
	return d
}

func (d decimal) String() string {
	text := d.r.FloatString(maxPlaces)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

// MarshalJSON writes the amount as text.
func (d decimal) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }
