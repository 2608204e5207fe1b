package rig

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/dodogate/dodogate/internal/testing/freeport"
)

// Caddy is a Caddy of any build.
type Caddy struct {
	*Process
	Addr  string // of its site
	admin string
}

// CaddySpec says which one.
type CaddySpec struct {
	Name, Bin, Dir string
	Env            []string
	// Global are lines of the global options, Site those of its only site.
	Global, Site string
}

// StartCaddy writes a Caddyfile and starts a Caddy with it.
func StartCaddy(s CaddySpec) (*Caddy, error) {
	site, err := freeport.Find()
	if err != nil {
		return nil, err
	}
	admin, err := freeport.Find()
	if err != nil {
		return nil, err
	}
	c := &Caddy{Addr: net.JoinHostPort("127.0.0.1", site), admin: net.JoinHostPort("127.0.0.1", admin)}
	dir := filepath.Join(s.Dir, s.Name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	text := fmt.Sprintf("{\n\tadmin %s\n\tauto_https off\n\tpersist_config off\n\tgrace_period 2s\n\tdefault_bind 127.0.0.1\n%s}\n\nhttp://%s {\n%s}\n",
		c.admin, s.Global, c.Addr, s.Site)
	file := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	c.Process, err = Start(Spec{
		Name: s.Name, Bin: s.Bin, Dir: s.Dir, Args: []string{"run", "--config", file},
		Env:   append([]string{"XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir}, s.Env...),
		Ready: Accepts(c.Addr),
	})
	return c, err
}

// Metrics reads the metrics of the given names, each summed over its labels.
// What follows a name, such as `{outcome="applied"`, must be there too.
func (c *Caddy) Metrics(names ...string) (map[string]float64, error) {
	text, err := Get("http://" + c.admin + "/metrics")
	if err != nil {
		return nil, err
	}
	sums := make(map[string]float64)
	for line := range bytes.Lines(text) {
		for _, name := range names {
			rest, ok := strings.CutPrefix(string(line), name)
			if !ok || !strings.HasPrefix(rest, " ") && !strings.HasPrefix(rest, "{") {
				continue
			}
			value, err := strconv.ParseFloat(strings.TrimSpace(rest[strings.LastIndexByte(rest, ' '):]), 64)
			if err != nil {
				return nil, err
			}
			sums[name] += value
		}
	}
	return sums, nil
}

// Allocations is how many heap allocations the process has made.
func (c *Caddy) Allocations() (int64, error) {
	const name = "go_memstats_mallocs_total"
	m, err := c.Metrics(name)
	if err == nil && m[name] == 0 {
		err = fmt.Errorf("%s has no metric %s", c.Name(), name)
	}
	return int64(m[name]), err
}

// Profile takes a profile of what happens in d, in pprof's format: "profile" is of
// the CPU, "allocs" of the heap.
func (c *Caddy) Profile(kind string, d time.Duration) ([]byte, error) {
	return Get(fmt.Sprintf("http://%s/debug/pprof/%s?seconds=%d", c.admin, kind, max(1, int(d.Seconds()))))
}
