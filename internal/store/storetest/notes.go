package storetest

import (
	"fmt"
	"strings"
	"sync"
)

// note keeps a note and stops the test when that fails.
func (r *rig) note(name, text string) string {
	r.Helper()
	kept, err := r.Note(r.ctx(), name, "", text)
	if err != nil {
		r.Fatalf("note %q: %v", name, err)
	}
	return kept
}

var noteTests = []test{
	{"the first text stays", func(r *rig) {
		same(r, "before", r.note("a", ""), "")
		for _, text := range []string{"one", "two", "", "one"} {
			same(r, "note", r.note("a", text), "one")
		}
		long := strings.Repeat("x", 256)
		same(r, "a long one", r.note("long", long), long)
	}},
	{"replaced by who has seen it", func(r *rig) {
		r.note("a", "one")
		for _, c := range []struct{ seen, text, want string }{
			{"", "two", "one"}, {"on", "two", "one"}, {"one", "two", "two"}, {"one", "three", "two"}, {"two", "", "two"}, {"two", "one", "one"},
		} {
			kept, err := r.Note(r.ctx(), "a", c.seen, c.text)
			if err != nil {
				r.Fatal(err)
			}
			same(r, "note after "+c.seen, kept, c.want)
		}
		if err := r.Set(r.ctx(), "a", "four"); err != nil {
			r.Fatal(err)
		}
		same(r, "set", r.note("a", ""), "four")
	}},
	{"names are apart", func(r *rig) {
		r.note("a", "one")
		for _, name := range []string{"b", "a:", "a}", "aa"} {
			same(r, "note "+name, r.note(name, ""), "")
		}
		same(r, "mark", r.mark("a").IsZero(), true)
	}},
	{"all who come together get one text", func(r *rig) {
		const many = 16
		kept := make([]string, many)
		var all sync.WaitGroup
		for i := range many {
			all.Go(func() {
				var err error
				if kept[i], err = r.Note(r.ctx(), "a", "", fmt.Sprint("text ", i)); err != nil {
					r.Error(err)
				}
			})
		}
		all.Wait()
		for _, text := range kept {
			same(r, "note", text, r.note("a", ""))
		}
	}},
}
