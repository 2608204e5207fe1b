package main

import (
	"strings"
	"testing"
)

func TestReleaseNotes(t *testing.T) {
	const changelog = `# Changelog

## [Unreleased]

- later

## [1.2.0] - 2026-11-30

### Added

- a thing

## [1.1.0] - 2026-11-31

- the month has no such day

## [1.0.0]

- no date

## [0.9.0] - 2026-01-02

## [0.8.0-rc.1] - 2026-01-01

- first`
	for version, tt := range map[string]struct{ notes, refusal string }{
		"v1.2.0":      {notes: "### Added\n\n- a thing\n"},
		"v0.8.0-rc.1": {notes: "- first\n"},
		"v1.3.0":      {refusal: `no section for v1.3.0; its heading is "## [1.3.0] - `},
		"v1.2":        {refusal: "is no version"},
		"1.2.0":       {refusal: "is no version"},
		"Unreleased":  {refusal: "is no version"},
		"v1.1.0":      {refusal: "has no date"},
		"v1.0.0":      {refusal: "has no date"},
		"v0.9.0":      {refusal: "is empty"},
	} {
		t.Run(version, func(t *testing.T) {
			notes, err := releaseNotes(changelog, version)
			if tt.refusal == "" && err != nil || tt.refusal != "" && (err == nil || !strings.Contains(err.Error(), tt.refusal)) {
				t.Fatalf("refused by %v, want %q", err, tt.refusal)
			}
			if notes != tt.notes {
				t.Errorf("notes are %q, want %q", notes, tt.notes)
			}
		})
	}
}
