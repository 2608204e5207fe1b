package dodosim

import (
	"bytes"
	"encoding/json"
	"strings"
)

// quirked is a webhook's body with what real ones have been seen to break their schema by
// (FACTS 3.9): credits as numbers, not text; and grants with their status in lower case,
// without integration_type, with null for metadata, and with a field that nobody knows. The
// bytes are others each time, too: the order of fields means nothing.
func quirked(eventType string, body []byte) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var envelope map[string]any
	if err := decoder.Decode(&envelope); err != nil {
		return nil, err
	}
	data, _ := envelope["data"].(map[string]any)
	switch group, _, _ := strings.Cut(eventType, "."); {
	case group == "credit" && eventType != "credit.balance_low":
		asNumbers(data, "amount", "balance_before", "balance_after", "overage_before", "overage_after")
	case group == "subscription":
		cart, _ := data["credit_entitlement_cart"].([]any)
		for _, item := range cart {
			if fields, ok := item.(map[string]any); ok {
				asNumbers(fields, "credits_amount", "remaining_balance", "overage_balance")
			}
		}
	case group == "entitlement_grant":
		status, _ := data["status"].(string)
		data["status"] = strings.ToLower(status)
		delete(data, "integration_type")
		data["metadata"], data["external_id"] = nil, ""
	}
	return json.Marshal(envelope)
}

// asNumbers turns decimals that are written as text into numbers.
func asNumbers(fields map[string]any, names ...string) {
	for _, name := range names {
		if text, ok := fields[name].(string); ok {
			fields[name] = json.Number(text)
		}
	}
}
