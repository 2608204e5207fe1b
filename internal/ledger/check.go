package ledger

import "fmt"

// Check says why an account that was read cannot be one that this package made. last is the last
// entry of its ledger; zero if there is none. Of the holds, those that are there are checked.
func (a Account) Check(last Entry) error {
	switch {
	case a.Seq < 0 || a.Seq > Max || a.Debt < 0 || a.Debt > Max:
		return fmt.Errorf("%d entries and a debt of %d are out of range", a.Seq, a.Debt)
	case last.Seq != a.Seq:
		return fmt.Errorf("the last entry has the number %d instead of %d", last.Seq, a.Seq)
	}
	held := make(map[string]int64, len(a.Holds))
	for id, h := range a.Holds {
		for _, p := range h.Parts {
			if p.Amount < 0 || p.Amount > Max {
				return fmt.Errorf("hold %.40q holds %d credits", id, p.Amount)
			}
			held[p.Grant] = min(held[p.Grant]+p.Amount, Max)
		}
	}
	sum := -a.Debt
	for i, g := range a.Grants {
		if i > 0 && a.Grants[i-1].ID >= g.ID {
			return fmt.Errorf("grant %.60q is there twice", g.ID)
		}
		if err := g.check(); err != nil {
			return err
		}
		if held[g.ID] > g.Held {
			return fmt.Errorf("holds hold %d credits of grant %.60q, which says %d", held[g.ID], g.ID, g.Held)
		}
		delete(held, g.ID)
		if sum += g.Left + g.Held; sum > Max {
			return fmt.Errorf("grants have more than %d credits", Max)
		}
	}
	for id := range held {
		return fmt.Errorf("a hold holds credits of grant %.60q, which is not there", id)
	}
	if sum != last.Balance {
		return fmt.Errorf("grants and debt make a balance of %d, and the last entry says %d", sum, last.Balance)
	}
	return nil
}

// check reports what in a grant is out of range.
func (g Grant) check() error {
	for _, n := range [...]int64{g.Amount, g.Left, g.Held, g.Waiting, g.Lapsed, g.Waived} {
		if n < 0 || n > Max {
			return fmt.Errorf("grant %.60q has a number out of range: %d", g.ID, n)
		}
	}
	if g.Waiting > 0 && g.StartsAt.IsZero() {
		return fmt.Errorf("grant %.60q waits for no time", g.ID)
	}
	return nil
}
