package dodosim

import (
	"bytes"
	"encoding/json"
	"strings"
)

// withQuirks is a webhook's body with the schema violations that real ones were seen to have
// (FACTS 3.9): credits as numbers, not text; and grants with a status in lower case, without
// integration_type, with null for metadata, and with an unknown field. The order of fields
// changes each time, because it has no meaning.
func withQuirks(eventType string, body []byte) ([]byte, error) {
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

// asNumbers turns decimals that are text into numbers.
func asNumbers(fields map[string]any, names ...string) {
	for _, name := range names {
		if text, ok := fields[name].(string); ok {
			fields[name] = json.Number(text)
		}
	}
}
