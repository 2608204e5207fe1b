package redisstore_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/redisconn"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

var (
	failOvers    = flag.Int("failovers", 0, "how many fail-overs of each kind TestFailOverLosses measures")
	failOverSeed = flag.Uint64("failovers.seed", 1, "of TestFailOverLosses")
)

// TestFailOverLosses measures how many acknowledged purchases a fail-over loses, for the table in
// docs/reliability.md. `make failovers` runs it. No level but local may lose any.
func TestFailOverLosses(t *testing.T) {
	if *failOvers == 0 {
		t.Skip("run by make failovers")
	}
	levels := []redisconn.Durability{{}, {Level: redisconn.Replicas, Replicas: 1, Timeout: 500 * time.Millisecond}}
	if !strings.HasPrefix(redisVersion(redistest.Start(t)), "7.0.") {
		levels = append(levels, redisconn.Durability{Level: redisconn.Fsync, Replicas: 1, Timeout: 2500 * time.Millisecond})
	}
	random := rand.New(rand.NewPCG(*failOverSeed, 0))
	for _, level := range levels {
		for _, kind := range []string{"dies", "is cut off from its replica, and dies later"} {
			var acknowledged, lost, rounds int
			for range *failOvers {
				load := time.Duration(200+random.IntN(300)) * time.Millisecond
				t.Run("round", func(t *testing.T) {
					a, l := failOverLoses(t, level, kind == "dies", load)
					acknowledged, lost, rounds = acknowledged+a, lost+l, rounds+min(l, 1)
				})
			}
			t.Logf("durability %s, the master %s: %d of %d acknowledged purchases lost, in %d of %d fail-overs", level, kind, lost, acknowledged, rounds, *failOvers)
			if lost > 0 && level.Level != redisconn.Local {
				t.Error("acknowledged purchases are lost")
			}
		}
	}
}

// failOverLoses has eight accounts buy until the master dies, and counts what the next master lacks
// of what was acknowledged.
func failOverLoses(t *testing.T, level redisconn.Durability, atOnce bool, load time.Duration) (acknowledged, lost int) {
	master := redistest.Start(t)
	replica := redistest.StartReplica(t, master)
	sentinel := redistest.StartSentinel(t, master, "money")
	sentinel.KnowsReplicas("1")
	s := open(t, redisstore.Options{URL: sentinel.URL() + "?master_name=money", Timeout: quick, Durability: level})
	var over atomic.Bool
	var callers sync.WaitGroup
	bought := make([]int, 8)
	for i := range bought {
		callers.Go(func() {
			id := fmt.Sprint("acc_", i)
			for !over.Load() {
				if _, err := s.Update(t.Context(), id, buys(id, fmt.Sprint("pay_", bought[i]), 1)); err == nil {
					bought[i]++
				} else if !errors.Is(err, store.ErrUnavailable) {
					t.Error(err)
				}
			}
		})
	}
	eventually(t, func() error { // a new replica takes a second to begin
		if n := replica.MustDo("LLEN", "dodogate:{acc_0}:entries"); n == "" || n == "0" {
			return errors.New("nothing is replicated")
		}
		return nil
	})
	time.Sleep(load)
	if !atOnce {
		master.Forsake(replica)
		time.Sleep(load)
	}
	master.Kill()
	over.Store(true)
	callers.Wait()
	if !atOnce {
		replica.Thaw()
	}
	eventually(t, func() error {
		_, err := s.Account(t.Context(), "acc_0")
		return err
	})
	for i := range bought {
		id := fmt.Sprint("acc_", i)
		for n := range bought[i] {
			var known book.Object
			eventually(t, func() (err error) {
				known, err = s.Object(t.Context(), id, payment(fmt.Sprint("pay_", n)))
				return err
			})
			if acknowledged++; known.Version == 0 {
				lost++
			}
		}
	}
	return acknowledged, lost
}
