package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/dodogate/dodogate/internal/gateway"
)

// verdictCache keeps verdicts about credentials. Its keys are digests that depend on random
// bytes of this process, so that a dump of the memory reveals no credential and nobody can
// test guesses.
type verdictCache struct {
	key     [sha256.Size]byte
	entries *otter.Cache[digest, *verdict]
}

type digest [sha256.Size]byte

// verdict is the result of checking one credential.
type verdict struct {
	who   gateway.Identity
	err   error // set instead of who
	until int64 // end of validity in Unix milliseconds, which no date of a token overflows
	// untrusted is set when the key that signed the credential is no longer trusted; nil for
	// credentials that no key signed.
	untrusted *atomic.Bool
}

// maxCacheBytes bounds the cache.
const maxCacheBytes = 32 << 20

func newVerdictCache() *verdictCache {
	m := &verdictCache{entries: otter.Must(&otter.Options[digest, *verdict]{
		MaximumWeight: maxCacheBytes,
		Weigher: func(_ digest, v *verdict) uint32 {
			const fixed = 256 // the entry and the cache's overhead
			return uint32(fixed + len(v.who.Account) + len(v.who.Email) + len(v.who.Name))
		},
	})}
	_, _ = rand.Read(m.key[:]) // never fails, see crypto/rand
	return m
}

// digest hashes a credential of several parts. It uses the stack for credentials of usual
// size.
func (m *verdictCache) digest(parts ...string) digest {
	var buf [2 << 10]byte
	text := append(buf[:0], m.key[:]...)
	for _, part := range parts {
		text = binary.BigEndian.AppendUint32(text, uint32(len(part)))
		text = append(text, part...)
	}
	return sha256.Sum256(text)
}

// get returns the verdict that is valid now.
func (m *verdictCache) get(d digest, now time.Time) (*verdict, bool) {
	f, ok := m.entries.GetIfPresent(d)
	if !ok {
		return nil, false
	}
	if now.UnixMilli() >= f.until || f.untrusted != nil && f.untrusted.Load() {
		m.entries.Invalidate(d)
		return nil, false
	}
	return f, true
}

func (m *verdictCache) put(d digest, f *verdict) { m.entries.Set(d, f) }
