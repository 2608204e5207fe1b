package ledger

import (
	"cmp"
	"slices"
)

// Grants are those of one account, ordered by ID, each once. Mostly they are one or two,
// for which a map would take a kilobyte.
type Grants []Grant

// NewGrants orders grants, in place. Each must be there once.
func NewGrants(list []Grant) Grants {
	if len(list) > 1 {
		slices.SortFunc(list, func(g, h Grant) int { return cmp.Compare(g.ID, h.ID) })
	}
	return list
}

// At is the grant of an ID; zero when there is none.
func (gs Grants) At(id string) Grant {
	if i, found := gs.find(id); found {
		return gs[i]
	}
	return Grant{}
}

// Of is the place of the grant of an ID; nil when there is none.
func (gs Grants) Of(id string) *Grant {
	if i, found := gs.find(id); found {
		return &gs[i]
	}
	return nil
}

// Put adds a grant, or puts it in the place of the one with its ID.
func (gs *Grants) Put(g Grant) {
	i, found := gs.find(g.ID)
	if found {
		(*gs)[i] = g
	} else {
		*gs = slices.Insert(*gs, i, g)
	}
}

func (gs Grants) find(id string) (i int, found bool) {
	if len(gs) == 1 && gs[0].ID == id {
		return 0, true
	}
	return slices.BinarySearchFunc(gs, id, func(g Grant, id string) int { return cmp.Compare(g.ID, id) })
}
