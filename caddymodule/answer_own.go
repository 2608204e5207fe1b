package caddymodule

import (
	"net/http"
	"reflect"
	"slices"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/dodogate/dodogate/internal/httpapi"
)

// ownFields are those that an answer of ours decides alone: what its page may do, and
// whether it may be kept.
var ownFields = append([]string{
	"Content-Security-Policy", "Content-Type", "Location", "Referrer-Policy", "Vary", "X-Content-Type-Options", "X-Frame-Options",
}, httpapi.CacheFields[:]...)

// own is a writer for an answer of ours. The directive header can be deferred: it changes
// the fields of the answer when they go out, after us. So a second writer, between that
// directive and the connection, sets ours again.
func own(w http.ResponseWriter) http.ResponseWriter {
	outermost := outermostWrapper(w)
	if outermost == nil {
		return w
	}
	keeper := &fieldKeeper{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: outermost.ResponseWriter}}
	outermost.ResponseWriter = keeper
	return &ownAnswer{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, keeper: keeper}
}

// outermostWrapper is the wrapper next to the connection; nil if there is none. Caddy's
// handlers embed one into their own writers, by this name, and it is the only part of
// them that can be reached.
func outermostWrapper(w http.ResponseWriter) (outermost *caddyhttp.ResponseWriterWrapper) {
	for {
		if v := reflect.ValueOf(w); v.Kind() == reflect.Pointer && v.Elem().Kind() == reflect.Struct {
			if field := v.Elem().FieldByName("ResponseWriterWrapper"); field.IsValid() && field.CanInterface() {
				if wrapper, ok := field.Interface().(*caddyhttp.ResponseWriterWrapper); ok && wrapper != nil {
					outermost = wrapper
				}
			}
		}
		inner, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return outermost
		}
		w = inner.Unwrap()
	}
}

// ownAnswer tells the keeper which fields are ours, and when we write. What others write
// to the same connection, such as the page by which intercept replaces our answer, is
// left as it is.
type ownAnswer struct {
	*caddyhttp.ResponseWriterWrapper
	keeper *fieldKeeper
}

// WriteHeader implements [http.ResponseWriter].
func (a *ownAnswer) WriteHeader(status int) {
	if a.keeper.fields == nil && status >= http.StatusOK {
		a.keeper.fields = make(map[string][]string, len(ownFields))
		for _, name := range ownFields {
			a.keeper.fields[name] = slices.Clone(a.Header()[name]) // header replaces texts in place
		}
	}
	a.keeper.isOurs = true
	a.ResponseWriter.WriteHeader(status)
	a.keeper.isOurs = false
}

// Write implements [http.ResponseWriter].
func (a *ownAnswer) Write(b []byte) (int, error) {
	a.keeper.isOurs = true // encode keeps the header back until here
	defer func() { a.keeper.isOurs = false }()
	return a.ResponseWriter.Write(b)
}

// fieldKeeper sets fields again before they go out.
type fieldKeeper struct {
	*caddyhttp.ResponseWriterWrapper
	fields map[string][]string // an empty list is no such field
	isOurs bool
}

// WriteHeader implements [http.ResponseWriter].
func (k *fieldKeeper) WriteHeader(status int) {
	if k.isOurs {
		header := k.Header()
		for name, values := range k.fields {
			if len(values) == 0 {
				delete(header, name)
				continue
			}
			header[name] = values
		}
	}
	k.ResponseWriter.WriteHeader(status)
}

// Interface guards
var (
	_ http.ResponseWriter = (*ownAnswer)(nil)
	_ http.ResponseWriter = (*fieldKeeper)(nil)
)
