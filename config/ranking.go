package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Ranking says which of two plans is the higher. The zero value ranks none.
type Ranking struct{ lowestFirst []string }

// Plans are the plans that are ranked, the lowest first. Not to be changed.
func (r Ranking) Plans() []string { return r.lowestFirst }

// Compare is negative when the plan a is lower than b. A plan that is not ranked, because
// it is no longer sold, is lower than every ranked one; of two such plans the name decides.
func (r Ranking) Compare(a, b string) int {
	return cmp.Or(
		cmp.Compare(slices.Index(r.lowestFirst, a), slices.Index(r.lowestFirst, b)),
		cmp.Compare(a, b),
	)
}

// rankedBy is the ranking with the named plans on top, the lowest of them first. Each of
// them must be ranked already. The others keep their order below them.
func (r Ranking) rankedBy(plans []string) (Ranking, error) {
	for i, plan := range plans {
		if slices.Contains(plans[:i], plan) {
			return Ranking{}, fmt.Errorf("plans: %s is named twice", plan)
		}
		if !slices.Contains(r.lowestFirst, plan) {
			return Ranking{}, fmt.Errorf("plans: no product or add-on gives the plan %q; there are %s", plan, cmp.Or(strings.Join(r.lowestFirst, ", "), "none"))
		}
	}
	others := slices.DeleteFunc(slices.Clone(r.lowestFirst), func(plan string) bool { return slices.Contains(plans, plan) })
	return Ranking{slices.Concat(others, plans)}, nil
}

// RankPlans ranks the plans that products give by their order in the catalog, the lowest
// first: a plan stands where the first product that gives it does. The plans that add-ons
// alone give follow in their order. If plans names some of
// them, these are higher than the others, in the order in which they are named. It refuses
// a name that none of them gives and a name that is given twice.
func RankPlans(products []Product, addons []Addon, plans []string) (Ranking, error) {
	var r Ranking
	add := func(plan string) {
		if plan != "" && !slices.Contains(r.lowestFirst, plan) {
			r.lowestFirst = append(r.lowestFirst, plan)
		}
	}
	for _, p := range products {
		add(p.Plan)
	}
	for _, a := range addons {
		add(a.Plan)
	}
	return r.rankedBy(plans)
}
