package rig

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/dodogate/dodogate/internal/testing/freeport"
)

// Redis is a server with an append-only file that is synced every second, which
// is what a site that sells things would run.
type Redis struct {
	*Process
	Addr   string
	Client *redis.Client // ours
}

// StartRedis starts a server.
func StartRedis(name, dir string) (*Redis, error) {
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, err
	}
	port, err := freeport.Find()
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, name)
	if err := os.Mkdir(data, 0o700); err != nil {
		return nil, err
	}
	r := &Redis{Addr: net.JoinHostPort("127.0.0.1", port)}
	r.Client = redis.NewClient(&redis.Options{Addr: r.Addr})
	r.Process, err = Start(Spec{
		Name: name, Bin: bin, Dir: dir,
		Args: []string{
			"--bind", "127.0.0.1", "--port", port, "--dir", data, "--save", "", "--daemonize", "no",
			"--appendonly", "yes", "--appendfsync", "everysec", "--loglevel", "warning",
		},
		Ready: func() error {
			// go-redis writes to the log when nobody listens.
			if err := Accepts(r.Addr)(); err != nil {
				return err
			}
			return r.Client.Ping(context.Background()).Err()
		},
	})
	return r, err
}

// Stop ends the server.
func (r *Redis) Stop() {
	_ = r.Client.Close()
	r.Process.Stop()
}

// Traffic is what a server has done.
type Traffic struct {
	// Reads from clients' sockets: round trips, because a client that waits for
	// its answers sends what it has to say in one write.
	Reads int64
	// Calls of each command. Those that scripts make are among them.
	Calls map[string]int64
}

// Traffic counts since the server began, without this question itself.
func (r *Redis) Traffic(ctx context.Context) (Traffic, error) {
	text, err := r.Client.Info(ctx, "stats", "commandstats").Result()
	if err != nil {
		return Traffic{}, err
	}
	t := Traffic{Calls: make(map[string]int64)}
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		if name == "total_reads_processed" {
			t.Reads, err = strconv.ParseInt(value, 10, 64)
		} else if command, ok := strings.CutPrefix(name, "cmdstat_"); ok && command != "info" {
			var calls int64
			_, err = fmt.Sscanf(value, "calls=%d", &calls)
			t.Calls[command] = calls
		}
		if err != nil {
			return Traffic{}, fmt.Errorf("INFO says %q: %w", lines.Text(), err)
		}
	}
	return t, nil
}

// Since is what was done after before was read.
func (t Traffic) Since(before Traffic) Traffic {
	d := Traffic{Reads: t.Reads - before.Reads - 1, Calls: make(map[string]int64)} // less our own question
	for command, calls := range t.Calls {
		if n := calls - before.Calls[command]; n > 0 {
			d.Calls[command] = n
		}
	}
	return d
}
