package main

import "testing"

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
