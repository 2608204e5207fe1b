package main

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/semver"
)

// releaseNotes returns the section of a CHANGELOG for a version such as v1.2.3. Its heading
// is "## [1.2.3] - 2006-01-02", in the form of Keep a Changelog. A version without a section,
// without a date or with nothing in its section has no notes and is not released.
func releaseNotes(changelog, version string) (string, error) {
	if !semver.IsValid(version) || version != semver.Canonical(version)+semver.Build(version) {
		return "", fmt.Errorf("%q is no version; it looks like v1.2.3", version)
	}
	heading := "## [" + strings.TrimPrefix(version, "v") + "]"
	for section := range strings.SplitSeq("\n"+changelog, "\n## ") {
		first, notes, _ := strings.Cut("## "+section, "\n")
		date, found := strings.CutPrefix(first, heading)
		switch {
		case !found:
			continue
		case !isDate(date):
			return "", fmt.Errorf("the section %s of the CHANGELOG has no date; its heading is %q", version, heading+" - 2006-01-02")
		case strings.TrimSpace(notes) == "":
			return "", fmt.Errorf("the section %s of the CHANGELOG is empty", version)
		}
		return strings.TrimSpace(notes) + "\n", nil
	}
	return "", fmt.Errorf("the CHANGELOG has no section for %s; its heading is %q", version, heading+" - 2006-01-02")
}

func isDate(text string) bool {
	day, ok := strings.CutPrefix(text, " - ")
	if !ok {
		return false
	}
	_, err := time.Parse(time.DateOnly, strings.TrimSpace(day))
	return err == nil
}
