// Package bytecache remembers values as bytes, so that the garbage collector has nothing to follow:
// a million of them cost it as little as ten. The bytes are kept by freecache, which overwrites a
// value in place if it has not grown much.
//
// freecache allocates all its memory at once. A [Cache] begins with a small one instead, and moves
// to one of twice the size when values are about to be evicted, until it has the size that it may
// have.
package bytecache

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/coocood/freecache"
)

const (
	// smallest is the size of a cache that has only begun.
	smallest = 512 << 10
	// Least is the size that every cache may have. A value may take a thousandth of it.
	Least = 16 << 20
	// maxShare is the part of a table that freecache lets a value have.
	maxShare = 1024
	// checkEvery is how many changes are made before somebody looks whether the table is full.
	checkEvery = 64
)

// Cache is a cache of values by their keys. If it is full, values that were not used lately are
// evicted. Its methods may be called by many goroutines.
type Cache struct {
	most    atomic.Int64
	tables  atomic.Pointer[tables]
	changes atomic.Int64

	// mu is held shared by each change, and alone by a move of a few values to a larger table.
	mu      sync.RWMutex
	growing sync.WaitGroup
	closed  bool
}

// tables hold the values. While values are moved, a value is in the former table or in the current
// one; if it is in both, they are the same.
type tables struct {
	current, former *freecache.Cache // former is nil unless values are moved
	size            int
}

// New makes a cache of at most size bytes, or [Least].
func New(size int) *Cache {
	c := &Cache{}
	c.Resize(size)
	c.tables.Store(&tables{current: freecache.NewCache(smallest), size: smallest})
	return c
}

// Resize lets a cache have another size in bytes, or [Least]. What it has already, it keeps.
func (c *Cache) Resize(size int) { c.most.Store(int64(max(size, Least))) }

// mayHave is the size that it may have.
func (c *Cache) mayHave() int { return int(c.most.Load()) }

// keyRoom is the length of keys that need no memory of their own on their way to freecache.
const keyRoom = 64

// Get returns a value: in buf, if that has room for it. It never changes afterwards.
func (c *Cache) Get(key string, buf []byte) (value []byte, found bool) {
	var room [keyRoom]byte
	k := append(room[:0], key...)
	t := c.tables.Load()
	if t.current == nil {
		return nil, false
	}
	value, err := t.current.GetWithBuf(k, buf)
	if err != nil && t.former != nil {
		value, err = t.former.GetWithBuf(k, buf)
	}
	return value, err == nil
}

// Set remembers a value instead of the one before. It forgets the key if the value is too large.
func (c *Cache) Set(key string, value []byte) {
	var room [keyRoom]byte
	k := append(room[:0], key...)
	for {
		t, err := c.set(k, value)
		switch {
		case t.current == nil || t.size >= c.mayHave():
			return
		case errors.Is(err, freecache.ErrLargeEntry):
			needs := (len(k) + len(value) + freecache.ENTRY_HDR_SIZE) * maxShare
			if needs < c.mayHave() && c.grow(t, needs) {
				continue
			}
		case c.changes.Add(1)%checkEvery == 0 && t.current.EvacuateCount() > 0:
			c.grow(t, t.size)
		}
		return
	}
}

func (c *Cache) set(key, value []byte) (*tables, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	t := c.tables.Load()
	if t.current == nil {
		return t, nil
	}
	err := t.current.Set(key, value, 0)
	if err != nil {
		t.current.Del(key)
	}
	if t.former != nil { // last, so that a reader does not find the former value after the current one
		t.former.Del(key)
	}
	return t, err
}

// Delete forgets a value.
func (c *Cache) Delete(key string) {
	var room [keyRoom]byte
	k := append(room[:0], key...)
	c.mu.RLock()
	defer c.mu.RUnlock()
	t := c.tables.Load()
	if t.current == nil {
		return
	}
	if t.former != nil {
		t.former.Del(k)
	}
	t.current.Del(k)
}

// Close forgets everything for good.
func (c *Cache) Close() {
	c.mu.Lock()
	c.closed = true
	c.tables.Store(&tables{})
	c.mu.Unlock()
	c.growing.Wait()
}
