package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// series are the values of one measure, one for each round.
type series []float64

func (s series) sorted() series {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}

func (s series) median() float64 {
	if len(s) == 0 {
		return 0
	}
	s = s.sorted()
	if len(s)%2 == 1 {
		return s[len(s)/2]
	}
	return (s[len(s)/2-1] + s[len(s)/2]) / 2
}

// over is the ratio to another series, round by round.
func (s series) over(base series) series {
	ratios := make(series, 0, len(s))
	for i := range min(len(s), len(base)) {
		ratios = append(ratios, s[i]/base[i])
	}
	return ratios
}

// minus is the difference to another series, round by round.
func (s series) minus(base series) series {
	differences := make(series, 0, len(s))
	for i := range min(len(s), len(base)) {
		differences = append(differences, s[i]-base[i])
	}
	return differences
}

// format writes the median, with lowest and highest.
func (s series) format(format string) string {
	if len(s) == 0 {
		return "–"
	}
	median := fmt.Sprintf(format, s.median())
	if len(s) == 1 {
		return median
	}
	s = s.sorted()
	return fmt.Sprintf("%s (%s–%s)", median, fmt.Sprintf(format, s[0]), fmt.Sprintf(format, s[len(s)-1]))
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// table writes Markdown.
type table struct{ rows [][]string }

func newTable(head ...string) *table { return &table{rows: [][]string{head}} }

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) String() string {
	var text strings.Builder
	for i, row := range t.rows {
		text.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			text.WriteString("|" + strings.Repeat("---|", len(row)) + "\n")
		}
	}
	return text.String()
}
