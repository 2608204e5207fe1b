package boltstore_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/store/boltstore"
)

// TestKill kills a process that writes, again and again, and looks for
// everything that it had been told was written.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dodogate.db")
	commits, events := map[string][]string{}, []string{}
	cycles := 12
	if testing.Short() {
		cycles = 3
	}
	for cycle := range cycles {
		child := startChild(t, "load", path)
		said := []string{child.line(t)}
		time.Sleep(time.Duration(5+13*cycle%90) * time.Millisecond) // somewhere in the middle of it
		for _, line := range append(said, child.kill(t)...) {
			f := strings.Fields(line)
			switch {
			case f[0] == "commit" && len(f) == 3:
				commits[f[1]] = append(commits[f[1]], f[2])
			case f[0] == "event" && len(f) == 2:
				events = append(events, f[1])
			default:
				t.Fatalf("the child said %q", line)
			}
		}
		checkKept(t, path, commits, events)
	}
	t.Logf("%d kills, %d events and the commits of %d accounts kept", cycles, len(events), len(commits))
}

func checkKept(t *testing.T, path string, commits map[string][]string, events []string) {
	t.Helper()
	s, err := dial(path, boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for account, ids := range commits {
		times := make(map[string]int)
		for _, e := range entries(t, s, account) {
			times[e.Cause]++
		}
		for _, id := range ids {
			if times[id] != 1 {
				t.Fatalf("commit %s of %s was acknowledged and is there %d times", id, account, times[id])
			}
		}
	}
	for _, id := range events {
		if e, err := s.Event(t.Context(), id); err != nil || string(e.Body) != id {
			t.Fatalf("event %s was acknowledged: %+v, %v", id, e, err)
		}
	}
}

// TestFileThatCannotGrow runs a child whose file may not grow, as on a full
// disk, and then may again.
func TestFileThatCannotGrow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dodogate.db")
	out, err := childCommand(os.Args[0], "full", path).CombinedOutput()
	if err != nil {
		t.Fatal(err, string(out))
	}
	said := string(out)
	for _, want := range []string{
		"first error: store unavailable: write " + path,
		"second error: store unavailable: write " + path,
		"commit: store unavailable: write " + path,
		"at once: true",
		"ping: store unavailable: write " + path,
		"read: <nil>",
		"close: <nil>",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is missing", want)
		}
	}
	var recorded int
	if _, err := fmt.Sscanf(said, "recorded %d", &recorded); err != nil || recorded == 0 || t.Failed() {
		t.Fatalf("the child said:\n%s", said)
	}
	s := open(t, path, boltstore.Options{}) // the way out
	for i := range recorded {
		if _, err := s.Event(t.Context(), fmt.Sprint(i)); err != nil {
			t.Errorf("event %d was acknowledged: %v", i, err)
		}
	}
	if err := give(t.Context(), s, "acc", 1); err != nil {
		t.Error(err)
	}
}

// TestTruncatedWhileOpen: a page that is not there is an error, not a crash and
// not a caller who waits for ever. It is a child that tries it, because what
// bbolt holds then is held until the process ends.
func TestTruncatedWhileOpen(t *testing.T) {
	for name, size := range map[string]int64{"all": 0, "all but the meta pages": 8192} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "dodogate.db")
			fill(t, path)
			cmd := childCommand(os.Args[0], "truncate", path)
			cmd.Args = append(cmd.Args, fmt.Sprint(size))
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatal(err, string(out))
			}
			for _, want := range []string{
				"read: store unavailable: read " + path, "write: store unavailable: ",
				"read again: store unavailable: read " + path, "ping: store unavailable: ", "log: true",
			} {
				if !strings.Contains(string(out), want) {
					t.Errorf("%q is missing in:\n%s", want, out)
				}
			}
		})
	}
}
