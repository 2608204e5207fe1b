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

// memory is what was found out about credentials. It keeps digests of them, keyed with
// bytes of this process, so that nobody who sees the memory can use or guess one.
type memory struct {
	key     [sha256.Size]byte
	entries *otter.Cache[digest, *finding]
}

type digest [sha256.Size]byte

// finding is what became of one credential.
type finding struct {
	who   gateway.Identity
	err   error // instead
	until int64 // Unix milliseconds, which no date of a token overflows; it counts before that
	// gone is set when the key that signed the credential is no longer trusted; nil for
	// credentials that no key signed.
	gone *atomic.Bool
}

// maxMemory bounds what is remembered, in bytes.
const maxMemory = 32 << 20

func newMemory() *memory {
	m := &memory{entries: otter.Must(&otter.Options[digest, *finding]{
		MaximumWeight: maxMemory,
		Weigher: func(_ digest, f *finding) uint32 {
			const fixed = 256 // the entry itself and the cache's own
			return uint32(fixed + len(f.who.Account) + len(f.who.Email) + len(f.who.Name))
		},
	})}
	_, _ = rand.Read(m.key[:]) // never fails, see crypto/rand
	return m
}

// digest is the digest of a credential in several parts. The usual ones are put together
// on the stack.
func (m *memory) digest(parts ...string) digest {
	var room [2 << 10]byte
	text := append(room[:0], m.key[:]...)
	for _, part := range parts {
		text = binary.BigEndian.AppendUint32(text, uint32(len(part)))
		text = append(text, part...)
	}
	return sha256.Sum256(text)
}

// find is what counts of a credential now.
func (m *memory) find(d digest, now time.Time) (*finding, bool) {
	f, ok := m.entries.GetIfPresent(d)
	if !ok {
		return nil, false
	}
	if now.UnixMilli() >= f.until || f.gone != nil && f.gone.Load() {
		m.entries.Invalidate(d)
		return nil, false
	}
	return f, true
}

func (m *memory) keep(d digest, f *finding) { m.entries.Set(d, f) }
