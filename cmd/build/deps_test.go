package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What .ci/deps finds on a machine that has everything: the programs, and what they print
// when they are asked for their version.
var complete = map[string]string{
	"go":           "go1.26.3",
	"redis-server": "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64",
	"node":         "v20.1.0",
	"npm":          "9.2.0",
	"chromium":     "Chromium 156.0.8078.108 built on Debian",
	"python3":      "Python 3.11.2",
	"hypercorn":    "Hypercorn 0.14",
	"php-fpm":      "PHP 8.2.29 (fpm-fcgi)",
	"initdb":       "initdb (PostgreSQL) 15.13",
	"curl":         "curl 7.88.1 (x86_64-pc-linux-gnu)",
	"git":          "git version 2.39.5",
	"cc":           "cc (Debian 12.2.0) 12.2.0",
	"strace":       "strace -- version 6.1",
}

// TestDeps runs .ci/deps on made-up machines.
func TestDeps(t *testing.T) {
	const (
		root = "0"
		user = "1000"
	)
	for name, tt := range map[string]struct {
		id       string
		programs map[string]string // besides those of a complete machine; "" is none
		missing  []string          // from the complete machine
		script   map[string]string // programs with more to say than a version
		ci       bool

		fails bool
		ran   string // by the package manager
		says  []string
		not   []string
	}{
		"all is there":       {id: user},
		"all is there in CI": {id: user, ci: true},
		"an old Redis, as a user without sudo": {
			id: user, programs: map[string]string{"redis-server": "Redis server v=6.0.16 sha=0"}, fails: true,
			says: []string{"needed:\n  redis-server 7.0 or newer (6.0.16 is too old)", "as root: apt-get update && apt-get install -y --no-install-recommends redis-server\n"},
			not:  []string{"may fail"},
		},
		"an old Redis, by root, from a system that has no newer one": {
			id: root, programs: map[string]string{"redis-server": "Redis server v=6.2.7 sha=0"}, fails: true,
			ran: "update\ninstall -y --no-install-recommends redis-server\n", says: []string{"6.2.7 is too old"},
		},
		"Redis 10": {id: user, programs: map[string]string{"redis-server": "Redis server v=10.0.1 sha=0"}},
		"Valkey":   {id: user, programs: map[string]string{"redis-server": "Valkey server v=8.1.1 sha=0"}},
		"no Redis, as root": {
			id: root, missing: []string{"redis-server"},
			script: map[string]string{"apt-get": installs("redis-server", complete["redis-server"])},
			ran:    "update\ninstall -y --no-install-recommends redis-server\n",
		},
		"no Redis, with sudo that asks for no password": {
			id: user, missing: []string{"redis-server"},
			script: map[string]string{"sudo": `[ "$1" != -n ] || shift; "$@"`, "apt-get": installs("redis-server", complete["redis-server"])},
			ran:    "update\ninstall -y --no-install-recommends redis-server\n",
		},
		"no Redis, with sudo that asks for a password": {
			id: user, missing: []string{"redis-server"}, script: map[string]string{"sudo": "exit 1"}, fails: true,
			says: []string{"  sudo apt-get update && sudo apt-get install -y --no-install-recommends redis-server\n"},
		},
		"an old Go comes first, and nothing is installed for it": {
			id: root, programs: map[string]string{"go": "go1.19.8"}, missing: []string{"redis-server"}, fails: true,
			says: []string{"needed:\n  Go 1.26.0 or newer (1.19.8 is too old): everything; see https://go.dev/doc/install\n  redis-server"},
		},
		"no Go": {id: user, missing: []string{"go"}, fails: true, says: []string{"Go 1.26.0 or newer (missing)"}, not: []string{"this installs"}},
		"optional things, as root": {
			id: root, missing: []string{"chromium", "initdb"}, programs: map[string]string{"node": "v16.20.2", "curl": "curl 7.74.0 (x)"},
			says: []string{
				"tests may fail:\n  Node.js 18 or newer, with npm (16.20.2 is too old)", "Chromium (missing)", "PostgreSQL 12 or newer (missing)", "curl 7.82 or newer (7.74.0 is too old)",
				"install -y --no-install-recommends nodejs npm chromium fonts-dejavu-core postgresql curl\n",
			},
			not: []string{"needed"},
		},
		"the same in CI, where apt-get fails": {
			id: root, ci: true, missing: []string{"chromium"}, script: map[string]string{"apt-get": `echo "$*" >>"$LOG"; exit 100`}, fails: true,
			ran: "update\n", says: []string{"this failed", "needed:\n  Chromium (missing)"},
		},
		"the same in CI, where it works": {
			id: root, ci: true, missing: []string{"chromium"}, script: map[string]string{"apt-get": installs("chromium", complete["chromium"])},
			ran: "update\ninstall -y --no-install-recommends chromium fonts-dejavu-core\n",
		},
		"npm fails":       {id: user, script: map[string]string{"npm": npm("exit 1")}, says: []string{"npm failed"}},
		"npm fails in CI": {id: user, ci: true, script: map[string]string{"npm": npm("exit 1")}, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			for program, says := range complete {
				m.add(program, version(says))
			}
			m.add("id", "echo "+tt.id)
			m.add("apt-get", `echo "$*" >>"$LOG"`)
			m.add("npm", npm(`mkdir -p "$3/node_modules"; : >"$3/node_modules/.package-lock.json"`))
			for program, says := range tt.programs {
				m.add(program, version(says))
			}
			for program, script := range tt.script {
				m.add(program, script)
			}
			for _, program := range tt.missing {
				m.remove(program)
			}
			said, err := m.run(tt.ci)
			if failed := err != nil; failed != tt.fails {
				t.Errorf("fails: %v, want %v", err, tt.fails)
			}
			if ran := m.ran(); ran != tt.ran {
				t.Errorf("apt-get ran with\n%q, want\n%q", ran, tt.ran)
			}
			for _, want := range tt.says {
				if !strings.Contains(said, want) {
					t.Errorf("does not say %q", want)
				}
			}
			for _, not := range tt.not {
				if strings.Contains(said, not) {
					t.Errorf("says %q", not)
				}
			}
			if t.Failed() {
				t.Logf("it says:\n%s", said)
			}
		})
	}
}

