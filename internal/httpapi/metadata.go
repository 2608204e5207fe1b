package httpapi

import "net/http"

// Metadata is what a site stores at Dodo with a checkout.
type Metadata struct {
	// Names are the metadata that a checkout's body may set. Default: none.
	Names []string
	// Of is what the site itself adds from a request, by name. Default: nothing.
	Of func(*http.Request) map[string]string
}

func (m Metadata) of(r *http.Request) map[string]string {
	if m.Of == nil {
		return nil
	}
	return m.Of(r)
}

// metadataFields are the fields of a body that become metadata.
type metadataFields map[string]*string

func newMetadataFields(names []string) metadataFields {
	n := make(metadataFields, len(names))
	for _, name := range names {
		n[name] = new(string)
	}
	return n
}

func (n metadataFields) fields() fields {
	f := make(fields, len(n))
	for name, to := range n {
		f[name] = to
	}
	return f
}

// values are the fields that the body has set.
func (n metadataFields) values() map[string]string {
	given := make(map[string]string, len(n))
	for name, text := range n {
		if *text != "" {
			given[name] = *text
		}
	}
	return given
}
