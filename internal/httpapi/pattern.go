package httpapi

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

// PathPattern says which paths a gate protects. [Reading.Matches] compares it with every path
// that some server might find in a request.
type PathPattern struct {
	forms []patternForm // one match is enough
}

// patternForm is one form of a pattern, in lower case and without a trailing slash.
type patternForm struct {
	kind patternKind
	text string
	glob []string // the segments
}

type patternKind int

const (
	exactPath patternKind = iota
	pathPrefix
	pathSuffix
	// anyDirectory is every path that ends with the text and a slash.
	anyDirectory
	pathGlob
	pathGlobBelow // and all below it
)

var plainPattern = regexp.MustCompile(`^[/*][^\x00-\x20\x7f%\\{}?#;\[\]]*$`)

// NewPathPattern reads a pattern. Case never matters.
//
//	/report     the path, also with a trailing slash
//	/paid/*     the path /paid and everything below it
//	*.mp4       paths that end so
//	/a/*/b      a star in the middle is text without a slash
//
// Servers serve one file under several paths: /report/index.html for /report/, /report.html
// for /report, /v.mp4.gz for /v.mp4. A pattern for one of them also covers the others, by its
// forms or by the rewrites that readings know.
func NewPathPattern(text string) (PathPattern, error) {
	if !plainPattern.MatchString(text) {
		return PathPattern{}, fmt.Errorf("path %q: it begins with / or *, is written decoded, and * is the only wildcard", text)
	}
	plain := strings.ReplaceAll(text, "*", "x")
	if clean := path.Clean(plain); clean != plain && clean+"/" != plain {
		return PathPattern{}, fmt.Errorf("path %q is not clean: double slashes and dots lead to nothing", text)
	}
	folded := foldCase(text)
	switch stars := strings.Count(folded, "*"); {
	case stars == 1 && folded[0] == '*':
		return PathPattern{suffixForms(strings.TrimRight(folded[1:], "/"))}, nil
	case folded[0] == '*':
		return PathPattern{}, fmt.Errorf("path %q: with more than one * it begins with /", text)
	case stars == 1 && strings.HasSuffix(folded, "*"):
		return PathPattern{prefixForms(strings.TrimSuffix(folded, "*"))}, nil
	}
	return PathPattern{pageForms(strings.TrimRight(folded, "/"))}, nil
}

// pageForms are the forms for one page, or for as many as the stars in its path allow.
func pageForms(text string) []patternForm {
	forms := []patternForm{pageForm(text)}
	dir, name := path.Split(text)
	if name == "" || name == "*" {
		return forms
	}
	if indexBegins(name) {
		forms = append(forms, directoryForm(dir))
	}
	if strings.HasSuffix(name, "*") {
		return forms
	}
	if file := withoutSidecar(text); file != text {
		forms = append(forms, pageForm(file))
	}
	stem := text
	for _, ending := range []string{".html", ".htm"} {
		if cut, ok := strings.CutSuffix(text, ending); ok && !strings.HasSuffix(cut, "/") {
			stem = cut
		}
	}
	for _, other := range []string{stem, stem + ".html", stem + ".htm"} {
		if other != text {
			forms = append(forms, pageForm(other))
		}
	}
	return forms
}

func pageForm(text string) patternForm {
	if above, ok := strings.CutSuffix(text, "/*"); ok {
		return patternForm{kind: pathGlobBelow, glob: strings.Split(above, "/")}
	}
	return directoryForm(text)
}

// directoryForm is for a directory, but nothing below it.
func directoryForm(text string) patternForm {
	text = strings.TrimRight(text, "/")
	if strings.Contains(text, "*") {
		return patternForm{kind: pathGlob, glob: strings.Split(text, "/")}
	}
	return patternForm{kind: exactPath, text: text}
}

func prefixForms(text string) []patternForm {
	forms := []patternForm{{kind: pathPrefix, text: text}}
	if dir, name := path.Split(text); indexBegins(name) {
		forms = append(forms, directoryForm(dir))
	}
	return forms
}

func suffixForms(text string) []patternForm {
	forms := []patternForm{{kind: pathSuffix, text: text}}
	if dir, name := path.Split(text); dir != "" && indexBegins(name) {
		return append(forms, patternForm{kind: anyDirectory, text: strings.TrimRight(dir, "/")})
	}
	if file := withoutSidecar(text); file != text {
		forms = append(forms, patternForm{kind: pathSuffix, text: file})
		text = file
	}
	for _, stem := range []string{"index.", "default."} {
		for _, ending := range defaultPages {
			if text != "" && strings.HasSuffix(stem+ending, text) {
				return append(forms, patternForm{kind: anyDirectory})
			}
		}
	}
	return forms
}

// defaultPages are the endings of files that servers serve for a directory by default.
var defaultPages = []string{"html", "htm", "shtml", "xhtml", "php", "asp", "aspx", "jsp", "cgi", "pl", "cfm"}

// indexBegins reports whether the last segment of a pattern is the name of an index file, or
// begins with one before a star.
func indexBegins(name string) bool {
	name, _, starred := strings.Cut(name, "*")
	if !starred {
		return isIndex(name)
	}
	stem, _, _ := strings.Cut(name, ".")
	return stem == "index" || stem == "default"
}

func matchesAny(patterns []PathPattern, reading string) bool {
	for i := range patterns {
		if patterns[i].matches(reading) {
			return true
		}
	}
	return false
}

// matches compares one possible path.
func (p *PathPattern) matches(reading string) bool {
	trimmed := strings.TrimRight(reading, "/")
	for i := range p.forms {
		if p.forms[i].matches(trimmed, len(trimmed) < len(reading)) {
			return true
		}
	}
	return false
}

// matches compares a path without its trailing slash; directory reports whether it had one.
func (f *patternForm) matches(p string, directory bool) bool {
	switch f.kind {
	case pathPrefix:
		return strings.HasPrefix(p, f.text) || len(p) == len(f.text)-1 && f.text[len(p)] == '/' && f.text[:len(p)] == p
	case pathSuffix:
		return strings.HasSuffix(p, f.text)
	case anyDirectory:
		return directory && strings.HasSuffix(p, f.text)
	case pathGlob, pathGlobBelow:
		return f.matchGlob(p)
	default:
		return p == f.text
	}
}

func (f *patternForm) matchGlob(p string) bool {
	for i, want := range f.glob {
		segment, rest, more := strings.Cut(p, "/")
		if !matchSegment(want, segment) {
			return false
		}
		if i == len(f.glob)-1 {
			return !more || f.kind == pathGlobBelow
		}
		if !more {
			return false
		}
		p = rest
	}
	return false
}

// matchSegment compares text in which stars stand for any text.
func matchSegment(want, text string) bool {
	head, rest, starred := strings.Cut(want, "*")
	if !starred {
		return want == text
	}
	text, ok := strings.CutPrefix(text, head)
	if !ok {
		return false
	}
	for {
		middle, next, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(text, middle)
		}
		i := strings.Index(text, middle)
		if i < 0 {
			return false
		}
		text, rest = text[i+len(middle):], next
	}
}
