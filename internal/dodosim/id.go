package dodosim

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// businessOf is the business that an API key belongs to. It is the same after a restart, as at
// Dodo, so that a gateway that keeps its store recognizes it.
func businessOf(apiKey string) string {
	sum := sha256.Sum256([]byte("dodosim business\n" + apiKey))
	return "bus_" + hex.EncodeToString(sum[:10])
}

// newID makes an id that looks like Dodo's: the prefix and 21 base-62 characters, about 125
// bits (FACTS 1.8). It must be unguessable, because anybody who knows a session's id can open
// its page.
func newID(prefix string) string {
	const length = 21
	// Bytes from 248 up would favour the first characters of the alphabet.
	const fair = 256 / len(base62) * len(base62)
	id := append(make([]byte, 0, len(prefix)+length), prefix...)
	var random [2 * length]byte
	for {
		_, _ = rand.Read(random[:]) // never fails, and never reads less (crypto/rand)
		for _, b := range random {
			if int(b) >= fair {
				continue
			}
			id = append(id, base62[int(b)%len(base62)])
			if len(id) == len(prefix)+length {
				return string(id)
			}
		}
	}
}
