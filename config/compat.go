package config

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
)

// CompatStyle names a hand-written integration.
type CompatStyle string

// The integrations whose front ends keep working.
const (
	Express CompatStyle = "express"
	FastAPI CompatStyle = "fastapi"
)

// Compat keeps the front end of a hand-written integration working: it serves the routes
// that the front end calls, and lands customers where the front end shows its banner.
type Compat struct {
	// Whose routes are served: `express` or `fastapi`. Required.
	Style CompatStyle `json:"style,omitempty"`

	// The query parameter of the landing place that says what became of a payment.
	// Default: `payment`.
	Parameter string `json:"parameter,omitempty"`

	// What the parameter says after a payment. Default: `success`.
	Success string `json:"success,omitempty"`

	// What it says when the customer left the checkout. Default: `cancelled`.
	Cancelled string `json:"cancelled,omitempty"`

	// What it says when the payment failed. Default: `failed`.
	Failed string `json:"failed,omitempty"`

	// What it says while the payment is not decided yet. Default: the customer waits on
	// the page of GET /return until it is.
	Processing string `json:"processing,omitempty"`
}

var landingWord = regexp.MustCompile(`^[A-Za-z0-9_.~-]{1,64}$`)

// Validate refuses what is no setting.
func (c *Compat) Validate() error {
	if c.Style != Express && c.Style != FastAPI {
		return fmt.Errorf("compat must be %s or %s, not '%s'", Express, FastAPI, c.Style)
	}
	words := make(map[string]bool)
	for _, setting := range []struct{ name, word string }{
		{"success", c.WordOfSuccess()}, {"cancelled", c.WordOfCancelled()}, {"failed", c.WordOfFailed()}, {"processing", c.Processing},
	} {
		if setting.word == "" {
			continue
		}
		if !landingWord.MatchString(setting.word) {
			return fmt.Errorf("compat: %s must be a plain word, not '%s'", setting.name, setting.word)
		}
		if setting.name != "processing" && words[setting.word] {
			return fmt.Errorf("compat: '%s' would say two things", setting.word)
		}
		words[setting.word] = true
	}
	if !landingWord.MatchString(c.LandingParameter()) {
		return errors.New("compat: parameter must be a plain word")
	}
	return nil
}

// LandingParameter is the query parameter with its default.
func (c *Compat) LandingParameter() string { return cmp.Or(c.Parameter, "payment") }

// WordOfSuccess is what the parameter says after a payment.
func (c *Compat) WordOfSuccess() string { return cmp.Or(c.Success, "success") }

// WordOfCancelled is what it says when the customer left the checkout.
func (c *Compat) WordOfCancelled() string { return cmp.Or(c.Cancelled, "cancelled") }

// WordOfFailed is what it says when the payment failed.
func (c *Compat) WordOfFailed() string { return cmp.Or(c.Failed, "failed") }
