package storetest

import "time"

// mark reads a mark and stops the test when that fails.
func (r *rig) mark(name string) time.Time {
	r.Helper()
	at, err := r.Mark(r.ctx(), name)
	if err != nil {
		r.Fatalf("read mark %q: %v", name, err)
	}
	return at
}

var markTests = []test{
	{"the last one that is set stays, in milliseconds", func(r *rig) {
		same(r, "before", r.mark("a"), time.Time{})
		for _, at := range []time.Time{r.clock.Now(), r.clock.Now().Add(-time.Hour)} {
			if err := r.SetMark(r.ctx(), "a", at); err != nil {
				r.Fatal(err)
			}
			same(r, "mark", r.mark("a"), at.UTC().Truncate(time.Millisecond))
		}
	}},
	{"names are apart", func(r *rig) {
		if err := r.SetMark(r.ctx(), "a", r.clock.Now()); err != nil {
			r.Fatal(err)
		}
		for _, name := range []string{"", "b", "a:", "a}", "aa"} {
			same(r, "mark "+name, r.mark(name), time.Time{})
		}
	}},
}
