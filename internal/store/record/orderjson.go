package record

import (
	"bytes"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

// parseUsualOrder reads what Order writes of most orders, in a fraction of the time that
// encoding/json takes to find out where the fields are. ok is false for all other JSON:
// with another field or order of fields, white space, or text that is not plain.
func parseUsualOrder(b []byte) (o store.Order, ok bool) {
	c := cursor{rest: b}
	o.ID = c.text(`{"id":`)
	o.Account = c.text(`,"account":`)
	o.Product = c.text(`,"product":`)
	o.Quantity = c.number(`,"quantity":`)
	o.Terms = c.terms(`,"terms":`)
	o.ReturnTo = c.text(`,"return_to":`)
	o.Email = c.someText(`,"email":`)
	o.State = store.OrderState(c.text(`,"state":`))
	o.CreatedAt = c.time(`,"created_at":`)
	o.ExpiresAt = c.time(`,"expires_at":`)
	o.SessionID = c.someText(`,"session_id":`)
	o.CheckoutURL = c.someText(`,"checkout_url":`)
	o.PaymentID = c.someText(`,"payment_id":`)
	c.skip(`}`)
	return o, !c.lost && len(c.rest) == 0
}

// cursor reads JSON as encoding/json writes it: each method what stands behind a prefix.
type cursor struct {
	rest []byte
	lost bool // something else stood there
}

// next reports whether a prefix comes next, and passes it.
func (c *cursor) next(prefix string) bool {
	if c.lost || len(c.rest) < len(prefix) || string(c.rest[:len(prefix)]) != prefix {
		return false
	}
	c.rest = c.rest[len(prefix):]
	return true
}

func (c *cursor) skip(prefix string) { c.lost = !c.next(prefix) }

func (c *cursor) text(prefix string) string {
	if c.skip(prefix); c.lost {
		return ""
	}
	return c.quoted()
}

// someText is a text that may be left out.
func (c *cursor) someText(prefix string) string {
	if !c.next(prefix) {
		return ""
	}
	return c.quoted()
}

// quoted is a string without escapes, of ASCII.
func (c *cursor) quoted() string {
	c.skip(`"`)
	end := bytes.IndexByte(c.rest, '"')
	if c.lost || end < 0 {
		c.lost = true
		return ""
	}
	for _, b := range c.rest[:end] {
		if b < ' ' || b == '\\' || b >= utf8.RuneSelf {
			c.lost = true
			return ""
		}
	}
	text := string(c.rest[:end])
	c.rest = c.rest[end+1:]
	return text
}

func (c *cursor) number(prefix string) int64 {
	if c.skip(prefix); c.lost {
		return 0
	}
	return c.digits()
}

// digits are a whole number, not negative.
func (c *cursor) digits() int64 {
	end := 0
	for end < len(c.rest) && '0' <= c.rest[end] && c.rest[end] <= '9' {
		end++
	}
	if end > 1 && c.rest[0] == '0' {
		c.lost = true
		return 0
	}
	n, err := strconv.ParseInt(string(c.rest[:end]), 10, 64)
	c.lost, c.rest = c.lost || err != nil, c.rest[end:]
	return n
}

func (c *cursor) time(prefix string) (t time.Time) {
	text := c.text(prefix)
	if c.lost || t.UnmarshalText([]byte(text)) != nil {
		c.lost = true
	}
	return t
}

// terms are those of an order, by product.
func (c *cursor) terms(prefix string) map[string]entitlement.Terms {
	if c.skip(prefix); c.next("null") {
		return nil
	}
	all := make(map[string]entitlement.Terms)
	if c.skip(`{`); c.next(`}`) {
		return all
	}
	for !c.lost {
		product := c.quoted()
		c.skip(`:`)
		all[product] = c.oneTerms()
		if c.next(`}`) {
			break
		}
		c.skip(`,`)
	}
	return all
}

// oneTerms are fields that may all be left out.
func (c *cursor) oneTerms() (t entitlement.Terms) {
	c.skip(`{`)
	first := true
	has := func(name string) bool {
		before := c.rest
		if (first || c.next(`,`)) && c.next(name) {
			first = false
			return true
		}
		c.rest = before
		return false
	}
	if has(`"credits":`) {
		t.Credits = c.digits()
	}
	if has(`"credits_expire":`) {
		t.CreditsExpire = time.Duration(c.digits())
	}
	t.CreditsStay = has(`"credits_stay":true`)
	t.CreditsMonthly = has(`"credits_monthly":true`)
	if has(`"plan":`) {
		t.Plan = c.quoted()
	}
	if has(`"lasts":`) {
		t.Lasts = time.Duration(c.digits())
	}
	c.skip(`}`)
	return t
}
