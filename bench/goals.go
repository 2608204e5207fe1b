package main

import "fmt"

// job is something that contestants do, and the least that does the same.
type job struct {
	title string
	floor string // name of the contestant that does the least
	does  string // what it does, and what it leaves out
}

// goal is a bound for a figure.
type goal struct {
	what   string
	seen   series
	format string
	bound  float64
	least  bool // the figure must be at least the bound, instead of at most
}

// goalAtMost and goalAtLeast record goals for the end of the results. A goal whose
// contestants did not take part is left out.
func (b *bench) goalAtMost(bound float64, format, what string, seen series) {
	b.setGoal(goal{what: what, seen: seen, format: format, bound: bound})
}

func (b *bench) goalAtLeast(bound float64, format, what string, seen series) {
	b.setGoal(goal{what: what, seen: seen, format: format, bound: bound, least: true})
}

func (b *bench) setGoal(g goal) {
	if len(g.seen) > 0 {
		*b.goals = append(*b.goals, g)
	}
}

func (g goal) reached() string {
	if m := g.seen.median(); g.least && m >= g.bound || !g.least && m <= g.bound {
		return "yes"
	}
	return "no"
}

func (g goal) wanted() string {
	sign := "≤ "
	if g.least {
		sign = "≥ "
	}
	return sign + fmt.Sprintf(g.format, g.bound)
}

func goalsReport(goals []goal) string {
	if len(goals) == 0 {
		return ""
	}
	t := newTable("figure", "goal", "measured", "reached")
	for _, g := range goals {
		t.add(g.what, g.wanted(), g.seen.format(g.format), g.reached())
	}
	return "\n### Goals\n\nThe median decides whether a goal is reached.\n\n" + t.String()
}
