package dodo

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// personal are the fields whose values say who somebody is, where they live, how
// they pay or what they wrote, or open a page or a file that does (FACTS 2.5, 2.7,
// 2.9, 3.8). The last ones are not in Dodo's payloads now. [Decode] reads none of
// them.
var personal = map[string]bool{
	"billing": true, "card_holder_name": true, "card_last_four": true, "custom_field_responses": true,
	"customer_business_name": true, "tax_id": true, "external_id": true,
	// Free text. What kind of thing happened is in the codes next to it.
	"cancellation_comment": true, "reason": true, "remarks": true, "error_message": true,
	// Links that need no login, and what was bought itself.
	"invoice_url": true, "payment_link": true, "oauth_url": true, "digital_product_delivery": true,
	"key": true, "license_key": true,
	"address": true, "customer_email": true, "customer_name": true, "email": true, "ip": true, "ip_address": true,
	"phone": true, "phone_number": true, "shipping": true, "user_agent": true,
}

// Redact is the body of a webhook without personal data: their values are null,
// and every other byte is as it was. All that [Decode] reads stays, but for the
// customer's e-mail address; so do the ids, and the metadata of the object, where
// our proof is. What is not one JSON object becomes an empty one.
func Redact(body []byte) []byte {
	if parse(body, &struct{}{}) != nil {
		return []byte("{}")
	}
	r := redaction{body: body, dec: jsontext.NewDecoder(bytes.NewBuffer(body), asWritten)}
	if err := r.value(false); err != nil {
		return []byte("{}")
	}
	r.out.Write(body[r.copied:])
	return r.out.Bytes()
}

// redaction is a walk through a body.
type redaction struct {
	body   []byte
	dec    *jsontext.Decoder
	out    bytes.Buffer
	copied int // how much of body is in out
}

// value walks through the value that comes next. Of a customer, only the id stays.
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

// member walks through a field.
func (r *redaction) member(ofCustomer bool) error {
	token, err := r.dec.ReadToken()
	if err != nil {
		return err
	}
	switch name := strings.ToLower(token.String()); {
	case personal[name], ofCustomer && name != "customer_id", name == "customer" && r.dec.PeekKind() != '{':
		return r.drop()
	case name == "metadata":
		return r.dec.SkipValue()
	default:
		return r.value(name == "customer")
	}
}

// drop leaves out the value that comes next.
func (r *redaction) drop() error {
	value, err := r.dec.ReadValue()
	end := int(r.dec.InputOffset())
	r.out.Write(r.body[r.copied : end-len(value)])
	r.out.WriteString("null")
	r.copied = end
	return err
}
