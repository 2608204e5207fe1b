package redisconn_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dodogate/dodogate/internal/redisconn"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// TestClusterFailover: when a master does not answer, the other nodes are asked who has its
// slots now, by a single command as well as by a batch.
func TestClusterFailover(t *testing.T) {
	nodes := redistest.StartCluster(t, 3)
	c := open(t, redisconn.Options{URL: nodes[0].URL() + "?cluster=true"})
	var key string
	for i := 0; key == ""; i++ {
		name := fmt.Sprint("test:", i)
		if slot, err := strconv.Atoi(nodes[0].MustDo("CLUSTER", "KEYSLOT", name)); err == nil && slot > 16384*2/3+1 {
			key = name
		}
	}
	nodes[2].Kill()
	for name, ask := range map[string]func() error{
		"command": func() error { return c.Client().Get(t.Context(), key).Err() },
		"batch": func() error {
			_, err := c.Client().Pipelined(t.Context(), func(p redis.Pipeliner) error { return p.Get(t.Context(), key).Err() })
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := asked(nodes[:2])
			for end := time.Now().Add(patient); asked(nodes[:2]) <= before; time.Sleep(10 * time.Millisecond) {
				if err := ask(); err == nil || time.Now().After(end) {
					t.Fatalf("%v: nobody is asked", err)
				}
			}
		})
	}
}

// asked counts how often nodes were asked who has which slots.
func asked(nodes []*redistest.Server) (n int) {
	for _, node := range nodes {
		_, stats, _ := strings.Cut(node.MustDo("INFO", "commandstats"), "cmdstat_cluster|slots:calls=")
		calls, _, _ := strings.Cut(stats, ",")
		some, _ := strconv.Atoi(calls)
		n += some
	}
	return n
}
