package dodo

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// personalFields are the fields whose values say who somebody is, where they live, how they
// pay or what they wrote, or that open a page or a file with such data (FACTS 2.5, 2.7, 2.9,
// 3.8). The ones in the last group are not in Dodo's payloads today. [Decode] reads none of
// these fields.
var personalFields = map[string]bool{
	"billing": true, "card_holder_name": true, "card_last_four": true, "custom_field_responses": true,
	"customer_business_name": true, "tax_id": true, "external_id": true,
	// Free text. The codes next to it say what happened.
	"cancellation_comment": true, "reason": true, "remarks": true, "error_message": true,
	// Links that need no login, and the delivered goods themselves.
	"invoice_url": true, "payment_link": true, "oauth_url": true, "digital_product_delivery": true,
	"key": true, "license_key": true,
	"address": true, "customer_email": true, "customer_name": true, "email": true, "ip": true, "ip_address": true,
	"phone": true, "phone_number": true, "shipping": true, "user_agent": true,
}

// Redact returns the body of a webhook without personal data: their values become null, and
// every other byte stays. Everything that [Decode] reads stays, except the customer's e-mail
// address; so do ids and the metadata of the object, with the order proof. A body that is not
// one JSON object becomes an empty one.
func Redact(body []byte) []byte {
	if parse(body, &struct{}{}) != nil {
		return []byte("{}")
	}
	r := redaction{body: body, dec: jsontext.NewDecoder(bytes.NewBuffer(body), lenientJSON)}
	if err := r.value(false); err != nil {
		return []byte("{}")
	}
	r.out.Write(body[r.copied:])
	return r.out.Bytes()
}

// redaction is one pass over a body.
type redaction struct {
	body   []byte
	dec    *jsontext.Decoder
	out    bytes.Buffer
	copied int // number of bytes of body that are in out
}

// value reads the next value. Of a customer, only the id stays.
func (r *redaction) value(customer bool) error {
	kind := r.dec.PeekKind()
	if kind != '{' && kind != '[' {
		return r.dec.SkipValue()
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return err
	}
	for next := r.dec.PeekKind(); next != '}' && next != ']'; next = r.dec.PeekKind() {
		var err error
		if kind == '{' {
			err = r.member(customer)
		} else {
			err = r.value(false)
		}
		if err != nil {
			return err
		}
	}
	_, err := r.dec.ReadToken()
	return err
}

// member reads the next member of an object.
func (r *redaction) member(ofCustomer bool) error {
	token, err := r.dec.ReadToken()
	if err != nil {
		return err
	}
	switch name := strings.ToLower(token.String()); {
	case personalFields[name], ofCustomer && name != "customer_id", name == "customer" && r.dec.PeekKind() != '{':
		return r.redactNext()
	case name == "metadata":
		return r.dec.SkipValue()
	default:
		return r.value(name == "customer")
	}
}

// redactNext replaces the next value by null.
func (r *redaction) redactNext() error {
	value, err := r.dec.ReadValue()
	end := int(r.dec.InputOffset())
	r.out.Write(r.body[r.copied : end-len(value)])
	r.out.WriteString("null")
	r.copied = end
	return err
}
