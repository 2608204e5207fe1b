package dodo

import (
	"bytes"
	"encoding/json"
	"strings"
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
	if checkJSON(body) != nil {
		return []byte("{}")
	}
	r := redaction{body: body, dec: json.NewDecoder(bytes.NewReader(body))}
	r.dec.UseNumber()
	r.value(false)
	if r.err != nil {
		return []byte("{}")
	}
	r.out.Write(body[r.copied:])
	return r.out.Bytes()
}

// redaction is a walk through a body.
type redaction struct {
	body   []byte
	dec    *json.Decoder
	out    bytes.Buffer
	copied int // how much of body is in out
	err    error
}

// value walks through the value that comes next. Of a customer, only the id stays.
func (r *redaction) value(customer bool) {
	switch r.token() {
	case json.Delim('['):
		for r.more() {
			r.value(false)
		}
		r.token()
	case json.Delim('{'):
		for r.more() {
			name, _ := r.token().(string)
			r.member(strings.ToLower(name), customer)
		}
		r.token()
	}
}

// member walks through the value of a field.
func (r *redaction) member(name string, ofCustomer bool) {
	switch {
	case personal[name], ofCustomer && name != "customer_id", name == "customer" && !r.atObject():
		r.drop()
	case name == "metadata":
		r.skip()
	default:
		r.value(name == "customer")
	}
}

// atObject reports whether the value that comes next is an object.
func (r *redaction) atObject() bool {
	return bytes.HasPrefix(bytes.TrimLeft(r.body[r.dec.InputOffset():], ": \t\r\n"), []byte("{"))
}

// drop leaves out the value that comes next.
func (r *redaction) drop() {
	length := r.skip()
	end := int(r.dec.InputOffset())
	r.out.Write(r.body[r.copied : end-length])
	r.out.WriteString("null")
	r.copied = end
}

// skip passes over the value that comes next and returns its length.
func (r *redaction) skip() int {
	var raw json.RawMessage
	r.note(r.dec.Decode(&raw))
	return len(raw)
}

func (r *redaction) token() json.Token {
	t, err := r.dec.Token()
	r.note(err)
	return t
}

func (r *redaction) more() bool { return r.err == nil && r.dec.More() }

func (r *redaction) note(err error) {
	if r.err == nil {
		r.err = err
	}
}
