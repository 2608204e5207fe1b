package dodo

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// minSecret is the smallest number of bytes in a key. The Standard Webhooks specification
// requires 24 to 64; its Go library has no minimum (RELIABILITY 0, finding 1).
const minSecret = 24

// parseSecret returns the key of a webhook secret. Its errors say what is wrong without
// quoting the secret.
func parseSecret(secret string) ([]byte, error) {
	secret = strings.TrimSpace(secret) // a secret read from a file ends in a newline
	text, prefixed := strings.CutPrefix(secret, "whsec_")
	if !prefixed {
		if err := otherKeyKind(text); err != nil {
			return nil, err
		}
	}
	if text == "" {
		return nil, errors.New("empty")
	}
	// The decoder skips line breaks and is strict about padding. Other libraries are not, so
	// a secret without its "=" is accepted.
	bare := strings.TrimRight(text, "=")
	if strings.ContainsAny(bare, "\r\n") || len(text)-len(bare) > (4-len(bare)%4)%4 {
		return nil, errNotBase64
	}
	key, err := base64.RawStdEncoding.DecodeString(bare)
	if err != nil {
		return nil, errNotBase64 // not err, which reveals a position in the secret
	}
	if len(key) < minSecret {
		return nil, fmt.Errorf("too short: %d bytes of key, at least %d are needed", len(key), minSecret)
	}
	return key, nil
}

var errNotBase64 = errors.New("not standard base64 after whsec_")

// otherKeyKind names other kinds of key that are mistaken for a webhook secret.
func otherKeyKind(secret string) error {
	switch {
	case strings.HasPrefix(secret, "whpk_"), strings.HasPrefix(secret, "whsk_"):
		return errors.New("a v1a (ed25519) key; Dodo signs with a symmetric secret, whsec_…")
	case strings.HasPrefix(secret, "v1,"), strings.HasPrefix(secret, "v1a,"):
		return errors.New("a signature or a versioned secret; only whsec_… is wanted")
	case strings.EqualFold(secret[:min(len(secret), 6)], "whsec_"):
		return errors.New("the prefix whsec_ must be in lower case")
	default:
		return nil
	}
}
