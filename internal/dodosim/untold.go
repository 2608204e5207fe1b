package dodosim

import (
	"bytes"
	"encoding/json"
)

// untold is a body without the fields that [Behavior] leaves out of payments and of what
// belongs to one: a refund, a dispute, an item of their lists.
func (b Behavior) untold(body []byte) ([]byte, error) {
	var fields []string
	if b.NoCurrency {
		fields = append(fields, "currency", "settlement_currency")
	}
	if b.NoSessionIDs {
		fields = append(fields, "checkout_session_id")
	}
	if fields == nil {
		return body, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var said any
	if err := decoder.Decode(&said); err != nil {
		return nil, err
	}
	leaveOut(said, fields)
	return json.Marshal(said)
}

// leaveOut removes fields from all objects that name a payment. It changes said.
func leaveOut(said any, fields []string) {
	switch said := said.(type) {
	case map[string]any:
		if _, ofPayment := said["payment_id"]; ofPayment {
			for _, name := range fields {
				delete(said, name)
			}
		}
		for _, value := range said {
			leaveOut(value, fields)
		}
	case []any:
		for _, value := range said {
			leaveOut(value, fields)
		}
	}
}