// version is the script of a program that prints its version, however it is asked.
func version(says string) string { return "echo '" + says + "'" }

// npm is the script of an npm that runs install for `npm ci --prefix <folder>`.
func npm(install string) string { return `[ "$1" != ci ] || { ` + install + "; }" }

// installs is the script of an apt-get that brings a program.
func installs(program, says string) string {
	return fmt.Sprintf(`echo "$*" >>"$LOG"
[ "$1" != install ] || { printf '#!/bin/sh\necho "%s"\n' >"$BIN/%s"; chmod +x "$BIN/%[2]s"; }`, says, program)
}

// machine has the programs that were added to it, and a copy of .ci/deps in a folder like
// this repository's.
type machine struct {
	t              *testing.T
	root, bin, log string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t: t, root: t.TempDir(), bin: t.TempDir()}
	m.log = filepath.Join(m.bin, "apt.log")
	script, err := os.ReadFile("../../.ci/deps")
	if err != nil {
		t.Fatal(err)
	}
	// What this machine has outside of PATH does not count.
	own := strings.NewReplacer("/usr/sbin", "/nowhere", "/usr/lib", "/nowhere").Replace(string(script))
	for name, text := range map[string]string{
		".ci/deps": own,
		"go.mod":   "module example.com/x\n\ngo 1.26.0\n",
		"internal/dodo/testdata/standardwebhooks/package-lock.json": "{}",
		"internal/dodosim/testdata/dodojs/package-lock.json":        "{}",
	} {
		path := filepath.Join(m.root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tool := range []string{"sh", "sed", "awk", "dirname", "sort", "tail", "rm", "mkdir", "chmod"} {
		path, err := exec.LookPath(tool)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(m.bin, tool)); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func (m *machine) add(program, script string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.bin, program), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) remove(program string) {
	m.t.Helper()
	if err := os.Remove(filepath.Join(m.bin, program)); err != nil {
		m.t.Fatal(err)
	}
}

// run runs .ci/deps with nothing but this machine's programs, and returns what it says.
func (m *machine) run(ci bool) (string, error) {
	m.t.Helper()
	cmd := exec.CommandContext(m.t.Context(), "/bin/sh", filepath.Join(m.root, ".ci", "deps"))
	cmd.Env = []string{"PATH=" + m.bin, "LOG=" + m.log, "BIN=" + m.bin, fmt.Sprint("CI=", ci)}
	said, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		m.t.Fatal(err)
	}
	return string(said), err
}

// ran is what apt-get was run with, a line each time.
func (m *machine) ran() string {
	text, err := os.ReadFile(m.log)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		m.t.Fatal(err)
	}
	return string(text)
}
