package gateway_test

import (
	"testing"

	"github.com/dodogate/dodogate/internal/gateway/cache"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// TestFailOverIsSeen: what a gateway remembers of a master that has died, and what only that one
// knew, is not shown. The account has a lower revision at the next master, and goes on from there.
func TestFailOverIsSeen(t *testing.T) {
	master := redistest.Start(t)
	replica := redistest.StartReplica(t, master)
	sentinel := redistest.StartSentinel(t, master, "money")
	sentinel.KnowsReplicas("1")
	w := newWorld(t, openURL(t, sentinel.URL()+"?master_name=money"), settings{})
	credits := func() int64 {
		s, err := w.Entitlement(t.Context(), "alice")
		if err != nil {
			return -1
		}
		return s.Credits
	}
	until(t, "changes are heard", func() bool { return w.seen.hearing() == 1 })
	grant(t, w.store, "alice", "pay_1", 10)
	until(t, "it is replicated", func() bool { return replica.MustDo("LLEN", "dodogate:{alice}:entries") == "1" })
	master.Forsake(replica)
	for _, payment := range []string{"pay_2", "pay_3", "pay_4"} {
		grant(t, w.store, "alice", payment, 5)
	}
	until(t, "all credits are there", func() bool { return credits() == 25 })
	master.Kill()
	replica.Thaw()
	until(t, "the credits that were lost are not shown", func() bool { return credits() == 10 })
	until(t, "changes are heard again", func() bool { return w.seen.hearing() == 1 })
	grant(t, w.store, "alice", "pay_5", 1)
	until(t, "a change with a lower revision counts", func() bool { return credits() == 11 })
	hits := w.seen.read(cache.Hit)
	until(t, "it is remembered", func() bool { return credits() == 11 && w.seen.read(cache.Hit) > hits })
}
