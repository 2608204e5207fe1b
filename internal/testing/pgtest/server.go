// Package pgtest runs a real PostgreSQL server for tests, on a free port of 127.0.0.1.
package pgtest

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dodogate/dodogate/internal/testing/freeport"
)

// patience is how long a server may take to come up on a busy machine.
const patience = 60 * time.Second

// Start starts a server and returns the URL of its empty database. Without PostgreSQL the
// test is skipped, or fails where CI=true.
func Start(t testing.TB) string {
	t.Helper()
	initdb, server := find("initdb"), find("postgres")
	if initdb == "" || server == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("PostgreSQL is missing: .ci/deps installs it")
		}
		t.Skip("PostgreSQL is missing: install postgresql")
	}
	as := owner(t)
	dir, err := os.MkdirTemp("", "dodogate-postgres") //nolint:usetesting // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if as.Credential != nil {
		if err := os.Chown(dir, int(as.Credential.Uid), int(as.Credential.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(dir, "data")
	init := exec.Command(initdb, "-D", data, "-U", "tester", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C") //nolint:noctx // it ends by itself
	init.SysProcAttr, init.Dir = as, dir
	if out, err := init.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	port := freeport.Get(t)
	var log bytes.Buffer
	cmd := exec.Command(server, "-D", data, "-p", port, "-k", dir, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "timezone=America/New_York") //nolint:noctx // it is ended below
	cmd.SysProcAttr, cmd.Dir, cmd.Stdout, cmd.Stderr = as, dir, &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGQUIT) // at once
		_ = cmd.Wait()
	})
	url := "postgres://tester:hidden@127.0.0.1:" + port + "/postgres?sslmode=disable"
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		db, err := pgx.Connect(ctx, url)
		if err == nil {
			_ = db.Close(ctx)
			return url
		}
		if ctx.Err() != nil {
			t.Fatalf("PostgreSQL does not start: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Exec runs SQL.
func Exec(t testing.TB, url, sql string) {
	t.Helper()
	db, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(context.WithoutCancel(t.Context())) }()
	if _, err := db.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// find looks on the PATH and where Debian keeps the servers' programs.
func find(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(found) == 0 {
		return ""
	}
	return slices.Max(found)
}

// owner is who runs the server, which refuses to be run by root.
func owner(t testing.TB) *syscall.SysProcAttr {
	t.Helper()
	if os.Getuid() != 0 {
		return &syscall.SysProcAttr{}
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err1 != nil || err2 != nil {
		t.Fatal("the user postgres has no number")
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}
