package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

const preamble = `# Results

Everything runs on one machine: load generator, gateways, upstream, Redis. How: [docs/performance.md](../docs/performance.md).

Each figure is the median of all rounds, with the lowest and the highest in brackets. The first row of each table is the floor:
the least that does the same job. "× floor" compares with it in the same round.
`

// circumstances are how a part was measured, for the head of its section.
func (b *bench) circumstances() string {
	text := fmt.Sprintf("Made by `%s` on %s, rounds: %d; %d cores, %s, %s/%s", b.command,
		time.Now().UTC().Format(time.DateOnly), b.rounds, runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if load, err := os.ReadFile("/proc/loadavg"); err == nil { // on Linux
		text += ", load average " + strings.Join(strings.Fields(string(load))[:3], " ") + " before the run"
	}
	text += ".\n"
	if b.note != "" {
		text += "\n" + b.note + "\n"
	}
	return text
}

const aboutBefore = "\nContestants that end in \"before\" are the same gateways of an older binary, in the same run.\n"

// report is a file of results: the given sections, and those of before that are not among them.
func report(before string, sections map[string]string) string {
	old := make(map[string]string)
	for _, section := range strings.Split(before, "\n## ")[1:] { // the first is the preamble
		title, text, _ := strings.Cut(section, "\n\n")
		old[title] = strings.TrimSpace(text) + "\n"
	}
	text := preamble
	for _, p := range parts() {
		section, ok := sections[p.title]
		if !ok {
			section, ok = old[p.title]
		}
		if ok {
			text += "\n## " + p.title + "\n\n" + section
		}
	}
	return text
}
