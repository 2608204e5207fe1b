package entitlement

import (
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendJSON appends what encoding/json writes of the record, byte for byte; a payment
// that nothing has happened to, as most are, in a fraction of the time. Whoever compares
// records as text relies on that.
func (r Record) AppendJSON(b []byte) ([]byte, error) {
	e := encoder{text: b}
	if !r.Subscription.IsZero() || r.Feature != (Feature{}) || !r.Import.IsZero() || !r.Settled.IsZero() || r.Payment.Status == "" || len(r.Terms) > 1 ||
		len(r.Payment.Refunds) > 0 || len(r.Payment.Disputes) > 0 {
		e.odd = true
	} else {
		e.record(r)
	}
	return e.orAll(b, r)
}

// AppendJSON is [Record.AppendJSON] for a standing.
func (s Standing) AppendJSON(b []byte) ([]byte, error) {
	e := encoder{text: b, odd: s.Renewal != nil || s.Next != nil || s.Feature != "" || s.Seats != 0}
	if !e.odd {
		e.standing(s)
	}
	return e.orAll(b, s)
}

// AppendTerms appends what encoding/json writes of terms by product; of one product's in a
// fraction of the time.
func AppendTerms(b []byte, terms map[string]Terms) ([]byte, error) {
	e := encoder{text: b, odd: len(terms) != 1}
	for product, t := range terms {
		e.raw(`{`)
		e.quote(product)
		e.raw(`:`)
		e.terms(t)
		e.raw(`}`)
	}
	return e.orAll(b, terms)
}

// encoder writes JSON with its fields in order.
type encoder struct {
	text []byte
	odd  bool // there is something that is not written here
}

// orAll is what was written, or else what encoding/json writes behind before.
func (e *encoder) orAll(before []byte, value any) ([]byte, error) {
	if !e.odd {
		return e.text, nil
	}
	all, err := json.Marshal(value)
	return append(before, all...), err
}

func (e *encoder) record(r Record) {
	p := r.Payment
	e.raw(`{"payment":{"status":`)
	e.quote(string(p.Status))
	e.number(`,"total":`, p.Total)
	e.number(`,"tax":`, p.Tax)
	e.word(`,"currency":`, p.Currency)
	for i, line := range p.Cart {
		before := `,{"product_id":`
		if i == 0 {
			before = `,"cart":[{"product_id":`
		}
		e.raw(before)
		e.quote(line.ProductID)
		e.raw(`,"quantity":`)
		e.text = strconv.AppendInt(e.text, line.Quantity, 10)
		e.raw(`}`)
	}
	if len(p.Cart) > 0 {
		e.raw(`]`)
	}
	e.word(`,"subscription":`, p.Subscription)
	if !p.CreatedAt.IsZero() {
		e.time(`,"created_at":`, p.CreatedAt)
	}
	e.flag(`,"method_only":true`, p.MethodOnly)
	e.flag(`,"refunded_fully":true`, p.RefundedFully)
	e.raw(`}`)
	for product, t := range r.Terms { // one, if any
		e.raw(`,"terms":{`)
		e.quote(product)
		e.raw(`:`)
		e.terms(t)
		e.raw(`}`)
	}
	e.raw(`}`)
}

func (e *encoder) terms(t Terms) {
	first := len(e.text)
	e.number(`,"credits":`, t.Credits)
	e.number(`,"credits_expire":`, int64(t.CreditsExpire))
	e.flag(`,"credits_stay":true`, t.CreditsStay)
	e.flag(`,"credits_monthly":true`, t.CreditsMonthly)
	e.word(`,"plan":`, t.Plan)
	e.number(`,"lasts":`, int64(t.Lasts))
	e.odd = e.odd || len(t.MinAmount) > 0 || t.Feature != "" || t.Seats != 0 || len(t.OnCharge) > 0
	e.open(first)
	e.raw(`}`)
}

func (e *encoder) standing(s Standing) {
	first := len(e.text)
	e.flag(`,"paid":true`, s.Paid)
	if !s.PaidAt.IsZero() {
		e.time(`,"paid_at":`, s.PaidAt)
	}
	for i, p := range s.Passes {
		before := `,{"plan":`
		if i == 0 {
			before = `,"passes":[{"plan":`
		}
		e.raw(before)
		e.quote(p.Plan)
		e.time(`,"paid_at":`, p.PaidAt)
		e.number(`,"lasts":`, int64(p.Lasts))
		e.raw(`}`)
	}
	if len(s.Passes) > 0 {
		e.raw(`]`)
	}
	e.open(first)
	e.raw(`}`)
}

// open puts the brace of an object where the comma before its first field is.
func (e *encoder) open(first int) {
	if first == len(e.text) {
		e.raw(`{`)
		return
	}
	e.text[first] = '{'
}

func (e *encoder) raw(text string) { e.text = append(e.text, text...) }

// number is a field that is left out when it is 0.
func (e *encoder) number(name string, n int64) {
	if n != 0 {
		e.raw(name)
		e.text = strconv.AppendInt(e.text, n, 10)
	}
}

// word is a field that is left out when it is empty.
func (e *encoder) word(name, text string) {
	if text != "" {
		e.raw(name)
		e.quote(text)
	}
}

func (e *encoder) flag(field string, set bool) {
	if set {
		e.raw(field)
	}
}

// quote writes text in which encoding/json escapes nothing.
func (e *encoder) quote(text string) {
	for i := range len(text) {
		switch c := text[i]; {
		case c < ' ', c >= utf8.RuneSelf, c == '"', c == '\\', c == '<', c == '>', c == '&':
			e.odd = true
		}
	}
	e.text = append(append(append(e.text, '"'), text...), '"')
}

func (e *encoder) time(name string, t time.Time) {
	e.raw(name)
	e.raw(`"`)
	var err error
	if e.text, err = t.AppendText(e.text); err != nil {
		e.odd = true
	}
	e.raw(`"`)
}
