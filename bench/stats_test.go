package main

import (
	"slices"
	"strings"
	"testing"
)

func TestSeries(t *testing.T) {
	s := series{5, 1, 3}
	if m := s.median(); m != 3 {
		t.Errorf("median of %v is %v", s, m)
	}
	if m := (series{4, 1, 3, 2}).median(); m != 2.5 {
		t.Errorf("median of 1 to 4 is %v", m)
	}
	if s[0] != 5 {
		t.Error("the median has sorted the rounds")
	}
	if got, want := s.over(series{10, 4, 2}).format("%.2f"), "0.50 (0.25–1.50)"; got != want {
		t.Errorf("ratios are %q, want %q", got, want)
	}
	if got, want := s.minus(series{1, 1, 1}).format("%.0f"), "2 (0–4)"; got != want {
		t.Errorf("differences are %q, want %q", got, want)
	}
	if got := (series{}).format("%.0f"); got != "–" {
		t.Errorf("nothing is %q", got)
	}
}

func TestGoals(t *testing.T) {
	for _, c := range []struct {
		name string
		goal goal
		want string
	}{
		{"at most, below", goal{seen: series{0.9, 1.1, 1}, bound: 1}, "yes"},
		{"at most, above", goal{seen: series{0.9, 1.1, 1.2}, bound: 1}, "no"},
		{"at least, above", goal{seen: series{2, 3, 1}, bound: 2, least: true}, "yes"},
		{"at least, below", goal{seen: series{1, 3, 1.9}, bound: 2, least: true}, "no"},
	} {
		if got := c.goal.reached(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	b := &bench{goals: new([]goal)}
	b.goalAtMost(1, "%.2f", "without contestants", nil)
	b.goalAtLeast(2, "%.1f", "with one", series{3})
	if text := goalsReport(*b.goals); !strings.Contains(text, "| with one | ≥ 2.0 | 3.0 | yes |") || strings.Contains(text, "without") {
		t.Error(text)
	}
}

func TestFloorsTakePart(t *testing.T) {
	b := &bench{options: options{only: "charge-redis"}}
	var taken []string
	for _, c := range b.contestants() {
		if b.takesPart(c) {
			taken = append(taken, c.name)
		}
	}
	if want := []string{bareName, "floor-redis", "charge-redis"}; !slices.Equal(taken, want) {
		t.Errorf("%v take part, want %v", taken, want)
	}
}
