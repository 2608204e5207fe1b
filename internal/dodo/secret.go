package dodo

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// minSecret is the least number of bytes in a key that must not be guessed. The
// Standard Webhooks specification wants 24 to 64; its Go library accepts none at
// all (RELIABILITY 0, finding 1).
const minSecret = 24

// parseSecret returns the key that a webhook secret stands for. Its errors say
// what is wrong without saying the secret.
func parseSecret(secret string) ([]byte, error) {
	secret = strings.TrimSpace(secret) // a secret read from a file ends in a newline
	text, prefixed := strings.CutPrefix(secret, "whsec_")
	if !prefixed {
		if err := foreignSecret(text); err != nil {
			return nil, err
		}
	}
	if text == "" {
		return nil, errors.New("empty")
	}
	// The decoder skips line breaks and is strict about padding. Other libraries
	// are not, so a secret that lost its "=" somewhere is accepted.
	bare := strings.TrimRight(text, "=")
	if strings.ContainsAny(bare, "\r\n") || len(text)-len(bare) > (4-len(bare)%4)%4 {
		return nil, errNotBase64
	}
	key, err := base64.RawStdEncoding.DecodeString(bare)
	if err != nil {
		return nil, errNotBase64 // not err: it quotes where the secret goes wrong
	}
	if len(key) < minSecret {
		return nil, fmt.Errorf("too short: %d bytes of key, at least %d are needed", len(key), minSecret)
	}
	return key, nil
}

var errNotBase64 = errors.New("not standard base64 after whsec_")

// foreignSecret names the kinds of key that are taken for a webhook secret.
func foreignSecret(secret string) error {
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
