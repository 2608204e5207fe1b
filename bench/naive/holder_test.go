package naive_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/dodogate/dodogate/bench/naive"
	"github.com/dodogate/dodogate/bench/rig"
)

// TestHolders lets callers meet, so that they share batches, and counts the credits.
func TestHolders(t *testing.T) {
	server, err := rig.StartRedis("redis", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	for _, how := range []string{naive.Scripts, naive.Batched, naive.Whole, naive.File} {
		t.Run(how, func(t *testing.T) {
			where := server.Addr
			if how == naive.File {
				where = filepath.Join(t.TempDir(), "file.db")
			}
			if err := server.Client.HSet(t.Context(), naive.Key(how), "credits", naive.Start).Err(); err != nil {
				t.Fatal(err)
			}
			holder, err := naive.NewHolder(t.Context(), how, where)
			if err != nil {
				t.Fatal(err)
			}
			const pairs = 200
			var crew sync.WaitGroup
			for i := range pairs {
				crew.Go(func() {
					id := fmt.Sprint(i)
					if left, err := holder.Hold(t.Context(), how, id); err != nil || left < 0 {
						t.Errorf("hold %s: %d left, %v", id, left, err)
					}
					if err := holder.Capture(t.Context(), how, id); err != nil {
						t.Errorf("capture %s: %v", id, err)
					}
				})
			}
			crew.Wait()
			if left, err := holder.Hold(t.Context(), how, "last"); err != nil || left != naive.Start-pairs-1 {
				t.Errorf("%d left, %v, want %d", left, err, naive.Start-pairs-1)
			}
			if err := holder.Close(); err != nil {
				t.Error(err)
			}
			if err := holder.Capture(t.Context(), how, "last"); err == nil {
				t.Error("a closed holder has captured")
			}
		})
	}
	if _, err := naive.NewHolder(t.Context(), "otherwise", ""); err == nil {
		t.Error("an unknown way to hold is taken")
	}
}
