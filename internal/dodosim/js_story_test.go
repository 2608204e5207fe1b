package dodosim_test

import (
	"bufio"
	"encoding/json"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// wish is what story.mjs asks others to do.
type wish struct {
	Do      string
	Session string
	Card    string
	Payment string
	Dispute string
	Days    int
	Done    int
}

// TestJavaScriptStory is the whole life of a shop by Dodo's npm SDK, with only the base URL
// changed: the script calls the API, takes the webhooks, and has each answer and each event
// compared with the types that the SDK declares. The test is its customers, their bank and
// the time.
func TestJavaScriptStory(t *testing.T) {
	shop := department(t, 0)
	first := shop.ask("GET", "/webhooks", "")["data"].([]any)[0].(map[string]any)["id"].(string)
	shop.ask("DELETE", "/webhooks/"+first, "") // the script makes one of its own
	script, input, output := startNode(t, "story.mjs", shop.url, key)
	lines := bufio.NewScanner(output)
	done := 0
	for lines.Scan() {
		var w wish
		if err := json.Unmarshal(lines.Bytes(), &w); err != nil {
			t.Errorf("the script printed %s", lines.Bytes())
			break
		}
		if w.Done > 0 {
			done = w.Done
			continue
		}
		reply := shop.grant(w)
		shop.flush()
		if err := json.NewEncoder(input).Encode(reply); err != nil {
			t.Error(err)
			break
		}
	}
	_ = input.Close()
	if err := script.wait(); err != nil {
		t.Fatal(err)
	}
	if done < 150 {
		t.Error("compared only", done, "answers and events")
	}
	t.Logf("%d answers and events are of the types that the SDK declares", done)
}

// grant does what the script cannot, and returns what it wants to know of it.
func (s *shop) grant(w wish) map[string]string {
	s.t.Helper()
	switch w.Do {
	case "pay":
		if w.Card == "" {
			w.Card = dodosim.CardVisa
		}
		made, err := s.sim.Pay(w.Session, w.Card)
		if err != nil {
			s.t.Error(err)
		}
		return map[string]string{"payment_id": made.PaymentID, "subscription_id": made.SubscriptionID, "status": string(made.Status)}
	case "advance":
		s.sim.Advance(time.Duration(w.Days) * day)
	case "dispute":
		return map[string]string{"dispute_id": s.dispute(w.Payment)}
	case "lose":
		s.decide(w.Dispute, dodosim.DisputeLost)
	case "flush":
	default:
		s.t.Error("the script wants", w.Do)
	}
	return map[string]string{}
}
