package redisconn_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/redisconn"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// TestInspect: a setting that becomes dangerous is logged once, and once more when it is safe again.
func TestInspect(t *testing.T) {
	server := redistest.Start(t, "--repl-diskless-sync-delay", "0")
	var log bytes.Buffer
	c := open(t, redisconn.Options{URL: server.URL(), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	wants := func(what, line string, dangerous ...redisconn.Setting) {
		t.Helper()
		log.Reset()
		for range 3 {
			got, err := c.Inspect(t.Context())
			if err != nil || !slices.Equal(got, dangerous) {
				t.Errorf("%s: dangerous are %q, %v, want %q", what, got, err, dangerous)
			}
		}
		if lines := strings.Count(log.String(), "\n"); line == "" && lines > 0 || line != "" && (lines != 1 || !strings.Contains(log.String(), line)) {
			t.Errorf("%s: the log has %q, want %q once", what, log.String(), line)
		}
	}
	wants("a safe server", "")
	server.MustDo("CONFIG", "SET", "appendonly", "no")
	wants("no append-only file", "level=WARN", redisconn.Persistence)
	server.MustDo("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
	wants("evicts", "allkeys-lru would drop balances", redisconn.Eviction, redisconn.Persistence)
	server.MustDo("CONFIG", "SET", "appendonly", "yes")
	wants("an append-only file", "is safe again", redisconn.Eviction)
	server.MustDo("CONFIG", "SET", "maxmemory-policy", "volatile-lru")
	wants("evicts what expires", "", redisconn.Eviction)
	server.MustDo("CONFIG", "SET", "maxmemory-policy", "noeviction")
	wants("evicts nothing", "setting=eviction")

	host, port, _ := net.SplitHostPort(server.Addr)
	replica := redistest.Start(t, "--replicaof", host+" "+port)
	online := func(want string) {
		t.Helper()
		eventually(t, func() error {
			if info := server.MustDo("INFO", "replication"); !strings.Contains(info, want) {
				return fmt.Errorf("replication is %q", info)
			}
			return nil
		})
	}
	online("state=online")
	eventually(t, func() error { // it has said how far it is
		got, err := c.Inspect(t.Context())
		if err == nil && len(got) > 0 {
			err = fmt.Errorf("dangerous are %q", got)
		}
		return err
	})
	replica.Kill()
	online("connected_slaves:0")
	wants("a replica is gone", "0 of 1 are connected", redisconn.Replication)
	replica.Restart()
	online("state=online")
	eventually(t, func() error {
		if got, err := c.Inspect(t.Context()); err != nil || len(got) > 0 {
			return fmt.Errorf("dangerous are %q, %w", got, err)
		}
		return nil
	})
	if !strings.Contains(log.String(), "is safe again") {
		t.Errorf("the log has %q", log.String())
	}
}

// TestInspectCluster: one dangerous master is enough, and the log names it.
func TestInspectCluster(t *testing.T) {
	nodes := redistest.StartCluster(t, 3)
	var log bytes.Buffer
	c := open(t, redisconn.Options{URL: nodes[0].URL() + "?cluster=true", Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for i, want := range [][]redisconn.Setting{nil, {redisconn.Eviction}, nil} {
		policy := "noeviction"
		if want != nil {
			policy = "allkeys-random"
		}
		nodes[1].MustDo("CONFIG", "SET", "maxmemory-policy", policy)
		if got, err := c.Inspect(t.Context()); err != nil || !slices.Equal(got, want) {
			t.Errorf("%d: dangerous are %q, %v", i, got, err)
		}
	}
	if !strings.Contains(log.String(), "addr="+nodes[1].Addr) || strings.Count(log.String(), "\n") != 2 {
		t.Errorf("the log has %q", log.String())
	}
}
