package httpapi

import "net/http"

// Metadata is what a site notes at Dodo along with a checkout.
type Metadata struct {
	// Names are what a checkout's body may say. Default: none.
	Names []string
	// Of is what the site itself knows of a request, by name. Default: nothing.
	Of func(*http.Request) map[string]string
}

func (m Metadata) of(r *http.Request) map[string]string {
	if m.Of == nil {
		return nil
	}
	return m.Of(r)
}

// notes are the fields of a body that go along as metadata.
type notes map[string]*string

func newNotes(names []string) notes {
	n := make(notes, len(names))
	for _, name := range names {
		n[name] = new(string)
	}
	return n
}

func (n notes) fields() fields {
	f := make(fields, len(n))
	for name, to := range n {
		f[name] = to
	}
	return f
}

// given are the notes that the body has.
func (n notes) given() map[string]string {
	given := make(map[string]string, len(n))
	for name, text := range n {
		if *text != "" {
			given[name] = *text
		}
	}
	return given
}
