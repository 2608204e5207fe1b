package cache_test

import (
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/gateway/cache"
)

// TestStoreGoesBack: an account of which a lower Rev is heard is read anew, because the store was
// restored or failed over. A message that was only overtaken changes nothing.
func TestStoreGoesBack(t *testing.T) {
	for name, tell := range map[string]func(w *world){
		"by a message":                 func(w *world) { w.Changed("acc", 91) },
		"by what an operation returns": func(w *world) { w.Put("acc", credits(91, 4)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 0)
			w.Live()
			w.set(100, 10)
			w.wants(10, cache.Miss)
			w.set(91, 4)
			w.move(time.Second)
			tell(w)
			w.wants(10, cache.Hit) // it may have been overtaken
			w.move(time.Minute)
			tell(w)
			w.wants(4, cache.Miss)
			w.wants(4, cache.Hit)
			w.set(92, 3)
			w.Changed("acc", 92)
			w.wants(3, cache.Miss)
		})
	}
	t.Run("after a change that was heard of", func(t *testing.T) {
		w := newWorld(t, time.Hour)
		w.Live()
		w.set(100, 10)
		w.wants(10, cache.Miss)
		w.Changed("acc", 101)
		w.move(time.Minute)
		w.set(91, 4)
		w.Changed("acc", 91)
		w.wants(4, cache.Miss)
		w.wants(4, cache.Hit)
	})
}
