package httpapi

import (
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// BodyLimits bound the bodies that are read. Zero values are the defaults.
type BodyLimits struct {
	// Memory is how many bytes all bodies may use together: those that arrive and those that
	// are still needed. Each arriving body counts bodyOverhead more. Default: 8 MiB.
	Memory int64
	// Time is how long a body may take from the first wait for it to its last byte. Default:
	// 10 seconds.
	Time time.Duration
}

const (
	defaultBodyMemory = 8 << 20
	defaultBodyTime   = 10 * time.Second
)

// bodyOverhead is what a request that waits for its body costs in addition to the body: the
// stack of its goroutine, the connection's buffers. It makes a body of one byte that never
// ends count.
const bodyOverhead = 32 << 10

// fairShareDivisor: a client whose arriving bodies use at most 1/fairShareDivisor of the
// memory loses none while larger clients can.
const fairShareDivisor = 8

// Bodies bounds all bodies that are read. Every [API] of a process shares one. It is safe for
// concurrent use.
//
// If there is no room, the newest body wins and an older one is evicted: the oldest of a
// client that uses more than an eighth of the memory; if there is none, the oldest of all. An
// honest body arrives within milliseconds of its headers, and an attacker's stays. So a client
// that keeps many slow bodies open loses them, and a genuine webhook gets through, even from
// the attacker's own address. Bodies that have arrived completely are never evicted.
type Bodies struct {
	limits BodyLimits

	mu       sync.Mutex
	held     int64      // bytes, at most limits.Memory
	arriving []*arrival // the oldest first
	shares   map[netip.Prefix]*clientShare
}

// clientShare is what one client has arriving.
type clientShare struct {
	client netip.Prefix
	held   int64 // bytes
	bodies int
}

// arrival is one body that is being read. All fields are guarded by the mutex of its Bodies.
type arrival struct {
	all     *Bodies
	share   *clientShare
	held    int64  // bytes
	stop    func() // makes the current read fail; called under the mutex
	evicted bool   // it was evicted and holds nothing
}

// NewBodies makes a bound with the given limits.
func NewBodies(limits BodyLimits) *Bodies {
	if limits.Memory == 0 {
		limits.Memory = defaultBodyMemory
	}
	if limits.Time == 0 {
		limits.Time = defaultBodyTime
	}
	return &Bodies{limits: limits, shares: make(map[netip.Prefix]*clientShare)}
}

// begin registers a body of the client. stop may be called until finish returns.
func (b *Bodies) begin(client netip.Prefix, stop func()) *arrival {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.shares[client]
	if s == nil {
		s = &clientShare{client: client}
		b.shares[client] = s
	}
	s.bodies++
	a := &arrival{all: b, share: s, stop: stop}
	b.arriving = append(b.arriving, a)
	b.reserve(a, bodyOverhead)
	return a
}

// grow reserves n more bytes for an arriving body. It returns false if the body is evicted,
// because others need the room or complete bodies use all of it.
func (a *arrival) grow(n int64) bool {
	a.all.mu.Lock()
	defer a.all.mu.Unlock()
	return a.all.reserve(a, n)
}

// reserve evicts bodies until there is room; a itself may be one of them.
func (b *Bodies) reserve(a *arrival, n int64) bool {
	for !a.evicted && b.held+n > b.limits.Memory {
		victim := b.victim()
		b.remove(victim)
		victim.evicted = true
		victim.stop()
	}
	if a.evicted {
		return false
	}
	a.held += n
	a.share.held += n
	b.held += n
	return true
}

// victim is the body to evict. There is always one, because the body that needs room is
// arriving itself.
func (b *Bodies) victim() *arrival {
	for _, a := range b.arriving {
		if a.share.held > b.limits.Memory/fairShareDivisor {
			return a
		}
	}
	return b.arriving[0]
}

// remove ends an arrival and frees its bytes.
func (b *Bodies) remove(a *arrival) {
	i := slices.Index(b.arriving, a)
	b.arriving = slices.Delete(b.arriving, i, i+1)
	b.held -= a.held
	a.share.held -= a.held
	if a.share.bodies--; a.share.bodies == 0 {
		delete(b.shares, a.share.client)
	}
}

// finish says that the body is not read any more. A complete body keeps the bytes of its
// buffer until release is called. evicted reports that it was evicted.
func (a *arrival) finish(kept int64) (release func(), cut bool) {
	b := a.all
	b.mu.Lock()
	defer b.mu.Unlock()
	if a.evicted {
		return func() {}, true // its bytes belong to another body by now
	}
	b.remove(a)
	b.held += kept
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.held -= kept
	}, false
}

// clientOf names the client of a request, for shares. In IPv6 a /64 network is one client,
// because that is the smallest that a provider gives to a customer.
func (a *API) clientOf(r *http.Request) netip.Prefix {
	addr, err := netip.ParseAddr(a.clientIP(r))
	if err != nil {
		peer, _ := netip.ParseAddrPort(r.RemoteAddr)
		addr = peer.Addr()
	}
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	client, _ := addr.Prefix(bits) // all clients without an address share the zero Prefix
	return client
}
