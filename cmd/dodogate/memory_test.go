package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// memoryGroup is a control group of the kernel whose processes are killed if they need more
// than so many bytes, as those of a container are. It is the folder to which a process is
// added, or "" where the test may not make one.
func memoryGroup(t *testing.T, bytes int64) string {
	t.Helper()
	for _, version := range []struct{ parent, limit string }{
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"},
		{"/sys/fs/cgroup", "memory.max"},
	} {
		dir := filepath.Join(version.parent, fmt.Sprintf("dodogate-test-%d-%d", os.Getpid(), groups))
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		t.Cleanup(func() { _ = os.Remove(dir) })
		limit, err := os.OpenFile(filepath.Join(dir, version.limit), os.O_WRONLY, 0)
		if err != nil {
			continue // the folder is not of this version
		}
		_, err = limit.WriteString(strconv.FormatInt(bytes, 10))
		if limit.Close() == nil && err == nil {
			groups++
			return dir
		}
	}
	return ""
}

var groups int // that were made; tests that make one do not run side by side

// mostMemory is how many bytes of memory of its own the process had at most. Pages of the
// executable do not count: they are in memory once for all processes, and the kernel drops
// them when it is short of memory.
func (g *gate) mostMemory() int64 {
	g.t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", g.process.Process.Pid))
	if err != nil {
		g.t.Skip("no /proc: ", err)
	}
	defer f.Close()
	var most, files int64
	for s := bufio.NewScanner(f); s.Scan(); {
		_, _ = fmt.Sscanf(s.Text(), "VmHWM: %d kB", &most)
		_, _ = fmt.Sscanf(s.Text(), "RssFile: %d kB", &files)
	}
	if most == 0 || files == 0 {
		g.t.Fatal("no VmHWM or RssFile")
	}
	return (most - files) << 10
}
