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
	// Memory is how many bytes all bodies may take at once: those that arrive and
	// those that are still needed. Each one that arrives counts bodyOverhead more.
	// Default: 8 MiB.
	Memory int64
	// Time is how long a body may take from the first wait for it to its last
	// byte. Default: 10 seconds.
	Time time.Duration
}

const (
	defaultBodyMemory = 8 << 20
	defaultBodyTime   = 10 * time.Second
)

// bodyOverhead is what a request that waits for its body costs beside the body: the
// stack of its goroutine, the connection's buffers. A body of one byte that never
// ends is not cheap.
const bodyOverhead = 32 << 10

// heavyShare is the part of the memory, one in so many, up to which a client's
// arriving bodies are left alone while others can give way.
const heavyShare = 8

// Bodies is the bound for all bodies that are read. Every [API] of a process shares
// one. It may be used by many goroutines at once.
//
// When there is no room, the newest body wins and an older one is cut off: the oldest
// of a client that holds more than an eighth of the memory; if there is none, the
// oldest of all. An honest body arrives within milliseconds of its headers, and an
// attacker's is there to stay. So whoever holds many slow bodies open loses them, and a
// genuine webhook gets through, even if it comes from the attacker's own address. Bodies
// that have arrived are never cut off.
type Bodies struct {
	limits BodyLimits

	mu       sync.Mutex
	held     int64      // bytes, at most limits.Memory
	arriving []*arrival // the oldest first
	shares   map[netip.Prefix]*share
}

// share is what one client has arriving.
type share struct {
	client netip.Prefix
	held   int64 // bytes
	bodies int
}

// arrival is one body. Everything in it is guarded by the mutex of its Bodies.
type arrival struct {
	all   *Bodies
	share *share
	held  int64  // bytes
	stop  func() // makes the read under way fail; called under the mutex
	cut   bool   // it was cut off and holds nothing
}

// NewBodies makes a bound.
func NewBodies(limits BodyLimits) *Bodies {
	if limits.Memory == 0 {
		limits.Memory = defaultBodyMemory
	}
	if limits.Time == 0 {
		limits.Time = defaultBodyTime
	}
	return &Bodies{limits: limits, shares: make(map[netip.Prefix]*share)}
}

// begin announces a body of the client. stop may be called until ended was.
func (b *Bodies) begin(client netip.Prefix, stop func()) *arrival {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.shares[client]
	if s == nil {
		s = &share{client: client}
		b.shares[client] = s
	}
	s.bodies++
	a := &arrival{all: b, share: s, stop: stop}
	b.arriving = append(b.arriving, a)
	b.reserve(a, bodyOverhead)
	return a
}

// grow reserves n more bytes for an arriving body. It returns false when the body is
// cut off: because others need the room, or because those that have arrived take it all.
func (a *arrival) grow(n int64) bool {
	a.all.mu.Lock()
	defer a.all.mu.Unlock()
	return a.all.reserve(a, n)
}

// reserve cuts off others until there is room, a itself if it is its turn.
func (b *Bodies) reserve(a *arrival, n int64) bool {
	for !a.cut && b.held+n > b.limits.Memory {
		victim := b.victim()
		b.drop(victim)
		victim.cut = true
		victim.stop()
	}
	if a.cut {
		return false
	}
	a.held += n
	a.share.held += n
	b.held += n
	return true
}

// victim is the body that gives way. There is one, because whoever asks is arriving.
func (b *Bodies) victim() *arrival {
	for _, a := range b.arriving {
		if a.share.held > b.limits.Memory/heavyShare {
			return a
		}
	}
	return b.arriving[0]
}

// drop ends an arrival; what it held is free.
func (b *Bodies) drop(a *arrival) {
	i := slices.Index(b.arriving, a)
	b.arriving = slices.Delete(b.arriving, i, i+1)
	b.held -= a.held
	a.share.held -= a.held
	if a.share.bodies--; a.share.bodies == 0 {
		delete(b.shares, a.share.client)
	}
}

// ended is told that the body is not read any more. What has arrived keeps the bytes
// of its buffer until release is called; cut says that it was cut off.
func (a *arrival) ended(kept int64) (release func(), cut bool) {
	b := a.all
	b.mu.Lock()
	defer b.mu.Unlock()
	if a.cut {
		return func() {}, true // its bytes are somebody else's by now
	}
	b.drop(a)
	b.held += kept
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.held -= kept
	}, false
}

// clientOf names whoever sent a request, for shares. A network of 64 bits is one client in
// IPv6, because that is the least that one customer of a provider gets.
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
	client, _ := addr.Prefix(bits) // of no address: the zero Prefix, which all of them share
	return client
}
