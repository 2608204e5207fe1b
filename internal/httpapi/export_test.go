package httpapi

import "github.com/dodogate/dodogate/internal/gateway"

// ReadJSON reads an object with the fields text and number, for the fuzz target.
func ReadJSON(body []byte) (text string, number int64, err error) {
	err = fields{"text": &text, "number": &number}.readJSON(body)
	return text, number, err
}

// Money writes an amount of minor units for people.
func Money(minor int64, currency string) string { return gateway.Money(minor, currency) }

// RememberedRefusals are how many answers of [API.Refuse] are remembered, and their bytes.
func (a *API) RememberedRefusals() (answers, bytes int) {
	a.refusalCache.CleanUp()
	for _, answer := range a.refusalCache.All() {
		answers++
		bytes += len(answer.body)
	}
	return answers, bytes
}

// Held is how many bytes all bodies take, and how many bodies arrive.
func (b *Bodies) Held() (bytes int64, arriving int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held, len(b.arriving)
}

// BodyCost is what a body takes that has sent nothing yet.
const BodyCost = bodyOverhead + blockSize
