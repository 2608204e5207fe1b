package config

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MetadataField is a value that goes along with a checkout into Dodo's metadata, and
// comes back with its payment: where a customer came from, for example.
type MetadataField struct {
	// The name at Dodo: up to 40 letters, digits, `-` and `_`, not beginning with
	// `dodogate_`. Required.
	Name string `json:"name"`

	// Text with placeholders, filled in for each checkout. What is longer than 500
	// characters is cut. It wins over what the checkout's body says. Default: only the
	// body says it.
	Value string `json:"value,omitempty"`
}

// The limits of Dodo's metadata (FACTS 4). An object has at most 50 pairs, and some of
// them are our own.
const (
	MaxMetadataFields  = 40
	maxMetadataValue   = 500 // characters
	ownMetadataPrefix  = "dodogate_"
	metadataNameNeeded = "up to 40 letters, digits, - and _"
)

var metadataName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`)

// CheckMetadata refuses fields that Dodo would not take, or that would be taken for our own.
func CheckMetadata(fields []MetadataField) error {
	if len(fields) > MaxMetadataFields {
		return fmt.Errorf("checkout_metadata: at most %d names, not %d", MaxMetadataFields, len(fields))
	}
	seen := make(map[string]bool, len(fields))
	for _, f := range fields {
		switch {
		case strings.Contains(f.Name, "{"):
			return fmt.Errorf("checkout_metadata takes a name first and its placeholder second: %q is no name", f.Name)
		case !metadataName.MatchString(f.Name):
			return fmt.Errorf("checkout_metadata %q: a name has %s", f.Name, metadataNameNeeded)
		case strings.HasPrefix(strings.ToLower(f.Name), ownMetadataPrefix):
			return fmt.Errorf("checkout_metadata %q: names that begin with %s are dodogate's own", f.Name, ownMetadataPrefix)
		case seen[f.Name]:
			return fmt.Errorf("checkout_metadata names %s twice", f.Name)
		}
		seen[f.Name] = true
	}
	return nil
}

// MetadataValue is text as Dodo takes it: valid, without control characters, and cut to
// Dodo's length.
func MetadataValue(text string) string {
	text = strings.ToValidUTF8(text, "")
	text = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return -1
		}
		return c
	}, text)
	if utf8.RuneCountInString(text) <= maxMetadataValue {
		return text
	}
	return string([]rune(text)[:maxMetadataValue])
}
