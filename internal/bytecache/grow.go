package bytecache

import "github.com/coocood/freecache"

// moveAtOnce is how many values are moved while changes wait.
const moveAtOnce = 64

// grow begins to move to a table that is larger than the given size. It reports whether it does:
// not while values are still moved to the one before.
func (c *Cache) grow(from *tables, size int) (grows bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || from.former != nil || c.tables.Load() != from {
		return false
	}
	next, most := &tables{former: from.current, size: from.size}, c.mayHave()
	for next.size <= size && next.size < most {
		next.size = min(2*next.size, most)
	}
	if next.size == from.size {
		return false
	}
	next.current = freecache.NewCache(next.size)
	c.tables.Store(next)
	c.growing.Go(func() { c.move(next) })
	return true
}

// move moves all values of the former table.
func (c *Cache) move(t *tables) {
	for left := t.former.NewIterator(); ; {
		if !c.moveSome(t, left) {
			return
		}
	}
}

// moveSome reports whether there is more to move.
func (c *Cache) moveSome(t *tables, left *freecache.Iterator) (more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	for range moveAtOnce {
		e := left.Next()
		if e == nil {
			c.tables.Store(&tables{current: t.current, size: t.size})
			return false
		}
		if _, err := t.current.TTL(e.Key); err != nil { // it was not changed meanwhile
			_ = t.current.Set(e.Key, e.Value, 0) // it did fit into a smaller table
		}
	}
	return true
}
